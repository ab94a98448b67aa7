"""A stand-in for tests."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.analysis.embedding.thresholds import TOY_THRESHOLDS

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ToyEmbedder:
    """A small deterministic stand-in for tests: hashed words and character trigrams, no model, no files.

    Texts that share words are near each other; it knows nothing of meaning.
    """

    name = "toy"

    def __init__(self, dimensions: int = 256) -> None:
        self.dimensions = dimensions
        self.thresholds = TOY_THRESHOLDS

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """See :meth:`Embedder.encode`."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            plain = unicodedata.normalize("NFKC", text).casefold()
            for word in re.findall(r"\w+", plain):
                if word in _TOY_STOP_WORDS:
                    continue
                self._add(vectors[row], word, 1.0)
                padded = f"<{word}>"
                for start in range(len(padded) - 2):
                    self._add(vectors[row], padded[start : start + 3], 0.3)
            if not vectors[row].any():
                self._add(vectors[row], plain, 1.0)
            if progress is not None:
                progress(row + 1, len(texts))
        return unit(vectors)

    def _add(self, vector: NDArray[np.float32], feature: str, weight: float) -> None:
        number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
        vector[number % self.dimensions] += weight if (number >> 60) & 1 else -weight


_TOY_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are at be been but by can do did does for from had has have i in is it its me my of on or so that "
        "the this to was we were what when why will with you your not no",
    )
)
