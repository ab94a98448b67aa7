"""How good a grouping is, where the right one is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def score(labels: Sequence[str], groups: NDArray[np.int64]) -> dict[str, float]:
    """Compare groups with known labels.

    Args:
        labels: (n) the right group of each row.
        groups: (n,) the group found; 0 means none (uncovered).

    Returns:
        ``coverage`` share of rows in a group; ``groups`` and ``labels`` their numbers; ``ari`` adjusted Rand index
        (Hubert & Arabie 1985) with each uncovered row as a group of its own; ``ari_covered`` and ``nmi_covered``
        (normalised mutual information, arithmetic mean) over the covered rows only, 0 where there are none.

    Raises:
        ValueError: the lengths differ.
    """
    import numpy as np
    from sklearn.metrics import (  # type: ignore[import-untyped,unused-ignore]
        adjusted_rand_score,
        normalized_mutual_info_score,
    )

    found = np.asarray(groups, dtype=np.int64)
    if found.ndim != 1 or len(found) != len(labels):
        raise ValueError(f"{len(labels)} labels, but groups of shape {found.shape}")
    if not len(found):
        empty = ("coverage", "groups", "labels", "ari", "ari_covered", "nmi_covered")
        return dict.fromkeys(empty, 0.0)
    right = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]
    covered = found != 0
    alone = found.copy()
    alone[~covered] = found.max() + 1 + np.arange(int((~covered).sum()))
    some = bool(covered.any())
    return {
        "coverage": float(covered.mean()),
        "groups": float(len(np.unique(found[covered]))),
        "labels": float(len(np.unique(right))),
        "ari": float(adjusted_rand_score(right, alone)),
        "ari_covered": float(adjusted_rand_score(right[covered], found[covered])) if some else 0.0,
        "nmi_covered": float(normalized_mutual_info_score(right[covered], found[covered])) if some else 0.0,
    }
