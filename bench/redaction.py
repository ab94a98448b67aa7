"""Prints how much of the personal data in bench/redaction.csv is found, and whether the bars are met.

The comments are made up; numbers are of test ranges or fictional. Rules were written with the rows of the set ``tune``
in view and judged by those of ``held``. A span counts as found where a span was replaced that covers at least 80 % of
it; one replaced counts as right where at least half of it is personal data.
"""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from feedback_loop.analysis.redaction import KINDS, Found, redact

DATA = Path(__file__).with_suffix(".csv")
COVERED = 0.8
RIGHT = 0.5
BARS = {  # of the held set
    "span recall": 0.95,
    "span precision": 0.97,
    "character recall": 0.95,
    "character precision": 0.97,
    "address recall": 0.85,
    "name recall": 0.9,
    "right label": 0.9,
}
SLOWEST = 500  # texts a second of one core


@dataclass(frozen=True)
class Row:
    """One comment, and the spans of personal data in it, in order."""

    held: bool
    text: str
    spans: tuple[Found, ...]


def rows() -> list[Row]:
    """Read the labelled comments; each span is searched for after the one before."""
    result = []
    with DATA.open(newline="", encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            spans, at = [], 0
            for label in filter(None, line["spans"].split(" | ")):
                kind, _, words = label.partition(":")
                start = line["text"].index(words, at)
                at = start + len(words)
                if kind not in KINDS:
                    sys.exit(f"{DATA.name}: no kind {kind!r}")
                spans.append(Found(kind, start, at))
            result.append(Row(line["set"] == "held", line["text"], tuple(spans)))
    return result


def _places(spans: tuple[Found, ...]) -> set[int]:
    return {place for span in spans for place in range(span.start, span.end)}


def measure(some: list[Row], show: bool) -> dict[str, float]:
    """Shares by name; prints what was missed or taken by mistake where asked to."""
    count: Counter[str] = Counter()
    for row in some:
        found = redact(row.text).found
        gold, taken = _places(row.spans), _places(found)
        count["characters"] += len(gold)
        count["characters found"] += len(gold & taken)
        count["characters taken"] += len(taken)
        wrong = []
        for span in row.spans:
            length = span.end - span.start
            hit = len(taken & set(range(span.start, span.end))) >= COVERED * length
            label = any(f.kind == span.kind and f.start < span.end and span.start < f.end for f in found)
            count[span.kind] += 1
            count["spans"] += 1
            count[f"{span.kind} found"] += hit
            count["spans found"] += hit
            count["spans labelled"] += hit and label
            if not hit:
                wrong.append(f"missed {span.kind} {row.text[span.start : span.end]!r}")
        for item in found:
            right = len(gold & set(range(item.start, item.end))) >= RIGHT * (item.end - item.start)
            count["taken"] += 1
            count["taken rightly"] += right
            count[f"{item.kind} taken"] += 1
            count[f"{item.kind} right"] += right
            if not right:
                wrong.append(f"took {item.kind} {row.text[item.start : item.end]!r}")
        if show and wrong:
            print(f"    {row.text!r}: {'; '.join(wrong)}")
    shares = {
        "span recall": count["spans found"] / count["spans"],
        "span precision": count["taken rightly"] / count["taken"],
        "character recall": count["characters found"] / count["characters"],
        "character precision": count["characters found"] / count["characters taken"],
        "right label": count["spans labelled"] / count["spans found"],
    }
    for kind in KINDS:
        shares[f"{kind} recall"] = count[f"{kind} found"] / max(1, count[kind])
        shares[f"{kind} precision"] = count[f"{kind} right"] / max(1, count[f"{kind} taken"])
    print(f"  {len(some)} texts, {count['spans']} spans, {sum(not row.spans for row in some)} texts without any")
    for name, share in shares.items():
        of = f"  of {count[name.split()[0]]}" if name.split()[0] in KINDS and name.endswith("recall") else ""
        print(f"  {name:20} {share:.3f}{of}")
    return shares


def main() -> None:
    """Measure and print."""
    show = "--show" in sys.argv
    every = rows()
    print("tune")
    measure([row for row in every if not row.held], show)
    print("held")
    held = measure([row for row in every if row.held], show and "--held" in sys.argv)
    texts = [row.text for row in every] * 5
    start = time.process_time()
    for text in texts:
        redact(text, "GB")
    speed = len(texts) / (time.process_time() - start)
    print(f"{speed:,.0f} texts/s")
    met = {f"held {name} >= {bar}": held[name] >= bar for name, bar in BARS.items()}
    met[f">= {SLOWEST:,} texts/s"] = speed >= SLOWEST
    for bar, reached in met.items():
        print(f"{'met    ' if reached else 'NOT MET'} {bar}")
    sys.exit(not all(met.values()))


if __name__ == "__main__":
    main()
