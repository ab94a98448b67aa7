"""Advice on statements to customers."""

from __future__ import annotations

import pytest

from feedback_loop.actions.closing.wording import look


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("We closed your ticket.", "jargon", "ticket"),
        ("It stands in our backlog.", "jargon", "backlog"),
        ("The root cause was a label.", "jargon", "root cause"),
        ("The fix was deployed.", "jargon", "deployed"),
        ("It was a regression.", "jargon", "regression"),
        ("See C-42 for more.", "number", "C-42"),
        ("See #123 for more.", "number", "#123"),
        ("You should have read the manual.", "blame", "You should have"),
        ("It was a user error.", "blame", "user error"),
        ("It will be fixed shortly.", "promise", "will be"),
        ("A better label comes soon.", "promise", "soon"),
        ("We’ll look into it.", "promise", "We'll"),
        ("Your feedback is important to us.", "canned", "Your feedback is important"),
        ("We are SORRY about it.", "loud", "SORRY"),
        ("Fixed! Thank you!", "loud", "! Thank you!"),
        ("Das ist ein Bedienungsfehler.", "blame", "Bedienungsfehler"),
        ("Das wird demnächst besser.", "promise", "demnächst"),
        ("Die Änderung ist ausgerollt.", "jargon", "ausgerollt"),
        ("Ihr Feedback ist uns wichtig.", "canned", "Ihr Feedback ist uns wichtig"),
        ("one " * 26 + ".", "long", "one one one one one …"),
    ],
)
def test_finds_what_could_be_said_better(text: str, kind: str, words: str) -> None:
    found = look(text)
    assert (kind, words) in [(each.kind, each.words) for each in found]
    assert all(each.advice for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Parcels now carry two labels. If one gets wet, the other still leads to you.",
        "From 12 October you can pay by card again. It had stopped on 3 October.",
        "We will change it on Friday.",
        "It will be possible by 2026-12-01.",
        "Ab dem 3. Dezember werden wir zwei Etiketten verwenden.",
        "Wir haben das Etikett geändert. Seit heute hält es auch bei Regen.",
        "The PDF opens again.",
        "Thank you! We have put it right.",
    ],
)
def test_leaves_plain_words_alone(text: str) -> None:
    assert look(text) == []


def test_says_each_thing_once_in_the_order_of_the_text() -> None:
    found = look("It will be done soon. The ticket is closed. The ticket is gone.")
    assert [each.kind for each in found] == ["promise", "jargon"]
