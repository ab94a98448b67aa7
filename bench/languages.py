"""Prints what each embedding model makes of the same problems said in twelve languages, and whether the bars are met.

bench/languages.csv holds invented sentences: problems said in several languages, ``one-off`` remarks, and
``parallel-NN`` rows, one sentence each in 22 languages, from which ``--fit`` computes the directions that the
multilingual embedder takes out. The figures come from the other rows.
"""

from __future__ import annotations

import csv
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feedback_loop.analysis.assignment import Exemplars, assign
from feedback_loop.analysis.discovery import discover
from feedback_loop.analysis.embedding.embedder import Embedder, EmbedderUnavailable
from feedback_loop.analysis.embedding.loading import MULTILINGUAL_PLANE, load_embedder
from feedback_loop.analysis.embedding.multilingual import MultilingualEmbedder
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.analysis.evaluation import score
from feedback_loop.analysis.language import detect

SAID = Path(__file__).with_suffix(".csv")
ONE_OFF = "one-off"
BANKING77_TEXTS = 3_000  # drawn by chance; all of them would take the multilingual model some minutes
Vectors = NDArray[np.float32]


def read() -> tuple[list[str], NDArray[np.str_], NDArray[np.str_]]:
    """Texts, labels and languages of all rows."""
    with SAID.open(newline="", encoding="utf-8") as stream:
        rows = [(row["text"], row["label"], row["language"]) for row in csv.DictReader(stream)]
    return [row[0] for row in rows], np.array([row[1] for row in rows]), np.array([row[2] for row in rows])


def grouping(texts: Sequence[str], vectors: Vectors, thresholds: Thresholds) -> NDArray[np.int64]:
    """The complaint of each text, 0 for none."""
    return discover(texts, vectors, np.zeros(len(texts), dtype=np.int64), thresholds).complaint


def discovery(
    labels: NDArray[np.str_], languages: NDArray[np.str_], found: NDArray[np.int64]
) -> tuple[list[float], dict[str, float]]:
    """ARI, coverage, one-offs swallowed, cross-language pairs together, pairs together that are right; and by pair."""
    problem = labels != ONE_OFF
    one, two = np.triu_indices(len(labels), 1)
    same = (labels[one] == labels[two]) & problem[one]
    together = (found[one] == found[two]) & (found[one] != 0)
    across = same & (languages[one] != languages[two])
    pairs = {}
    for language in sorted(set(languages.tolist())):
        with_it = across & ((languages[one] == language) | (languages[two] == language))
        pairs[language] = float(together[with_it].mean())
    figures = [score(labels[problem].tolist(), found[problem])["ari"], float((found[problem] != 0).mean())]
    figures += [float((found[~problem] != 0).mean()), float(together[across].mean())]
    return [*figures, float(same[together].mean()) if together.any() else 0.0], pairs


def assignment(
    vectors: Vectors, labels: NDArray[np.str_], languages: NDArray[np.str_], thresholds: Thresholds
) -> tuple[float, float, float]:
    """With English exemplars only: right and wrong among other languages' problems, and one-offs that were assigned."""
    number = {label: place + 1 for place, label in enumerate(sorted(set(labels.tolist()) - {ONE_OFF}))}
    ids = np.array([number.get(str(label), 0) for label in labels], dtype=np.int64)
    own = np.flatnonzero((languages == "en") & (ids > 0))
    exemplars = Exemplars(vectors[own], ids[own], own.astype(np.int64))
    foreign = np.flatnonzero((languages != "en") & (ids > 0))
    answers = np.array([answer.complaint_id or 0 for answer in assign(vectors[foreign], exemplars, thresholds)])
    taken = [answer.complaint_id is not None for answer in assign(vectors[ids == 0], exemplars, thresholds)]
    right = answers == ids[foreign]
    return float(right.mean()), float((~right & (answers > 0)).mean()), float(np.mean(taken))


def banking77(folder: Path, embedder: Embedder) -> float:
    """ARI of a part of Banking77, which is English only."""
    rows: list[tuple[str, str]] = []
    for name in ("train.csv", "test.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as stream:
            rows += [(row["text"], row["category"]) for row in csv.DictReader(stream)]
    drawn = random.Random(1).sample(rows, BANKING77_TEXTS)
    texts = [text for text, _ in drawn]
    return score([label for _, label in drawn], grouping(texts, embedder.encode(texts), embedder.thresholds))["ari"]


def fit() -> None:
    """Compute mean and language directions of the multilingual model from the parallel rows, and write them."""
    embedder = load_embedder("multilingual")
    assert isinstance(embedder, MultilingualEmbedder)
    texts, labels, languages = read()
    parallel = np.char.startswith(labels, "parallel")
    raw = embedder.raw([text for text, chosen in zip(texts, parallel, strict=True) if chosen]).astype(np.float64)
    means = np.array([raw[languages[parallel] == language].mean(axis=0) for language in sorted(set(languages))])
    middle = means.mean(axis=0)
    directions = np.linalg.svd(means - middle, full_matrices=False)[2][: len(means) - 1]
    np.save(MULTILINGUAL_PLANE, np.vstack([middle[None], directions]).astype(np.float32))
    print(f"{MULTILINGUAL_PLANE} holds the mean and {len(directions)} directions; give the model another name")


def detection(texts: Sequence[str], languages: NDArray[np.str_]) -> bool:
    """Print how well the language is detected, of whole sentences and of their beginnings."""
    detect("load the model")
    print("| detection of the language | answered | right of those | texts a second |")
    print("|---|---|---|---|")
    spaced = [(text.split(), str(right)) for text, right in zip(texts, languages, strict=True)]
    met = True
    for words in (2, 3, 4, 99):
        shown = [(" ".join(said[:words]), right) for said, right in spaced if words == 99 or right not in ("ja", "zh")]
        began = time.perf_counter()
        answers = [(detect(text), right) for text, right in shown]
        speed = len(shown) / (time.perf_counter() - began)
        sure = [answer == right for answer, right in answers if answer is not None]
        name = "whole sentences" if words == 99 else f"first {words} words"
        print(f"| {name} | {len(sure) / len(shown):.2f} | {np.mean(sure):.3f} | {speed:,.0f} |")
        met = met and (words != 99 or (len(sure) / len(shown) >= 0.95 and float(np.mean(sure)) >= 0.99))
    return met


def main() -> None:
    """Measure and print."""
    if sys.argv[1:] == ["--fit"]:
        fit()
        return
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    texts, labels, languages = read()
    bars = {"language detection: 0.95 answered, 0.99 of those right": detection(texts, languages)}
    chosen = np.flatnonzero(~np.char.startswith(labels, "parallel"))
    texts, labels, languages = [texts[row] for row in chosen], labels[chosen], languages[chosen]
    print(f"\n{len(set(labels.tolist())) - 1} problems and {(labels == ONE_OFF).sum()} one-offs, {len(texts)} texts\n")
    print("| model | ari | coverage | swallowed | across languages | pairs right | assigned right | wrong | one-off |")
    print("|---|---|---|---|---|---|---|---|---|")
    notes: list[str] = []
    for name in ("minilm", "multilingual"):
        try:
            embedder = load_embedder(name)
        except EmbedderUnavailable as error:
            sys.exit(f"{name} was not measured: {error}")
        embedder.encode(texts[:8])
        began, worked = time.perf_counter(), time.process_time()
        vectors = embedder.encode(texts)
        speed = len(texts) / (time.perf_counter() - began)
        effort = len(texts) / (time.process_time() - worked)  # does not depend on what else the machine does
        figures, pairs = discovery(labels, languages, grouping(texts, vectors, embedder.thresholds))
        row = [*figures, *assignment(vectors, labels, languages, embedder.thresholds)]
        print(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in row) + " |", flush=True)
        notes.append(f"{name}: {speed:,.0f} texts a second, {effort:,.0f} a second of one core")
        notes.append(f"{name}: pairs by language: " + ", ".join(f"{k} {v:.2f}" for k, v in pairs.items()))
        if name == "multilingual":
            bars["multilingual: pairs across languages >= 0.8"] = figures[3] >= 0.8
            bars["multilingual: assigned right across languages >= 0.8, wrong <= 0.05"] = (
                row[5] >= 0.8 and row[6] <= 0.05
            )
        if folder is not None:
            notes.append(f"{name}: ari {banking77(folder, embedder):.2f} on {BANKING77_TEXTS:,} texts of Banking77")
    print()
    print("\n".join(notes))
    print()
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
