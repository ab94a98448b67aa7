"""What do statements have in common? BERTopic, with complaints that keep their identity.

BERTopic (Grootendorst 2022) is the topic model; the clusters are communities of a nearest-neighbour graph
(:mod:`feedback_loop.analysis.graph`), the words come from its c-TF-IDF, the names from :mod:`.naming`. It needs
neither UMAP, HDBSCAN nor torch. Only worker code imports this module.
"""

from __future__ import annotations

import itertools
import re
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from feedback_loop.analysis.embedding import unit
from feedback_loop.analysis.graph import GraphClusterer
from feedback_loop.analysis.naming import Name, name_group
from feedback_loop.analysis.words import STOP_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feedback_loop.analysis.embedding import Thresholds

MOST_EXEMPLARS = 24  # per complaint: with more, assignment repeats the grouping hardly better and grows slower
_MOST_COMPARED = 400  # rows of one group among which exemplars are chosen
_CENTRAL_TEXTS = 15  # read for the name
_KEYWORDS = 10

_ASCII_WORDS = re.compile(r"[a-z0-9]+")
_PLACEHOLDER = re.compile(r"\[[a-z]+\]")


@dataclass(frozen=True)
class Discovery:
    """The grouping of n statements.

    ``complaint`` (n,) int64: a known id > 0, a new group < 0 (-1, -2, ..., the largest first), or 0 for the pool.
    ``confidence`` (n,) float32, 0 to 1: how surely the row belongs to its group; 0 in the pool.
    ``names``: for every group present.
    ``exemplars``: row numbers by group, the most telling first, at most 24, spread over the group.
    ``kept``: share of the rows with a complaint before that keep it; None where no row had one.
    ``seconds``: time by step (``graph``, ``words``, ``name``, ``exemplars``, ``total``).
    """

    complaint: NDArray[np.int64]
    confidence: NDArray[np.float32]
    names: dict[int, Name]
    exemplars: dict[int, NDArray[np.int64]]
    kept: float | None
    seconds: dict[str, float]


def discover(
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    current: NDArray[np.int64],
    thresholds: Thresholds,
    seed: int = 1,
    progress: Callable[[str, float], None] | None = None,
) -> Discovery:
    """Group statements, continuing the complaints they have now.

    Args:
        texts: n statements after redaction, main statements of problems only.
        vectors: (n, d) float32 of unit length.
        current: (n,) int64, the complaint id of each statement now, 0 for none.
        thresholds: of the model the vectors come from.
        seed: the same input and seed give the same result.
        progress: called with the step and the share of all work done, 0 to 1.

    Returns:
        The grouping. Identical texts (but for case, spaces and punctuation) always share a complaint.

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
    report = progress or _silent
    clock = _Clock()
    report("graph", 0.0)
    node, first = _collapse(texts)
    counts = np.bincount(node, minlength=len(first)).astype(np.int64)
    node_texts = [texts[row] for row in first.tolist()]
    node_vectors = _means(vectors, node, counts)
    clusterer = GraphClusterer(thresholds, counts, seed)
    clock.step("collapse")
    keywords = _run_bertopic(node_texts, node_vectors, _majority(node, current, len(first)), clusterer, clock, report)
    complaint_of_label = _numbers(clusterer, counts)
    node_complaint = np.append(complaint_of_label, 0)[clusterer.labels_]
    report("exemplars", 0.7)
    exemplars: dict[int, NDArray[np.int64]] = {}
    central: dict[int, list[str]] = {}
    for label, complaint in enumerate(complaint_of_label.tolist()):
        members = np.flatnonzero(clusterer.labels_ == label)
        chosen, order = _representatives(node_vectors[members], counts[members])
        exemplars[complaint] = first[members[chosen]]
        central[complaint] = [node_texts[row] for row in members[order[:_CENTRAL_TEXTS]].tolist()]
    clock.step("exemplars")
    report("name", 0.9)
    names: dict[int, Name] = {}
    taken: set[str] = set()
    sizes = np.bincount(clusterer.labels_ + 1, weights=counts, minlength=len(complaint_of_label) + 1)[1:]
    for label in np.lexsort((complaint_of_label, -sizes)).tolist():  # the largest group has first choice
        complaint = int(complaint_of_label[label])
        name = name_group(central[complaint], keywords.get(label, ()), taken)
        taken.add(name.phrase.casefold())
        names[complaint] = name
    clock.step("name")
    complaint = node_complaint[node] if n else np.zeros(0, dtype=np.int64)
    before = current > 0
    kept = float((complaint[before] == current[before]).mean()) if before.any() else None
    confidence = np.where(complaint != 0, clusterer.confidence_[node], 0.0) if n else np.zeros(0)
    report("done", 1.0)
    return Discovery(complaint, confidence.astype(np.float32), names, exemplars, kept, clock.finish())


def normalised(text: str) -> str:
    """The text without case, punctuation and doubled spaces; two texts with one normal form are the same statement."""
    if text.isascii():
        return " ".join(_ASCII_WORDS.findall(text.lower())) or text.strip()
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in plain).split()
    return " ".join(words) or plain.strip()


def _collapse(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Identical texts to one node: (n,) node of each row, and (nodes,) first row of each node."""
    seen: dict[str, int] = {}
    first: list[int] = []
    node = np.zeros(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        key = normalised(text)
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


def _run_bertopic(
    texts: list[str],
    vectors: NDArray[np.float32],
    current: NDArray[np.int64],
    clusterer: GraphClusterer,
    clock: _Clock,
    report: Callable[[str, float], None],
) -> dict[int, tuple[str, ...]]:
    """Fit BERTopic; returns the keywords of each of the clusterer's labels."""
    if len(texts) < clusterer.thresholds.smallest_group or not _two_terms(texts):
        clusterer.fit(vectors, current)  # too few texts or words for a topic model; known complaints stay
        clock.step("graph")
        return {}
    from bertopic import BERTopic  # type: ignore[import-untyped,unused-ignore]
    from bertopic.backend import BaseEmbedder  # type: ignore[import-untyped,unused-ignore]
    from bertopic.dimensionality import BaseDimensionalityReduction  # type: ignore[import-untyped,unused-ignore]
    from bertopic.vectorizers import ClassTfidfTransformer  # type: ignore[import-untyped,unused-ignore]
    from sklearn.feature_extraction.text import CountVectorizer  # type: ignore[import-untyped,unused-ignore]

    class Given(BaseEmbedder):  # type: ignore[misc,unused-ignore]
        """The vectors are computed already; with an embedder set, BERTopic leaves non-English letters alone."""

        def embed(self, documents: list[str], verbose: bool = False) -> NDArray[np.float32]:
            raise RuntimeError("the vectors are given")

    class Model(BERTopic):  # type: ignore[misc,unused-ignore]
        def _save_representative_docs(self, documents: Any) -> None:
            """Left out: it takes a third of the time, and the exemplars are chosen by vectors, not by words."""

    model = Model(
        embedding_model=Given(),
        umap_model=BaseDimensionalityReduction(),
        hdbscan_model=clusterer,
        vectorizer_model=CountVectorizer(
            analyzer=_terms,
            max_features=50_000,
        ),
        ctfidf_model=ClassTfidfTransformer(reduce_frequent_words=True),
        top_n_words=_KEYWORDS,
        verbose=False,
    )
    clock.step("import")
    topics, _ = model.fit_transform(texts, embeddings=vectors, y=np.where(current > 0, current, -1))
    clock.step("words")
    clock.move("words", "graph", clusterer.seconds_)
    report("words", 0.6)
    keywords: dict[int, tuple[str, ...]] = {}
    for topic, label in dict(zip(topics, clusterer.labels_.tolist(), strict=True)).items():
        if label >= 0:
            words: Any = model.get_topic(topic) or []
            keywords[label] = tuple(str(word) for word, _ in words if word)
    return keywords


_TERM = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def _terms(document: str) -> list[str]:
    """Words and word pairs of a text, without stop words, numbers and placeholders."""
    words = _TERM.findall(_PLACEHOLDER.sub(" ", document).casefold())
    useful = [w if len(w) > 1 and w not in STOP_WORDS and not w.isdigit() else "" for w in words]
    terms = [word for word in useful if word]
    terms += [f"{one} {two}" for one, two in itertools.pairwise(useful) if one and two]
    return terms or ["…"]


def _two_terms(texts: list[str]) -> bool:
    """Whether there are two different words; c-TF-IDF cannot compare fewer."""
    first = ""
    for text in texts:
        for term in _terms(text):
            if first and term != first:
                return True
            first = term
    return False


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


class _Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self._steps: dict[str, float] = {}

    def step(self, name: str) -> None:
        now = time.perf_counter()
        self._steps[name] = self._steps.get(name, 0.0) + now - self._last
        self._last = now

    def move(self, source: str, target: str, seconds: float) -> None:
        self._steps[source] -= seconds
        self._steps[target] = self._steps.get(target, 0.0) + seconds

    def finish(self) -> dict[str, float]:
        return {**self._steps, "total": time.perf_counter() - self._began}


def _silent(step: str, share: float) -> None:
    """No progress wanted."""
