from __future__ import annotations

import pytest

from feedback_loop.analysis.sameness import normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The parcel is late", "the  parcel is LATE!!!"),
        ("Sooooo late", "so late"),
        ("Größe stimmt nicht.", "GRÖSSE stimmt nicht"),
        ("“Late” again…", "late again"),
    ],
)
def test_the_same_words_typed_otherwise_are_the_same_statement(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Waited 3 days", "Waited 30 days"), ("Too late", "To late"), ("Charged 1000", "Charged 10"), ("!!!", "???")],
)
def test_other_words_and_numbers_are_not(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_signs_alone_are_their_own_normal_form() -> None:
    assert normalised(" ?! ") == "?!"
