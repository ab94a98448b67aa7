"""What is asked, judged and apologised for after a merge, a relapse, a long downtime or mails that failed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from feedback_loop.actions.closing.asking import ERASED
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, NotificationRun, Outcome, RunState, Status
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.service import reopen
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement
from feedback_loop.db import Sessions
from feedback_loop.followups import asking, recurring
from feedback_loop.followups.asking import apologise, apologise_due, ask_due, ask_some
from feedback_loop.followups.models import Fixed, Verdict, VerdictKind
from feedback_loop.followups.queries import figures
from feedback_loop.followups.service import draw_due_verdict, due_for_verdict, record
from feedback_loop.followups.standing import deadline
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.settings import Settings
from tests.factories import Cast, Make

DAY = timedelta(days=1)
FIXED = Closing(Outcome.FIXED, "Changed the carrier.", "Labels smudged.", "Parcels now carry two labels.")
DECLINED = Closing(Outcome.DECLINED, "", "", "We leave it as it is.")


@pytest.fixture
def week(settings: Settings, make: Make) -> Settings:
    """People are asked a week after they were told."""
    make.settings = replace(settings, follow_up_after_days=7)
    return make.settings


def mails(session: Session, event: str) -> Sequence[Notification]:
    return session.scalars(select(Notification).where(Notification.event == event).order_by(Notification.id)).all()


def told(make: Make, cast: Cast, people: int = 2) -> tuple[ActionItem, Closure, Sequence[Notification]]:
    item = make.raised_item(people, cast.delivery)
    closure = make.closure(item, cast.omar)
    rows = mails(make.session, closure.event)
    for row in rows:
        make.sent(row)
    return item, closure, rows


def settled(make: Make, item: ActionItem, cast: Cast, closing: Closing) -> Closure:
    """A closing of which nobody is told."""
    closure = close(make.session, item, closing, cast.omar, make.now, make.settings)
    make.session.execute(
        update(NotificationRun).where(NotificationRun.closure_id == closure.id).values(state=RunState.DONE)
    )
    return closure


def merge(session: Session, gone: Complaint, into: Complaint) -> None:
    session.execute(update(Statement).where(Statement.complaint_id == gone.id).values(complaint_id=into.id))
    gone.state, gone.merged_into_id = ComplaintState.MERGED, into.id
    session.flush()


def judge(session: Session, now: datetime, settings: Settings, limit: int = 200) -> Sequence[int]:
    due = due_for_verdict(session, now, settings, limit)
    for id in due:
        draw_due_verdict(session, id, now, settings)
    return due


def verdicts(session: Session) -> Sequence[VerdictKind]:
    return session.scalars(select(Verdict.kind).order_by(Verdict.id)).all()


def test_closings_that_were_followed_by_another_keep_nobody_from_their_verdict(
    make: Make, cast: Cast, settings: Settings, now: datetime
) -> None:
    for number in range(2):
        item = make.item(make.complaint(f"Complaint {number}"), cast.delivery)
        settled(make, item, cast, FIXED)
        reopen(make.session, item, "It came back.", None, now)
        settled(make, item, cast, DECLINED)
    _, closure, _ = told(make, cast)
    assert judge(make.session, now + 60 * DAY, settings, limit=1) == [closure.id]
    assert verdicts(make.session) == [VerdictKind.UNVERIFIED]


@pytest.mark.parametrize("why", ["pending", "failed", "asked lately", "still to be asked"])
def test_closings_whose_time_is_not_over_keep_nobody_from_their_verdict(
    make: Make, cast: Cast, week: Settings, sessions: Sessions, now: datetime, why: str
) -> None:
    later = now + 25 * DAY
    _, waiting, rows = told(make, cast, 1)
    closure = settled(make, make.item(make.complaint("Box lost"), cast.delivery), cast, FIXED)
    if why == "pending":
        rows[0].state = NotificationState.PENDING
    elif why == "failed":
        rows[0].state, rows[0].reason = NotificationState.FAILED, "Given up after 72 hours."
    elif why == "asked lately":
        make.session.commit()
        ask_due(sessions, week, now + 20 * DAY)
        for row in mails(make.session, waiting.follow_up_event):
            row.state, row.sent_at = NotificationState.SENT, now + 20 * DAY
    make.session.flush()
    assert judge(make.session, later, week, limit=1) == [closure.id]
    draw_due_verdict(make.session, waiting.id, later, week)
    assert make.session.scalars(select(Verdict.closure_id)).all() == [closure.id]


def test_closings_without_anybody_to_ask_keep_nobody_from_being_asked(
    make: Make, cast: Cast, week: Settings, sessions: Sessions, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST", 1)
    first = settled(make, make.item(make.complaint("First"), cast.delivery), cast, FIXED)
    told(make, cast)
    last = settled(make, make.item(make.complaint("Last"), cast.delivery), cast, FIXED)
    make.session.commit()
    assert first.id < last.id
    make.session.rollback()
    assert ask_due(sessions, week, now + 8 * DAY) == 2


def test_no_verdict_falls_after_a_long_downtime_before_people_were_asked(
    make: Make, cast: Cast, week: Settings, sessions: Sessions, now: datetime
) -> None:
    _, closure, _ = told(make, cast)
    make.session.commit()
    later = now + 22 * DAY
    judge(make.session, later, week)
    draw_due_verdict(make.session, closure.id, later, week)
    assert verdicts(make.session) == []
    make.session.commit()
    assert ask_due(sessions, week, later) == 2
    for row in mails(make.session, closure.follow_up_event):
        row.state, row.sent_at = NotificationState.SENT, later
    make.session.flush()
    assert deadline(closure, figures(make.session, closure).standing, week) == later + 14 * DAY
    assert judge(make.session, later + 13 * DAY, week) == []
    assert judge(make.session, later + 14 * DAY, week) == [closure.id]
    assert verdicts(make.session) == [VerdictKind.UNVERIFIED]


def test_the_verdict_over_what_was_dismissed_waits_for_no_question(
    make: Make, cast: Cast, week: Settings, now: datetime
) -> None:
    item, closure, _ = told(make, cast)
    item.complaint.state = ComplaintState.DISMISSED
    make.session.flush()
    assert judge(make.session, now + 22 * DAY, week) == [closure.id]
    assert verdicts(make.session) == [VerdictKind.UNVERIFIED]


def test_whose_first_mail_failed_is_asked_after_it_was_sent_again(
    make: Make, cast: Cast, week: Settings, sessions: Sessions, now: datetime
) -> None:
    item = make.raised_item(2, cast.delivery)
    closure = make.closure(item, cast.omar)
    for row in mails(make.session, closure.event):
        row.state, row.reason = NotificationState.FAILED, "Given up after 72 hours."
    make.session.flush()
    later = now + 22 * DAY
    judge(make.session, later, week)
    draw_due_verdict(make.session, closure.id, later, week)
    assert verdicts(make.session) == [], "nobody was told, so no time is over"
    assert deadline(closure, figures(make.session, closure).standing, week) is None
    for row in mails(make.session, closure.event):
        row.state, row.reason, row.sent_at = NotificationState.SENT, "", later
    make.session.commit()
    assert ask_due(sessions, week, later + 6 * DAY) == 0
    assert ask_due(sessions, week, later + 7 * DAY) == 2


@pytest.mark.parametrize(("day", "people"), [(29, 1), (35, 1), (36, 0)])
def test_who_is_told_long_after_the_verdict_is_still_asked_for_a_while(
    make: Make, cast: Cast, week: Settings, sessions: Sessions, now: datetime, day: int, people: int
) -> None:
    _, closure, rows = told(make, cast)
    make.session.add(
        Verdict(
            closure_id=closure.id,
            kind=VerdictKind.UNVERIFIED,
            reason="Too few.",
            asked=2,
            yes=0,
            no=0,
            decided_at=now + 21 * DAY,
        )
    )
    rows[0].sent_at = now + 22 * DAY
    make.session.commit()
    assert ask_due(sessions, week, now + day * DAY) == people


def test_after_a_merge_nobody_is_asked_of_or_told_what_was_found_not_fixed(
    make: Make, cast: Cast, week: Settings, sessions: Sessions, now: datetime
) -> None:
    item, closure, rows = told(make, cast, 4)
    other = make.item(make.complaint("Box lost"), cast.delivery)
    merge(make.session, item.complaint, other.complaint)
    make.session.commit()
    rows[3].state, rows[3].sent_at = NotificationState.PENDING, None
    make.session.flush()
    make.session.commit()
    for row in rows[:2]:
        record(make.session, row, Fixed.NO, "Still.", now + 6 * DAY, week)
    make.session.commit()
    assert (item.status, verdicts(make.session)) == (Status.CLOSED, [VerdictKind.NOT_FIXED])
    make.session.refresh(rows[3])
    assert (rows[3].state, rows[3].reason) == (NotificationState.SKIPPED, "It is not fixed.")
    noted = make.session.scalars(select(ActionEvent).where(ActionEvent.kind == "not_fixed")).one()
    assert (noted.action_item_id, noted.data["closure_id"]) == (item.id, closure.id)
    assert run_of(make.session, closure).state == RunState.DONE  # type: ignore[union-attr]
    make.session.rollback()
    assert ask_due(sessions, week, now + 8 * DAY) == 0
    assert ask_some(make.session, closure.id, now + 8 * DAY, week) == 0


def test_questions_not_sent_yet_are_not_sent_once_it_is_not_fixed(
    make: Make, cast: Cast, week: Settings, sessions: Sessions, now: datetime
) -> None:
    item, closure, rows = told(make, cast, 3)
    other = make.item(make.complaint("Box lost"), cast.delivery)
    merge(make.session, item.complaint, other.complaint)
    make.session.commit()
    assert ask_due(sessions, week, now + 7 * DAY) == 3
    for row in rows[:2]:
        record(make.session, row, Fixed.NO, "Still.", now + 7 * DAY, week)
    make.session.commit()
    assert {row.state for row in mails(make.session, closure.follow_up_event)} == {NotificationState.SKIPPED}


def test_an_old_closing_asks_nobody_once_its_item_was_closed_again(
    make: Make, cast: Cast, week: Settings, now: datetime
) -> None:
    item, closure, _ = told(make, cast)
    reopen(make.session, item, "Again.", None, now + 8 * DAY)
    close(make.session, item, FIXED, cast.omar, now + 8 * DAY, week)
    make.session.flush()
    assert ask_some(make.session, closure.id, now + 9 * DAY, week) == 0


def test_a_relapse_found_of_an_old_closing_does_not_open_what_was_closed_again(
    make: Make, cast: Cast, settings: Settings, now: datetime
) -> None:
    item = make.item(make.complaint(), cast.delivery)
    old = make.closure(item, cast.omar)
    for number in range(4):
        make.statement(item.complaint, customer=make.customer(f"Newcomer {number}"), said_at=now + 2 * DAY)
    assert recurring.said_since(make.session, now + 3 * DAY) == [old.id]
    assert recurring.weigh(make.session, item, old, now + 3 * DAY).came_back
    reopen(make.session, item, "Again.", None, now + 3 * DAY)
    close(make.session, item, FIXED, cast.omar, now + 3 * DAY, settings)
    make.session.flush()
    assert recurring.look(make.session, old.id, now + 3 * DAY + timedelta(minutes=1)) == 0
    assert item.status == Status.CLOSED


def test_two_workers_that_apologise_at_once_owe_one_apology(
    make: Make, cast: Cast, settings: Settings, sessions: Sessions, engine: Engine, now: datetime
) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite lets one write at a time")
    _, closure, rows = told(make, cast, 1)
    record(make.session, rows[0], Fixed.NO, "Still.", now, settings)
    closure_id = closure.id
    make.session.commit()
    found: list[int | str] = []

    def second() -> None:
        with sessions() as session:
            try:
                found.append(apologise(session, closure_id, now, settings))
                session.commit()
            except Exception as error:
                found.append(repr(error))

    with sessions() as first:
        assert apologise(first, closure_id, now, settings) == 1
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(1)
        first.commit()
    thread.join()
    assert found == [0]


def test_nobody_gets_an_apology_about_words_they_have_erased(
    make: Make, cast: Cast, settings: Settings, sessions: Sessions, now: datetime
) -> None:
    item, _, rows = told(make, cast, 2)
    for row in rows:
        record(make.session, row, Fixed.NO, "Still.", now, settings)
    assert item.status == Status.REOPENED
    rows[0].data = rows[0].data | ERASED
    make.session.commit()
    assert apologise_due(sessions, settings, now) == 1
    assert make.session.scalars(select(Notification.recipient).where(Notification.kind == "sorry")).all() == [
        rows[1].recipient
    ]
