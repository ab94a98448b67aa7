from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feedback_loop.analysis.constraints import Constraints, enforce
from feedback_loop.analysis.discovery import Discovery, discover
from feedback_loop.analysis.embedding.embedder import Embedder, unit
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.analysis.embedding.toy import ToyEmbedder

SMALLEST = Thresholds().smallest_group
Problems = tuple[list[str], list[str]]


def _check(placed: NDArray[np.int64], current: NDArray[np.int64], rules: Constraints) -> None:
    assert (placed[rules.fixed] == current[rules.fixed]).all()
    assert set(placed[placed > 0].tolist()) <= set(current.tolist()), "no id is invented"
    assert not (np.isin(current, list(rules.held)) & (current > 0) & (placed < 0)).any()
    for complaint in rules.kept & set(current.tolist()):
        assert (placed == complaint).any()
    for one, two in rules.apart:
        assert not ((current == one) & (placed == two)).any()
        assert not ((current == two) & (placed == one)).any()
        assert not {*placed[current == one].tolist()} & {*placed[current == two].tolist()} & {*range(-1000, 0)}
    for group in set(placed[placed < 0].tolist()):
        assert (placed == group).sum() >= SMALLEST


@st.composite
def _rules(draw: st.DrawFn, rows: int, complaints: int = 5) -> Constraints:
    ids = st.frozensets(st.integers(1, complaints), max_size=3)
    pairs = list(itertools.combinations(range(1, complaints + 1), 2))
    fixed = np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), dtype=np.bool_)
    if draw(st.booleans()):
        fixed &= np.arange(rows) % 4 == 0  # few of them, as in life
    return Constraints(fixed, draw(ids), draw(ids), draw(st.frozensets(st.sampled_from(pairs), max_size=4)))


@st.composite
def _placings(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], Constraints]:
    rows = draw(st.integers(0, 30))
    numbers = st.lists(st.integers(0, 5), min_size=rows, max_size=rows)
    current = np.array(draw(numbers), dtype=np.int64)
    known = sorted(set(current.tolist()) - {0})
    places = st.sampled_from([*known, 0, -1, -2, -3])
    placed = np.array(draw(st.lists(places, min_size=rows, max_size=rows)), dtype=np.int64)
    return placed, current, draw(_rules(rows))


@given(_placings())
@settings(max_examples=300, deadline=None)
def test_no_rule_is_broken_whatever_the_clustering_does(
    placing: tuple[NDArray[np.int64], NDArray[np.int64], Constraints],
) -> None:
    placed, current, rules = placing
    ones = np.ones(len(placed), dtype=np.int64)
    result = enforce(placed, current, rules, ones, SMALLEST)
    _check(result, current, rules)
    assert ((result == placed) | (result == current) | (result == 0)).all(), "rows stay, go home, or go to the pool"
    assert np.array_equal(enforce(result, current, rules, ones, SMALLEST), result)


@st.composite
def _samples(draw: st.DrawFn) -> tuple[list[str], NDArray[np.float32], NDArray[np.int64], Constraints]:
    """Vectors around a few centres, texts of which some are repeated, any complaints and rules."""
    rows = draw(st.integers(0, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    distinct = random.integers(0, max(rows, 1), rows)
    topic = random.integers(0, 5, max(rows, 1))
    noise = draw(st.sampled_from([0.1, 0.3, 1.0]))
    centres = random.normal(size=(5, 12))
    vectors = unit(centres[topic] + noise * random.normal(size=(len(topic), 12)) * 2)[distinct]
    texts = [f"word{topic[number]} thing{number} is broken" for number in distinct.tolist()]
    agreeing = draw(st.booleans())
    current = np.where(random.random(rows) < 0.7, topic[distinct] + 1 if agreeing else random.integers(1, 6, rows), 0)
    return texts, vectors, current.astype(np.int64), draw(_rules(rows))


@given(_samples())
@settings(max_examples=150, deadline=None)
def test_discovery_obeys_every_rule(
    sample: tuple[list[str], NDArray[np.float32], NDArray[np.int64], Constraints],
) -> None:
    texts, vectors, current, rules = sample
    found = discover(texts, vectors, current, Thresholds(), constraints=rules)
    _check(found.complaint, current, rules)
    _check_published(found, current)


def _check_published(found: Discovery, current: NDArray[np.int64]) -> None:
    groups = set(found.complaint.tolist()) - {0}
    new = sorted((group for group in groups if group < 0), reverse=True)
    assert new == list(range(-1, -1 - len(new), -1))
    assert set(found.names) == set(found.exemplars) == set(found.cohesion) == set(found.neighbours) == groups
    for group, rows in found.exemplars.items():
        assert len(rows)
        assert (found.complaint[rows] == group).all()
    before = set(current.tolist()) - {0}
    assert set(found.stability) == before & groups
    assert set(found.absorbed) == before - groups
    assert set(found.absorbed.values()) <= groups | {0}
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    assert (found.confidence[found.complaint == 0] == 0).all()
    assert all(-1.001 <= value <= 1.001 for value in found.cohesion.values())
    for group, near in found.neighbours.items():
        assert len(near) == min(3, len(groups) - 1)
        assert {other for other, _ in near} <= groups - {group}
        assert [value for _, value in near] == sorted((value for _, value in near), reverse=True)


def _free(count: int, *fixed: int) -> NDArray[np.bool_]:
    flags = np.zeros(count, dtype=np.bool_)
    flags[list(fixed)] = True
    return flags


def test_fixed_rows_of_one_text_stay_in_different_complaints(toy: ToyEmbedder) -> None:
    texts = ["Parcel late", "parcel late!", "PARCEL LATE", "Parcel late", "Parcel, late", "Card declined"]
    current = np.array([3, 5, 0, 0, 0, 5])
    found = discover(
        texts, toy.encode(texts), current, toy.thresholds, constraints=Constraints(_free(len(texts), 0, 1, 2))
    )
    assert found.complaint[:3].tolist() == [3, 5, 0]
    assert len(set(found.complaint[3:5].tolist())) == 1, "texts that nobody placed still share a complaint"


def test_rows_taken_out_by_a_person_join_nothing(problems: Problems, embedder: Embedder) -> None:
    texts, labels = problems
    out = [row for row, label in enumerate(labels) if label == "parcel"]
    none = np.zeros(len(texts), dtype=np.int64)
    rules = Constraints(_free(len(texts), *out))
    found = discover(texts, embedder.encode(texts), none, embedder.thresholds, constraints=rules)
    assert not found.complaint[out].any()
    assert (found.complaint != 0).any()


def test_a_held_complaint_takes_its_rows_back(problems: Problems, embedder: Embedder) -> None:
    """Two problems that a person merged: the clustering would split them again."""
    texts, labels = problems
    merged = np.isin(labels, ["parcel", "password"])
    current = np.where(merged, 8, 0)
    vectors = embedder.encode(texts)
    free = discover(texts, vectors, current, embedder.thresholds)
    assert set(free.complaint[merged].tolist()) > {8}, "otherwise this test shows nothing"
    rules = Constraints(_free(len(texts)), held=frozenset({8}))
    found = discover(texts, vectors, current, embedder.thresholds, constraints=rules)
    assert (found.complaint[merged] == 8).all()
    assert found.stability == {8: 1.0}
    assert (found.confidence[merged] > 0).any()


def test_a_complaint_with_work_on_it_is_not_absorbed(problems: Problems, embedder: Embedder) -> None:
    texts, labels = problems
    parcel = np.flatnonzero(np.array(labels) == "parcel")
    current = np.zeros(len(texts), dtype=np.int64)
    current[parcel] = 4
    current[parcel[0]] = 9
    vectors = embedder.encode(texts)
    rules = Constraints(_free(len(texts)), kept=frozenset({9}))
    kept = discover(texts, vectors, current, embedder.thresholds, constraints=rules)
    assert 9 in kept.complaint
    free = discover(texts, vectors, current, embedder.thresholds)
    assert free.absorbed == ({} if 9 in free.complaint else {9: 4})


def test_complaints_set_apart_never_exchange_rows(problems: Problems, embedder: Embedder) -> None:
    texts, labels = problems
    parcel = np.flatnonzero(np.array(labels) == "parcel")
    current = np.zeros(len(texts), dtype=np.int64)
    current[parcel[::2]], current[parcel[1::2]] = 4, 9
    rules = Constraints(_free(len(texts)), apart=frozenset({(4, 9)}))
    found = discover(texts, embedder.encode(texts), current, embedder.thresholds, constraints=rules)
    assert (found.complaint[parcel] == current[parcel]).all()


def test_what_goes_home_does_not_leave_a_group_too_small() -> None:
    placed = np.array([-1, -1, -1, -1, 0])
    current = np.array([6, 6, 0, 0, 6])
    rules = Constraints(_free(5), held=frozenset({6}))
    ones = np.ones(5, dtype=np.int64)
    assert enforce(placed, current, rules, ones, 3).tolist() == [6, 6, 0, 0, 6]
    assert enforce(placed, current, rules, np.array([1, 1, 1, 2, 1]), 3).tolist() == [6, 6, -1, -1, 6]


def test_of_a_new_group_the_smaller_side_goes_home() -> None:
    placed = np.full(6, -1)
    current = np.array([2, 2, 2, 7, 7, 0])
    rules = Constraints(_free(6), apart=frozenset({(2, 7)}))
    result = enforce(placed, current, rules, np.ones(6, dtype=np.int64), 3)
    assert result.tolist() == [-1, -1, -1, 7, 7, -1]


def test_flags_must_match_the_texts(toy: ToyEmbedder) -> None:
    texts = ["a b", "c d"]
    with pytest.raises(ValueError, match="constraints"):
        discover(texts, toy.encode(texts), np.zeros(2, np.int64), toy.thresholds, constraints=Constraints(_free(3)))
