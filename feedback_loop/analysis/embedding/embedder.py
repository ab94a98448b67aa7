"""What every embedding model is to the rest: texts in, unit vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from feedback_loop.analysis.embedding.thresholds import Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_THREADS = 2  # more gives little for short texts, and the web process needs the other cores


class EmbedderUnavailable(RuntimeError):
    """The embedding model is missing, damaged or unknown. The message says what to do."""


class Embedder(Protocol):
    """Anything that turns texts into unit vectors."""

    name: str
    """Stored beside every vector; vectors of different names are never compared."""
    dimensions: int
    """Length of every vector."""
    thresholds: Thresholds
    """What "near" means for this model."""

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Return an (n, dimensions) float32 array of unit length, rows in the order of ``texts``.

        ``progress`` is called with (texts done, texts in all); what it raises ends the encoding.
        """
        ...


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return the rows of ``vectors`` (n, d) scaled to unit length, as float32. A row of zeros stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 1e-12, lengths, 1.0)).astype(np.float32)
