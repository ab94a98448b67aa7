"""Heavy work in a process of its own, watched: it may run out of memory, hang or die, and this process goes on."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from feedback_loop import logs

log = logging.getLogger(__name__)

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096  # bytes
LOOK = 0.5  # seconds between two looks at the child
Report = Callable[..., None]


class ChildFailed(RuntimeError):
    """The work was not done; the message says why, for people."""


class ChildStopped(Exception):
    """The work was broken off because this process is to end."""


def run_apart(
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    memory_mb: int,
    silence: timedelta,
    stop: Callable[[], bool],
    alive: Callable[[], None],
    every: timedelta,
    report: Report | None = None,
) -> Any:
    """Run a function in a process of its own and wait for it.

    It shows that it is alive by reporting; a child that says nothing for too long, takes too much memory or is no
    longer wanted is ended by SIGKILL. A child ends by itself when this process is gone.

    Args:
        work: A function of a module; called with the arguments and a function by which it reports.
        arguments: Must be picklable, as what it returns and reports must be.
        memory_mb: Most resident memory in MB; 0 for no limit. Not kept where there is no /proc.
        silence: Longest time between two reports.
        stop: Asked again and again whether to break off.
        alive: Called every so often while the child shows life, to prolong what it holds; what it raises ends the
            child, too.
        every: How often.
        report: Called here with what the child reports.

    Returns:
        What the function returned.

    Raises:
        ChildFailed: It raised, died, hung, or was too large.
        ChildStopped: `stop` said so.
    """
    context = multiprocessing.get_context("spawn")  # not a fork: this process has threads and connections
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(theirs, logs.written_as(), work, arguments), name=work.__name__, daemon=True
    )
    process.start()
    theirs.close()
    heard = told = time.monotonic()
    try:
        while True:
            for kind, value in _said(ours, process):
                heard = time.monotonic()
                if kind == "done":
                    process.join(5)
                    return value
                if kind == "failed":
                    raise ChildFailed(value)
                if kind == "gone":
                    if stop():  # a service manager that stops us tells the child, too, which may not listen yet
                        raise ChildStopped
                    process.join(5)
                    raise ChildFailed(how_it_ended(process.exitcode))
                if report is not None:
                    report(*value)
            now = time.monotonic()
            if stop():
                raise ChildStopped
            if memory_mb and (size := memory_of(process.pid)) > memory_mb:
                raise ChildFailed(
                    f"It took {size} MB of memory and was ended: more than the {memory_mb} MB of ANALYSIS_MEMORY_MB."
                )
            if now - heard > silence.total_seconds():
                raise ChildFailed(f"It gave no sign of life for {silence} and was ended.")
            if now - told > every.total_seconds():
                told = now
                alive()
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()


def _said(ours: Connection, process: Any) -> list[tuple[str, Any]]:
    """What the child has said since, after waiting a moment for it."""
    try:
        if not ours.poll(LOOK):
            return [] if process.is_alive() or ours.poll(0) else [("gone", None)]
        said = [ours.recv()]
        while ours.poll(0):
            said.append(ours.recv())
    except (EOFError, OSError):
        return [("gone", None)]
    return said


def how_it_ended(code: int | None) -> str:
    """Why a process that said nothing is gone, in words."""
    if code == -signal.SIGKILL:
        return "Its process was ended from outside (SIGKILL), most likely by the system for want of memory."
    if code is not None and code < 0:
        return f"Its process was ended by {signal.Signals(-code).name}."
    return f"Its process ended without a word (exit code {code}); see the log of the worker."


def memory_of(pid: int | None) -> int:
    """Resident memory of a process in MB; 0 where it cannot be told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * PAGE // 1024**2


def _child(
    theirs: Connection, written_as: tuple[str, str], work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """What the child does. It writes its log as its parent does: nothing of that is inherited."""
    logs.write_as(*written_as)
    for number in (signal.SIGINT, signal.SIGTERM):  # of Ctrl-C and of service managers; our parent decides
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # should memory run out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("500")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result = work(*arguments, lambda *said: theirs.send(("report", said)))
    except Exception as error:
        log.exception("“%s” failed in its process.", work.__name__)
        theirs.send(("failed", logs.named(error)))
    else:
        theirs.send(("done", result))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
