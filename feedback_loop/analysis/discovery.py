"""What do statements have in common? BERTopic, with complaints that keep their identity.

BERTopic (Grootendorst 2022) is the topic model; the clusters are communities of a nearest-neighbour graph
(:mod:`.graph`), the words come from its c-TF-IDF (:mod:`.topics`), the names from :mod:`.naming`. It needs neither
UMAP, HDBSCAN nor torch. Only worker code imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from feedback_loop.analysis.constraints import enforce
from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.analysis.graph import GraphClusterer, confidences
from feedback_loop.analysis.links import group_sums
from feedback_loop.analysis.naming import Name, name_group
from feedback_loop.analysis.sameness import normalised
from feedback_loop.analysis.topics import Clock, keywords_of_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feedback_loop.analysis.constraints import Constraints
    from feedback_loop.analysis.embedding.thresholds import Thresholds

MOST_EXEMPLARS = 24  # per complaint: with more, assignment repeats the grouping hardly better and grows slower
_MOST_COMPARED = 400  # rows of one group among which exemplars are chosen
_CENTRAL_TEXTS = 15  # read for the name
_NEIGHBOURS = 3  # groups shown beside each
_GROUPS_AT_ONCE = 1_000  # compared with all the others


@dataclass(frozen=True)
class Discovery:
    """The grouping of n statements.

    ``complaint`` (n,) int64: a known id > 0, a new group < 0 (-1, -2, ..., the largest first), or 0 for the pool.
    ``confidence`` (n,) float32, 0 to 1: how surely the row belongs to its group; 0 in the pool.
    ``names``: for every group present.
    ``exemplars``: row numbers by group, the most telling first, at most 24, spread over the group.
    ``kept``: share of the rows with a complaint before that keep it; None where no row had one.
    ``seconds``: time by step (``graph``, ``words``, ``name``, ``exemplars``, ``total``).
    ``absorbed``: for each known complaint that has no row any more, the group most of its rows went to; 0 where all
    went to the pool.
    ``cohesion``: for every group present, the mean cosine of its rows to their unit mean.
    ``neighbours``: for every group present, up to 3 other groups with the cosine of their centred means, nearest first.
    ``stability``: for every known complaint present, the share of the rows it had before that it still has.
    """

    complaint: NDArray[np.int64]
    confidence: NDArray[np.float32]
    names: dict[int, Name]
    exemplars: dict[int, NDArray[np.int64]]
    kept: float | None
    seconds: dict[str, float]
    absorbed: dict[int, int] = field(default_factory=dict)
    cohesion: dict[int, float] = field(default_factory=dict)
    neighbours: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    stability: dict[int, float] = field(default_factory=dict)


def discover(
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    current: NDArray[np.int64],
    thresholds: Thresholds,
    seed: int = 1,
    progress: Callable[[str, float], None] | None = None,
    constraints: Constraints | None = None,
) -> Discovery:
    """Group statements, continuing the complaints they have now.

    Args:
        texts: n statements after redaction, main statements of problems only.
        vectors: (n, d) float32 of unit length.
        current: (n,) int64, the complaint id of each statement now, 0 for none.
        thresholds: of the model the vectors come from.
        seed: the same input and seed give the same result.
        progress: called with the step and the share of all work done, 0 to 1.
        constraints: what people decided, with one fixed flag for each statement; nothing if None.

    Returns:
        The grouping. Identical texts (but for case, spaces and punctuation) share a complaint, unless ``constraints``
        hold them in different ones.

    Raises:
        ValueError: the lengths differ, or an id is negative.
    """
    n = len(texts)
    vectors = np.asarray(vectors, dtype=np.float32)
    current = np.asarray(current, dtype=np.int64)
    if len(vectors) != n or current.shape != (n,):
        raise ValueError(f"{n} texts, but {len(vectors)} vectors and {current.shape} complaints")
    if n and int(current.min()) < 0:
        raise ValueError("current holds complaint ids > 0, or 0 for none")
    if constraints is not None and constraints.fixed.shape != (n,):
        raise ValueError(f"{n} texts, but constraints for {constraints.fixed.shape}")
    report = progress or _silent
    clock = Clock()
    report("graph", 0.0)
    fixed = np.zeros(n, dtype=np.bool_) if constraints is None else constraints.fixed
    node, first = _collapse(texts, current, fixed)
    counts = np.bincount(node, minlength=len(first)).astype(np.int64)
    node_texts = [texts[row] for row in first.tolist()]
    node_vectors = _means(vectors, node, counts)
    node_current = _majority(node, current, len(first))
    clusterer = GraphClusterer(thresholds, counts, seed, constraints.of(fixed[first]) if constraints else None)
    clock.step("collapse")
    keywords_of_label = keywords_of_groups(node_texts, node_vectors, node_current, clusterer, clock, report)
    complaint_of_label = _numbers(clusterer, counts)
    node_complaint = np.append(complaint_of_label, 0)[clusterer.labels_]
    keywords = {int(complaint_of_label[label]): words for label, words in keywords_of_label.items()}
    complaint, confidence = _rows(node, node_complaint, node_current, current, clusterer, constraints)
    complaint, keywords = _dense(complaint, keywords)
    members = _Members(complaint, node, first)
    report("exemplars", 0.7)
    exemplars: dict[int, NDArray[np.int64]] = {}
    central: dict[int, list[str]] = {}
    for group, place in members.groups():
        chosen, order = _representatives(node_vectors[members.node[place]], members.count[place])
        exemplars[group] = members.row[place[chosen]]
        central[group] = [texts[row] for row in members.row[place[order[:_CENTRAL_TEXTS]]].tolist()]
    clock.step("exemplars")
    cohesion, neighbours = _portrait(members, node_vectors, clusterer)
    clock.step("neighbours")
    report("name", 0.9)
    names: dict[int, Name] = {}
    taken: set[str] = set()
    for group in members.by_size():  # the largest group has first choice
        names[group] = name_group(central[group], keywords.get(group, ()), taken)
        taken.add(names[group].phrase.casefold())
    clock.step("name")
    before = current > 0
    kept = float((complaint[before] == current[before]).mean()) if before.any() else None
    absorbed, stability = _history(current, complaint)
    report("done", 1.0)
    return Discovery(
        complaint,
        np.where(complaint != 0, confidence, 0.0).astype(np.float32),
        names,
        exemplars,
        kept,
        clock.finish(),
        absorbed,
        cohesion,
        neighbours,
        stability,
    )


def _collapse(
    texts: Sequence[str], current: NDArray[np.int64], fixed: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Identical texts to one node: (n,) node of each row, and (nodes,) first row of each node.

    Fixed rows are nodes of their own, one for each text and complaint: people may put one text in two places.
    """
    seen: dict[tuple[str, int], int] = {}
    first: list[int] = []
    node = np.zeros(len(texts), dtype=np.int64)
    places = np.where(fixed, current, -1).tolist()
    for row, text in enumerate(texts):
        key = (normalised(text), places[row])
        place = seen.get(key)
        if place is None:
            place = seen[key] = len(first)
            first.append(row)
        node[row] = place
    return node, np.asarray(first, dtype=np.int64)


def _means(vectors: NDArray[np.float32], node: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float32]:
    if not len(node):
        return vectors
    order = np.argsort(node, kind="stable")
    return unit(np.add.reduceat(vectors[order], np.cumsum(counts) - counts, axis=0))


def _majority(node: NDArray[np.int64], current: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The complaint that most rows of each node have; of equal ones the older (smaller) id."""
    result = np.zeros(count, dtype=np.int64)
    known = current > 0
    pairs, votes = np.unique(np.stack([node[known], current[known]], axis=1), axis=0, return_counts=True)
    order = np.lexsort((-pairs[:, 1], votes))  # the last to be written wins
    result[pairs[order, 0]] = pairs[order, 1]
    return result


def _numbers(clusterer: GraphClusterer, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Complaint of each label: its known id, or -1, -2, ... by size."""
    numbers = clusterer.identity_.copy()
    labels = clusterer.labels_
    sizes = np.bincount(labels[labels >= 0], weights=counts[labels >= 0], minlength=len(numbers))
    new = np.flatnonzero(numbers == 0)
    numbers[new[np.lexsort((new, -sizes[new]))]] = -1 - np.arange(len(new))
    return numbers


def _rows(
    node: NDArray[np.int64],
    node_complaint: NDArray[np.int64],
    node_current: NDArray[np.int64],
    current: NDArray[np.int64],
    clusterer: GraphClusterer,
    constraints: Constraints | None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Complaint and confidence of each row, from those of the nodes.

    Rows of one text may have had different complaints, so the rules are enforced for single rows once more. Where one
    went home, its confidence says how little may speak for that.
    """
    if not len(node):
        return node, np.zeros(0, dtype=np.float32)
    complaint, confidence = node_complaint[node], clusterer.confidence_[node]
    if constraints is None:
        return complaint, confidence
    home = np.where((current == 0) & ~constraints.fixed, node_current[node], current)
    ones = np.ones(len(node), dtype=np.int64)
    settled = enforce(complaint, home, constraints, ones, clusterer.thresholds.smallest_group)
    back = np.flatnonzero(settled != complaint)
    while len(back):  # one round for each of the places that rows of one node went to
        nodes, which = np.unique(node[back], return_index=True)
        asked = node_complaint.copy()
        asked[nodes] = settled[back[which]]
        answers = confidences(asked, node_complaint, clusterer.links_)
        done = settled[back] == asked[node[back]]
        confidence[back[done]] = answers[node[back[done]]]
        back = back[~done]
    return settled, confidence


def _dense(
    complaint: NDArray[np.int64], keywords: dict[int, tuple[str, ...]]
) -> tuple[NDArray[np.int64], dict[int, tuple[str, ...]]]:
    """New groups numbered -1, -2, ... by size again, after some were dissolved."""
    new, inverse, sizes = np.unique(complaint[complaint < 0], return_inverse=True, return_counts=True)
    numbers = np.zeros(len(new), dtype=np.int64)
    numbers[np.lexsort((-new, -sizes))] = -1 - np.arange(len(new))
    result = complaint.copy()
    result[complaint < 0] = numbers[inverse]
    renamed = dict(zip(new.tolist(), numbers.tolist(), strict=True))
    return result, {
        renamed.get(group, group): words for group, words in keywords.items() if group > 0 or group in renamed
    }


class _Members:
    """The nodes of each group: ``node``, ``row`` (the first there), ``count`` (m,) for m pairs of group and node.

    Usually a node is in one group; only where rules hold rows of one text apart it is in several.
    """

    def __init__(self, complaint: NDArray[np.int64], node: NDArray[np.int64], first: NDArray[np.int64]) -> None:
        inside = np.flatnonzero(complaint)
        self.names, group = np.unique(complaint[inside], return_inverse=True)
        nodes = max(len(first), 1)
        pairs, which, self.count = np.unique(group * nodes + node[inside], return_index=True, return_counts=True)
        self.group, self.node = np.divmod(pairs, nodes)  # sorted by group
        self.row = inside[which]

    def groups(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Each group with the places of its members."""
        bounds = np.searchsorted(self.group, np.arange(len(self.names) + 1))
        for place, name in enumerate(self.names.tolist()):
            yield name, np.arange(bounds[place], bounds[place + 1])

    def by_size(self) -> list[int]:
        """The groups, the one of most statements first."""
        sizes = np.bincount(self.group, weights=self.count, minlength=len(self.names))
        return [int(name) for name in self.names[np.lexsort((self.names, -sizes))]]


def _portrait(
    members: _Members, vectors: NDArray[np.float32], clusterer: GraphClusterer
) -> tuple[dict[int, float], dict[int, list[tuple[int, float]]]]:
    """Cohesion and nearest other groups of each group; see :class:`Discovery`."""
    names = members.names.tolist()
    if not names:
        return {}, {}
    weights = members.count.astype(np.float32)
    sums = group_sums(vectors[members.node], members.group, weights, len(names))
    sizes = np.bincount(members.group, weights=weights)
    # the mean of the rows' cosines to their unit mean is the length of their mean
    cohesion = np.linalg.norm(sums, axis=1) / sizes
    means = unit(sums / sizes[:, None] - clusterer.mean_)
    neighbours: dict[int, list[tuple[int, float]]] = {}
    for start in range(0, len(names), _GROUPS_AT_ONCE):
        near = means[start : start + _GROUPS_AT_ONCE] @ means.T
        near[np.arange(len(near)), start + np.arange(len(near))] = -np.inf
        top = np.argsort(-near, axis=1, kind="stable")[:, : min(_NEIGHBOURS, len(names) - 1)]
        for place, best in enumerate(top):
            found = [(int(names[other]), round(float(near[place, other]), 4)) for other in best.tolist()]
            neighbours[names[start + place]] = found
    return {name: float(value) for name, value in zip(names, cohesion, strict=True)}, neighbours


def _history(current: NDArray[np.int64], complaint: NDArray[np.int64]) -> tuple[dict[int, int], dict[int, float]]:
    """What became of the known complaints: ``absorbed`` and ``stability``; see :class:`Discovery`."""
    absorbed: dict[int, int] = {}
    stability: dict[int, float] = {}
    old = current > 0
    pairs, counts = np.unique(np.stack([current[old], complaint[old]], axis=1), axis=0, return_counts=True)
    totals: dict[int, int] = {}
    most: dict[int, int] = {}
    stayed: dict[int, int] = {}
    alive = set(np.unique(complaint).tolist())
    for (before, now), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        totals[before] = totals.get(before, 0) + count
        if before == now:
            stayed[before] = count
        if now != 0 and count > most.get(before, 0):
            most[before], absorbed[before] = count, now
    for name, total in totals.items():
        if name in alive:
            stability[name] = stayed.get(name, 0) / total
    return {name: absorbed.get(name, 0) for name in totals if name not in alive}, stability


def _representatives(
    vectors: NDArray[np.float32], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Members that stand for a group, and all members from central to marginal.

    The first are chosen greedily so that every member has one as near as possible (facility location, Nemhauser et
    al. 1978; half of the best possible at worst): the most central first, then what is not yet represented.
    """
    centre = unit((vectors * counts[:, None]).sum(axis=0, keepdims=True))[0]
    order = np.argsort(-(vectors @ centre), kind="stable")
    if len(vectors) <= 2:
        return order, order
    pool = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _MOST_COMPARED)).astype(np.int64))]
    near = vectors[pool] @ vectors[pool].T
    np.fill_diagonal(near, 1.0)
    best = np.full(len(pool), -1.0, dtype=np.float32)
    weight = counts[pool].astype(np.float32)
    chosen: list[int] = []
    for _ in range(min(MOST_EXEMPLARS, len(pool))):
        gains = np.maximum(near - best[None, :], 0.0) @ weight
        gains[chosen] = -1.0
        pick = int(gains.argmax())
        chosen.append(pick)
        best = np.maximum(best, near[pick])
    return pool[np.asarray(chosen, dtype=np.int64)], order


def _silent(step: str, share: float) -> None:
    """No progress wanted."""
