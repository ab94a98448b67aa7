"""Numbers that are given once: where a database takes over from another one, it goes on counting where that one was."""

from __future__ import annotations

from sqlalchemy import Connection, Integer, func, inspect, select, text

from feedback_loop.store.tables import tables


def number_on(source: Connection, target: Connection) -> None:
    """Let new rows get numbers that were never given, as they would have in the database that is moved or replaced."""
    given = last_numbers(source)
    for table in tables():
        keys = list(table.primary_key.columns)
        if len(keys) != 1 or not isinstance(keys[0].type, Integer):
            continue
        key = keys[0].name
        last = max(given.get(table.name, 0), target.scalar(select(func.max(keys[0]))) or 0)
        if target.dialect.name == "postgresql":
            sequence = target.scalar(
                text("SELECT pg_get_serial_sequence(:name, :key)"), {"name": table.name, "key": key}
            )
            if sequence:
                target.execute(
                    text("SELECT setval(CAST(:sequence AS regclass), :last, :given)"),
                    {"sequence": sequence, "last": max(1, last), "given": last > 0},
                )
        elif table.dialect_options["sqlite"]["autoincrement"]:
            values = {"name": table.name, "last": last}
            target.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
            target.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)


def last_numbers(source: Connection) -> dict[str, int]:
    """The last number given in each table that gives none twice, whether or not the row is still there: of PostgreSQL
    all, of SQLite those that say so."""
    if source.dialect.name == "sqlite":
        return {name: int(seq) for name, seq in source.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")}
    found = {}
    there = set(inspect(source).get_table_names())
    for table in tables():
        keys = list(table.primary_key.columns)
        if table.name not in there or len(keys) != 1 or not isinstance(keys[0].type, Integer):
            continue
        sequence = source.scalar(
            text("SELECT pg_get_serial_sequence(:name, :key)"), {"name": table.name, "key": keys[0].name}
        )
        if sequence:
            # As it is called in the database, quoted by the database itself.
            last = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"  # noqa: S608
            found[table.name] = source.scalar(text(last)) or 0
    return found
