"""The cast, the factories and the database of all tests. Whatever needs a database runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from feedback_loop.db import Base, Sessions, make_engine, make_sessions, migrate
from feedback_loop.responses import confirming
from feedback_loop.settings import Settings, database_url, read_settings
from feedback_loop.web.limitcounts import PostgresStorage
from feedback_loop.web.limits import EXTENSION
from tests.factories import Cast, Make

# Machines are slow now and then; what takes long is measured in bench/.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

NOW = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://127.0.0.1:5432/postgres?connect_timeout=3")
IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test talks to another machine: the product works offline, and so do its tests."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not ipaddress.ip_address(socket.gethostbyname(address[0])).is_loopback:
            raise AssertionError(f"A test tried to reach {address[0]}.")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def readers_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests open a page and press Send at once. Those about that very thing set the time themselves."""
    monkeypatch.setattr(confirming, "SENT_AFTER", timedelta())
    monkeypatch.setattr(confirming, "GESTURE_AFTER", timedelta())


@pytest.fixture
def now() -> datetime:
    """The moment at which tests happen."""
    return NOW


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[Engine]:
    """A migrated database of this test process. Every test that uses one runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        engine = make_engine(f"sqlite:///{tmp_path_factory.mktemp('db') / 'test.db'}")
        migrate(engine)
        yield engine
        engine.dispose()
        return
    admin = make_engine(database_url(POSTGRES, Path())).execution_options(isolation_level="AUTOCOMMIT")
    name = f"feedback_loop_test_{worker_id}_{os.getpid()}"  # two runs at a time do not meet
    try:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError as error:
        if IN_CI:
            raise
        pytest.skip(f"no PostgreSQL answers at {POSTGRES}: {error.orig}")
    engine = make_engine(admin.url.set(database=name).render_as_string(hide_password=False))
    migrate(engine)
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    """Sessions on a database that is empty before each test."""
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    return make_sessions(engine)


@pytest.fixture
def session(sessions: Sessions) -> Iterator[Session]:
    """A session for arranging and looking. Commit before you call a page: it sees only what is committed."""
    with sessions() as session:
        yield session


@pytest.fixture
def settings(engine: Engine, tmp_path: Path) -> Settings:
    """Settings with the toy embedder, no hold, and a mailbox of the test's own."""
    return read_settings(
        {
            "DATA_FOLDER": str(tmp_path / "data"),
            "DATABASE_URL": engine.url.render_as_string(hide_password=False),
            "SECRET_KEY": "a key for tests only",
            "PUBLIC_URL": "http://localhost",
            "COMPANY_NAME": "Fernhill Outdoor",
            "EMBEDDING_MODEL": "toy",
            "HOLD_MINUTES": "0",
            "FOLLOW_UP_AFTER_DAYS": "0",  # the mail that tells asks at once; tests about asking later set it
            "RATE_LIMIT_STORAGE": "off",  # tests about limits turn them on
            "ENGINE": "clock",  # tests about bells hang them
            "MAIL_FROM": "Fernhill Outdoor <care@fernhill.example>",
        }
    )


@pytest.fixture
def make(session: Session, settings: Settings) -> Make:
    """Factories; each flushes and leaves the commit to the test."""
    return Make(session, settings, NOW)


@pytest.fixture
def cast(make: Make) -> Cast:
    """Ada (admin), Lena (lead), Omar (owner in Delivery), Olga (owner in Payments), Vera (viewer). Committed."""
    return make.cast()


@pytest.fixture
def app(settings: Settings, sessions: Sessions) -> Iterator[Flask]:
    """The web application on the test's database."""
    from feedback_loop.app import create_app

    app = create_app(settings, sessions)
    app.config.update(TESTING=False, WTF_CSRF_ENABLED=False, PROPAGATE_EXCEPTIONS=False)
    yield app
    limits = app.extensions.get(EXTENSION)
    if limits is not None and isinstance(limits.storage, PostgresStorage):
        limits.storage.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without JavaScript. Sign in with `tests.factories.sign_in(client, user)`."""
    return app.test_client()
