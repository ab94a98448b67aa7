"""A map of complaints: those that say similar things lie near each other.

t-SNE (van der Maaten & Hinton 2008) as in BERTopic's own views, started from yesterday's map, so that people find
things where they left them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PERPLEXITY = 12.0  # neighbours that a place looks at; complaints have few near ones
_FEWEST = 5  # below this there is nothing to arrange but a line or a triangle


def layout(centres: NDArray[np.float32], before: NDArray[np.float64], seed: int = 1) -> NDArray[np.float64]:
    """Place complaints on a plane.

    Args:
        centres: (k, d) float32 of unit length, the mean of each complaint's statements.
        before: (k, 2) where each lay on the last map, 0 to 1; NaN for new ones.
        seed: the same input and seed give the same map.

    Returns:
        (k, 2) places from 0 to 1.

    Raises:
        ValueError: the shapes do not fit.
    """
    count = len(centres)
    if before.shape != (count, 2):
        raise ValueError(f"{count} complaints, but places of shape {before.shape}")
    if count == 0:
        return np.zeros((0, 2))
    flat = _principal(centres)
    known = np.isfinite(before).all(axis=1)
    start = _scaled(flat)
    if known.sum() >= 3:
        start[known] = before[known]
        for row in np.flatnonzero(~known):  # a new one begins beside those it is most alike
            near = np.argsort(-(centres[known] @ centres[row]))[:3]
            start[row] = before[known][near].mean(axis=0)
    if count < _FEWEST:
        return start
    from sklearn.manifold import TSNE  # type: ignore[import-untyped,unused-ignore]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped,import-not-found,unused-ignore]

    tsne = TSNE(
        n_components=2,
        perplexity=min(_PERPLEXITY, (count - 1) / 3),
        metric="cosine",
        init=((start - 0.5) * 1e-2).astype(np.float32),
        random_state=seed,
        n_jobs=1,
    )
    # Its threads wait for each other a thousand times; beside other work on the machine that takes 20 times as long.
    with threadpool_limits(1):
        places = tsne.fit_transform(centres)
    return _scaled(_turned(places.astype(np.float64), before))


def _principal(centres: NDArray[np.float32]) -> NDArray[np.float64]:
    """The two directions in which the centres differ most."""
    moved = (centres - centres.mean(axis=0)).astype(np.float64)
    _, _, directions = np.linalg.svd(moved, full_matrices=False)
    flat = np.zeros((len(centres), 2))
    flat[:, : min(2, len(directions))] = moved @ directions[:2].T
    return flat


def _turned(places: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map turned, mirrored and moved so that it lies over the last one as well as it can (Schönemann 1966)."""
    known = np.isfinite(before).all(axis=1)
    if known.sum() < 3:
        return places
    old, new = before[known], places[known]
    left, _, right = np.linalg.svd((new - new.mean(axis=0)).T @ (old - old.mean(axis=0)))
    turned: NDArray[np.float64] = (places - new.mean(axis=0)) @ (left @ right)
    return turned


def _scaled(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Into the square from 0 to 1, keeping proportions, in its middle."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = float((high - low).max())
    if span == 0:
        return np.full_like(places, 0.5)
    scaled: NDArray[np.float64] = (places - (low + high) / 2) / span + 0.5
    return scaled
