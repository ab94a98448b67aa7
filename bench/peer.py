"""Compares the whole analysis with BERTopic as it comes, on Banking77: time from text to groups, and their quality.

`make bench-peer` prepares the peer's own environment and runs this. Each side has a process of its own; all rounds run
one after the other, the order turned round each time, on the same two cores. Prints a table in Markdown and whether
the bars are met.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from banking77 import labelled

from feedback_loop.analysis.evaluation import score
from feedback_loop.evaluate import read_labelled

THREADS = 2
QUIET = 0.1  # times count only where other work took no more of the machine than this
OURS, THEIRS = "feedback-loop", "default BERTopic"


@dataclass(frozen=True)
class Run:
    """One side's figures of one round; times are wall-clock seconds but for `processor`."""

    side: str
    groups: float
    coverage: float
    ari: float
    nmi: float
    loading: float
    reading: float
    grouping: float
    process: float
    processor: float
    others: float
    peak_mb: float

    @property
    def working(self) -> float:
        """From text to groups, with everything loaded."""
        return self.reading + self.grouping

    @property
    def whole(self) -> float:
        """From text to groups, loading included."""
        return self.loading + self.working


def environment() -> dict[str, str]:
    """The same for both: two threads in every library that asks the environment, and no network for models."""
    libraries = ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR", "RAYON")
    threads = {f"{name}_NUM_THREADS": str(THREADS) for name in libraries}
    return {**os.environ, **threads, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def busy() -> float:
    """The seconds that all work on the machine has kept its processors busy; 0 where that cannot be read."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, stat.read_text().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def children() -> float:
    """The processor seconds of the processes that ran here so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command: Sequence[str]) -> tuple[str, float, float, float]:
    """Run to the end; returns what it printed, wall-clock and processor seconds, others' share of the machine."""
    used, all_used, started = children(), busy(), time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    wall, used = time.perf_counter() - started, children() - used
    if run.returncode:
        sys.exit(run.stderr)
    others = max(0.0, busy() - all_used - used) / (wall * (os.cpu_count() or 1))
    return run.stdout, wall, used, others


def ours(path: Path) -> Run:
    """The command that a user runs: redact, split, embed, assign, refine, on a scratch database."""
    printed, process, processor, others = timed([sys.executable, "-m", "feedback_loop.cli", "evaluate", str(path)])
    figures: dict[str, Any] = json.loads(printed)
    seconds = figures["seconds"]
    return Run(
        OURS, figures["groups"], figures["coverage"], figures["ari"], figures["nmi_covered"],
        seconds["load"], seconds["redact"] + seconds["split_embed_assign"], seconds["refine"],
        process, processor, others, figures["peak_mb"],
    )  # fmt: skip


def theirs(python: Path, path: Path, labels: Sequence[str]) -> tuple[Run, dict[str, str]]:
    """BERTopic as it comes, in its own environment, judged by the same score; also the versions of its packages."""
    target = path.with_suffix(".peer.json")
    script = Path(__file__).with_name("peer_default.py")
    _, process, processor, others = timed([str(python), str(script), str(path), str(target), str(THREADS)])
    figures: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    found = score(labels, np.array(figures["topics"], dtype=np.int64) + 1)
    seconds = figures["seconds"]
    run = Run(
        THEIRS, found["groups"], found["coverage"], found["ari"], found["nmi_covered"],
        seconds["load"], seconds["encode"], seconds["group"],
        process, processor, others, figures["peak_mb"],
    )  # fmt: skip
    return run, figures["packages"]


HEAD = (
    "| | groups | coverage | ARI | NMI of covered | loading | reading | grouping | whole | without loading | "
    "process | processor | others | peak |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def line(run: Run) -> str:
    """The run as a line of the table."""
    return (
        f"| {run.side} | {run.groups:.0f} | {run.coverage:.3f} | {run.ari:.3f} | {run.nmi:.3f} | {run.loading:.1f} s | "
        f"{run.reading:.1f} s | {run.grouping:.1f} s | {run.whole:.1f} s | {run.working:.1f} s | {run.process:.1f} s | "
        f"{run.processor:.1f} s | {run.others:.0%} | {run.peak_mb:,.0f} MB |"
    )


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds Banking77 (train.csv, test.csv)")
    parser.add_argument("--python", type=Path, default=Path(".venv-peer/bin/python"), help="of the peer's environment")
    parser.add_argument("--rounds", type=int, default=2, help="how often each side runs (default 2)")
    options = parser.parse_args()
    if not (options.folder / "train.csv").exists():
        sys.exit(f"{options.folder} does not hold Banking77; name the folder: make bench-peer BANKING77=FOLDER")
    if not options.python.exists():
        sys.exit(f"{options.python} is missing; `make bench-peer` makes it")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    runs: list[Run] = []
    packages: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "banking77.csv"
        labelled(options.folder, path)
        _, labels = read_labelled(path)
        print(f"Banking77, {len(labels):,} texts, {len(set(labels))} labels, {THREADS} threads, as they ran:\n")
        print(HEAD, flush=True)
        for number in range(options.rounds):
            for side in (OURS, THEIRS) if number % 2 == 0 else (THEIRS, OURS):
                if side == OURS:
                    runs.append(ours(path))
                else:
                    run, packages = theirs(options.python, path, labels)
                    runs.append(run)
                print(line(runs[-1]), flush=True)
    print(
        "\nloading: libraries and model; reading: redact, split, embed and assign (ours), embed (theirs); grouping: "
        "refine (ours),\nUMAP, HDBSCAN and words (theirs); process: from its start to its end, with the scratch "
        "database and the score (ours);\nprocessor: seconds of all cores; others: share of the machine that other work "
        "took meanwhile. A text without a group is\none of its own. Theirs: all-MiniLM-L6-v2 on torch, "
        + ", ".join(f"{name} {number}" for name, number in packages.items())
        + ".\n"
    )
    mine, peer = [run for run in runs if run.side == OURS], [run for run in runs if run.side == THEIRS]

    def ratio(name: str) -> float:
        """Our time as a share of theirs, over all rounds."""
        return float(sum(getattr(run, name) for run in mine) / sum(getattr(run, name) for run in peer))

    print(
        f"our time as a share of theirs: whole {ratio('whole'):.2f}, without loading {ratio('working'):.2f}, "
        f"process {ratio('process'):.2f}, processor {ratio('processor'):.2f}"
    )
    gain = min(run.ari for run in mine) - max(run.ari for run in peer)
    print(f"our least ARI less their best: {gain:.3f}")
    bars = {"ARI >= theirs + 0.3": gain >= 0.3, "whole time <= a third of theirs": ratio("whole") <= 1 / 3}
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    quiet = max(run.others for run in runs) <= QUIET
    if not quiet:
        print(
            f"NOT VALID: other work took more than {QUIET:.0%} of the machine, which slows the two unequally; run again"
        )
    sys.exit(not (quiet and all(bars.values())))


if __name__ == "__main__":
    main()
