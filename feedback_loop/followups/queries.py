"""Named reads of follow-ups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, String, and_, case, cast, func, literal, or_, select, true
from sqlalchemy.orm import Session, aliased, joinedload

from feedback_loop.actions.closing.service import KIND
from feedback_loop.actions.models import ActionEvent, Closure, NotificationRun, RunState
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.followups.models import Fixed, FollowUp, Verdict
from feedback_loop.followups.standing import Standing, asked_from, deadline
from feedback_loop.followups.verdict import Share, Tally, needs_second_look, noes_needed, share_of_yes
from feedback_loop.notifications.models import Notification, NotificationState, Suppression
from feedback_loop.responses.models import Customer
from feedback_loop.settings import Settings

ASK = "follow_up"  # the mail that asks
SECOND_LOOK = "second_look"
UNDECIDED = (RunState.REVIEW, RunState.APPROVAL)


@dataclass(frozen=True)
class Figures:
    """What is counted of a closing.

    Attributes:
        replies: Of anybody, while the tally counts those of whom was told.
    """

    standing: Standing
    tally: Tally
    verdict: Verdict | None
    replies: int


@dataclass(frozen=True)
class Helped:
    """What there is to know about whether a closing helped."""

    closure: Closure
    standing: Standing
    tally: Tally
    share: Share | None
    noes_needed: int
    verdict: Verdict | None
    follow_ups: Sequence[FollowUp]
    asks_at: datetime | None
    verdict_by: datetime | None
    is_disagreed: bool


def asks_itself() -> ColumnElement[bool]:
    """Whether a mail that tells of a closing asks at once, too."""
    said_later: ColumnElement[str] = Notification.data["asks_at"].as_string()
    return said_later.is_(None)


def event_of(name: str) -> ColumnElement[str]:
    """The name under which the notifications of a closing are kept: `closure`, or `follow_up` for the questions."""
    return literal(f"{name}:") + cast(Closure.id, String)


def is_newest() -> ColumnElement[bool]:
    """Whether a closing is the newest of its item: the others say nothing of what was done since."""
    newer = aliased(Closure)
    later = select(newer.id).where(newer.action_item_id == Closure.action_item_id, newer.number > Closure.number)
    return ~later.exists()


def still_to_ask() -> list[ColumnElement[bool]]:
    """Whether a message told somebody of a closing who is not asked yet, and is to be, now or later."""
    asked = aliased(Notification)
    return [
        Notification.event == event_of(KIND),
        Notification.state == NotificationState.SENT,
        Notification.kind == KIND,
        ~asks_itself(),
        Notification.data["is_erased"].as_string().is_(None),
        ~select(FollowUp.id).where(FollowUp.notification_id == Notification.id).exists(),
        ~select(Suppression.id).where(Suppression.address == Notification.address).exists(),
        ~select(asked.id)
        .where(asked.recipient == Notification.recipient, asked.event == event_of(ASK), asked.kind == ASK)
        .correlate(Notification, Closure)
        .exists(),
    ]


def cannot_end(asked_since: datetime) -> ColumnElement[bool]:
    """Whether the time to answer a closing cannot be over yet: mails wait, people are still to be asked or were asked
    only just now, or every mail failed. See `standing.is_over`. Of a query that joins the complaint.

    Args:
        asked_since: Who was asked after this has time left.
    """
    state, is_told = Notification.state, Notification.event == event_of(KIND)
    of_both = Notification.event.in_([event_of(KIND), event_of(ASK)])
    asks = or_(~is_told, asks_itself())
    unfinished = or_(
        state == NotificationState.PENDING,
        and_(state == NotificationState.SENT, Notification.sent_at > asked_since, asks),
    )
    told = select(Notification.id).where(is_told, state == NotificationState.SENT)
    failed = select(Notification.id).where(is_told, state == NotificationState.FAILED)
    return or_(
        select(Notification.id).where(of_both, unfinished).exists(),
        and_(Complaint.state != ComplaintState.DISMISSED, select(Notification.id).where(*still_to_ask()).exists()),
        and_(failed.exists(), ~told.exists()),
    )


def waits_for_its_run() -> ColumnElement[bool]:
    """Whether it is still open who is told of a closing."""
    return (
        select(NotificationRun.id)
        .where(NotificationRun.closure_id == Closure.id, NotificationRun.state.in_(UNDECIDED))
        .exists()
    )


def asked_in_vain() -> ColumnElement[bool]:
    """Whether a message is the question to somebody who was told, came back, and so asked nobody. Who answered by the
    mail that told them was asked all the same."""
    told = aliased(Notification)
    answered = (
        select(FollowUp.id)
        .join(told, told.id == FollowUp.notification_id)
        .where(told.recipient == Notification.recipient, event_of_follow_up() == Notification.event)
    )
    return (
        (Notification.state == NotificationState.BOUNCED)
        & Notification.event.startswith(f"{ASK}:")
        & ~answered.exists()
    )


def event_of_follow_up() -> ColumnElement[str]:
    """The name under which the questions about the closing of an answer are kept."""
    return literal(f"{ASK}:") + cast(FollowUp.closure_id, String)


def figures(session: Session, closure: Closure) -> Figures:
    """How far the people of a closing are, what they said, and the verdict: one query."""
    # Each mail is looked at once; what is asked of it below is asked of a few groups.
    groups = (
        select(
            (Notification.event == closure.event).label("tells"),
            Notification.state.label("state"),
            asks_itself().label("asks"),
            func.count().label("mails"),
            func.max(Notification.sent_at).label("last_at"),
        )
        .where(Notification.event.in_([closure.event, closure.follow_up_event]))
        .group_by("tells", "state", "asks")
        .cte("groups")
        .prefix_with("MATERIALIZED")
    )
    sent, is_pending = groups.c.state == NotificationState.SENT, groups.c.state == NotificationState.PENDING
    tells = groups.c.tells
    asked = sent & (~tells | groups.c.asks)

    def number(*which: ColumnElement[bool]) -> ColumnElement[int]:
        # A sum of whole numbers is a decimal number in PostgreSQL.
        return cast(func.coalesce(func.sum(case((and_(*which), groups.c.mails))), 0), Integer)

    mails = select(
        number(sent, tells).label("told"),
        number(asked).label("asked"),
        number(tells, groups.c.state == NotificationState.FAILED).label("failed"),
        number(is_pending).label("waiting"),
        func.max(case((sent & tells, groups.c.last_at))).label("told_at"),
        func.max(case((asked, groups.c.last_at))).label("asked_at"),
        number(tells, sent | is_pending).label("concerned"),
        number(sent, tells, ~groups.c.asks).label("asked_apart"),
    ).subquery()
    in_vain = select(func.count()).where(Notification.event == closure.follow_up_event, asked_in_vain())
    was_sent = Notification.state == NotificationState.SENT
    replies = (
        select(
            func.count().label("of_anybody"),
            *(func.count(case((was_sent & (FollowUp.fixed == fixed), 1))).label(fixed.value) for fixed in Fixed),
        )
        .join_from(FollowUp, Notification, Notification.id == FollowUp.notification_id)
        .where(FollowUp.closure_id == closure.id)
        .subquery()
    )
    under_way = select(Closure.id).where(Closure.id == closure.id, waits_for_its_run()).exists()
    # Nobody is asked about what was dismissed.
    asks_somebody = closure.asks_whether_fixed and closure.action_item.complaint.state != ComplaintState.DISMISSED
    owed = select(func.count(Notification.id)).where(
        Closure.id == closure.id, Notification.event == closure.event, *still_to_ask()
    )
    row = session.execute(
        select(
            mails,
            replies,
            under_way.label("is_under_way"),
            # Looked up only where some are asked by a mail of its own.
            case((mails.c.asked_apart > 0, owed.scalar_subquery()), else_=0).label("owed")
            if asks_somebody
            else literal(0).label("owed"),
            in_vain.scalar_subquery().label("in_vain"),
            Verdict,
        )
        .select_from(mails)
        .join(replies, true())
        .outerjoin(Verdict, Verdict.closure_id == closure.id)
    ).one()
    return Figures(
        Standing(
            row.told,
            row.asked,
            row.owed,
            row.failed,
            row.waiting,
            row.told_at,
            row.asked_at,
            bool(row.is_under_way),
        ),
        Tally(max(row.concerned - row.in_vain, 0), *(row._mapping[fixed.value] for fixed in Fixed)),
        row.Verdict,
        row.of_anybody,
    )


def answers_of_told() -> Any:
    """What those said who were told: a verdict counts nobody else."""
    return (
        select(FollowUp.closure_id, FollowUp.fixed, func.count().label("people"))
        .join(Notification, Notification.id == FollowUp.notification_id)
        .where(Notification.state == NotificationState.SENT)
        .group_by(FollowUp.closure_id, FollowUp.fixed)
    )


def tallies(session: Session, closures: Sequence[Closure]) -> dict[int, Tally]:
    """Who is asked about some closings, or about to be, and what came back: two queries, however many closings."""
    asked = dict(
        session.execute(
            select(Notification.event, func.count())
            .where(
                Notification.event.in_([closure.event for closure in closures]),
                Notification.state.in_([NotificationState.SENT, NotificationState.PENDING]),
            )
            .group_by(Notification.event)
        ).all()
    )
    in_vain = dict(
        session.execute(
            select(Notification.event, func.count())
            .where(Notification.event.in_([closure.follow_up_event for closure in closures]), asked_in_vain())
            .group_by(Notification.event)
        ).all()
    )
    said = {
        (row.closure_id, row.fixed): row.people
        for row in session.execute(answers_of_told().where(FollowUp.closure_id.in_([each.id for each in closures])))
    }
    return {
        each.id: Tally(
            max(asked.get(each.event, 0) - in_vain.get(each.follow_up_event, 0), 0),
            *(said.get((each.id, fixed), 0) for fixed in Fixed),
        )
        for each in closures
    }


def tally(session: Session, closure: Closure) -> Tally:
    """Who is asked about a closing, or about to be, and what came back."""
    return tallies(session, [closure])[closure.id]


def helped(session: Session, closure: Closure, settings: Settings, limit: int) -> Helped:
    """Whether a closing helped, as far as it is known.

    Args:
        limit: At most so many answers, those who said no first.
    """
    found = figures(session, closure)
    known, counted = found.standing, found.tally
    return Helped(
        closure,
        known,
        counted,
        share_of_yes(counted),
        noes_needed(counted.asked),
        found.verdict,
        answers_to(session, closure, limit) if found.replies else (),
        asked_from(closure, known, settings) if not known.asked else None,
        deadline(closure, known, settings),
        not closure.asks_whether_fixed and needs_second_look(counted),
    )


def answer_of(session: Session, notification: Notification) -> FollowUp | None:
    """What the person a notification went to has answered, or None."""
    return session.scalar(select(FollowUp).where(FollowUp.notification_id == notification.id))


def customer_of(session: Session, notification: Notification) -> Customer | None:
    """The customer a notification went to, or None when it went to somebody else."""
    kind, _, number = notification.recipient.partition(":")
    return session.get(Customer, int(number)) if kind == "customer" else None


def verdict_of(session: Session, closure: Closure) -> Verdict | None:
    """The verdict over a closing, or None while there is none."""
    return session.scalar(select(Verdict).where(Verdict.closure_id == closure.id))


def was_put_back(session: Session, closure: Closure) -> bool:
    """Whether a closing that changed nothing went back to a lead for a second look."""
    events = session.scalars(
        select(ActionEvent.data).where(
            ActionEvent.action_item_id == closure.action_item_id, ActionEvent.kind == SECOND_LOOK
        )
    )
    return any(data.get("closure_id") == closure.id for data in events)


def answers_to(session: Session, closure: Closure, limit: int) -> Sequence[FollowUp]:
    """What customers said of a closing: those who said no first, then the newest."""
    worst_first = case((FollowUp.fixed == Fixed.NO, 0), (FollowUp.fixed == Fixed.NOT_SINCE, 1), else_=2)
    return session.scalars(
        select(FollowUp)
        .where(FollowUp.closure_id == closure.id)
        .options(joinedload(FollowUp.customer))
        .order_by(worst_first, FollowUp.answered_at.desc(), FollowUp.id.desc())
        .limit(limit)
    ).all()


def noes_of(session: Session, closure: Closure, limit: int) -> Sequence[str]:
    """The comments of those who were told and say that it is not fixed, the newest first."""
    return session.scalars(
        select(FollowUp.comment)
        .join(Notification, Notification.id == FollowUp.notification_id)
        .where(
            FollowUp.closure_id == closure.id,
            FollowUp.fixed == Fixed.NO,
            FollowUp.comment != "",
            Notification.state == NotificationState.SENT,
        )
        .order_by(FollowUp.answered_at.desc(), FollowUp.id.desc())
        .limit(limit)
    ).all()
