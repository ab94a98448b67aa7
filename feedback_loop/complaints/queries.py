"""Named reads of complaints and statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, false, func, select, text, true
from sqlalchemy.orm import Session, joinedload

from feedback_loop.complaints.models import Complaint, Refine, RefineState, Statement, Weeks
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey
from feedback_loop.web.paging import Page, offset

WEEK = timedelta(days=7)
WEEKS = 12
LEAST_GROWTH = 3  # statements a week from which growth is more than chance
STATEMENTS_A_PAGE = 20
TWINS = 6  # so many statements are looked at for each one with words of its own
MERGES = 20  # a chain of merges longer than this is broken
SORTED = 500  # statements of a complaint that are sorted as a whole; those of bigger ones are read from indexes
MOST_CENTRAL = (Statement.is_exemplar.desc(), Statement.confidence.desc().nulls_last(), Statement.id.desc())
SOURCES_OF = 1000  # statements whose surveys are counted; the page says so where there are more
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


def growing(recent: Any, before: Any) -> ColumnElement[bool]:
    """`is_growing` as a condition."""
    # In this order: what is not said enough needs no look at the week before.
    return and_(recent >= LEAST_GROWTH, recent > before)


def said_lately(now: datetime, complaint_id: Any = Complaint.id) -> tuple[ScalarSelect[int], ScalarSelect[int]]:
    """How often each complaint was said in the last 7 days, and in the 7 days before, as columns to select."""
    return (
        times_said(complaint_id, Statement.said_at > now - WEEK, Statement.said_at <= now),
        times_said(complaint_id, Statement.said_at > now - 2 * WEEK, Statement.said_at <= now - WEEK),
    )


def grows() -> ColumnElement[bool]:
    """Whether a complaint grew when that was last counted."""
    return growing(Weeks.recent, Weeks.before)


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


def times_said(complaint_id: Any, *when: ColumnElement[bool]) -> ScalarSelect[int]:
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
    """The surveys a complaint's statements came from, the one with most first; of its newest `SOURCES_OF` statements
    where there are more."""
    count = func.count().label("statements")
    newest = (
        select(Statement.answer_id)
        .where(Statement.complaint_id == complaint.id)
        .order_by(Statement.said_at.desc())
        .limit(SOURCES_OF)
        .subquery()
    )
    rows = session.execute(
        select(Survey.name, Survey.slug, count)
        .select_from(newest)
        .join(Answer, Answer.id == newest.c.answer_id)
        .join(Survey, Survey.id == Answer.survey_id)
        .group_by(Survey.id, Survey.name, Survey.slug)
        .order_by(count.desc(), Survey.name)
    )
    return [Source(*row) for row in rows]


def with_origin(query: Select[Statement]) -> Select[Statement]:
    """Fetch each statement's answer and survey with it."""
    return query.options(joinedload(Statement.answer).joinedload(Answer.survey))


def stretch(
    session: Session, which: Sequence[ColumnElement[bool]], order: Sequence[Any], before: int, limit: int
) -> list[Statement]:
    """Some statements with their answers and surveys, in an order, from a place on.

    Their ids are read first, in an index as far as that goes: else all that stand before them would be looked up, too.
    """
    ids = select(Statement.id).where(*which).order_by(*order).offset(before).limit(limit).subquery()
    rows = with_origin(select(Statement).join(ids, ids.c.id == Statement.id)).order_by(*order)
    return list(session.scalars(rows))


def statements(session: Session, complaint: Complaint, tab: Tab, page: int) -> Page[Statement]:
    """A page of a complaint's statements."""
    before = offset(page, STATEMENTS_A_PAGE)
    if tab == Tab.NEWEST or complaint.statement_count <= SORTED:
        order = {
            Tab.CENTRAL: MOST_CENTRAL,
            Tab.NEWEST: (Statement.said_at.desc(), Statement.id.desc()),
            Tab.BORDERLINE: (Statement.confidence.asc().nulls_last(), Statement.id.desc()),
        }[tab]
        rows = stretch(session, [Statement.complaint_id == complaint.id], order, before, STATEMENTS_A_PAGE)
    else:
        rows = by_confidence(session, complaint.id, tab, before, STATEMENTS_A_PAGE)
    return Page(rows, page, STATEMENTS_A_PAGE, complaint.statement_count)


def exemplars(session: Session, complaint_id: int) -> list[Statement]:
    """The few statements that stand for a complaint, the surest first.

    Sorted here: asked to sort them, PostgreSQL goes through all statements of the complaint by confidence instead. The
    order that is asked for is that of `ix_statements_exemplars`; else SQLite reads them all by another index.
    """
    rows = session.scalars(
        with_origin(select(Statement))
        .where(Statement.complaint_id == complaint_id, Statement.is_exemplar == true())
        .order_by(Statement.vector_id)
    )
    return sorted(rows, key=lambda row: (row.confidence is None, -(row.confidence or 0.0), -row.id))


def by_confidence(session: Session, complaint_id: int, tab: Tab, before: int, limit: int) -> list[Statement]:
    """Statements of a complaint: the surest first, and before them those that stand for it; or the least sure first.

    Read in parts that come one after the other, so that each is a stretch of an index and none is sorted.

    Args:
        session: Any session.
        complaint_id: Of which complaint.
        tab: `CENTRAL` or `BORDERLINE`.
        before: How many come before those wanted.
        limit: At most so many.
    """
    rows: list[Statement] = []
    rest: list[ColumnElement[bool]] = [Statement.complaint_id == complaint_id]
    first = Statement.confidence.asc()
    if tab == Tab.CENTRAL:
        standing = exemplars(session, complaint_id)
        rows, before = standing[before : before + limit], max(0, before - len(standing))
        rest.append(Statement.is_exemplar == false())
        first = Statement.confidence.desc()
    for is_sure in (Statement.confidence.is_not(None), Statement.confidence.is_(None)):
        if len(rows) == limit:
            break
        found = stretch(session, [*rest, is_sure], [first, Statement.id.desc()], before, limit - len(rows))
        if before and not found:
            before -= session.scalar(select(func.count()).select_from(Statement).where(*rest, is_sure)) or 0
        else:
            before = 0
        rows += found
    return rows


def telling(session: Session, complaint: Complaint, limit: int = 3) -> list[Statement]:
    """The statements that stand for a complaint best, no two with the same words."""
    if complaint.statement_count <= SORTED:
        query = with_origin(select(Statement)).where(Statement.complaint_id == complaint.id).order_by(*MOST_CENTRAL)
        return different(session.scalars(query.limit(limit * TWINS)).all())[:limit]
    found = different(exemplars(session, complaint.id))
    if len(found) < limit:
        found = different(by_confidence(session, complaint.id, Tab.CENTRAL, 0, limit * TWINS))
    return found[:limit]


def different(rows: Sequence[Statement]) -> list[Statement]:
    """The first of those with the same words."""
    found: dict[str, Statement] = {}
    for row in rows:
        found.setdefault(row.text.casefold(), row)
    return list(found.values())


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


def pool_size(session: Session, up_to: int | None = None) -> int:
    """How many statements are in no complaint yet; counted no further than asked."""
    found = select(Statement.id).where(IN_POOL).limit(up_to)
    return session.scalar(select(func.count()).select_from(found.subquery())) or 0


def last_refine(session: Session) -> Refine | None:
    """The newest refine that came to its end."""
    return session.scalar(select(Refine).where(Refine.state == RefineState.DONE).order_by(Refine.id.desc()).limit(1))
