"""Verbs on follow-ups: record what a customer says, draw the verdict, act on it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionItem, Closure, Status
from feedback_loop.actions.service import goes_on_in, latest_closure, note, reopen, verify
from feedback_loop.analysis.redaction import redact
from feedback_loop.followups.models import Fixed, FollowUp, Verdict, VerdictKind
from feedback_loop.followups.queries import answer_of, tally, verdict_of
from feedback_loop.followups.verdict import decide
from feedback_loop.notifications.models import Notification
from feedback_loop.settings import Settings


def closure_of(session: Session, notification: Notification) -> Closure | None:
    """The closing a notification is about, or None if it is about something else."""
    kind, _, number = notification.event.partition(":")
    return session.get(Closure, int(number)) if kind == "closure" else None


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
    item = session.scalars(select(ActionItem).where(ActionItem.id == closure.action_item_id).with_for_update()).one()
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
        reopen(session, item, decision.reason, None, now)
        hand_on(session, item, decision.reason, now)
    session.flush()


def hand_on(session: Session, item: ActionItem, reason: str, now: datetime) -> None:
    """Where a complaint that is not fixed was merged into another, its action item learns it, and opens if closed."""
    other = goes_on_in(session, item)
    if other.id == item.id:
        return
    if other.status in (Status.CLOSED, Status.VERIFIED):
        reopen(session, other, f"{item.complaint.number}, merged into this, is not fixed. {reason}", None, now)
    else:
        note(session, other, "comment", f"{item.complaint.number}, merged into this, is not fixed. {reason}", None, now)


def deadline(closure: Closure, settings: Settings) -> datetime:
    """When the time to answer is over."""
    return closure.closed_at + timedelta(days=settings.follow_up_days, minutes=settings.hold_minutes)


def draw_due_verdicts(session: Session, now: datetime, settings: Settings, limit: int = 200) -> int:
    """Draw the verdicts whose time is over.

    Returns:
        How many closings were looked at.
    """
    over = now - timedelta(days=settings.follow_up_days, minutes=settings.hold_minutes)
    closures = session.scalars(
        select(Closure)
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
    ).all()
    for closure in closures:
        item = session.scalars(
            select(ActionItem).where(ActionItem.id == closure.action_item_id).with_for_update()
        ).one()
        draw_verdict(session, closure, item, now, settings)
    return len(closures)
