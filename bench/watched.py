"""Prints how long a scrape of /metrics and the stuck screen take at 1,000,000 answers and 100,000 mails.

On SQLite and on PostgreSQL, in this process, with nothing remembered from one time to the next: as the store stands,
and then with a backlog, in which half of the mails wait and have been tried, half have failed, and 50,000 answers wait
and 20,000 are set aside. Beside it the milliseconds of a core that this process took; on SQLite the database is in it.
Ends with 1 where a median is above 50 ms.

    PYTHONPATH=.:bench python bench/watched.py

`--url` takes a store that stands already, such as a copy of one that `pages.py --keep` made; it is left with the
backlog.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pages import ADMIN, Page, Site, store
from sqlalchemy import Engine, text

from feedback_loop.db import make_engine, migrate
from feedback_loop.settings import database_url
from feedback_loop.watching.probes import facts

MOST_MS = 50.0
RUNS = 15
BACKLOG = (
    "UPDATE notifications SET state = 'pending', attempts = 3, sent_at = NULL, bounced_at = NULL WHERE id / 2 * 2 = id",
    "UPDATE notifications SET state = 'failed', attempts = 9, reason = '550 no', sent_at = NULL, bounced_at = NULL "
    "WHERE id / 2 * 2 < id",
    "UPDATE answers SET analysed_at = NULL WHERE id <= 50000",
    "UPDATE answers SET set_aside_at = answered_at, analysed_at = NULL WHERE id BETWEEN 50001 AND 70000",
)
PAGES = (
    ("scrape of /metrics", Page("", "/metrics", 0)),
    ("stuck screen", Page("", "/settings/stuck", ADMIN)),
    ("home of an admin", Page("", "/", ADMIN)),
)


def took(work: Callable[[], None]) -> tuple[list[float], float]:
    """Milliseconds of each run, after one that warms up, and the middle one of a core that this process took."""
    times, cores = [], []
    for _ in range(RUNS + 1):
        began, core = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - began) * 1000)
        cores.append((time.process_time() - core) * 1000)
    return times[1:], statistics.median(cores[1:])


def lines(engine: Engine, temporary: Path, count: int, how: str) -> bool:
    """Measure and print; whether the bar was met."""
    held = True
    site = Site(engine, temporary, count)
    for name, page in PAGES:
        times, core = took(lambda page=page: site.ask(page))  # type: ignore[misc]
        is_judged = not name.startswith("home")
        missed = is_judged and statistics.median(times) > MOST_MS
        held &= not missed
        print(
            f"  {how:13} {name:20} median {statistics.median(times):7.1f} ms, worst {max(times):7.1f} ms, "
            f"core {core:5.1f} ms" + ("  MISSED" if missed else ""),
            flush=True,
        )
    return held


def measure(engine: Engine, temporary: Path, count: int) -> bool:
    """Both states of one store; whether the bar was met."""
    with engine.connect().execution_options(reads_only=True) as connection:
        mails = connection.scalar(text("SELECT count(*) FROM notifications"))
    print(f"{engine.dialect.name}: {count:,} answers, {mails:,} mails, load {os.getloadavg()[0]:.0f}", flush=True)
    held = lines(engine, temporary, count, "as it stands")
    with engine.begin() as connection:
        for statement in BACKLOG:
            connection.exec_driver_sql(statement)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    return lines(engine, temporary, count, "with backlog") and held


def main() -> None:
    """Measure and print; ends with 1 if the bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="one kind; both by default")
    parser.add_argument("--count", type=int, default=1_000_000, help="answers")
    parser.add_argument("--url", help="a store that stands already")
    asked = parser.parse_args()
    facts.REMEMBER = -1.0
    held = True
    with tempfile.TemporaryDirectory(prefix="feedback-loop-watched-") as folder:
        temporary = Path(folder)
        if asked.url:
            engine = make_engine(database_url(asked.url, temporary))
            migrate(engine)
            sys.exit(not measure(engine, temporary, asked.count))
        for kind in [asked.database] if asked.database else ["sqlite", "postgresql"]:
            with store(kind, asked.count, None, temporary) as engine:
                held &= measure(engine, temporary, asked.count)
    sys.exit(not held)


if __name__ == "__main__":
    main()
