"""Kills workers while they send the mails of one closing, and prints what was lost and what came twice.

Real workers (`feedback-loop worker`) and a mail server on loopback in a process of its own, which notes each mail
before it says that it was taken. With kills, a worker picked by chance is ended by SIGKILL again and again and another
started at once; without, the mail server may take its time for each mail. What is claimed by a killed worker waits for
the end of its lease, so the end of a run is a lease of waiting.

Passes when nothing is lost, when there are no more duplicates than kills, and when every duplicate bears the Message-ID
of its first. Ends with 1 otherwise.

    PYTHONPATH=. python bench/mail_kills.py --mails 10000 --kills 20 --workers 2 --database postgresql
    PYTHONPATH=. python bench/mail_kills.py --mails 200 --kills 0 --delay 0.3
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict

from mails import Run, running


def kill_some(run: Run, mails: int, kills: int, chance: random.Random) -> int:
    """Kill workers, spread over the mails.

    Returns:
        How many were killed while mails were still owed.
    """
    done = 0
    for number in range(kills):
        aim = (number + 1) * mails // (kills + 2)
        while len(run.taken()) < aim:
            if run.states().get("pending", 0) == 0:
                return done
            time.sleep(0.05)
        time.sleep(chance.random() * 0.2)
        victim = chance.choice(run.workers)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        run.workers.remove(victim)
        run.start()
        done += 1
    return done


def main() -> None:
    """Run one case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--database", default="postgresql", choices=["postgresql", "sqlite"])
    parser.add_argument("--delay", type=float, default=0.0, help="seconds the mail server takes for a mail")
    parser.add_argument("--timeout", type=int, default=10, help="SMTP_TIMEOUT; a lease is three times as long")
    parser.add_argument("--patience", type=float, default=900, help="seconds until it is given up")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--port", type=int, default=21125)
    it = parser.parse_args()
    load = os.getloadavg()[0]
    begun = time.monotonic()
    with running(
        it.database,
        it.port,
        delay=it.delay,
        SMTP_CONNECTIONS=str(it.connections),
        SMTP_TIMEOUT=str(it.timeout),
    ) as run:
        run.owe(it.mails)
        for _ in range(it.workers):
            run.start()
        kills = kill_some(run, it.mails, it.kills, random.Random(it.seed))
        run.wait(it.mails, it.patience)
        taken, states = run.taken(), run.states()
    ids = defaultdict(set)
    for each in taken:
        ids[each.to].add(each.message_id)
    lost = it.mails - len(ids)
    duplicates = len(taken) - len(ids)
    strange = sum(len(found) > 1 for found in ids.values())
    most = max(Counter(each.to for each in taken).values())
    print(
        f"{it.database}: {it.workers} workers of {it.connections} connections, {it.mails:,} mails, {kills} kills, "
        f"{it.delay:g} s for each mail, lease {max(30, 3 * it.timeout)} s: {lost} lost, {duplicates} duplicates "
        f"({strange} under another Message-ID, none more than {most} times), states {states}, "
        f"{time.monotonic() - begun:.0f} s, load before {load:.1f}",
        flush=True,
    )
    if lost or strange or duplicates > kills or kills < it.kills or states != {"sent": it.mails}:
        sys.exit(1)


if __name__ == "__main__":
    main()
