"""From redacted answers to statements, each assigned at once to the complaint it is closest to.

Reads, closes its transaction, computes, and writes in a short transaction that is guarded against what happened
meanwhile. Only worker code imports this module: it needs the arrays and models of `analysis/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from feedback_loop.analysis.assignment import Assignment, Exemplars, assign, assign_parts
from feedback_loop.analysis.embedding import Embedder
from feedback_loop.analysis.kinds import Kind, classify
from feedback_loop.analysis.splitting import split
from feedback_loop.complaints import vectors
from feedback_loop.complaints.models import (
    Complaint,
    ComplaintState,
    Placed,
    Statement,
    StatementKind,
    StatementRole,
    Vector,
)
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.db import Sessions
from feedback_loop.jobs.claims import Claim, all_still_ours, claim
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES

LEASE = timedelta(minutes=5)
AT_ONCE = 500  # answers of one pass
Clock = Callable[[], datetime]


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


def analyse_pending(sessions: Sessions, embedder: Embedder, clock: Clock, limit: int = AT_ONCE) -> int:
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
        claims = claim(session, Answer, due, [Answer.id], limit, clock(), LEASE)
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
