"""One time for all machines of an installation: that of the database server, where a machine's own is far from it.

Leases and due moments are compared with the clocks of all workers. A machine whose clock lags by minutes would take
rows that others are at, and would take the moments of all others for those of a clock that was set back since.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, beside

log = logging.getLogger(__name__)

NEAR = timedelta(seconds=5)  # by which machines may differ; all that is shared bears with it
SLOW = timedelta(seconds=2)  # an answer that took longer says nothing


class SharedClock:
    """The present moment, as all workers see it. On SQLite, where one machine is all there is, that of the machine.

    Args:
        sessions: Of the database.
        own: The clock of this machine.
    """

    def __init__(self, sessions: Sessions, own: Callable[[], datetime] = utc_now) -> None:
        self.sessions, self.own = sessions, own
        self.ahead = timedelta()  # of the machine's

    def __call__(self) -> datetime:
        """The present moment."""
        return self.own() + self.ahead

    def compare(self) -> None:
        """Ask the server what time it is. Where it does not answer, what was found before holds."""
        engine: Engine = self.sessions.kw["bind"]
        if engine.dialect.name != "postgresql":
            return
        try:
            with beside(self.sessions) as connection:
                before = self.own()
                there: datetime | None = connection.scalar(text("SELECT clock_timestamp()"))
                passed = self.own() - before
        except (SQLAlchemyError, OSError):
            return
        if there is None or not timedelta() <= passed < SLOW:
            return
        away = there - (before + passed / 2)
        if abs(away - self.ahead) < NEAR:
            return  # left as it is, so that due moments do not tremble
        self.ahead = away
        log.warning(
            "The clock of this machine is %.0f s %s that of the database server, by which this process goes from now "
            "on. Let both set their clocks by NTP.",
            abs(away.total_seconds()),
            "behind" if away > timedelta() else "before",
        )


def compared(sessions: Sessions) -> SharedClock:
    """A clock that has been compared once."""
    clock = SharedClock(sessions)
    clock.compare()
    return clock
