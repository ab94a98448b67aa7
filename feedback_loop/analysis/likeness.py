"""How much a complaint is like some examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAREST = 3  # examples that speak together


def centre(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of vectors (n, d) of unit length, scaled to unit length; zeros where there is none."""
    mean = vectors.sum(axis=0)
    length = float(np.linalg.norm(mean))
    unit: NDArray[np.float32] = (mean / length if length > 1e-6 else np.zeros_like(mean)).astype(np.float32)
    return unit


def likeness(of: NDArray[np.float32], examples: NDArray[np.float32]) -> float:
    """The cosine of a centre to the nearest example, or to the mean of its nearest two or three if that is more.

    The mean of several who say the same is nearer to what they have in common than any of them. Only of the nearest:
    examples may speak of several problems, and the mean of all would lie near none of them.

    Args:
        of: (d,) of unit length.
        examples: (n, d) of unit length; rows of zeros are like nothing.
    """
    if not len(examples):
        return 0.0
    cosines = examples @ of
    order = np.argsort(-cosines, kind="stable")[:NEAREST]
    lengths = np.linalg.norm(np.cumsum(examples[order], axis=0), axis=1)  # of the sum of the nearest one, two, three
    return float(np.max(np.cumsum(cosines[order]) / np.maximum(lengths, 1e-6)))
