"""Texts of surveys: which are missing in a language, how tags are read, what differs."""

from __future__ import annotations

from typing import Any

import pytest

from feedback_loop.surveys.models import ScaleName, Survey
from feedback_loop.surveys.scales import PROMPT_LOW, SCALES
from feedback_loop.surveys.wording import (
    differences,
    gaps,
    missing,
    read_tags,
    tags_in,
    text_in,
    tidied,
)

OWN: dict[str, Any] = {
    "question": "How was it?",
    "prompt_low": PROMPT_LOW,
    "prompt_high": "What was best?",
    "thanks": "We read it.",
    "thanks_low": "",
    "language": "en",
    "translations": {},
    "tags": ["Late"],
    "scale": "csat",
    "reply_days": None,
}


def test_what_an_admin_wrote_is_missing_where_it_is_not_translated_and_usual_texts_are_not() -> None:
    assert missing(OWN, "pl") == ["question", "question after a high score", "thanks", "tag “Late”"]
    assert missing(OWN, "en") == []
    assert "en" not in gaps(OWN)
    done = {"question": "Jak?", "prompt_high": "Co?", "thanks": "Czytamy.", "tags": {"Late": "Za późno"}}
    assert missing(OWN | {"translations": {"pl": done}}, "pl") == []


def test_an_empty_text_is_the_usual_one_of_the_scale() -> None:
    tidy = tidied(OWN | {"question": "", "prompt_low": ""})
    assert tidy["question"] == SCALES[ScaleName.CSAT].question
    assert tidy["prompt_low"] == PROMPT_LOW
    assert tidied(tidy | {"scale": "nps"})["question"] == SCALES[ScaleName.NPS].question


def test_translations_of_what_is_not_there_any_more_go() -> None:
    texts = {"question": "Jak?", "thanks": "", "tags": {"Late": "Za późno", "Wet": "Mokro"}}
    tidy = tidied(OWN | {"translations": {"pl": texts, "en": {"question": "Twice?"}, "de": {"question": ""}}})
    assert tidy["translations"] == {"pl": {"question": "Jak?", "tags": {"Late": "Za późno"}}}


def test_tags_are_one_a_line() -> None:
    assert read_tags("Late\n\n  Wet \nLate\n") == ["Late", "Wet"]
    with pytest.raises(ValueError, match="at most 12 tags; these are 13"):
        read_tags("\n".join(map(str, range(13))))
    with pytest.raises(ValueError, match="at most 40 characters"):
        read_tags("x" * 41)


def test_readers_get_their_language_where_there_is_one() -> None:
    survey = Survey(**(OWN | {"translations": {"pl": {"question": "Jak?", "tags": {"Late": "Za późno"}}}}))
    assert text_in(survey, "question", "pl") == "Jak?"
    assert text_in(survey, "question", "de") == "How was it?"
    assert tags_in(survey, "pl") == [("Late", "Za późno")]
    assert tags_in(survey, "de") == [("Late", "Late")]


def test_differences_name_each_text_with_before_and_after() -> None:
    after = OWN | {"question": "And?", "tags": ["Late", "Wet"], "translations": {"de": {"question": "Und?"}}}
    assert differences(OWN, after) == [
        ("Question", "How was it?", "And?"),
        ("Tags", "Late", "Late, Wet"),
        ("German: question", "", "Und?"),
    ]
    assert differences(after, after) == []
