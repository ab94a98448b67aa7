"""When to try again what failed, for mails, webhooks and trackers alike. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

MINUTES = (1, 5, 15, 30, 60, 120, 240, 480)
GIVE_UP_AFTER = timedelta(hours=72)
JITTER = 0.2
LONGEST = timedelta(minutes=MINUTES[-1] * (1 + JITTER))


def backoff(attempts: int, key: str) -> timedelta:
    """How long to wait after so many failures: longer each time, and up to a fifth more or less, so that what failed
    together does not come back together.

    Args:
        attempts: Failures so far; fewer than one counts as one.
        key: What is tried, such as `notification:12`. The same key and attempts always give the same time.
    """
    minutes = MINUTES[min(max(attempts, 1), len(MINUTES)) - 1]
    drawn = int.from_bytes(blake2b(f"{key}/{attempts}".encode(), digest_size=4).digest()) / 2**32
    return timedelta(minutes=minutes * (1 - JITTER + 2 * JITTER * drawn))


def waited(attempts: int, key: str) -> timedelta:
    """How long was waited at least before so many attempts.

    Args:
        attempts: Including the one that has just failed.
        key: As for `backoff`.
    """
    return sum((backoff(each, key) for each in range(1, attempts)), timedelta())


def is_over(since: datetime, now: datetime) -> bool:
    """Whether it is time to give up what has been tried since then."""
    return now - since > GIVE_UP_AFTER
