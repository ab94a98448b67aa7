"""Who is asked, who is reminded, and when the mails go out: decisions without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback_loop.notifications.budget import Budget
from feedback_loop.notifications.hours import Hours
from feedback_loop.responses.mailings.deciding import Cause, Facts, Reminding, Since, leave_out, remind, span

NOW = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
STRANGER = Facts(
    no_mail=False,
    same_experience=False,
    answered_it=False,
    last_invited_at=None,
    last_answered_at=None,
    mails=0,
    has_experience=False,
)


@pytest.mark.parametrize(
    ("changes", "cause", "reason"),
    [
        ({}, None, ""),
        ({"no_mail": True}, Cause.SUPPRESSED, "This person asked for no more mail."),
        ({"same_experience": True}, Cause.ASKED, "Asked about this experience already."),
        ({"same_experience": True, "answered_it": True}, Cause.ANSWERED, "Answered about this experience already."),
        ({"last_invited_at": NOW - 29 * DAY}, Cause.ASKED, "Asked this on 13 Sep 2026."),
        ({"last_invited_at": NOW - 31 * DAY}, None, ""),
        ({"last_answered_at": NOW - 2 * DAY}, Cause.ANSWERED, "Answered this survey on 10 Oct 2026."),
        ({"last_invited_at": NOW - DAY, "has_experience": True}, None, ""),
        ({"mails": 3}, Cause.OFTEN, "Asked not again: 3 mails in the last 30 days."),
        ({"mails": 2}, None, ""),
    ],
)
def test_who_is_left_out_and_why(changes: dict[str, object], cause: Cause | None, reason: str) -> None:
    found = leave_out(replace(STRANGER, **changes), 30, Budget(3, 30), NOW)  # type: ignore[arg-type]
    assert (found.cause, found.reason) == (cause, reason) if found else cause is None


def test_asking_again_at_once_can_be_wanted() -> None:
    assert leave_out(replace(STRANGER, last_invited_at=NOW - DAY), 0, Budget(3, 30), NOW) is None


ASKED = Since(answered=False, no_mail=False, last_sent_at=NOW - 5 * DAY, is_on_its_way=False, expires_at=NOW + 25 * DAY)


@pytest.mark.parametrize(
    ("changes", "what", "reason"),
    [
        ({}, Reminding.NOW, ""),
        ({"answered": True}, Reminding.NEVER, ""),
        ({"no_mail": True}, Reminding.NEVER, "asked for no more mail"),
        ({"last_sent_at": NOW - 4 * DAY}, Reminding.LATER, ""),
        ({"last_sent_at": None, "is_on_its_way": True}, Reminding.LATER, ""),
        ({"last_sent_at": None}, Reminding.NEVER, "did not go out"),
        ({"expires_at": NOW}, Reminding.NEVER, "the time to answer is over"),
    ],
)
def test_who_is_reminded_is_decided_by_what_happened_since(
    changes: dict[str, object], what: Reminding, reason: str
) -> None:
    found = remind(replace(ASKED, **changes), 5, NOW)  # type: ignore[arg-type]
    assert found.what == what
    assert reason in found.reason
    assert (found.at is not None) == (what == Reminding.LATER)
    assert found.at is None or found.at > NOW


HOURS = {"UTC": Hours("UTC", 9, 18), "America/New_York": Hours("America/New_York", 9, 18)}


def test_mails_of_one_zone_go_out_at_the_rate() -> None:
    found = span({"UTC": 100}, 10, HOURS, NOW)
    assert found is not None
    assert (found.first, found.last) == (NOW, NOW + timedelta(minutes=9))


def test_what_does_not_fit_into_a_day_goes_on_the_next() -> None:
    evening = NOW.replace(hour=17, minute=58)
    found = span({"UTC": 30}, 10, HOURS, evening)
    assert found is not None
    assert (found.first, found.last) == (evening, NOW.replace(hour=9, minute=0) + DAY)


def test_zones_wait_for_their_own_morning() -> None:
    found = span({"UTC": 10, "America/New_York": 10}, 10, HOURS, NOW)
    assert found is not None
    assert (found.first, found.last) == (NOW, NOW.replace(hour=13, minute=0))


def test_nobody_takes_no_time_and_more_than_a_year_is_refused() -> None:
    assert span({"UTC": 0}, 10, HOURS, NOW) is None
    assert span({"UTC": 500_000}, 1, HOURS, NOW) is None
