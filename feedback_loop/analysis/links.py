"""Links between statements, each to its nearest ones, without comparing all with all where they are many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feedback_loop.analysis.embedding.embedder import unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_CHUNK_CELLS = 16_000_000  # similarities held at once: 64 MB of float32
_EXACT_BELOW = 25_000  # rows up to which all are compared with all
_CELL_ROWS = 200  # rows of a cell on average
_PROBED = 24  # cells compared with each cell
_SAMPLED = 50  # rows for each cell from which the cells are found
_ROUNDS = 6  # of k-means; more moves hardly anything


@dataclass(frozen=True)
class Links:
    """Links between statements, each once: ``source`` < ``target``, (e,) int64, and their cosines, (e,) float32."""

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    cosine: NDArray[np.float32]

    def without(self, rows: NDArray[np.bool_]) -> Links:
        """The links that touch none of these rows, (n,) bool."""
        keep = ~(rows[self.source] | rows[self.target])
        return Links(self.source[keep], self.target[keep], self.cosine[keep])


def no_links() -> Links:
    """Nothing is linked."""
    none = np.zeros(0, dtype=np.int64)
    return Links(none, none, np.zeros(0, dtype=np.float32))


def nearest_links(vectors: NDArray[np.float32], neighbours: int, edge: float) -> Links:
    """Link each row to its nearest ones above a cosine.

    Args:
        vectors: (n, d) float32 of unit length.
        neighbours: links that each row may start; it may receive more.
        edge: cosine below which there is no link.

    Returns:
        The links. Memory is bounded by chunks of rows; nothing of size n x n is held. From ``_EXACT_BELOW`` rows on
        each row is compared with those of the cells around it only, since all pairs would take minutes.
    """
    n = len(vectors)
    keep = min(neighbours, n - 1)
    if keep < 1:
        return no_links()
    sources: list[NDArray[np.int64]] = []
    targets: list[NDArray[np.int64]] = []
    cosines: list[NDArray[np.float32]] = []
    everyone = np.arange(n)
    for members, around in _cells(vectors) if n >= _EXACT_BELOW else [(everyone, everyone)]:
        others = vectors if around is everyone else vectors[around]
        chunk = max(1, _CHUNK_CELLS // len(around))
        for start in range(0, len(members), chunk):
            mine = members[start : start + chunk]
            near = vectors[mine] @ others.T
            near[np.arange(len(mine)), np.searchsorted(around, mine)] = -2.0
            rows, columns, values = _top(near, min(keep, len(around) - 1), edge)
            sources.append(mine[rows])
            targets.append(around[columns])
            cosines.append(values)
    one, two, weight = np.concatenate(sources), np.concatenate(targets), np.concatenate(cosines)
    low, high = np.minimum(one, two), np.maximum(one, two)
    _, first = np.unique(low * n + high, return_index=True)
    return Links(low[first], high[first], weight[first])


def _cells(vectors: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Divide rows into cells (an inverted file, Jegou et al. 2011): the rows of each, and all rows around them.

    Cells are those of spherical k-means on a sample; around a cell lie the rows of the ``_PROBED`` nearest cells, its
    own included. Deterministic: the same rows give the same cells.
    """
    n = len(vectors)
    count = n // _CELL_ROWS
    sample = vectors[np.random.default_rng(1).choice(n, min(n, count * _SAMPLED), replace=False)]
    centres = sample[:count].copy()
    for _ in range(_ROUNDS):
        nearest = _nearest(sample, centres)
        sums = group_sums(sample, nearest, None, count)
        centres = np.where(np.bincount(nearest, minlength=count)[:, None] > 0, unit(sums), centres)
    cell = _nearest(vectors, centres)
    rows_of = np.split(np.argsort(cell, kind="stable"), np.cumsum(np.bincount(cell, minlength=count))[:-1])
    close = np.argsort(-(centres @ centres.T), axis=1, kind="stable")[:, :_PROBED]
    for number, members in enumerate(rows_of):
        if len(members):
            around = np.sort(np.concatenate([members, *(rows_of[other] for other in close[number] if other != number)]))
            yield members, around


def _nearest(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """The nearest centre of each row, (n,)."""
    chunk = max(1, _CHUNK_CELLS // len(centres))
    near = [(vectors[start : start + chunk] @ centres.T).argmax(axis=1) for start in range(0, len(vectors), chunk)]
    return np.concatenate(near).astype(np.int64)


def _top(
    near: NDArray[np.float32], keep: int, edge: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The ``keep`` highest values above ``edge`` of each row, as rows, columns and values."""
    width = near.shape[1]
    above = np.flatnonzero(near > edge)
    if len(above) > near.size // 8:  # dense: sorting all would cost more than a partition of each row
        top = np.argpartition(near, width - keep, axis=1)[:, width - keep :]
        values = np.take_along_axis(near, top, axis=1)
        mask = values > edge
        return np.nonzero(mask)[0].astype(np.int64), top[mask].astype(np.int64), values[mask]
    values = near.ravel()[above]
    rows, columns = np.divmod(above, width)
    order = np.lexsort((-values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = place < keep
    return rows[kept], columns[kept], values[kept]


def group_sums(
    vectors: NDArray[np.float32], groups: NDArray[np.int64], weights: NDArray[np.float32] | None, count: int
) -> NDArray[np.float32]:
    """Sum of the (weighted) rows of each group, (count, d), in one pass over rows sorted by group."""
    sums = np.zeros((count, vectors.shape[1]), dtype=np.float32)
    if not len(groups):
        return sums
    order = np.argsort(groups, kind="stable")
    present, bounds = np.unique(groups[order], return_index=True)
    rows = vectors[order] if weights is None else vectors[order] * weights[order, None]
    sums[present] = np.add.reduceat(rows, bounds, axis=0)
    return sums
