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

    from feedback_loop.analysis.embedding import Thresholds

_CHUNK_CELLS = 8_000_000  # similarities held at once: 32 MB of float32
_REASON_VOTERS = 3  # statements shown as the reason of an assignment


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


def assign_parts(
    vectors: NDArray[np.float32], exemplars: Exemplars, own: NDArray[np.int64], thresholds: Thresholds
) -> list[Assignment]:
    """Decide which parts of comments say something else than their comment.

    Args:
        vectors: (n, d) float32 of unit length, one row per part.
        exemplars: as for :func:`assign`.
        own: (n,) complaint id of the whole comment of each part, 0 for none.
        thresholds: ``part_vote`` and ``part_cosine`` decide, which are stricter than those for whole comments.

    Returns:
        n assignments. One with a complaint id means: keep this part as a statement of its own. None means: the part
        adds nothing sure, or points to the complaint its comment already has.

    Raises:
        ValueError: lengths or dimensions differ.
    """
    if len(own) != len(vectors):
        raise ValueError(f"{len(vectors)} parts, but {len(own)} complaints of their comments")
    answers: list[Assignment] = []
    for row, vote in _votes(vectors, exemplars, thresholds):
        if vote is None:
            answers.append(Assignment(None, 0.0, "there are no complaints to compare with yet", ()))
        elif vote.complaint_id == int(own[row]):
            answers.append(Assignment(None, vote.confidence, "says the same as its whole comment", ()))
        elif vote.cosine < thresholds.part_cosine or vote.share < thresholds.part_vote:
            answers.append(
                Assignment(
                    None,
                    vote.confidence,
                    f"not sure enough for a part: {vote.share:.0%} of the votes at {vote.cosine:.2f}, "
                    f"{thresholds.part_vote:.0%} at {thresholds.part_cosine:.2f} are needed",
                    (),
                )
            )
        else:
            answers.append(_hit(vote))
    return answers


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
        for row in range(len(near)):
            yield start + row, _count(top[row], cosines[row], exemplars, thresholds)


def _count(top: NDArray[np.intp], cosines: NDArray[np.float32], exemplars: Exemplars, thresholds: Thresholds) -> _Vote:
    # A vote counts by how far it lies above what unrelated texts reach, so that ten far voters do not beat one near.
    weights = np.maximum(cosines - thresholds.vote_floor, 1e-6).astype(np.float64) ** 2
    totals: dict[int, float] = {}
    for complaint, weight in zip(exemplars.complaint_ids[top].tolist(), weights.tolist(), strict=True):
        totals[complaint] = totals.get(complaint, 0.0) + weight
    winner = max(totals, key=lambda complaint: (totals[complaint], -complaint))
    mine = exemplars.complaint_ids[top] == winner
    close = mine & (cosines >= thresholds.vote_floor)
    shown = close if close.any() else mine
    return _Vote(
        winner,
        totals[winner] / sum(totals.values()),
        float(cosines[mine].max()),
        tuple(exemplars.statement_ids[top[shown]].tolist()),
    )
