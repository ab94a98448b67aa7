"""Whether each due moment is run exactly once by four clocks, and what is missed when the winner is killed.

    python bench/clocks.py [--ticks 300] [--kills 5] [--database sqlite|postgres]

Four processes run the clock of a worker with one step that is due each second. Now and then the process that has just
won a moment is killed with SIGKILL in the middle of its step and another one started. On SQLite and on a database of
PostgreSQL made for it and dropped again.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from databases import database

from feedback_loop.clock import utc_now
from feedback_loop.db import make_engine, make_sessions, migrate
from feedback_loop.pipeline import Context, Step
from feedback_loop.settings import read_settings
from feedback_loop.worker import Desk, due_moment, start_clock

CLOCKS = 4
PERIOD = timedelta(seconds=1)
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://127.0.0.1:5432/postgres?connect_timeout=3")


def tick(url: str, log: Path) -> None:
    """Be one of the clocks, until killed."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND)

    asked = threading.local()  # when each thread asked for its moment; by the time it runs, the next may have begun

    def clock() -> datetime:
        asked.now = utc_now()
        return asked.now  # type: ignore[no-any-return]

    def run(_context: Context) -> int:
        moment = int(due_moment(asked.now, PERIOD).timestamp())
        os.write(file, f"{moment} {os.getpid()} begun\n".encode())
        time.sleep(0.1)
        os.write(file, f"{moment} {os.getpid()} done\n".encode())
        return 0

    settings = read_settings({"SECRET_KEY": "bench", "DATABASE_URL": url, "ENGINE": "clock"})
    context = Context(settings, make_sessions(make_engine(url)), clock)
    start_clock(Desk(context, steps=[Step("count up", run, PERIOD, once=True)]))
    os.write(file, f"0 {os.getpid()} ready\n".encode())
    while True:
        time.sleep(60)


def entries(log: Path) -> list[tuple[int, int, str]]:
    """What the clocks have written: moment, process, what."""
    found = []
    for line in log.read_text().splitlines():
        moment, pid, what = line.split()
        found.append((int(moment), int(pid), what))
    return found


def measure(url: str, name: str, ticks: int, kills: int) -> bool:
    """Run the clocks and print what they did.

    Returns:
        Whether the bars were met.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "ticks"
        log.touch()
        command = [sys.executable, __file__, "--clock", url, str(log)]
        running = [subprocess.Popen(command) for _ in range(CLOCKS)]
        killed: list[int] = []
        try:
            while sum(what == "ready" for *_, what in entries(log)) < CLOCKS:
                time.sleep(0.1)
            first = int(time.time()) + 2
            while int(time.time()) <= first + ticks + 1:
                seen = entries(log)
                moment, pid, what = seen[-1]
                due = first + (len(killed) + 1) * ticks // (kills + 1)
                if len(killed) < kills and moment >= due and what == "begun":
                    os.kill(pid, signal.SIGKILL)
                    killed.append(moment)
                    running = [each for each in running if each.pid != pid] + [subprocess.Popen(command)]
                time.sleep(0.01)
        finally:
            for each in running:
                each.kill()
            for each in running:
                each.wait()
        seen = [each for each in entries(log) if first < each[0] <= first + ticks]
    begun = Counter(moment for moment, _, what in seen if what == "begun")
    done = {moment for moment, _, what in seen if what == "done"} | {first + ticks}
    missed = [moment for moment in range(first + 1, first + ticks + 1) if moment not in done]
    runs = [moment for moment in missed if moment - 1 in missed]
    if missed:
        print(f"  killed at {[each - first for each in killed]}, not done {[each - first for each in missed]}")
    twice = sum(count > 1 for count in begun.values())
    winners = Counter(pid for _, pid, what in seen if what == "begun")
    print(
        f"{name}: {ticks} moments, {CLOCKS} clocks, {len(killed)} winners killed in their step: {len(begun)} begun, "
        f"{twice} of them twice, {len(missed)} not done, {len(runs)} of these one after the other; won by "
        f"{len(winners)} processes ({', '.join(str(count) for count in sorted(winners.values(), reverse=True))})"
    )
    return not twice and not runs


def main() -> None:
    """Measure both databases and say whether a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=300)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default=None)
    parser.add_argument("--clock", nargs=2, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.clock:
        tick(options.clock[0], Path(options.clock[1]))
    passed = True
    for kind, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        if options.database not in (None, kind):
            continue
        with tempfile.TemporaryDirectory() as folder, database(kind, Path(folder), "clocks") as url:
            engine = make_engine(url)
            migrate(engine)
            engine.dispose()
            passed &= measure(url, name, options.ticks, options.kills)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
