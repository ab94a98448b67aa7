"""Business time: over nights, weekends, holidays and changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_loop.actions.calendar import Calendar, add_hours, hours_between, opening

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar(frozenset(range(5)), 9 * 60, 17 * 60, "Europe/Berlin")
ALWAYS = Calendar(frozenset(range(7)), 0, 24 * 60, "Europe/Berlin")
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Nuuk", "Pacific/Apia",
)  # fmt: skip


def at(day: int, hour: int, minute: int = 0, month: int = 10, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=zone)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        (at(12, 10), 4, at(12, 14)),
        (at(12, 15), 4, at(13, 11)),  # over a night
        (at(16, 15), 4, at(19, 11)),  # over a weekend
        (at(17, 12), 1, at(19, 10)),  # begun on a Saturday
        (at(12, 9), 8, at(12, 17)),  # over just when people leave: not the next morning
        (at(12, 7), 0, at(12, 9)),
        (at(12, 12), 0, at(12, 12)),
        (at(12, 9), 40, at(16, 17)),
    ],
)
def test_hours_pass_only_while_people_work(start: datetime, hours: float, end: datetime) -> None:
    assert add_hours(start, hours, OFFICE) == end


def test_holidays_are_no_working_days() -> None:
    calendar = Calendar(OFFICE.days, OFFICE.opens, OFFICE.closes, OFFICE.zone, frozenset({date(2026, 10, 13)}))
    assert add_hours(at(12, 16), 2, calendar) == at(14, 10)
    assert hours_between(at(12, 16), at(14, 10), calendar) == 2


def test_time_counts_backwards_as_well() -> None:
    assert hours_between(at(13, 11), at(12, 15), OFFICE) == -4
    assert hours_between(at(17, 9), at(18, 9), OFFICE) == 0


def test_days_on_which_the_clocks_change_are_as_long_as_they_are() -> None:
    # Berlin, 25 October 2026: 03:00 is 02:00 again. 29 March: 02:00 is 03:00.
    assert hours_between(at(25, 0), at(26, 0), ALWAYS) == 25
    assert hours_between(at(29, 0, month=3), at(30, 0, month=3), ALWAYS) == 23
    assert add_hours(at(24, 12), 24, ALWAYS) == at(25, 11)
    # Nobody works at night, so working days are as long as ever, by the clock on the wall.
    assert add_hours(at(23, 16), 2, OFFICE) == at(26, 10)
    assert add_hours(at(23, 16), 2, OFFICE).astimezone(UTC).hour == 9


def test_an_opening_that_the_clocks_leave_out_is_none() -> None:
    night = Calendar(frozenset(range(7)), 2 * 60, 3 * 60, "Europe/Berlin")
    assert opening(night, date(2026, 3, 29)) is None
    assert add_hours(at(28, 2, 30, month=3), 1, night) == at(30, 2, 30, month=3)
    # Samoa has left out 30 December 2011.
    samoa = Calendar(frozenset(range(7)), 9 * 60, 17 * 60, "Pacific/Apia")
    assert opening(samoa, date(2011, 12, 30)) is None


def test_a_calendar_without_a_day_is_refused_instead_of_looking_forever() -> None:
    with pytest.raises(ValueError, match="give it a working day that is no holiday"):
        add_hours(at(12, 9), 1, Calendar(frozenset(), 0, 60, "UTC"))


calendars = st.builds(
    lambda days, hours, zone, holidays: Calendar(days, hours[0], hours[1], zone, holidays),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda each: each[0] < each[1]),
    st.sampled_from(ZONES),
    st.frozensets(st.dates(date(2026, 1, 1), date(2027, 12, 31)), max_size=5),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
amounts = st.floats(0, 60)
SLIP = timedelta(microseconds=100)


@given(calendars, moments, amounts)
def test_adding_then_measuring_gives_the_same(calendar: Calendar, start: datetime, hours: float) -> None:
    assert hours_between(start, add_hours(start, hours, calendar), calendar) == pytest.approx(hours, abs=1e-6)


@given(calendars, moments, amounts)
def test_it_never_ends_outside_working_time(calendar: Calendar, start: datetime, hours: float) -> None:
    end = add_hours(start, hours, calendar)
    day = end.astimezone(ZoneInfo(calendar.zone)).date()
    around = [opening(calendar, day), opening(calendar, day - timedelta(days=1))]  # one may end at midnight
    assert end >= start
    assert any(each and each[0] <= end <= each[1] for each in around)


@given(calendars, moments, amounts, amounts)
def test_two_stretches_of_time_are_as_long_as_both(
    calendar: Calendar, start: datetime, first: float, second: float
) -> None:
    middle = add_hours(start, first, calendar)
    at_once, in_two = add_hours(start, first + second, calendar), add_hours(middle, second, calendar)
    assert abs(hours_between(at_once, in_two, calendar)) * timedelta(hours=1) <= SLIP


@given(calendars, moments, st.integers(0, 60 * 24 * 30), st.integers(0, 60 * 24 * 30))
def test_time_is_never_more_than_what_passed_and_adds_up(
    calendar: Calendar, start: datetime, first: int, second: int
) -> None:
    middle = start + timedelta(minutes=first)
    end = middle + timedelta(minutes=second)
    both = hours_between(start, middle, calendar) + hours_between(middle, end, calendar)
    assert hours_between(start, end, calendar) == pytest.approx(both, abs=1e-6)
    assert 0 <= both <= (end - start) / timedelta(hours=1) + 1e-6
