"""Named reads over the whole loop. Reads everything, writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import Team
from feedback_loop.actions.models import ActionItem, Closure, Status
from feedback_loop.actions.queries import is_listed
from feedback_loop.complaints.models import Complaint, ComplaintState, Refine, Spike, SpikeState, Statement, Weeks
from feedback_loop.complaints.queries import (
    grows,
    is_growing,
    last_refine,
    pool_size,
)
from feedback_loop.followups.models import Verdict
from feedback_loop.followups.queries import tallies
from feedback_loop.followups.verdict import Tally
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses import counting
from feedback_loop.responses.models import Answer, ErasedAnswer
from feedback_loop.responses.waiting import to_analyse, to_redact
from feedback_loop.surveys.metrics import Figure
from feedback_loop.surveys.models import Survey, SurveyState
from feedback_loop.surveys.scales import SCALES, Scale
from feedback_loop.web.paging import Page, offset

COMPLAINTS_A_PAGE = 50
ANSWERS_A_PAGE = 20
RECENTLY_CLOSED = 6
SPIKES_SHOWN = 6


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

    @property
    def figure(self) -> Figure | None:
        """What the scores come to; None without one."""
        return self.scale.figure(self.scores)


def people_of() -> ColumnElement[int]:
    """Everybody who raised a complaint, known or not."""
    return Complaint.people_count + Complaint.anonymous_count


def spikes() -> ColumnElement[bool]:
    """Whether a complaint is said unusually often just now."""
    running = select(Spike.id).where(Spike.complaint_id == Complaint.id, Spike.state == SpikeState.RUNNING)
    return running.correlate(Complaint).exists()


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
    counts = tallies(session, [row.Closure for row in rows])
    return [Closed(row.Closure, row.Complaint, row.ActionItem, row.Verdict, counts[row.Closure.id]) for row in rows]


def understanding(session: Session) -> Understanding:
    """The last refine, the pool, and whether answers wait to be read by the worker."""
    waiting = session.scalar(select(Answer.id).where(*to_redact()).limit(1)) or session.scalar(
        select(Answer.id).where(*to_analyse()).limit(1)
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
            select(Survey)
            .where(Survey.state == SurveyState.OPEN, Survey.published_at.is_not(None), Survey.archived_at.is_(None))
            .order_by(Survey.id)
            .limit(3)
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


def complaints(session: Session, wanted: ComplaintFilter, page: int) -> Page[Listed]:
    """A page of active complaints with their action items."""
    conditions: list[ColumnElement[bool]] = [is_listed()]
    if wanted.text:
        number = complaint_number(wanted.text)
        named = contains(Complaint.name, wanted.text)
        conditions.append(named if number is None else named | (Complaint.id == number))
    if wanted.survey_id is not None:
        conditions.append(said_in(wanted.survey_id))
    if wanted.team_id is not None:
        conditions.append(ActionItem.team_id == wanted.team_id)
    if wanted.status is not None:
        conditions.append(ActionItem.status == wanted.status)
    start = offset(page, COMPLAINTS_A_PAGE)
    matching = with_item(select(Complaint.id))
    if wanted.growing or wanted.sort == "growing":
        matching = matching.outerjoin(Weeks, Weeks.complaint_id == Complaint.id)
    if wanted.growing:
        conditions.append(grows())
    matching = matching.where(*conditions)
    if wanted.growing or wanted.survey_id is not None:
        # Each is looked at, so that being told which they are costs less than asking how many they are, too.
        all_ids = session.scalars(matching.order_by(*sorted_by(wanted.sort))).all()
        total, ids = len(all_ids), all_ids[start : start + COMPLAINTS_A_PAGE]
    else:
        total = session.scalar(with_item(select(func.count()).select_from(Complaint)).where(*conditions)) or 0
        ids = session.scalars(matching.order_by(*sorted_by(wanted.sort)).offset(start).limit(COMPLAINTS_A_PAGE)).all()
    recent, before = (func.coalesce(column, 0) for column in (Weeks.recent, Weeks.before))
    columns: Any = select(
        Complaint, ActionItem, recent.label("recent"), before.label("before"), spikes().label("spikes")
    )
    listed = with_item(columns).outerjoin(Weeks, Weeks.complaint_id == Complaint.id).where(Complaint.id.in_(ids))
    rows = session.execute(listed.options(joinedload(ActionItem.team)))
    found = {
        row.Complaint.id: Listed(row.Complaint, row.ActionItem, row.recent, row.before, row.spikes) for row in rows
    }
    return Page([found[id] for id in ids], page, COMPLAINTS_A_PAGE, total)


def said_in(survey_id: int) -> ColumnElement[bool]:
    """Whether a complaint was said in answers to a survey: one look into an index for each. Asked whether there is one,
    PostgreSQL goes through all statements of the survey."""
    said = select(Statement.survey_id).where(Statement.survey_id == survey_id, Statement.complaint_id == Complaint.id)
    return said.limit(1).correlate(Complaint).scalar_subquery().is_not(None)


def with_item(query: Any) -> Any:
    """Complaints with their action items."""
    return query.outerjoin(ActionItem, ActionItem.complaint_id == Complaint.id)


def sorted_by(sort: str) -> list[ColumnElement[Any]]:
    """The order of a list of complaints by what they carry, or by how much they grew when that was last counted."""
    if sort == "newest":
        return [Complaint.last_said_at.desc().nulls_last(), Complaint.id.desc()]
    most: list[ColumnElement[Any]] = [people_of().desc(), Complaint.id.desc()]
    return [func.coalesce(Weeks.recent - Weeks.before, 0).desc(), *most] if sort == "growing" else most


def surveys(session: Session, only: Survey | None = None, archived: bool = False) -> list[SurveyCounts]:
    """Surveys with their answers in numbers; open ones first.

    Args:
        only: This one; None for all.
        archived: Those that are archived instead of those that are not.
    """
    counts: dict[int, dict[int | None, tuple[int, int]]] = {}
    for row in counting.tallies(session, only.id if only is not None else None):
        counts.setdefault(row.survey_id, {})[row.score] = (row.answers, row.with_words)
    rows = (
        [only]
        if only is not None
        else session.scalars(
            select(Survey)
            .where(Survey.archived_at.is_not(None) if archived else Survey.archived_at.is_(None))
            .order_by(Survey.state == SurveyState.CLOSED, Survey.name, Survey.id)
        )
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


def answers(session: Session, counts: SurveyCounts, page: int) -> Page[Answer]:
    """A page of a survey's answers, the last received first.

    By id, which is the order of arrival: the index on the survey holds it, so no page sorts a million answers.
    """
    # The ids first: else all answers that stand before the page, and their customers, would be looked up, too.
    ids = (
        select(Answer.id)
        .where(Answer.survey_id == counts.survey.id)
        .order_by(Answer.id.desc())
        .offset(offset(page, ANSWERS_A_PAGE))
        .limit(ANSWERS_A_PAGE)
        .subquery()
    )
    rows = session.scalars(
        select(Answer).join(ids, ids.c.id == Answer.id).options(joinedload(Answer.customer)).order_by(Answer.id.desc())
    ).all()
    return Page(rows, page, ANSWERS_A_PAGE, counts.answers)


def erased(session: Session, survey: Survey) -> int:
    """How many answers to a survey were erased by whoever gave them."""
    found = select(func.count()).select_from(ErasedAnswer).where(ErasedAnswer.survey_id == survey.id)
    return session.scalar(found) or 0
