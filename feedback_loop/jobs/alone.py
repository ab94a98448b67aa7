"""One worker on one SQLite file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url


class AnotherWorker(RuntimeError):
    """A worker runs on this file already."""


@contextlib.contextmanager
def alone(url: str) -> Iterator[None]:
    """Be the only worker on a SQLite file as long as this lasts; nothing on PostgreSQL, where any number may run.

    SQLite has one writer at a time, so a second worker would only make both slower. The lock is the system's and ends
    with the process, however that ends. Where the system has none of the kind (Windows), nobody is held back.

    Raises:
        AnotherWorker: There is one.
    """
    address = make_url(url)
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        yield
        return
    try:
        import fcntl
    except ImportError:
        yield
        return
    assert address.database is not None
    with Path(f"{address.database}.worker").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherWorker(
                f"A worker runs on {address.database} already, and SQLite takes one. Stop it first; give it all "
                "queues, or move to PostgreSQL for more workers (docs/scaling.md)."
            ) from None
        yield
