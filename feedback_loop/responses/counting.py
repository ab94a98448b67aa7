"""Answers in numbers, without counting a million of them: whole days are counted once, by the worker, and kept.

The sums are exact at any moment. The database marks a counted day as stale when an answer of it comes, changes or goes
(migration 0017); these and other days that are not counted, the newest two always, are counted where they are asked
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import InstrumentedAttribute, Session

from feedback_loop.clock import day_of
from feedback_loop.db import Sessions, gave_way, keep_writers_out, reading
from feedback_loop.responses.models import Answer, AnswerCount, CountedDay, StaleDay

DAY = timedelta(days=1)
FRESH = 2  # days at the end that are never kept: answers still come
NO_SCORE = -1
CHECK = 0  # stands where the id of a survey does, and is none
ATTEMPTS = 3  # to find the counted days unchanged by others; then everything is counted from the answers
MOST_GAPS = 20  # more stretches of days that are not counted are counted as one
Gap = tuple[date | None, date | None]
# The condition of the partial index ix_answers_heard, letter by letter.
HEARD = text("answers.comment <> '' AND answers.analysed_at IS NOT NULL")


@dataclass(frozen=True)
class Tally:
    """Answers to one survey with one score.

    Attributes:
        score: None for those without one.
        answers: All of them.
        with_words: Those with a comment, also one that still waits to be redacted.
        heard: Those with a comment that has been analysed.
    """

    survey_id: int
    score: int | None
    answers: int
    with_words: int
    heard: int


def start_of(day: date) -> datetime:
    """Its first moment, by UTC."""
    return datetime.combine(day, time(), UTC)


def sums() -> tuple[ColumnElement[int], ...]:
    """All answers, those with words, and those whose words were analysed."""
    heard = (Answer.comment != "") & Answer.analysed_at.is_not(None)
    return (
        func.count(),
        func.coalesce(func.sum(case((Answer.comment == "", 0), else_=1)), 0),
        func.coalesce(func.sum(case((heard, 1), else_=0)), 0),
    )


def tallies(session: Session, survey_id: int | None = None, since: date | None = None) -> list[Tally]:
    """Answers by survey and score.

    Args:
        session: Any session.
        survey_id: Only of this one.
        since: Only those from this day on, by UTC.
    """
    for _ in range(ATTEMPTS):
        wanted = [] if since is None else [CountedDay.day >= since]
        counted = session.scalars(select(CountedDay.day).where(holds(CountedDay.day), *wanted).order_by(CountedDay.day))
        days = counted.all()
        open_ = gaps(days, since)
        if len(open_) > MOST_GAPS:
            break
        # By the moment and for all surveys: a stretch of days is short, a survey is not, and SQLite would go by that.
        live = by_score().where(or_(*(answered_within(*gap) for gap in open_)))
        # All in one statement, which sees one state of the database, also on PostgreSQL: else what somebody else
        # commits in between would be missing, or there twice.
        rows = session.execute(union_all(check(open_, since), kept(survey_id, since), live)).all()
        control = next(row for row in rows if row[0] == CHECK)
        if control[2] == len(days) and control[3] == 0:
            return added([row for row in rows if survey_id in (None, row[0]) and row is not control])
    live = by_score()
    if survey_id is not None:
        live = live.where(Answer.survey_id == survey_id)
    if since is not None:
        live = live.where(Answer.answered_at >= start_of(since))
    return added(session.execute(live).all())


def heard_between(session: Session, moments: Sequence[datetime]) -> list[int]:
    """How many answers have words that were analysed, after each of some moments until the next, that one included.

    Whole days that hold are added up, only what is left at their ends is counted. The two are read one after the other:
    an answer that others move meanwhile may count in both, which is none too many for a share.

    Args:
        session: Any session.
        moments: The earliest first.
    """
    edges = [moment + timedelta.resolution for moment in moments]  # so that each stretch holds its start, not its end
    rows = session.execute(
        select(AnswerCount.day, func.sum(AnswerCount.heard))
        .where(AnswerCount.day >= day_of(edges[0]).date(), AnswerCount.day <= day_of(edges[-1]).date())
        .where(holds(AnswerCount.day))
        .group_by(AnswerCount.day)
        .order_by(AnswerCount.day)
    )
    days = [(start_of(day), start_of(day + DAY), heard) for day, heard in rows]
    found = [0] * (len(edges) - 1)
    counts: list[tuple[int, ScalarSelect[int]]] = []
    for place, (start, end) in enumerate(pairwise(edges)):
        begin = start
        for first, after, heard in days:
            if start <= first and after <= end:
                found[place] += heard
                if begin < first:
                    counts.append((place, heard_within(begin, first)))
                begin = after
        if begin < end:
            counts.append((place, heard_within(begin, end)))
    for (place, _), number in zip(counts, session.execute(select(*(count for _, count in counts))).one(), strict=True):
        found[place] += number
    return found


def heard_within(start: datetime, end: datetime) -> ScalarSelect[int]:
    """How many answers of a stretch of time have words that were analysed, as a column to select."""
    return (
        select(func.count())
        .select_from(Answer)
        .where(HEARD, Answer.answered_at >= start, Answer.answered_at < end)
        .scalar_subquery()
    )


def by_score() -> Select[*tuple[Any, ...]]:
    """Sums of answers by survey and score, from the answers."""
    return select(Answer.survey_id, Answer.score, *sums()).group_by(Answer.survey_id, Answer.score)


def kept(survey_id: int | None, since: date | None) -> Select[*tuple[Any, ...]]:
    """Sums of answers by survey and score, from what was counted."""
    query = select(
        AnswerCount.survey_id,
        AnswerCount.score,
        func.sum(AnswerCount.answers),
        func.sum(AnswerCount.with_words),
        func.sum(AnswerCount.heard),
    ).group_by(AnswerCount.survey_id, AnswerCount.score)
    query = query.where(holds(AnswerCount.day))
    if survey_id is not None:
        query = query.where(AnswerCount.survey_id == survey_id)
    return query if since is None else query.where(AnswerCount.day >= since)


def check(open_: Sequence[Gap], since: date | None) -> Select[*tuple[Any, ...]]:
    """A row like those of sums that tells which days are counted: how many, and how many of them within gaps."""
    within = or_(
        *(
            (CountedDay.day >= (first or date.min)) & (CountedDay.day < after if after else true())
            for first, after in open_
        )
    )
    mark: ColumnElement[int] = literal_column(str(CHECK))
    zero: ColumnElement[int] = literal_column("0")
    stray = func.coalesce(func.sum(case((within, 1), else_=0)), 0)
    query = select(mark, zero, func.count(), stray, zero).select_from(CountedDay).where(holds(CountedDay.day))
    return query if since is None else query.where(CountedDay.day >= since)


def holds(day: InstrumentedAttribute[date]) -> ColumnElement[bool]:
    """Whether what was counted of a day is true still."""
    return day.not_in(select(StaleDay.day))


def added(rows: Sequence[Any]) -> list[Tally]:
    """Rows of survey, score and numbers, those of the same survey and score added up."""
    found: dict[tuple[int, int | None], list[int]] = {}
    for id, score, *numbers in rows:
        total = found.setdefault((id, None if score == NO_SCORE else score), [0, 0, 0])
        for place, number in enumerate(numbers):
            total[place] += number
    return [Tally(id, score, *numbers) for (id, score), numbers in found.items()]


def answered_within(first: date | None, after: date | None) -> ColumnElement[bool]:
    """Whether an answer was given from one day on until before another; None for as early or late as there is."""
    # An end for each, so that SQLite sees a stretch of the index in each of several conditions.
    start = Answer.answered_at >= (start_of(first) if first else datetime(1, 1, 2, tzinfo=UTC))
    return start & (Answer.answered_at < (start_of(after) if after else datetime(9999, 1, 1, tzinfo=UTC)))


def gaps(counted: Sequence[date], since: date | None) -> list[Gap]:
    """The stretches of days that are not counted: the first day of each, and the first one after it.

    Args:
        counted: Days that are, the earliest first.
        since: From which day on; None for all days.
    """
    found: list[Gap] = []
    begin = since
    for day in counted:
        if begin is None or begin < day:
            found.append((begin, day))
        begin = day + DAY
    return [*found, (begin, None)]


def next_day(session: Session, after: date | None, now: datetime) -> date | None:
    """The first day that is to be counted; None where all are.

    A day waits while an answer of it has yet to be redacted: that will change it at once. A stale one is due even if
    it has no answers any more.

    Args:
        session: Any session.
        after: Only later ones; None for any.
        now: The present moment.
    """
    end = now.astimezone(UTC).date() - (FRESH - 1) * DAY
    later = [] if after is None else [StaleDay.day > after]
    stale = session.scalar(select(func.min(StaleDay.day)).where(StaleDay.day < end, *later))
    holding = session.scalars(select(CountedDay.day).where(holds(CountedDay.day)).order_by(CountedDay.day)).all()
    for first, until in gaps(holding, None):
        begin = max((day for day in (first, after and after + DAY) if day), default=None)
        stop = min(until or end, end)
        earliest = session.scalar(select(func.min(Answer.answered_at)).where(answered_within(begin, stop)))
        if earliest is not None:
            found = earliest.astimezone(UTC).date()
            return found if stale is None else min(found, stale)
    return stale


def count_day(session: Session, day: date) -> bool:
    """Count the answers of a day and keep that.

    Args:
        session: A session that writes; commit soon, nobody can answer meanwhile.
        day: By UTC; one that is over for a while.

    Returns:
        Whether it could be: an answer may have yet to be redacted.
    """
    keep_writers_out(session, Answer)  # else what changes meanwhile would be missing for good
    of_day = answered_within(day, day + DAY)
    if session.scalar(select(Answer.id).where(of_day, Answer.redacted_at.is_(None)).limit(1)) is not None:
        return False
    if session.scalar(select(CountedDay.day).where(CountedDay.day == day, holds(CountedDay.day))) is not None:
        return True
    session.execute(delete(CountedDay).where(CountedDay.day == day))  # and what was counted, and that it is stale
    rows = session.execute(
        select(Answer.survey_id, Answer.score, *sums()).where(of_day).group_by(Answer.survey_id, Answer.score)
    ).all()
    session.add(CountedDay(day=day))
    session.flush()
    session.add_all(
        AnswerCount(
            survey_id=row.survey_id,
            day=day,
            score=NO_SCORE if row.score is None else row.score,
            answers=row[2],
            with_words=row[3],
            heard=row[4],
        )
        for row in rows
    )
    session.flush()
    return True


def count_days(sessions: Sessions, now: datetime) -> int:
    """Count the days that are not counted, each in a transaction of its own. Who writes answers for long goes first;
    the days wait for the next time.

    Returns:
        How many were counted.
    """
    count, day = 0, None
    while True:
        with reading(sessions) as session:
            day = next_day(session, day, now)
        if day is None:
            return count
        try:
            with sessions.begin() as session:
                count += count_day(session, day)
        except OperationalError as error:
            if not gave_way(error):
                raise
            return count
