"""The database: engine, sessions, column types, migrations. The only place, beside the claim, that knows which one
it is."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
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
    Connection,
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
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, sessionmaker

from feedback_loop.disks import refuse_network
from feedback_loop.settings import resource

PING_AFTER = 1.0  # seconds of rest
# How PostgreSQL is to plan for us: we ask for few rows by an index, and answer a person. Out of the box it takes the
# database for one on a spinning disk, reads whole tables rather than some thousand rows here and there, compiles
# queries, which takes longer than running them, and starts processes to help with what is done before they are there.
PLANNING = ("random_page_cost = 1.1", "jit = off", "max_parallel_workers_per_gather = 0")
PATIENCE = "200ms"  # that others are made to wait by one who wants to write alone
BUSY_MS = 30_000  # that SQLite waits for other processes
# Of each connection to SQLite, of which a web process has a dozen. Each write of others empties it, and what it does
# not hold comes from the memory of the system, so more of it only makes processes larger.
CACHE_KB = 512
# Grown beyond this, the WAL is written back and cut; SQLite's own checkpoints do so only while nobody reads.
WAL_GROWN = 16 * 1024 * 1024
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


def keep_writers_out(session: Session, model: type[Base]) -> None:
    """Wait until nobody writes to a table, and let nobody until the end of the transaction. On SQLite every session
    that writes does so anyway.

    Whoever wants to write meanwhile queues behind this one, so on PostgreSQL neither this waiting nor any later one of
    the transaction is long; `gave_way` knows the error.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
        session.execute(text(f"LOCK TABLE {model.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))


def gave_way(error: DBAPIError) -> bool:
    """Whether a transaction failed because it did not want to wait any longer for others."""
    return getattr(error.orig, "sqlstate", None) == "55P03"  # lock_not_available


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


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for PostgreSQL, and for a database in memory."""
    parts = make_url(url)
    if parts.get_backend_name() != "sqlite" or not parts.database or parts.database == ":memory:":
        return None
    return Path(parts.database)


def make_private(path: Path) -> None:
    """Make a database's file where it is missing, and its folder, readable by nobody else. What SQLite puts beside it
    gets the rights of the file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Where it cannot be made, opening it says why.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def make_engine(url: str) -> Engine:
    """Open the database.

    Args:
        url: An address as SQLAlchemy writes it, `sqlite:///…` or `postgresql+psycopg://…`.

    Raises:
        SettingError: It would be a file on a network file system.
    """
    if make_url(url).get_backend_name() != "sqlite":
        return ping_after_rest(plan_for_pages(create_engine(url, hide_parameters=True)))
    path = sqlite_file(url)
    if path is not None:
        refuse_network(path.parent)
        make_private(path)
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
            f"busy_timeout={BUSY_MS}",
            "secure_delete=ON",
            "journal_size_limit=67108864",
            f"cache_size=-{CACHE_KB}",
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


def plan_for_pages(engine: Engine) -> Engine:
    """Have each new connection planned for as `PLANNING` says. Said in SQL, since poolers between us and the server may
    refuse options of a connection."""

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("; ".join(f"SET {setting}" for setting in PLANNING))
        connection.commit()

    return engine


def checkpoint(sessions: sessionmaker[Session]) -> int:
    """Write back what has grown in SQLite's WAL, and cut it. Does not wait for those who read: then the next one does.

    Returns:
        1 if it was cut, else 0.
    """
    engine: Engine = sessions.kw["bind"]
    path = sqlite_file(str(engine.url))
    wal = path and path.with_name(f"{path.name}-wal")
    if not wal or not wal.exists() or wal.stat().st_size < WAL_GROWN:
        return 0
    connection = engine.raw_connection()  # outside of any transaction, which a checkpoint could not wait for
    try:
        cursor = connection.cursor()
        # It holds writers up while it waits for readers.
        cursor.execute(f"PRAGMA busy_timeout={PATIENCE.removesuffix('ms')}")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        is_busy = bool((cursor.fetchone() or (1,))[0])
    finally:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.close()
        connection.close()
    return int(not is_busy)


def ping_after_rest(engine: Engine) -> Engine:
    """Ask a connection that has rested for a while whether it is still there, and let all go if it is not. Asking each
    time, as the pool would, is a round trip before every request."""

    @event.listens_for(engine, "checkin")
    def rest(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", math.inf) < PING_AFTER:
            return
        try:
            alive = engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            alive = False
        if not alive:
            raise InvalidatePoolError

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


@contextmanager
def beside(sessions: Sessions) -> Iterator[Connection]:
    """A plain connection that only reads, for what is read so often that a session costs more than the reading."""
    with sessions.kw["bind"].connect().execution_options(reads_only=True) as connection:
        yield connection


@contextmanager
def one_statement(sessions: Sessions, *, reads_only: bool = False) -> Iterator[Connection]:
    """A plain connection for one statement, which is a transaction by itself, for what is done so often that a session
    costs more than the statement. On PostgreSQL beginning and ending one would be two more round trips."""
    engine: Engine = sessions.kw["bind"]
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection
    elif reads_only:
        with beside(sessions) as connection:
            yield connection
    else:
        with engine.begin() as connection:
            yield connection


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
