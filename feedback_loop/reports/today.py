"""What needs a team lead today: five counts, each with those it counts that matter most. One query for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.models import ActionItem, Closure, NotificationRun, RunState
from feedback_loop.actions.queries import is_listed, is_overdue
from feedback_loop.actions.triage.queries import Queue, in_queue, people_of
from feedback_loop.complaints.models import Complaint, ComplaintState, Weeks
from feedback_loop.complaints.queries import grows

NAMES_A_COUNT = 3
IN_REVIEW = (RunState.REVIEW, RunState.APPROVAL)  # a person has to look at it before anything is sent


@dataclass(frozen=True)
class Named:
    """One name under a count: an action item, or a complaint that grows."""

    complaint: Complaint
    item_id: int | None
    recent: int = 0
    before: int = 0
    due_at: datetime | None = None


@dataclass(frozen=True)
class Count:
    """One of the counts of the home page, with those it counts that matter most."""

    number: int
    names: Sequence[Named]


@dataclass(frozen=True)
class Today:
    """What needs somebody today."""

    new: Count
    growing: Count
    overdue: Count
    came_back: Count
    review: Count


def today(session: Session, now: datetime, team_id: int | None) -> Today:
    """The counts of the home page.

    Args:
        now: The present moment.
        team_id: Only what concerns this team; None for all.
    """
    ours: list[ColumnElement[bool]] = [] if team_id is None else [ActionItem.team_id == team_id]
    waiting = (
        select(NotificationRun.id)
        .join(Closure, Closure.id == NotificationRun.closure_id)
        .where(Closure.action_item_id == ActionItem.id, NotificationRun.state.in_(IN_REVIEW))
        .correlate(ActionItem)
        .exists()
    )
    return Today(
        new=count_items(session, [in_queue(Queue.NEW, now), *ours]),
        growing=count_growing(session, ours),
        overdue=count_items(session, [is_overdue(now), *ours], ActionItem.due_at.asc()),
        came_back=count_items(session, [in_queue(Queue.CAME_BACK, now), *ours]),
        review=count_items(session, [waiting, *ours]),
    )


def count_items(
    session: Session, conditions: Sequence[ColumnElement[bool]], order: ColumnElement[Any] | None = None
) -> Count:
    """Count action items, and name those most people wait for, or the first in another order."""
    rows = session.execute(
        select(ActionItem, func.count().over())
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(is_listed(), *conditions)
        .options(joinedload(ActionItem.complaint))
        .order_by(people_of().desc() if order is None else order, ActionItem.id.desc())
        .limit(NAMES_A_COUNT)
    ).all()
    number = rows[0][1] if rows else 0
    return Count(number, [Named(item.complaint, item.id, due_at=item.due_at) for item, _ in rows])


def count_growing(session: Session, ours: Sequence[ColumnElement[bool]]) -> Count:
    """Count the complaints that are said more often than the week before, and name those that grow most."""
    gain = Weeks.recent - Weeks.before
    grown = (
        select(Complaint, Weeks.recent, Weeks.before, func.count().over())
        .join(Weeks, Weeks.complaint_id == Complaint.id)
        .where(Complaint.state == ComplaintState.ACTIVE, grows())
    )
    if ours:
        grown = grown.join(ActionItem, ActionItem.complaint_id == Complaint.id).where(*ours)
    rows = session.execute(grown.order_by(gain.desc(), Complaint.id).limit(NAMES_A_COUNT)).all()
    number = rows[0][3] if rows else 0
    return Count(number, [Named(complaint, None, recent, before) for complaint, recent, before, _ in rows])
