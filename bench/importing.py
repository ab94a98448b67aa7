"""Prints how fast a large CSV file is imported and how much memory that takes, for two sizes: memory must not grow."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SENTENCE = "The parcel stood in the rain, said the neighbour,\nand the courier had gone by then. "
IMPORT = """
import resource, sys
from click.testing import CliRunner
from feedback_loop.cli import main
for command in (["init"], ["import", sys.argv[1], "--survey", "large"]):
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
"""


def write_answers(path: Path, megabytes: int) -> int:
    """Write a file of about this size, with quoted line breaks in each comment; returns its rows."""
    comment = SENTENCE * 40
    rows = megabytes * 1_000_000 // (len(comment) + 60)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["external_id", "customer_email", "score", "comment"])
        for number in range(rows):
            writer.writerow([f"a{number}", f"person{number % 50_000}@example.com", "no", f"{comment}{number}"])
    return rows


def main() -> None:
    """Measure and print."""
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    peaks = []
    for megabytes in (largest // 20, largest):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "answers.csv"
            rows = write_answers(path, megabytes)
            environ = os.environ | {"DATA_FOLDER": f"{folder}/data", "DATABASE_URL": ""}
            started = time.perf_counter()
            run = subprocess.run(
                [sys.executable, "-c", IMPORT, str(path)], env=environ, capture_output=True, text=True, check=True
            )
            seconds = time.perf_counter() - started
            peaks.append(float(run.stdout.split()[-1]))
            figures = {"megabytes": megabytes, "rows": rows, "seconds": round(seconds, 1)}
            figures |= {"rows_per_second": round(rows / seconds), "peak_mb": round(peaks[-1])}
            print(json.dumps(figures))
    bounded = peaks[1] < peaks[0] + 50
    print(f"{'met    ' if bounded else 'NOT MET'} memory does not grow with the file (at most 50 MB more)")
    sys.exit(not bounded)


if __name__ == "__main__":
    main()
