"""When a mail may go out by the recipient's own clock, also on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_loop.notifications.hours import Hours, next_open, opening

WORKDAYS = 0b0011111


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "moment", "expected"),
    [
        ("UTC", "2026-10-12T08:59", "2026-10-12T09:00"),
        ("UTC", "2026-10-12T09:00", "2026-10-12T09:00"),
        ("UTC", "2026-10-12T17:59", "2026-10-12T17:59"),
        ("UTC", "2026-10-12T18:00", "2026-10-13T09:00"),
        ("Europe/Berlin", "2026-10-12T06:00", "2026-10-12T07:00"),
        ("America/New_York", "2026-10-12T09:30", "2026-10-12T13:00"),
        ("Asia/Kolkata", "2026-10-12T12:31", "2026-10-13T03:30"),
        ("Pacific/Kiritimati", "2026-10-12T09:30", "2026-10-12T19:00"),
        # Friday evening waits for Monday, by the day it is there.
        ("Europe/Berlin", "2026-10-16T16:00", "2026-10-19T07:00"),
        ("Pacific/Auckland", "2026-10-16T06:00", "2026-10-18T20:00"),
    ],
)
def test_mails_wait_for_the_hours_and_days_of_the_recipient(zone: str, moment: str, expected: str) -> None:
    assert next_open(utc(moment), Hours(zone, 9, 18, WORKDAYS)) == utc(expected)


def test_nine_in_the_morning_stays_nine_when_clocks_change() -> None:
    berlin = Hours("Europe/Berlin", 9, 18)
    assert next_open(utc("2026-03-28T20:00"), berlin) == utc("2026-03-29T07:00"), "summer time begins that night"
    assert next_open(utc("2026-10-24T20:00"), berlin) == utc("2026-10-25T08:00"), "summer time ends that night"


def test_an_hour_that_is_left_out_opens_nothing() -> None:
    only_then = Hours("Europe/Berlin", 2, 3)
    assert next_open(utc("2026-03-29T00:30"), only_then) == utc("2026-03-30T00:00")


def test_an_hour_that_comes_twice_is_open_once() -> None:
    only_then = Hours("Europe/Berlin", 2, 3)
    assert opening(utc("2026-10-24T12:00"), only_then) == (utc("2026-10-25T00:00"), utc("2026-10-25T02:00"))
    before = Hours("Europe/Berlin", 1, 2)
    assert opening(utc("2026-10-24T12:00"), before) == (utc("2026-10-24T23:00"), utc("2026-10-25T00:00"))


def test_an_opening_ends_at_midnight_and_may_last_all_day() -> None:
    assert opening(utc("2026-10-12T22:30"), Hours("UTC", 20, 24)) == (utc("2026-10-12T22:30"), utc("2026-10-13T00:00"))
    all_day = Hours("Europe/Berlin", 0, 24)
    assert opening(utc("2026-03-29T12:00"), all_day)[1] == utc("2026-03-29T22:00"), "a day of 23 hours"


@given(
    st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: utc("2026-01-01T00:00") + timedelta(minutes=minutes)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.integers(0, 23),
    st.integers(1, 24),
    st.integers(1, 127),
)
def test_what_comes_out_is_never_before_and_never_in_the_quiet_hours(
    moment: datetime, zone: str, opens: int, length: int, weekdays: int
) -> None:
    hours = Hours(zone, opens, min(24, opens + length), weekdays)
    at = next_open(moment, hours)
    local = at.astimezone(ZoneInfo(zone))
    assert at >= moment
    assert weekdays >> local.weekday() & 1
    assert hours.opens <= local.hour < hours.closes
    assert next_open(at, hours) == at
