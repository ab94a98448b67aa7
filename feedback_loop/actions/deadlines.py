"""By when an item is due by its service level: the hours of its priority, in business time, without the time spent
waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.calendar import Calendar, add_hours, hours_between
from feedback_loop.actions.models import ActionEvent, ActionItem, ServiceLevel, Status

REOPENED = "reopened"
ENDS_A_WAIT = ("went_on", "taken_on")  # where it had waited, their data say for how long


@dataclass(frozen=True)
class Wait:
    """A time in which an item waited for somebody else."""

    since: datetime
    until: datetime


@dataclass(frozen=True)
class Course:
    """What the due date of an item depends on beside its priority.

    Attributes:
        start: When it was opened, or last reopened.
        waits: When it waited since; the one that lasts is not among them.
    """

    start: datetime
    waits: Sequence[Wait] = ()


def due_at(course: Course, hours: float, calendar: Calendar) -> datetime:
    """By when an item is due.

    A wait makes it later by the business time it took, if it began before the item was due: what was late by then
    stays late.

    Args:
        course: When it began and waited.
        hours: Business hours it may take.
        calendar: When people work.
    """
    due = add_hours(course.start, hours, calendar)
    counted = course.start
    for wait in sorted(course.waits, key=lambda each: each.since):
        since = max(wait.since, counted)
        if since < due and (waited := hours_between(since, wait.until, calendar)) > 0:
            due = add_hours(due, waited, calendar)
            counted = wait.until
    return due


def calendar_of(level: ServiceLevel) -> Calendar:
    """When people of a service level work."""
    return Calendar(
        frozenset(level.days),
        level.opens,
        level.closes,
        level.time_zone,
        frozenset(date.fromisoformat(day) for day in level.holidays),
    )


def default_level(session: Session) -> ServiceLevel | None:
    """The service level of items that have none of their own; None until the worker has made it."""
    return session.scalar(select(ServiceLevel).where(ServiceLevel.is_default))


def level_finder(session: Session) -> Callable[[ActionItem], ServiceLevel | None]:
    """By which service level an item goes: its own, or the default. All are read once."""
    found = {level.id: level for level in session.scalars(select(ServiceLevel))}
    usual = next((level for level in found.values() if level.is_default), None)
    return lambda item: found.get(item.service_level_id or 0, usual)


def courses(session: Session, created: Mapping[int, datetime]) -> dict[int, Course]:
    """What the due dates of some items depend on, by item.

    Nothing is late by a rule that was not there: what was opened before the first service level was made counts from
    then.

    Args:
        session: A session.
        created: When each item was opened.
    """
    began = session.scalar(select(func.min(ServiceLevel.created_at)))
    rows = session.execute(
        select(ActionEvent.action_item_id, ActionEvent.kind, ActionEvent.at, ActionEvent.data)
        .where(ActionEvent.action_item_id.in_(created), ActionEvent.kind.in_([REOPENED, *ENDS_A_WAIT]))
        .order_by(ActionEvent.action_item_id, ActionEvent.id)
    )
    starts = {id: max(at, began) if began else at for id, at in created.items()}
    waits: dict[int, list[Wait]] = {}
    for id, kind, at, data in rows:
        if kind == REOPENED:
            starts[id] = max(starts[id], at)
        elif seconds := data.get("waited_seconds"):
            waits.setdefault(id, []).append(Wait(at - timedelta(seconds=seconds), at))
    return {id: Course(start, waits.get(id, ())) for id, start in starts.items()}


def due_by_level(session: Session, item: ActionItem) -> datetime | None:
    """By when an item is due by its service level; None where there is none."""
    return due_by_levels(session, [item])[item.id]


def due_by_levels(session: Session, items: Sequence[ActionItem]) -> dict[int, datetime | None]:
    """By when some items are due by their service levels, by item, whatever day a person may have chosen.

    While an item waits its time stands still: the date it has by its level stays until it goes on.
    """
    level_for = level_finder(session)
    course_of = courses(session, {item.id: item.created_at for item in items})
    found = {}
    for item in items:
        level = level_for(item)
        if level is None or (item.status == Status.WAITING and item.due_at is not None and not item.due_by_hand):
            found[item.id] = item.due_at if level else None
        else:
            found[item.id] = due_at(course_of[item.id], level.hours[item.priority], calendar_of(level))
    return found


def in_words(at: datetime) -> str:
    """A moment as histories and mails write it: `1 Dec 2026, 16:00 UTC`."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y}, {at:%H:%M} UTC"
