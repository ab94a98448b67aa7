"""Verbs on follow-ups: record what a customer says, draw the verdict, act on it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import CHANGED, ActionItem, Closure, Status
from feedback_loop.actions.service import end_run, goes_on_in, latest_closure, note, reopen, verify
from feedback_loop.analysis.redaction import redact
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.followups.disagreement import weigh
from feedback_loop.followups.erasing import quote_anew
from feedback_loop.followups.models import Fixed, FollowUp, Verdict, VerdictKind
from feedback_loop.followups.queries import (
    answer_of,
    cannot_end,
    figures,
    is_newest,
    noes_of,
    verdict_of,
    waits_for_its_run,
)
from feedback_loop.followups.standing import is_over
from feedback_loop.followups.telling import QUOTED, in_their_words, shortened, tell_urgently
from feedback_loop.followups.verdict import decide
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import cancel
from feedback_loop.settings import Settings

NOT_FIXED = "not_fixed"  # kind of the entry that says so of a closing whose work goes on elsewhere


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
    """Record what a customer says of a closing, redacted. Saying it again changes it, also where it is quoted. May draw
    the verdict.

    Raises:
        ValueError: The notification asks no such question.
    """
    closure = closure_of(session, notification)
    if closure is None:
        raise ValueError("This message asks no question.")
    if fixed == Fixed.NOT_SINCE and not closure.asks_whether_fixed:
        raise ValueError("Nothing was changed that one could run into.")
    # Answers to one closing queue here, so that each verdict sees all answers before it.
    item = lock_item(session, closure)
    follow_up = answer_of(session, notification)
    said_no = follow_up is not None and follow_up.fixed == Fixed.NO
    if follow_up is None:
        follow_up = FollowUp(
            closure_id=closure.id,
            customer_id=int(notification.recipient.partition(":")[2]),
            notification_id=notification.id,
        )
        session.add(follow_up)
    said_before = follow_up.comment or ""
    follow_up.fixed = fixed
    follow_up.comment = redact(comment, settings.phone_region or None).text
    follow_up.answered_at = now
    session.flush()
    quote_anew(session, follow_up, said_before)
    if not closure.asks_whether_fixed:
        weigh(session, closure, item, follow_up, is_new=fixed == Fixed.NO and not said_no, now=now)
        return follow_up
    before = verdict_of(session, closure)
    if fixed == Fixed.NO and not said_no and before is not None and before.kind == VerdictKind.NOT_FIXED:
        words = f": “{shortened(follow_up.comment)}”" if follow_up.comment else "."
        note(session, goes_on_in(session, item), "said_no", f"One more says that it is not fixed{words}", None, now)
    draw_verdict(session, closure, item, now, settings)
    return follow_up


def draw_verdict(session: Session, closure: Closure, item: ActionItem, now: datetime, settings: Settings) -> None:
    """Draw the verdict over a closing if it can be drawn, and verify or reopen its item.

    A verified item is looked at again with each later answer: enough late noes reopen it. Before a fix is effective
    nobody can tell, so what is said until then counts from that moment on.
    """
    if closure.withdrawn_at is not None or not closure.asks_whether_fixed or now < closure.effective_at:
        return
    if item.status not in (Status.CLOSED, Status.VERIFIED):
        return
    latest = latest_closure(session, item)
    if latest is None or latest.id != closure.id:
        return  # an answer to an old mail says nothing of what was done since
    found = figures(session, closure)
    count, known, verdict = found.tally, found.standing, found.verdict
    decision = decide(count, is_over(closure, known, now, settings), is_asked=known.asked > 0)
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
        comments = in_their_words(noes_of(session, closure, QUOTED))
        open_again(session, item, decision.reason, now, comments)
    session.flush()


def open_again(
    session: Session, item: ActionItem, reason: str, now: datetime, comments: str = "", kind: str = "not_fixed"
) -> None:
    """What is not fixed opens again: the item itself, or the one at which its work goes on since a merge.

    Its owner, its watchers and the leads of its team are told. What was dismissed as not a complaint stays closed; its
    history says what customers answered.

    Args:
        reason: In a sentence.
        comments: What customers wrote, for the history.
        kind: Of the notice.
    """
    other = goes_on_in(session, item)
    if other.id != item.id:
        reason = f"{item.complaint.number}, merged into this, is not fixed. {reason}"
        note(session, item, "comment", f"Not fixed; the work goes on at {other.complaint.number}.", None, now)
        take_back(session, item, other, now)
    text = f"{reason}\n{comments}" if comments else reason
    lives = other.complaint.state == ComplaintState.ACTIVE
    if lives and other.status in (Status.CLOSED, Status.VERIFIED):
        reopen(session, other, text, None, now)
    else:
        note(session, other, "comment", text, None, now)
    if lives:
        tell_urgently(session, other, kind, f"{other.complaint.number} “{other.complaint.name}”: {reason}", now)


def take_back(session: Session, item: ActionItem, other: ActionItem, now: datetime) -> None:
    """End what the newest closing of a merged item still owes: it tells of a fix that is none.

    Args:
        other: At which the work goes on. The history notes which closing was not fixed, so that those who were told of
            it hear of the next one there.
    """
    closure = latest_closure(session, item)
    if closure is None:
        return
    end_run(session, closure, None, now)
    unsent = sum(cancel(session, each, "It is not fixed.") for each in (closure.event, closure.follow_up_event))
    text = f"Those who were told hear of the next closing of {other.complaint.number}."
    text += f" {unsent} not yet sent will not be sent." if unsent else ""
    note(session, item, NOT_FIXED, text, None, now, closure_id=closure.id)


def due_for_verdict(session: Session, now: datetime, settings: Settings, limit: int = 200) -> list[int]:
    """Closings that have no verdict and whose time may be over, the oldest first.

    Only such as can be decided: what comes back undecided, look after look, would keep those behind it from their turn.
    """
    over = now - timedelta(days=settings.follow_up_days)
    return list(
        session.scalars(
            select(Closure.id)
            .join(ActionItem, ActionItem.id == Closure.action_item_id)
            .join(Complaint, Complaint.id == ActionItem.complaint_id)
            .outerjoin(Verdict, Verdict.closure_id == Closure.id)
            .where(
                Verdict.id.is_(None),
                is_newest(),
                Closure.withdrawn_at.is_(None),
                Closure.outcome.in_(CHANGED),
                func.coalesce(Closure.ask_at, Closure.effective_from, Closure.closed_at) <= over,
                Closure.closed_at <= over,
                ActionItem.status == Status.CLOSED,
                ~waits_for_its_run(),
                ~cannot_end(asked_since=over),
            )
            .order_by(Closure.id)
            .limit(limit)
        )
    )


def draw_due_verdict(session: Session, closure_id: int, now: datetime, settings: Settings) -> None:
    """Draw the verdict of one closing if its time is over. One a transaction: each locks its items."""
    closure = session.get_one(Closure, closure_id)
    draw_verdict(session, closure, lock_item(session, closure), now, settings)
