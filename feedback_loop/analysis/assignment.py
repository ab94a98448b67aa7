"""New statements to known complaints: a vote of the nearest exemplars, with its reason in plain words.

The vote is k-nearest-neighbours weighted by similarity (Dudani 1976).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from feedback_loop.analysis.embedding.thresholds import Thresholds

_CHUNK_CELLS = 8_000_000  # similarities held at once: 32 MB of float32
_REASON_VOTERS = 3  # statements shown as the reason of an assignment
_CLOSEST = 3  # exemplars whose mean cosine says how near a complaint is


@dataclass(frozen=True)
class Exemplars:
    """Statements that stand for their complaints.

    ``vectors`` is (m, d) float32 of unit length, ``complaint_ids`` and ``statement_ids`` are (m,) int64.
    """

    vectors: NDArray[np.float32]
    complaint_ids: NDArray[np.int64]
    statement_ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or not len(self.vectors) == len(self.complaint_ids) == len(self.statement_ids):
            raise ValueError("exemplars need an (m, d) array of vectors, m complaint ids and m statement ids")


@dataclass(frozen=True)
class Assignment:
    """Where a statement belongs, or that it belongs nowhere yet.

    ``complaint_id`` is None for the pool; ``confidence`` is the winner's share of the votes times its cosine, 0 to 1;
    ``reason`` is a sentence to show; ``nearest`` holds up to three exemplar statement ids that voted for the winner,
    nearest first.
    """

    complaint_id: int | None
    confidence: float
    reason: str
    nearest: tuple[int, ...]


def assign(vectors: NDArray[np.float32], exemplars: Exemplars, thresholds: Thresholds) -> list[Assignment]:
    """Assign each row to the complaint its nearest exemplars vote for, or to none.

    Args:
        vectors: (n, d) float32 of unit length.
        exemplars: the known complaints' exemplars; may be empty.
        thresholds: of the model the vectors come from; ``assign_vote`` and ``assign_cosine`` decide.

    Returns:
        n assignments, in the order of the rows. Memory is bounded: similarities are computed in chunks.

    Raises:
        ValueError: vectors and exemplars differ in dimensions.
    """
    answers: list[Assignment] = []
    for _row, vote in _votes(vectors, exemplars, thresholds):
        if vote is None:
            answers.append(Assignment(None, 0.0, "there are no complaints to compare with yet", ()))
        elif vote.cosine < thresholds.assign_cosine:
            answers.append(
                Assignment(
                    None,
                    vote.confidence,
                    f"nothing close enough: the nearest complaint is at {vote.cosine:.2f}, "
                    f"{thresholds.assign_cosine:.2f} is needed",
                    (),
                )
            )
        elif vote.share < thresholds.assign_vote:
            answers.append(
                Assignment(
                    None,
                    vote.confidence,
                    f"several complaints are equally close: the first has {vote.share:.0%} of the votes, "
                    f"{thresholds.assign_vote:.0%} are needed",
                    (),
                )
            )
        else:
            answers.append(_hit(vote))
    return answers


def place_comments(
    wholes: NDArray[np.float32],
    parts: NDArray[np.float32],
    comment: NDArray[np.int64],
    exemplars: Exemplars,
    thresholds: Thresholds,
) -> tuple[list[Assignment], list[Assignment]]:
    """Assign whole comments and their parts together.

    Args:
        wholes: (m, d) float32 of unit length, one row per comment.
        parts: (n, d) float32 of unit length, one row per part, those of a comment in their order.
        comment: (n,) the row in ``wholes`` of each part's comment.
        exemplars: the known complaints' exemplars; may be empty.
        thresholds: of the model the vectors come from.

    Returns:
        m assignments of the comments and n of the parts; see :func:`place_parts`.
    """
    answers = assign(wholes, exemplars, thresholds)
    own = np.array([answer.complaint_id or 0 for answer in answers], dtype=np.int64)
    of_parts, moved = place_parts(wholes, parts, comment, own, exemplars, thresholds)
    return [moved.get(row, answer) for row, answer in enumerate(answers)], of_parts


def place_parts(
    wholes: NDArray[np.float32],
    parts: NDArray[np.float32],
    comment: NDArray[np.int64],
    own: NDArray[np.int64],
    exemplars: Exemplars,
    thresholds: Thresholds,
    movable: NDArray[np.bool_] | None = None,
) -> tuple[list[Assignment], dict[int, Assignment]]:
    """Decide which comments speak of several complaints, and which of their parts say so.

    Two parts speak of two complaints when each lands in one as a comment would, and each is nearer to its own than to
    the other's by ``part_margin``. A sentence of context is about as near to both, and so are two sentences about one
    matter that happens to lie between neighbouring complaints. The whole itself counts as a last part, so that a
    single telling part can stand beside what the rest says.

    Args:
        wholes, parts, comment, exemplars: as for :func:`place_comments`.
        own: (m,) complaint id of each comment, 0 for none.
        thresholds: ``assign_vote``, ``assign_cosine`` and ``part_margin`` decide.
        movable: (m,) which comments may go to another complaint; all if None. Of a mixture that may not, the first part
            becomes a statement of its own, too.

    Returns:
        n assignments of the parts: one with a complaint id means that the part is to be a statement of its own. And
        where a comment is a mixture that lies in none of its parts' complaints: its row and the assignment of the
        first part, which it belongs to rather.

    Raises:
        ValueError: lengths or dimensions differ.
    """
    if len(comment) != len(parts) or len(own) != len(wholes):
        raise ValueError(
            f"{len(parts)} parts with {len(comment)} comments, {len(wholes)} comments with {len(own)} complaints"
        )
    alone = assign(parts, exemplars, thresholds)
    answers = [_silent(answer, int(own[comment[row]])) for row, answer in enumerate(alone)]
    moved: dict[int, Assignment] = {}
    rows_of: dict[int, list[int]] = {}
    for row, answer in enumerate(alone):
        if answer.complaint_id is not None:
            rows_of.setdefault(int(comment[row]), []).append(row)
    near = _Nearness(exemplars)
    for whole, rows in rows_of.items():
        home = int(own[whole])
        places = [alone[row].complaint_id or 0 for row in rows]
        if set(places) <= {home}:
            continue
        points = near(parts[rows], sorted({*places, home} - {0}))
        chosen = _apart(places, points, thresholds.part_margin)
        if not chosen and home:
            around = near(wholes[[whole]], sorted({*places, home}))[0]
            beside = _apart([*places, home], [*points, around], thresholds.part_margin, among=len(rows))
            chosen = [place for place in beside if place < len(rows)]
        if not chosen:
            continue
        free = movable is None or bool(movable[whole])
        if free and len(chosen) > 1 and home not in [places[place] for place in chosen]:
            moved[whole] = alone[rows[chosen.pop(0)]]
        for place in chosen:
            if places[place] != home:
                answers[rows[place]] = alone[rows[place]]
    return answers, moved


def _silent(answer: Assignment, own: int) -> Assignment:
    """The answer for a part that stays within its comment."""
    if answer.complaint_id is None:
        return answer
    reason = "does not clearly say something else than its comment"
    if answer.complaint_id == own:
        reason = "says the same as its whole comment"
    return Assignment(None, answer.confidence, reason, ())


class _Nearness:
    """How near rows are to complaints: the mean cosine of the closest few exemplars of each."""

    def __init__(self, exemplars: Exemplars) -> None:
        order = np.argsort(exemplars.complaint_ids, kind="stable")
        self._vectors = exemplars.vectors
        self._rows: dict[int, NDArray[np.int64]] = {}
        ids, first = np.unique(exemplars.complaint_ids[order], return_index=True)
        for complaint, rows in zip(ids.tolist(), np.split(order, first[1:]), strict=len(ids) > 0):
            self._rows[complaint] = rows

    def __call__(self, vectors: NDArray[np.float32], complaints: list[int]) -> list[dict[int, float]]:
        """The nearness of each of the (n, d) vectors to each of the complaints."""
        answers: list[dict[int, float]] = [{} for _ in range(len(vectors))]
        for complaint in complaints:
            rows = self._rows.get(complaint)
            if rows is None:  # a complaint without exemplars: nothing is near it
                means = np.full(len(vectors), -1.0)
            else:
                means = np.sort(vectors @ self._vectors[rows].T, axis=1)[:, -_CLOSEST:].mean(axis=1)
            for answer, value in zip(answers, means.tolist(), strict=True):
                answer[complaint] = value
        return answers


def _apart(places: list[int], points: list[dict[int, float]], margin: float, among: int | None = None) -> list[int]:
    """Which points speak of different complaints.

    Args:
        places: the complaint of each point.
        points: nearness of each point to the complaints.
        margin: by which each must be nearer to its own complaint than to the other's.
        among: a pair must hold the point of this number; any if None.

    Returns:
        The pair that is clearest apart and every further point that is apart from all so far, in their order; empty
        if there is no such pair.
    """

    def gap(one: int, two: int) -> float:
        a, b = places[one], places[two]
        return min(points[one][a] - points[one][b], points[two][b] - points[two][a]) if a != b else -1.0

    pairs = [
        (gap(one, two), -one, -two) for two in range(len(places)) for one in range(two) if among is None or two == among
    ]
    widest, one, two = max(pairs, default=(-1.0, 0, 0))
    if widest < margin:
        return []
    chosen = [-one, -two]
    for place in range(len(places)):
        if place not in chosen and all(gap(place, other) >= margin for other in chosen):
            chosen.append(place)
    return sorted(chosen)


@dataclass(frozen=True)
class _Vote:
    complaint_id: int
    share: float  # of the weighted votes, 0 to 1
    cosine: float  # of the winner's nearest exemplar
    voters: tuple[int, ...]  # statement ids that voted for the winner, nearest first

    @property
    def confidence(self) -> float:
        return float(min(1.0, max(0.0, self.share * self.cosine)))


def _hit(vote: _Vote) -> Assignment:
    count = len(vote.voters)
    statements = "1 statement" if count == 1 else f"{count} statements"
    return Assignment(
        vote.complaint_id,
        vote.confidence,
        f"close to {statements} of this complaint ({vote.cosine:.2f})",
        vote.voters[:_REASON_VOTERS],
    )


def _votes(
    vectors: NDArray[np.float32], exemplars: Exemplars, thresholds: Thresholds
) -> Iterator[tuple[int, _Vote | None]]:
    count = len(exemplars.vectors)
    if len(vectors) and count and vectors.shape[1] != exemplars.vectors.shape[1]:
        raise ValueError(
            f"vectors have {vectors.shape[1]} dimensions, exemplars {exemplars.vectors.shape[1]}: "
            "they come from different models"
        )
    if not count:
        yield from ((row, None) for row in range(len(vectors)))
        return
    voters = min(thresholds.assign_neighbours, count)
    chunk = max(1, _CHUNK_CELLS // count)
    for start in range(0, len(vectors), chunk):
        near = np.asarray(vectors[start : start + chunk], dtype=np.float32) @ exemplars.vectors.T
        top = np.argpartition(near, count - voters, axis=1)[:, count - voters :]
        cosines = np.take_along_axis(near, top, axis=1)
        order = np.lexsort((top, -cosines), axis=1)  # nearest first, ties by position: deterministic
        top = np.take_along_axis(top, order, axis=1)
        cosines = np.take_along_axis(cosines, order, axis=1)
        yield from enumerate(_count(top, cosines, exemplars, thresholds), start)


def _count(
    top: NDArray[np.intp], cosines: NDArray[np.float32], exemplars: Exemplars, thresholds: Thresholds
) -> Iterator[_Vote]:
    """The votes of n rows; ``top`` and ``cosines`` are (n, voters), nearest first."""
    # A vote counts by how far it lies above what unrelated texts reach, so that ten far voters do not beat one near.
    weights = np.maximum(cosines - thresholds.vote_floor, 1e-6).astype(np.float64) ** 2
    complaints = exemplars.complaint_ids[top]
    same = complaints[:, :, None] == complaints[:, None, :]
    totals = (same * weights[:, None, :]).sum(axis=2)  # of each voter's complaint
    first = totals.max(axis=1, keepdims=True)
    # Of complaints with equally many votes the oldest.
    winner = np.where(totals == first, complaints, np.iinfo(np.int64).max).min(axis=1)
    share = first[:, 0] / weights.sum(axis=1)
    mine = complaints == winner[:, None]
    cosine = np.where(mine, cosines, -1.0).max(axis=1)
    close = mine & (cosines >= thresholds.vote_floor)
    shown = np.where(close.any(axis=1, keepdims=True), close, mine)
    voters = exemplars.statement_ids[top]
    for row in range(len(top)):
        yield _Vote(int(winner[row]), float(share[row]), float(cosine[row]), tuple(voters[row][shown[row]].tolist()))
