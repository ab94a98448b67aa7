"""Sends 10,000 random requests to the public addresses, on SQLite and on PostgreSQL, and prints what came back.

The requests and what must hold after each are those of `tests/fuzz`; the fixed corpus there runs with every test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEST = "tests/fuzz/test_public_routes.py::test_random_requests_break_nothing"


def main() -> None:
    """Send and print; ends with 1 if anything did not hold."""
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="feedback-loop-fuzz-") as folder:
        report = f"{folder}/found"
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", TEST],
            cwd=ROOT,
            env=os.environ | {"FUZZ_EXAMPLES": str(examples), "FUZZ_REPORT": report},
            check=False,
            capture_output=True,
            text=True,
        )
        found = {path.suffixes[0][1:]: json.loads(path.read_text()) for path in sorted(Path(folder).glob("*.json"))}
    bars = {}
    for database, routes in found.items():
        print(f"{database}: requests and their statuses by address")
        for route, statuses in routes.items():
            told = ", ".join(f"{number:,} x {status}" for status, number in statuses.items())
            print(f"  {route:28} {sum(statuses.values()):7,}  {told}")
        total = sum(sum(statuses.values()) for statuses in routes.values())
        bars[f"{database}: {total:,} requests, of at least {examples:,}"] = total >= examples
        faults = sum(number for statuses in routes.values() for status, number in statuses.items() if status >= "5")
        bars[f"{database}: {faults} answered with 5xx, of at most 0"] = not faults
    if run.returncode or not found:
        print(run.stdout[-20_000:], run.stderr[-5_000:])
    bars["nothing logged as an error, all that must hold held"] = run.returncode == 0 and bool(found)
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
