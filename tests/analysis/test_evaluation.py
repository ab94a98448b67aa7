from __future__ import annotations

import numpy as np
import pytest

from feedback_loop.analysis.evaluation import score


def test_a_perfect_grouping_scores_one() -> None:
    figures = score(["a", "a", "b", "b"], np.array([-1, -1, 5, 5]))
    assert figures == {
        "coverage": 1.0,
        "groups": 2.0,
        "labels": 2.0,
        "ari": 1.0,
        "ari_covered": 1.0,
        "nmi_covered": 1.0,
    }


def test_uncovered_rows_count_as_alone() -> None:
    figures = score(["a", "a", "a", "b", "b", "b"], np.array([1, 1, 0, 2, 2, 2]))
    assert figures["coverage"] == pytest.approx(5 / 6)
    assert figures["ari_covered"] == 1.0
    assert 0.5 < figures["ari"] < 1.0


def test_nothing_covered_or_nothing_at_all_scores_zero() -> None:
    assert score(["a", "b"], np.array([0, 0]))["ari_covered"] == 0.0
    assert set(score([], np.zeros(0, dtype=np.int64)).values()) == {0.0}


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 labels"):
        score(["a", "b"], np.array([1]))
