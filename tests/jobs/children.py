"""What children of the tests do; in a module, for their processes import it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import warnings


def count_up(to: int, report) -> int:
    for number in range(to):
        report("counting", number)
    return to


def raise_error(report) -> None:
    raise ValueError("nothing to compare")


def raise_words(report) -> None:
    int("my phone is 0170 123")


def be_stopped_by_the_service_manager(report) -> None:
    report("here", 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def be_killed(report) -> None:
    report("about to die", 0)
    os.kill(os.getpid(), signal.SIGKILL)


def leave(report) -> None:
    sys.exit(3)


def hang(report) -> None:
    report(str(os.getpid()), 0)
    time.sleep(60)


def talk_on(report) -> None:
    for _ in range(600):
        report("still here", 0)
        time.sleep(0.1)


def take_memory(report) -> None:
    blocks = []
    for number in range(600):
        blocks.append(bytearray(os.urandom(1024)) * 1024 * 10)
        report("blocks", number)
        time.sleep(0.05)


def refine_and_be_killed(settings, seed, holder, report) -> bool:
    report("toy", -1.0)
    be_killed(report)
    return True


def refine_well(settings, seed, holder, report) -> bool:
    report("toy", -1.0)
    report("graph", 0.0)
    return True


def log_and_fail(name, report) -> None:
    logging.getLogger("a library").debug("has begun")
    warnings.warn("this goes away", UserWarning, stacklevel=1)
    raise ValueError(f"cannot compare {name!r}")
