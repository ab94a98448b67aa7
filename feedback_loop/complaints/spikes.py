"""Whether a complaint is said unusually often: a pure decision over counts of days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import fmean, pstdev

DAY = timedelta(days=1)
DAYS = 28  # so many days before the last 24 hours are compared with
LOOK = timedelta(minutes=15)  # from one look to the next
CALM = 1.5 * LOOK  # one quiet look is no end yet; the second is
YOUNG = timedelta(days=7)  # what is said for less than this is new, and new is shown elsewhere
LEAST_DAYS = 5  # fewer days tell nothing about what is usual
LEAST = 5  # statements in 24 hours; fewer are chance, however rare the complaint
LEAST_GOING_ON = 3
TIMES = 2  # what is said less than twice as often as usual is no alarm, however steady it was before
Z_STARTS, Z_GOES_ON = 3.0, 1.5
LEAST_SPREAD = 1.0  # statements a day; what was never said before has no spread of its own
SAME_ALERT = timedelta(days=7)  # one that returns sooner is the same alert
LONGEST = timedelta(days=21)  # what lasts longer has become usual


class Change(StrEnum):
    """What a look does to the alert of a complaint."""

    NONE = "none"
    START = "start"
    GO_ON = "go_on"
    RETURN = "return"
    END = "end"


@dataclass(frozen=True)
class Counts:
    """How often a complaint was said.

    Attributes:
        last: Statements of the last 24 hours.
        before: Statements of each of the 28 times 24 hours before those, the latest first.
        since: From when on there is something to compare with: when the complaint was first said, or when anything at
            all was first heard within these four weeks, whichever came later.
    """

    last: int
    before: Sequence[int]
    since: datetime


@dataclass(frozen=True)
class Alert:
    """The latest alert of a complaint; it runs while it has no end."""

    started_at: datetime
    last_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """What to do, and why in words.

    Attributes:
        statements: In the last 24 hours.
        expected: In 24 hours, as it is usual.
        z: How many times the usual spread lies between the two.
    """

    change: Change
    reason: str
    statements: int = 0
    expected: float = 0.0
    z: float = 0.0


def usual(a_day: float) -> str:
    """`12 a day`, `2 a week`, `less than 1 a week`: as many as are usual, in whole numbers."""
    if a_day >= 0.95:
        return f"{math.floor(a_day + 0.5):,} a day"
    a_week = math.floor(7 * a_day + 0.5)
    return f"{a_week} a week" if a_week else "less than 1 a week"


def compared_days(counts: Counts, alert: Alert | None, now: datetime) -> list[int]:
    """Counts of the days that say what is usual.

    The days of the alert itself do not, or a spike of three days would hide its own fourth and whatever follows it;
    unless it lasted so long that it has become usual.
    """
    burst_from = burst_until = None
    if alert and (alert.ended_at or now) - alert.started_at < LONGEST:
        burst_from, burst_until = alert.started_at - DAY, alert.ended_at or now
    days = []
    for index, count in enumerate(counts.before[:DAYS], 1):
        start, end = now - (index + 1) * DAY, now - index * DAY
        if start < counts.since:
            break
        if burst_from and burst_until and start < burst_until and end > burst_from:
            continue
        days.append(count)
    return days


def decide(counts: Counts, alert: Alert | None, now: datetime) -> Decision:
    """Decide whether a complaint spikes.

    A spike needs three things: so many statements in 24 hours that chance is no explanation (z of 3), a least volume,
    and twice what is usual. The spread is at least that of chance events with this mean (Poisson), so that a complaint
    said exactly twice every day does not spike at four. Once running it ends later than it began, so that it does not
    flicker; and one that returns within a week is the same alert.

    Args:
        counts: Of the complaint.
        alert: Its latest one, running or over.
        now: The present moment.
    """
    runs = alert is not None and alert.ended_at is None
    days = compared_days(counts, alert, now)
    if now - counts.since < YOUNG or len(days) < LEAST_DAYS:
        reason = (
            "Too new to know what is usual." if now - counts.since < YOUNG else "Too few days to know what is usual."
        )
        return Decision(Change.END if runs else Change.NONE, reason, counts.last)
    expected = fmean(days)
    z = (counts.last - expected) / max(pstdev(days), math.sqrt(expected), LEAST_SPREAD)
    change = go_on(counts.last, z, alert, now) if alert and runs else begin(counts.last, expected, z, alert, now)
    words = f"{counts.last:,} in 24 hours; {usual(expected)} is usual."
    if change == Change.END and alert:
        lasted = now - alert.started_at >= LONGEST
        words = f"Said this often for {LONGEST.days} days: that is usual now." if lasted else f"Back to {words}"
    return Decision(change, words, counts.last, round(expected, 3), round(z, 2))


def begin(statements: int, expected: float, z: float, alert: Alert | None, now: datetime) -> Change:
    """Whether a complaint without a running alert gets one, or gets its latest one back."""
    # Counts of rare events lean upwards, so three spreads above a small mean are not rare enough for something that is
    # looked at so often; their square roots, whose spread is one half, do not lean.
    rare = 2 * (math.sqrt(statements) - math.sqrt(expected)) >= Z_STARTS
    if statements < LEAST or z < Z_STARTS or not rare or statements < TIMES * expected:
        return Change.NONE
    returns = alert is not None and alert.ended_at is not None and now - alert.ended_at < SAME_ALERT
    return Change.RETURN if returns else Change.START


def go_on(statements: int, z: float, alert: Alert, now: datetime) -> Change:
    """Whether a running alert goes on."""
    if now - alert.started_at >= LONGEST:
        return Change.END
    if z >= Z_GOES_ON and statements >= LEAST_GOING_ON:
        return Change.GO_ON
    return Change.NONE if now - alert.last_at < CALM else Change.END
