"""Prints what `feedback-loop evaluate` finds on Banking77, in one piece and streamed, and whether the bars are met."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SEEDS = (1, 2, 3)


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
    bars: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "banking77.csv"
        print(f"{labelled(folder, path):,} texts")
        whole = evaluate(path)
        print("whole   ", json.dumps(whole), flush=True)
        bars |= {
            "whole: ari >= 0.55": whole["ari"] >= 0.55,
            "whole: coverage >= 0.95": whole["coverage"] >= 0.95,
            "whole: fit <= 8 s": whole["seconds"]["refine"] <= 8,
            "whole: peak < 1500 MB": whole["peak_mb"] < 1500,
        }
        for seed in SEEDS:
            streamed = evaluate(path, "--batches", "20", "--seed", str(seed))
            kept = streamed["kept"]
            least, mean = min(kept[5:]), sum(kept[10:]) / len(kept[10:])
            print(f"streamed, seed {seed}", json.dumps(streamed))
            print(f"kept: least after the fifth refine {least:.3f}, mean after the tenth {mean:.3f}", flush=True)
            bars |= {
                f"seed {seed}: ari >= 0.555": streamed["ari"] >= 0.555,
                f"seed {seed}: nmi_covered >= 0.815": streamed["nmi_covered"] >= 0.815,
                f"seed {seed}: coverage >= 0.97": streamed["coverage"] >= 0.97,
                f"seed {seed}: kept >= 0.93 after the fifth": least >= 0.93,
                f"seed {seed}: kept >= 0.97 on average after the tenth": mean >= 0.97,
                f"seed {seed}: no number lost": streamed["lost"] == 0,
            }
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
