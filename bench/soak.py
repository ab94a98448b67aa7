"""Runs the product under mixed load for a while and looks whether anything grows: memory, files, the log of SQLite, or
rows that nobody works at.

Everything at once, by the pages: answers, half of them of people who leave an address; colleagues who look around,
search, close items and release their mails to a sink; customers who say whether it helped; refines each minute. On
SQLite and then on a PostgreSQL server of its own. Prints a line each minute and a verdict; ends with 1 where it did not
hold.

    PYTHONPATH=.:bench python bench/soak.py --minutes 30

Processes are compared with themselves: three looks once everything has happened at least twice (what is loaded for it
is loaded then) and a third of the time is over, and the last three.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from aiosmtpd.controller import Controller
from restarts import CLIENTS, Server, prepare, working
from serving import SECRET, serving
from soak_work import ADDRESS, NOTHING, PASSWORD, Colleagues, Customers, Done, Mailbox, done

from feedback_loop.accounts.models import Role
from feedback_loop.accounts.service import add_user, hash_password
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, make_engine, make_sessions, reading
from feedback_loop.settings import read_settings
from feedback_loop.watching.probes.facts import of_queues

GROWTH = 0.05  # of resident memory
WAL = 64 * 1024 * 1024  # bytes
HEAD = "minute  answers  refines  searches  closings   mails  follow-ups  memory, MB      files       WAL MB  overdue"
ANSWERS = 10.0  # a second
LEAST_LOOKS = 15
HANDLES = 10  # more or less is no leak: connections come and go
AT_EACH_END = 3  # looks, of which the middle one counts
# So that what takes days happens at once. Whoever runs the product here inherits it.
QUICK = {"HOLD_MINUTES": "0", "FOLLOW_UP_AFTER_DAYS": "0", "CONTACT_LIMIT": "0", "APPROVAL_ABOVE": "1000000"}


@dataclass
class Seen:
    """What the processes had at one moment.

    Attributes:
        memory: Resident bytes of each process of ours.
        handles: Open files of each.
        wal: Bytes of SQLite's log.
        overdue: Rows whose lease was let run out.
        done: What the product has done by then.
    """

    memory: dict[int, int] = field(default_factory=dict)
    handles: dict[int, int] = field(default_factory=dict)
    wal: int = 0
    overdue: int = 0
    done: Done = NOTHING


def descendants() -> list[int]:
    """The processes that this one started, and theirs."""
    parents = {}
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            with suppress(OSError, IndexError, ValueError):
                parents[int(each.name)] = int((each / "stat").read_text().rpartition(")")[2].split()[1])
    found = [int(Path("/proc/self").resolve().name)]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one and child not in found]
    return found[1:]


def look(sessions: Sessions, file: Path | None) -> Seen:
    """Look now."""
    seen = Seen()
    for pid in descendants():
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"feedback_loop.cli" not in command:
                continue
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            seen.memory[pid] = pages * 4096
            seen.handles[pid] = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    if file is not None:
        wal = Path(f"{file}-wal")
        seen.wal = wal.stat().st_size if wal.exists() else 0
    with reading(sessions) as session:
        facts = list(of_queues(session, utc_now()))
    seen.overdue = int(sum(each.value for each in facts if each.name == "queue_overdue_leases"))
    seen.done = done(sessions)
    return seen


def soak(url: str, file: Path | None, folder: Path, minutes: float, smtp_port: int) -> bool:
    """One database; whether it held."""
    version = prepare(url, 0)
    settings = read_settings({"SECRET_KEY": SECRET, "DATABASE_URL": url})
    engine = make_engine(settings.database_url)
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        add_user(session, email=ADDRESS, name="Ada", role=Role.ADMIN, team=None, password_hash=hash_password(PASSWORD),
                 must_change_password=False, now=utc_now())  # fmt: skip
    mailbox, stop, looks = Mailbox(), threading.Event(), list[Seen]()
    controller = Controller(mailbox, hostname="127.0.0.1", port=smtp_port)
    controller.start()
    try:
        with serving(folder, url) as site, working(folder, url, smtp_port):
            load = Customers(site, ANSWERS, version, stop=stop)
            people = Colleagues(site, sessions, mailbox, stop)
            threads = [threading.Thread(target=load.send) for _ in range(CLIENTS)] + people.threads()
            for each in threads:
                each.start()
            end = time.monotonic() + minutes * 60
            step = min(60.0, minutes * 60 / LEAST_LOOKS)
            print(HEAD, flush=True)
            while time.monotonic() < end:
                time.sleep(step)
                looks.append(look(sessions, file))
                print(line(len(looks) * step / 60, len(load.acknowledged), looks[-1]), flush=True)
            stop.set()
            for each in threads:
                each.join()
    finally:
        stop.set()
        controller.stop()
        engine.dispose()
    return verdict(looks, len(load.failures), people.failed)


def line(minute: float, answers: int, seen: Seen) -> str:
    """A look, for people."""
    memory = " ".join(f"{each / 1e6:.0f}" for _, each in sorted(seen.memory.items()))
    handles = " ".join(str(each) for _, each in sorted(seen.handles.items()))
    did = seen.done
    return (
        f"{minute:6.1f}  {answers:7,}  {did.refines:7}  {did.searches:8}  {did.closings:8}  {did.mails:6,}  "
        f"{did.follow_ups:10,}  {memory:14}  {handles:10}  {seen.wal / 1e6:6.1f}  {seen.overdue}"
    )


def middle(looks: list[Seen], pid: int) -> float:
    """The middle one of what a process took at some looks; 0 where it was not there at one."""
    return median(each.memory.get(pid, 0) for each in looks)


def verdict(looks: list[Seen], refused: int, failed: list[str]) -> bool:
    """Whether nothing grew; says what did."""
    since = max(len(looks) // 3, next((n for n, each in enumerate(looks) if each.done.is_warm()), len(looks)))
    warm, last = looks[since : since + AT_EACH_END], looks[-AT_EACH_END:]
    if len(looks) - since < 2 * AT_EACH_END:
        print(f"DID NOT HOLD: not everything had happened twice soon enough to be measured ({looks[-1].done})")
        return False
    wrong, growth = [], {}
    for pid in warm[0].memory:
        growth[pid] = middle(last, pid) / middle(warm, pid) - 1
        if pid not in looks[-1].memory:
            wrong.append(f"process {pid} is gone")
        elif growth[pid] > GROWTH:
            wrong.append(f"process {pid} grew by {growth[pid]:.1%}")
        was, now = warm[0].handles[pid], looks[-1].handles.get(pid, 0)
        if abs(now - was) > HANDLES:
            wrong.append(f"process {pid} went from {was} to {now} files")
    if (wal := max(each.wal for each in looks)) > WAL:
        wrong.append(f"the log of SQLite reached {wal / 1e6:.0f} MB")
    if any(each.overdue for each in looks):
        wrong.append("leases were let run out")
    if refused or failed:
        wrong.append(f"{refused} answers were not taken at once, {len(failed)} pages failed {sorted(set(failed))[:3]}")
    print(f"growth of memory {' '.join(f'{each:+.1%}' for each in growth.values())} since look {since + 1}; "
          + ("held" if not wrong else "DID NOT HOLD: " + "; ".join(wrong)))  # fmt: skip
    return not wrong


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="on each database")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--port", type=int, default=25_532)
    given = parser.parse_args()
    os.environ.update(QUICK)
    held = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if given.only != "postgresql":
            print("SQLite")
            file = folder / "soak.db"
            held.append(soak(f"sqlite:///{file}", file, folder, given.minutes, given.port + 1))
        if given.only != "sqlite":
            print("PostgreSQL")
            server = Server(folder, given.port)
            server.make()
            try:
                url = f"postgresql://root@127.0.0.1:{given.port}/postgres"
                held.append(soak(url, None, folder, given.minutes, given.port + 1))
            finally:
                server.stop()
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
