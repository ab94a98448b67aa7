"""Reading CSV files as people have them: any order of columns, columns of their own, bad lines among good ones."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from feedback_loop.db import clean_text

FIELD_LIMIT = 1024 * 1024  # characters; an opened quote that is never closed must not swallow the file
EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;.]+(?:\.[^@\s<>,;.]+)+")
BYTE_NOT_UTF8 = re.compile("[\udc80-\udcff]")
# How a file is opened for `CsvFile`: bytes that are not UTF-8 come through, so that their line can be told.
READING: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}


class ImportFailed(ValueError):
    """The file as a whole cannot be imported; the message says what to change."""


@dataclass(frozen=True)
class Line:
    """One line that is not empty.

    Attributes:
        number: Of the line in the file; the last where it runs over several.
        cells: As they stand there.
        values: Text by column name; None where the line cannot be read.
        problem: Why it cannot be read.
    """

    number: int
    cells: Sequence[str]
    values: dict[str, str] | None
    problem: str = ""


@dataclass
class CsvFile:
    """A file that is being read. Its first line is read and checked at once.

    Args:
        stream: Opened with `READING`.
        name: Of the file, for messages.
        columns: Names that mean something here, in small letters.
        needs: At least one of these must be there.

    Raises:
        ImportFailed: The first line does not name the columns.
    """

    stream: TextIO
    name: str
    columns: Sequence[str]
    needs: Collection[str]
    header: list[str] = field(init=False)

    def __post_init__(self) -> None:
        csv.field_size_limit(FIELD_LIMIT)
        self.reader = csv.reader(self.stream)
        try:
            header = [clean_text(name).strip() for name in next(self.reader)]
        except StopIteration:
            known = ", ".join(self.columns)
            raise ImportFailed(f"{self.name} is empty. The first line names the columns: {known}.") from None
        except csv.Error as error:
            raise ImportFailed(f"{self.name} cannot be read as CSV: {error}.") from None
        self.header = [name.lower() if name.lower() in self.columns else name for name in header]
        if not set(self.needs) & set(self.header):
            needed = " or ".join(f"“{name}”" for name in self.needs)
            found = ", ".join(self.header)[:200]
            raise ImportFailed(f"{self.name} has no column {needed}. Its first line names: {found}.")
        twice = {name for name in self.header if name and self.header.count(name) > 1}
        if twice:
            raise ImportFailed(f"{self.name} names a column twice: {', '.join(sorted(twice))}.")

    def __iter__(self) -> Iterator[Line]:
        """Its lines. One that cannot be read says why and stops nothing."""
        while True:
            try:
                cells = next(self.reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Line(self.reader.line_num, [], None, f"cannot be read as CSV: {error}")
                continue
            if not any(cells):
                continue
            number = self.reader.line_num
            if len(cells) > len(self.header):
                problem = f"{len(cells)} cells where the first line names {len(self.header)} columns"
                yield Line(number, cells, None, problem)
            elif any(BYTE_NOT_UTF8.search(cell) for cell in cells):
                yield Line(number, cells, None, "not UTF-8; save the file as CSV UTF-8")
            else:
                yield Line(number, cells, dict(zip(self.header, cells, strict=False)))

    def context(self, values: dict[str, str]) -> dict[str, str]:
        """What a line says in columns of its own."""
        return {
            name[:80]: clean_text(text).strip()[:1000]
            for name, text in values.items()
            if name not in self.columns and text and text.strip()
        }
