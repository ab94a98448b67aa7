"""Backs a database up while a hundred writes a second go on, restores it, and compares.

Measured in one run, on SQLite and on PostgreSQL: how long writers wait without a backup (before and after) and while
`feedback-loop backup` runs again and again; whether each backup is whole and holds the rows its manifest says; how long
`feedback-loop restore` takes; and whether the web server starts on what was restored.

A write is the insert of one answer, committed with full durability. Writers keep to their schedule: one that is late
counts from the moment at which it was due, so that nobody's waiting is hidden.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from databases import database
from serving import SECRET, serving
from sqlalchemy import func, insert, select, text

from feedback_loop.db import Sessions, make_engine, make_sessions, migrate, reading
from feedback_loop.responses.models import Answer
from feedback_loop.store.backups import read_manifest
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey

WRITERS = 4
RATE = 100  # writes a second, all writers together
COMMENT = 4_000  # bytes of a stored answer
RTO = 300  # seconds


def an_answer(now: datetime) -> dict[str, Any]:
    """A row of an answer; of words that cannot be compressed."""
    return {
        "survey_id": 1,
        "score": 0,
        "comment": secrets.token_hex(COMMENT // 2),
        "redactions": [],
        "context": {},
        "answered_at": now,
        "received_at": now,
        "redacted_at": now,
        "analysed_at": now,
    }


def fill(url: str, megabytes: int) -> None:
    """Make a database of about this size."""
    engine = make_engine(url)
    migrate(engine)
    now = datetime.now(UTC)
    with make_sessions(engine).begin() as session:
        add_survey(session, slug="load", name="Load", question="", scale=ScaleName.HELPFUL, now=now)
    for _ in range(max(1, megabytes * 1_000_000 // COMMENT // 1000)):
        with engine.begin() as connection:
            connection.execute(insert(Answer), [an_answer(now) for _ in range(1000)])
    # What fills it is not to be written while writers are timed.
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CHECKPOINT"))
    engine.dispose()
    os.sync()


class Writers:
    """Threads that write on schedule; how long each write took from when it was due, in milliseconds, by phase."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.times: dict[str, list[float]] = {}
        self.phase = "warming up"
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(WRITERS)]

    def __enter__(self) -> Writers:
        for each in self.threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for each in self.threads:
            each.join()

    def write(self, number: int) -> None:
        """One write after the other."""
        pause = WRITERS / RATE
        due = time.perf_counter() + number * pause / WRITERS
        while not self.over.wait(max(0.0, due - time.perf_counter())):
            phase = self.phase
            with self.sessions.begin() as session:
                session.execute(insert(Answer), [an_answer(datetime.now(UTC))])
            self.times.setdefault(phase, []).append((time.perf_counter() - due) * 1000)
            due += pause

    def share(self, phase: str, percent: int) -> float:
        """The time under which this share of the writes of a phase stayed."""
        return statistics.quantiles(self.times[phase], n=100)[percent - 1]


def command(url: str, folder: Path, *arguments: str) -> float:
    """Run a command of the product; its seconds."""
    environ = os.environ | {"DATA_FOLDER": str(folder), "DATABASE_URL": url, "SECRET_KEY": SECRET}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "feedback_loop.cli", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began


def measure(kind: str, megabytes: int, seconds: float) -> dict[str, bool]:
    """Measure on one database; the bars and whether they are met."""
    with (
        tempfile.TemporaryDirectory(prefix="feedback-loop-backups-") as place,
        database(kind, Path(place), "backups") as url,
    ):
        folder = Path(place)
        fill(url, megabytes)
        engine = make_engine(url)
        sessions = make_sessions(engine)
        backups: list[Path] = []
        took: list[float] = []
        with Writers(sessions) as writers:
            time.sleep(2)
            writers.phase = "without"
            time.sleep(seconds / 2)
            writers.phase = "with"
            began = time.perf_counter()
            while time.perf_counter() - began < seconds:
                backups.append(folder / "backups" / f"{len(backups)}{'.db' if kind == 'sqlite' else '.dump'}")
                took.append(command(url, folder, "backup", str(backups[-1])))
            writers.phase = "without"
            time.sleep(seconds / 2)
        with reading(sessions) as session:
            at_the_end = session.scalar(select(func.count()).select_from(Answer)) or 0
        engine.dispose()
        last = read_manifest(backups[-1])
        restored_in = command(url, folder, "restore", str(backups[-1]))
        engine = make_engine(url)
        with reading(make_sessions(engine)) as session:
            found = session.scalar(select(func.count()).select_from(Answer)) or 0
        engine.dispose()
        with serving(folder, url):
            pass  # it stops the run where the server does not start
        size = last.size / 1e6
    without, during = writers.share("without", 99), writers.share("with", 99)
    print(
        f"{kind}: {at_the_end:,} answers, backups of {size:,.0f} MB, {len(took)} in {statistics.mean(took):.1f} s each"
    )
    for phase in ("without", "with"):
        times = writers.times[phase]
        print(
            f"  writes {phase:8} {len(times):6,}: p50 {writers.share(phase, 50):6.1f} ms, "
            f"p99 {writers.share(phase, 99):7.1f} ms, max {max(times):7.1f} ms"
        )
    print(f"  restore {restored_in:.1f} s, {found:,} answers of {last.tables['answers']:,} in the manifest", flush=True)
    return {
        f"{kind}: p99 while backing up below twice that without ({during / without:.2f} times)": during < 2 * without,
        f"{kind}: counts after the restore are those of the manifest": found == last.tables["answers"],
        f"{kind}: restored within {RTO} s": restored_in < RTO,
    }


def main() -> int:
    """Run it on both; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    options = parser.parse_args()
    bars: dict[str, bool] = {}
    for kind in options.database or ("sqlite", "postgresql"):
        bars |= measure(kind, options.megabytes, options.seconds)
    for name, is_met in bars.items():
        print(f"{'met    ' if is_met else 'NOT MET'} {name}")
    return int(not all(bars.values()))


if __name__ == "__main__":
    sys.exit(main())
