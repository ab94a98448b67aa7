"""Prints what `feedback-loop evaluate` finds on Banking77, in one piece and streamed, and whether the bars are met."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def labelled(folder: Path, target: Path) -> int:
    """Write the texts of the data set as a file of labelled texts; returns how many."""
    count = 0
    with target.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["text", "label"])
        for name in ("train.csv", "test.csv"):
            with (folder / name).open(newline="", encoding="utf-8") as stream:
                for row in csv.DictReader(stream):
                    writer.writerow([row["text"], row["category"]])
                    count += 1
    return count


def evaluate(path: Path, *options: str) -> dict[str, Any]:
    """Run the command as a user does, in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-m", "feedback_loop.cli", "evaluate", str(path), *options]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr)
    return dict(json.loads(run.stdout))


def main() -> None:
    """Measure and print."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/banking77")
    if not (folder / "train.csv").exists():
        sys.exit(
            f"{folder} does not hold Banking77 (train.csv, test.csv); name the folder: make bench BANKING77=FOLDER"
        )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "banking77.csv"
        print(f"{labelled(folder, path):,} texts")
        whole = evaluate(path)
        print("whole   ", json.dumps(whole))
        streamed = evaluate(path, "--batches", "20", "--seed", "1")
        print("streamed", json.dumps(streamed))
    kept = streamed["kept"]
    mean = sum(kept[10:]) / len(kept[10:])
    print(f"kept: least after the fifth refine {min(kept[5:]):.3f}, mean after the tenth {mean:.3f}")
    bars = {
        "ari >= 0.55": whole["ari"] >= 0.55,
        "coverage >= 0.95": whole["coverage"] >= 0.95,
        "fit <= 8 s": whole["seconds"]["refine"] <= 8,
        "peak < 1500 MB": whole["peak_mb"] < 1500,
    }
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
