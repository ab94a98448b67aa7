"""Long lists, a page at a time. The page and the filters live in the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask import request, url_for

Row = TypeVar("Row")
FARTHEST = 100_000  # a page number is also an offset; nobody turns so many pages


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


def page_number(name: str = "page") -> int:
    """The page asked for; 1 where the address says nothing sensible."""
    value = request.args.get(name, 1, type=int)
    return min(max(value, 1), FARTHEST)


def same_page(**changes: object) -> str:
    """The address of this page with some filters changed; None or an empty text takes one away."""
    values = {**request.args.to_dict(), **changes}
    kept = {name: value for name, value in values.items() if value not in (None, "")}
    return url_for(request.endpoint or "", **{**(request.view_args or {}), **kept})
