from __future__ import annotations

import time

import pytest

from feedback_loop.analysis.naming import name_group


def test_the_name_is_a_short_clause_in_the_customers_words() -> None:
    texts = [
        "Hello, my parcel has not arrived, and I am really quite angry about the way all of this was handled.",
        "Can you please tell me why the parcel has not arrived?",
        "The parcel is late",
    ]
    name = name_group(texts, ["parcel", "arrived", "late"])
    assert name.phrase in ("My parcel has not arrived", "The parcel has not arrived")
    assert name.keywords == ("parcel", "arrived", "late")


@pytest.mark.parametrize(
    "texts",
    [
        ["why is it", "what was that about?"],
        ["[email]", "[phone] [number]"],
        ["..."],
        [],
        ["https://example.com/help"],
        ["12 34"],
    ],
)
def test_a_name_is_never_empty_or_a_placeholder(texts: list[str]) -> None:
    phrase = name_group(texts, []).phrase
    assert phrase
    assert "[" not in phrase
    assert name_group(texts, ["parcel", "late"]).phrase == "Parcel late"


def test_placeholders_are_left_out() -> None:
    name = name_group(
        ["My invoice [number] went to [email] by mistake", "Invoice sent to someone else"], ["invoice", "sent"]
    )
    assert "[" not in name.phrase
    assert name.phrase == "Invoice sent to someone else"


def test_names_are_cut_at_a_word_and_end_clean() -> None:
    long = (
        "the extraordinarily complicated registration procedure repeatedly rejects internationally recognised documents"
    )
    phrase = name_group([long], ["registration"]).phrase
    assert len(phrase) <= 60
    assert all(word in long for word in phrase.lower().split())
    assert name_group(["parcel is late!!!"], []).phrase == "Parcel is late"


def test_names_in_use_are_not_taken_again() -> None:
    texts = ["The parcel is late", "The parcel is late", "My parcel never came"]
    assert name_group(texts, ["parcel"], {"the parcel is late"}).phrase == "My parcel never came"
    taken = {"The parcel is late"}
    other = name_group(texts[:1], ["parcel", "courier"], taken).phrase
    assert other == "The parcel is late (courier)"
    numbered = name_group(texts[:1], [], taken).phrase
    assert numbered == "The parcel is late (2)"


def test_other_languages_get_names() -> None:
    texts = ["Hallo, leider ist mein Paket nicht angekommen!", "Paket ist nicht da"]
    assert "aket" in name_group(texts, ["paket", "angekommen"]).phrase


def test_shouting_is_lowered() -> None:
    assert name_group(["MY PARCEL IS LATE"], ["parcel"]).phrase == "My parcel is late"


def test_a_name_does_not_end_in_the_air() -> None:
    name = name_group(
        ["Order cancelled two days later as [number]", "Order cancelled two days later as 'out'"], ["cancelled"]
    )
    assert name.phrase == "Order cancelled two days later"
    assert name_group(["I cannot log in"], ["log"]).phrase.endswith("log in")


@pytest.mark.parametrize(
    ("texts", "keywords", "expected"),
    [
        # a whole sentence is better than what a cut leaves
        (
            ["The lift in the car park has been broken ever since the week before Easter", "The lift is broken"],
            ["lift", "car park", "broken"],
            "The lift is broken",
        ),
        # a statement is better than a question, and a question keeps its "why"
        (
            ["Why was I charged a late fee?", "I was charged a late fee"],
            ["late fee", "charged"],
            "I was charged a late fee",
        ),
        (["Why was I charged a late fee?"], ["late fee", "charged"], "Why was I charged a late fee"),
        (["Can you tell me why the gate is locked?"], ["gate", "locked"], "The gate is locked"),
        # half a sentence does not say what happened
        (
            ["When I try to book a class, the page stays blank", "The page stays blank"],
            ["class", "book", "page", "blank"],
            "The page stays blank",
        ),
        # "it" needs the sentence before
        (
            ["The kettle leaks. It leaks on everything.", "It leaks all the time"],
            ["leaks", "kettle"],
            "The kettle leaks",
        ),
        # neither what a page says nor what stands beside something redacted
        (
            ['It says "press the green button to continue" and nothing happens', "The green button does nothing"],
            ["green button", "press", "continue"],
            "The green button does nothing",
        ),
        (
            ["Bus [number] to the harbour was late again", "The harbour bus is always late"],
            ["harbour", "bus", "late"],
            "The harbour bus is always late",
        ),
        # what only one of them says is no name
        (
            ["My aunt from Leeds slipped on the wet floor", "The floor is wet and slippery", "Floor always wet"],
            ["floor", "wet", "slippery"],
            "The floor is wet and slippery",
        ),
        (["bot bot bot", "The chat is only a bot"], ["bot", "chat"], "The chat is only a bot"),
        (["So much plastic around one apple"], ["plastic"], "So much plastic around one apple"),
        (["Leider ist der Aufzug kaputt", "Der Aufzug ist kaputt"], ["aufzug", "kaputt"], "Der Aufzug ist kaputt"),
        (["Quand il pleut, le toit fuit", "Le toit fuit"], ["toit", "fuit", "pleut"], "Le toit fuit"),
        (["Por favor, arreglen la puerta", "La puerta no cierra bien"], ["puerta"], "La puerta no cierra bien"),
        (["Perché il bagno è sempre sporco?", "Il bagno è sporco"], ["bagno", "sporco"], "Il bagno è sporco"),
        (["Waarom is de kleedkamer vies?", "De kleedkamer is vies"], ["kleedkamer", "vies"], "De kleedkamer is vies"),
        (["A piscina fechou 3 vezes", "A piscina está sempre fechada"], ["piscina"], "A piscina está sempre fechada"),
    ],
)
def test_a_team_lead_would_take_the_name(texts: list[str], keywords: list[str], expected: str) -> None:
    assert name_group(texts, keywords).phrase == expected


def test_a_long_sentence_ends_before_a_preposition() -> None:
    text = "The membership card never opens the side door for people who come before eight in the morning"
    assert name_group([text], ["card", "door"]).phrase == "The membership card never opens the side door"


def test_naming_a_long_group_is_quick() -> None:
    texts = ["and because the door, and when it rains, " * 200] * 15
    start = time.thread_time()
    name_group(texts, ["door"])
    assert time.thread_time() - start < 5.0
