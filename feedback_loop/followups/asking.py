"""Asks those who were told of a fix whether it helped, and apologises to those for whom it did not.

Rows are the truth: the mails owed are found by what is missing, in chunks, each in a transaction of its own; that one
person gets one of each is a law of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, String, and_, case, cast, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from feedback_loop.actions.closing.service import KIND
from feedback_loop.actions.models import CHANGED, ActionItem, Closure, Status
from feedback_loop.actions.queries import OPEN
from feedback_loop.actions.service import goes_on_in
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.db import Sessions, reading
from feedback_loop.followups.models import Fixed, FollowUp, Verdict, VerdictKind
from feedback_loop.followups.queries import ASK, event_of, is_newest, still_to_ask
from feedback_loop.followups.service import lock_item
from feedback_loop.notifications.models import Notification, NotificationState, Suppression
from feedback_loop.notifications.service import PURPOSE, Owed, owe
from feedback_loop.responses.models import Customer
from feedback_loop.settings import Settings

SORRY = "sorry"  # the mail that apologises
CHUNK = 500
LATE = timedelta(days=7)  # so long after a verdict, or their turn if it came later, people are asked or apologised to
MOST = 200  # closings at one look


def ask_due(sessions: Sessions, settings: Settings, now: datetime) -> int:
    """Owe the question "did this fix it?" to everybody whose time has come. Once for each person and closing.

    Returns:
        How many were owed.
    """
    with reading(sessions) as session:
        ids = session.scalars(askable(now, settings)).all()
    return sum(in_chunks(sessions, lambda session, id=id: ask_some(session, id, now, settings)) for id in ids)  # type: ignore[misc]


def apologise_due(sessions: Sessions, settings: Settings, now: datetime) -> int:
    """Owe an apology to everybody who said no to a closing that was then found not to have fixed it.

    Returns:
        How many were owed.
    """
    with reading(sessions) as session:
        ids = session.scalars(
            select(Verdict.closure_id)
            .where(Verdict.kind == VerdictKind.NOT_FIXED, Verdict.decided_at > now - LATE)
            .order_by(Verdict.decided_at.desc())
            .limit(MOST)
        ).all()
    return sum(in_chunks(sessions, lambda session, id=id: apologise(session, id, now, settings)) for id in ids)  # type: ignore[misc]


def in_chunks(sessions: Sessions, some: Callable[[Session], int]) -> int:
    """Do something until nothing is left of it, each time in a transaction of its own."""
    total = 0
    while True:
        with sessions.begin() as session:
            done = some(session)
        total += done
        if done < CHUNK:
            return total


def standing_still() -> list[ColumnElement[bool]]:
    """Whether a closing is one about which people are asked: the newest of its item, standing, and not judged in vain.

    Of a query that joins the item, the complaint and, if there is one, the verdict.
    """
    return [
        ActionItem.status.in_([Status.CLOSED, Status.VERIFIED]),
        Complaint.state != ComplaintState.DISMISSED,
        Closure.outcome.in_(CHANGED),
        Closure.withdrawn_at.is_(None),
        or_(Verdict.id.is_(None), Verdict.kind != VerdictKind.NOT_FIXED),
        is_newest(),
    ]


def whose_turn_it_is(now: datetime, settings: Settings) -> list[ColumnElement[bool]]:
    """Those who were told long enough ago, are not asked yet and have not answered by themselves.

    Once there is a verdict only those are asked whose turn came a short time ago, or to whom the verdict is news.
    """
    after = timedelta(days=settings.follow_up_after_days)
    effective = func.coalesce(Closure.effective_from, Closure.closed_at)
    is_chosen, by_settings = Closure.ask_at.is_not(None), Closure.ask_at.is_(None)
    told_at = Notification.sent_at
    return [
        *still_to_ask(),
        or_(
            and_(Closure.ask_at <= now, told_at <= now),
            and_(by_settings, effective <= now - after, told_at <= now - after),
        ),
        or_(
            Verdict.id.is_(None),
            Verdict.decided_at > now - LATE,
            and_(is_chosen, told_at > now - LATE),
            and_(by_settings, told_at > now - LATE - after),
        ),
    ]


def askable(now: datetime, settings: Settings) -> Select[int]:
    """Closings whose people have to be asked, the oldest first: each has somebody whose turn it is."""
    since = now - LATE - timedelta(days=settings.follow_up_after_days)
    last_told = (
        select(func.max(Notification.sent_at))
        .where(Notification.event == event_of(KIND), Notification.state == NotificationState.SENT)
        .correlate(Closure)
        .scalar_subquery()
    )
    # First what is cheap: most old closings end here.
    may_be = or_(Verdict.id.is_(None), Verdict.decided_at > now - LATE, last_told > since)
    # One a closing, by the index on events: as an EXISTS, PostgreSQL would read all messages there are.
    somebody = (
        select(Notification.id)
        .where(*whose_turn_it_is(now, settings))
        .correlate(Closure, Verdict)
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(Closure.id)
        .join(ActionItem, ActionItem.id == Closure.action_item_id)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .outerjoin(Verdict, Verdict.closure_id == Closure.id)
        .where(*standing_still(), case((may_be, somebody)).is_not(None))
        .order_by(Closure.id)
        .limit(MOST)
    )


def recipient() -> ColumnElement[str]:
    """A customer as the recipient of a message."""
    return literal("customer:") + cast(Customer.id, String)


def unasked(closure: Closure, now: datetime, settings: Settings) -> Select[str, str, dict[str, Any]]:
    """The next of those who are to be asked about a closing now; nobody once it holds no longer."""
    return (
        select(Notification.recipient, Notification.message_id, Notification.data)
        .select_from(Closure)
        .join(ActionItem, ActionItem.id == Closure.action_item_id)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .outerjoin(Verdict, Verdict.closure_id == Closure.id)
        .join(Notification, Notification.event == closure.event)
        .where(Closure.id == closure.id, *standing_still(), *whose_turn_it_is(now, settings))
        .order_by(Notification.id)
        .limit(CHUNK)
    )


def ask_some(session: Session, closure_id: int, now: datetime, settings: Settings) -> int:
    """Owe the question about one closing to the next 500 people.

    Whether it still stands is asked once its item is locked: it may have been reopened, or closed again, since it was
    found.
    """
    closure = session.get_one(Closure, closure_id)
    lock_item(session, closure)
    rows = session.execute(unasked(closure, now, settings)).all()
    ids = {row.recipient: int(row.recipient.partition(":")[2]) for row in rows}
    # By number: no index helps with a number that is written into a text.
    people = {each.id: each for each in session.scalars(select(Customer).where(Customer.id.in_(ids.values())))}
    asked = (question(closure, row, people[ids[row.recipient]]) for row in rows)
    return owe(session, ASK, closure.follow_up_event, asked, next_at=now, now=now, settings=settings)


def question(closure: Closure, row: Row[Any], person: Customer) -> Owed:
    """The question to one person. Its links are those of the mail that told them: there is one page for both."""
    link = f"/f/{{token:{PURPOSE}:{row.message_id[1:].partition('@')[0]}}}"
    data = {
        "quote": row.data.get("quote", ""),
        "said_at": row.data.get("said_at", ""),
        "statement": row.data.get("statement") or closure.statement,
        "outcome": closure.outcome.value,
        "thread": closure.thread,
        "language": person.language or row.data.get("language", ""),
        "links": {f"{each.value}_url": f"{link}?answer={each.value}" for each in Fixed},
    }
    return Owed(row.recipient, person.email, person.name, data)


def apologise(session: Session, closure_id: int, now: datetime, settings: Settings) -> int:
    """Owe an apology to the next 500 people who said no to one closing, while the work on it goes on."""
    closure = session.get_one(Closure, closure_id)
    # Of two at once the second sees what the first has written.
    item = goes_on_in(session, lock_item(session, closure))
    session.refresh(closure)
    if item.status not in OPEN or item.complaint.state != ComplaintState.ACTIVE or closure.withdrawn_at is not None:
        return 0  # "we are on it again" would not be true
    told, owed = aliased(Notification), aliased(Notification)
    rows = session.execute(
        select(Customer, told.data, FollowUp.answered_at)
        .join(FollowUp, FollowUp.customer_id == Customer.id)
        .join(told, told.id == FollowUp.notification_id)
        .where(
            FollowUp.closure_id == closure.id,
            FollowUp.fixed == Fixed.NO,
            told.state == NotificationState.SENT,
            told.data["is_erased"].as_string().is_(None),
            ~select(Suppression.id).where(Suppression.address == Customer.email).exists(),
            ~select(owed.id)
            .where(owed.recipient == recipient(), owed.event == closure.sorry_event, owed.kind == SORRY)
            .exists(),
        )
        .order_by(FollowUp.id)
        .limit(CHUNK)
    ).all()
    messages = (
        Owed(
            f"customer:{row.Customer.id}",
            row.Customer.email,
            row.Customer.name,
            {
                "quote": row.data.get("quote", ""),
                "said_at": row.data.get("said_at", ""),
                "thread": closure.thread,
                "language": row.Customer.language or row.data.get("language", ""),
            },
        )
        for row in rows
    )
    return owe(session, SORRY, closure.sorry_event, messages, next_at=now, now=now, settings=settings)
