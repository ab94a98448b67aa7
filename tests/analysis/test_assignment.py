from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from feedback_loop.analysis import assignment
from feedback_loop.analysis.assignment import Exemplars, assign, assign_parts
from feedback_loop.analysis.embedding import Embedder, Thresholds, unit

THRESHOLDS = Thresholds()


def _exemplars(vectors: NDArray[np.float32], complaints: list[int]) -> Exemplars:
    return Exemplars(vectors, np.array(complaints, dtype=np.int64), np.arange(len(complaints), dtype=np.int64) + 100)


@pytest.fixture(scope="module")
def known(embedder: Embedder) -> Exemplars:
    texts = [
        "My parcel still has not arrived",
        "The package never turned up",
        "Delivery of my parcel is a week late",
        "I cannot reset my password",
        "The password reset mail never comes",
    ]
    return _exemplars(embedder.encode(texts), [7, 7, 7, 9, 9])


def test_a_near_statement_is_assigned_with_its_reason(known: Exemplars, embedder: Embedder) -> None:
    [found] = assign(embedder.encode(["My package has not been delivered yet"]), known, THRESHOLDS)
    assert found.complaint_id == 7
    assert found.reason.startswith("close to 3 statements of this complaint (0.")
    assert set(found.nearest) == {100, 101, 102}
    assert 0.5 < found.confidence <= 1.0


def test_a_far_statement_stays_in_the_pool_and_says_why(known: Exemplars, embedder: Embedder) -> None:
    [found] = assign(embedder.encode(["The soup was cold"]), known, THRESHOLDS)
    assert found.complaint_id is None
    assert found.reason.startswith("nothing close enough: the nearest complaint is at 0.")
    assert f"{THRESHOLDS.assign_cosine:.2f} is needed" in found.reason
    assert found.nearest == ()


def test_without_complaints_everything_stays_in_the_pool() -> None:
    empty = _exemplars(np.zeros((0, 4), dtype=np.float32), [])
    vectors = unit(np.ones((2, 4)))
    assert [a.complaint_id for a in assign(vectors, empty, THRESHOLDS)] == [None, None]
    assert [a.complaint_id for a in assign_parts(vectors, empty, np.zeros(2, dtype=np.int64), THRESHOLDS)] == [
        None,
        None,
    ]


def test_a_statement_between_complaints_stays_in_the_pool() -> None:
    exemplars = _exemplars(unit(np.eye(3)), [1, 2, 3])
    [found] = assign(unit(np.ones((1, 3))), exemplars, THRESHOLDS)
    assert found.complaint_id is None
    assert "equally close" in found.reason


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    exemplars = _exemplars(unit(random.normal(size=(40, 8))), [number % 5 + 1 for number in range(40)])
    vectors = unit(random.normal(size=(33, 8)))
    whole = assign(vectors, exemplars, THRESHOLDS)
    monkeypatch.setattr(assignment, "_CHUNK_CELLS", 100)
    chunked = assign(vectors, exemplars, THRESHOLDS)
    assert [(a.complaint_id, a.nearest) for a in chunked] == [(a.complaint_id, a.nearest) for a in whole]


def test_a_part_becomes_a_statement_only_for_another_complaint(known: Exemplars, embedder: Embedder) -> None:
    vectors = embedder.encode(["I also cannot reset my password"] * 2 + ["And the soup was cold as well"])
    other, same, unsure = assign_parts(vectors, known, np.array([7, 9, 0]), THRESHOLDS)
    assert other.complaint_id == 9
    assert (same.complaint_id, same.reason) == (None, "says the same as its whole comment")
    assert unsure.complaint_id is None
    assert "not sure enough" in unsure.reason


def test_vectors_of_another_model_are_refused(known: Exemplars) -> None:
    with pytest.raises(ValueError, match="different models"):
        assign(unit(np.ones((1, 4))), known, THRESHOLDS)


def test_lengths_must_agree(known: Exemplars) -> None:
    with pytest.raises(ValueError, match="parts"):
        assign_parts(known.vectors, known, np.zeros(1, dtype=np.int64), THRESHOLDS)
    with pytest.raises(ValueError, match="exemplars"):
        Exemplars(known.vectors, np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
