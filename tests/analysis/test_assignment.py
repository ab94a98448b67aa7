from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from feedback_loop.analysis import assignment
from feedback_loop.analysis.assignment import Exemplars, assign, place_comments, place_parts
from feedback_loop.analysis.embedding.embedder import Embedder, unit
from feedback_loop.analysis.embedding.thresholds import Thresholds

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
    wholes, parts = place_comments(vectors[:1], vectors, np.zeros(2, dtype=np.int64), empty, THRESHOLDS)
    assert [a.complaint_id for a in [*wholes, *parts]] == [None, None, None]


def test_a_statement_between_complaints_stays_in_the_pool() -> None:
    exemplars = _exemplars(unit(np.eye(4) + 0.3), [1, 2, 3, 4])
    [found] = assign(unit(np.ones((1, 4))), exemplars, THRESHOLDS)
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


def test_vectors_of_another_model_are_refused(known: Exemplars) -> None:
    with pytest.raises(ValueError, match="different models"):
        assign(unit(np.ones((1, 4))), known, THRESHOLDS)


def test_lengths_must_agree(known: Exemplars) -> None:
    with pytest.raises(ValueError, match="parts"):
        place_comments(known.vectors, known.vectors, np.zeros(1, dtype=np.int64), known, THRESHOLDS)
    with pytest.raises(ValueError, match="exemplars"):
        Exemplars(known.vectors, np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))


def _comment(*texts: str) -> tuple[str, list[str]]:
    return " ".join(texts), list(texts)


def _place(
    comments: list[tuple[str, list[str]]], known: Exemplars, embedder: Embedder
) -> tuple[list[int | None], list[int | None]]:
    wholes = embedder.encode([whole for whole, _ in comments])
    parts = embedder.encode([part for _, parts in comments for part in parts])
    comment = np.array([row for row, (_, parts) in enumerate(comments) for _ in parts], dtype=np.int64)
    answers, of_parts = place_comments(wholes, parts, comment, known, THRESHOLDS)
    return [answer.complaint_id for answer in answers], [answer.complaint_id for answer in of_parts]


def test_two_problems_in_one_comment_are_both_found(known: Exemplars, embedder: Embedder) -> None:
    [main], parts = _place(
        [_comment("My parcel has not arrived yet.", "I also cannot reset my password.")], known, embedder
    )
    assert main in (7, 9)
    assert parts == ([None, 9] if main == 7 else [7, None])


def test_context_and_repetition_add_nothing(known: Exemplars, embedder: Embedder) -> None:
    mains, parts = _place(
        [
            _comment("My parcel has not arrived yet.", "The delivery is a week late now."),
            _comment("I cannot reset my password.", "I tried this several times yesterday."),
        ],
        known,
        embedder,
    )
    assert mains == [7, 9]
    assert parts == [None] * 4


def test_a_mixture_goes_where_its_first_part_goes() -> None:
    """The whole lies near a third complaint; its parts say clearly which two it speaks of."""
    exemplars = _exemplars(unit(np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.6, 0.5]])), [1, 2, 3])
    parts = unit(np.array([[1, 0.1, 0], [0.1, 1, 0]]))
    whole = unit(np.array([[0.6, 0.6, 0.4]]))
    comment = np.zeros(2, dtype=np.int64)
    assert assign(whole, exemplars, THRESHOLDS)[0].complaint_id == 3
    [main], placed = place_comments(whole, parts, comment, exemplars, THRESHOLDS)
    assert main.complaint_id == 1
    assert [answer.complaint_id for answer in placed] == [None, 2]
    placed, moved = place_parts(whole, parts, comment, np.array([2]), exemplars, THRESHOLDS)
    assert [answer.complaint_id for answer in placed] == [1, None], "the comment keeps the second, the first is new"
    assert moved == {}
    bound = np.zeros(1, dtype=np.bool_)
    placed, moved = place_parts(whole, parts, comment, np.array([3]), exemplars, THRESHOLDS, bound)
    assert [answer.complaint_id for answer in placed] == [1, 2], "the comment stays, and both parts are heard"
    assert moved == {}


def test_neighbouring_complaints_do_not_count_as_two() -> None:
    """Each part is a little nearer to one of two complaints that are nearly the same."""
    exemplars = _exemplars(unit(np.array([[1, 0, 0.1], [1, 0.1, 0]])), [1, 2])
    parts = unit(np.array([[1, 0, 0.3], [1, 0.3, 0]]))
    whole, comment = unit(parts.sum(axis=0, keepdims=True)), np.zeros(2, dtype=np.int64)
    placed, moved = place_parts(whole, parts, comment, np.array([1]), exemplars, THRESHOLDS)
    assert [answer.complaint_id for answer in placed] == [None, None]
    assert moved == {}


def test_one_telling_part_stands_beside_the_rest_of_the_comment() -> None:
    """The other sentences are too short to be parts, but the whole says what they say."""
    exemplars = _exemplars(unit(np.eye(3)[:2]), [1, 2])
    part, whole = unit(np.array([[0.1, 1, 0]])), unit(np.array([[1, 0.5, 0]]))
    placed, moved = place_parts(whole, part, np.zeros(1, np.int64), np.array([1]), exemplars, THRESHOLDS)
    assert placed[0].complaint_id == 2
    assert moved == {}


def test_three_problems_are_three_statements() -> None:
    exemplars = _exemplars(unit(np.eye(3)), [1, 2, 3])
    whole, comment = unit(np.ones((1, 3))), np.zeros(3, dtype=np.int64)
    [main], placed = place_comments(whole, unit(np.eye(3)), comment, exemplars, THRESHOLDS)
    assert main.complaint_id == 1
    assert [answer.complaint_id for answer in placed] == [None, 2, 3]


@pytest.mark.parametrize("own", [0, 5])
def test_nothing_known_places_no_parts(own: int) -> None:
    empty = _exemplars(np.zeros((0, 4), dtype=np.float32), [])
    vectors = unit(np.ones((2, 4)))
    placed, moved = place_parts(vectors[:1], vectors, np.zeros(2, np.int64), np.array([own]), empty, THRESHOLDS)
    assert [answer.complaint_id for answer in placed] == [None, None]
    assert moved == {}
    none = np.zeros((0, 4), dtype=np.float32)
    assert place_comments(none, none, np.zeros(0, np.int64), empty, THRESHOLDS) == ([], [])
