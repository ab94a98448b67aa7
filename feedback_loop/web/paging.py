"""Long lists, a page at a time. Pure, so that queries may give pages; `navigation.py` reads and writes the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows out of a list.

    Attributes:
        rows: Those shown.
        number: Of this page, from 1.
        size: Most rows of a page.
        total: Rows in the whole list.
    """

    rows: Sequence[Row]
    number: int
    size: int
    total: int

    @property
    def last(self) -> int:
        """Number of the last page."""
        return max(1, -(-self.total // self.size))

    @property
    def first_row(self) -> int:
        """Place of the first row shown, from 1; 0 when there is none."""
        return (self.number - 1) * self.size + 1 if self.rows else 0

    @property
    def last_row(self) -> int:
        """Place of the last row shown."""
        return self.first_row + len(self.rows) - 1 if self.rows else 0


def offset(number: int, size: int) -> int:
    """How many rows stand before a page."""
    return (number - 1) * size
