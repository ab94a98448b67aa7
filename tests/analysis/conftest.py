"""Shared by the analysis tests: the real embedder once per run, the toy one, and invented statements."""

from __future__ import annotations

import pytest

from feedback_loop.analysis.embedding.embedder import Embedder
from feedback_loop.analysis.embedding.loading import load_embedder
from feedback_loop.analysis.embedding.toy import ToyEmbedder

PROBLEMS: dict[str, list[str]] = {
    "parcel": [
        "My parcel still has not arrived",
        "The package never turned up at my door",
        "Where is my parcel, it was due on Monday",
        "Delivery is a week late and nobody tells me anything",
        "Still waiting for my parcel to be delivered",
        "The courier lost my package",
    ],
    "password": [
        "I cannot reset my password",
        "The password reset mail never comes",
        "Resetting the password gives me an error",
        "I am locked out because the password reset does not work",
        "The link for a new password has expired every time",
    ],
    "refund": [
        "I have not received my refund",
        "The refund takes far too long",
        "You promised my money back and no refund has come",
        "My refund is still outstanding after a month",
        "Waiting for a refund since spring",
    ],
    "room": [
        "Our hotel room was dirty",
        "The bathroom had not been cleaned",
        "There were stains on the bed sheets in the room",
        "Dust everywhere in our room, it was not cleaned",
    ],
}
ONE_OFFS = [
    "The parking garage was too dark",
    "Your newsletter uses a tiny font",
    "I would like a vegan menu",
    "The music in the shop was loud",
    "Please add a Polish translation",
]


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return load_embedder("minilm")


@pytest.fixture(scope="session")
def toy() -> ToyEmbedder:
    return ToyEmbedder()


@pytest.fixture(scope="session")
def problems() -> tuple[list[str], list[str]]:
    """Statements and the problem each is about."""
    texts = [text for group in PROBLEMS.values() for text in group] + ONE_OFFS
    labels = [label for label, group in PROBLEMS.items() for _ in group]
    return texts, labels + [f"one-off {number}" for number in range(len(ONE_OFFS))]
