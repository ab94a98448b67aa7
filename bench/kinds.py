"""Prints how well problems, praise and non-answers are told apart on bench/kinds.csv, and whether the bars are met.

The comments are made up. Rules were written with the rows of the set ``tune`` in view and judged by those of ``held``.
A problem called something else is lost, since only problems are grouped; a praise called a problem costs a glance.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from feedback_loop.analysis.kinds import Kind, classify

DATA = Path(__file__).with_suffix(".csv")
LOW = {"low": True, "high": False, "none": None}
MOST_LOST = 0.01
LEAST_PRAISE = 0.8
LEAST_NON_ANSWERS = 0.9


@dataclass(frozen=True)
class Row:
    """One comment with its score and what it is."""

    held: bool
    text: str
    low: bool | None
    kind: Kind


def rows() -> list[Row]:
    """Read the labelled comments."""
    with DATA.open(newline="", encoding="utf-8") as stream:
        return [
            Row(line["set"] == "held", line["text"], LOW[line["score"]], Kind(line["kind"]))
            for line in csv.DictReader(stream)
        ]


def measure(some: list[Row], show: bool) -> Counter[tuple[Kind, Kind]]:
    """Count (kind, kind told) and print precision and recall."""
    told = Counter[tuple[Kind, Kind]]()
    for row in some:
        kind = classify(row.text, row.low)
        told[row.kind, kind] += 1
        if show and kind != row.kind:
            print(f"    {row.kind} called {kind}: {row.text!r}")
    for kind in Kind:
        right = told[kind, kind]
        recall = right / sum(told[kind, other] for other in Kind)
        precision = right / max(1, sum(told[other, kind] for other in Kind))
        count = sum(told[kind, other] for other in Kind)
        print(f"  {kind:10} precision {precision:.3f}  recall {recall:.3f}  of {count}")
    return told


def _share(told: Counter[tuple[Kind, Kind]], kind: Kind) -> float:
    return told[kind, kind] / sum(told[kind, other] for other in Kind)


def main() -> None:
    """Measure and print."""
    show = "--show" in sys.argv
    every = rows()
    print("tune")
    measure([row for row in every if not row.held], show)
    print("held")
    held = measure([row for row in every if row.held], show and "--held" in sys.argv)
    bars = {
        f"held problems lost <= {MOST_LOST:.0%}": 1 - _share(held, Kind.PROBLEM) <= MOST_LOST,
        f"held praise recall >= {LEAST_PRAISE}": _share(held, Kind.PRAISE) >= LEAST_PRAISE,
        f"held non-answer recall >= {LEAST_NON_ANSWERS}": _share(held, Kind.NON_ANSWER) >= LEAST_NON_ANSWERS,
    }
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
