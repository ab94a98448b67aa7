"""The database: engine, sessions, column types, migrations. The only place, beside the claim, that knows which one
it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Engine,
    Enum,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, sessionmaker

from feedback_loop.settings import resource

# First release without the WAL-reset corruption bug, and the branches the fix was carried back to
# (sqlite.org, wal.html).
SQLITE_SAFE = (3, 51, 3)
SQLITE_BACKPORTS = {(3, 44): 6, (3, 50): 7}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored in UTC on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Towards the database; SQLite keeps no time zone, so UTC is implied there."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment without a time zone was about to be stored; use clock.utc_now().")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def checked(enum: type[StrEnum], name: str) -> Enum:
    """A column type that holds the values of an enum as text, guarded by a CHECK."""
    return Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


# SQLite numbers only a plain INTEGER primary key by itself; it holds 64 bits there anyway.
BigId = BigInteger().with_variant(Integer, "sqlite")

pk = Annotated[int, mapped_column(BigId, primary_key=True)]
utc = Annotated[datetime, mapped_column(UtcDateTime)]
short_text = Annotated[str, mapped_column(String(200))]
long_text = Annotated[str, mapped_column(Text)]
json_dict = Annotated[dict[str, Any], mapped_column(JSON, default=dict)]


class Base(DeclarativeBase):
    """Base of every table; constraints are named so that migrations can find them again."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def clean_text(text: str) -> str:
    """Make any text from outside storable on both databases: no NUL, no lone surrogates, one kind of line end."""
    text = text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "replace").decode("utf-8")


def insert_missing(session: Session, model: type[Base], rows: list[dict[str, Any]]) -> None:
    """Insert rows, passing over those whose unique key is there already."""
    if not rows:
        return
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(model).on_conflict_do_nothing(), rows)


def sqlite_driver() -> Any:
    """The SQLite module to use: the bundled recent one where it is installed, else Python's own."""
    try:
        import pysqlite3.dbapi2 as driver
    except ImportError:
        import sqlite3 as driver
    return driver


def sqlite_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite has the fix for the WAL-reset corruption bug."""
    patch = SQLITE_BACKPORTS.get((version[0], version[1]))
    return version >= SQLITE_SAFE or (patch is not None and version[2] >= patch)


def make_engine(url: str) -> Engine:
    """Open the database.

    Args:
        url: An address as SQLAlchemy writes it, `sqlite:///…` or `postgresql+psycopg://…`.
    """
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    database = make_url(url).database
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    # Errors are logged and stored; what customers typed must not be in them.
    options = {"timeout": 30, "check_same_thread": False}
    engine = create_engine(url, module=sqlite_driver(), connect_args=options, hide_parameters=True)
    writers = threading.Lock()

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # We emit BEGIN ourselves: the driver's own transactions leave DDL and SAVEPOINT outside.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=30000",
            "secure_delete=ON",
            "journal_size_limit=67108864",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A reader that later writes may find the database changed under it and fail at once, so whoever may write
        # says so first. The lock makes writers of this process queue fairly; SQLite's own waiting lets one of them
        # starve for seconds.
        if connection.get_execution_options().get("reads_only"):
            connection.exec_driver_sql("BEGIN")
            return
        if connection.info.get("holds_lock"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        if not writers.acquire(timeout=60):
            raise TimeoutError(
                "Another writer of this process has held the database for a minute; is a session left open?"
            )
        connection.info["holds_lock"] = True
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkin")
    def release(_connection: Any, record: Any) -> None:
        # The connection comes back to the pool after COMMIT or ROLLBACK has reached the disk.
        if record.info.pop("holds_lock", False):
            writers.release()

    return engine


Sessions = sessionmaker[Session]


def make_sessions(engine: Engine) -> Sessions:
    """A maker of sessions that write."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def reading(sessions: Sessions) -> Iterator[Session]:
    """A session that only reads, and so never waits for or blocks a writer."""
    with sessions() as session:
        session.connection(execution_options={"reads_only": True})
        yield session


def alembic_config(engine: Engine) -> Config:
    """Alembic's configuration for an open engine; there is no ini file to keep in step."""
    config = Config()
    config.set_main_option("script_location", str(resource("migrations")))
    config.attributes["engine"] = engine
    return config


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to date. Safe to repeat; a broken-off run leaves the old schema."""
    command.upgrade(alembic_config(engine), revision)


def is_current(engine: Engine) -> bool:
    """Whether the schema is the one this version of the program needs."""
    with engine.connect().execution_options(reads_only=True) as connection:
        found = MigrationContext.configure(connection).get_current_heads()
    return set(found) == set(ScriptDirectory.from_config(alembic_config(engine)).get_heads())
