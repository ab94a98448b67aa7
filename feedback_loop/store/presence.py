"""Who works on a database just now, so that nobody takes it away from under them.

On SQLite every command that works on the database holds a shared lock on a file beside it, as long as it runs; whoever
wants the database alone asks for the whole lock. The kernel lets go of it when a process dies, however it dies. On
PostgreSQL the server knows its connections.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine, text

from feedback_loop.db import make_engine, sqlite_file

try:
    import fcntl
except ImportError:  # not on Windows, where nobody is kept out
    fcntl = None  # type: ignore[assignment]

_held: dict[Path, int] = {}


class InUse(RuntimeError):
    """Somebody works on the database; the message says what to do."""


def lock_file(database: Path) -> Path:
    """The file beside an SQLite database that is locked instead of it."""
    return database.with_name(f"{database.name}.in-use")


def _lock(database: Path, how: int) -> int | None:
    """Lock without waiting; the open file, or None where others hold it."""
    descriptor = os.open(lock_file(database), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def announce(url: str) -> None:
    """Say that this process works on a database, until `leave` or its end. Children made by fork say so, too.

    Raises:
        InUse: It is just being restored or moved.
    """
    path = sqlite_file(url)
    if path is None or fcntl is None or path in _held:
        return
    with suppress(OSError):  # where no lock can be made, no database can be opened either, and that says why
        descriptor = _lock(path, fcntl.LOCK_SH)
        if descriptor is None:
            raise InUse("The database is just being restored or moved. Wait until that is done, then start again.")
        _held[path] = descriptor


def leave() -> None:
    """Take back what this process has said."""
    while _held:
        os.close(_held.popitem()[1])


@contextmanager
def alone(url: str, purpose: str) -> Iterator[None]:
    """Have a database to oneself.

    Args:
        url: Its address.
        purpose: What for, as in "It cannot be restored".

    Raises:
        InUse: A web server, a worker or another command works on it.
    """
    path = sqlite_file(url)
    if path is None:
        refuse_connections(url, purpose)
        yield
        return
    if fcntl is None or not path.parent.is_dir():
        yield
        return
    descriptor = _lock(path, fcntl.LOCK_EX)
    if descriptor is None:
        raise InUse(
            f"The database cannot be {purpose} while the web server, a worker or another command runs on it. "
            "Stop feedback-loop up (or serve and worker), then try again."
        )
    try:
        yield
    finally:
        os.close(descriptor)


def others(engine: Engine) -> list[str]:
    """Who else is connected to a PostgreSQL database, by address."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT coalesce(nullif(application_name, ''), 'a program') || ' from ' || "
                "coalesce(host(client_addr), 'this machine') FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        )
        return sorted(rows.scalars())


def refuse_connections(url: str, purpose: str) -> None:
    """Refuse while anybody else is connected to a PostgreSQL database.

    Raises:
        InUse: Somebody is.
    """
    engine = make_engine(url)
    try:
        found = others(engine)
    finally:
        engine.dispose()
    if found:
        raise InUse(
            f"The database cannot be {purpose} while others are connected to it: {', '.join(found[:5])}"
            f"{' and more' if len(found) > 5 else ''}. Stop feedback-loop on all machines, then try again."
        )
