"""Named reads of triage: what waits to be decided on, in which order, and what helps to decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from feedback_loop.actions.models import ActionItem, Priority, Status
from feedback_loop.actions.queries import is_listed, items_of
from feedback_loop.actions.triage.suggesting import suggest
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.complaints import trends
from feedback_loop.complaints.evidence import Neighbour, neighbours
from feedback_loop.complaints.models import Complaint, Statement
from feedback_loop.complaints.queries import WEEK, Trend, growing, is_growing, telling, times_said, trend
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES, Scale

ENTRIES_A_PAGE = 25
NEIGHBOURS = 3
NEWEST = 50  # statements of a complaint that say where it comes from now
OTHERS = 2_000  # answers with which those that say it are compared
MOST = 5_000  # a queue longer than this is not walked through


class Queue(StrEnum):
    """Which of those that wait."""

    NEW = "new"
    CAME_BACK = "came_back"
    SNOOZED = "snoozed"


@dataclass(frozen=True)
class TriageFilter:
    """Which of those that wait to show.

    Attributes:
        queue: New ones, those that came back, or those that are snoozed.
        text: Part of the name, or a number such as C-42.
        survey_id: Said of late in answers to this survey.
        language: Said of late in this language.
        people: At least so many people said it.
        team_id: Suggested to this team.
        growing: Only those said more often than the week before.
    """

    queue: Queue = Queue.NEW
    text: str = ""
    survey_id: int | None = None
    language: str = ""
    people: int | None = None
    team_id: int | None = None
    growing: bool = False

    @property
    def narrows(self) -> bool:
        """Whether it leaves out some of its queue."""
        return bool(self.text or self.survey_id or self.language or self.people or self.team_id or self.growing)


@dataclass(frozen=True)
class Entry:
    """One line of the queue."""

    item: ActionItem
    recent: int
    before: int

    @property
    def is_growing(self) -> bool:
        """Whether it was said more often in the last seven days than in the seven before."""
        return is_growing(self.recent, self.before)


@dataclass(frozen=True)
class Waiting:
    """How many wait, by queue."""

    new: int
    came_back: int
    snoozed: int


@dataclass(frozen=True)
class Suggested:
    """To whom a complaint should go, and why. `owner_id` is None for whoever takes it on."""

    team_id: int
    owner_id: int | None
    reason: str


@dataclass(frozen=True)
class Near:
    """A similar complaint, and what is being done about it."""

    neighbour: Neighbour
    item: ActionItem | None


@dataclass(frozen=True)
class Effect:
    """How those who said something score a survey.

    Attributes:
        said: Their answers in the last ninety days.
        others: The newest answers that do not say it.
    """

    survey: Survey
    scale: Scale
    said: trends.Scores
    others: trends.Scores


@dataclass(frozen=True)
class Case:
    """Everything one has to see to decide about an item."""

    item: ActionItem
    statements: Sequence[Statement]
    trend: Trend
    effect: Effect | None
    suggested: Suggested
    near: Sequence[Near]


def people_of() -> ColumnElement[int]:
    """Everybody who raised a complaint, known or not."""
    return Complaint.people_count + Complaint.anonymous_count


def is_snoozed(now: datetime) -> ColumnElement[bool]:
    """Whether triage leaves an item out for now."""
    return ActionItem.snoozed_until.is_not(None) & (ActionItem.snoozed_until > now)


def is_awake(now: datetime) -> ColumnElement[bool]:
    """The contrary of `is_snoozed`, never unknown."""
    return or_(ActionItem.snoozed_until.is_(None), ActionItem.snoozed_until <= now)


def in_queue(queue: Queue, now: datetime) -> ColumnElement[bool]:
    """Whether an item that a list may show belongs to a queue."""
    if queue == Queue.SNOOZED:
        return ActionItem.status.in_([Status.NEW, Status.REOPENED]) & is_snoozed(now)
    return (ActionItem.status == (Status.NEW if queue == Queue.NEW else Status.REOPENED)) & is_awake(now)


def weeks_of(column: InstrumentedAttribute[int], now: datetime) -> tuple[Any, Any]:
    """How often a complaint was said in the last seven days, and in the seven before, as columns."""
    return (
        times_said(column, Statement.said_at > now - WEEK, Statement.said_at <= now),
        times_said(column, Statement.said_at > now - 2 * WEEK, Statement.said_at <= now - WEEK),
    )


def lately(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether one of the newest statements of a complaint fulfils a condition: looking at all would take seconds."""
    newest = (
        select(Statement.id)
        .where(Statement.complaint_id == Complaint.id)
        .correlate(Complaint)
        .order_by(Statement.said_at.desc())
        .limit(NEWEST)
    )
    found = select(Statement.id).join(Answer, Answer.id == Statement.answer_id).where(Statement.id.in_(newest), *where)
    return found.correlate(Complaint).exists()


def conditions(wanted: TriageFilter, now: datetime) -> list[ColumnElement[bool]]:
    """What a filter asks for."""
    found = [is_listed(), in_queue(wanted.queue, now)]
    if wanted.text:
        escaped = wanted.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        named: ColumnElement[bool] = Complaint.name.ilike(f"%{escaped}%", escape="\\")
        digits = wanted.text.strip().lower().removeprefix("c").removeprefix("-")
        is_number = digits.isascii() and digits.isdecimal() and len(digits) < 10
        found.append(named | (Complaint.id == int(digits)) if is_number else named)
    if wanted.survey_id is not None:
        found.append(lately(Answer.survey_id == wanted.survey_id))
    if wanted.language:
        found.append(lately(Statement.language == wanted.language))
    if wanted.people is not None:
        found.append(people_of() >= wanted.people)
    if wanted.team_id is not None:
        found.append(ActionItem.team_id == wanted.team_id)
    if wanted.growing:
        found.append(growing(*weeks_of(ActionItem.complaint_id, now)))
    return found


def waiting_ids(session: Session, wanted: TriageFilter, now: datetime) -> Sequence[int]:
    """The items that wait, the most urgent first, then those that most people raised."""
    urgency = case({priority: rank for rank, priority in enumerate(Priority)}, value=ActionItem.priority)
    return session.scalars(
        select(ActionItem.id)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(*conditions(wanted, now))
        .order_by(urgency.desc(), people_of().desc(), ActionItem.id)
        .limit(MOST)
    ).all()


def entries(session: Session, ids: Sequence[int], now: datetime) -> list[Entry]:
    """Lines of the queue, in the order of their ids."""
    rows = session.execute(
        select(ActionItem, *weeks_of(ActionItem.complaint_id, now))
        .where(ActionItem.id.in_(ids))
        .options(joinedload(ActionItem.complaint), joinedload(ActionItem.team), joinedload(ActionItem.owner))
    )
    found = {row[0].id: Entry(*row) for row in rows}
    return [found[id] for id in ids if id in found]


def waiting(session: Session, now: datetime) -> Waiting:
    """How many wait in each queue."""

    def how_many(queue: Queue) -> ColumnElement[Any]:
        return func.coalesce(func.sum(case((in_queue(queue, now), 1), else_=0)), 0)

    row = session.execute(
        select(how_many(Queue.NEW), how_many(Queue.CAME_BACK), how_many(Queue.SNOOZED))
        .select_from(ActionItem)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(is_listed(), ActionItem.status.in_([Status.NEW, Status.REOPENED]))
    ).one()
    return Waiting(*row)


def waiting_up_to(session: Session, now: datetime, most: int) -> int:
    """How many new ones wait, counted no farther than `most`: what the menu shows on every page."""
    first = (
        select(ActionItem.id)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(is_listed(), in_queue(Queue.NEW, now))
        .limit(most)
    )
    return session.scalar(select(func.count()).select_from(first.subquery())) or 0


def suggestion_of(session: Session, item: ActionItem, thresholds: Thresholds) -> Suggested:
    """To whom triage suggests to give an item: to whom people gave what is like it, else where the rules sent it."""
    found = suggest(session, item, thresholds)
    if found is not None:
        return Suggested(found.team_id, item.owner_id if found.team_id == item.team_id else None, found.reason)
    return Suggested(item.team_id, item.owner_id, item.routing_reason)


def case_of(session: Session, item: ActionItem, thresholds: Thresholds, now: datetime) -> Case:
    """What there is to see of an item before deciding about it; the thresholds are those of the embedding model."""
    near = neighbours(session, item.complaint)[:NEIGHBOURS]
    theirs = items_of(session, [each.complaint.id for each in near]) if near else {}
    return Case(
        item,
        telling(session, item.complaint),
        trend(session, item.complaint, now),
        effect_of(session, item.complaint, now),
        suggestion_of(session, item, thresholds),
        [Near(each, theirs.get(each.complaint.id)) for each in near],
    )


def effect_of(session: Session, complaint: Complaint, now: datetime) -> Effect | None:
    """How those who said it score the survey in which most of them did; None where nobody scored.

    The others are the newest answers to it, in a fixed number: all of ninety days would be too many to count while
    somebody goes from one complaint to the next.
    """
    said = trends.answers_that_say_it(session, complaint, now - trends.WINDOW, now)
    most = max(said, key=lambda id: (said[id].scores.answers, -id), default=None)
    if most is None or not said[most].scores.answers:
        return None
    survey = session.get_one(Survey, most)
    # "+ 0": for each answer, SQLite would go through all statements of the complaint instead of the few of the answer.
    raised = select(Statement.id).where(Statement.answer_id == Answer.id, Statement.complaint_id + 0 == complaint.id)
    newest = (
        select(Answer.score)
        .where(Answer.survey_id == most, Answer.score.is_not(None), ~raised.exists())
        .order_by(Answer.id.desc())
        .limit(OTHERS)
        .subquery()
    )
    is_low = case((newest.c.score <= SCALES[survey.scale].low_up_to, 1), else_=0)
    answers, low, total = session.execute(
        select(func.count(), func.coalesce(func.sum(is_low), 0), func.coalesce(func.sum(newest.c.score), 0))
    ).one()
    return Effect(survey, SCALES[survey.scale], said[most].scores, trends.Scores(answers, low, int(total)))
