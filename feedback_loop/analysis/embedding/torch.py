"""Models that the sentence-transformers library runs; it is no part of the default installation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from feedback_loop.analysis.embedding.embedder import DEFAULT_THREADS, EmbedderUnavailable, unit
from feedback_loop.analysis.embedding.thresholds import Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
