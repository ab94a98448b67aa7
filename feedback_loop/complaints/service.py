"""Verbs on complaints: analyse answers into statements, assign them, refine what is known.

Each reads, closes its transaction, computes, and writes in a short transaction that is guarded against what happened
meanwhile. Only worker code imports this module: it needs the arrays and models of `analysis/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from feedback_loop.analysis.assignment import Assignment, Exemplars, assign, assign_parts
from feedback_loop.analysis.discovery import Discovery, discover
from feedback_loop.analysis.embedding import Embedder
from feedback_loop.analysis.kinds import Kind, classify
from feedback_loop.analysis.splitting import split
from feedback_loop.complaints import vectors
from feedback_loop.complaints.due import LEAST_STATEMENTS
from feedback_loop.complaints.models import (
    Complaint,
    ComplaintState,
    Placed,
    Refine,
    RefineState,
    Statement,
    StatementKind,
    StatementRole,
    Vector,
)
from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.claims import Claim, all_still_ours, claim, give_back, take_lease
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES

ANALYSIS_LEASE = timedelta(minutes=5)
REFINE_LEASE = timedelta(minutes=15)
REFINE = "refine"
NAME_OVERLAP = 0.3  # below this share of common keywords the content has really moved, and the name follows
CONFIDENCE_STEP = 0.1  # smaller changes of confidence are not worth a write
CHUNK = 500

Clock = Callable[[], datetime]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Piece:
    """A statement to be: one text of one answer."""

    answer_id: int
    position: int
    kind: StatementKind
    text: str
    said_at: datetime

    @property
    def role(self) -> StatementRole:
        """The whole comment comes first; parts follow it."""
        return StatementRole.PART if self.position else StatementRole.MAIN


def pieces_of(answer_id: int, comment: str, low_score: bool | None, said_at: datetime) -> list[Piece]:
    """The whole comment, and if it is a problem, its sentences as possible parts."""
    comment = comment.strip()
    if not comment:
        return []
    kind = StatementKind(classify(comment, low_score).value)
    pieces = [Piece(answer_id, 0, kind, comment, said_at)]
    if kind == StatementKind.PROBLEM:
        parts = [part for part in split(comment) if classify(part, low_score) == Kind.PROBLEM]
        pieces += [Piece(answer_id, index, kind, part, said_at) for index, part in enumerate(parts, 1)]
    return pieces


def analyse_pending(sessions: Sessions, embedder: Embedder, clock: Clock, limit: int = CHUNK) -> int:
    """Turn redacted answers into statements and assign each to the complaint it is closest to.

    Args:
        sessions: Maker of sessions.
        embedder: Makes vectors of texts.
        clock: Called for the present moment.
        limit: At most so many answers.

    Returns:
        How many answers were analysed; 0 means none is waiting.
    """
    with sessions.begin() as session:
        due = [Answer.redacted_at.is_not(None), Answer.analysed_at.is_(None)]
        claims = claim(session, Answer, due, [Answer.id], limit, clock(), ANALYSIS_LEASE)
        if not claims:
            return 0
        rows = session.execute(
            select(Answer.id, Answer.comment, Answer.score, Answer.answered_at, Survey.scale)
            .join(Survey, Survey.id == Answer.survey_id)
            .where(Answer.id.in_([each.id for each in claims]))
        ).all()
        pieces = [
            piece
            for row in rows
            for piece in pieces_of(row.id, row.comment or "", SCALES[row.scale].is_low(row.score), row.answered_at)
        ]
        problems = [piece for piece in pieces if piece.kind == StatementKind.PROBLEM]
        hashes = {piece: vectors.hash_text(piece.text) for piece in problems}
        stored = vectors.known(session, hashes.values(), embedder.name)
        exemplars = load_exemplars(session, embedder)

    fresh = {hashes[piece]: piece.text for piece in problems if hashes[piece] not in stored}
    made = dict(zip(fresh, embedder.encode(list(fresh.values())), strict=True)) if fresh else {}
    matrix = dict(zip(stored, vectors.unpack([data for _, data in stored.values()], embedder.dimensions), strict=True))
    matrix.update(made)
    placed = place(problems, hashes, matrix, exemplars, embedder)

    with sessions.begin() as session:
        vectors.store(session, made, embedder.name)
        ids = {key: row[0] for key, row in vectors.known(session, hashes.values(), embedder.name).items()}
        return write_statements(
            session, claims, pieces, placed, {piece: ids[key] for piece, key in hashes.items()}, clock()
        )


def place(
    problems: Sequence[Piece],
    hashes: dict[Piece, str],
    matrix: dict[str, NDArray[np.float32]],
    exemplars: Exemplars,
    embedder: Embedder,
) -> dict[Piece, Assignment]:
    """Assign whole comments first, then parts that point to another complaint than their whole."""
    wholes = [piece for piece in problems if piece.role == StatementRole.MAIN]
    parts = [piece for piece in problems if piece.role == StatementRole.PART]
    placed: dict[Piece, Assignment] = {}
    if wholes:
        rows = np.stack([matrix[hashes[piece]] for piece in wholes])
        placed.update(zip(wholes, assign(rows, exemplars, embedder.thresholds), strict=True))
    if parts:
        of_answer = {piece.answer_id: placed[piece].complaint_id or 0 for piece in wholes}
        own = np.array([of_answer[piece.answer_id] for piece in parts], dtype=np.int64)
        rows = np.stack([matrix[hashes[piece]] for piece in parts])
        placed.update(zip(parts, assign_parts(rows, exemplars, own, embedder.thresholds), strict=True))
    return placed


def write_statements(
    session: Session,
    claims: Sequence[Claim],
    pieces: Sequence[Piece],
    placed: dict[Piece, Assignment],
    vector_ids: dict[Piece, int],
    now: datetime,
) -> int:
    """Replace the statements of each answer that is still ours, and count the touched complaints again."""
    ours = all_still_ours(session, Answer, claims)
    if not ours:
        return 0
    session.execute(update(Answer), [{"id": id, "analysed_at": now, "claimed_until": None} for id in sorted(ours)])
    places = select(Statement.complaint_id).where(Statement.answer_id.in_(ours)).distinct()
    touched = {place for place in session.scalars(places) if place is not None}
    session.execute(delete(Statement).where(Statement.answer_id.in_(ours)))
    active = set(
        session.scalars(
            select(Complaint.id).where(
                Complaint.state == ComplaintState.ACTIVE,
                Complaint.id.in_({a.complaint_id for a in placed.values() if a.complaint_id}),
            )
        )
    )
    rows: list[dict[str, Any]] = []
    for piece in pieces:
        if piece.answer_id not in ours:
            continue
        found = placed.get(piece)
        # A complaint that was merged or dismissed since we looked takes no more; the statement waits for the next
        # refine.
        home = found.complaint_id if found and found.complaint_id in active else None
        rows.append(
            {
                "answer_id": piece.answer_id,
                "position": piece.position,
                "role": piece.role,
                "kind": piece.kind,
                "text": piece.text,
                "said_at": piece.said_at,
                "vector_id": vector_ids.get(piece),
                "complaint_id": home,
                "placed": Placed.NEAREST if home else None,
                "confidence": round(float(found.confidence), 3) if found and home else None,
                "reason": found.reason if found else "",
            }
        )
    if rows:
        session.execute(insert(Statement), rows)
    count_again(session, touched | {row["complaint_id"] for row in rows if row["complaint_id"]})
    return len(ours)


def load_exemplars(session: Session, embedder: Embedder) -> Exemplars:
    """The statements that stand for the active complaints."""
    rows = session.execute(
        select(Statement.id, Statement.complaint_id, Vector.data)
        .join(Vector, Vector.id == Statement.vector_id)
        .join(Complaint, Complaint.id == Statement.complaint_id)
        .where(Statement.is_exemplar, Vector.model == embedder.name, Complaint.state == ComplaintState.ACTIVE)
        .order_by(Statement.id)
    ).all()
    return Exemplars(
        vectors.unpack([row.data for row in rows], embedder.dimensions),
        np.array([row.complaint_id for row in rows], dtype=np.int64),
        np.array([row.id for row in rows], dtype=np.int64),
    )


def count_again(session: Session, complaint_ids: Iterable[int]) -> None:
    """Count the statements and people of some complaints, and when these were first and last heard of."""
    wanted = sorted(complaint_ids)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        counts = {
            row.complaint_id: row
            for row in session.execute(
                select(
                    Statement.complaint_id,
                    func.count().label("statements"),
                    func.count(Answer.customer_id.distinct()).label("people"),
                    func.sum(case((Answer.customer_id.is_(None), 1), else_=0)).label("anonymous"),
                    func.min(Statement.said_at).label("first"),
                    func.max(Statement.said_at).label("last"),
                )
                .join(Answer, Answer.id == Statement.answer_id)
                .where(Statement.complaint_id.in_(chunk))
                .group_by(Statement.complaint_id)
            )
        }
        values = []
        for complaint_id in chunk:
            row = counts.get(complaint_id)
            values.append(
                {
                    "id": complaint_id,
                    "statement_count": row.statements if row else 0,
                    "people_count": row.people if row else 0,
                    "anonymous_count": row.anonymous if row else 0,
                    "first_said_at": row.first if row else None,
                    "last_said_at": row.last if row else None,
                }
            )
        session.execute(update(Complaint), values)


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
        if not take_lease(session, REFINE, started_at, REFINE_LEASE):
            raise RefineRunning("A refine is running already; its result will appear by itself.")
    try:
        report("Reading statements", 0.0)
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
            if not take_lease(session, REFINE, clock(), REFINE_LEASE):
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
