"""Named reads of follow-ups."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.models import Closure
from feedback_loop.followups.models import Fixed, FollowUp, Verdict
from feedback_loop.followups.verdict import Tally
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import Customer


def tally(session: Session, closure: Closure) -> Tally:
    """Who is asked, or about to be, and what came back."""
    asked = session.scalar(
        select(func.count())
        .select_from(Notification)
        .where(
            Notification.event == closure.event,
            Notification.state.in_([NotificationState.SENT, NotificationState.PENDING]),
        )
    )
    answers = dict(
        session.execute(
            select(FollowUp.fixed, func.count()).where(FollowUp.closure_id == closure.id).group_by(FollowUp.fixed)
        ).all()
    )
    return Tally(asked or 0, answers.get(Fixed.YES, 0), answers.get(Fixed.NO, 0))


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


def answers_to(session: Session, closure: Closure, limit: int) -> Sequence[FollowUp]:
    """What customers said of a closing: those who said no first, then the newest."""
    return session.scalars(
        select(FollowUp)
        .where(FollowUp.closure_id == closure.id)
        .options(joinedload(FollowUp.customer))
        .order_by(FollowUp.fixed, FollowUp.answered_at.desc())
        .limit(limit)
    ).all()
