"""The nearest of very many vectors, looked at a chunk at a time, so that memory does not grow with their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Nearest:
    """For each of q wanted vectors the nearest of all vectors shown so far, by cosine.

    Args:
        wanted: (q, d) float32 of unit length.
        limit: kept for each.
        floor: cosine from which a vector counts.
    """

    def __init__(self, wanted: NDArray[np.float32], limit: int, floor: float) -> None:
        self._wanted = wanted
        self._limit = limit
        self._floor = np.full(len(wanted), floor, dtype=np.float32)
        self._ids = [np.zeros(0, dtype=np.int64) for _ in wanted]
        self._cosines = [np.zeros(0, dtype=np.float32) for _ in wanted]

    def look_at(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Take more vectors into account: (n,) ids and (n, d) float32 rows of unit length."""
        cosines = vectors @ self._wanted.T
        for row in range(len(self._wanted)):
            near = cosines[:, row] >= self._floor[row]
            if near.any():
                self._keep(row, ids[near], cosines[near, row])

    def hits(self, row: int) -> list[tuple[int, float]]:
        """Id and cosine of the nearest to one wanted vector, nearest first; of equally near ones the newest first."""
        order = np.lexsort((-self._ids[row], -self._cosines[row]))
        return [(int(self._ids[row][place]), float(self._cosines[row][place])) for place in order]

    def _keep(self, row: int, ids: NDArray[np.int64], cosines: NDArray[np.float32]) -> None:
        ids, cosines = np.concatenate([self._ids[row], ids]), np.concatenate([self._cosines[row], cosines])
        if len(ids) > self._limit:
            order = np.lexsort((-ids, -cosines))[: self._limit]
            ids, cosines = ids[order], cosines[order]
            self._floor[row] = cosines[-1]
        self._ids[row], self._cosines[row] = ids, cosines
