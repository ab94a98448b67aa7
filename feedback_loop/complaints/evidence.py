"""Named reads of what speaks for a complaint: how alike its statements are, its neighbours, what was corrected, and the
refines that found it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.complaints.models import (
    Complaint,
    ComplaintState,
    Correction,
    Draft,
    DraftState,
    Placed,
    Refine,
    RefineState,
    Statement,
    StatementKind,
)
from feedback_loop.complaints.queries import with_origin
from feedback_loop.web.paging import Page, offset

CORRECTIONS_A_PAGE = 30
REFINES_A_PAGE = 30
TARGETS = 100  # complaints offered as targets; any other is typed by number
ON_THE_MAP = 400  # the biggest; more would lie over each other
FEW = 5  # statements below which a complaint is a first sign
SETTLED = 0.9  # share of its statements that a settled complaint keeps
LOOSE = 0.2  # a complaint looser than four of five others


@dataclass(frozen=True)
class Neighbour:
    """A complaint that says something similar."""

    complaint: Complaint
    cosine: float


@dataclass(frozen=True)
class Standing:
    """How sure a complaint is.

    Attributes:
        word: `first sign`, `likely` or `clear`.
        reasons: Why, in sentences.
        tighter_than: Share of other complaints whose statements are less alike; None before the first refine.
    """

    word: str
    reasons: Sequence[str]
    tighter_than: float | None


@dataclass(frozen=True)
class Spot:
    """A complaint on the map. `x` and `y` from 0 to 1."""

    complaint: Complaint
    x: float
    y: float


def judge(statements: int, tighter_than: float | None, stability: float | None) -> Standing:
    """How sure a complaint is, in words: a pure decision.

    Args:
        statements: How many it has.
        tighter_than: Share of other complaints whose statements are less alike, 0 to 1.
        stability: Share of its statements that it kept in the last refine, 0 to 1.
    """
    if statements < FEW:
        reason = f"Only {statements} statement{'' if statements == 1 else 's'} so far: this may be chance."
        return Standing("first sign", [reason], tighter_than)
    reasons, doubts = [f"{statements:,} statements say it."], 0
    if tighter_than is not None:
        if tighter_than < LOOSE:
            doubts += 1
            reasons.append("They are less alike than those of most complaints: it may be two problems in one.")
        else:
            reasons.append("They are about as alike as those of other complaints, or more.")
    if stability is not None:
        if stability < SETTLED:
            doubts += 1
            reasons.append("It gave away many of its statements in the last refine: it has not settled yet.")
        else:
            reasons.append("It hardly changed in the last refine.")
    return Standing("likely" if doubts or stability is None else "clear", reasons, tighter_than)


def standing(session: Session, complaint: Complaint) -> Standing:
    """How sure a complaint is, compared with all others."""
    tighter_than = None
    if complaint.cohesion is not None:
        others = (
            Complaint.state == ComplaintState.ACTIVE,
            Complaint.cohesion.is_not(None),
            Complaint.id != complaint.id,
        )
        total, looser = session.execute(
            select(func.count(), func.count().filter(Complaint.cohesion < complaint.cohesion)).where(*others)
        ).one()
        tighter_than = looser / total if total else None
    return judge(complaint.statement_count, tighter_than, complaint.stability)


def neighbours(session: Session, complaint: Complaint) -> list[Neighbour]:
    """The complaints that say the most similar things, as the last refine found them; those that are gone left out."""
    near = {int(id): cosine for id, cosine in complaint.neighbours}
    rows = session.scalars(
        select(Complaint).where(Complaint.id.in_(near), Complaint.state == ComplaintState.ACTIVE)
    ).all()
    found = [Neighbour(row, near[row.id]) for row in rows if row.id != complaint.id]
    return sorted(found, key=lambda each: -each.cosine)


def said_alike(session: Session, complaint: Complaint, rows: Sequence[Statement]) -> dict[int, int]:
    """How many statements of a complaint have the very words of some of its statements, by vector."""
    vectors = {row.vector_id for row in rows if row.vector_id is not None}
    found = session.execute(
        select(Statement.vector_id, func.count())
        .where(Statement.vector_id.in_(vectors), Statement.complaint_id == complaint.id)
        .group_by(Statement.vector_id)
    )
    return {vector_id: count for vector_id, count in found if vector_id is not None}


def placed_next_to(session: Session, rows: Sequence[Statement]) -> dict[int, str]:
    """The words of the statements that some statements were placed next to, by id; those that are gone left out."""
    ids = {id for row in rows if row.placed == Placed.NEAREST for id in row.nearest}
    found = session.execute(select(Statement.id, Statement.text).where(Statement.id.in_(ids)))
    return {row.id: row.text for row in found}


def picked(session: Session, ids: Sequence[int]) -> list[Statement]:
    """Statements picked by hand, in the order of picking; those that are gone or no problems left out."""
    rows = session.scalars(
        with_origin(select(Statement))
        .options(joinedload(Statement.complaint))
        .where(Statement.id.in_(ids), Statement.kind == StatementKind.PROBLEM)
    ).all()
    found = {row.id: row for row in rows}
    return [found[id] for id in ids if id in found]


def possible_targets(session: Session, but_not: int | None) -> Sequence[Complaint]:
    """Complaints to move statements to or to merge with: the biggest."""
    query = select(Complaint).where(Complaint.state == ComplaintState.ACTIVE, Complaint.statement_count > 0)
    if but_not is not None:
        query = query.where(Complaint.id != but_not)
    people = Complaint.people_count + Complaint.anonymous_count
    return session.scalars(query.order_by(people.desc(), Complaint.id).limit(TARGETS)).all()


def corrections(
    session: Session, complaint: Complaint | None, page: int, size: int = CORRECTIONS_A_PAGE
) -> Page[Correction]:
    """A page of what people corrected, the newest first; of one complaint, or all."""
    conditions: list[Any] = [Draft.state == DraftState.APPLIED]
    if complaint is not None:
        conditions.append(or_(Correction.complaint_id == complaint.id, Correction.other_id == complaint.id))
    total = session.scalar(
        select(func.count()).select_from(Correction).join(Draft, Draft.id == Correction.draft_id).where(*conditions)
    )
    rows = session.scalars(
        select(Correction)
        .join(Draft, Draft.id == Correction.draft_id)
        .where(*conditions)
        .options(
            joinedload(Correction.draft).joinedload(Draft.by),
            joinedload(Correction.complaint),
            joinedload(Correction.other),
            joinedload(Correction.undone_by),
        )
        .order_by(Draft.applied_at.desc(), Correction.id.desc())
        .offset(offset(page, size))
        .limit(size)
    ).all()
    return Page(rows, page, size, total or 0)


def refines(session: Session, page: int) -> Page[Refine]:
    """A page of the refines, the newest first."""
    total = session.scalar(select(func.count()).select_from(Refine))
    rows = session.scalars(
        select(Refine).order_by(Refine.id.desc()).offset(offset(page, REFINES_A_PAGE)).limit(REFINES_A_PAGE)
    ).all()
    return Page(rows, page, REFINES_A_PAGE, total or 0)


def refine_by_id(session: Session, refine_id: int) -> Refine | None:
    """One refine, or None."""
    return session.get(Refine, refine_id)


def named_in(session: Session, changes: Mapping[str, Any]) -> dict[int, Complaint]:
    """The complaints that the changes of a refine speak of, by id."""
    ids = set(changes.get("new", []))
    ids |= {id for gone, into in changes.get("merged", []) for id in (gone, into)}
    ids |= {id for id, _old, _new in changes.get("renamed", [])}
    ids |= {id for one, two, _count in changes.get("moved", []) for id in (one, two)}
    return by_id(session, ids)


def by_id(session: Session, ids: Iterable[int]) -> dict[int, Complaint]:
    """Complaints by their id; those that are unknown left out."""
    rows = session.scalars(select(Complaint).where(Complaint.id.in_(sorted(ids)))).all()
    return {row.id: row for row in rows}


def spots(session: Session) -> list[Spot]:
    """The biggest complaints and where they lie on the map, the biggest first."""
    rows = session.scalars(
        select(Complaint)
        .where(
            Complaint.state == ComplaintState.ACTIVE,
            Complaint.statement_count > 0,
            Complaint.map_x.is_not(None),
            Complaint.map_y.is_not(None),
        )
        .order_by(Complaint.statement_count.desc(), Complaint.id)
        .limit(ON_THE_MAP)
    )
    return [Spot(row, row.map_x or 0.0, row.map_y or 0.0) for row in rows]


def failed_since(session: Session, last: Refine | None) -> Refine | None:
    """The newest refine that failed after the last one that did not, or None."""
    return session.scalar(
        select(Refine)
        .where(Refine.state == RefineState.FAILED, Refine.id > (last.id if last else 0))
        .order_by(Refine.id.desc())
        .limit(1)
    )
