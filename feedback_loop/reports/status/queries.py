"""What is known of the problems that an answer speaks of."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.actions.audience.groups import DONE
from feedback_loop.actions.models import ActionItem, Closure, NotificationRun, Outcome
from feedback_loop.actions.runs.service import OUT
from feedback_loop.actions.service import goes_on_in, latest_closure
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement
from feedback_loop.complaints.queries import surviving
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import token_of
from feedback_loop.reports.status.stages import Closed, Problem
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings

DUPLICATES = 20  # a chain of duplicates longer than this is broken


def problems(session: Session, answer: Answer) -> list[Problem]:
    """The problems an answer speaks of, each with the words concerned; one without words where none is known yet."""
    rows = session.execute(
        select(Statement, Complaint)
        .join(Complaint, Complaint.id == Statement.complaint_id)
        .where(Statement.answer_id == answer.id)
        .order_by(Statement.position)
    ).all()
    found: dict[int, Problem] = {}
    for statement, raised in rows:
        complaint = surviving(session, raised)
        if complaint.id not in found:
            found[complaint.id] = problem(session, statement, complaint)
    return list(found.values()) or [Problem("", answer.answered_at)]


def problem(session: Session, statement: Statement, complaint: Complaint) -> Problem:
    """What is known of one."""
    others = max(0, complaint.people_count + complaint.anonymous_count - 1)
    item = session.scalar(select(ActionItem).where(ActionItem.complaint_id == complaint.id))
    if item is None or complaint.state == ComplaintState.DISMISSED:
        return Problem(statement.text, statement.said_at, others=others)
    item = goes_on_at(session, item)
    rows = session.execute(
        select(Closure, NotificationRun)
        .outerjoin(NotificationRun, NotificationRun.closure_id == Closure.id)
        .where(Closure.action_item_id == item.id, Closure.outcome != Outcome.DUPLICATE)
        .order_by(Closure.number.desc())
    ).all()
    return Problem(
        statement.text,
        statement.said_at,
        item.status,
        [
            Closed(
                closure.id,
                closure.outcome,
                closure.statement,
                closure.closed_at,
                closure.withdrawn_at is not None,
                run is None or run.state in OUT,
                run.starts_at if run else None,
            )
            for closure, run in rows
        ],
        others,
    )


def goes_on_at(session: Session, item: ActionItem) -> ActionItem:
    """The item at which the work on a problem goes on: where this one was closed as a duplicate, the other one."""
    for _ in range(DUPLICATES):
        closure = latest_closure(session, item) if item.status in DONE else None
        if closure is None or closure.duplicate_of is None:
            break
        item = goes_on_in(session, closure.duplicate_of)
    return item


def follow_up_token(session: Session, closing_id: int, customer_id: int | None, settings: Settings) -> str:
    """The token of the page on which a customer says whether a closing helped; empty if they are not asked."""
    if customer_id is None:
        return ""
    row = session.scalar(
        select(Notification).where(
            Notification.recipient == f"customer:{customer_id}",
            Notification.event == f"closure:{closing_id}",
            Notification.state.in_([NotificationState.PENDING, NotificationState.SENT]),
        )
    )
    token = token_of(row, settings) if row else ""
    return token if row and tokens.hashed(token) == row.token_hash else ""
