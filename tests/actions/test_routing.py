"""The pure decision: which rule fits, and which can never match."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback_loop.actions.routing.deciding import (
    LONGEST_REASON,
    Evidence,
    Rule,
    begins_with,
    fits,
    route,
    shadowed_by,
    what_it_asks,
)
from feedback_loop.analysis.likeness import centre, likeness

LIKE = 0.6
AXES = np.eye(4, dtype=np.float32)
ABOUT = {"late": AXES[0], "broken": AXES[1], "dear": AXES[2], "rude": AXES[3]}


def rule(place: int = 1, **values: Any) -> Rule:
    examples = values.get("examples", ())
    vectors = np.stack([ABOUT[each] for each in examples]) if examples else None
    return Rule(place, place, f"Team {place}", **({"vectors": vectors, "model": "m" if examples else ""} | values))


def evidence(**values: Any) -> Evidence:
    return Evidence(**({"name": "Refund takes weeks", "keywords": ["refund"], "texts": ["Where is it?"]} | values))


def taken(rules: list[Rule], **values: Any) -> int:
    """The place of the rule that takes it; 0 for none."""
    chosen = route(evidence(**values), rules, 99, "Care", LIKE)
    return chosen.rule.place if chosen.rule else 0


def test_the_first_rule_that_fits_decides() -> None:
    rules = [rule(1, keyword="parcel"), rule(2, keyword="refund"), rule(3, keyword="ref")]
    assert taken(rules) == 2
    assert taken(rules, name="Late", keywords=[]) == 0


def test_all_that_a_rule_names_must_fit() -> None:
    both = rule(keyword="refund", page="/shop")
    assert taken([both]) == 0
    assert taken([both], page_shares={"/shop/cart": 0.4, "/shop": 0.2}) == 1
    assert taken([both], page_shares={"/shop/cart": 0.6}, name="Late", keywords=[]) == 0


@pytest.mark.parametrize(
    ("asked", "known", "fit"),
    [
        ({"survey_id": 7}, {"survey_shares": {7: 0.51}}, True),
        ({"survey_id": 7}, {"survey_shares": {7: 0.5, 8: 0.5}}, False),
        ({"tag": "Delivery"}, {"tag_shares": {"delivery": 0.8}}, True),
        ({"tag": "Delivery"}, {"tag_shares": {"deliver": 0.8}}, False),
        ({"language": "de"}, {"language_shares": {"de": 1.0}}, True),
        ({"language": "de"}, {"language_shares": {"en": 1.0}}, False),
        ({"worst_score": 25}, {"score": 25.0}, True),
        ({"worst_score": 25}, {"score": 25.1}, False),
        ({"worst_score": 25}, {"score": None}, False),
        ({"worst_score": 0}, {"score": 0.0}, True),
    ],
)
def test_most_statements_must_come_from_where_a_rule_asks(
    asked: dict[str, Any], known: dict[str, Any], fit: bool
) -> None:
    assert bool(taken([rule(**asked)], **known)) == fit


@pytest.mark.parametrize(
    ("page", "beginning", "fit"),
    [
        ("/checkout/pay", "/checkout", True),
        ("/Checkout", "/checkout", True),
        ("https://shop.example/checkout/pay", "/checkout", True),
        ("https://shop.example/checkout/pay", "https://shop.example/", True),
        ("https://shop.example", "/", True),
        ("/help/checkout", "/checkout", False),
        ("https://[", "/checkout", False),
    ],
)
def test_a_page_is_the_beginning_of_an_address(page: str, beginning: str, fit: bool) -> None:
    assert begins_with(page, beginning) == fit


def test_meaning_fits_by_likeness_of_the_models_own_vectors() -> None:
    asked = rule(examples=("late", "dear"))
    near = centre(np.stack([AXES[0], AXES[0], AXES[2]]))
    assert taken([asked], centres={"m": near}) == 1
    assert taken([asked], centres={"m": AXES[1]}) == 0
    assert taken([asked], centres={"other": near}) == 0
    assert taken([rule(examples=("late",), vectors=None)], centres={"m": near}) == 0, "nobody has read it yet"
    assert (
        "it is like “late” (1.00, 0.60 is needed)"
        in route(evidence(centres={"m": AXES[0]}), [asked], 9, "Care", LIKE).reason
    )


def test_likeness_is_to_the_nearest_few_examples_not_to_all() -> None:
    middle = centre(np.stack([AXES[0] + AXES[1], AXES[0] - AXES[1]]))
    pair = np.stack([centre((AXES[0] + AXES[1])[None]), centre((AXES[0] - AXES[1])[None])])
    assert likeness(middle, pair) == pytest.approx(1.0), "the mean of two is nearer than either"
    with_others = np.concatenate([pair, np.repeat(AXES[3][None], 8, axis=0)])
    assert likeness(middle, with_others) == pytest.approx(1.0), "others take nothing away"
    assert likeness(middle, np.zeros((0, 4), dtype=np.float32)) == 0.0


def test_the_reason_names_the_rule_and_each_part_and_fits_its_column() -> None:
    asked = rule(
        keyword="refund",
        survey_id=1,
        survey="S" * 200,
        page="/" + "p" * 199,
        tag="t" * 200,
        language="de",
        worst_score=30,
    )
    known = evidence(
        survey_shares={1: 1.0}, page_shares={asked.page: 1.0}, tag_shares={asked.tag: 1.0}, language_shares={"de": 1.0},
        score=12.0, newest=50,
    )  # fmt: skip
    reason = route(known, [asked], 9, "Care", LIKE).reason
    assert reason.startswith("By rule 1 to Team 1, because “refund” stands in its name; 100% of the newest 50 statemen")
    assert len(reason) <= LONGEST_REASON
    assert len(fits(asked, known, LIKE)) == 6


def test_a_rule_says_in_a_sentence_what_it_asks() -> None:
    asked = rule(keyword="refund", examples=("late", "dear", "rude"), language="fr", worst_score=30)
    assert what_it_asks(asked) == (
        "says “refund”, is like “late” or 2 more examples, is in French and has a mean score of 30 of 100 or less"
    )


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"keyword": "ref"}, {"keyword": "refund"}),
        ({"keyword": "refund"}, {"keyword": "my refund"}),
        ({"page": "/shop"}, {"page": "/shop/cart", "tag": "x"}),
        ({"page": "/shop"}, {"page": "https://a.example/shop"}),
        ({"worst_score": 40}, {"worst_score": 20}),
        ({"examples": ("late", "dear")}, {"examples": ("dear", "late"), "language": "de"}),
        ({"tag": "Late"}, {"tag": "late"}),
    ],
)
def test_a_rule_that_asks_for_less_hides_those_behind_it(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    first, second = rule(1, **earlier), rule(2, **later)
    assert shadowed_by(second, [first]) is first
    assert shadowed_by(first, [second]) is None or earlier.keys() == later.keys() == {"tag"}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"keyword": "fund"}, {"keyword": "refund"}),
        ({"keyword": "refund", "tag": "a"}, {"keyword": "refund"}),
        ({"examples": ("late",)}, {"examples": ("late", "dear")}),
        ({"examples": ("late",), "vectors": None}, {"examples": ("late",)}),
        ({"worst_score": 20}, {"worst_score": 40}),
        ({"survey_id": 1}, {"keyword": "refund"}),
    ],
)
def test_a_rule_that_asks_for_something_else_hides_nothing(earlier: dict[str, Any], later: dict[str, Any]) -> None:
    assert shadowed_by(rule(2, **later), [rule(1, **earlier)]) is None


words = st.sampled_from(["", "a", "ab", "b", "a b", "ß", "SS", "b-a"])
pages = st.sampled_from(["", "/", "/a", "/ab", "/a/b", "https://x.example", "https://x.example/a", "a", "https://["])
tags = st.sampled_from(["", "T", "t", "u"])
languages = st.sampled_from(["", "de", "en"])
examples = st.lists(st.sampled_from(sorted(ABOUT)), max_size=3, unique=True).map(tuple)


@st.composite
def some_rules(draw: st.DrawFn) -> list[Rule]:
    made = []
    for place in range(1, draw(st.integers(1, 4)) + 1):
        named = draw(examples)
        unread = {"vectors": None} if named and draw(st.integers(0, 4)) == 0 else {}
        made.append(
            rule(
                place,
                keyword=draw(words),
                survey_id=draw(st.sampled_from([None, 1, 2])),
                page=draw(pages),
                tag=draw(tags),
                language=draw(languages),
                worst_score=draw(st.sampled_from([None, 0, 50])),
                examples=named,
                **unread,
            )
        )
    return made


shares = st.sampled_from([0.3, 0.51, 1.0])
complaints = st.builds(
    Evidence,
    name=words,
    keywords=st.lists(words, max_size=2),
    texts=st.lists(words, max_size=4),
    survey_shares=st.dictionaries(st.sampled_from([1, 2]), shares),
    page_shares=st.dictionaries(pages.filter(bool), shares),
    tag_shares=st.dictionaries(st.sampled_from(["t", "u"]), shares),
    language_shares=st.dictionaries(languages.filter(bool), shares),
    score=st.sampled_from([None, 0.0, 30.0, 80.0]),
    centres=st.lists(st.sampled_from(sorted(ABOUT)), min_size=1, max_size=3).map(
        lambda names: {"m": centre(np.stack([ABOUT[name] for name in names]))}
    ),
)


@settings(max_examples=600, deadline=None)
@given(some_rules(), complaints)
def test_a_hidden_rule_routes_nothing_and_the_first_that_fits_decides(rules: list[Rule], known: Evidence) -> None:
    chosen = route(known, rules, 99, "Care", LIKE)
    fitting = [each for each in rules if fits(each, known, LIKE)]
    assert chosen.rule is (fitting[0] if fitting else None)
    assert chosen.team_id == (fitting[0].team_id if fitting else 99)
    for index, each in enumerate(rules):
        hiding = shadowed_by(each, rules[:index])
        if hiding is not None and each in fitting:
            assert hiding in fitting, "what fits the hidden one fits the one before it, too"
            assert chosen.rule is not each
