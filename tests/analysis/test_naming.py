from __future__ import annotations

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
