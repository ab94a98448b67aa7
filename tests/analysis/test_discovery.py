from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from feedback_loop.analysis.assignment import Exemplars, assign
from feedback_loop.analysis.communities import communities, match, merged
from feedback_loop.analysis.discovery import Discovery, discover
from feedback_loop.analysis.embedding.embedder import Embedder, unit
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.analysis.embedding.toy import ToyEmbedder
from feedback_loop.analysis.evaluation import score
from feedback_loop.analysis.graph import GraphClusterer, settings_for
from feedback_loop.analysis.links import Links, nearest_links
from tests.analysis.conftest import ONE_OFFS, PROBLEMS

Problems = tuple[list[str], list[str]]


def _none(count: int) -> NDArray[np.int64]:
    return np.zeros(count, dtype=np.int64)


def _discover(texts: list[str], embedder: Embedder, current: NDArray[np.int64] | None = None) -> Discovery:
    start = _none(len(texts)) if current is None else current
    return discover(texts, embedder.encode(texts), start, embedder.thresholds)


@pytest.fixture(scope="module")
def found(problems: Problems, embedder: Embedder) -> Discovery:
    return _discover(problems[0], embedder)


def test_repeated_problems_become_complaints(found: Discovery, problems: Problems) -> None:
    labels = np.array(problems[1])
    figures = score(labels.tolist(), found.complaint)
    assert figures["ari"] > 0.7
    for label in ("parcel", "password", "refund"):
        groups = found.complaint[labels == label]
        assert (groups == np.bincount(-groups).argmax() * -1).mean() >= 0.8


def test_one_offs_stay_in_the_pool(found: Discovery, problems: Problems) -> None:
    one_offs = np.array([label.startswith("one-off") for label in problems[1]])
    assert (found.complaint[one_offs] == 0).mean() >= 0.8
    assert (found.confidence[found.complaint == 0] == 0).all()


@pytest.mark.parametrize("problem", ["parcel", "password", "refund", "room"])
def test_three_of_fifteen_who_say_the_same_are_heard(problem: str, embedder: Embedder) -> None:
    others = [
        "The staff uniform looks strange",
        "Your shop closes too early on Sundays",
        "The app icon is ugly",
        "I could not park my bike anywhere",
        "The invoice should show the VAT number",
        "The voucher code was refused",
        "Coffee in the lounge was cold",
    ]
    found = _discover([*PROBLEMS[problem][:3], *ONE_OFFS, *others], embedder)
    assert found.complaint.tolist() == [-1] * 3 + [0] * 12


def test_every_group_has_a_name_and_exemplars(found: Discovery) -> None:
    groups = set(found.complaint.tolist()) - {0}
    assert set(found.names) == set(found.exemplars) == groups
    assert len({name.phrase for name in found.names.values()}) == len(groups)
    for group, rows in found.exemplars.items():
        assert (found.complaint[rows] == group).all()
        assert len(set(rows.tolist())) == len(rows) <= 24
    assert any("parcel" in " ".join(name.keywords) for name in found.names.values())


def test_the_same_seed_gives_the_same_result(found: Discovery, problems: Problems, embedder: Embedder) -> None:
    again = _discover(problems[0], embedder)
    assert np.array_equal(again.complaint, found.complaint)
    assert again.names == found.names
    assert {k: v.tolist() for k, v in again.exemplars.items()} == {k: v.tolist() for k, v in found.exemplars.items()}


def test_known_complaints_keep_their_ids(found: Discovery, problems: Problems, embedder: Embedder) -> None:
    current = np.where(found.complaint < 0, 40 - found.complaint, 0)
    again = _discover(problems[0], embedder, current)
    assert np.array_equal(again.complaint, current)
    assert again.kept == 1.0
    assert found.kept is None


def test_new_statements_join_a_known_complaint(found: Discovery, problems: Problems, embedder: Embedder) -> None:
    texts = [*problems[0], "My parcel has still not been delivered"]
    current = np.append(np.where(found.complaint < 0, 40 - found.complaint, 0), 0)
    again = _discover(texts, embedder, current)
    assert again.complaint[-1] == current[0] > 0


def test_a_new_problem_gets_a_new_complaint(found: Discovery, problems: Problems, embedder: Embedder) -> None:
    fresh = [
        "The app crashes when I open it",
        "App crashes on start",
        "Your app crashes all the time",
        "The app crashed again",
    ]
    current = np.append(np.where(found.complaint < 0, 40 - found.complaint, 0), _none(4))
    again = _discover([*problems[0], *fresh], embedder, current)
    assert set(again.complaint[-4:].tolist()) == {-1}
    assert again.kept is not None
    assert again.kept >= 0.9


def test_exemplars_repeat_the_grouping(found: Discovery, problems: Problems, embedder: Embedder) -> None:
    rows = np.concatenate(list(found.exemplars.values()))
    vectors = embedder.encode(problems[0])
    exemplars = Exemplars(vectors[rows], -found.complaint[rows], rows)
    grouped = np.flatnonzero(found.complaint)
    assigned = assign(vectors[grouped], exemplars, embedder.thresholds)
    same = [a.complaint_id == -found.complaint[row] for a, row in zip(assigned, grouped, strict=True)]
    assert np.mean(same) >= 0.9


def test_identical_texts_share_a_complaint(toy: ToyEmbedder) -> None:
    texts = [
        "Parcel late!",
        "parcel  LATE",
        "The parcel was late",
        "Card declined",
        "parcel, late.",
        "Card declined twice",
    ]
    found = _discover(texts, toy, np.array([3, 0, 0, 0, 5, 0]))
    assert len({int(found.complaint[row]) for row in (0, 1, 4)}) == 1
    assert found.complaint[0] > 0


def test_one_text_said_three_times_is_a_complaint(toy: ToyEmbedder) -> None:
    texts = ["Parcel late", "parcel late!", "PARCEL LATE", "Cold soup", "Cold soup"]
    found = _discover(texts, toy)
    assert found.complaint.tolist() == [-1, -1, -1, 0, 0]
    assert found.names[-1].phrase == "Parcel late"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 15])
def test_small_samples_work(count: int, toy: ToyEmbedder) -> None:
    texts = [f"subject{number} is broken since update{number}" for number in range(count)]
    found = _discover(texts, toy)
    assert found.complaint.shape == found.confidence.shape == (count,)
    assert found.complaint.dtype == np.int64
    assert found.confidence.dtype == np.float32


@pytest.mark.parametrize(
    "texts", [["the of"] * 4, ["[email]", "[phone]", "12345", "..."], ["", "", "", ""], ["日本語 テスト"] * 3]
)
def test_texts_without_a_useful_word_do_no_harm(texts: list[str], toy: ToyEmbedder) -> None:
    found = _discover(texts, toy)
    assert set(found.names) == set(found.complaint.tolist()) - {0}
    assert all(name.phrase for name in found.names.values())


def test_a_known_complaint_survives_with_few_statements(toy: ToyEmbedder) -> None:
    found = _discover(["Parcel late", "Soup cold", "Lamp broken", "Door stuck"], toy, np.array([8, 0, 0, 0]))
    assert found.complaint.tolist() == [8, 0, 0, 0]
    assert found.kept == 1.0


def test_progress_and_times_are_reported(toy: ToyEmbedder) -> None:
    seen: list[tuple[str, float]] = []
    texts = ["parcel late", "parcel very late", "parcel so late", "late parcel"]
    found = discover(texts, toy.encode(texts), _none(4), toy.thresholds, progress=lambda s, p: seen.append((s, p)))
    assert seen[-1] == ("done", 1.0)
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert {"graph", "words", "name", "total"} <= set(found.seconds)


def test_lengths_and_ids_are_checked(toy: ToyEmbedder) -> None:
    vectors = toy.encode(["a b", "c d"])
    with pytest.raises(ValueError, match="2 texts"):
        discover(["a b", "c d"], vectors, _none(1), toy.thresholds)
    with pytest.raises(ValueError, match="complaint ids"):
        discover(["a b", "c d"], vectors, np.array([-1, 0]), toy.thresholds)


def test_settings_pass_smoothly_from_small_to_large() -> None:
    thresholds = Thresholds()
    settings = [
        settings_for(size, thresholds)
        for size in (1, 15, 22, 33, 50, 70, 100, 130, 170, 220, 300, 1_000, 3_000, 10_000, 10**6)
    ]
    assert settings[0].edge == settings[1].edge == thresholds.few_edge
    assert settings[6].edge == pytest.approx(thresholds.small_edge)
    assert settings[10].edge == settings[-1].edge == thresholds.edge
    assert settings[10].resolution == thresholds.resolution
    assert settings[-2].resolution == settings[-1].resolution == thresholds.vast_resolution
    for name in ("edge", "resolution", "neighbours", "merge", "cohesion"):
        values = [getattr(setting, name) for setting in settings]
        assert np.abs(np.diff(values)).max() <= max(0.4 * np.ptp(values), 0.02), f"{name} makes no leap"


def test_links_are_the_nearest_above_the_edge() -> None:
    random = np.random.default_rng(5)
    vectors = random.normal(size=(200, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors @ vectors.T
    np.fill_diagonal(near, -2)
    for edge in (-1.0, 0.2, 0.6):  # from dense to sparse
        links = nearest_links(vectors, 4, edge)
        expected = {
            (min(row, int(other)), max(row, int(other)))
            for row in range(200)
            for other in np.argsort(-near[row])[:4]
            if near[row, other] > edge
        }
        assert set(zip(links.source.tolist(), links.target.tolist(), strict=True)) == expected


def test_matching_is_one_to_one_by_overlap() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2])
    current = np.array([5, 5, 6, 5, 0, 6])
    assert match(groups, current, np.ones(6, dtype=np.int64)).tolist() == [5, -1, 6]


def test_two_known_complaints_are_never_joined() -> None:
    vectors = np.ones((6, 2), dtype=np.float32) / np.sqrt(2, dtype=np.float32)
    assert merged(np.array([4, 4, 9, 9, -1, -1]), vectors, 0.5).tolist() in ([4, 4, 9, 9, 4, 4], [4, 4, 9, 9, 9, 9])
    assert merged(np.array([-2, -2, -1, -1, -1, 0]), vectors, 0.5).tolist() == [-1, -1, -1, -1, -1, 0]


def test_many_statements_are_linked_by_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    centres = random.normal(size=(40, 16))
    vectors = unit(centres[random.integers(0, 40, 6_000)] + 0.5 * random.normal(size=(6_000, 16)))
    exact = nearest_links(vectors, 5, 0.2)
    monkeypatch.setattr("feedback_loop.analysis.links._EXACT_BELOW", 1_000)
    monkeypatch.setattr("feedback_loop.analysis.links._CELL_ROWS", 60)
    found = nearest_links(vectors, 5, 0.2)
    assert (found.source < found.target).all()
    right = set(zip(exact.source.tolist(), exact.target.tolist(), strict=True))
    got = set(zip(found.source.tolist(), found.target.tolist(), strict=True))
    assert len(right & got) >= 0.95 * len(right)
    again = nearest_links(vectors, 5, 0.2)
    assert np.array_equal(again.source, found.source)
    assert np.array_equal(again.cosine, found.cosine)


def test_complaints_of_unconnected_statements_do_no_harm() -> None:
    """The Leiden library broke down over starting communities that hold rows without a link between them."""
    pairs = np.array([[0, 4], [1, 5], [1, 6], [2, 3], [2, 4], [5, 6], [7, 8], [9, 10]])
    links = Links(pairs[:, 0], pairs[:, 1], np.full(len(pairs), 0.9, dtype=np.float32))
    current = np.array([1, 2, 3, 4, 5, 6, 7, 8, 5, 9, 10])  # 4 and 8 share one, but no link
    assert communities(11, links, current, 2.0, 1).shape == (11,)


def _around(*centres: list[float], count: int) -> NDArray[np.float32]:
    random = np.random.default_rng(4)
    return unit(np.concatenate([np.array(c) + 0.05 * random.normal(size=(count, len(c))) for c in centres]))


@pytest.mark.parametrize(("other", "left"), [([1.0, 0.0], {1}), ([0.2, 1.0], {1, 2})])
def test_a_complaint_is_absorbed_only_by_its_double(other: list[float], left: set[int]) -> None:
    vectors = _around([1.0, 0.0], other, count=6)
    all_in_one = np.ones(12, dtype=np.int64)
    placed = GraphClusterer(Thresholds())._not_absorbed(vectors, all_in_one, np.repeat([1, 2], 6))
    assert set(placed.tolist()) == left


def test_a_stranger_stays_in_the_pool_and_a_member_where_it_is() -> None:
    vectors = np.concatenate([_around([1.0, 0.0], count=6), unit(np.array([[0.1, 1.0], [0.1, 1.0]]))])
    current = np.array([0, 0, 0, 0, 0, 0, 0, 3])
    placed = GraphClusterer(Thresholds())._without_strangers(
        vectors, np.full(8, 3), np.ones(8, dtype=np.int64), current, 0.3
    )
    assert placed.tolist() == [3, 3, 3, 3, 3, 3, 0, 3]
    often = GraphClusterer(Thresholds())._without_strangers(vectors, np.full(8, 3), np.full(8, 3), current, 0.3)
    assert (often == 3).all(), "a text said often enough is a group by itself"


def test_a_statement_moves_only_where_most_of_its_links_lead() -> None:
    pairs = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [5, 1], [5, 2], [5, 6], [5, 7], [5, 8]])
    links = Links(pairs[:, 0], pairs[:, 1], np.full(len(pairs), 0.5, dtype=np.float32))
    current = np.array([2, 1, 1, 1, 1, 2, 2, 2, 2])
    placed = np.array([1, 1, 1, 1, 1, 1, 2, 2, 2])
    held = GraphClusterer(Thresholds())._hold(np.ones((9, 2), dtype=np.float32), links, placed, current)
    assert held.tolist() == [1, 1, 1, 1, 1, 2, 2, 2, 2]
