"""A database of each test's own, of both kinds: these tests replace and move whole databases."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from feedback_loop.db import make_engine, make_sessions, migrate
from feedback_loop.settings import Settings, database_url, read_settings
from tests.conftest import IN_CI, NOW, POSTGRES
from tests.factories import Make

ADMIN = database_url(POSTGRES, Path())


@pytest.fixture
def postgres_name(worker_id: str) -> Iterator[str]:
    """The name of an empty PostgreSQL database; whatever begins with it is dropped afterwards."""
    admin = make_engine(ADMIN).execution_options(isolation_level="AUTOCOMMIT")
    name = f"feedback_loop_store_{worker_id}_{os.getpid()}"
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError as error:
        if IN_CI:
            raise
        pytest.skip(f"no PostgreSQL answers at {POSTGRES}: {error.orig}")
    if not IN_CI and shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed")
    yield name
    with admin.connect() as connection:
        found = connection.scalars(
            text("SELECT datname FROM pg_database WHERE starts_with(datname, :name)"), {"name": name}
        )
        for each in found.all():
            connection.execute(text(f'DROP DATABASE "{each}" WITH (FORCE)'))
    admin.dispose()


def postgres_url(name: str) -> str:
    """The address of a database on the test's server."""
    engine = make_engine(ADMIN)
    return engine.url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an installation with a migrated database of its own. Making one on a server takes seconds, so what is
    the same on both is tested with `file_home`."""
    return installed(
        tmp_path, "" if request.param == "sqlite" else postgres_url(request.getfixturevalue("postgres_name"))
    )


@pytest.fixture
def file_home(tmp_path: Path) -> Settings:
    """The same, with SQLite."""
    return installed(tmp_path, "")


def installed(tmp_path: Path, url: str) -> Settings:
    """Settings, and a migrated database."""
    settings = read_settings(
        {
            "DATA_FOLDER": str(tmp_path / "data"),
            "DATABASE_URL": url,
            "PUBLIC_URL": "http://localhost",
            "EMBEDDING_MODEL": "toy",
            "HOLD_MINUTES": "0",
            "FOLLOW_UP_AFTER_DAYS": "0",
        }
    )
    engine = make_engine(settings.database_url)
    migrate(engine)
    engine.dispose()
    return settings


@contextmanager
def at_home(settings: Settings) -> Iterator[Make]:
    """Factories on the database of an installation; commits at the end and lets go of it."""
    engine = make_engine(settings.database_url)
    try:
        with make_sessions(engine)() as session:
            yield Make(session, settings, NOW)
            session.commit()
    finally:
        engine.dispose()


def another_key(settings: Settings) -> Settings:
    """The same installation with another secret key."""
    return replace(settings, secret_key="another key, of which nothing here knows anything")
