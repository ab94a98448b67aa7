"""The bell that tells workers of work at once, where there is one: PostgreSQL with ENGINE=auto.

A bell is only a hint. What is to be done stands in rows, and each step finds it at its next look without any bell; so
one that is not rung, lost, or rung for nothing costs a moment and never work (docs/adr/0020-engine.md).
"""

from __future__ import annotations

import logging
import threading
import time
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, make_url, text
from sqlalchemy.orm import Session

from feedback_loop.db import Sessions
from feedback_loop.settings import Settings

if TYPE_CHECKING:
    from procrastinate import App

log = logging.getLogger(__name__)

SCHEMA = "engine"  # of PostgreSQL, for the tables of procrastinate; away from ours
TASK = "wake"
RUNG = "bells"  # in `session.info`
LEAST_GAP = 1.0  # seconds from one ringing of a bell that answers ring to the next, in one process
SILENCE = 60.0  # seconds without ringing after it failed, so that not each transaction tries in vain


class Queue(StrEnum):
    """What workers can be told apart by: which steps they look after."""

    MAIL = "mail"
    ANALYSIS = "analysis"
    DEFAULT = "default"


BELLS = {
    "understand": Queue.ANALYSIS,
    "search": Queue.ANALYSIS,
    "send mail": Queue.MAIL,
    "call out": Queue.DEFAULT,
}
OFTEN = {"understand"}  # rung by each answer that comes

# Nobody who writes waits for the engine's tables: whoever locks them (an upgrade that makes them anew, VACUUM FULL) has
# the bell to be left alone. Set before they are named, for naming them is what waits. All of it, and `search_path` for
# the functions of the engine, is put back with the savepoint, or by RESTORE.
PATIENCE = "50ms"
SET = text(
    "SELECT current_setting('search_path') AS path, current_setting('lock_timeout') AS patience, "
    "set_config('search_path', :schema, true), set_config('lock_timeout', :patience, true)"
)
# One who is just ringing the same bell has not committed yet: rather than wait for them, which would line up all
# transactions that ring, this one leaves it to the next look.
GUARD = text(
    "SELECT pg_try_advisory_xact_lock(7421, hashtext(:step)) AND NOT EXISTS ("
    "SELECT FROM engine.procrastinate_jobs WHERE queueing_lock = :step AND status = 'todo')"
)
RESTORE = text("SELECT set_config('search_path', :path, true), set_config('lock_timeout', :patience, true)")


class Bells:
    """The bells of one process."""

    def __init__(self) -> None:
        self._silent_until = 0.0
        self._rung: dict[str, float] = {}
        self._mutex = threading.Lock()

    def is_time(self, step: str) -> bool:
        """Whether this process may ring now."""
        now = time.monotonic()
        with self._mutex:
            if now < self._silent_until or (step in OFTEN and now < self._rung.get(step, 0.0) + LEAST_GAP):
                return False
            self._rung[step] = now
            return True

    def toll(self, session: Session) -> None:
        """Ring in a transaction what it asked for, so that the bell is heard if and only if it is committed."""
        if session.in_nested_transaction():  # a savepoint, not the end
            return
        steps = sorted(step for step in session.info.pop(RUNG, ()) if self.is_time(step))
        if not steps:
            return
        session.flush()  # nothing is written after the bell, so nobody waits long for one who rings
        try:
            connection = session.connection()
            for step in steps:
                with connection.begin_nested() as savepoint:
                    before = connection.execute(SET, {"schema": SCHEMA, "patience": PATIENCE}).one()
                    if not connection.scalar(GUARD, {"step": step}):
                        savepoint.rollback()
                        continue
                    hint().configure_task(
                        TASK, queue=BELLS[step], queueing_lock=step,
                        connection=connection.connection.driver_connection,
                    ).defer(step=step)  # fmt: skip
                    connection.execute(RESTORE, {"path": before.path, "patience": before.patience})
        except Exception as error:
            # Never the business of whoever writes: the clocks find the work.
            self._silent_until = time.monotonic() + SILENCE
            log.warning(
                "Workers could not be told of new work and find it at their next look. If this goes on, run "
                "feedback-loop init, which repairs the engine. (%s)",
                str(getattr(error, "orig", None) or error.__cause__ or error).strip().partition("\n")[0],
            )


@cache
def hint() -> App:
    """procrastinate, to ring with; it opens no connection of its own."""
    from procrastinate import App, SyncPsycopgConnector

    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # it reports each bell
    return App(connector=SyncPsycopgConnector())


def is_rung(settings: Settings) -> bool:
    """Whether this installation has bells."""
    return settings.engine == "auto" and make_url(settings.database_url).get_backend_name() == "postgresql"


def hang(sessions: Sessions, settings: Settings) -> None:
    """Let all sessions of a maker ring; nothing where there are no bells."""
    if not is_rung(settings):
        return
    event.listen(sessions, "before_commit", Bells().toll)
    event.listen(sessions, "after_rollback", forget)


def forget(session: Session) -> None:
    """What is rolled back rings no bell."""
    session.info.pop(RUNG, None)


def ring(session: Session, step: str) -> None:
    """Have a step look as soon as this transaction is committed, instead of at its next look.

    Args:
        session: The one that writes the work.
        step: A key of `BELLS`.
    """
    rung: Any = session.info.setdefault(RUNG, set())
    rung.add(step)
