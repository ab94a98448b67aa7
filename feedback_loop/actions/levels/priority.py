"""How urgent an action item is: people × severity × trend, with the arithmetic in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from feedback_loop.actions.models import Priority

ORDER = tuple(Priority)  # the least urgent first
GROWING, STEADY, FADING = 1.5, 1.0, 0.5
LEAST_SEVERITY = 0.5  # of complaints by people who gave the best score; the worst score counts 1.5
STICKS = 0.8  # of a threshold: below it a priority goes down, so that it does not change to and fro around one


@dataclass(frozen=True)
class Weight:
    """What a complaint weighs.

    Attributes:
        people: Who raised it, known and anonymous.
        harm: How bad the scores beside it are, 0 (the best score) to 1 (the worst); None where nobody gave one.
        recent: Statements of the last seven days.
        before: Of the seven days before.
        is_growing: Whether that is more than chance.
    """

    people: int
    harm: float | None
    recent: int
    before: int
    is_growing: bool


@dataclass(frozen=True)
class Rated:
    """A priority, and its arithmetic in words."""

    priority: Priority
    reason: str


def severity(harm: float | None) -> float:
    """The factor for how bad the scores are, 0.5 to 1.5 in tenths, as it is shown; without scores, 1."""
    return 1.0 if harm is None else round(LEAST_SEVERITY + harm, 1)


def trend(weight: Weight) -> tuple[float, str]:
    """The factor for how often it is said of late, and its word."""
    if weight.is_growing:
        return GROWING, "growing"
    if not (weight.recent or weight.before):
        return FADING, "not said for two weeks"
    return STEADY, "steady"


def rate(weight: Weight, thresholds: Sequence[int], current: Priority | None = None) -> Rated:
    """The priority of an item.

    It rises at a threshold, and falls only where the product is a fifth below it.

    Args:
        weight: Of its complaint.
        thresholds: From what product on it is normal, high and urgent; ascending.
        current: The priority it has by an earlier rating; None where it has none.
    """
    factor, word = trend(weight)
    product = round(weight.people * severity(weight.harm) * factor, 3)
    level = sum(product >= each for each in thresholds)
    sticks = ""
    if current is not None and level < (now := ORDER.index(current)):
        while level < now and product >= STICKS * thresholds[level]:
            level += 1
            sticks = f", and stays so down to {STICKS * thresholds[level - 1]:g}"
    unscored = " (no scores)" if weight.harm is None else ""
    priority = ORDER[level]
    where = f"from {thresholds[level - 1]:,}" if level else f"below {thresholds[0]:,}"
    people = f"{weight.people:,} {'person' if weight.people == 1 else 'people'}"
    reason = (
        f"{people} × {severity(weight.harm):.1f} severity{unscored} × {factor:g} {word} = {math.floor(product):,}; "
        f"{priority.value} {where}{sticks}"
    )
    return Rated(priority, f"{reason}.")
