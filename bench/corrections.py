"""Runs random histories of answers, corrections and refines and counts what did not hold: it must be nothing."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from feedback_loop.db import Base, make_engine, make_sessions, migrate
from feedback_loop.pipeline import Context
from feedback_loop.settings import read_settings
from tests.complaints.histories import History, Violated, random_steps
from tests.factories import Make

NOW = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
PROCESSES = 2
STEPS = 12


def run(seeds: range) -> tuple[list[str], Counter[str]]:
    """Run the histories of some seeds on a database of their own; what was violated, and what was done."""
    violated: list[str] = []
    done: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="feedback-loop-histories-") as folder:
        settings = read_settings(
            {"DATA_FOLDER": folder, "SECRET_KEY": "for measuring", "EMBEDDING_MODEL": "toy", "MAIL_FROM": "a@b.example"}
        )
        engine = make_engine(settings.database_url)
        migrate(engine)
        sessions = make_sessions(engine)
        for seed in seeds:
            with engine.begin() as connection:
                for table in reversed(Base.metadata.sorted_tables):
                    connection.execute(table.delete())
                connection.exec_driver_sql("DELETE FROM sqlite_sequence")
            with sessions() as session:
                make = Make(session, settings, NOW)
                cast, survey = make.cast(), make.survey()
                session.commit()
            history = History(Context(settings, sessions), survey, cast.lena, NOW)
            history.context.clock = history.clock
            try:
                history.run(random_steps(seed, STEPS))
            except Violated as error:
                violated.append(f"history {seed}: {error}")
            done += history.made
        engine.dispose()
    return violated, done


def main() -> None:
    """Run and print; ends with 1 if anything was violated."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    began = time.perf_counter()
    violated: list[str] = []
    done: Counter[str] = Counter()
    bounds = range(0, count + 25, 25)
    with ProcessPoolExecutor(PROCESSES) as pool:
        parts = [range(start, min(start + 25, count)) for start in bounds if start < count]
        for found, made in pool.map(run, parts):
            violated += found
            done += made
            print(f"\r{sum(done.values()):,} steps, {len(violated)} violations", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    what = ", ".join(f"{number:,} {name}" for name, number in sorted(done.items()))
    print(f"{count:,} histories in {time.perf_counter() - began:.0f} s: {what}")
    print(f"violations: {len(violated)}")
    for each in violated[:20]:
        print(each)
    sys.exit(bool(violated))


if __name__ == "__main__":
    main()
