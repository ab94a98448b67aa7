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

from feedback_loop.analysis.communities import communities, match, merged
from feedback_loop.analysis.constraints import enforce, never_empty, without_small
from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.analysis.links import Links, group_sums, nearest_links, no_links

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feedback_loop.analysis.constraints import Constraints
    from feedback_loop.analysis.embedding.thresholds import Thresholds


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
        self.links_ = no_links()
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


def _centres(vectors: NDArray[np.float32], groups: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Unit mean vector of each group, (count, d)."""
    return unit(group_sums(vectors, groups, None, count))
