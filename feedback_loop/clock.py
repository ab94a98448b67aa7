"""The one place that asks what time it is. Decisions take `now` as an argument; composition roots call this."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)
