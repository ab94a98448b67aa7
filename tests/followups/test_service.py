"""Customers' answers verify or reopen an action item."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, Status
from feedback_loop.actions.service import reopen
from feedback_loop.followups.models import Fixed, FollowUp, Verdict, VerdictKind
from feedback_loop.followups.queries import answers_to, tally
from feedback_loop.followups.service import draw_due_verdict, due_for_verdict, record
from feedback_loop.notifications.models import Notification
from feedback_loop.settings import Settings
from tests.factories import Cast, Make


def draw_due(session: Session, now: datetime, settings: Settings) -> int:
    due = due_for_verdict(session, now, settings)
    for closure_id in due:
        draw_due_verdict(session, closure_id, now, settings)
    return len(due)


def closed(make: Make, cast: Cast, people: int) -> tuple[ActionItem, Closure, list[Notification]]:
    item = make.raised_item(people, cast.delivery)
    closure = make.closure(item, cast.omar)
    told = list(make.session.scalars(select(Notification).where(Notification.event == closure.event)))
    for notification in told:
        make.sent(notification)
    return item, closure, told


def test_a_no_reopens_the_item_with_its_history(make: Make, cast: Cast, settings: Settings, now: datetime) -> None:
    item, closure, told = closed(make, cast, 3)
    record(make.session, told[0], Fixed.NO, "Still wet.", now, settings)
    assert item.status == Status.REOPENED
    assert item.reopened_count == 1
    verdict = make.session.scalars(select(Verdict)).one()
    assert (verdict.kind, verdict.asked, verdict.yes, verdict.no) == (VerdictKind.NOT_FIXED, 3, 0, 1)
    history = [
        event.kind for event in make.session.scalars(select(ActionEvent).where(ActionEvent.action_item_id == item.id))
    ]
    assert history == ["closed", "released", "reopened"]
    assert closure.withdrawn_at is None, "customers reopened it; nobody took the closing back"


def test_enough_yes_verify_the_item(make: Make, cast: Cast, settings: Settings, now: datetime) -> None:
    item, _, told = closed(make, cast, 9)
    for notification in told[:3]:
        record(make.session, notification, Fixed.YES, "", now, settings)
        assert item.status == Status.CLOSED
    record(make.session, told[3], Fixed.YES, "", now, settings)
    assert item.status == Status.VERIFIED


def test_late_noes_reopen_a_verified_item(make: Make, cast: Cast, settings: Settings, now: datetime) -> None:
    item, _, told = closed(make, cast, 9)
    for notification in told[:4]:
        record(make.session, notification, Fixed.YES, "", now, settings)
    for notification in told[4:7]:
        record(make.session, notification, Fixed.NO, "", now, settings)
    assert item.status == Status.REOPENED
    assert make.session.scalars(select(Verdict)).one().kind == VerdictKind.NOT_FIXED


def test_a_changed_answer_counts_once(make: Make, cast: Cast, settings: Settings, now: datetime) -> None:
    item, closure, told = closed(make, cast, 40)
    record(make.session, told[0], Fixed.NO, "No.", now, settings)
    record(make.session, told[0], Fixed.YES, "It came today.", now + timedelta(days=1), settings)
    assert make.session.scalars(select(FollowUp)).one().comment == "It came today."
    count = tally(make.session, closure)
    assert (count.asked, count.yes, count.no) == (40, 1, 0)
    assert item.status == Status.CLOSED


def test_an_answer_to_a_reopened_item_is_kept_and_changes_nothing(
    make: Make, cast: Cast, settings: Settings, now: datetime
) -> None:
    item, closure, told = closed(make, cast, 3)
    reopen(make.session, item, "Closed too early.", cast.lena, now)
    record(make.session, told[0], Fixed.NO, "Still.", now, settings)
    assert item.reopened_count == 1
    assert [each.comment for each in answers_to(make.session, closure, 10)] == ["Still."]
    assert make.session.scalar(select(Verdict)) is None


def test_a_yes_to_an_old_mail_says_nothing_of_a_newer_closing(
    make: Make, cast: Cast, settings: Settings, now: datetime
) -> None:
    item, _, told = closed(make, cast, 1)
    record(make.session, told[0], Fixed.NO, "", now, settings)
    make.closure(item, cast.omar)
    record(make.session, told[0], Fixed.YES, "", now, settings)
    assert item.status == Status.CLOSED


def test_the_verdict_is_drawn_when_the_time_to_answer_is_over(
    make: Make, cast: Cast, settings: Settings, now: datetime
) -> None:
    item, _, told = closed(make, cast, 3)
    for notification in told[:2]:
        record(make.session, notification, Fixed.YES, "", now, settings)
    assert draw_due(make.session, now + timedelta(days=13), settings) == 0
    assert draw_due(make.session, now + timedelta(days=15), settings) == 1
    assert item.status == Status.VERIFIED
    assert draw_due(make.session, now + timedelta(days=16), settings) == 0


def test_silence_is_not_success(make: Make, cast: Cast, settings: Settings, now: datetime) -> None:
    item, _, _ = closed(make, cast, 12)
    draw_due(make.session, now + timedelta(days=15), settings)
    assert item.status == Status.CLOSED
    assert make.session.scalars(select(Verdict)).one().kind == VerdictKind.UNVERIFIED
