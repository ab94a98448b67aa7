"""Business time: when people work, by the clocks of their time zone. Pure: moments in, moments out.

Time is counted as it passes, not as clocks show it: a day on which the clocks change has an hour more or less of
business time where the change falls into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
END_OF_DAY = 24 * 60
MOST_DAYS = 40_000  # a calendar that has not opened for a century never opens


@dataclass(frozen=True)
class Calendar:
    """When people work.

    Attributes:
        days: Working days of the week; 0 is Monday.
        opens: When a working day begins, in minutes after midnight.
        closes: When it ends, later than `opens`; 1440 is midnight.
        zone: Whose clocks, such as `Europe/Berlin`.
        holidays: Days on which nobody works.
    """

    days: frozenset[int]
    opens: int
    closes: int
    zone: str
    holidays: frozenset[date] = field(default=frozenset())

    def works_on(self, day: date) -> bool:
        """Whether it is a working day."""
        return day.weekday() in self.days and day not in self.holidays


def on_the_clock(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The moment at which the clocks of a zone show a time of a day.

    Of a time that comes twice, the first; one that is left out is as much later as the clocks are put forward.
    """
    day += DAY * (minutes // END_OF_DAY)
    return datetime.combine(day, time(*divmod(minutes % END_OF_DAY, 60)), zone).astimezone(UTC)


@lru_cache(maxsize=20_000)
def opening(calendar: Calendar, day: date) -> tuple[datetime, datetime] | None:
    """From when until when people work on a day; None where they do not."""
    if not calendar.works_on(day):
        return None
    zone = ZoneInfo(calendar.zone)
    opens, closes = on_the_clock(day, calendar.opens, zone), on_the_clock(day, calendar.closes, zone)
    # A change of the clocks may swallow the whole of it; some places have left out a day.
    if opens >= closes or opens.astimezone(zone).date() != day:
        return None
    return opens, closes


def openings(calendar: Calendar, since: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The openings from a moment on, that in which it lies cut off before it.

    Raises:
        ValueError: There are none.
    """
    day, since = since.astimezone(ZoneInfo(calendar.zone)).date(), since.astimezone(UTC)
    shut = 0
    while shut < MOST_DAYS:
        found = opening(calendar, day)
        day += DAY
        shut += 1
        if found and found[1] > since:
            shut = 0
            yield max(found[0], since), found[1]
    raise ValueError("Nobody ever works by this calendar: give it a working day that is no holiday.")


def add_hours(start: datetime, hours: float, calendar: Calendar) -> datetime:
    """The moment at which so much business time has passed.

    Args:
        start: Any moment, not only one at which people work.
        hours: Business hours, 0 or more.
        calendar: When people work.

    Returns:
        A moment within an opening, in UTC; its end where the time is over just then.

    Raises:
        ValueError: Nobody ever works by the calendar.
    """
    rest = timedelta(hours=hours)
    for opens, closes in openings(calendar, start):
        if opens + rest <= closes:
            return opens + rest
        rest -= closes - opens
    raise AssertionError("`openings` ends only by raising.")


def hours_between(since: datetime, until: datetime, calendar: Calendar) -> float:
    """Business hours from one moment to another; negative where the second is the earlier one.

    Raises:
        ValueError: Nobody ever works by the calendar.
    """
    if until < since:
        return -hours_between(until, since, calendar)
    total = timedelta()
    for opens, closes in openings(calendar, since):
        if opens >= until:
            break
        total += min(closes, until) - opens
    return total / timedelta(hours=1)
