"""When a mail may go out, by the recipient's own clock. Pure: moments in, moments out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

EVERY_DAY = 0b1111111
DAYS_AHEAD = 15  # one of these is open, even where a change of the clock swallows a whole opening


@cache
def time_zones() -> frozenset[str]:
    """Names of all time zones, such as `Europe/Berlin`."""
    return frozenset(available_timezones())


@dataclass(frozen=True)
class Hours:
    """The hours at which a person may be written to.

    Attributes:
        zone: Their time zone, such as `Europe/Berlin`.
        opens: First hour, 0 to 23.
        closes: The hour at which quiet begins, 1 to 24, later than `opens`.
        weekdays: One bit a day, Monday the lowest.
    """

    zone: str
    opens: int
    closes: int
    weekdays: int = EVERY_DAY

    @classmethod
    def read(cls, stored: list[Any]) -> Hours:
        """From what `as_list` gave."""
        return cls(*stored)

    def as_list(self) -> list[Any]:
        """For a JSON column."""
        return [self.zone, self.opens, self.closes, self.weekdays]


def on_the_clock(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """The moment at which the clocks of a zone show a full hour of a day; 24 is the end of the day.

    An hour that the change to summer time leaves out is the moment of the change; of an hour that comes twice, the
    first.
    """
    day += timedelta(days=hour // 24)
    return datetime.combine(day, time(hour % 24), zone).astimezone(UTC)


def opening(moment: datetime, hours: Hours) -> tuple[datetime, datetime]:
    """The opening that a moment lies in, else the next one: from when, and until when.

    The first is the moment itself where mails may go out already.
    """
    zone = ZoneInfo(hours.zone)
    today = moment.astimezone(zone).date()
    for ahead in range(DAYS_AHEAD):
        day = today + timedelta(days=ahead)
        if not hours.weekdays >> day.weekday() & 1:
            continue
        opens, closes = on_the_clock(day, hours.opens, zone), on_the_clock(day, hours.closes, zone)
        if opens < closes and moment < closes:
            return max(moment, opens), closes
    raise ValueError(f"Mails may never go out: {hours}.")


def next_open(moment: datetime, hours: Hours) -> datetime:
    """The first moment, not before the given one, at which a mail may go out."""
    return opening(moment, hours)[0]
