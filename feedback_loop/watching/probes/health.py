"""Whether this process can serve: asked every few seconds, by programs that take it out of service when it cannot.

Each look goes past the pool and the writers' lock of this process, over a connection of its own that gives up soon, so
that it answers also where every thread waits.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, make_url, pool, text

from feedback_loop.db import alembic_config, sqlite_driver

PATIENCE = 2  # seconds for the database
REMEMBER = 1.0  # seconds for which an answer holds
PROBE_BYTES = 4096
OK = "ok"


@dataclass
class Health:
    """Looks whether the database answers, its schema is this program's, and the disk takes writes.

    Args:
        url: Of the database.
        expected: Revisions of the schema that this program needs.
    """

    url: str
    expected: frozenset[str]
    lock: threading.Lock = field(default_factory=threading.Lock)
    known: tuple[float, dict[str, str]] | None = None

    def checks(self) -> dict[str, str]:
        """What each check says: `ok`, or why not, without secrets. At most a second old."""
        with self.lock:  # all who ask at once get one answer
            if self.known is None or time.monotonic() - self.known[0] > REMEMBER:
                found = self.look()
                self.known = time.monotonic(), found  # from its end on: those who waited for a long look take it, too
            return self.known[1]

    def look(self) -> dict[str, str]:
        """Look now."""
        found: dict[str, str] = {"database": OK, "schema": OK}
        try:
            revisions = self.revisions()
        except Exception as error:
            # Only the class: what drivers say may name host and user.
            kind = getattr(error, "orig", None) or error
            found["database"] = f"does not answer ({type(kind).__name__})"
            found["schema"] = "unknown"
        else:
            if revisions != self.expected:
                found["schema"] = "is another version's; run feedback-loop init with this one"
        path = make_url(self.url).database
        if make_url(self.url).get_backend_name() == "sqlite" and path and path != ":memory:":
            found["disk"] = disk(Path(path))
        return found

    def revisions(self) -> frozenset[str]:
        """The revisions of the schema that is there."""
        engine = self.engine()
        with engine.connect() as connection:
            return frozenset(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())

    def engine(self) -> Engine:
        """Opens a connection for each look, and waits for nothing long. It reads outside any transaction of ours."""
        url = make_url(self.url)
        if url.get_backend_name() != "sqlite":
            waits = {"connect_timeout": PATIENCE, "options": f"-c statement_timeout={PATIENCE * 1000}"}
            return create_engine(url, poolclass=pool.NullPool, connect_args=waits, hide_parameters=True)
        if url.database and url.database != ":memory:" and not Path(url.database).exists():
            raise FileNotFoundError  # SQLite would make an empty one
        return create_engine(url, module=sqlite_driver(), poolclass=pool.NullPool, connect_args={"timeout": PATIENCE})


def disk(path: Path) -> str:
    """Whether the folder of the SQLite file takes writes; by writing, for neither rights nor free space say it all."""
    probe = path.with_name(f".{path.name}-probe-{os.getpid()}")
    try:
        descriptor = os.open(path, os.O_RDWR)
        os.close(descriptor)
        try:
            with probe.open("wb") as file:
                file.write(b"\0" * PROBE_BYTES)
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        return f"takes no writes ({os.strerror(error.errno) if error.errno else type(error).__name__})"
    return OK


def expected_revisions(engine: Engine) -> frozenset[str]:
    """The revisions that this program needs."""
    return frozenset(ScriptDirectory.from_config(alembic_config(engine)).get_heads())
