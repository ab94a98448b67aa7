"""Which comments speak of several problems, looked at again in a refine: read first, decided without a transaction.

Only worker code imports this module: it needs the arrays of `analysis/`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.analysis.assignment import Exemplars, place_parts
from feedback_loop.analysis.discovery import Discovery
from feedback_loop.analysis.embedding.embedder import Embedder
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.complaints import vectors
from feedback_loop.complaints.models import Placed, Refine, RefineState, Statement, StatementRole, Vector
from feedback_loop.complaints.service.known import Known

CHUNK = 500
CELLS = 8_000_000  # similarities held at once


@dataclass(frozen=True)
class Parts:
    """The parts of comments in the window that no person placed: n of them.

    Attributes:
        whole: (n,) row of each part's whole comment in `Known`.
        current: (n,) complaint of each, 0 for none.
        seen: Id of the newest statement that the last refine looked at.
    """

    ids: NDArray[np.int64]
    whole: NDArray[np.int64]
    vectors: NDArray[np.float32]
    current: NDArray[np.int64]
    seen: int


@dataclass(frozen=True)
class Decided:
    """Where a statement is to go: a complaint, a new group (negative), or 0 for nowhere; and where it was."""

    statement_id: int
    was: int
    group: int
    confidence: float
    reason: str


def read_parts(session: Session, known: Known, embedder: Embedder) -> Parts:
    """Read the parts of the comments that a refine looks at."""
    by_hand = Statement.kept_out | (func.coalesce(Statement.placed, "") == Placed.PERSON.value)
    rows = session.execute(
        select(Statement.id, Statement.answer_id, Statement.complaint_id, Vector.data)
        .join(Vector, Vector.id == Statement.vector_id)
        .where(
            Statement.role == StatementRole.PART,
            Statement.id >= known.oldest,
            ~by_hand,
            Vector.model == embedder.name,
        )
        .order_by(Statement.id)
    ).all()
    at = {id: row for row, id in enumerate(known.ids.tolist())}
    answers = sorted({row.answer_id for row in rows})
    whole_of: dict[int, int] = {}
    for start in range(0, len(answers), CHUNK):
        for answer_id, id in session.execute(
            select(Statement.answer_id, Statement.id).where(
                Statement.answer_id.in_(answers[start : start + CHUNK]), Statement.position == 0
            )
        ):
            if id in at:
                whole_of[answer_id] = at[id]
    rows = [row for row in rows if row.answer_id in whole_of]
    seen = session.scalar(select(func.max(Refine.last_statement_id)).where(Refine.state == RefineState.DONE))
    return Parts(
        np.array([row.id for row in rows], dtype=np.int64),
        np.array([whole_of[row.answer_id] for row in rows], dtype=np.int64),
        vectors.unpack([row.data for row in rows], embedder.dimensions),
        np.array([row.complaint_id or 0 for row in rows], dtype=np.int64),
        seen or 0,
    )


def decide_parts(known: Known, found: Discovery, parts: Parts, thresholds: Thresholds) -> list[Decided]:
    """Decide which comments speak of several problems, and which part says so.

    Looked at are parts that are new, whose whole comment or own complaint has changed, or that come near to a complaint
    that is new; the others were decided before, against the same complaints.
    """
    rows = np.flatnonzero(worth_a_look(known, found, parts, thresholds))
    if not len(rows):
        return []
    # All parts of a comment are decided together.
    rows = np.flatnonzero(np.isin(parts.whole, parts.whole[rows]))
    wholes, comment = np.unique(parts.whole[rows], return_inverse=True)
    exemplars = exemplars_of(known, found)
    # A comment that has a complaint was looked at when it came in.
    free = ~known.constraints.fixed & (known.current == 0)
    own = found.complaint[wholes]
    of_parts, moved = place_parts(
        known.vectors[wholes], parts.vectors[rows], comment.ravel(), own, exemplars, thresholds, free[wholes]
    )
    decided = [
        Decided(int(parts.ids[row]), int(parts.current[row]), part.complaint_id or 0, part.confidence, part.reason)
        for row, part in zip(rows.tolist(), of_parts, strict=True)
    ]
    decided += [
        Decided(int(known.ids[wholes[at]]), int(own[at]), whole.complaint_id or 0, whole.confidence, whole.reason)
        for at, whole in moved.items()
    ]
    return [each for each in decided if each.was != each.group]


def exemplars_of(known: Known, found: Discovery, only_new: bool = False) -> Exemplars:
    """The statements that stand for the groups found, or for the new ones."""
    groups = {group: rows for group, rows in found.exemplars.items() if group < 0 or not only_new}
    at = np.concatenate(list(groups.values())) if groups else np.zeros(0, dtype=np.int64)
    return Exemplars(known.vectors[at], found.complaint[at], known.ids[at])


def worth_a_look(known: Known, found: Discovery, parts: Parts, thresholds: Thresholds) -> NDArray[np.bool_]:
    """(n,) which parts may have to be placed otherwise than they are."""
    changed = found.complaint[parts.whole] != known.current[parts.whole]
    gone = (parts.current != 0) & ~np.isin(parts.current, found.complaint)
    look: NDArray[np.bool_] = (parts.ids > parts.seen) | changed | gone
    new = exemplars_of(known, found, only_new=True)
    if len(new.vectors):
        rest = np.flatnonzero(~look)
        chunk = max(1, CELLS // len(new.vectors))
        for start in range(0, len(rest), chunk):
            some = rest[start : start + chunk]
            look[some] = (parts.vectors[some] @ new.vectors.T).max(axis=1) >= thresholds.assign_cosine
    return look
