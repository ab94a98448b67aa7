"""What is being filled: rows of plain values, written past the ORM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import JSON, Connection, text

from feedback_loop.db import Base, UtcDateTime


@dataclass
class Store:
    """What is being filled."""

    connection: Connection
    count: int
    now: datetime
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def ago(self, seconds: Any) -> NDArray[Any]:
        """Moments so many seconds ago; of one number, or of many."""
        back = np.asarray(seconds, dtype=np.int64).astype("timedelta64[s]")
        return np.asarray(np.datetime64(self.now.replace(tzinfo=None), "s") - back)

    def load(self, table_of: type[Base], count: int, /, **columns: Any) -> None:
        """Insert rows of plain values, written past the ORM; what is not named gets the default of its column.

        Args:
            table_of: Whose table.
            count: Of the rows.
            columns: Each one value for all rows, or a list or array of `count`.
        """
        table: Any = table_of.__table__
        is_sqlite = self.connection.dialect.name == "sqlite"
        for column in table.columns:
            if column.name not in columns and column.default is not None:
                default = getattr(column.default, "arg", None)
                columns[column.name] = default(None) if callable(default) else getattr(default, "value", default)
        names = list(columns)
        filled = [self.written(table.columns[name].type, columns[name], count, is_sqlite) for name in names]
        rows: Iterator[tuple[Any, ...]] = zip(*filled, strict=True)
        if not count:
            return
        quoted = ", ".join(f'"{name}"' for name in names)
        raw = self.connection.connection.driver_connection
        assert raw is not None
        if is_sqlite:
            marks = ", ".join("?" * len(names))
            raw.executemany(f'INSERT INTO "{table.name}" ({quoted}) VALUES ({marks})', rows)
            return
        with raw.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({quoted}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)

    def written(self, type_: Any, values: Any, count: int, is_sqlite: bool) -> Any:
        """A column as the driver takes it."""
        is_many = isinstance(values, list | np.ndarray) and not (isinstance(type_, JSON) and len(values) != count)
        if isinstance(values, np.ndarray) and values.dtype.kind == "M":
            if values.ndim == 0:
                values, is_many = values[None], False
            mark = "T" if not is_sqlite else " "
            end = "" if is_sqlite else "+00"
            moments = [
                None if each == "NaT" else each.replace("T", mark) + end for each in np.datetime_as_string(values, "us")
            ]
            return moments if is_many else repeat(moments[0], count)
        if isinstance(type_, JSON):
            return [json.dumps(each) for each in values] if is_many else repeat(json.dumps(values), count)
        if isinstance(type_, UtcDateTime) and isinstance(values, datetime):
            return self.written(type_, np.array(self.ago(0)), count, is_sqlite)
        if isinstance(values, np.ndarray):
            values = values.tolist()
        return values if is_many else repeat(values, count)

    def numbered(self) -> None:
        """Let PostgreSQL go on counting ids where these rows end, and look at what there is; its worker does that by
        itself. SQLite does the former by itself, and the product never asks it for the latter."""
        if self.connection.dialect.name != "postgresql":
            return
        for table in Base.metadata.sorted_tables:
            if "id" in table.columns and table.columns["id"].autoincrement is not False:
                sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
                self.connection.execute(
                    text(
                        f"SELECT setval({sequence}, (SELECT max(id) FROM {table.name}))"
                        f" WHERE EXISTS (SELECT 1 FROM {table.name} WHERE id > 0) AND {sequence} IS NOT NULL"
                    )
                )
