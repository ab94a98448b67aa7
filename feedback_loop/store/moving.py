"""Moving everything from one database to another, of the same or the other kind, and proving that nothing changed.

All rows are written in one transaction: the target holds everything or nothing. What is compared is not what was
written but what can be read back: each table's rows in the order of their keys, as canonical JSON, by SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    bindparam,
    cast,
    collate,
    insert,
    inspect,
    select,
    type_coerce,
)
from sqlalchemy.exc import SQLAlchemyError

from feedback_loop.db import make_engine, migrate
from feedback_loop.store.numbering import number_on
from feedback_loop.store.presence import alone
from feedback_loop.store.tables import counts, head, revision, tables

BATCH = 1_000
LIMITS = {SmallInteger: 2**15, Integer: 2**31, BigInteger: 2**63}

Progress = Callable[[str, int, int], None]  # what is being done, rows done, rows in all


class MoveFailed(RuntimeError):
    """Nothing was moved; the target is as it was. The message says why and what to do."""


@dataclass
class Moved:
    """What a move did.

    Attributes:
        checksums: SHA-256 of each table, the same on both sides.
        rows: Of each table.
        cleaned: Where NULs were taken out of texts, as `table id`: PostgreSQL stores none.
    """

    checksums: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    cleaned: list[str] = field(default_factory=list)


def move(source_url: str, target_url: str, progress: Progress = lambda _what, _done, _all: None) -> Moved:
    """Copy all rows of one database to an empty one, and compare.

    Args:
        source_url: Where they are; only read.
        target_url: An empty database, or one that was migrated and holds nothing.
        progress: Told how far it is.

    Raises:
        MoveFailed: Nothing was moved.
        InUse: Something runs on one of the two.
    """
    if source_url == target_url:
        raise MoveFailed("Both addresses are the same; name another database with --to.")
    source, target = make_engine(source_url), make_engine(target_url)
    try:
        with alone(source_url, "moved"), alone(target_url, "filled"):
            try:
                ready(source, target)
                return copy(source, target, progress)
            except SQLAlchemyError as error:
                raise MoveFailed(f"A database refused: {getattr(error, 'orig', None) or error}") from error
    finally:
        source.dispose()
        target.dispose()


def ready(source: Engine, target: Engine) -> None:
    """See that both have the schema of this version and that the target is empty."""
    with source.connect().execution_options(reads_only=True) as connection:
        at = revision(connection)
    if at != head(source):
        raise MoveFailed("The database to be moved is not of this version. Run: feedback-loop init, then move it.")
    with target.connect().execution_options(reads_only=True) as connection:
        names = inspect(connection).get_table_names()
        there = revision(connection) if names else ""
        full = {name: count for name, count in counts(connection).items() if count} if there == at else {}
    if names and not there:
        raise MoveFailed("The target holds tables that are not ours. Name an empty database with --to.")
    if there and there != at:
        raise MoveFailed("The target was made by another version of feedback-loop. Name an empty database with --to.")
    if full:
        found = ", ".join(f"{name} ({count:,})" for name, count in list(full.items())[:5])
        raise MoveFailed(f"The target is not empty: {found}. Name an empty database with --to; do not run init on it.")
    if not there:
        migrate(target)


def copy(source: Engine, target: Engine, progress: Progress) -> Moved:
    """Copy and compare, the target in one transaction."""
    done = Moved()
    is_postgres = target.dialect.name == "postgresql"
    with (
        source.connect().execution_options(reads_only=True, isolation_level=steady(source)) as there,
        target.begin() as here,
    ):
        total, so_far = sum(counts(there).values()), 0
        with without_triggers(here), references_later(here):
            for table in tables():
                digest, count = hashlib.sha256(), 0
                statement = inserting(table, is_postgres)
                for rows in batches(there, table):
                    for row in rows:
                        check(table, row, done, is_postgres)
                        digest.update(canonical(row))
                    here.execute(statement, rows)
                    count += len(rows)
                    so_far += len(rows)
                    progress(f"Copying {table.name}", so_far, total)
                done.checksums[table.name], done.rows[table.name] = digest.hexdigest(), count
        number_on(there, here)
        so_far = 0
        for table in tables():
            found, count = checksum(here, table)
            so_far += count
            progress(f"Comparing {table.name}", so_far, total)
            if found != done.checksums[table.name]:
                raise MoveFailed(
                    f"The rows of {table.name} are not the same on both sides ({done.rows[table.name]:,} and {count:,} "
                    "rows). The target was left empty; please report this."
                )
    return done


def steady(engine: Engine) -> str:
    """The isolation under which all tables are read as of one moment."""
    return "REPEATABLE READ" if engine.dialect.name == "postgresql" else "SERIALIZABLE"


def inserting(table: Table, is_postgres: bool) -> Any:
    """The statement that writes rows as they were read. JSON is the text it was; PostgreSQL wants to be told so."""

    def value(column: Column[Any]) -> Any:
        if not isinstance(column.type, JSON):
            return bindparam(column.name, type_=column.type)
        written = bindparam(column.name, type_=Text())
        return cast(written, JSON) if is_postgres else written

    return insert(table).values({column.name: value(column) for column in table.columns})


def batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    """All rows of a table in the order of its key, which is the same on both databases."""
    is_postgres = connection.dialect.name == "postgresql"
    order = [
        collate(column, "C") if is_postgres and isinstance(column.type, String) else column
        for column in table.primary_key.columns
    ]
    # JSON is taken as the text it is, so that nothing is lost by reading it.
    as_text = cast if is_postgres else type_coerce
    columns = [
        (as_text(column, Text) if isinstance(column.type, JSON) else column).label(column.name)
        for column in table.columns
    ]
    result = connection.execution_options(stream_results=True, yield_per=BATCH).execute(
        select(*columns).order_by(*order)
    )
    for rows in result.mappings().partitions(BATCH):
        yield [dict(row) for row in rows]


def plain(value: Any) -> Any:
    """A value as JSON can hold it, different for all that differ."""
    if isinstance(value, (bytes, memoryview)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, (datetime, date)):
        return {"moment": value.isoformat()}
    return value


def canonical(row: dict[str, Any]) -> bytes:
    """A row as JSON, the same for the same row; one line."""
    return json.dumps(row, default=plain, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def checksum(connection: Connection, table: Table) -> tuple[str, int]:
    """SHA-256 of all rows of a table, and how many there are."""
    digest, count = hashlib.sha256(), 0
    for rows in batches(connection, table):
        for row in rows:
            digest.update(canonical(row))
        count += len(rows)
    return digest.hexdigest(), count


def check(table: Table, row: dict[str, Any], done: Moved, is_postgres: bool) -> None:
    """Take NULs out, which SQLite stores and PostgreSQL does not, and refuse by name what would not fit.

    Raises:
        MoveFailed: A value does not fit its column.
    """
    for column in table.columns:
        value = row[column.name]
        if isinstance(value, str):
            if is_postgres and "\x00" in value:
                row[column.name] = value = value.replace("\x00", "")
                done.cleaned.append(f"{table.name} {key_of(table, row)}")
            length = getattr(column.type, "length", None)
            if is_postgres and length is not None and len(value) > length:
                raise MoveFailed(
                    f"{table.name} {key_of(table, row)} has {len(value):,} characters in {column.name}, of which "
                    f"PostgreSQL takes {length}. Shorten it, then move again."
                )
        elif isinstance(value, int) and not isinstance(value, bool) and isinstance(column.type, Integer):
            limit = next((LIMITS[kind] for kind in (SmallInteger, BigInteger) if isinstance(column.type, kind)), 2**31)
            if is_postgres and not -limit <= value < limit:
                raise MoveFailed(f"{table.name} {key_of(table, row)} has {value} in {column.name}, which does not fit.")


def key_of(table: Table, row: dict[str, Any]) -> str:
    """The key of a row, for people."""
    return ", ".join(str(row[column.name]) for column in table.primary_key.columns)


@contextmanager
def without_triggers(connection: Connection) -> Iterator[None]:
    """Let no trigger of ours run meanwhile: what they would write is among the rows that are copied."""
    if connection.dialect.name == "postgresql":
        for table in tables():
            connection.exec_driver_sql(f'ALTER TABLE "{table.name}" DISABLE TRIGGER USER')
        yield
        for table in tables():
            connection.exec_driver_sql(f'ALTER TABLE "{table.name}" ENABLE TRIGGER USER')
        return
    found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
    for name, _ in found:
        connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    yield
    for _, sql in found:
        connection.exec_driver_sql(sql)


@contextmanager
def references_later(connection: Connection) -> Iterator[None]:
    """Check references only at the end of the copying: a row may refer to a later one of its own table."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        yield
        return
    own = [
        (table.name, each["name"])
        for table in tables()
        for each in inspect(connection).get_foreign_keys(table.name)
        if each["referred_table"] == table.name
    ]
    for name, constraint in own:
        connection.exec_driver_sql(
            f'ALTER TABLE "{name}" ALTER CONSTRAINT "{constraint}" DEFERRABLE INITIALLY DEFERRED'
        )
    yield
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    for name, constraint in own:
        connection.exec_driver_sql(f'ALTER TABLE "{name}" ALTER CONSTRAINT "{constraint}" NOT DEFERRABLE')
