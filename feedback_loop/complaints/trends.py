"""Named reads of how often a complaint is said, where, and what that does to the scores.

Each reads at most the last 90 days, by the indexes on the moment something was said, and counts in the database; all
answers are counted by day beforehand (`responses/counting.py`). Only what stands in the context of answers is counted
here, in a sample of fixed size: it is JSON, which no index helps with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from feedback_loop.clock import day_of
from feedback_loop.complaints.models import Complaint, Spike, SpikeState, Statement
from feedback_loop.complaints.places import PLACES, Origin, Place, Places, by_place, languages_of, pages_of, tags_of
from feedback_loop.complaints.queries import Trend, times_said, trend
from feedback_loop.responses.counting import heard_between, tallies
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES, Scale

DAY = timedelta(days=1)
DAYS = 28
WINDOW = timedelta(days=90)  # of scores and places; whole days, as these are counted
MOST_SAID = 1000  # statements whose answers are looked up, roughly; of what is said more often fewer days tell enough
USUAL_WEEKS = 4  # so many weeks before the last seven days say what is usual
SAMPLE = 250  # contexts that are read, at most; the page says so
SURVEYS = 5
FEW = 10  # scores; fewer prove nothing
ALERTS = 10


@dataclass(frozen=True)
class Day:
    """Statements of one day, by UTC."""

    day: date
    statements: int


@dataclass(frozen=True)
class Week:
    """Seven days: statements, the answers they stand in, and all answers with a comment."""

    start: datetime
    end: datetime
    statements: int
    answers: int
    of: int

    @property
    def share(self) -> float | None:
        """Of the answers with a comment; None where there were none."""
        return self.answers / self.of if self.of else None


@dataclass(frozen=True)
class Scores:
    """Some answers with a score, in numbers."""

    answers: int = 0
    low: int = 0
    total: int = 0

    def __add__(self, other: Scores) -> Scores:
        """Both together."""
        return Scores(self.answers + other.answers, self.low + other.low, self.total + other.total)

    def __sub__(self, other: Scores) -> Scores:
        """These without the others."""
        return Scores(
            max(0, self.answers - other.answers), max(0, self.low - other.low), max(0, self.total - other.total)
        )

    @property
    def low_share(self) -> float | None:
        """Of low scores."""
        return self.low / self.answers if self.answers else None

    @property
    def average(self) -> float | None:
        """Of the scores."""
        return self.total / self.answers if self.answers else None


@dataclass(frozen=True)
class Impact:
    """What a complaint does to the scores of one survey.

    Attributes:
        said: Answers that raised the complaint.
        others: All other answers to the survey.
    """

    survey: Survey
    scale: Scale
    said: Scores
    others: Scores

    @property
    def is_hint(self) -> bool:
        """Whether so few said it that the comparison is no more than a hint."""
        return self.said.answers < FEW

    @property
    def all(self) -> Scores:
        """Both together."""
        return self.said + self.others

    @property
    def averages(self) -> tuple[str, str]:
        """The average with these answers and without them, written so that a difference shows if there is one."""
        pair = self.all.average or 0.0, self.others.average or 0.0
        for digits in (1, 2):
            written = f"{pair[0]:.{digits}f}", f"{pair[1]:.{digits}f}"
            if written[0] != written[1]:
                return written
        return f"{pair[0]:.1f}", f"{pair[1]:.1f}"


@dataclass(frozen=True)
class Trends:
    """Everything the page of trends shows.

    Attributes:
        pace: The last seven days against what is usual, in words.
        since: From when on scores and places are counted.
        is_short: Whether that is less than `WINDOW`, as it is said so often.
        sampled_since: The oldest of the sampled contexts; None where all were read.
        more_surveys: How many surveys have scores that are not shown.
    """

    pace: str
    days: Sequence[Day]
    trend: Trend
    weeks: Sequence[Week]
    since: datetime
    is_short: bool
    impacts: Sequence[Impact]
    more_surveys: int
    surveys: Places
    pages: Places
    tags: Places
    languages: Places
    sampled_since: datetime | None


@dataclass(frozen=True)
class Counted:
    """Answers to one survey in numbers.

    Attributes:
        comments: Those with a comment.
        scores: Those with a score.
    """

    comments: int
    scores: Scores


def trends(session: Session, complaint: Complaint, now: datetime) -> Trends:
    """How often a complaint is said, where, and what that does to the scores."""
    since, is_short = window(session, complaint, now)
    weeks = trend(session, complaint, now)
    said = answers_that_say_it(session, complaint, since, now)
    surveys = surveys_of(session, said)
    heard = all_answers(session, surveys, since)
    shown, more_surveys = impacts(surveys, said, heard)
    ours, ours_since = origins(session, since, now, complaint)
    everybody, everybody_since = origins(session, since, now)
    cuts = [cut for cut in (ours_since, everybody_since) if cut]

    return Trends(
        pace=pace(weeks, complaint.first_said_at),
        days=by_day(session, complaint, now),
        trend=weeks,
        weeks=with_share(session, complaint, weeks),
        since=since,
        is_short=is_short,
        impacts=shown,
        more_surveys=more_surveys,
        surveys=by_survey(surveys, said, heard),
        pages=by_place(ours, everybody, pages_of, bool(cuts)),
        tags=by_place(ours, everybody, tags_of, bool(cuts)),
        languages=by_place(ours, everybody, languages_of, bool(cuts)),
        sampled_since=max(cuts, default=None),
    )


def window(session: Session, complaint: Complaint, now: datetime) -> tuple[datetime, bool]:
    """From when on scores and places are counted, and whether that is less than `WINDOW`.

    A whole day: the one after that of the statement of which `MOST_SAID` are newer, today at the latest.
    """
    since = day_of(now - WINDOW)
    if complaint.statement_count <= MOST_SAID:
        return since, False
    last = session.scalar(
        select(Statement.said_at)
        .where(Statement.complaint_id == complaint.id, Statement.said_at > since, Statement.said_at <= now)
        .order_by(Statement.said_at.desc())
        .offset(MOST_SAID)
        .limit(1)
    )
    return (since, False) if last is None else (min(day_of(last) + DAY, day_of(now)), True)


def by_day(session: Session, complaint: Complaint, now: datetime) -> list[Day]:
    """The last 28 days of a complaint, oldest first, the last one being today."""
    today = now.astimezone(UTC).date()
    days = [today - index * DAY for index in range(DAYS - 1, -1, -1)]
    starts = [datetime.combine(day, time(), UTC) for day in days]
    row = session.execute(
        select(
            *(
                times_said(complaint.id, Statement.said_at >= start, Statement.said_at < start + DAY)
                for start in starts[:-1]
            ),
            times_said(complaint.id, Statement.said_at >= starts[-1], Statement.said_at <= now),
        )
    ).one()
    return [Day(day, count) for day, count in zip(days, row, strict=True)]


def with_share(session: Session, complaint: Complaint, weeks: Trend) -> list[Week]:
    """The weeks of a trend with the answers that raised the complaint, and all answers with a comment."""
    answers: list[Any] = []
    for week in weeks.weeks:
        said = (Statement.said_at > week.start, Statement.said_at <= week.end)
        # Statements of one answer were said at the same moment: grouped as the index has them, none is sorted.
        raised = (
            select(literal(1))
            .where(Statement.complaint_id == complaint.id, *said)
            .group_by(Statement.said_at, Statement.answer_id)
        )
        answers.append(select(func.count()).select_from(raised.subquery()).scalar_subquery())
    row = session.execute(select(*answers)).one()
    of = heard_between(session, [weeks.weeks[0].start, *(week.end for week in weeks.weeks)])
    return [
        # One that is just being analysed again has statements still.
        Week(week.start, week.end, week.statements, count, max(count, all_))
        for week, count, all_ in zip(weeks.weeks, row, of, strict=True)
    ]


def answers_that_say_it(session: Session, complaint: Complaint, since: datetime, now: datetime) -> dict[int, Counted]:
    """The answers that raised a complaint, by survey."""
    raised = select(Statement.answer_id).where(
        Statement.complaint_id == complaint.id, Statement.said_at > since, Statement.said_at <= now
    )
    rows = session.execute(
        select(Answer.survey_id, Survey.scale, Answer.score, func.count())
        .join(Survey, Survey.id == Answer.survey_id)
        .where(Answer.id.in_(raised))
        .group_by(Answer.survey_id, Survey.scale, Answer.score)
    )
    found: dict[int, Counted] = {}
    for survey_id, scale, score, count in rows:
        was = found.get(survey_id, Counted(0, Scores()))
        low = count if SCALES[scale].is_low(score) else 0
        scores = Scores(count, low, score * count) if score is not None else Scores()
        found[survey_id] = Counted(was.comments + count, was.scores + scores)
    return found


def all_answers(session: Session, surveys: dict[int, Survey], since: datetime) -> dict[int | None, Counted]:
    """All answers from a day on, by survey, for some surveys; None for those to any, of which the comments count."""
    found: dict[int | None, Counted] = {id: Counted(0, Scores()) for id in (None, *surveys)}
    for tally in tallies(session, since=since.date()):
        found[None] = Counted(found[None].comments + tally.heard, Scores())
        survey = surveys.get(tally.survey_id)
        if survey is not None:
            was, scores = found[survey.id], Scores()
            if tally.score is not None:
                low = tally.answers if SCALES[survey.scale].is_low(tally.score) else 0
                scores = Scores(tally.answers, low, tally.score * tally.answers)
            found[survey.id] = Counted(was.comments + tally.heard, was.scores + scores)
    return found


def origins(
    session: Session, since: datetime, now: datetime, complaint: Complaint | None = None
) -> tuple[list[Origin], datetime | None]:
    """Where the newest answers with a comment came from: those that raised a complaint, or all.

    Returns:
        They, and the oldest of them if there are more than were read.
    """
    query = (
        select(Statement.answer_id, Statement.said_at, Statement.language, Answer.context)
        .join(Answer, Answer.id == Statement.answer_id)
        .where(Statement.said_at > since, Statement.said_at <= now)
        .order_by(Statement.said_at.desc())
        .limit(SAMPLE)
    )
    query = query.where(Statement.position == 0 if complaint is None else Statement.complaint_id == complaint.id)
    rows = session.execute(query).all()
    of_answer = {row.answer_id: Origin(row.language, row.context or {}) for row in rows}
    return list(of_answer.values()), rows[-1].said_at if len(rows) == SAMPLE else None


def surveys_of(session: Session, said: dict[int, Counted]) -> dict[int, Survey]:
    """The surveys in which most people said it, most first."""
    wanted = sorted(said, key=lambda id: (-said[id].comments, id))[:PLACES]
    rows = {row.id: row for row in session.scalars(select(Survey).where(Survey.id.in_(wanted)))} if wanted else {}
    return {id: rows[id] for id in wanted}


def pace(weeks: Trend, first_said_at: datetime | None) -> str:
    """The last seven days against what is usual, in words. Small differences are no difference."""
    if first_said_at is None:
        return "Nobody says this any more."
    recent = weeks.recent
    times = {0: "Not said", 1: "Said once", 2: "Said twice"}.get(recent, f"Said {recent:,} times")
    before = [week.statements for week in weeks.weeks[-1 - USUAL_WEEKS : -1] if week.start >= first_said_at]
    if not before:
        return f"{times} in the last seven days: too new to know what is usual."
    usual = sum(before) / len(before)
    if usual == 0:
        return f"{times} in the last seven days, {'not at all' if recent else 'nor'} in the weeks before."
    return f"{times} in the last seven days, {compare(recent, usual)} ({usual_of(usual)} in the weeks before)."


def compare(recent: int, usual: float) -> str:
    """How a week stands to a usual one."""
    if abs(recent - usual) < 2 * math.sqrt(max(usual, 1)):
        return "about as often as usual"
    ratio = recent / usual
    if ratio >= 1.75:
        times = math.floor(ratio + 0.5)
        return "twice as often as usual" if times == 2 else f"{times:,} times as often as usual"
    if ratio >= 1.25:
        return "more often than usual"
    if ratio > 0.8:
        return "about as often as usual"
    return "less often than usual" if ratio > 0.4 else "much less often than usual"


def usual_of(a_week: float) -> str:
    """`14 a week`, `less than 1 a week`."""
    return f"{math.floor(a_week + 0.5):,} a week" if a_week >= 1 else "less than 1 a week"


def impacts(
    surveys: dict[int, Survey], said: dict[int, Counted], heard: dict[int | None, Counted]
) -> tuple[list[Impact], int]:
    """What a complaint does to the scores of the surveys in which most people said it.

    Returns:
        The first few surveys, and how many there are beside them.
    """
    shown = [
        Impact(survey, SCALES[survey.scale], said[id].scores, heard[id].scores - said[id].scores)
        for id, survey in surveys.items()
        if said[id].scores.answers
    ][:SURVEYS]
    return shown, sum(bool(counted.scores.answers) for counted in said.values()) - len(shown)


def by_survey(surveys: dict[int, Survey], said: dict[int, Counted], heard: dict[int | None, Counted]) -> Places:
    """The surveys a complaint comes from. Nothing is sampled here."""
    mine = sum(counted.comments for counted in said.values())
    rows = [
        Place(survey.name, said[id].comments, max(heard[id].comments, said[id].comments), survey.slug)
        for id, survey in surveys.items()
    ]
    return Places(rows, len(said) - len(rows), mine, max(heard[None].comments, mine), False)


def running_spike(session: Session, complaint: Complaint) -> Spike | None:
    """The alert of a complaint that is said unusually often just now."""
    return session.scalar(
        select(Spike).where(Spike.complaint_id == complaint.id, Spike.state == SpikeState.RUNNING).limit(1)
    )


def alerts(session: Session, complaint: Complaint) -> list[Spike]:
    """The latest alerts of a complaint, newest first."""
    return list(
        session.scalars(select(Spike).where(Spike.complaint_id == complaint.id).order_by(Spike.id.desc()).limit(ALERTS))
    )
