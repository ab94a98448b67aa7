"""How many statements complaints have before and after each correction of a draft."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from feedback_loop.complaints.models import Complaint, Correction, CorrectionKind, Statement, StatementKind


@dataclass(frozen=True)
class Size:
    """A complaint that grows or shrinks by a correction. `complaint` is None for one that is split off."""

    complaint: Complaint | None
    before: int
    after: int


@dataclass
class Picked:
    """A statement that a draft moves, and where it is once the corrections so far are applied."""

    id: int
    vector_id: int | None
    home: int | None


def sizes(session: Session, corrections: Sequence[Correction]) -> dict[int, list[Size]]:
    """What each correction does to the size of complaints, seen with those before it; reads twice, writes nothing.

    Args:
        corrections: Of one draft, those that are possible, in their order.

    Returns:
        By id of the correction, those that shrink first; corrections that change no size have no entry.
    """
    picked = picked_by(session, corrections)
    ids = {id for each in corrections for id in (each.complaint_id, each.other_id)} | {each.home for each in picked}
    complaints = {row.id: row for row in session.scalars(select(Complaint).where(Complaint.id.in_(ids - {None})))}
    counts = defaultdict(int, {id: each.statement_count for id, each in complaints.items()})
    found = {}
    for each in corrections:
        before = counts.copy()
        for home, target, count in moves(each, picked, counts):
            counts[home] -= count
            counts[target] += count
        changed = sorted(
            (id for id in counts if id and counts[id] != before[id]), key=lambda id: (counts[id] > before[id], id)
        )
        if changed:
            found[each.id] = [Size(complaints.get(id), before[id], counts[id]) for id in changed]
    return found


def picked_by(session: Session, corrections: Iterable[Correction]) -> list[Picked]:
    """The statements that corrections name, and those with the same words."""
    ids = {id for each in corrections for id in each.statement_ids}
    if not ids:
        return []
    columns = select(Statement.id, Statement.vector_id, Statement.complaint_id)
    vectors = select(Statement.vector_id).where(Statement.id.in_(ids))
    # Two lists rather than a condition with "or", with which PostgreSQL goes through all statements.
    rows = session.execute(
        union(
            columns.where(Statement.id.in_(ids)),
            columns.where(Statement.vector_id.in_(vectors), Statement.kind == StatementKind.PROBLEM),
        )
    )
    return [Picked(*row) for row in rows]


def moves(correction: Correction, picked: Sequence[Picked], counts: dict[int, int]) -> list[tuple[int, int, int]]:
    """From where to where a correction moves how many; 0 is no complaint, a negative number one that is split off.

    `picked` is changed: they are where the correction puts them.
    """
    own = correction.complaint_id or 0
    if correction.kind == CorrectionKind.MERGE:
        for each in picked:
            if each.home == own:
                each.home = correction.other_id
        return [(own, correction.other_id or 0, counts[own])]
    if correction.kind not in (CorrectionKind.SPLIT, CorrectionKind.MOVE):
        return []
    target = -correction.id if correction.kind == CorrectionKind.SPLIT else correction.other_id or 0
    named = set(correction.statement_ids)
    places = {(each.vector_id, each.home) for each in picked if each.id in named}
    found = []
    for each in picked:
        if each.id in named or (each.vector_id is not None and (each.vector_id, each.home) in places):
            found.append((each.home or 0, target, 1))
            each.home = target or None
    return found
