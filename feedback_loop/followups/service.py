"""Verbs on follow-ups: record what a customer says, draw the verdict, act on it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionItem, Closure, Status
from feedback_loop.actions.service import goes_on_in, latest_closure, note, reopen, verify
from feedback_loop.analysis.redaction import redact
from feedback_loop.complaints.models import ComplaintState
from feedback_loop.followups.models import Fixed, FollowUp, Verdict, VerdictKind
from feedback_loop.followups.queries import answer_of, tally, verdict_of
from feedback_loop.followups.verdict import decide
from feedback_loop.notifications.models import Notification
from feedback_loop.settings import Settings


def closure_of(session: Session, notification: Notification) -> Closure | None:
    """The closing a notification is about, or None if it is about something else."""
    kind, _, number = notification.event.partition(":")
    return session.get(Closure, int(number)) if kind == "closure" else None


def lock_item(session: Session, closure: Closure) -> ActionItem:
    """The item of a closing, locked together with the one at which its work goes on, always in the same order."""
    item = session.get_one(ActionItem, closure.action_item_id)
    ids = {item.id, goes_on_in(session, item).id}
    session.scalars(
        select(ActionItem)
        .where(ActionItem.id.in_(ids))
        .order_by(ActionItem.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    return item


def record(
    session: Session, notification: Notification, fixed: Fixed, comment: str, now: datetime, settings: Settings
) -> FollowUp:
    """Record what a customer says of a closing, redacted; saying it again changes it. May draw the verdict.

    Raises:
        ValueError: The notification asks no such question.
    """
    closure = closure_of(session, notification)
    if closure is None:
        raise ValueError("This message asks no question.")
    # Answers to one closing queue here, so that each verdict sees all answers before it.
    item = lock_item(session, closure)
    follow_up = answer_of(session, notification)
    if follow_up is None:
        follow_up = FollowUp(
            closure_id=closure.id,
            customer_id=int(notification.recipient.partition(":")[2]),
            notification_id=notification.id,
        )
        session.add(follow_up)
    follow_up.fixed = fixed
    follow_up.comment = redact(comment, settings.phone_region or None).text
    follow_up.answered_at = now
    session.flush()
    draw_verdict(session, closure, item, now, settings)
    return follow_up


def draw_verdict(session: Session, closure: Closure, item: ActionItem, now: datetime, settings: Settings) -> None:
    """Draw the verdict over a closing if it can be drawn, and verify or reopen its item.

    A verified item is looked at again with each later answer: enough late noes reopen it.
    """
    if closure.withdrawn_at is not None or item.status not in (Status.CLOSED, Status.VERIFIED):
        return
    latest = latest_closure(session, item)
    if latest is None or latest.id != closure.id:
        return  # an answer to an old mail says nothing of what was done since
    count = tally(session, closure)
    decision = decide(count, now >= deadline(closure, settings))
    verdict = verdict_of(session, closure)
    if decision.kind is None or (verdict is not None and verdict.kind == decision.kind):
        return
    if item.status == Status.VERIFIED and decision.kind != VerdictKind.NOT_FIXED:
        return
    if verdict is None:
        verdict = Verdict(closure_id=closure.id)
        session.add(verdict)
    verdict.kind = decision.kind
    verdict.reason = decision.reason
    verdict.asked, verdict.yes, verdict.no = count.asked, count.yes, count.no
    verdict.decided_at = now
    if decision.kind == VerdictKind.VERIFIED:
        verify(session, item, decision.reason, now)
    elif decision.kind == VerdictKind.NOT_FIXED:
        open_again(session, item, decision.reason, now)
    session.flush()


def open_again(session: Session, item: ActionItem, reason: str, now: datetime) -> None:
    """What is not fixed opens again: the item itself, or the one at which its work goes on since a merge.

    What was dismissed as not a complaint stays closed; its history says what customers answered.
    """
    other = goes_on_in(session, item)
    if other.id != item.id:
        reason = f"{item.complaint.number}, merged into this, is not fixed. {reason}"
        note(session, item, "comment", f"Not fixed; the work goes on at {other.complaint.number}.", None, now)
    lives = other.complaint.state == ComplaintState.ACTIVE
    if lives and other.status in (Status.CLOSED, Status.VERIFIED):
        reopen(session, other, reason, None, now)
    else:
        note(session, other, "comment", reason, None, now)


def deadline(closure: Closure, settings: Settings) -> datetime:
    """When the time to answer is over."""
    return closure.closed_at + timedelta(days=settings.follow_up_days, minutes=settings.hold_minutes)


def due_for_verdict(session: Session, now: datetime, settings: Settings, limit: int = 200) -> list[int]:
    """Closings whose time is over and that have no verdict, the oldest first."""
    over = now - timedelta(days=settings.follow_up_days, minutes=settings.hold_minutes)
    return list(
        session.scalars(
            select(Closure.id)
            .join(ActionItem, ActionItem.id == Closure.action_item_id)
            .outerjoin(Verdict, Verdict.closure_id == Closure.id)
            .where(
                Verdict.id.is_(None),
                Closure.withdrawn_at.is_(None),
                Closure.closed_at <= over,
                ActionItem.status == Status.CLOSED,
            )
            .order_by(Closure.id)
            .limit(limit)
        )
    )


def draw_due_verdict(session: Session, closure_id: int, now: datetime, settings: Settings) -> None:
    """Draw the verdict of one closing whose time is over. One a transaction: each locks its items."""
    closure = session.get_one(Closure, closure_id)
    draw_verdict(session, closure, lock_item(session, closure), now, settings)
