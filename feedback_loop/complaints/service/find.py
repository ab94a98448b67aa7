"""Answering searches by meaning: the statements nearest to a text.

Up to `EXACT` texts all are compared. Beyond, the complaints nearest by their exemplars are looked for first, and then
only their statements and the newest of the pool: coarse first, fine after, as an inverted file index does (Jégou, Douze
and Schmid 2011), with the complaints as its cells. Only worker code imports this module: it needs the arrays of
`analysis/`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from feedback_loop.analysis.embedding.embedder import Embedder
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.analysis.nearest import Nearest
from feedback_loop.complaints import vectors
from feedback_loop.complaints.models import Search, SearchState, Statement, StatementRole, Vector
from feedback_loop.complaints.queries import IN_POOL
from feedback_loop.complaints.results import SHOWN, Nearness
from feedback_loop.complaints.service.searching import WAITING
from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.claims import Claim, claim, still_ours

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
AT_ONCE = 10  # searches that share one look at all vectors
MOST_ATTEMPTS = 3
CANDIDATES = 3 * SHOWN  # texts; some are parts that stand for a comment which is found by itself, too
CHUNK = 2_000  # vectors held at once: 3 MB of float32 for MiniLM, and as much again twice while they are unpacked
EXACT = 200_000  # different texts up to which all are compared
COMPLAINTS = 30  # beyond that: complaints whose statements are compared
EXEMPLARS_EACH = 50  # at most so many of one complaint stand in the way of the next
OF_COMPLAINT = 10_000  # newest statements of one of them
OF_COMPLAINTS = 50_000  # of all of them
OF_POOL = 50_000  # newest statements of the pool
TWINS = 20_000  # comments that are looked at because one of their sentences is near
GAVE_UP = "This search could not be answered in three attempts. The log of the worker says why."
OTHER_MODEL = "The embedding model was changed. What was said before is found again after the next refine."
Clock = Callable[[], datetime]
Found = list[float]  # statement, cosine, statements with the same words in the same place, nearness


@dataclass(frozen=True)
class Asked:
    """A search that is ours for now."""

    claim: Claim
    attempts: int
    text: str
    answer_id: int | None  # whose statements are not "others"


def answer_searches(sessions: Sessions, embedder: Embedder, clock: Clock, limit: int = AT_ONCE) -> int:
    """Answer searches that wait.

    Args:
        sessions: Maker of sessions.
        embedder: Makes vectors of texts; only vectors of this model are compared.
        clock: Called for the present moment.
        limit: At most so many searches.

    Returns:
        How many were answered or given up; 0 means none is waiting, or it is tried again at the next look.
    """
    with sessions.begin() as session:
        # One that has failed before is tried alone, so that it takes no other with it.
        claims = claim(session, Search, [WAITING, Search.attempts == 0], [Search.id], limit, clock(), LEASE)
        claims = claims or claim(session, Search, [WAITING], [Search.id], 1, clock(), LEASE)
        asked = read_asked(session, claims)
        hopeless = [each for each in asked if each.attempts > MOST_ATTEMPTS]  # its worker died each time
        settled = sum(settle(session, each, None, "", clock()) for each in hopeless)
    asked = [each for each in asked if each.attempts <= MOST_ATTEMPTS]
    if not asked:
        return settled
    answers: dict[int, list[Found]] = {}
    message = ""
    try:
        wanted = embed(sessions, embedder, asked)
        if wanted:
            answers, message = find(sessions, embedder, [each for each in asked if each.claim.id in wanted], wanted)
    except Exception:
        log.exception("%d searches could not be answered.", len(asked))
    with sessions.begin() as session:
        return settled + sum(settle(session, each, answers.get(each.claim.id), message, clock()) for each in asked)


def read_asked(session: Session, claims: Sequence[Claim]) -> list[Asked]:
    """What was asked, in the order of the claims."""
    rows = session.execute(
        select(Search.id, Search.attempts, Search.text, Statement.answer_id)
        .outerjoin(Statement, Statement.id == Search.statement_id)
        .where(Search.id.in_([each.id for each in claims]))
    )
    by_id = {row.id: row for row in rows}
    return [
        Asked(each, by_id[each.id].attempts, by_id[each.id].text, by_id[each.id].answer_id)
        for each in claims
        if each.id in by_id
    ]


def settle(session: Session, asked: Asked, found: list[Found] | None, message: str, now: datetime) -> bool:
    """Write what was found, give up, or let the search go for another attempt.

    Returns:
        Whether it has come to its end by this.
    """
    values: dict[str, Any] = {}
    if found is not None:
        values = {"state": SearchState.DONE, "found": found, "message": message, "done_at": now}
    elif asked.attempts >= MOST_ATTEMPTS:
        values = {"state": SearchState.FAILED, "message": GAVE_UP, "done_at": now}
    return still_ours(session, Search, asked.claim, values) and bool(values)


def embed(sessions: Sessions, embedder: Embedder, asked: Sequence[Asked]) -> dict[int, NDArray[np.float32]]:
    """The vector of each search; a text that was said before, as in "others like this", has one already."""
    hashes = {each.claim.id: vectors.hash_text(each.text) for each in asked}
    with reading(sessions) as session:
        stored = vectors.known(session, hashes.values(), embedder.name)
    wanted: dict[int, NDArray[np.float32]] = {}
    for each in asked:
        data = stored.get(hashes[each.claim.id], (0, b""))[1]
        try:
            if is_whole(data, embedder):
                wanted[each.claim.id] = vectors.unpack([data], embedder.dimensions)[0]
            else:
                wanted[each.claim.id] = embedder.encode([each.text])[0]
        except Exception:  # whatever the model does not like about one text must not stop the others
            log.exception("Search %d could not be embedded.", each.claim.id)
    return wanted


def find(
    sessions: Sessions, embedder: Embedder, asked: Sequence[Asked], wanted: dict[int, NDArray[np.float32]]
) -> tuple[dict[int, list[Found]], str]:
    """What is nearest to each search, and what people should know about how it was looked for."""
    floor = embedder.thresholds.vote_floor
    matrix = np.stack([wanted[each.claim.id] for each in asked])
    nearest, message = Nearest(matrix, CANDIDATES, floor), ""
    with reading(sessions) as session:
        if count_texts(session, EXACT + 1) <= EXACT:
            said = select(1).where(Statement.vector_id == Vector.id).exists()
            show(session, embedder, nearest, select(Vector.id, Vector.data).where(said))
            hits = [nearest.hits(row) for row in range(len(asked))]
        else:
            message = (
                f"More than {EXACT:,} different things were said. So only the {COMPLAINTS} nearest complaints were "
                f"searched, the newest {OF_COMPLAINT:,} statements of each, and the newest {OF_POOL:,} of the pool."
            )
            show(session, embedder, nearest, texts_of(select(Statement.vector_id).where(IN_POOL), OF_POOL))
            hits = []
            for row, complaint_ids in enumerate(nearest_complaints(session, embedder, matrix)):
                own = Nearest(matrix[[row]], CANDIDATES, floor)
                for query in texts_of_complaints(session, complaint_ids):
                    show(session, embedder, own, query)
                both = dict(nearest.hits(row)) | dict(own.hits(0))
                hits.append(sorted(both.items(), key=lambda hit: (-hit[1], -hit[0]))[:CANDIDATES])
        found = {
            each.claim.id: statements_of(session, hits[row], each.answer_id, embedder.thresholds)
            for row, each in enumerate(asked)
        }
        if not any(found.values()) and has_other_vectors(session, embedder):
            message = OTHER_MODEL
    return found, message


def has_other_vectors(session: Session, embedder: Embedder) -> bool:
    """Whether statements wait for a vector of this model."""
    other = select(1).join(Statement, Statement.vector_id == Vector.id).where(Vector.model != embedder.name)
    return session.scalar(other.select_from(Vector).limit(1)) is not None


def count_texts(session: Session, limit: int) -> int:
    """How many different texts statements have, counted no further than `limit`."""
    different = select(Statement.vector_id).where(Statement.vector_id.is_not(None)).distinct().limit(limit).subquery()
    return session.scalar(select(func.count()).select_from(different)) or 0


def texts_of(said: Select[Any], limit: int) -> Select[Any, bytes]:
    """Id and vector of the texts of the newest of some statements."""
    newest = said.order_by(Statement.said_at.desc()).limit(limit).subquery()
    return select(Vector.id, Vector.data).where(Vector.id.in_(select(newest.c.vector_id)))


def nearest_complaints(session: Session, embedder: Embedder, wanted: NDArray[np.float32]) -> list[list[int]]:
    """For each vector the complaints whose exemplars are nearest, nearest first."""
    nearest = Nearest(wanted, COMPLAINTS * EXEMPLARS_EACH, -1.0)
    exemplars = (
        select(Statement.complaint_id, Vector.data)
        .select_from(Statement)
        .join(Vector, Vector.id == Statement.vector_id)
        .where(Statement.is_exemplar, Statement.complaint_id.is_not(None))
    )
    show(session, embedder, nearest, exemplars)
    return [list(dict.fromkeys(id for id, _ in nearest.hits(row)))[:COMPLAINTS] for row in range(len(wanted))]


def texts_of_complaints(session: Session, complaint_ids: Sequence[int]) -> Iterator[Select[Any, bytes]]:
    """The texts of some complaints, one after the other, until enough."""
    left = OF_COMPLAINTS
    for complaint_id in complaint_ids:
        own = select(Statement.vector_id).where(Statement.complaint_id == complaint_id)
        most = min(OF_COMPLAINT, left)
        yield texts_of(own, most)
        left -= session.scalar(select(func.count()).select_from(own.limit(most).subquery())) or 0
        if left <= 0:
            return


def show(session: Session, embedder: Embedder, nearest: Nearest, query: Select[Any, bytes]) -> None:
    """Look at all vectors of this model that a query (key, vector) gives, a chunk at a time."""
    query = query.where(Vector.model == embedder.name).execution_options(yield_per=CHUNK)
    # On the connection: for so many rows the session's own way of loading takes longer than all the rest.
    for rows in session.connection().execute(query).partitions():
        keys, matrix = whole(rows, embedder)
        nearest.look_at(keys, matrix)


def whole(rows: Iterable[Any], embedder: Embedder) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Keys and vectors as arrays, without those that are damaged."""
    sound = [(key, data) for key, data in rows if is_whole(data, embedder)]
    keys = np.array([key for key, _ in sound], dtype=np.int64)
    return keys, vectors.unpack([data for _, data in sound], embedder.dimensions)


def is_whole(data: bytes, embedder: Embedder) -> bool:
    """Whether this is a stored vector of the model's length."""
    return len(data) == 2 * embedder.dimensions


def statements_of(
    session: Session, hits: Sequence[tuple[int, float]], own_answer: int | None, thresholds: Thresholds
) -> list[Found]:
    """The statements behind the texts that are near, one for all with the same words in the same place.

    A sentence that is no statement of its own speaks for its comment: that is as near as the nearest of its sentences.
    """
    cosines = dict(hits)
    other = Statement.answer_id != own_answer if own_answer is not None else Statement.id.is_not(None)
    counts = select(Statement.vector_id, Statement.complaint_id, func.max(Statement.id), func.count())
    direct = session.execute(
        counts.where(
            Statement.vector_id.in_(cosines),
            or_(Statement.role == StatementRole.MAIN, Statement.complaint_id.is_not(None)),
            other,
        ).group_by(Statement.vector_id, Statement.complaint_id)
    )
    part = aliased(Statement)
    through_parts = session.execute(
        counts.add_columns(part.vector_id)
        .join(part, part.answer_id == Statement.answer_id)
        .where(
            part.vector_id.in_(cosines),
            part.role == StatementRole.PART,
            part.complaint_id.is_(None),
            Statement.role == StatementRole.MAIN,
            Statement.vector_id.is_not(None),
            other,
        )
        .group_by(Statement.vector_id, Statement.complaint_id, part.vector_id)
        .limit(TWINS)
    )
    best: dict[tuple[int, int | None], tuple[float, int, int]] = {}
    for said, place, newest, count, near in [(*row, row[0]) for row in direct] + [tuple(row) for row in through_parts]:
        cosine, same = cosines[near], count
        if (said, place) in best:
            cosine, same = max(cosine, best[said, place][0]), max(same, best[said, place][2])
        best[said, place] = (cosine, newest, same)
    nearest = sorted(best.values(), key=lambda found: (-found[0], -found[1]))[:SHOWN]
    return [[newest, round(cosine, 3), same, nearness(cosine, thresholds)] for cosine, newest, same in nearest]


def nearness(cosine: float, thresholds: Thresholds) -> Nearness:
    """How near that is for this model: as near as one complaint's statements have to be, half way there, or less."""
    if cosine >= thresholds.assign_cosine:
        return Nearness.VERY_CLOSE
    if cosine >= (thresholds.vote_floor + thresholds.assign_cosine) / 2:
        return Nearness.CLOSE
    return Nearness.SOMEWHAT_CLOSE
