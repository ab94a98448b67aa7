"""Named reads of complaints and statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, ScalarSelect, Select, Subquery, case, func, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from feedback_loop.complaints.models import Complaint, Refine, RefineState, Statement
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey
from feedback_loop.web.paging import Page, offset

WEEK = timedelta(days=7)
WEEKS = 12
LEAST_GROWTH = 3  # statements a week from which growth is more than chance
STATEMENTS_A_PAGE = 20
TWINS = 6  # so many statements are looked at for each one with words of its own
MERGES = 20  # a chain of merges longer than this is broken
MOST_CENTRAL = (Statement.is_exemplar.desc(), Statement.confidence.desc().nulls_last(), Statement.id.desc())
# The condition of the partial index ix_statements_pool, letter by letter: a database uses such an index only where it
# sees at planning time that the query implies it, which it cannot with bound values.
IN_POOL = text("statements.complaint_id IS NULL AND statements.role = 'main' AND statements.kind = 'problem'")


class Tab(StrEnum):
    """Which statements of a complaint come first."""

    CENTRAL = "central"
    NEWEST = "newest"
    BORDERLINE = "borderline"


@dataclass(frozen=True)
class Week:
    """Statements of seven days."""

    start: datetime
    end: datetime
    statements: int


@dataclass(frozen=True)
class Trend:
    """How often something was said of late."""

    weeks: Sequence[Week]

    @property
    def recent(self) -> int:
        """In the last seven days."""
        return self.weeks[-1].statements

    @property
    def before(self) -> int:
        """In the seven days before those."""
        return self.weeks[-2].statements

    @property
    def is_growing(self) -> bool:
        """Whether it is said more often than before, and not by chance."""
        return is_growing(self.recent, self.before)

    @property
    def most(self) -> int:
        """In the fullest week."""
        return max(week.statements for week in self.weeks)


@dataclass(frozen=True)
class Source:
    """How many statements came from one survey."""

    survey: str
    slug: str
    statements: int


def is_growing(recent: int, before: int) -> bool:
    """Whether a complaint grows: said more often in the last seven days than in the seven before, and not by chance."""
    return recent > before and recent >= LEAST_GROWTH


def growing(recent: ColumnElement[int], before: ColumnElement[int]) -> ColumnElement[bool]:
    """`is_growing` as a condition."""
    return (recent > before) & (recent >= LEAST_GROWTH)


def growth(now: datetime) -> Subquery:
    """For each complaint said at all in the last two weeks: `recent` (last 7 days) and `before` (the 7 days before)."""
    return (
        select(
            Statement.complaint_id,
            func.sum(case((Statement.said_at > now - WEEK, 1), else_=0)).label("recent"),
            func.sum(case((Statement.said_at <= now - WEEK, 1), else_=0)).label("before"),
        )
        .where(Statement.said_at > now - 2 * WEEK, Statement.said_at <= now, Statement.complaint_id.is_not(None))
        .group_by(Statement.complaint_id)
        .subquery("growth")
    )


def complaint_by_number(session: Session, number: int) -> Complaint | None:
    """The complaint C-`number`, or None."""
    return session.get(Complaint, number)


def surviving(session: Session, complaint: Complaint) -> Complaint:
    """The complaint into which this one was merged in the end; itself if it was not."""
    for _ in range(MERGES):
        if complaint.merged_into_id is None:
            break
        complaint = session.get_one(Complaint, complaint.merged_into_id)
    return complaint


def times_said(complaint_id: int | InstrumentedAttribute[int], *when: ColumnElement[bool]) -> ScalarSelect[int]:
    """How often a complaint was said, as a column to select.

    One for each span of time: each counts a stretch of the index `ix_statements_complaint_id` and touches no row, which
    is many times faster on SQLite than one pass with a condition for each span, or than grouping.
    """
    return (
        select(func.count()).select_from(Statement).where(Statement.complaint_id == complaint_id, *when)
    ).scalar_subquery()


def trend(session: Session, complaint: Complaint, now: datetime) -> Trend:
    """The last twelve weeks of a complaint, oldest first, the last one ending now."""
    starts = [now - (WEEKS - index) * WEEK for index in range(WEEKS)]
    row = session.execute(
        select(
            *(
                times_said(complaint.id, Statement.said_at > start, Statement.said_at <= start + WEEK)
                for start in starts
            )
        )
    ).one()
    return Trend([Week(start, start + WEEK, count) for start, count in zip(starts, row, strict=True)])


def sources(session: Session, complaint: Complaint) -> list[Source]:
    """The surveys a complaint's statements came from, the one with most first."""
    count = func.count().label("statements")
    rows = session.execute(
        select(Survey.name, Survey.slug, count)
        .join(Answer, Answer.survey_id == Survey.id)
        .join(Statement, Statement.answer_id == Answer.id)
        .where(Statement.complaint_id == complaint.id)
        .group_by(Survey.id, Survey.name, Survey.slug)
        .order_by(count.desc(), Survey.name)
    )
    return [Source(*row) for row in rows]


def with_origin(query: Select[Statement]) -> Select[Statement]:
    """Fetch each statement's answer and survey with it."""
    return query.options(joinedload(Statement.answer).joinedload(Answer.survey))


def statements(session: Session, complaint: Complaint, tab: Tab, page: int) -> Page[Statement]:
    """A page of a complaint's statements."""
    order = {
        Tab.CENTRAL: MOST_CENTRAL,
        Tab.NEWEST: (Statement.said_at.desc(), Statement.id.desc()),
        Tab.BORDERLINE: (Statement.confidence.asc().nulls_last(), Statement.id.desc()),
    }[tab]
    of_complaint = select(Statement).where(Statement.complaint_id == complaint.id)
    rows = session.scalars(
        with_origin(of_complaint).order_by(*order).offset(offset(page, STATEMENTS_A_PAGE)).limit(STATEMENTS_A_PAGE)
    ).all()
    return Page(rows, page, STATEMENTS_A_PAGE, complaint.statement_count)


def telling(session: Session, complaint_id: int, limit: int = 3) -> list[Statement]:
    """The statements that stand for a complaint best, no two with the same words."""
    rows = session.scalars(
        with_origin(select(Statement))
        .where(Statement.complaint_id == complaint_id)
        .order_by(*MOST_CENTRAL)
        .limit(limit * TWINS)
    )
    different: dict[str, Statement] = {}
    for row in rows:
        different.setdefault(row.text.casefold(), row)
    return list(different.values())[:limit]


def pool(session: Session, page: int) -> Page[Statement]:
    """A page of the statements that are in no complaint yet, newest first."""
    rows = session.scalars(
        with_origin(select(Statement))
        .where(IN_POOL)
        .order_by(Statement.said_at.desc())
        .offset(offset(page, STATEMENTS_A_PAGE))
        .limit(STATEMENTS_A_PAGE)
    ).all()
    return Page(rows, page, STATEMENTS_A_PAGE, pool_size(session))


def pool_size(session: Session) -> int:
    """How many statements are in no complaint yet."""
    return session.scalar(select(func.count()).select_from(Statement).where(IN_POOL)) or 0


def last_refine(session: Session) -> Refine | None:
    """The newest refine that came to its end."""
    return session.scalar(select(Refine).where(Refine.state == RefineState.DONE).order_by(Refine.id.desc()).limit(1))
