"""Requests as a server hands them on, byte for byte: no client tidies them up first."""

from __future__ import annotations

import io
import logging
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask
from werkzeug.routing import Rule

from tests.fuzz.corpus import MARKER, escaped

FORM = b"application/x-www-form-urlencoded"


@dataclass
class Sent:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str:
        return next((value for found, value in self.headers if found.lower() == name.lower()), "")


@dataclass
class Line:
    """Sends requests to an application and checks each answer.

    Attributes:
        counts: How many requests each rule got, by status.
    """

    app: Flask
    errors: list[str]
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)

    def send(
        self,
        rule: str,
        method: str,
        path: str,
        query: bytes = b"",
        headers: dict[str, bytes] | None = None,
        body: bytes = b"",
        length: bytes | None = None,
    ) -> Sent:
        """Send one request.

        Args:
            rule: Under which it is counted.
            method: Of HTTP.
            path: Percent-encoded.
            query: As it stands behind the question mark.
            headers: As they arrive.
            body: As it arrives.
            length: What it says of the length of the body; the truth where it is None.
        """
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            # Each from another address: limits are tested elsewhere and would hide what lies behind them.
            "REMOTE_ADDR": f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}",
            "HTTP_HOST": "localhost",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if body or length is not None:
            environ["CONTENT_LENGTH"] = (str(len(body)).encode() if length is None else length).decode("latin-1")
        for name, value in (headers or {}).items():
            variable = name.upper().replace("-", "_")
            key = variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"
            environ[key] = value.decode("latin-1")
        started: list[Any] = []

        def start_response(status: str, found: list[tuple[str, str]], _info: Any = None) -> Any:
            started[:] = [int(status[:3]), found]

        self.errors.clear()
        answer = self.app.wsgi_app(environ, start_response)
        try:
            content = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        sent = Sent(started[0], started[1], content)
        self.counts[rule, sent.status] += 1
        self.check(rule, method, sent)
        return sent

    def check(self, rule: str, method: str, sent: Sent) -> None:
        """What every answer must be like."""
        assert sent.status < 500, f"{method} {rule}: {sent.status} {self.errors}"
        assert not self.errors, f"{method} {rule} logged: {self.errors[0]}"
        for name, value in sent.headers:
            assert not set("\r\n\0") & set(name + value), f"{rule}: header {name} is broken up: {value!r}"
            assert "injected" not in name.lower()
            value.encode("latin-1")
        if rule != "/sign-in":
            assert not sent.header("Set-Cookie"), f"{rule} sets a cookie"
        where = sent.header("Location").removeprefix("http://localhost")
        assert not where or (where.startswith("/") and not where.startswith(("//", "/\\"))), f"{rule} leads to {where}"
        kind = sent.header("Content-Type")
        if rule.startswith("/static/") or kind.startswith("image/"):
            return
        text = sent.text
        assert "Traceback (most recent call last)" not in text, rule
        assert "sqlalchemy" not in text, rule
        if kind.startswith("text/html"):
            assert MARKER not in text, f"{rule} shows markup as it was sent"
            assert sent.header("Content-Security-Policy"), rule
            assert "\0" not in text, rule

    def fields(self, rule: Rule, path: str) -> dict[str, list[str]]:
        """The fields of the page from which a rule is sent, with what may stand in each."""
        page = self.send(rule.rule, "GET", path.removesuffix("/signs").removesuffix("/address"), b"score=4&score=yes")
        reader = FormReader()
        reader.feed(page.text)
        return reader.fields


class FormReader(HTMLParser):
    """Reads the fields of the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a field."""
        found = dict(attrs)
        name = found.get("name")
        if tag not in ("input", "textarea", "select", "button") or not name:
            return
        usual = {"comment": "The parcel never came.", "email": "maya@example.com"}.get(name, found.get("value") or "")
        self.fields.setdefault(name, []).append(usual)


def as_form(fields: dict[str, str]) -> bytes:
    """Fields as a browser sends them."""
    return "&".join(f"{escaped(name.encode())}={escaped(value.encode())}" for name, value in fields.items()).encode()


@contextmanager
def noticing_errors() -> Iterator[list[str]]:
    """What is logged as an error meanwhile."""
    found: list[str] = []

    class Notice(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    notice = Notice(logging.ERROR)
    logging.getLogger().addHandler(notice)
    yield found
    logging.getLogger().removeHandler(notice)
