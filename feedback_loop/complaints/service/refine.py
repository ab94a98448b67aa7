"""Refining: looking at everything anew, with complaints that keep their numbers.

Reads, closes its transaction, computes, and writes in one transaction that is guarded against what happened meanwhile.
Only worker code imports this module: it needs the arrays and models of `analysis/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from feedback_loop.analysis.assignment import Exemplars, assign_parts
from feedback_loop.analysis.discovery import Discovery, discover
from feedback_loop.analysis.embedding import Embedder
from feedback_loop.complaints import vectors
from feedback_loop.complaints.due import LEAST_STATEMENTS
from feedback_loop.complaints.models import (
    Complaint,
    Placed,
    Refine,
    RefineState,
    Statement,
    StatementKind,
    StatementRole,
    Vector,
)
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.claims import give_back, prolonged, take_lease

REFINE = "refine"
LEASE = timedelta(minutes=2)
PROLONG = timedelta(seconds=30)
NAME_OVERLAP = 0.3  # below this share of common keywords the content has really moved, and the name follows
CONFIDENCE_STEP = 0.1  # smaller changes of confidence are not worth a write
CHUNK = 500
Clock = Callable[[], datetime]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Known:
    """The statements a refine works on: n whole comments that are problems."""

    ids: NDArray[np.int64]
    texts: list[str]
    vectors: NDArray[np.float32]
    current: NDArray[np.int64]  # complaint of each, 0 for none
    confidence: NDArray[np.float32]
    exemplar: NDArray[np.bool_]


class RefineRunning(RuntimeError):
    """Another process is refining just now."""


def refine(
    sessions: Sessions, embedder: Embedder, clock: Clock, seed: int = 1, progress: Progress | None = None
) -> Refine | None:
    """Look at everything anew: find new complaints and let statements move where they clearly belong elsewhere.

    Complaints keep their numbers. One refine runs at a time over all workers; one that breaks off changes nothing.

    Args:
        sessions: Maker of sessions.
        embedder: The model whose vectors are compared.
        clock: Called for the present moment.
        seed: For the clustering.
        progress: Called with a step in words and the share done, 0 to 1.

    Returns:
        The run, stored; None when there is too little to compare.

    Raises:
        RefineRunning: Another process holds the right to refine.
    """
    report = progress or (lambda _step, _share: None)
    started_at, timer = clock(), time.perf_counter()
    with sessions.begin() as session:
        if not take_lease(session, REFINE, started_at, LEASE):
            raise RefineRunning("A refine is running already; its result will appear by itself.")
    try:
        with prolonged(sessions, REFINE, clock, LEASE, PROLONG):
            report("Reading statements", 0.0)
            embed_again(sessions, embedder)
            with reading(sessions) as session:
                known = read_known(session, embedder)
            if len(known.ids) < LEAST_STATEMENTS:
                return None
            seconds = {"read": time.perf_counter() - timer}
            discovery = discover(known.texts, known.vectors, known.current, embedder.thresholds, seed, report)
        seconds.update(discovery.seconds)
        timer = time.perf_counter()
        report("Writing", 0.95)
        with sessions.begin() as session:
            if not take_lease(session, REFINE, clock(), LEASE):
                raise RefineRunning("This refine took too long and another one has begun; nothing was changed.")
            run = write_refine(session, known, discovery, embedder, clock())
            run.started_at, run.seed = started_at, seed
            seconds["write"] = time.perf_counter() - timer
            run.seconds = {name: round(value, 3) for name, value in seconds.items()}
            session.add(run)
        report("Done", 1.0)
        return run
    except RefineRunning:
        raise
    except Exception as error:
        with sessions.begin() as session:
            session.add(
                Refine(
                    state=RefineState.FAILED,
                    started_at=started_at,
                    finished_at=clock(),
                    model=embedder.name,
                    seed=seed,
                    seconds={},
                    versions=versions(),
                    message=f"{type(error).__name__}: {error}"[:2000],
                )
            )
        raise
    finally:
        with sessions.begin() as session:
            give_back(session, REFINE)


def embed_again(sessions: Sessions, embedder: Embedder) -> None:
    """Give statements that have a vector of another model one of this model, so that complaints outlive the change.

    In batches of their own: broken off, it goes on where it was.
    """
    while True:
        with reading(sessions) as session:
            rows = session.execute(
                select(Statement.id, Statement.text)
                .join(Vector, Vector.id == Statement.vector_id)
                .where(Vector.model != embedder.name)
                .order_by(Statement.id)
                .limit(CHUNK)
            ).all()
            hashes = {row.id: vectors.hash_text(row.text) for row in rows}
            stored = vectors.known(session, hashes.values(), embedder.name)
        if not rows:
            return
        fresh = {hashes[row.id]: row.text for row in rows if hashes[row.id] not in stored}
        made = dict(zip(fresh, embedder.encode(list(fresh.values())), strict=True)) if fresh else {}
        with sessions.begin() as session:
            vectors.store(session, made, embedder.name)
            ids = vectors.known(session, hashes.values(), embedder.name)
            table = Statement.__table__
            session.connection().execute(
                update(table)  # type: ignore[arg-type]
                .where(table.c.id == bindparam("key"))
                .values(vector_id=bindparam("vector")),
                [{"key": key, "vector": ids[text_hash][0]} for key, text_hash in hashes.items()],
            )


def read_known(session: Session, embedder: Embedder) -> Known:
    """Read every whole comment that is a problem and has a vector of this model."""
    rows = session.execute(
        select(
            Statement.id,
            Statement.text,
            Vector.data,
            Statement.complaint_id,
            Statement.confidence,
            Statement.is_exemplar,
        )
        .join(Vector, Vector.id == Statement.vector_id)
        .where(
            Statement.role == StatementRole.MAIN, Statement.kind == StatementKind.PROBLEM, Vector.model == embedder.name
        )
        .order_by(Statement.id)
    ).all()
    return Known(
        np.array([row.id for row in rows], dtype=np.int64),
        [row.text for row in rows],
        vectors.unpack([row.data for row in rows], embedder.dimensions),
        np.array([row.complaint_id or 0 for row in rows], dtype=np.int64),
        np.array([row.confidence or 0.0 for row in rows], dtype=np.float32),
        np.array([row.is_exemplar for row in rows], dtype=np.bool_),
    )


def write_refine(session: Session, known: Known, found: Discovery, embedder: Embedder, now: datetime) -> Refine:
    """Write what a refine found, unless a statement has changed its place meanwhile: that one stays where it is."""
    numbers = number_groups(session, found, now)
    target = np.array([numbers.get(int(group), int(group)) for group in found.complaint], dtype=np.int64)
    exemplar = np.zeros(len(known.ids), dtype=np.bool_)
    for rows in found.exemplars.values():
        exemplar[rows] = True
    moved = target != known.current
    changed = (
        moved | (exemplar != known.exemplar) | (np.abs(found.confidence - known.confidence) > CONFIDENCE_STEP)
    ).nonzero()[0]
    values: list[dict[str, Any]] = []
    for row in changed:
        home = int(target[row]) or None
        was = int(known.current[row]) or None
        values.append(
            {
                "key": int(known.ids[row]),
                "was": was or 0,
                "complaint_id": home,
                "placed": Placed.REFINE if home else None,
                "confidence": round(float(found.confidence[row]), 3) if home else None,
                "reason": reason_for(home, was, float(found.confidence[row])),
                "is_exemplar": bool(exemplar[row]),
            }
        )
    if values:
        table = Statement.__table__
        session.connection().execute(
            update(table)  # type: ignore[arg-type]
            .where(table.c.id == bindparam("key"), func.coalesce(table.c.complaint_id, 0) == bindparam("was"))
            .values(
                {name: bindparam(name) for name in ("complaint_id", "placed", "confidence", "reason", "is_exemplar")}
            ),
            values,
        )
    part_complaints = place_parts(session, known, target, exemplar, embedder)
    before = set(map(int, np.unique(known.current))) | part_complaints
    touched = (before | set(map(int, np.unique(target)))) - {0}
    count_again(session, touched)
    return Refine(
        state=RefineState.DONE,
        started_at=now,
        finished_at=now,
        model=embedder.name,
        seed=0,
        last_statement_id=int(known.ids.max()),
        statements=len(known.ids),
        complaints=len(set(map(int, target)) - {0}),
        new_complaints=len(numbers),
        moved=int((moved & (known.current != 0)).sum()),
        coverage=float((target != 0).mean()),
        kept=found.kept,
        seconds={},
        versions=versions(),
    )


def number_groups(session: Session, found: Discovery, now: datetime) -> dict[int, int]:
    """Make complaints of new groups, and let names follow where the content has really moved.

    Returns:
        The number of each new group: group (negative) to complaint id.
    """
    numbers: dict[int, int] = {}
    for group in sorted((group for group in found.names if group < 0), reverse=True):
        name = found.names[group]
        complaint = Complaint(name=name.phrase[:200], keywords=list(name.keywords), created_at=now)
        session.add(complaint)
        session.flush()
        numbers[group] = complaint.id
    old = [group for group in found.names if group > 0]
    for start in range(0, len(old), CHUNK):
        for complaint in session.scalars(select(Complaint).where(Complaint.id.in_(old[start : start + CHUNK]))):
            name = found.names[complaint.id]
            common = set(complaint.keywords) & set(name.keywords)
            either = set(complaint.keywords) | set(name.keywords)
            if not complaint.named_by_person and either and len(common) / len(either) < NAME_OVERLAP:
                complaint.name, complaint.keywords = name.phrase[:200], list(name.keywords)
    return numbers


def reason_for(home: int | None, was: int | None, confidence: float) -> str:
    """Why a refine put a statement where it is, in words."""
    if home is None:
        return "Fewer than three people have said something like this so far."
    if was is None:
        return f"Says the same as the others here ({confidence:.2f})."
    if was != home:
        return f"Closer to the statements here than to those of C-{was} ({confidence:.2f})."
    return f"Still closest to the statements here ({confidence:.2f})."


def place_parts(
    session: Session, known: Known, target: NDArray[np.int64], exemplar: NDArray[np.bool_], embedder: Embedder
) -> set[int]:
    """Look at the parts again: each belongs to a complaint only where it points clearly to another one than its whole.

    Returns:
        Complaints that had parts before or have some now.
    """
    whole_of = dict(
        session.execute(
            select(Statement.answer_id, Statement.complaint_id).where(
                Statement.role == StatementRole.MAIN,
                Statement.answer_id.in_(select(Statement.answer_id).where(Statement.role == StatementRole.PART)),
            )
        ).all()
    )
    rows = session.execute(
        select(Statement.id, Statement.answer_id, Statement.complaint_id, Statement.confidence, Vector.data)
        .join(Vector, Vector.id == Statement.vector_id)
        .where(Statement.role == StatementRole.PART, Vector.model == embedder.name)
        .order_by(Statement.id)
    ).all()
    if not rows:
        return set()
    stand = exemplar & (target != 0)
    exemplars = Exemplars(known.vectors[stand], target[stand], known.ids[stand])
    own = np.array([whole_of.get(row.answer_id) or 0 for row in rows], dtype=np.int64)
    matrix = vectors.unpack([row.data for row in rows], embedder.dimensions)
    placed = assign_parts(matrix, exemplars, own, embedder.thresholds)
    values = [
        {
            "id": row.id,
            "complaint_id": found.complaint_id,
            "placed": Placed.REFINE if found.complaint_id else None,
            "confidence": round(float(found.confidence), 3) if found.complaint_id else None,
            "reason": found.reason,
        }
        for row, found in zip(rows, placed, strict=True)
        if found.complaint_id != row.complaint_id
    ]
    if values:
        session.execute(update(Statement), values)
    return {row.complaint_id for row in rows if row.complaint_id} | {
        found.complaint_id for found in placed if found.complaint_id
    }


def versions() -> dict[str, str]:
    """Versions of the libraries that decide what a refine finds."""
    return {name: version(name) for name in ("bertopic", "graspologic-native", "onnxruntime", "scikit-learn", "numpy")}
