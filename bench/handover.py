"""Prints how long it takes until mails that are owed are with the mail server, and how many a second go out.

Real workers (`feedback-loop worker`), which are there already, and a mail server on loopback in a process of its own.
The mails are owed in one transaction, as a released closing owes them with HOLD_MINUTES=0; the time runs from its
commit to the moment at which the server took a mail. Prints one line for each case, and how busy the machine was
before.

    PYTHONPATH=. python bench/handover.py --mails 1000 10000 --workers 2
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from mails import running


def case(database: str, mails: int, workers: int, connections: int, port: int, delay: float) -> tuple[str, bool]:
    """One line of figures, and whether the bar for it was met: 95 % of 1,000 in 10 seconds; of 10,000, 400 a second by
    two workers on PostgreSQL. Other cases have none."""
    load = os.getloadavg()[0]
    with running(database, port, delay=delay, SMTP_CONNECTIONS=str(connections)) as run:
        for _ in range(workers):
            run.start()
        log = run.log.parent / "workers.log"
        while not log.exists() or log.read_text().count("looks for work") < workers:
            time.sleep(0.2)
        time.sleep(5)  # each step has had its first look
        owed_at = run.owe(mails)
        run.wait(mails, 60 + mails * (delay / connections / workers + 0.02))
        taken = sorted(each.at for each in run.taken())
    seconds = taken[-1] - owed_at
    quick = sum(at - owed_at <= 10 for at in taken) / mails
    rate = mails / (taken[-1] - taken[0])
    met = (mails != 1000 or quick >= 0.95) and (mails != 10_000 or database != "postgresql" or rate >= 400)
    line = (
        f"{database:<10} {workers} workers, {connections} connections, {mails:>6,} mails: first after "
        f"{taken[0] - owed_at:.1f} s, 95 % after {taken[int(0.95 * mails) - 1] - owed_at:.1f} s, all after "
        f"{seconds:.1f} s; {quick:.1%} in 10 s; {rate:.0f} a second from first to last; "
        f"load before {load:.1f}"
    )
    return line, met or delay > 0


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, nargs="+", default=[1000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, nargs="+", default=[1])
    parser.add_argument("--database", nargs="+", default=["postgresql", "sqlite"])
    parser.add_argument("--delay", type=float, default=0.0, help="seconds the mail server takes for a mail")
    parser.add_argument("--port", type=int, default=21025)
    asked = parser.parse_args()
    missed = False
    for database in asked.database:
        workers = asked.workers if database == "postgresql" else 1
        for connections in asked.connections:
            for mails in asked.mails:
                line, met = case(database, mails, workers, connections, asked.port, asked.delay)
                print(line if met else f"{line}  MISSED", flush=True)
                missed |= not met
    sys.exit(missed)


if __name__ == "__main__":
    main()
