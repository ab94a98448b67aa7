"""Models that onnxruntime runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from feedback_loop.analysis.embedding.embedder import DEFAULT_THREADS, EmbedderUnavailable, unit
from feedback_loop.analysis.embedding.files import check_file
from feedback_loop.analysis.embedding.thresholds import Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUND = 32  # texts that a thread embeds before it says so


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
        check_file(model, model_sha256)
        check_file(tokenizer, tokenizer_sha256)
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
