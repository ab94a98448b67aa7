"""Where the counts of rate limits lie: in the memory of the one web process, or in PostgreSQL, for installations whose
web processes share no memory and run no Redis."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from limits.storage import Storage
from sqlalchemy import String, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from feedback_loop.db import Base, UtcDateTime


class LimitCount(Base):
    """How often something happened within one window. On PostgreSQL it is not logged: after a crash it is empty."""

    __tablename__ = "limit_counts"

    key: Mapped[str] = mapped_column(
        String(200), primary_key=True, comment="of whom it counts: a hash that changes daily"
    )
    count: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True, comment="when counting begins anew")


# The server's clock, so that machines whose clocks differ count in the same window.
INCREASE = text("""
    INSERT INTO limit_counts (key, count, expires_at)
    VALUES (:key, :amount, clock_timestamp() + make_interval(secs => :expiry))
    ON CONFLICT (key) DO UPDATE SET
      count = excluded.count
        + CASE WHEN limit_counts.expires_at > clock_timestamp() THEN limit_counts.count ELSE 0 END,
      expires_at = CASE WHEN limit_counts.expires_at > clock_timestamp()
        THEN limit_counts.expires_at ELSE excluded.expires_at END
    RETURNING count
""")
READ = text("SELECT count FROM limit_counts WHERE key = :key AND expires_at > clock_timestamp()")
READ_EXPIRY = text("SELECT extract(epoch FROM expires_at) FROM limit_counts WHERE key = :key")
CLEAR = text("DELETE FROM limit_counts WHERE key = :key")
RESET = text("DELETE FROM limit_counts")
FORGET = text("DELETE FROM limit_counts WHERE expires_at <= clock_timestamp()")
COARSE = ("feedback-loop:answers", "feedback-loop:abuse")
EXCHANGE = 1.0  # seconds
MOST_KNOWN = 10_000  # counts of one process; then those that were not asked for within a second are forgotten
TIDY_EVERY = 1000  # increases of one process


def is_coarse(key: str) -> bool:
    """Whether a count need not be right to the last one."""
    return any(name in key for name in COARSE)


class MemoryStorage(Storage):
    """Fixed windows in the memory of one process. The one that the library brings starts a thread a hundred times a
    second to forget what is over, which took longer than everything else about a limit."""

    STORAGE_SCHEME = ["memory"]  # noqa: RUF012  # in the place of the one that the library brings

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri, wrap_exceptions, **options)
        self.lock = threading.Lock()
        self.counts: dict[str, tuple[int, float]] = {}
        self.increases = 0

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing fails here."""
        return MemoryError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count on, and return how often it has been by now."""
        now = time.time()
        with self.lock:
            self.increases += 1
            if self.increases % TIDY_EVERY == 0:
                self.counts = {key: found for key, found in self.counts.items() if found[1] > now}
            count, ends_at = self.counts.get(key, (0, 0.0))
            count, ends_at = (count + amount, ends_at) if ends_at > now else (amount, now + expiry)
            self.counts[key] = count, ends_at
            return count

    def get(self, key: str) -> int:
        """How often it was in the window that runs."""
        count, ends_at = self.counts.get(key, (0, 0.0))
        return count if ends_at > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970."""
        return self.counts.get(key, (0, time.time()))[1]

    def check(self) -> bool:
        """It is always there."""
        return True

    def reset(self) -> int | None:
        """Forget everything."""
        with self.lock:
            found, self.counts = len(self.counts), {}
        return found

    def clear(self, key: str) -> None:
        """Forget one count."""
        with self.lock:
            self.counts.pop(key, None)


@dataclass
class Known:
    """What one process knows of a count that comes often.

    Attributes:
        count: How often it was everywhere, when the table was last asked.
        asked_at: When that was, by the monotonic clock.
        untold: What came here since.
    """

    count: int = 0
    asked_at: float = -math.inf
    untold: int = 0


class PostgresStorage(Storage):
    """Fixed windows in the table `limit_counts`. Counts that an attack makes grow with each request (`COARSE`) are
    exchanged with the table once a second at most: what costs the attacker little must cost us less.

    Args:
        uri: Address of the database. It gets connections of its own: a request that holds one of the application's
            must not wait for a second one there.
    """

    STORAGE_SCHEME = ["postgresql+psycopg"]  # noqa: RUF012  # the base class says how it is declared

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri, wrap_exceptions, **options)
        # Who cannot count soon does not count: no page waits for that.
        self.engine = create_engine(
            uri or "",
            isolation_level="AUTOCOMMIT",
            # No ping before each count: a connection that is gone costs one count, and with it the pool.
            pool_size=2,
            pool_timeout=1,
            hide_parameters=True,
            connect_args={"connect_timeout": 2, "options": "-c statement_timeout=1000"},
        )
        self.increases = 0
        self.known: dict[str, Known] = {}
        self.lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What this storage raises when it fails."""
        return SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count on, and return how often it has been by now."""
        if not is_coarse(key):
            return self._increase(key, expiry, amount)
        now = time.monotonic()
        with self.lock:
            known = self._known(key)
            known.untold += amount
            if now < known.asked_at + EXCHANGE:
                return known.count + known.untold
            told, known.untold, known.asked_at = known.untold, 0, now  # others go on with what was known
        count = self._increase(key, expiry, told)
        with self.lock:
            known.count = count
            return count + known.untold

    def _known(self, key: str) -> Known:
        if len(self.known) >= MOST_KNOWN:
            old = time.monotonic() - EXCHANGE
            self.known = {name: known for name, known in self.known.items() if known.asked_at > old}
        return self.known.setdefault(key, Known())

    def _increase(self, key: str, expiry: int, amount: int) -> int:
        with self.engine.connect() as connection:
            self.increases += 1
            if self.increases % TIDY_EVERY == 0:
                connection.execute(FORGET)
            return int(connection.execute(INCREASE, {"key": key, "amount": amount, "expiry": expiry}).scalar_one())

    def get(self, key: str) -> int:
        """How often it was in the window that runs."""
        if not is_coarse(key):
            return self._read(key)
        now = time.monotonic()
        with self.lock:
            known = self._known(key)
            if now < known.asked_at + EXCHANGE or known.untold:
                return known.count + known.untold
            known.asked_at = now
        count = self._read(key)
        with self.lock:
            known.count = count
            return count + known.untold

    def _read(self, key: str) -> int:
        with self.engine.connect() as connection:
            return connection.execute(READ, {"key": key}).scalar() or 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970."""
        with self.engine.connect() as connection:
            return float(connection.execute(READ_EXPIRY, {"key": key}).scalar() or 0)

    def check(self) -> bool:
        """Whether the database answers."""
        try:
            self.get("")
        except SQLAlchemyError:
            return False
        return True

    def reset(self) -> int | None:
        """Forget everything."""
        self.known = {}
        with self.engine.connect() as connection:
            return connection.execute(RESET).rowcount

    def clear(self, key: str) -> None:
        """Forget one count."""
        self.known.pop(key, None)
        with self.engine.connect() as connection:
            connection.execute(CLEAR, {"key": key})
