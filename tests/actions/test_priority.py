"""Priority from people, severity and trend, with its arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_loop.actions.levels.priority import ORDER, Weight, rate
from feedback_loop.actions.models import Priority

THRESHOLDS = (5, 20, 80)


def weight(people: int = 12, harm: float | None = 0.9, recent: int = 5, before: int = 5) -> Weight:
    return Weight(people, harm, recent, before, recent > before)


@pytest.mark.parametrize(
    ("given", "priority", "reason"),
    [
        (weight(12, 0.9, 6, 2), Priority.HIGH, "12 people × 1.4 severity × 1.5 growing = 25; high from 20."),
        (weight(1, None), Priority.LOW, "1 person × 1.0 severity (no scores) × 1 steady = 1; low below 5."),
        (weight(8, 0.0), Priority.LOW, "8 people × 0.5 severity × 1 steady = 4; low below 5."),
        (weight(8, 0.5), Priority.NORMAL, "8 people × 1.0 severity × 1 steady = 8; normal from 5."),
        (
            weight(1204, 1.0, 0, 0),
            Priority.URGENT,
            "1,204 people × 1.5 severity × 0.5 not said for two weeks = 903; urgent from 80.",
        ),
        (weight(0, None, 0, 0), Priority.LOW, "0 people × 1.0 severity (no scores) × 0.5 not said for two weeks = 0; "
         "low below 5."),
    ],
)  # fmt: skip
def test_the_arithmetic_is_shown(given: Weight, priority: Priority, reason: str) -> None:
    rated = rate(given, THRESHOLDS)
    assert (rated.priority, rated.reason) == (priority, reason)


def test_it_falls_only_a_fifth_below_a_threshold() -> None:
    at_19, at_16, at_15 = weight(19, 0.5), weight(16, 0.5), weight(15, 0.5)
    assert rate(at_19, THRESHOLDS).priority == Priority.NORMAL
    sticky = rate(at_19, THRESHOLDS, Priority.HIGH)
    assert sticky.priority == Priority.HIGH
    assert sticky.reason.endswith("= 19; high from 20, and stays so down to 16.")
    assert rate(at_16, THRESHOLDS, Priority.HIGH).priority == Priority.HIGH
    assert rate(at_15, THRESHOLDS, Priority.HIGH).priority == Priority.NORMAL


def test_what_stays_may_still_fall_from_a_higher_one() -> None:
    rated = rate(weight(18, 0.5), THRESHOLDS, Priority.URGENT)
    assert rated.priority == Priority.HIGH  # no longer urgent, and not yet normal


weights = st.builds(
    Weight, st.integers(0, 10_000), st.none() | st.floats(0, 1), st.integers(0, 99), st.integers(0, 99), st.booleans()
)


@given(weights, st.none() | st.sampled_from(ORDER))
def test_rating_again_changes_nothing(given: Weight, current: Priority | None) -> None:
    first = rate(given, THRESHOLDS, current)
    again = rate(given, THRESHOLDS, first.priority)
    assert again.priority == first.priority
    assert len(first.reason) <= 300


@given(weights, st.integers(0, 1000), st.none() | st.sampled_from(ORDER))
def test_more_people_never_make_it_less_urgent(given: Weight, more: int, current: Priority | None) -> None:
    other = Weight(given.people + more, given.harm, given.recent, given.before, given.is_growing)
    low, high = rate(given, THRESHOLDS, current).priority, rate(other, THRESHOLDS, current).priority
    assert ORDER.index(low) <= ORDER.index(high)
