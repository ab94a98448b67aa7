"""Prints how often two complaints in one comment are both found, and how often one matter is spread over two."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from thresholds import banking77

from feedback_loop.analysis.assignment import Exemplars, assign, place_comments, place_parts
from feedback_loop.analysis.discovery import Discovery, discover
from feedback_loop.analysis.embedding.embedder import Embedder
from feedback_loop.analysis.embedding.loading import load_embedder
from feedback_loop.analysis.splitting import split

JOINED = 500
SEED = 7
Vectors = NDArray[np.float32]


def joined(texts: Sequence[str], labels: Sequence[str]) -> list[tuple[int, int]]:
    """Row numbers of pairs of single sentences with different labels, each used once."""
    single = [row for row, text in enumerate(texts) if not split(text)]
    random.Random(SEED).shuffle(single)
    pairs: list[tuple[int, int]] = []
    waiting: list[int] = []
    for row in single:
        other = next((place for place in waiting if labels[place] != labels[row]), None)
        if other is None:
            waiting.append(row)
        else:
            waiting.remove(other)
            pairs.append((other, row))
        if len(pairs) == JOINED:
            break
    return pairs


def comment_of(one: str, other: str) -> str:
    """Two sentences as one comment."""
    one, other = one.strip(), other.strip()
    return f"{one}{'' if one[-1:] in '.?!' else '.'} {other}"


def exemplars_of(found: Discovery, vectors: Vectors) -> Exemplars:
    """The exemplars of a first discovery, its new groups numbered as complaints."""
    rows = np.concatenate(list(found.exemplars.values()))
    return Exemplars(vectors[rows], -found.complaint[rows], rows)


def parts_of(comments: Sequence[str], embedder: Embedder) -> tuple[Vectors, NDArray[np.int64]]:
    """Vectors of all parts, and the number of the comment of each."""
    parts = [(row, part) for row, comment in enumerate(comments) for part in split(comment)]
    return embedder.encode([part for _, part in parts]), np.array([row for row, _ in parts], dtype=np.int64)


def main() -> None:
    """Measure and print."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/banking77")
    embedder = load_embedder("minilm")
    thresholds = embedder.thresholds
    texts, labels = banking77(folder)
    vectors = embedder.encode(texts)
    pairs = joined(texts, labels)
    rest = np.setdiff1d(np.arange(len(texts)), np.array(pairs))
    found = discover([texts[row] for row in rest], vectors[rest], np.zeros(len(rest), dtype=np.int64), thresholds)
    exemplars = exemplars_of(found, vectors[rest])

    comments = [comment_of(texts[one], texts[other]) for one, other in pairs]
    wholes = embedder.encode(comments)
    parts, comment = parts_of(comments, embedder)
    main_ones, further = place_comments(wholes, parts, comment, exemplars, thresholds)
    got: list[set[int | None]] = [{answer.complaint_id} for answer in main_ones]
    for row, answer in zip(comment.tolist(), further, strict=True):
        got[row].add(answer.complaint_id)
    alone = [answer.complaint_id for answer in assign(vectors[np.array(pairs).ravel()], exemplars, thresholds)]
    wanted = [set(alone[2 * row : 2 * row + 2]) for row in range(len(pairs))]
    both = float(np.mean([None not in want and want <= has for want, has in zip(wanted, got, strict=True)]))

    natural = [place for place, row in enumerate(rest.tolist()) if len(split(texts[row])) > 1]
    parts, comment = parts_of([texts[rest[place]] for place in natural], embedder)
    own = -found.complaint[natural]
    further, moved = place_parts(vectors[rest[natural]], parts, comment, own, exemplars, thresholds)
    several = [{int(home)} - {0} for home in own]
    for row, first in moved.items():
        several[row] = {first.complaint_id or 0}
    for row, answer in zip(comment.tolist(), further, strict=True):
        several[row] |= {answer.complaint_id} - {None}
    spread = float(np.mean([len(places) > 1 for places in several]))

    print(f"{len(pairs)} joined comments: both complaints found in {both:.3f}")
    print(f"{len(natural)} comments of several sentences about one matter: spread over two complaints {spread:.3f}")
    print(f"their main statement decided by the parts: {len(moved) / len(natural):.3f}")
    bars = {"both found >= 0.87": both >= 0.87, "spread <= 0.18": spread <= 0.18}
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
