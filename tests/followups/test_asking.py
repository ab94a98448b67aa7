"""Asking once whether it is fixed, and apologising where it was not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.closing.asking import asks_at
from feedback_loop.actions.models import ActionItem, Closure, Notice, Status
from feedback_loop.actions.service import reopen
from feedback_loop.complaints.models import ComplaintState
from feedback_loop.db import Sessions
from feedback_loop.followups import asking
from feedback_loop.followups.asking import apologise_due, ask_due
from feedback_loop.followups.models import Fixed
from feedback_loop.followups.queries import figures
from feedback_loop.followups.service import record
from feedback_loop.followups.standing import deadline
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import compose, token_of
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.settings import Settings
from tests.factories import Cast, Make

DAY = timedelta(days=1)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, follow_up_after_days=3)


def told(make: Make, cast: Cast, people: int = 3) -> tuple[ActionItem, Closure, list[Notification]]:
    item = make.raised_item(people, cast.delivery)
    item.owner = cast.omar
    closure = make.closure(item, cast.omar)
    rows = list(make.session.scalars(select(Notification).where(Notification.event == closure.event)))
    for row in rows:
        make.sent(row)
    make.session.commit()
    return item, closure, rows


def asked(session: Session, kind: str = "follow_up") -> list[str]:
    found = list(
        session.scalars(select(Notification.recipient).where(Notification.kind == kind).order_by(Notification.id))
    )
    session.rollback()
    return found


@pytest.mark.parametrize(
    ("effective", "after", "chosen", "expected"),
    [
        (0, 0, None, None),  # it works, and there is nothing to wait for: the mail that tells them asks
        (-5, 3, None, 3),
        (2, 3, None, 5),
        (2, 0, None, 2),
        (2, 3, 9, 9),
        (-5, 3, -1, None),  # the day chosen is over by the time they are told
    ],
)
def test_when_they_are_asked(
    now: datetime, effective: int, after: int, chosen: int | None, expected: int | None
) -> None:
    found = asks_at(now + effective * DAY, now, after * DAY, now + chosen * DAY if chosen is not None else None)
    assert found == (None if expected is None else now + expected * DAY)


def test_each_of_those_who_were_told_is_asked_once_in_chunks(
    make: Make,
    cast: Cast,
    session: Session,
    sessions: Sessions,
    settings: Settings,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "CHUNK", 2)
    _, _, rows = told(make, cast, 5)
    assert ask_due(sessions, settings, now + 2 * DAY) == 0
    assert ask_due(sessions, settings, now + 3 * DAY) == 5
    assert ask_due(sessions, settings, now + 4 * DAY) == 0
    assert asked(session) == [row.recipient for row in rows]


def test_the_question_leads_to_the_page_of_the_first_mail(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    _, closure, rows = told(make, cast, 1)
    ask_due(sessions, settings, now + 3 * DAY)
    question = session.scalars(select(Notification).where(Notification.event == closure.follow_up_event)).one()
    mail = compose(question, settings)
    assert mail.subject == "Did this fix it?"
    for answer in Fixed:
        for body in (mail.text, mail.html):
            assert f"http://localhost/f/{token_of(rows[0], settings)}?answer={answer.value}" in body
    assert f"/u/{token_of(question, settings)}" in mail.text
    assert rows[0].data["quote"] in mail.text
    assert "\n\n\n" not in mail.text


def test_the_first_mail_says_when_and_carries_a_link_for_those_who_know_already(
    make: Make, cast: Cast, settings: Settings
) -> None:
    _, _, rows = told(make, cast, 1)
    mail = compose(rows[0], settings)
    for body in (mail.text, mail.html):
        assert "Around 15 October 2026 we will ask you" in body
        assert f"http://localhost/f/{token_of(rows[0], settings)}?answer=no" in body
        assert "Did this fix it?" not in body
    assert "\n\n\n" not in mail.text


def test_nobody_is_asked_who_answered_unsubscribed_or_was_not_told(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    _, _, rows = told(make, cast, 25)
    record(session, rows[0], Fixed.NO, "Still.", now, settings)
    suppress(session, rows[1].address, "Asked for no more mail.", now)
    rows[2].state, rows[2].reason = "failed", "550 no such mailbox"  # type: ignore[assignment]
    session.commit()
    assert ask_due(sessions, settings, now + 3 * DAY) == 22
    assert not {row.recipient for row in rows[:3]} & set(asked(session))


@pytest.mark.parametrize("why", ["reopened", "dismissed", "closed again"])
def test_nobody_is_asked_about_a_closing_that_holds_no_longer(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime, why: str
) -> None:
    item, _, _ = told(make, cast)
    if why == "dismissed":
        item.complaint.state = ComplaintState.DISMISSED
    else:
        reopen(session, item, "Too early.", cast.omar if why == "reopened" else None, now)
    if why == "closed again":
        make.closure(item, cast.omar)
    session.commit()
    assert ask_due(sessions, settings, now + 3 * DAY) == 0


def test_the_time_to_answer_counts_from_when_they_were_asked(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    _, closure, _ = told(make, cast)
    assert deadline(closure, figures(session, closure).standing, settings) == now + 17 * DAY
    session.commit()
    ask_due(sessions, settings, now + 5 * DAY)
    assert deadline(closure, figures(session, closure).standing, settings) is None, "they wait for their mail"
    for row in session.scalars(select(Notification).where(Notification.event == closure.follow_up_event)):
        row.state, row.sent_at = "sent", now + 6 * DAY  # type: ignore[assignment]
    session.flush()
    assert deadline(closure, figures(session, closure).standing, settings) == now + 20 * DAY


def test_early_noes_reopen_only_if_they_are_many_of_all_who_were_told(
    make: Make, cast: Cast, session: Session, settings: Settings, now: datetime
) -> None:
    item, _, rows = told(make, cast)
    record(session, rows[0], Fixed.NO, "Still.", now, settings)
    assert item.status == Status.CLOSED
    record(session, rows[1], Fixed.NO, "Here, too.", now, settings)
    assert item.status == Status.REOPENED


def test_an_answer_of_somebody_who_was_not_told_yet_counts_once_they_are(
    make: Make, cast: Cast, session: Session, settings: Settings, now: datetime
) -> None:
    item = make.raised_item(1, cast.delivery)
    make.closure(item, cast.omar)
    row = session.scalars(select(Notification)).one()
    settings = replace(settings, follow_up_after_days=0)
    record(session, row, Fixed.NO, "Still.", now, settings)
    assert item.status == Status.CLOSED
    make.sent(row)
    record(session, row, Fixed.NO, "Still.", now, settings)
    assert item.status == Status.REOPENED


def test_those_who_said_no_get_one_apology_while_the_work_goes_on(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    item, _, rows = told(make, cast, 3)
    for row in rows[:2]:
        record(session, row, Fixed.NO, "Still.", now, settings)
    record(session, rows[2], Fixed.YES, "", now, settings)
    session.commit()
    assert apologise_due(sessions, settings, now) == 2
    assert apologise_due(sessions, settings, now + DAY) == 0
    assert asked(session, "sorry") == [row.recipient for row in rows[:2]]
    sorry = session.scalars(select(Notification).where(Notification.kind == "sorry")).first()
    assert sorry is not None
    mail = compose(sorry, settings)
    assert mail.subject == "It was not fixed, and we are sorry"
    assert "You were right, and we are sorry." in mail.text
    assert "\n\n\n" not in mail.text
    urgent = select(func.count()).select_from(Notice).where(Notice.is_urgent.is_(True), Notice.kind == "not_fixed")
    assert session.scalar(urgent) == 2, "owner and lead"
    assert item.status == Status.REOPENED


def test_no_apology_says_that_the_work_goes_on_where_it_does_not(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    item, _, rows = told(make, cast, 1)
    record(session, rows[0], Fixed.NO, "Still.", now, replace(settings, follow_up_after_days=0))
    item.complaint.state = ComplaintState.DISMISSED
    session.commit()
    assert apologise_due(sessions, settings, now) == 0
