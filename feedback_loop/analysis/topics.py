"""The words of each group, from BERTopic. The library is loaded here only, when it is needed."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from feedback_loop.analysis.graph import GraphClusterer
from feedback_loop.analysis.words import STOP_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEYWORDS = 10
_PLACEHOLDER = re.compile(r"\[[a-z]+\]")


def keywords_of_groups(
    texts: list[str],
    vectors: NDArray[np.float32],
    current: NDArray[np.int64],
    clusterer: GraphClusterer,
    clock: Clock,
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


class Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self._steps: dict[str, float] = {}

    def step(self, name: str) -> None:
        """A step is done."""
        now = time.perf_counter()
        self._steps[name] = self._steps.get(name, 0.0) + now - self._last
        self._last = now

    def move(self, source: str, target: str, seconds: float) -> None:
        """What was measured within one step was another one."""
        self._steps[source] -= seconds
        self._steps[target] = self._steps.get(target, 0.0) + seconds

    def finish(self) -> dict[str, float]:
        """All steps, and how long it took in all."""
        return {**self._steps, "total": time.perf_counter() - self._began}
