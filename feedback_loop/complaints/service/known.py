"""What a refine works on: the newest statements, those that stand for each complaint, and what people decided.

Only worker code imports this module: it needs the arrays of `analysis/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from feedback_loop.analysis.constraints import Constraints
from feedback_loop.analysis.embedding.embedder import Embedder
from feedback_loop.complaints import vectors
from feedback_loop.complaints.corrections import end_of, merged_into, read_rules, stamp
from feedback_loop.complaints.models import Placed, Refine, RefineState, Statement, StatementKind, StatementRole, Vector
from feedback_loop.db import Sessions, reading

WINDOW = 100_000  # statements that a refine looks at, beside those that stand for complaints: bounds time and memory
CHUNK = 500


@dataclass(frozen=True)
class Known:
    """The statements a refine works on: n whole comments that are problems, oldest first.

    Attributes:
        oldest: Id of the oldest statement of the window; older ones are here only to stand for their complaints.
        stamp: Changes when people correct something; compared before anything is written.
    """

    ids: NDArray[np.int64]
    texts: list[str]
    vectors: NDArray[np.float32]
    current: NDArray[np.int64]  # complaint of each, 0 for none
    confidence: NDArray[np.float32]
    exemplar: NDArray[np.bool_]
    constraints: Constraints
    oldest: int
    stamp: tuple[int, int]


def read_known(session: Session, embedder: Embedder, window: int = WINDOW) -> Known:
    """Read the newest whole comments that are problems, and the older ones that stand for complaints.

    Args:
        session: A session that reads.
        embedder: Whose vectors are wanted.
        window: How many of the newest.
    """
    whole = and_(Statement.role == StatementRole.MAIN, Statement.kind == StatementKind.PROBLEM)
    newest = select(Statement.id).where(whole).order_by(Statement.id.desc()).limit(window).subquery()
    oldest = session.scalar(select(func.min(newest.c.id))) or 0
    columns = select(
        Statement.id,
        Statement.text,
        Statement.vector_id,
        Vector.data,
        Statement.complaint_id,
        Statement.confidence,
        Statement.is_exemplar,
        Statement.placed,
        Statement.kept_out,
    ).join(Vector, Vector.id == Statement.vector_id)
    of_model = Vector.model == embedder.name
    older = columns.where(whole, of_model, Statement.is_exemplar, Statement.id < oldest).order_by(Statement.id)
    newer = columns.where(whole, of_model, Statement.id >= oldest).order_by(Statement.id)
    rows = [*session.execute(older), *session.execute(newer)]
    into = merged_into(session)
    current = np.array([end_of(row.complaint_id or 0, into) for row in rows], dtype=np.int64)
    rules = read_rules(session)
    with_fixed = select(Statement.complaint_id).where(Statement.placed == Placed.PERSON).distinct()
    kept = rules.kept | {end_of(id, into) for id in session.scalars(with_fixed) if id is not None}
    return Known(
        np.array([row.id for row in rows], dtype=np.int64),
        [row.text for row in rows],
        vectors.unpack([row.data for row in rows], embedder.dimensions),
        current,
        np.array([row.confidence or 0.0 for row in rows], dtype=np.float32),
        np.array([row.is_exemplar for row in rows], dtype=np.bool_),
        Constraints(
            decided_rows(
                [row.vector_id for row in rows],
                current,
                [row.placed == Placed.PERSON or row.kept_out for row in rows],
                by_vector(session, into),
                rules.dismissed,
            ),
            rules.held,
            frozenset(kept),
            rules.apart,
        ),
        oldest,
        stamp(session),
    )


def by_vector(session: Session, into: dict[int, int]) -> set[tuple[int, int]]:
    """Which words people put into which complaint (0: into none), also long ago: pairs of vector and complaint."""
    placed = select(Statement.vector_id, Statement.complaint_id).where(Statement.placed == Placed.PERSON).distinct()
    pairs = {(row.vector_id or 0, end_of(row.complaint_id or 0, into)) for row in session.execute(placed)}
    out = session.scalars(select(Statement.vector_id).where(Statement.kept_out).distinct())
    return pairs | {(vector_id or 0, 0) for vector_id in out}


def decided_rows(
    vector_ids: Sequence[int],
    current: NDArray[np.int64],
    by_person: Sequence[bool],
    pairs: set[tuple[int, int]],
    dismissed: frozenset[int],
) -> NDArray[np.bool_]:
    """Rows that stay where they are: what a person placed, the same words in the same place, and what was dismissed.

    Args:
        vector_ids: n, equal for the same words.
        current: (n,) complaint of each row, 0 for none.
        by_person: n, whether a person placed the row.
        pairs: vector and complaint of all statements that people placed.
        dismissed: complaints that were dismissed.

    Returns:
        (n,) of bool.
    """
    places = zip(vector_ids, current.tolist(), by_person, strict=True)
    return np.array(
        [decided or (vector, home) in pairs or home in dismissed for vector, home, decided in places], dtype=np.bool_
    )


def embed_again(sessions: Sessions, embedder: Embedder, progress: Callable[[int], None] | None = None) -> int:
    """Give statements that have a vector of another model one of this model, so that complaints outlive the change.

    In batches of their own: broken off, it goes on where it was. Those that stand for complaints come first, so that
    new statements find their complaints again soon.

    Args:
        progress: Called after each batch with how many have been looked at.

    Returns:
        How many statements got another vector.
    """
    with reading(sessions) as session:
        last = session.scalar(
            select(Refine.model).where(Refine.state == RefineState.DONE).order_by(Refine.id.desc()).limit(1)
        )
    if last in (None, embedder.name):  # no model but this one since the last time
        return 0
    done = 0
    for only in ([Statement.is_exemplar], []):
        after = 0
        while True:
            with reading(sessions) as session:
                rows = session.execute(
                    select(Statement.id, Statement.text)
                    .join(Vector, Vector.id == Statement.vector_id)
                    .where(Vector.model != embedder.name, Statement.id > after, *only)
                    .order_by(Statement.id)
                    .limit(CHUNK)
                ).all()
                hashes = {row.id: vectors.hash_text(row.text) for row in rows}
                stored = vectors.known(session, hashes.values(), embedder.name)
            if not rows:
                break
            after = rows[-1].id
            done += len(rows)
            fresh = {hashes[row.id]: row.text for row in rows if hashes[row.id] not in stored}
            made = dict(zip(fresh, embedder.encode(list(fresh.values())), strict=True)) if fresh else {}
            with sessions.begin() as session:
                vectors.store(session, made, embedder.name)
                ids = vectors.ids(session, hashes.values(), embedder.name)
                table = Statement.__table__
                session.connection().execute(
                    update(table)  # type: ignore[arg-type]
                    .where(table.c.id == bindparam("key"))
                    .values(vector_id=bindparam("vector")),
                    [{"key": key, "vector": ids[text_hash]} for key, text_hash in hashes.items()],
                )
            if progress:
                progress(done)
    with sessions.begin() as session:
        used = select(Statement.id).where(Statement.vector_id == Vector.id).exists()
        session.execute(delete(Vector).where(Vector.model != embedder.name, ~used))
    return done
