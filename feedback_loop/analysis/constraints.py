"""What people decided about complaints, as rules that every grouping obeys.

:func:`enforce` is the last word: a plain function over where the clustering put each row and where the row was, so
that the rules hold whatever the clustering does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Constraints:
    """Corrections that hold in every refine.

    ``fixed`` (n,) bool: rows a person placed. They stay in the complaint they have, or in none.
    ``held``: complaints none of whose rows leaves for a new group: merged into by a person, split off,
    dismissed. A row may still drift to another known complaint.
    ``kept``: complaints somebody is working on. They never end up empty: if a grouping leaves one without a row, its
    rows stay where they were.
    ``apart``: pairs of complaints (a < b). No row moves from one to the other, and no new group takes rows of both.
    """

    fixed: NDArray[np.bool_]
    held: frozenset[int] = field(default_factory=frozenset)
    kept: frozenset[int] = field(default_factory=frozenset)
    apart: frozenset[tuple[int, int]] = field(default_factory=frozenset)

    def of(self, fixed: NDArray[np.bool_]) -> Constraints:
        """The same rules for other rows, of which ``fixed`` (m,) are fixed."""
        return Constraints(fixed, self.held, self.kept, self.apart)


def enforce(
    placed: NDArray[np.int64],
    current: NDArray[np.int64],
    constraints: Constraints,
    weights: NDArray[np.int64],
    smallest: int,
) -> NDArray[np.int64]:
    """Send rows home until no rule is broken.

    Args:
        placed: (n,) where the clustering put each row: > 0 a known complaint, < 0 a new group, 0 the pool.
        current: (n,) the complaint each row has now, 0 for none.
        constraints: the rules, with n fixed flags.
        weights: (n,) statements behind each row.
        smallest: statements that make a new group; what is left of a smaller one goes to the pool.

    Returns:
        (n,) places that break no rule. A row either stays where it was put, goes back to its complaint, or goes to
        the pool with a new group that became too small; so the repetition comes to an end.
    """
    placed = np.where(constraints.fixed, current, placed)
    held = ~constraints.fixed & np.isin(current, list(constraints.held)) & (current > 0)
    while True:
        before = placed
        placed = np.where(held & (placed <= 0), current, placed)
        placed = _apart(placed, current, constraints.apart, weights)
        placed = without_small(placed, current, weights, smallest)
        placed = never_empty(placed, current, constraints.kept)
        if np.array_equal(placed, before):
            return placed


def without_small(
    placed: NDArray[np.int64], current: NDArray[np.int64], weights: NDArray[np.int64], smallest: int
) -> NDArray[np.int64]:
    """New groups of fewer than ``smallest`` statements go to the pool; a known complaint stays, however small.

    Nobody leaves a complaint that still exists for the pool: what was said there once was close enough.
    """
    names, inverse = np.unique(placed, return_inverse=True)
    sizes = np.bincount(inverse, weights=weights)
    small = (sizes < smallest) & (names < 0)
    placed = np.where(small[inverse], 0, placed)
    return np.where((placed == 0) & (current > 0) & np.isin(current, placed), current, placed)


def never_empty(placed: NDArray[np.int64], current: NDArray[np.int64], complaints: Iterable[int]) -> NDArray[np.int64]:
    """The rows of each of these complaints stay where they were if otherwise it had no row at all."""
    lost = np.setdiff1d(np.asarray(sorted(complaints), dtype=np.int64), placed)
    return np.where(np.isin(current, lost) & (current > 0), current, placed)


def _apart(
    placed: NDArray[np.int64],
    current: NDArray[np.int64],
    apart: frozenset[tuple[int, int]],
    weights: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Undo what brings together rows that a person separated; of a new group the smaller side goes home."""
    rivals: dict[int, set[int]] = {}
    for one, two in apart:
        rivals.setdefault(one, set()).add(two)
        rivals.setdefault(two, set()).add(one)
    concerned = np.flatnonzero(np.isin(current, list(rivals)) & (current > 0) & (placed != current) & (placed != 0))
    if not len(concerned):
        return placed
    pairs, inverse = np.unique(np.stack([placed[concerned], current[concerned]], axis=1), axis=0, return_inverse=True)
    sizes = np.bincount(inverse.ravel(), weights=weights[concerned])
    home = np.zeros(len(pairs), dtype=np.bool_)
    inside: dict[int, set[int]] = {}  # the complaints a new group has taken rows from
    for place in np.lexsort((pairs[:, 1], -sizes)).tolist():  # the largest side stays
        target, source = pairs[place].tolist()
        taken = {target} if target > 0 else inside.setdefault(target, set())
        home[place] = bool(taken & rivals[source])
        if target < 0 and not home[place]:
            taken.add(source)
    back = concerned[home[inverse.ravel()]]
    placed = placed.copy()
    placed[back] = current[back]
    return placed
