"""Refining: looking at everything anew, with complaints that keep their numbers.

Reads, closes its transaction, computes, and writes in one transaction that is guarded against what happened meanwhile.
Only worker code imports this module: it needs the arrays and models of `analysis/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from feedback_loop.analysis.discovery import discover
from feedback_loop.analysis.embedding.embedder import Embedder
from feedback_loop.complaints.due import LEAST_STATEMENTS
from feedback_loop.complaints.models import Refine, RefineState
from feedback_loop.complaints.service.known import WINDOW, embed_again, read_known
from feedback_loop.complaints.service.parts import decide_parts, read_parts
from feedback_loop.complaints.service.writing import Overtaken, map_of, spots_of, versions, write_refine
from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.claims import WORKER, give_back, prolonged, take_lease
from feedback_loop.logs import named

REFINE = "refine"
LEASE = timedelta(minutes=2)
PROLONG = timedelta(seconds=30)
ATTEMPTS = 3  # looks anew so often when people correct complaints meanwhile
Clock = Callable[[], datetime]
Progress = Callable[[str, float], None]


class RefineRunning(RuntimeError):
    """Another process is refining just now."""


def refine(
    sessions: Sessions,
    embedder: Embedder,
    clock: Clock,
    seed: int = 1,
    progress: Progress | None = None,
    window: int = WINDOW,
) -> Refine | None:
    """Look at everything anew: find new complaints and let statements move where they clearly belong elsewhere.

    Complaints keep their numbers, and what people corrected holds. One refine runs at a time over all workers; one that
    breaks off changes nothing.

    Args:
        sessions: Maker of sessions.
        embedder: The model whose vectors are compared.
        clock: Called for the present moment.
        seed: For the clustering.
        progress: Called with a step in words and the share done, 0 to 1.
        window: How many of the newest statements to look at, beside those that stand for complaints.

    Returns:
        The run, stored; None when there is too little to compare.

    Raises:
        RefineRunning: Another process holds the right to refine.
        Overtaken: People corrected complaints each time before it could write; nothing was changed.
    """
    started_at = clock()
    begin(sessions, started_at)
    try:
        with prolonged(sessions, REFINE, clock, LEASE, PROLONG):
            return attempts(sessions, embedder, clock, seed, progress, window)
    except RefineRunning:
        raise
    except Exception as error:
        record_failure(sessions, started_at, clock(), embedder.name, seed, named(error))
        raise
    finally:
        end(sessions)


def begin(sessions: Sessions, now: datetime) -> None:
    """Take the right to refine.

    Raises:
        RefineRunning: Another process holds it.
    """
    with sessions.begin() as session:
        if not take_lease(session, REFINE, now, LEASE):
            raise RefineRunning("A refine is running already; its result will appear by itself.")


def end(sessions: Sessions) -> None:
    """Give the right to refine back."""
    with sessions.begin() as session:
        give_back(session, REFINE)


def record_failure(
    sessions: Sessions, started_at: datetime, now: datetime, model: str, seed: int, message: str
) -> None:
    """Show a refine that broke off, and why."""
    with sessions.begin() as session:
        session.add(
            Refine(
                state=RefineState.FAILED,
                started_at=started_at,
                finished_at=now,
                model=model,
                seed=seed,
                seconds={},
                versions=versions(),
                changes={},
                message=message[:2000],
            )
        )


def attempts(
    sessions: Sessions,
    embedder: Embedder,
    clock: Clock,
    seed: int = 1,
    progress: Progress | None = None,
    window: int = WINDOW,
    holder: str = WORKER,
) -> Refine | None:
    """See :func:`refine`; the right to it must be held by `holder` and is neither prolonged nor given back."""
    report = progress or (lambda _step, _share: None)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return attempt_refine(sessions, embedder, clock, seed, report, window, holder)
        except Overtaken:
            if attempt == ATTEMPTS:
                raise
    return None


def attempt_refine(
    sessions: Sessions, embedder: Embedder, clock: Clock, seed: int, report: Progress, window: int, holder: str
) -> Refine | None:
    """One look: read, compute, write if nobody corrected complaints meanwhile.

    Raises:
        Overtaken: Somebody did; nothing was changed.
        RefineRunning: It took so long that another process has begun; nothing was changed.
    """
    started_at, timer = clock(), time.perf_counter()
    report("Reading statements", 0.0)
    embed_again(sessions, embedder, lambda count: report(f"Embedding anew: {count:,}", 0.0))
    with reading(sessions) as session:
        known = read_known(session, embedder, window)
        parts = read_parts(session, known, embedder)
        places = map_of(session)
    if len(known.ids) < LEAST_STATEMENTS:
        return None
    seconds = {"read": time.perf_counter() - timer}
    found = discover(known.texts, known.vectors, known.current, embedder.thresholds, seed, report, known.constraints)
    seconds.update(found.seconds)
    timer = time.perf_counter()
    decided = decide_parts(known, found, parts, embedder.thresholds)
    seconds["parts"] = time.perf_counter() - timer
    timer = time.perf_counter()
    spots = spots_of(known, found, places)
    seconds["map"] = time.perf_counter() - timer
    timer = time.perf_counter()
    report("Writing", 0.95)
    with sessions.begin() as session:
        if not take_lease(session, REFINE, clock(), LEASE, holder):
            raise RefineRunning("This refine took too long and another one has begun; nothing was changed.")
        run = write_refine(session, known, found, decided, embedder, spots, clock())
        run.started_at, run.seed = started_at, seed
        seconds["write"] = time.perf_counter() - timer
        run.seconds = {name: round(value, 3) for name, value in seconds.items()}
        session.add(run)
    report("Done", 1.0)
    return run
