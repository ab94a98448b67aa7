"""Ways in which databases and disks fail, made on purpose and ended again."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

Fault = Callable[[Engine], AbstractContextManager[None]]


@contextmanager
def pragmas(engine: Engine, broken: str, whole: str) -> Iterator[None]:
    """Each connection of a SQLite database is set one way meanwhile, and back at the end."""
    state = {"statement": broken}

    def prepare(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute(state["statement"]).fetchall()

    event.listen(engine, "checkout", prepare)
    try:
        yield
    finally:
        state["statement"] = whole
        for _connection in range(6):
            with engine.connect().execution_options(reads_only=True):
                pass
        engine.dispose()
        event.remove(engine, "checkout", prepare)


@contextmanager
def full_disk(engine: Engine) -> Iterator[None]:
    """SQLite: the file may not grow, and no page in it is free. What fits in a page that has room still passes."""
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE filler (stuff)")
    with pragmas(engine, "PRAGMA max_page_count=1", "PRAGMA max_page_count=1073741823"):
        while True:
            try:
                with engine.begin() as connection:
                    connection.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(4000))")
            except OperationalError:
                break
        yield
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE filler")


def read_only(engine: Engine) -> AbstractContextManager[None]:
    """Nothing can be written."""
    return pragmas(engine, "PRAGMA query_only=ON", "PRAGMA query_only=OFF")


@contextmanager
def no_handles(engine: Engine) -> Iterator[None]:
    """This process may open no further file, and has no connection left."""
    engine.dispose()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    held = []
    try:
        while True:  # the numbers that are free below the limit
            try:
                held.append(Path("/dev/null").open())  # noqa: SIM115 (closed below)
            except OSError:
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in held:
            each.close()


def kill_connections(engine: Engine) -> None:
    """End every connection of a PostgreSQL database but the one that asks, as a restart does."""
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        connection.invalidate()


@contextmanager
def away(engine: Engine) -> Iterator[None]:
    """PostgreSQL: no connection can be made, and those there were are gone."""
    kill_connections(engine)
    engine.dispose()
    gone: dict[str, Any] = {"connect_timeout": 1, "port": 1}

    def elsewhere(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> None:
        parameters.update(gone)

    event.listen(engine, "do_connect", elsewhere)
    try:
        yield
    finally:
        event.remove(engine, "do_connect", elsewhere)


ON = {"sqlite": [full_disk, read_only, no_handles], "postgresql": [away]}


@pytest.fixture
def faults(engine: Engine) -> list[Fault]:
    """The faults that the database of this test can have."""
    return ON[engine.dialect.name]
