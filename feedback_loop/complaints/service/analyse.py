"""From redacted answers to statements, each assigned at once to the complaint it is closest to.

Reads, closes its transaction, computes, and writes in a short transaction that is guarded against what happened
meanwhile. Only worker code imports this module: it needs the arrays and models of `analysis/`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from feedback_loop.analysis.assignment import Assignment, Exemplars, place_comments
from feedback_loop.analysis.embedding.embedder import Embedder
from feedback_loop.analysis.kinds import Kind, classify
from feedback_loop.analysis.language import detect
from feedback_loop.analysis.splitting import split
from feedback_loop.clock import day_of
from feedback_loop.complaints import vectors
from feedback_loop.complaints.corrections import end_of, merged_into
from feedback_loop.complaints.models import (
    Complaint,
    Placed,
    Statement,
    StatementKind,
    StatementRole,
    Vector,
)
from feedback_loop.complaints.service.corrections import CORRECTING
from feedback_loop.complaints.service.counts import Change, count_changes, date_again
from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.claims import Claim, all_still_ours, queue
from feedback_loop.responses.models import Answer
from feedback_loop.responses.waiting import claim_answers, give_back, is_of_the_row, note_trouble, to_analyse
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
AT_ONCE = 1_000  # answers of one pass
Clock = Callable[[], datetime]


@dataclass(frozen=True, eq=False)  # each is a key of its own: quicker than comparing what it holds
class Piece:
    """A statement to be: one text of one answer."""

    answer_id: int
    position: int
    kind: StatementKind
    text: str
    said_at: datetime
    language: str | None = None

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
    language = detect(comment)
    pieces = [Piece(answer_id, 0, kind, comment, said_at, language)]
    if kind == StatementKind.PROBLEM:
        parts = [part for part in split(comment, language) if classify(part, low_score) == Kind.PROBLEM]
        pieces += [Piece(answer_id, index, kind, part, said_at, language) for index, part in enumerate(parts, 1)]
    return pieces


class Stopped(Exception):
    """This process is to end, and the pass with it."""


class LastExemplars:
    """The statements that stand for complaints, read again only where they are others than the last time.

    They change with a refine or a correction; between these a worker would read the same thousands of vectors for every
    few answers. Which ones stand for what is asked each time, from an index.
    """

    def __init__(self) -> None:
        self._last: tuple[str, list[tuple[int, int, int]], Exemplars] | None = None

    def read(self, session: Session, embedder: Embedder) -> Exemplars:
        """See :func:`load_exemplars`."""
        standing = sorted(  # the database gives them in any order
            (row.id, row.complaint_id, row.vector_id)
            for row in session.execute(
                select(Statement.id, Statement.complaint_id, Statement.vector_id)
                .join(Complaint, Complaint.id == Statement.complaint_id)
                .where(Statement.is_exemplar, Complaint.merged_into_id.is_(None))
            )
        )
        if self._last is not None and self._last[:2] == (embedder.name, standing):
            return self._last[2]
        exemplars = load_exemplars(session, embedder)
        self._last = embedder.name, standing, exemplars
        return exemplars


def analyse_pending(
    sessions: Sessions,
    embedder: Embedder,
    clock: Clock,
    limit: int = AT_ONCE,
    last: LastExemplars | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Turn redacted answers into statements and assign each to the complaint it is closest to.

    Args:
        sessions: Maker of sessions.
        embedder: Makes vectors of texts.
        clock: Called for the present moment.
        limit: At most so many answers.
        last: What an earlier pass read, to be used again where nothing has changed.
        stop: Asked again and again whether this process is to end: a pass over long answers takes longer than it is
            given to. The answers are then let go and wait for the next worker.

    Returns:
        How many answers were analysed; 0 means none is waiting, or that it was stopped.
    """
    with sessions.begin() as session:
        claims = claim_answers(session, to_analyse(), limit, clock(), LEASE)
    return analyse_claimed(sessions, embedder, clock, claims, last or LastExemplars(), stop) if claims else 0


def analyse_claimed(
    sessions: Sessions,
    embedder: Embedder,
    clock: Clock,
    claims: list[Claim],
    last: LastExemplars,
    stop: Callable[[], bool],
) -> int:
    """Analyse claimed answers. Where one of them cannot be, the others are: they are halved until it stands alone."""
    try:
        return analyse_at_once(sessions, embedder, clock, claims, last, stop)
    except Stopped:
        give_back(sessions, claims)
        return 0
    except Exception as error:
        if not is_of_the_row(error):
            give_back(sessions, claims)
            raise
        if len(claims) == 1:
            log.exception("Answer %d could not be analysed.", claims[0].id)
            note_trouble(sessions, claims[0], "Analysing", error)
            return 0
        half = len(claims) // 2
        parts = claims[:half], claims[half:]
        return sum(analyse_claimed(sessions, embedder, clock, part, last, stop) for part in parts)


def analyse_at_once(
    sessions: Sessions,
    embedder: Embedder,
    clock: Clock,
    claims: list[Claim],
    last: LastExemplars,
    stop: Callable[[], bool],
) -> int:
    """Analyse claimed answers, all or none.

    Raises:
        Stopped: This process is to end.
    """

    def go_on(_done: int, _all: int) -> None:
        if stop():
            raise Stopped

    with reading(sessions) as session:
        rows = session.execute(
            select(Answer.id, Answer.comment, Answer.score, Answer.answered_at, Survey.scale)
            .join(Survey, Survey.id == Answer.survey_id)
            .where(Answer.id.in_([each.id for each in claims]))
            .order_by(Answer.id)
        ).all()
    pieces = [
        piece
        for row in rows
        for piece in pieces_of(row.id, row.comment or "", SCALES[row.scale].is_low(row.score), row.answered_at)
    ]
    problems = [piece for piece in pieces if piece.kind == StatementKind.PROBLEM]
    hashes = {piece: vectors.hash_text(piece.text) for piece in problems}
    with reading(sessions) as session:
        stored = vectors.known(session, hashes.values(), embedder.name)
        exemplars = last.read(session, embedder)

    fresh = {hashes[piece]: piece.text for piece in problems if hashes[piece] not in stored}
    made = dict(zip(fresh, embedder.encode(list(fresh.values()), go_on), strict=True)) if fresh else {}
    matrix = dict(zip(stored, vectors.unpack([data for _, data in stored.values()], embedder.dimensions), strict=True))
    matrix.update(made)
    placed = place(problems, hashes, matrix, exemplars, embedder)

    with sessions.begin() as session:
        vectors.store(session, made, embedder.name)
        ids = vectors.ids(session, hashes.values(), embedder.name)
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
    """Assign whole comments and their parts: a comment that speaks of two problems belongs to two complaints."""
    wholes = [piece for piece in problems if piece.role == StatementRole.MAIN]
    parts = [piece for piece in problems if piece.role == StatementRole.PART]
    if not wholes:
        return {}
    row_of = {piece.answer_id: row for row, piece in enumerate(wholes)}

    def rows(pieces: Sequence[Piece]) -> NDArray[np.float32]:
        if not pieces:
            return np.zeros((0, embedder.dimensions), dtype=np.float32)
        return np.stack([matrix[hashes[piece]] for piece in pieces])

    comment = np.array([row_of[piece.answer_id] for piece in parts], dtype=np.int64)
    of_wholes, of_parts = place_comments(rows(wholes), rows(parts), comment, exemplars, embedder.thresholds)
    return dict(zip([*wholes, *parts], [*of_wholes, *of_parts], strict=True))


def write_statements(
    session: Session,
    claims: Sequence[Claim],
    pieces: Sequence[Piece],
    placed: dict[Piece, Assignment],
    vector_ids: dict[Piece, int],
    now: datetime,
) -> int:
    """Replace the statements of each answer that is still ours, and count the touched complaints again."""
    queue(session, CORRECTING)  # so that no complaint is merged away between looking and writing
    ours = all_still_ours(session, Answer, claims)
    if not ours:
        return 0
    session.execute(
        update(Answer)
        .where(Answer.id.in_(ours))
        .values(analysed_at=now, claimed_until=None, attempts=0, trouble="")
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Answer)
        .where(Answer.id.in_(ours), Answer.survey_id.in_(select(Survey.id).where(Survey.is_anonymous)))
        .values(analysed_at=day_of(now))
        .execution_options(synchronize_session=False)
    )
    into = merged_into(session)
    decided = decided_by_people(session, vector_ids.values(), into)
    customers, surveys = {}, {}
    for row in session.execute(select(Answer.id, Answer.customer_id, Answer.survey_id).where(Answer.id.in_(ours))):
        customers[row.id], surveys[row.id] = row.customer_id, row.survey_id
    old = session.execute(
        select(
            Statement.id,
            Statement.answer_id,
            Statement.position,
            Statement.kind,
            Statement.vector_id,
            Statement.text,
            Statement.complaint_id,
            Statement.customer_id,
        ).where(Statement.answer_id.in_(ours))
    ).all()
    # An answer sent again with the same words keeps its statements, and with them what people decided about these.
    said = {(row.answer_id, row.position, row.kind, row.vector_id, row.text): row.id for row in old}
    same = {piece: said.get(identity(piece, vector_ids)) for piece in pieces if piece.answer_id in ours}
    stays = {id for id in same.values() if id is not None}
    gone = [row for row in old if row.id not in stays]
    session.execute(delete(Statement).where(Statement.id.in_([row.id for row in gone])))
    if stays:
        again = [
            {"id": id, "said_at": piece.said_at, "customer_id": customers[piece.answer_id]}
            for piece, id in same.items()
            if id is not None
        ]
        session.execute(update(Statement), again)
    rows: list[dict[str, Any]] = []
    for piece in pieces:
        if piece.answer_id not in ours or same[piece] is not None:
            continue
        found = placed.get(piece)
        home = end_of(found.complaint_id, into) if found and found.complaint_id else None
        confidence = round(float(found.confidence), 3) if found and home else None
        reason = found.reason if found else ""
        nearest = list(found.nearest) if found and home else []
        same_words = decided.get(vector_ids.get(piece, 0))
        if same_words is not None and piece.role == StatementRole.MAIN:
            home, confidence = same_words.complaint_id, 1.0 if same_words.complaint_id else None
            reason, nearest = "A colleague decided where these very words belong", []
        rows.append(
            {
                "answer_id": piece.answer_id,
                "customer_id": customers[piece.answer_id],
                "survey_id": surveys[piece.answer_id],
                "position": piece.position,
                "role": piece.role,
                "kind": piece.kind,
                "text": piece.text,
                "language": piece.language,
                "said_at": piece.said_at,
                "vector_id": vector_ids.get(piece),
                "complaint_id": home,
                "placed": Placed.NEAREST if home else None,
                "confidence": confidence,
                "reason": reason,
                "nearest": nearest,
            }
        )
    # One that stays but is another customer's now counts as gone and come again.
    handed = [row for row in old if row.id in stays and row.customer_id != customers[row.answer_id]]
    changes = [
        Change(row.id, row.complaint_id, None, is_gone=True, customer_id=row.customer_id) for row in [*gone, *handed]
    ]
    changes += [Change(row.id, None, row.complaint_id) for row in handed]
    if rows:
        # The ids are read back: SQLite would return them only from rows inserted one by one, at four times the price.
        session.connection().execute(insert(Statement.__table__), rows)  # type: ignore[arg-type]
        placed_now = select(Statement.id, Statement.complaint_id).where(
            Statement.answer_id.in_(ours), Statement.complaint_id.is_not(None)
        )
        changes += [Change(id, None, home) for id, home in session.execute(placed_now) if id not in stays]
    count_changes(session, changes)
    homes = session.scalars(select(Statement.complaint_id).where(Statement.id.in_(stays)).distinct())
    date_again(session, [home for home in homes if home is not None])
    return len(ours)


def identity(piece: Piece, vector_ids: dict[Piece, int]) -> tuple[int, int, StatementKind, int | None, str]:
    """What makes a piece the statement it was before."""
    return piece.answer_id, piece.position, piece.kind, vector_ids.get(piece), piece.text


@dataclass(frozen=True)
class Decided:
    """Where people put the very same words; None for in no complaint."""

    complaint_id: int | None


def decided_by_people(session: Session, vector_ids: Iterable[int], into: dict[int, int]) -> dict[int, Decided]:
    """What people decided about some words, by the vector of these; nothing where they decided both ways."""
    wanted = sorted(set(vector_ids))
    decided: dict[int, set[int | None]] = {}
    for start in range(0, len(wanted), AT_ONCE):
        rows = session.execute(
            select(Statement.vector_id, Statement.complaint_id)
            .where(
                Statement.vector_id.in_(wanted[start : start + AT_ONCE]),
                (Statement.placed == Placed.PERSON) | Statement.kept_out,
            )
            .distinct()
        )
        for vector_id, complaint_id in rows:
            assert vector_id is not None
            decided.setdefault(vector_id, set()).add(end_of(complaint_id, into) if complaint_id else None)
    return {vector_id: Decided(*homes) for vector_id, homes in decided.items() if len(homes) == 1}


def load_exemplars(session: Session, embedder: Embedder) -> Exemplars:
    """The statements that stand for complaints; also for dismissed ones, so that these found no other complaint."""
    rows = session.execute(
        select(Statement.id, Statement.complaint_id, Vector.data)
        .join(Vector, Vector.id == Statement.vector_id)
        .join(Complaint, Complaint.id == Statement.complaint_id)
        .where(Statement.is_exemplar, Vector.model == embedder.name, Complaint.merged_into_id.is_(None))
    ).all()
    rows = sorted(rows, key=lambda row: row.id)  # sorted there, SQLite would walk all statements in their order
    return Exemplars(
        vectors.unpack([row.data for row in rows], embedder.dimensions),
        np.array([row.complaint_id for row in rows], dtype=np.int64),
        np.array([row.id for row in rows], dtype=np.int64),
    )
