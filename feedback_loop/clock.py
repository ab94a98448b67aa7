"""The one place that asks what time it is. Decisions take `now` as an argument; composition roots call this."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def day_of(moment: datetime) -> datetime:
    """The beginning of its day in UTC: all that is kept of the times of anonymous answers."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
