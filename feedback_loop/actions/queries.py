"""Named reads of action items, their history and their notifications."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, RoutingRule, Status
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.web.paging import Page, offset

ITEMS_A_PAGE = 50
EVENTS_A_PAGE = 50
NOTIFICATIONS_A_PAGE = 50
# Somebody has to do something; the others wait for customers or are done.
OPEN = (Status.NEW, Status.IN_PROGRESS, Status.REOPENED)


@dataclass(frozen=True)
class ItemFilter:
    """Which action items to list. None and empty mean any.

    Attributes:
        statuses: Those wanted.
        team_id: Whose.
        owner_id: Whose; 0 for those that nobody owns.
        overdue: Only open ones whose due date has passed.
    """

    statuses: Sequence[Status] = ()
    team_id: int | None = None
    owner_id: int | None = None
    overdue: bool = False


@dataclass(frozen=True)
class Unsent:
    """How many people were not told for one reason."""

    reason: str
    people: int


@dataclass(frozen=True)
class Telling:
    """How the notifications of a closing stand. Counts of people."""

    sent: int
    pending: int
    unsent: Sequence[Unsent]

    @property
    def not_told(self) -> int:
        """Those who will not be told."""
        return sum(each.people for each in self.unsent)


def is_overdue(now: datetime) -> ColumnElement[bool]:
    """Whether an open item's due date has passed."""
    return ActionItem.status.in_(OPEN) & (ActionItem.due_at < now)


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


def item(session: Session, item_id: int) -> ActionItem | None:
    """An action item with its complaint, team and owner, or None."""
    return session.scalar(
        select(ActionItem)
        .where(ActionItem.id == item_id)
        .options(joinedload(ActionItem.complaint), joinedload(ActionItem.team), joinedload(ActionItem.owner))
    )


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


def history(session: Session, item: ActionItem, page: int) -> Page[ActionEvent]:
    """A page of an item's history, newest first."""
    of_item = ActionEvent.action_item_id == item.id
    total = session.scalar(select(func.count()).select_from(ActionEvent).where(of_item))
    rows = session.scalars(
        select(ActionEvent)
        .where(of_item)
        .options(joinedload(ActionEvent.by))
        .order_by(ActionEvent.id.desc())
        .offset(offset(page, EVENTS_A_PAGE))
        .limit(EVENTS_A_PAGE)
    ).all()
    return Page(rows, page, EVENTS_A_PAGE, total or 0)


def closures(session: Session, item: ActionItem) -> Sequence[Closure]:
    """All closings of an item, newest first; there are few."""
    return session.scalars(
        select(Closure)
        .where(Closure.action_item_id == item.id)
        .options(joinedload(Closure.closed_by))
        .order_by(Closure.number.desc())
    ).all()


def telling(session: Session, closure: Closure) -> Telling:
    """How the notifications of a closing stand."""
    unsent_reason = func.coalesce(Notification.reason, "")
    counts = dict(
        session.execute(
            select(Notification.state, func.count())
            .where(Notification.event == closure.event)
            .group_by(Notification.state)
        ).all()
    )
    reasons = session.execute(
        select(unsent_reason, func.count())
        .where(
            Notification.event == closure.event,
            Notification.state.in_([NotificationState.SKIPPED, NotificationState.FAILED]),
        )
        .group_by(unsent_reason)
        .order_by(func.count().desc(), unsent_reason)
        .limit(5)
    ).all()
    unsent = [Unsent(reason, people) for reason, people in reasons]
    rest = counts.get(NotificationState.SKIPPED, 0) + counts.get(NotificationState.FAILED, 0)
    rest -= sum(each.people for each in unsent)
    if rest:
        unsent.append(Unsent("Other reasons.", rest))
    return Telling(counts.get(NotificationState.SENT, 0), counts.get(NotificationState.PENDING, 0), unsent)


def notifications(session: Session, closure: Closure, state: NotificationState | None, page: int) -> Page[Notification]:
    """A page of the notifications of a closing."""
    conditions = [Notification.event == closure.event]
    if state is not None:
        conditions.append(Notification.state == state)
    total = session.scalar(select(func.count()).select_from(Notification).where(*conditions))
    rows = session.scalars(
        select(Notification)
        .where(*conditions)
        .order_by(Notification.id)
        .offset(offset(page, NOTIFICATIONS_A_PAGE))
        .limit(NOTIFICATIONS_A_PAGE)
    ).all()
    return Page(rows, page, NOTIFICATIONS_A_PAGE, total or 0)


def rules(session: Session) -> Sequence[RoutingRule]:
    """All routing rules, in the order in which they are asked."""
    return session.scalars(
        select(RoutingRule)
        .options(joinedload(RoutingRule.team), joinedload(RoutingRule.survey))
        .order_by(RoutingRule.position, RoutingRule.id)
    ).all()
