"""Looks for complaints that came back after they were closed as fixed, and opens their items again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.closing.usual import heard, said, scope_of, usual
from feedback_loop.actions.models import CHANGED, ActionItem, Closure, Status
from feedback_loop.actions.service import latest_closure
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.db import Sessions, reading
from feedback_loop.followups.recurrence import LEAST, LEAST_PEOPLE, WINDOW, Decision, Rate, decide
from feedback_loop.followups.service import lock_item, open_again

MOST = 500  # items at one look
KIND = "came_back"


def look_for_relapses(sessions: Sessions, now: datetime) -> int:
    """Open again what came back.

    Only closed items are looked at whose complaint was said after the fix took effect, and only where something was
    said since the last look: without that, the rate can only have fallen.

    Returns:
        How many were opened.
    """
    with reading(sessions) as session:
        ids = said_since(session, now)
    opened = 0
    for id in ids:
        with sessions.begin() as session:
            opened += look(session, id, now)
    return opened


def seen(complaint: Complaint) -> list[Any]:
    """What changes with every statement that comes or goes."""
    last = complaint.last_said_at
    return [complaint.statement_count, last.isoformat() if last else ""]


def said_since(session: Session, now: datetime) -> list[int]:
    """Closings of what was fixed whose complaint was said again since the last look."""
    newest = (
        select(func.max(Closure.number))
        .where(Closure.action_item_id == ActionItem.id)
        .correlate(ActionItem)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Closure.id, Closure.usual, Complaint)
        .join(ActionItem, ActionItem.id == Closure.action_item_id)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(
            ActionItem.status.in_([Status.CLOSED, Status.VERIFIED]),
            Complaint.state == ComplaintState.ACTIVE,
            Closure.number == newest,
            Closure.outcome.in_(CHANGED),
            Closure.withdrawn_at.is_(None),
            Complaint.last_said_at > func.coalesce(Closure.effective_from, Closure.closed_at),
            Complaint.last_said_at > now - WINDOW,
        )
        .order_by(Complaint.last_said_at.desc())
    )
    changed = [row.id for row in rows if (row.usual or {}).get("seen") != seen(row.Complaint)]
    return changed[:MOST]


def look(session: Session, closure_id: int, now: datetime) -> int:
    """Look at one closing, write what was found, and open its item again if it came back."""
    closure = session.get_one(Closure, closure_id)
    item = lock_item(session, closure)
    session.refresh(closure)
    newest = latest_closure(session, item)
    if newest is None or newest.id != closure.id or closure.withdrawn_at is not None:
        return 0  # reopened, or closed again, since it was found
    if item.status not in (Status.CLOSED, Status.VERIFIED):
        return 0
    decision = weigh(session, item, closure, now)
    closure.usual = closure.usual | {
        "seen": seen(item.complaint),
        "looked_at": now.isoformat(),
        "found": decision.reason,
    }
    if not decision.came_back:
        return 0
    since = max(closure.effective_at, now - WINDOW)
    reason = f"It came back. Since {since.day} {since:%B %Y}, {decision.reason}"
    open_again(session, item, reason, now, kind=KIND)
    return 1


def weigh(session: Session, item: ActionItem, closure: Closure, now: datetime) -> Decision:
    """Count, as little as is needed, and decide."""
    scope = scope_of(closure)
    since = max(closure.effective_at, now - WINDOW)
    # What was met before the fix says nothing of it, however late it is said.
    again = [
        each
        for each in said(session, item.complaint_id, since, now, scope)
        if each.experienced_at > closure.effective_at
    ]
    people = len({each.customer_id or f"answer {each.answer_id}" for each in again})
    if len(again) < LEAST or people < LEAST_PEOPLE:
        reason = f"{len(again):,} said it again; a relapse takes {LEAST} from {LEAST_PEOPLE} people."
        return Decision(False, reason)
    if "answers" not in (closure.usual or {}):
        closure.usual = usual(session, item, closure.closed_at, scope) | (closure.usual or {})
    before = Rate(closure.usual["statements"], closure.usual["answers"])
    answers = max(len(again), heard(session, since, now, scope))
    return decide(before, Rate(len(again), answers), people, closure.outcome)
