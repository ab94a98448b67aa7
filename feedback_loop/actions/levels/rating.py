"""Keeps priority and due date of open items up to date, where nobody chose them by hand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.orm import Session

from feedback_loop.actions.deadlines import calendar_of, courses, due_at, level_finder
from feedback_loop.actions.levels.priority import Rated, Weight, rate
from feedback_loop.actions.models import ActionEvent, ActionItem, Priority, Status
from feedback_loop.actions.queries import OPEN
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement
from feedback_loop.complaints.queries import WEEK, is_growing, said_lately
from feedback_loop.db import Sessions, reading
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES

CHUNK = 200
SAMPLE = 100  # the newest statements say how bad it is; more of them change little
KIND = "priority"


@dataclass(frozen=True)
class Change:
    """What is to be written to an item, if it is still as it was read."""

    item_id: int
    version: int
    values: dict[str, Any]
    event: str = ""


def rate_open_items(sessions: Sessions, thresholds: Sequence[int], now: datetime) -> int:
    """Rate every open item and set by when it is due.

    Reads and decides without a transaction that writes; then writes what changed, a few at a time. An item that a
    person has changed meanwhile keeps what they wrote; the next look finds it again.

    Returns:
        How many items changed.
    """
    changed = 0
    with reading(sessions) as session:
        ids = session.scalars(rateable(ActionItem.id).order_by(ActionItem.id)).all()
        recent = spoken_of_late(session, now)
    for first in range(0, len(ids), CHUNK):
        with reading(sessions) as session:
            changes = decide(session, ids[first : first + CHUNK], recent, thresholds)
        if changes:
            with sessions.begin() as session:
                changed += sum(write(session, each, now) for each in changes)
    return changed


def rateable(*what: Any) -> Any:
    """Open items of complaints that live."""
    return (
        select(*what)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(ActionItem.status.in_(OPEN), Complaint.state == ComplaintState.ACTIVE)
    )


def spoken_of_late(session: Session, now: datetime, only: int | None = None) -> dict[int, tuple[int, int]]:
    """Statements of the last seven days and of the seven before, by complaint; of one complaint, or of all."""
    found = select(Complaint.id, *said_lately(now)).where(Complaint.last_said_at > now - 2 * WEEK)
    if only is not None:
        found = found.where(Complaint.id == only)
    return {id: (recent, before) for id, recent, before in session.execute(found)}


def decide(
    session: Session, ids: Collection[int], recent: dict[int, tuple[int, int]], thresholds: Sequence[int]
) -> list[Change]:
    """What is to change in some items."""
    rows = session.execute(rateable(ActionItem, Complaint, harm_of()).where(ActionItem.id.in_(ids))).all()
    course_of = courses(session, {item.id: item.created_at for item, _, _ in rows})
    level_for = level_finder(session)
    changes = []
    for item, complaint, harm in rows:
        rated = Rated(item.priority, item.priority_reason)
        if not item.priority_by_hand:
            current = item.priority if item.priority_reason else None
            rated = rate(weight(complaint, harm, recent.get(complaint.id, (0, 0))), thresholds, current)
        due = item.due_at
        level = level_for(item)
        stands_still = item.status == Status.WAITING and due is not None
        if level is not None and not item.due_by_hand and not stands_still:
            due = due_at(course_of[item.id], level.hours[rated.priority], calendar_of(level))
        now_is = (rated.priority, rated.reason, due)
        if now_is != (item.priority, item.priority_reason, item.due_at):
            values = dict(zip(("priority", "priority_reason", "due_at"), now_is, strict=True))
            changes.append(Change(item.id, item.version, values, told_of(item.priority, rated)))
    return changes


def harm_of() -> ColumnElement[float]:
    """How bad the scores beside the newest statements of a complaint are: 0 the best, 1 the worst, as a column."""
    worth = case(
        *(
            (
                Survey.scale == name,
                (scale.choices[-1].score - Answer.score) * 1.0 / (scale.choices[-1].score - scale.choices[0].score),
            )
            for name, scale in SCALES.items()
            if scale.choices
        ),
        else_=None,
    )
    newest = (
        select(worth.label("harm"))
        .select_from(Statement)
        .join(Answer, Answer.id == Statement.answer_id)
        .join(Survey, Survey.id == Answer.survey_id)
        .where(Statement.complaint_id == Complaint.id)
        .order_by(Statement.said_at.desc())
        .limit(SAMPLE)
        .correlate(Complaint)
        .subquery()
    )
    return select(func.avg(newest.c.harm)).scalar_subquery()


def weight(complaint: Complaint, harm: float | None, late: tuple[int, int]) -> Weight:
    """What a complaint weighs."""
    people = complaint.people_count + complaint.anonymous_count
    return Weight(people, None if harm is None else float(harm), *late, is_growing(*late))


def rate_now(session: Session, item: ActionItem, thresholds: Sequence[int], now: datetime) -> Rated:
    """The priority one item has by its complaint."""
    harm = session.scalar(select(harm_of()).select_from(Complaint).where(Complaint.id == item.complaint_id))
    late = spoken_of_late(session, now, item.complaint_id).get(item.complaint_id, (0, 0))
    return rate(weight(item.complaint, harm, late), thresholds)


def told_of(before: Priority, rated: Rated) -> str:
    """What the history says of a rating; nothing where the priority stays."""
    return f"Priority {rated.priority.value}, was {before.value}: {rated.reason}" if rated.priority != before else ""


def write(session: Session, change: Change, now: datetime) -> bool:
    """Write one change, unless a person was first. The version stays: it counts what people change, and nobody who is
    just typing is to be refused because of an arithmetic.

    Returns:
        Whether it was written.
    """
    done = session.execute(
        update(ActionItem)
        .where(ActionItem.id == change.item_id, ActionItem.version == change.version, ActionItem.status.in_(OPEN))
        .values(change.values)
        .execution_options(synchronize_session=False)
    )
    if not done.rowcount:  # type: ignore[attr-defined]
        return False
    if change.event:
        session.add(ActionEvent(action_item_id=change.item_id, at=now, kind=KIND, text=change.event, data={}))
    return True
