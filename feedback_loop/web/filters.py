"""How values are written on pages: dates, counts, shares. Times are UTC and say so where it matters."""

from __future__ import annotations

from datetime import UTC, date, datetime

from flask import Flask

from feedback_loop.clock import utc_now


def as_date(value: datetime | date | None) -> str:
    """`12 Oct 2026`, or nothing."""
    return f"{value.day} {value:%b %Y}" if value else ""


def as_moment(value: datetime | None) -> str:
    """`12 Oct 2026, 14:05 UTC`, or nothing."""
    return f"{as_date(value)}, {value.astimezone(UTC):%H:%M} UTC" if value else ""


def ago(value: datetime | None, now: datetime | None = None) -> str:
    """`just now`, `3 hours ago`, `3 days ago`; a date after two weeks. The same forwards: `in 3 days`."""
    if value is None:
        return ""
    seconds = ((now or utc_now()) - value).total_seconds()
    future = seconds < 0
    seconds = abs(seconds)
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(seconds // size)
        if unit == "day" and count > 14:
            return as_date(value)
        if count:
            words = plural(count, unit, unit + "s")
            return f"in {words}" if future else f"{words} ago"
    return "just now"


def number(value: int | float | None) -> str:
    """`1,204`."""
    return f"{value:,}" if value is not None else ""


def percent(value: float | None) -> str:
    """`53 %` for 0.53. Never 100 % or 0 % unless it is all or nothing."""
    if value is None:
        return ""
    rounded = round(value * 100)
    if 0 < value < 1:
        rounded = min(99, max(1, rounded))
    return f"{rounded} %"


def plural(count: int, one: str, many: str) -> str:
    """`1 person`, `14 people`."""
    return f"{count:,} {one if count == 1 else many}"


def listed(value: object) -> object:
    """`Delivery, Price` for a list of texts; anything else as it is."""
    return ", ".join(str(each) for each in value) if isinstance(value, list) else value


def init_app(app: Flask) -> None:
    """Make the filters known to templates."""
    app.jinja_env.filters.update(
        date=as_date, moment=as_moment, ago=ago, number=number, percent=percent, plural=plural, listed=listed
    )
    app.jinja_env.globals["now"] = utc_now
