"""Refining in a process of its own, so that one that runs out of memory or hangs takes nothing else with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from feedback_loop.complaints.service.refine import (
    LEASE,
    PROLONG,
    REFINE,
    RefineRunning,
    attempts,
    begin,
    end,
    record_failure,
)
from feedback_loop.db import Sessions
from feedback_loop.jobs.child import ChildFailed, ChildStopped, Report, run_apart
from feedback_loop.jobs.claims import WORKER, take_lease
from feedback_loop.settings import Settings

log = logging.getLogger(__name__)

SILENCE = timedelta(minutes=15)  # a hundred thousand statements take two minutes, in several steps
NAMED = -1.0  # as a share done: not a step, but the name of the model
Work = Callable[..., bool]


def refine_in_child(settings: Settings, seed: int, holder: str, report: Report) -> bool:
    """What the child does: one refine under the right of `holder`, its parent.

    Returns:
        Whether there was enough to compare.
    """
    from feedback_loop.analysis.embedding.loading import load_embedder
    from feedback_loop.db import make_engine, make_sessions
    from feedback_loop.jobs.sharedclock import compared

    sessions = make_sessions(make_engine(settings.database_url))
    embedder = load_embedder(settings.embedding_model, settings.embedding_threads)
    report(embedder.name, NAMED)
    try:
        return attempts(sessions, embedder, compared(sessions), seed, report, holder=holder) is not None
    except RefineRunning:
        return False  # the right went to another process, which looks at the same
    except Exception:
        log.exception("The refine failed.")  # the parent is told only what kind of error it was
        raise


def refine_apart(
    sessions: Sessions,
    settings: Settings,
    clock: Callable[[], datetime],
    stop: Callable[[], bool],
    seed: int = 1,
    work: Work = refine_in_child,
) -> bool:
    """Refine in a process of its own, see `refine.refine`. The right to it is prolonged as long as that shows life.

    Args:
        sessions: Maker of sessions.
        settings: For the child, and how much memory it may take.
        clock: Called for the present moment.
        stop: Asked whether this process is to end; the refine is then broken off and changes nothing.
        seed: For the clustering.
        work: Stands in for the refine.

    Returns:
        Whether a refine was done.

    Raises:
        RefineRunning: Another process holds the right to refine.
        ChildFailed: It broke off and changed nothing; a failed run says why.
    """
    started_at, model = clock(), settings.embedding_model
    begin(sessions, started_at)

    def alive() -> None:
        try:
            with sessions.begin() as session:
                is_ours = take_lease(session, REFINE, clock(), LEASE)
        except (SQLAlchemyError, TimeoutError):
            log.exception("The right to refine could not be prolonged.")
            return  # the child asks again before it writes
        if not is_ours:
            raise RefineRunning("Another refine has begun meanwhile; nothing was changed.")

    def note(said: str, share: float) -> None:
        nonlocal model
        model = said if share == NAMED else model

    try:
        return bool(
            run_apart(
                work, (settings, seed, WORKER), memory_mb=settings.analysis_memory_mb, silence=SILENCE, stop=stop,
                alive=alive, every=PROLONG, report=note,
            )
        )  # fmt: skip
    except ChildStopped:
        return False
    except ChildFailed as error:
        record_failure(sessions, started_at, clock(), model, seed, str(error))
        raise
    finally:
        end(sessions)
