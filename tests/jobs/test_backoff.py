"""When what failed is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from feedback_loop.jobs.backoff import GIVE_UP_AFTER, MINUTES, backoff, is_over


@given(st.integers(-1, 50), st.text(max_size=20))
def test_a_wait_is_within_a_fifth_of_its_step_and_always_the_same(attempts: int, key: str) -> None:
    minutes = MINUTES[min(max(attempts, 1), len(MINUTES)) - 1]
    wait = backoff(attempts, key)
    assert timedelta(minutes=0.8 * minutes) <= wait <= timedelta(minutes=1.2 * minutes)
    assert backoff(attempts, key) == wait


def test_what_failed_together_does_not_come_back_together() -> None:
    waits = [backoff(1, f"notification:{number}").total_seconds() for number in range(1000)]
    assert len(set(waits)) > 990
    assert min(waits) < 49
    assert max(waits) > 71
    assert 59 < sum(waits) / len(waits) < 61


def test_it_is_given_up_after_three_days() -> None:
    since = datetime(2026, 10, 1, tzinfo=UTC)
    assert not is_over(since, since + GIVE_UP_AFTER)
    assert is_over(since, since + GIVE_UP_AFTER + timedelta(seconds=1))
