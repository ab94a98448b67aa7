"""How the steps of the workers fare, kept as rows: so any process can say it, and it outlives the worker.

A step looks every second or two; a row written each time would be most of what SQLite writes. Each worker adds up what
happened and writes it every few seconds, in one commit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from structlog.contextvars import clear_contextvars

from feedback_loop.db import Sessions, insert_missing
from feedback_loop.jobs.models import StepRun
from feedback_loop.logs import about, named

log = logging.getLogger(__name__)

WRITE_EVERY = 10.0  # seconds
REMIND_EVERY = 60.0  # seconds between two lines about a step that goes on failing for one reason


@dataclass(frozen=True)
class Tally:
    """What happened to one step in this process and is not written yet."""

    every: timedelta
    runs: int = 0
    failures: int = 0
    in_a_row: int = 0  # failures since it last worked, written ones as well
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0
    worked_at: datetime | None = None
    failed_at: datetime | None = None
    error: str = ""
    reminded: float = 0.0  # monotonic; when the log was last told of the failure
    is_written: bool = False


@dataclass
class Run:
    """One run that is being observed; `is_others` where another worker looks at this moment on behalf of all."""

    is_others: bool = False


class Steps:
    """Watches the steps of one worker."""

    def __init__(self) -> None:
        self.lock, self.writing = threading.Lock(), threading.Lock()
        self.tallies: dict[str, Tally] = {}
        self.wrote = -WRITE_EVERY
        self.writing_failed = False

    @contextmanager
    def observed(self, sessions: Sessions, name: str, every: timedelta, clock: Callable[[], datetime]) -> Iterator[Run]:
        """Run a step inside this. A failure ends here: it is logged, once, and the step is tried at its next look."""
        started, began = clock(), time.monotonic()
        error: Exception | None = None
        run = Run()
        try:
            with about(step=name):
                yield run
        except Exception as raised:
            error = raised
        finally:
            clear_contextvars()  # of the rows that it claimed
        if run.is_others:
            return
        with self.lock:
            before = self.tallies.get(name, Tally(every))
            after = replace(
                before,
                runs=before.runs + 1,
                started_at=started,
                ended_at=clock(),
                seconds=time.monotonic() - began,
                is_written=False,
            )
            if error is None:
                after = replace(after, in_a_row=0, worked_at=after.ended_at)
            else:
                after = replace(
                    after, failures=after.failures + 1, in_a_row=before.in_a_row + 1, failed_at=after.ended_at,
                    error=type(error).__name__,
                )  # fmt: skip
            self.tallies[name] = self.told(name, before, after, error)
        self.write_now_and_then(sessions)

    def told(self, name: str, before: Tally, after: Tally, error: Exception | None) -> Tally:
        """Tell the log what is new: a failure with its trace, that it goes on now and then, and its end."""
        with about(step=name):
            if error is None:
                if before.in_a_row:
                    log.info("The step “%s” works again after %d failures.", name, before.in_a_row)
            elif not before.in_a_row or before.error != after.error:
                log.error("The step “%s” failed; it is tried again in %s.", name, after.every, exc_info=error)
                return replace(after, reminded=time.monotonic())
            elif time.monotonic() - before.reminded > REMIND_EVERY:
                log.error("The step “%s” failed %d times in a row: %s", name, after.in_a_row, named(error))
                return replace(after, reminded=time.monotonic())
        return after

    def forget_unknown(self, sessions: Sessions, known: Collection[str]) -> None:
        """Remove the rows of steps that this release does not have: they would count as late, or failing, for ever."""
        try:
            with sessions.begin() as session:
                session.execute(delete(StepRun).where(StepRun.name.not_in(known)))
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            log.error("How the steps fare could not be tidied: %s", named(error))

    def write_now_and_then(self, sessions: Sessions) -> None:
        """Write what has happened, if the last time was a while ago and nobody else is at it."""
        if time.monotonic() - self.wrote < WRITE_EVERY or not self.writing.acquire(blocking=False):
            return
        try:
            self.write(sessions)
        finally:
            self.writing.release()

    def write(self, sessions: Sessions) -> None:
        """Write what has happened. Where the database cannot, it is kept for the next time."""
        self.wrote = time.monotonic()
        with self.lock:
            due = {name: tally for name, tally in self.tallies.items() if not tally.is_written}
        if not due:
            return
        try:
            with sessions.begin() as session:
                for name in sorted(due):
                    add(session, name, due[name])
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            if not self.writing_failed:
                log.error("How the steps fare could not be written: %s", named(error))
            self.writing_failed = True
            return
        self.writing_failed = False
        with self.lock:
            for name, written in due.items():
                now = self.tallies[name]
                self.tallies[name] = replace(
                    now,
                    runs=now.runs - written.runs,
                    failures=now.failures - written.failures,
                    is_written=now == written,
                )


def add(session: Session, name: str, tally: Tally) -> None:
    """Add what one worker has seen of a step to its row."""
    insert_missing(session, StepRun, [{"name": name, "every_seconds": int(tally.every.total_seconds())}])
    failing_since = case((StepRun.failing_since.is_(None), tally.failed_at), else_=StepRun.failing_since)
    values: dict[str, Any] = {
        "every_seconds": int(tally.every.total_seconds()),
        "started_at": tally.started_at,
        "ended_at": tally.ended_at,
        "seconds": tally.seconds,
        "runs": StepRun.runs + tally.runs,
        "failures": StepRun.failures + tally.failures,
        "failing_since": failing_since if tally.in_a_row else None,
        "failures_in_a_row": tally.in_a_row,
    }
    if tally.failed_at is not None:
        values |= {"failed_at": tally.failed_at, "error": tally.error}
    if tally.worked_at is not None:
        values["worked_at"] = tally.worked_at
    session.execute(update(StepRun).where(StepRun.name == name).values(values))
