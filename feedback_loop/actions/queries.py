"""Named reads of action items and their closings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.models import ActionItem, Closure, NotificationRun, Status, Watcher
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.web.paging import Page, offset

ITEMS_A_PAGE = 50
# Somebody has to do something; the others wait for customers or are done.
OPEN = (Status.NEW, Status.TRIAGED, Status.IN_PROGRESS, Status.WAITING, Status.REOPENED)


@dataclass(frozen=True)
class ItemFilter:
    """Which action items to list. None and empty mean any.

    Attributes:
        statuses: Those wanted.
        team_id: Whose.
        owner_id: Whose; 0 for those that nobody owns.
        overdue: Only open ones whose due date has passed.
        watcher_id: Only those that this person watches.
    """

    statuses: Sequence[Status] = ()
    team_id: int | None = None
    owner_id: int | None = None
    overdue: bool = False
    watcher_id: int | None = None


def is_overdue(now: datetime) -> ColumnElement[bool]:
    """Whether an open item's due date has passed. While it waits for others its time stands still."""
    return ActionItem.status.in_(OPEN) & (ActionItem.status != Status.WAITING) & (ActionItem.due_at < now)


def is_listed() -> ColumnElement[bool]:
    """Whether lists show a complaint with its item.

    Not if it was merged or dismissed, nor if its statements have all moved elsewhere before anybody took it on.
    """
    worth_it = (Complaint.statement_count > 0) | (ActionItem.status != Status.NEW)
    return (Complaint.state == ComplaintState.ACTIVE) & worth_it


def listed() -> Select[ActionItem]:
    """Action items with what a list shows of them."""
    return (
        select(ActionItem)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(is_listed())
        .options(joinedload(ActionItem.complaint), joinedload(ActionItem.team), joinedload(ActionItem.owner))
    )


def items(session: Session, wanted: ItemFilter, now: datetime, page: int) -> Page[ActionItem]:
    """A page of action items: what is due first comes first, then what most people wait for."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.statuses:
        conditions.append(ActionItem.status.in_(wanted.statuses))
    if wanted.team_id is not None:
        conditions.append(ActionItem.team_id == wanted.team_id)
    if wanted.owner_id is not None:
        conditions.append(ActionItem.owner_id == (wanted.owner_id or None))
    if wanted.overdue:
        conditions.append(is_overdue(now))
    if wanted.watcher_id is not None:
        watched = select(Watcher.action_item_id).where(Watcher.user_id == wanted.watcher_id)
        conditions.append(ActionItem.id.in_(watched))
    total = session.scalar(
        select(func.count())
        .select_from(ActionItem)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(is_listed(), *conditions)
    )
    rows = session.scalars(
        listed()
        .where(*conditions)
        .order_by(
            ActionItem.due_at.asc().nulls_last(),
            (Complaint.people_count + Complaint.anonymous_count).desc(),
            ActionItem.id.desc(),
        )
        .offset(offset(page, ITEMS_A_PAGE))
        .limit(ITEMS_A_PAGE)
    ).all()
    return Page(rows, page, ITEMS_A_PAGE, total or 0)


def any_item(session: Session) -> bool:
    """Whether there is any action item at all."""
    return session.scalar(select(ActionItem.id).limit(1)) is not None


def item(session: Session, item_id: int, lock: bool = False) -> ActionItem | None:
    """An action item with its complaint, team, owner and service level, or None.

    Args:
        lock: Let nobody else change it before this transaction ends, so that what is read is what is changed.
    """
    query = (
        select(ActionItem)
        .where(ActionItem.id == item_id)
        .options(
            joinedload(ActionItem.complaint),
            joinedload(ActionItem.team),
            joinedload(ActionItem.owner),
            joinedload(ActionItem.service_level),
        )
    )
    return session.scalar(query.with_for_update(of=ActionItem) if lock else query)


def item_of(session: Session, complaint: Complaint) -> ActionItem | None:
    """The action item of a complaint, with its team and owner; None in the seconds before it is opened."""
    return session.scalar(
        select(ActionItem)
        .where(ActionItem.complaint_id == complaint.id)
        .options(joinedload(ActionItem.team), joinedload(ActionItem.owner))
    )


def items_of(session: Session, complaint_ids: Collection[int]) -> dict[int, ActionItem]:
    """The action items of some complaints, by complaint."""
    rows = session.scalars(
        select(ActionItem).where(ActionItem.complaint_id.in_(complaint_ids)).options(joinedload(ActionItem.team))
    )
    return {row.complaint_id: row for row in rows}


def closures(session: Session, item: ActionItem) -> Sequence[Closure]:
    """All closings of an item, newest first; there are few."""
    return [closure for closure, _ in closures_with_runs(session, item)]


def closures_with_runs(session: Session, item: ActionItem) -> Sequence[Row[Closure, NotificationRun | None]]:
    """All closings of an item, newest first, each with its run; None as `run_of` says."""
    return session.execute(
        select(Closure, NotificationRun)
        .outerjoin(NotificationRun, NotificationRun.closure_id == Closure.id)
        .where(Closure.action_item_id == item.id)
        .options(joinedload(Closure.closed_by), joinedload(Closure.duplicate_of).joinedload(ActionItem.complaint))
        .order_by(Closure.number.desc())
    ).all()


def run_of(session: Session, closure: Closure) -> NotificationRun | None:
    """The run of a closing; None of a duplicate, and of closings from before there were runs."""
    return session.scalar(select(NotificationRun).where(NotificationRun.closure_id == closure.id))
