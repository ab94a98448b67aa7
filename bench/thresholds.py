"""Prints what several discovery settings find in three kinds of samples, as the table in docs/benchmarks.md.

Exits with 1 if the defaults miss one of the bars.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feedback_loop.analysis.discovery import discover
from feedback_loop.analysis.embedding.loading import load_embedder
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.analysis.evaluation import score
from feedback_loop.analysis.redaction import redact

DEMO = Path(__file__).parents[1] / "feedback_loop" / "demo" / "answers.csv"
ONE_OFF = "one-off"
SAMPLES = 20
FEW = ((20, 2, 12), (30, 4, 14))  # about so many texts: problems of 3 to 5 texts each, and one-off remarks
HEARD = 3  # texts of one problem that must lie in one complaint
Vectors = NDArray[np.float32]

SETTINGS = {
    "strict: centre 0.5, link 0.41 small / 0.59, resolution 1 small / 3": replace(
        Thresholds(), centre=0.5, edge=0.59, resolution=3.0, merge=0.58, small_edge=0.41, small_resolution=1.0,
        small_merge=0.52, small_below=15, vast_resolution=3.0, cohesion=-1.0, small_cohesion=-1.0,
    ),
    "between: link 0.45 at every size": replace(
        Thresholds(), edge=0.45, small_edge=0.45, cohesion=-1.0, small_cohesion=-1.0
    ),
    "without cohesion": replace(Thresholds(), cohesion=-1.0, small_cohesion=-1.0),
    "chosen: the defaults": Thresholds(),
}  # fmt: skip


def banking77(folder: Path) -> tuple[list[str], list[str]]:
    """Texts and labels of the data set."""
    rows = []
    for name in ("train.csv", "test.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as stream:
            rows += [(row["text"], row["category"]) for row in csv.DictReader(stream)]
    return [text for text, _ in rows], [label for _, label in rows]


def demo() -> tuple[list[str], list[str]]:
    """Texts and problems of the demo's answers: repeated problems and one-off remarks."""
    with DEMO.open(newline="", encoding="utf-8") as stream:
        rows = [
            (redact(row["comment"]).text, row["problem"]) for row in csv.DictReader(stream) if row["comment"].strip()
        ]
    rows = [row for row in rows if row[1] not in ("praise", "non-answer", "") and "+" not in row[1]]
    return [text for text, _ in rows], [label for _, label in rows]


def groups(texts: Sequence[str], vectors: Vectors, thresholds: Thresholds) -> NDArray[np.int64]:
    """The complaint of each text, 0 for none."""
    return discover(texts, vectors, np.zeros(len(texts), dtype=np.int64), thresholds).complaint


def swallowed(labels: NDArray[np.str_], found: NDArray[np.int64]) -> float:
    """Share of the one-off remarks that landed in a complaint."""
    return float((found[labels == ONE_OFF] != 0).mean())


def sample(labels: Sequence[str], seed: int) -> tuple[list[int], list[str]]:
    """60-odd texts: 8 problems of 3 to 8 texts and 20 one-offs. Row numbers and labels."""
    chance = random.Random(seed)
    rows_of: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        rows_of.setdefault(label, []).append(row)
    chosen = chance.sample(sorted(rows_of), 28)
    rows = [(row, label) for label in chosen[:8] for row in chance.sample(rows_of[label], chance.randint(3, 8))]
    rows += [(chance.choice(rows_of[label]), ONE_OFF) for label in chosen[8:]]
    return [row for row, _ in rows], [label for _, label in rows]


def few(labels: Sequence[str], seed: int, problems: int, one_offs: int) -> tuple[list[int], NDArray[np.str_]]:
    """The first answers of a new installation: problems of 3 to 5 texts and one-offs. Row numbers and labels."""
    chance = random.Random(seed)
    rows_of: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        rows_of.setdefault(label, []).append(row)
    strangers = rows_of.pop(ONE_OFF, [])
    often = sorted(label for label, rows in rows_of.items() if len(rows) >= 5)
    chosen = chance.sample(often, problems + (0 if strangers else one_offs))
    rows = [(row, label) for label in chosen[:problems] for row in chance.sample(rows_of[label], chance.randint(3, 5))]
    if strangers:
        rows += [(row, ONE_OFF) for row in chance.sample(strangers, one_offs)]
    rows += [(chance.choice(rows_of[label]), ONE_OFF) for label in chosen[problems:]]
    return [row for row, _ in rows], np.array([label for _, label in rows])


def heard(labels: NDArray[np.str_], found: NDArray[np.int64]) -> float:
    """Share of the problems of which at least three texts lie in one complaint."""
    homes = [found[(labels == label) & (found != 0)] for label in sorted({*labels.tolist()} - {ONE_OFF})]
    return float(np.mean([len(home) > 0 and np.unique(home, return_counts=True)[1].max() >= HEARD for home in homes]))


def first_answers(name: str, texts: Sequence[str], labels: Sequence[str], vectors: Vectors) -> dict[str, float]:
    """Print what is heard among the first answers, and how many one-offs are swallowed; returns the least and most."""
    figures: dict[str, float] = {"heard": 1.0, "swallowed": 0.0}
    for size, problems, one_offs in FEW:
        found = []
        for seed in range(2 * SAMPLES):
            rows, drawn = few(labels, seed, problems, one_offs)
            got = groups([texts[row] for row in rows], vectors[rows], Thresholds())
            found.append((heard(drawn, got), swallowed(drawn, got)))
        share, strangers = np.mean(found, axis=0).tolist()
        print(f"{name}, about {size} texts: {share:.2f} of the problems heard, {strangers:.2f} of one-offs swallowed")
        figures = {"heard": min(figures["heard"], share), "swallowed": max(figures["swallowed"], strangers)}
    return figures


def pair_f1(labels: NDArray[np.str_], found: NDArray[np.int64]) -> float:
    """F1 over pairs of texts: same problem against same complaint."""
    one, two = np.triu_indices(len(labels), 1)
    same = (labels[one] == labels[two]) & (labels[one] != ONE_OFF)
    together = (found[one] == found[two]) & (found[one] != 0)
    return float(2 * (same & together).sum() / max(1, same.sum() + together.sum()))


def main() -> None:
    """Measure and print."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/banking77")
    embedder = load_embedder("minilm")
    bank_texts, bank_labels = banking77(folder)
    bank = embedder.encode(bank_texts)
    demo_texts, demo_names = demo()
    said, names = embedder.encode(demo_texts), np.array(demo_names)
    repeated = names != ONE_OFF
    figures: list[float] = []
    columns = "Banking77: ari | demo: ari | demo: coverage | demo: swallowed | 60 texts: F1 | 60 texts: swallowed"
    print(f"| settings | {columns} |")
    print("|---|---|---|---|---|---|---|")
    for name, thresholds in SETTINGS.items():
        whole = score(bank_labels, groups(bank_texts, bank, thresholds))["ari"]
        found = groups(demo_texts, said, thresholds)
        figures = [whole, score(names[repeated].tolist(), found[repeated])["ari"]]
        figures += [float((found[repeated] != 0).mean()), swallowed(names, found)]
        small = []
        for seed in range(SAMPLES):
            rows, drawn = sample(bank_labels, seed)
            labels = np.array(drawn)
            got = groups([bank_texts[row] for row in rows], bank[rows], thresholds)
            small.append((pair_f1(labels, got), swallowed(labels, got)))
        figures += np.mean(small, axis=0).tolist()
        print(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |", flush=True)
    whole, ari, coverage, strangers, f1, small_strangers = figures  # of the defaults, which come last
    print()
    near = first_answers("Banking77", bank_texts, bank_labels, bank)
    free = first_answers("demo", demo_texts, demo_names, said)
    bars = {
        "20 to 30 texts: Banking77: heard >= 0.7, swallowed <= 0.25": near["heard"] >= 0.7
        and near["swallowed"] <= 0.25,
        "20 to 30 texts: demo: heard >= 0.5, swallowed <= 0.25": free["heard"] >= 0.5 and free["swallowed"] <= 0.25,
        "Banking77: ari >= 0.55": whole >= 0.55,
        "demo: ari >= 0.46, coverage >= 0.8, swallowed <= 0.3": ari >= 0.46 and coverage >= 0.8 and strangers <= 0.3,
        "60 texts: F1 >= 0.66, swallowed <= 0.25": f1 >= 0.66 and small_strangers <= 0.25,
    }
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
