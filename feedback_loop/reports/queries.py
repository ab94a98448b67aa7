"""Named reads over the whole loop. Reads everything, writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import Team
from feedback_loop.actions.models import ActionItem, Closure, Status
from feedback_loop.actions.queries import is_listed, is_overdue, listed
from feedback_loop.complaints.models import Complaint, ComplaintState, Refine, Spike, SpikeState, Statement
from feedback_loop.complaints.queries import growing, growth, is_growing, last_refine, pool_size
from feedback_loop.followups.models import Fixed, FollowUp, Verdict
from feedback_loop.followups.verdict import Tally
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey, SurveyState
from feedback_loop.surveys.scales import SCALES, Scale
from feedback_loop.web.paging import Page, offset

COMPLAINTS_A_PAGE = 50
ANSWERS_A_PAGE = 20
NAMES_A_COUNT = 3
RECENTLY_CLOSED = 6
SPIKES_SHOWN = 6


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
    """One of the four counts of the home page, with those it counts that matter most."""

    number: int
    names: Sequence[Named]


@dataclass(frozen=True)
class Today:
    """What needs somebody today."""

    new: Count
    growing: Count
    overdue: Count
    came_back: Count


@dataclass(frozen=True)
class Spikes:
    """Complaints that are said unusually often just now: how many, and those that stand out most."""

    number: int
    shown: Sequence[Spike]


@dataclass(frozen=True)
class Closed:
    """A closing and how it turned out so far."""

    closure: Closure
    complaint: Complaint
    item: ActionItem
    verdict: Verdict | None
    tally: Tally


@dataclass(frozen=True)
class Understanding:
    """How far what was said is understood."""

    refine: Refine | None
    pool: int
    waiting: bool


@dataclass(frozen=True)
class FirstSteps:
    """What is set up so far, and whether anything was answered."""

    teams: int
    surveys: Sequence[Survey]
    mail_sent: bool
    has_answers: bool


@dataclass(frozen=True)
class Listed:
    """A complaint as the list shows it, with its action item."""

    complaint: Complaint
    item: ActionItem | None
    recent: int
    before: int
    spikes: bool = False

    @property
    def is_growing(self) -> bool:
        """Whether it was said more often in the last seven days than in the seven before."""
        return is_growing(self.recent, self.before)


@dataclass(frozen=True)
class ComplaintFilter:
    """Which complaints to list, and in which order.

    Attributes:
        text: Part of the name, or a number such as C-42.
        survey_id: Said in answers to this survey.
        team_id: Whose action item it is.
        status: Of its action item.
        growing: Only those said more often than the week before.
        sort: `people`, `newest` or `growing`.
    """

    text: str = ""
    survey_id: int | None = None
    team_id: int | None = None
    status: Status | None = None
    growing: bool = False
    sort: str = "people"

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through."""
        return not (self.text or self.survey_id or self.team_id or self.status or self.growing)


@dataclass(frozen=True)
class SurveyCounts:
    """A survey with its answers in numbers.

    Attributes:
        answers: All of them.
        comments: Those with words.
        scores: Answers by score, lowest score first; only scores that the scale has.
    """

    survey: Survey
    scale: Scale
    answers: int
    comments: int
    scores: dict[int, int]

    @property
    def scored(self) -> int:
        """Answers with a score."""
        return sum(self.scores.values())

    @property
    def low(self) -> int:
        """Answers whose score calls for help."""
        return sum(count for score, count in self.scores.items() if self.scale.is_low(score))


def people_of() -> ColumnElement[int]:
    """Everybody who raised a complaint, known or not."""
    return Complaint.people_count + Complaint.anonymous_count


def spikes() -> ColumnElement[bool]:
    """Whether a complaint is said unusually often just now."""
    running = select(Spike.id).where(Spike.complaint_id == Complaint.id, Spike.state == SpikeState.RUNNING)
    return running.correlate(Complaint).exists()


def today(session: Session, now: datetime, team_id: int | None) -> Today:
    """The four counts of the home page.

    Args:
        now: The present moment.
        team_id: Only what concerns this team; None for all.
    """
    ours: list[ColumnElement[bool]] = [] if team_id is None else [ActionItem.team_id == team_id]
    return Today(
        new=count_items(session, [ActionItem.status == Status.NEW, *ours]),
        growing=count_growing(session, now, ours),
        overdue=count_items(session, [is_overdue(now), *ours], by_due=True),
        came_back=count_items(session, [ActionItem.status == Status.REOPENED, *ours]),
    )


def count_items(session: Session, conditions: Sequence[ColumnElement[bool]], by_due: bool = False) -> Count:
    """Count action items, and name those most people wait for, or those that are due longest."""
    number = session.scalar(
        select(func.count())
        .select_from(ActionItem)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(is_listed(), *conditions)
    )
    if not number:
        return Count(0, [])
    order = ActionItem.due_at.asc() if by_due else people_of().desc()
    rows = session.scalars(listed().where(*conditions).order_by(order, ActionItem.id.desc()).limit(NAMES_A_COUNT))
    return Count(number, [Named(row.complaint, row.id, due_at=row.due_at) for row in rows])


def count_growing(session: Session, now: datetime, ours: Sequence[ColumnElement[bool]]) -> Count:
    """Count the complaints that are said more often than the week before, and name those that grow most."""
    weeks = growth(now)
    rows: Select[Any] = (
        select(Complaint, weeks.c.recent, weeks.c.before)
        .join(weeks, weeks.c.complaint_id == Complaint.id)
        .where(Complaint.state == ComplaintState.ACTIVE, growing(weeks.c.recent, weeks.c.before))
    )
    if ours:
        rows = rows.join(ActionItem, ActionItem.complaint_id == Complaint.id).where(*ours)
    number = session.scalar(select(func.count()).select_from(rows.with_only_columns(Complaint.id).subquery()))
    names = session.execute(rows.order_by((weeks.c.recent - weeks.c.before).desc(), Complaint.id).limit(NAMES_A_COUNT))
    return Count(number or 0, [Named(row.Complaint, None, row.recent, row.before) for row in names])


def running_spikes(session: Session, team_id: int | None) -> Spikes:
    """The running alerts, of all teams or one, the furthest above what is usual first."""
    query = (
        select(Spike)
        .join(Complaint, Complaint.id == Spike.complaint_id)
        .where(Spike.state == SpikeState.RUNNING, Complaint.state == ComplaintState.ACTIVE)
    )
    if team_id is not None:
        query = query.join(ActionItem, ActionItem.complaint_id == Complaint.id).where(ActionItem.team_id == team_id)
    rows = session.scalars(query.options(joinedload(Spike.complaint)).order_by(Spike.z.desc(), Spike.id)).all()
    return Spikes(len(rows), rows[:SPIKES_SHOWN])


def recently_closed(session: Session, team_id: int | None) -> list[Closed]:
    """The newest closings that were not taken back, with what customers said of them."""
    query = (
        select(Closure, ActionItem, Complaint, Verdict)
        .join(ActionItem, ActionItem.id == Closure.action_item_id)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .outerjoin(Verdict, Verdict.closure_id == Closure.id)
        .where(Closure.withdrawn_at.is_(None))
        .order_by(Closure.id.desc())
        .limit(RECENTLY_CLOSED)
    )
    if team_id is not None:
        query = query.where(ActionItem.team_id == team_id)
    rows = session.execute(query.options(joinedload(Closure.closed_by))).all()
    tallies = tallies_of(session, [row.Closure for row in rows])
    return [Closed(row.Closure, row.Complaint, row.ActionItem, row.Verdict, tallies[row.Closure.id]) for row in rows]


def tallies_of(session: Session, closures: Sequence[Closure]) -> dict[int, Tally]:
    """Who was asked about each of some closings, and what came back: two queries, however many closings."""
    asked = dict(
        session.execute(
            select(Notification.event, func.count())
            .where(
                Notification.event.in_([closure.event for closure in closures]),
                Notification.state.in_([NotificationState.SENT, NotificationState.PENDING]),
            )
            .group_by(Notification.event)
        ).all()
    )
    said = {
        (closure_id, fixed): count
        for closure_id, fixed, count in session.execute(
            select(FollowUp.closure_id, FollowUp.fixed, func.count())
            .where(FollowUp.closure_id.in_([closure.id for closure in closures]))
            .group_by(FollowUp.closure_id, FollowUp.fixed)
        )
    }
    return {
        closure.id: Tally(
            asked.get(closure.event, 0), said.get((closure.id, Fixed.YES), 0), said.get((closure.id, Fixed.NO), 0)
        )
        for closure in closures
    }


def understanding(session: Session) -> Understanding:
    """The last refine, the pool, and whether answers wait to be read by the worker."""
    waiting = session.scalar(select(Answer.id).where(Answer.redacted_at.is_(None)).limit(1)) or session.scalar(
        select(Answer.id).where(Answer.redacted_at.is_not(None), Answer.analysed_at.is_(None)).limit(1)
    )
    return Understanding(last_refine(session), pool_size(session), waiting is not None)


def has_answers(session: Session) -> bool:
    """Whether anybody has answered yet."""
    return session.scalar(select(Answer.id).limit(1)) is not None


def first_steps(session: Session) -> FirstSteps:
    """What is set up so far."""
    sent = select(Notification.id).where(Notification.state == NotificationState.SENT).limit(1)
    return FirstSteps(
        teams=session.scalar(select(func.count()).select_from(Team)) or 0,
        surveys=session.scalars(
            select(Survey).where(Survey.state == SurveyState.OPEN).order_by(Survey.id).limit(3)
        ).all(),
        mail_sent=session.scalar(sent) is not None,
        has_answers=has_answers(session),
    )


def contains(column: Any, text: str) -> ColumnElement[bool]:
    """Whether a column holds a text, taken literally, in capital or small letters."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.ilike(f"%{escaped}%", escape="\\")  # type: ignore[no-any-return]


def complaint_number(text: str) -> int | None:
    """The number in `C-42`, `c42` or `42`."""
    digits = text.strip().lower().removeprefix("c").removeprefix("-")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else None


def complaints(session: Session, wanted: ComplaintFilter, now: datetime, page: int) -> Page[Listed]:
    """A page of active complaints with their action items."""
    weeks = growth(now)
    recent, before = func.coalesce(weeks.c.recent, 0), func.coalesce(weeks.c.before, 0)
    conditions: list[ColumnElement[bool]] = [is_listed()]
    if wanted.text:
        number = complaint_number(wanted.text)
        named = contains(Complaint.name, wanted.text)
        conditions.append(named if number is None else named | (Complaint.id == number))
    if wanted.survey_id is not None:
        conditions.append(
            select(Statement.id)
            .join(Answer, Answer.id == Statement.answer_id)
            .where(Statement.complaint_id == Complaint.id, Answer.survey_id == wanted.survey_id)
            .exists()
        )
    if wanted.team_id is not None:
        conditions.append(ActionItem.team_id == wanted.team_id)
    if wanted.status is not None:
        conditions.append(ActionItem.status == wanted.status)
    if wanted.growing:
        conditions.append(growing(recent, before))
    query = (
        select(Complaint, ActionItem, recent.label("recent"), before.label("before"), spikes().label("spikes"))
        .outerjoin(ActionItem, ActionItem.complaint_id == Complaint.id)
        .outerjoin(weeks, weeks.c.complaint_id == Complaint.id)
        .where(*conditions)
    )
    total = session.scalar(select(func.count()).select_from(query.with_only_columns(Complaint.id).subquery()))
    order: dict[str, tuple[ColumnElement[Any], ...]] = {
        "people": (people_of().desc(), Complaint.id.desc()),
        "newest": (Complaint.last_said_at.desc().nulls_last(), Complaint.id.desc()),
        "growing": ((recent - before).desc(), people_of().desc(), Complaint.id.desc()),
    }
    rows = session.execute(
        query.options(joinedload(ActionItem.team))
        .order_by(*order.get(wanted.sort, order["people"]))
        .offset(offset(page, COMPLAINTS_A_PAGE))
        .limit(COMPLAINTS_A_PAGE)
    )
    listed_rows = [Listed(row.Complaint, row.ActionItem, row.recent, row.before, row.spikes) for row in rows]
    return Page(listed_rows, page, COMPLAINTS_A_PAGE, total or 0)


def surveys(session: Session, only: Survey | None = None) -> list[SurveyCounts]:
    """Surveys with their answers in numbers, from one grouped query; open ones first."""
    grouped = select(
        Answer.survey_id, Answer.score, func.count().label("answers"), func.sum(has_words()).label("comments")
    ).group_by(Answer.survey_id, Answer.score)
    if only is not None:
        grouped = grouped.where(Answer.survey_id == only.id)
    counts: dict[int, dict[int | None, tuple[int, int]]] = {}
    for row in session.execute(grouped):
        counts.setdefault(row.survey_id, {})[row.score] = (row.answers, row.comments or 0)
    rows = (
        [only]
        if only is not None
        else session.scalars(select(Survey).order_by(Survey.state == SurveyState.CLOSED, Survey.name, Survey.id))
    )
    result = []
    for survey in rows:
        by_score, scale = counts.get(survey.id, {}), SCALES[survey.scale]
        result.append(
            SurveyCounts(
                survey,
                scale,
                sum(answers for answers, _ in by_score.values()),
                sum(comments for _, comments in by_score.values()),
                {choice.score: by_score.get(choice.score, (0, 0))[0] for choice in scale.choices},
            )
        )
    return result


def has_words() -> ColumnElement[int]:
    """1 for an answer with a comment, also one that still waits to be redacted, else 0."""
    return case((Answer.comment == "", 0), else_=1)


def answers(session: Session, counts: SurveyCounts, page: int) -> Page[Answer]:
    """A page of a survey's answers, the last received first.

    By id, which is the order of arrival: the index on the survey holds it, so no page sorts a million answers.
    """
    rows = session.scalars(
        select(Answer)
        .where(Answer.survey_id == counts.survey.id)
        .options(joinedload(Answer.customer))
        .order_by(Answer.id.desc())
        .offset(offset(page, ANSWERS_A_PAGE))
        .limit(ANSWERS_A_PAGE)
    ).all()
    return Page(rows, page, ANSWERS_A_PAGE, counts.answers)
