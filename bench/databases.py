"""Empty databases of either kind for benches, thrown away afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from feedback_loop.db import make_engine
from feedback_loop.settings import database_url

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://127.0.0.1:5432/postgres?connect_timeout=3")


@contextmanager
def database(kind: str, folder: Path, name: str, server: str = POSTGRES) -> Iterator[str]:
    """An empty database meanwhile; its address. What was made beside it under a longer name goes with it.

    Args:
        kind: `sqlite` or `postgresql`.
        folder: Where the file of SQLite lies.
        name: Of the file, and a part of the name on the server.
        server: Address of the PostgreSQL server.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder / name}.db"
        return
    admin = make_engine(database_url(server, Path())).execution_options(isolation_level="AUTOCOMMIT")
    own = f"feedback_loop_bench_{name}_{os.getpid()}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {own}"))
    try:
        yield admin.url.set(database=own).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            ours = text("SELECT datname FROM pg_database WHERE datname = :own OR starts_with(datname, :own || '_')")
            for each in connection.scalars(ours, {"own": own}).all():
                connection.execute(text(f"DROP DATABASE {each} WITH (FORCE)"))
        admin.dispose()
