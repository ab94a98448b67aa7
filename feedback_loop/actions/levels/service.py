"""Verbs on service levels, and on the priority and the service level of one item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.actions.changes import changed, standing
from feedback_loop.actions.deadlines import default_level, due_by_level
from feedback_loop.actions.levels.rating import rate_now
from feedback_loop.actions.models import ActionItem, Priority, ServiceLevel
from feedback_loop.actions.service import demand_living, note
from feedback_loop.db import insert_missing

BY_HAND = "Chosen by {}: {}"


@dataclass(frozen=True)
class Terms:
    """What a service level says.

    Attributes:
        name: As people read it.
        hours: Business hours until it is due, by priority.
        days: Working days; 0 is Monday.
        opens: When the working day begins, in minutes after midnight.
        closes: When it ends.
        time_zone: Such as `Europe/Berlin`.
        holidays: Days nobody works.
        remind_hours: Business hours before it is due; 0 is never.
        lead_hours: Business hours overdue until leads hear of it.
        admin_hours: Business hours overdue until admins hear of it.
    """

    name: str
    hours: Mapping[Priority, int]
    days: Sequence[int]
    opens: int
    closes: int
    time_zone: str
    holidays: Sequence[date] = ()
    remind_hours: int = 8
    lead_hours: int = 0
    admin_hours: int = 16

    @property
    def columns(self) -> dict[str, object]:
        """As the table keeps it."""
        return {
            **asdict(self),
            "hours": {priority.value: hours for priority, hours in self.hours.items()},
            "days": sorted(set(self.days)),
            "holidays": sorted({day.isoformat() for day in self.holidays}),
        }


USUAL = {Priority.URGENT: 8, Priority.HIGH: 16, Priority.NORMAL: 40, Priority.LOW: 80}


def usual_terms(time_zone: str) -> Terms:
    """Those of the service level that is there from the beginning: Monday to Friday, nine to five."""
    return Terms("Standard", USUAL, range(5), 9 * 60, 17 * 60, time_zone)


def ensure_level(session: Session, time_zone: str, now: datetime) -> ServiceLevel:
    """The default service level, made when there is none."""
    level = default_level(session)
    if level is None:
        row = {**usual_terms(time_zone).columns, "is_default": True, "created_at": now}
        insert_missing(session, ServiceLevel, [row])  # another process may be first
        level = session.scalars(select(ServiceLevel).where(ServiceLevel.is_default)).one()
    return level


def add_level(session: Session, terms: Terms, now: datetime) -> ServiceLevel:
    """Add a service level; the first one becomes the default.

    Raises:
        ValueError: The name is taken.
    """
    demand_free_name(session, terms.name)
    first = default_level(session) is None
    level = ServiceLevel(is_default=first, created_at=now, **terms.columns)
    session.add(level)
    session.flush()
    return level


def change_level(session: Session, level: ServiceLevel, terms: Terms) -> None:
    """Change what a service level says. Items that go by it are due anew at the worker's next look.

    Raises:
        ValueError: The name is taken.
    """
    demand_free_name(session, terms.name, but=level)
    for name, value in terms.columns.items():
        if getattr(level, name) != value:
            setattr(level, name, value)
    session.flush()


def demand_free_name(session: Session, name: str, but: ServiceLevel | None = None) -> None:
    """Refuse a name that another service level has."""
    taken = select(ServiceLevel).where(func.lower(ServiceLevel.name) == name.lower())
    if any(each is not but for each in session.scalars(taken)):
        raise ValueError(f"There is a service level called {name} already. Choose another name.")


def archive_level(session: Session, level: ServiceLevel, now: datetime) -> None:
    """Take a service level from what can be chosen. Items that go by it still do.

    Raises:
        ValueError: It is the default.
    """
    if level.is_default:
        raise ValueError("This is the default. Make another one the default first, then archive it.")
    level.archived_at = level.archived_at or now
    session.flush()


def restore_level(session: Session, level: ServiceLevel) -> None:
    """Let a service level be chosen again."""
    level.archived_at = None
    session.flush()


def make_default(session: Session, level: ServiceLevel) -> None:
    """Let items without a service level of their own go by this one.

    Raises:
        ValueError: It is archived.
    """
    if level.archived_at is not None:
        raise ValueError("This one is archived. Bring it back first, then make it the default.")
    # Two statements in this order: the index allows one default at any moment.
    session.execute(update(ServiceLevel).where(ServiceLevel.is_default).values(is_default=False))
    session.execute(update(ServiceLevel).where(ServiceLevel.id == level.id).values(is_default=True))


def set_priority(session: Session, item: ActionItem, priority: Priority, reason: str, by: User, now: datetime) -> None:
    """Choose the priority of an item by hand; it then stays until somebody chooses another, or the arithmetic.

    Raises:
        Refused: The complaint was merged or dismissed.
        ValueError: No reason is given.
    """
    demand_living(item)
    if not reason.strip():
        raise ValueError("Enter why, so that others understand it.")
    why = BY_HAND.format(by.name, reason.strip())[:300]
    if (item.priority, item.priority_reason, item.priority_by_hand) == (priority, why, True):
        return
    before = standing(item)
    item.priority, item.priority_reason, item.priority_by_hand = priority, why, True
    follow_level(session, item)
    text = f"Priority {priority.value}: {reason.strip()}"
    note(session, item, "priority", text, by, now, **changed(before, item))


def leave_priority(session: Session, item: ActionItem, thresholds: Sequence[int], by: User, now: datetime) -> None:
    """Give the priority of an item back to the arithmetic.

    Raises:
        Refused: The complaint was merged or dismissed.
    """
    demand_living(item)
    if not item.priority_by_hand:
        return
    before, rated = standing(item), rate_now(session, item, thresholds, now)
    item.priority, item.priority_reason, item.priority_by_hand = rated.priority, rated.reason, False
    follow_level(session, item)
    text = f"Priority {rated.priority.value}, by its arithmetic again: {rated.reason}"
    note(session, item, "priority", text, by, now, **changed(before, item))


def set_level(session: Session, item: ActionItem, level: ServiceLevel | None, by: User, now: datetime) -> None:
    """Choose the service level of an item; None for the default.

    Raises:
        Refused: The complaint was merged or dismissed.
        ValueError: It is archived.
    """
    demand_living(item)
    if item.service_level_id == (level.id if level else None):
        return
    if level is not None and level.archived_at is not None:
        raise ValueError(f"{level.name} is archived. Choose another service level.")
    before = standing(item)
    item.service_level = level
    follow_level(session, item)
    text = f"Service level: {level.name if level else 'the default'}."
    note(session, item, "service_level", text, by, now, **changed(before, item))


def follow_level(session: Session, item: ActionItem) -> None:
    """Set by when an item is due, unless a person chose the day."""
    session.flush()
    if not item.due_by_hand:
        item.due_at = due_by_level(session, item) or item.due_at
