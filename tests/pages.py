"""What a page says, for tests that read it as a person would."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop.db import Base


def words(response: TestResponse) -> str:
    """The visible text of a page, without tags, scripts and doubled white space."""
    body = re.sub(r"<(script|style|head)\b.*?</\1>", " ", response.get_data(as_text=True), flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", body))
    return re.sub(r"\s+([.,;:])", r"\1", re.sub(r"\s+", " ", text)).strip()


def links(response: TestResponse) -> list[str]:
    """Where the links and forms of a page lead."""
    return [html.unescape(found) for found in re.findall(r'(?:href|action)="([^"]*)"', response.get_data(as_text=True))]


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def again(session: Session, row: Base) -> None:
    """Read a row anew and let the database go: a session left open would hold up the next page that writes."""
    session.refresh(row)
    session.commit()


def fields_of(page: str) -> dict[str, str]:
    """The hidden fields of a page, by name, as a browser would send them."""
    found = re.findall(r"<input\b[^>]*type=\"hidden\"[^>]*>", page)
    named = ((re.search(r'name="([^"]*)"', each), re.search(r'value="([^"]*)"', each)) for each in found)
    return {html.unescape(name[1]): html.unescape(value[1]) if value else "" for name, value in named if name}
