"""The nearest vectors, whatever the chunks they come in."""

from __future__ import annotations

import numpy as np
import pytest

from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.analysis.nearest import Nearest


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_change_nothing(chunk: int) -> None:
    dice = np.random.default_rng(1)
    vectors, wanted = unit(dice.normal(size=(1000, 8))), unit(dice.normal(size=(3, 8)))
    ids = np.arange(1000, dtype=np.int64)
    nearest = Nearest(wanted, 20, 0.3)
    for start in range(0, 1000, chunk):
        nearest.look_at(ids[start : start + chunk], vectors[start : start + chunk])
    for row in range(3):
        cosines = vectors @ wanted[row]
        best = [int(each) for each in np.argsort(-cosines)[:20] if cosines[each] >= 0.3]
        assert [id for id, _ in nearest.hits(row)] == best


def test_below_the_floor_nothing_is_near() -> None:
    nearest = Nearest(np.eye(2, dtype=np.float32)[:1], 5, 0.3)
    nearest.look_at(np.array([1, 2], dtype=np.int64), np.array([[0.2, 0.98], [1.0, 0.0]], dtype=np.float32))
    assert nearest.hits(0) == [(2, 1.0)]


def test_nothing_to_look_at_finds_nothing() -> None:
    nearest = Nearest(np.eye(2, dtype=np.float32), 5, 0.0)
    nearest.look_at(np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.float32))
    assert nearest.hits(1) == []
