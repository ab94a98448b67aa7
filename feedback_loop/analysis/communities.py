"""Communities of linked statements, and which of the complaints known so far each of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feedback_loop.analysis.links import Links

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ITERATIONS = 2  # full Leiden cycles; the second repairs what the first merged too early
_MOST_MERGED = 5_000  # groups that are compared with each other, so that memory stays bounded
_RANDOMNESS = 0.001  # Leiden's default: nearly greedy


def communities(n: int, links: Links, current: NDArray[np.int64], resolution: float, seed: int) -> NDArray[np.int64]:
    """Leiden over the links, started from ``current`` (n,), 0 for none. Returns (n,) group numbers from 0 on.

    Rows without a link keep the company of their complaint, or stay alone.
    """
    start = _start(current, links)
    groups = _start(current, None)
    if len(links.source):
        from graspologic_native import leiden  # type: ignore[import-untyped,unused-ignore]

        linked = np.unique(np.concatenate([links.source, links.target]))
        names = [str(row) for row in range(n)]  # shared: a million links would make two million strings
        edges = [
            (names[a], names[b], c)
            for a, b, c in zip(
                links.source.tolist(), links.target.tolist(), links.cosine.astype(np.float64).tolist(), strict=True
            )
        ]
        compact = np.unique(start[linked], return_inverse=True)[1]
        _, found = leiden(
            edges,
            starting_communities=dict(zip([names[row] for row in linked.tolist()], compact.tolist(), strict=True)),
            resolution=resolution,
            randomness=_RANDOMNESS,
            iterations=_ITERATIONS,
            use_modularity=True,
            seed=seed,
            trials=1,
        )
        offset = int(start.max()) + 1
        for row in linked.tolist():
            groups[row] = offset + found[names[row]]
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def match(groups: NDArray[np.int64], current: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each group the complaint it overlaps most, one to one, the greatest overlap first.

    Args:
        groups: (n,) group numbers from 0 on.
        current: (n,) known complaint ids, 0 for none.
        weights: (n,) statements behind each row.

    Returns:
        (groups,) complaint id of each group; negative numbers (-1, -2, ... by size) for new ones.
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    ids = np.zeros(count, dtype=np.int64)
    old = current > 0
    if old.any():
        known, column = np.unique(current[old], return_inverse=True)
        pairs, inverse = np.unique(groups[old] * len(known) + column, return_inverse=True)
        overlap = np.bincount(inverse, weights=weights[old])
        taken: set[int] = set()
        for place in np.lexsort((pairs, -overlap)).tolist():
            group, complaint = divmod(int(pairs[place]), len(known))
            if ids[group] == 0 and complaint not in taken:
                ids[group] = known[complaint]
                taken.add(complaint)
    sizes = np.bincount(groups, weights=weights, minlength=count)
    new = np.flatnonzero(ids == 0)
    first = np.zeros(count, dtype=np.int64)
    rows, where = np.unique(groups, return_index=True)
    first[rows] = where
    order = new[np.lexsort((first[new], -sizes[new]))]
    ids[order] = -1 - np.arange(len(order))
    return ids


def merged(placed: NDArray[np.int64], vectors: NDArray[np.float32], above: float) -> NDArray[np.int64]:
    """Join groups whose statements are as near to each other as those of one group: the nearest pair first.

    Args:
        placed: (n,) complaint of each row, > 0 known and < 0 new.
        vectors: (n, d) float32 of unit length.
        above: mean cosine between all pairs of two groups from which they are joined (average linkage).

    Returns:
        (n,) complaint of each row. Two known complaints are never joined here: that is for people to decide.
    """
    names, inverse, sizes = np.unique(placed, return_inverse=True, return_counts=True)
    several = np.flatnonzero((sizes > 1) & (names != 0))  # single rows are linked or they are not
    if len(several) < 2 or len(several) > _MOST_MERGED:
        return placed
    place = np.full(len(names), -1)
    place[several] = np.arange(len(several))
    rows = np.flatnonzero(place[inverse] >= 0)
    sums = np.zeros((len(several), vectors.shape[1]), dtype=np.float64)
    members = place[inverse[rows]]
    order = np.argsort(members, kind="stable")
    bounds = np.searchsorted(members[order], np.arange(len(several)))
    sums[:] = np.add.reduceat(vectors[rows[order]], bounds, axis=0)
    count = sizes[several].astype(np.float64)
    known = names[several] > 0
    target = np.arange(len(several))
    alive = np.ones(len(several), dtype=bool)
    near = (sums @ sums.T) / np.outer(count, count)
    near[np.outer(known, known)] = -1.0
    np.fill_diagonal(near, -1.0)
    best = near.argmax(axis=1)  # the nearest group of each, kept so that no round looks at all pairs
    highest = near[np.arange(len(several)), best]
    while True:
        one = int(highest.argmax())
        two = int(best[one])
        if highest[one] < above:
            break
        if known[two] or (not known[one] and count[two] > count[one]):
            one, two = two, one  # the known one stays, else the larger
        target[target == two] = one
        alive[two] = False
        sums[one] += sums[two]
        count[one] += count[two]
        row = (sums @ sums[one]) / (count * count[one])
        row[~alive] = -1.0
        row[one] = -1.0
        if known[one]:
            row[known] = -1.0
        near[two, :] = near[:, two] = -1.0
        near[one, :] = near[:, one] = row
        stale = np.flatnonzero((best == one) | (best == two) | (row > highest))
        stale = np.append(stale, [one, two])
        best[stale] = near[stale].argmax(axis=1)
        highest[stale] = near[stale, best[stale]]
    result = placed.copy()
    result[rows] = names[several][target[members]]
    return result


def _start(current: NDArray[np.int64], links: Links | None) -> NDArray[np.int64]:
    """Communities to start from: the complaints, and each other row alone.

    With links, a row that is linked to nobody of its complaint starts alone, too: the Leiden library refuses
    communities that hold unconnected rows, or breaks down over them.
    """
    company = current > 0
    if links is not None:
        inside = current[links.source] == current[links.target]
        linked = np.zeros(len(current), dtype=np.bool_)
        linked[links.source[inside]] = linked[links.target[inside]] = True
        company &= linked
    known, inverse = np.unique(np.where(company, current, 0), return_inverse=True)
    start = np.asarray(inverse, dtype=np.int64).reshape(-1)
    alone = np.flatnonzero(~company)
    start[alone] = len(known) + np.arange(len(alone))
    return start
