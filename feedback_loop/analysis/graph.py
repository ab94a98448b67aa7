"""Clustering of statements as communities of a graph of nearest neighbours.

Each statement is linked to its nearest ones by cosine; Leiden (Traag, Waltman & van Eck 2019) finds the communities,
started from the complaints known so far, so that today's groups continue yesterday's. The class is a cluster model in
BERTopic's sense: ``fit``, ``predict`` and ``labels_``.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feedback_loop.analysis.constraints import enforce, never_empty, without_small
from feedback_loop.analysis.embedding.embedder import unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from feedback_loop.analysis.constraints import Constraints
    from feedback_loop.analysis.embedding.thresholds import Thresholds

_CHUNK_CELLS = 16_000_000  # similarities held at once: 64 MB of float32
_EXACT_BELOW = 25_000  # rows up to which all are compared with all
_CELL_ROWS = 200  # rows of a cell on average
_PROBED = 24  # cells compared with each cell
_SAMPLED = 50  # rows for each cell from which the cells are found
_ROUNDS = 6  # of k-means; more moves hardly anything
_ITERATIONS = 2  # full Leiden cycles; the second repairs what the first merged too early
_MOST_MERGED = 5_000  # groups that are compared with each other, so that memory stays bounded
_RANDOMNESS = 0.001  # Leiden's default: nearly greedy


@dataclass(frozen=True)
class GraphSettings:
    """The settings that hold for one sample size."""

    edge: float
    neighbours: int
    resolution: float
    merge: float
    cohesion: float


def settings_for(size: int, thresholds: Thresholds) -> GraphSettings:
    """Return the graph settings for ``size`` distinct statements.

    Those for few up to ``few_below``, the small ones at ``small_below``, those at scale from ``large_from``, and in
    between a smooth passage by log(size), so that no day's growth changes the grouping by itself. The resolution passes
    on to its own value for vast samples in the same way.
    """
    low, high, vast = thresholds.small_below, thresholds.large_from, thresholds.vast_from
    share = _passage(size, low, high)
    first = _passage(size, thresholds.few_below, low)
    return GraphSettings(
        _between(_between(thresholds.few_edge, thresholds.small_edge, first), thresholds.edge, share),
        round(_between(thresholds.small_neighbours, thresholds.neighbours, share)),
        _between(
            _between(thresholds.small_resolution, thresholds.resolution, share),
            thresholds.vast_resolution,
            _passage(size, high, vast),
        ),
        _between(thresholds.small_merge, thresholds.merge, share),
        _between(_between(thresholds.few_cohesion, thresholds.small_cohesion, first), thresholds.cohesion, share),
    )


def _passage(size: int, low: int, high: int) -> float:
    """How far ``size`` has come from ``low`` to ``high`` on a logarithmic scale, 0 to 1."""
    share = (math.log(max(size, 1)) - math.log(low)) / (math.log(max(high, low + 1)) - math.log(low))
    return min(1.0, max(0.0, share))


def _between(one: float, other: float, share: float) -> float:
    return one + share * (other - one)


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


def _no_links() -> Links:
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
        return _no_links()
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


class GraphClusterer:
    """A cluster model for BERTopic whose groups continue known ones.

    Args:
        thresholds: of the embedding model.
        weights: (n,) how many statements stand behind each row; ones if None.
        seed: of Leiden.
        constraints: what people decided, with one fixed flag for each row; nothing if None.

    After :meth:`fit`: ``labels_`` (n,) with -1 for no group; ``identity_`` the known id of each label, 0 for a new
    group; ``confidence_`` (n,) float32 from 0 to 1, the share of a row's links that stay in its group times the
    nearest of them; ``mean_`` (d,) what was taken off each row before comparing; ``links_`` the links; ``seconds_`` the
    time it took.
    """

    def __init__(
        self,
        thresholds: Thresholds,
        weights: NDArray[np.int64] | None = None,
        seed: int = 1,
        constraints: Constraints | None = None,
    ) -> None:
        self.thresholds = thresholds
        self.weights = weights
        self.seed = seed
        self.constraints = constraints
        self.links_ = _no_links()
        self.labels_: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.identity_: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.confidence_: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self.seconds_ = 0.0
        self._centres: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self.mean_: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def fit(self, X: NDArray[np.float32], y: NDArray[np.int64] | None = None) -> GraphClusterer:  # noqa: N803
        """Group the rows of ``X`` (n, d). ``y`` (n,) holds known ids, -1 or 0 for none (BERTopic's convention)."""
        began = time.perf_counter()
        vectors = np.asarray(X, dtype=np.float32)
        n = len(vectors)
        current = np.zeros(n, dtype=np.int64) if y is None else np.maximum(np.asarray(y, dtype=np.int64), 0)
        weights = np.ones(n, dtype=np.int64) if self.weights is None else self.weights
        self.mean_ = self.thresholds.centre * vectors.mean(axis=0) if n else np.zeros(0, dtype=np.float32)
        given = vectors
        vectors = unit(vectors - self.mean_) if n else vectors
        settings = settings_for(n, self.thresholds)
        links = nearest_links(vectors, settings.neighbours, settings.edge)
        if self.constraints is not None:  # what a person left in no complaint draws nothing together
            links = links.without(self.constraints.fixed & (current == 0))
        groups = communities(
            n, links, current, settings.resolution * linked_share(n, links, self.thresholds), self.seed
        )
        placed = match(groups, current, weights)[groups]
        placed = merged(placed, given, settings.merge)
        if self.constraints is not None:  # before sizes and centres are taken: no new group is made of fixed rows
            placed = np.where(self.constraints.fixed, current, placed)
            placed = never_empty(placed, current, self.constraints.kept | self.constraints.held)
        smallest = self.thresholds.smallest_group
        placed = self._without_strangers(vectors, placed, weights, current, settings.cohesion)
        placed = without_small(placed, current, weights, smallest)
        placed = self._hold(vectors, links, placed, current)
        placed = without_small(placed, current, weights, smallest)  # a new group may have been held back to too few
        if self.constraints is not None:
            placed = enforce(placed, current, self.constraints, weights, smallest)
        self.links_ = links
        self._publish(placed, vectors, links)
        self.seconds_ = time.perf_counter() - began
        return self

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.int64]:  # noqa: N803
        """Return the label of the nearest group centre for each row of ``X`` (n, d), -1 where none is near."""
        if not len(self._centres) or not len(X):
            return np.full(len(X), -1, dtype=np.int64)
        near = unit(np.asarray(X, dtype=np.float32) - self.mean_) @ self._centres.T
        best = near.argmax(axis=1)
        return np.where(near.max(axis=1) >= self.thresholds.edge, best, -1).astype(np.int64)

    def _without_strangers(
        self,
        vectors: NDArray[np.float32],
        placed: NDArray[np.int64],
        weights: NDArray[np.int64],
        current: NDArray[np.int64],
        cohesion: float,
    ) -> NDArray[np.int64]:
        """Who has no complaint yet joins a group only if its mean cosine to the others there is high enough.

        A chain of chance links brings together what has little in common. One text said often is a group by itself.
        """
        names, inverse = np.unique(placed, return_inverse=True)
        share = weights.astype(np.float32)
        sums = group_sums(vectors, inverse, share, len(names))
        others = np.bincount(inverse, weights=share)[inverse] - share
        own = np.einsum("ij,ij->i", vectors, sums[inverse]) - share
        alone = (others < 1) | (weights >= self.thresholds.smallest_group)
        strange = (own < cohesion * others) & ~alone & (current == 0)
        return np.where(strange, 0, placed)

    def _hold(
        self,
        vectors: NDArray[np.float32],
        links: Links,
        placed: NDArray[np.int64],
        current: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Hysteresis: who has a complaint leaves it only for one to which clearly more of its links lead.

        A complaint that still exists holds its statements; one that was absorbed lets them go if it was nearly a double
        of what absorbed it, and exists on if not.
        """
        placed = self._not_absorbed(vectors, placed, current)
        settled = (current == 0) | (placed == current) | ~np.isin(current, placed)
        if settled.all():
            return placed
        n = len(placed)
        gain = np.zeros(n)
        for end, other in ((links.source, links.target), (links.target, links.source)):
            # +1 for each link to where the row would go, -1 for each to where it is, less what it needs
            sides = (placed[end] == placed[other]).astype(np.float32) - (current[end] == placed[other])
            gain += np.bincount(end, weights=links.cosine * (sides - self.thresholds.move_share), minlength=n)
        return np.where(settled | (gain > 0), placed, current)

    def _not_absorbed(
        self, vectors: NDArray[np.float32], placed: NDArray[np.int64], current: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Complaints that lost all their rows get them back, unless most went to a group that says nearly the same."""
        placed = placed.copy()
        for complaint in np.setdiff1d(current[current > 0], placed).tolist():
            mine = current == complaint
            targets, counts = np.unique(placed[mine], return_counts=True)
            theirs = (placed == targets[counts.argmax()]) & ~mine
            if targets[counts.argmax()] == 0 or not theirs.any():
                continue
            centres = unit(np.stack([vectors[mine].sum(axis=0), vectors[theirs].sum(axis=0)]))
            if float(centres[0] @ centres[1]) < self.thresholds.absorb:
                placed[mine] = complaint
        return placed

    def _publish(self, placed: NDArray[np.int64], vectors: NDArray[np.float32], links: Links) -> None:
        names = np.unique(placed[placed != 0])
        self.identity_ = np.maximum(names, 0)
        labels = np.searchsorted(names, placed) if len(names) else np.zeros(len(placed), dtype=np.int64)
        self.labels_ = np.where(placed == 0, -1, labels).astype(np.int64)
        self.confidence_ = confidences(placed, placed, links)
        self._centres = (
            _centres(vectors[self.labels_ >= 0], self.labels_[self.labels_ >= 0], len(names))
            if len(names)
            else np.zeros((0, vectors.shape[1] if vectors.ndim == 2 else 0), dtype=np.float32)
        )


def confidences(asked: NDArray[np.int64], placed: NDArray[np.int64], links: Links) -> NDArray[np.float32]:
    """How surely each row belongs to the complaint asked for.

    Args:
        asked: (n,) complaint of each row, 0 for none; usually ``placed`` itself.
        placed: (n,) the complaints of the rows it is linked to.
        links: between the n rows.

    Returns:
        (n,) float32, 0 to 1: the share of a row's links that lead into the complaint times the nearest of them.
    """
    total = np.zeros(len(asked))
    inside = np.zeros(len(asked))
    best = np.zeros(len(asked))
    for end, other in ((links.source, links.target), (links.target, links.source)):
        same = (asked[end] == placed[other]) & (asked[end] != 0)
        total += np.bincount(end, weights=links.cosine, minlength=len(asked))
        inside += np.bincount(end[same], weights=links.cosine[same], minlength=len(asked))
        np.maximum.at(best, end[same], links.cosine[same])
    share = np.divide(inside, total, out=np.zeros(len(asked)), where=total > 0)
    alone = (asked != 0) & (total == 0)  # one text repeated: nothing else is near, and nothing contradicts
    return np.clip(np.where(alone, 1.0, share * best), 0.0, 1.0).astype(np.float32)


def linked_share(n: int, links: Links, thresholds: Thresholds) -> float:
    """Share of a small sample's rows that have a link, by which its resolution is taken down.

    Modularity compares a group with all links there are. Where one problem is all that repeats, its links are nearly
    all there are, and any resolution above 1 tears it apart: three people among fifteen would never be heard. Rows
    without a link count as if each had a group and the usual links of its own, which comes to the same as this factor.
    At scale nearly all rows are linked, so it is 1 from ``large_from`` rows on.
    """
    if n == 0:
        return 1.0
    linked = len(np.unique(np.concatenate([links.source, links.target])))
    return _between(linked / n, 1.0, _passage(n, thresholds.small_below, thresholds.large_from))


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


def _centres(vectors: NDArray[np.float32], groups: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Unit mean vector of each group, (count, d)."""
    return unit(group_sums(vectors, groups, None, count))
