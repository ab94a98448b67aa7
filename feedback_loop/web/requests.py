"""One line in the log for each request, and a number by which the lines of one request are found.

The line names the route, not the path: in the addresses of customers' pages stands what opens them. Who asked is said
only of colleagues, by number; networks are not said at all.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

from feedback_loop.settings import Settings

log = logging.getLogger("feedback_loop.requests")

NUMBER = "feedback_loop.request_id"
ROUTE = "feedback_loop.route"
USER = "feedback_loop.user"
OBSERVERS = "feedback_loop.observers"
HEADER = "X-Request-ID"
# As proxies make them. Anything else may be a text of the visitor's own.
MADE_BY_PROXY = re.compile(r"[0-9a-fA-F-]{8,64}")
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
QUIET = ("/health/", "/metrics", "/static/")  # asked all the time, and worth a line only when looking for something
NO_ROUTE = "(none)"


@dataclass(frozen=True)
class Done:
    """A request that was answered.

    Attributes:
        method: In capitals; `OTHER` for those that nobody uses.
        route: Template of its address, such as `/i/<token>`.
        status: HTTP status code; 0 where nothing was answered.
        seconds: From its beginning to the last byte handed to the server.
        size: Bytes of the body.
    """

    method: str
    route: str
    status: int
    seconds: float
    size: int


class Requests:
    """WSGI middleware that numbers requests and writes each down when its last byte is out."""

    def __init__(self, app: Any, trusts_proxy: bool, observers: list[Callable[[Done], None]]) -> None:
        self.app = app
        self.trusts_proxy = trusts_proxy
        self.observers = observers

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        began = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID", "") if self.trusts_proxy else ""
        number = environ[NUMBER] = given if MADE_BY_PROXY.fullmatch(given) else uuid.uuid4().hex
        clear_contextvars()
        bind_contextvars(request_id=number)
        status = 0

        def started(line: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal status
            status = int(line.partition(" ")[0])
            return start_response(line, [*headers, (HEADER, number)], *rest)

        size = 0

        def counted(body: Iterable[bytes]) -> Iterator[bytes]:
            nonlocal size
            for part in body:
                size += len(part)
                yield part

        def finish() -> None:
            method = environ.get("REQUEST_METHOD", "")
            done = Done(
                method if method in METHODS else "OTHER",
                environ.get(ROUTE, NO_ROUTE),
                status,
                time.perf_counter() - began,
                size,
            )
            for observer in self.observers:
                observer(done)
            write(done, environ.get(USER))
            clear_contextvars()

        try:
            body = self.app(environ, started)
        except BaseException:
            finish()
            raise
        return Closing(body, counted(body), finish)


class Closing:
    """A body that says when it is through."""

    def __init__(self, body: Iterable[bytes], parts: Iterator[bytes], finish: Callable[[], None]) -> None:
        self.body, self.parts, self.finish = body, parts, finish

    def __iter__(self) -> Iterator[bytes]:
        return self.parts

    def close(self) -> None:
        """Called by the server at the end, also where the visitor went away."""
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        finally:
            self.finish()


def write(done: Done, user: int | None) -> None:
    """Write a request down."""
    level = logging.WARNING if done.status >= 500 else logging.INFO
    if done.route.startswith(QUIET) and done.status < 500:
        level = logging.DEBUG
    fields: dict[str, Any] = {
        "method": done.method,
        "route": done.route,
        "status": done.status,
        "ms": round(done.seconds * 1000, 1),
        "bytes": done.size,
    }
    if user is not None:
        fields["user"] = user
    log.log(level, "request", extra=fields)


def request_number() -> str:
    """The number of the request that is being answered."""
    return str(request.environ.get(NUMBER, ""))


def note_route() -> None:
    """Before each request: which one it is."""
    if request.url_rule is not None:
        request.environ[ROUTE] = request.url_rule.rule


def note_user(response: Response) -> Response:
    """After each request: whose it was, where anybody asked. Looking must not open a session."""
    person = g.get("_login_user")
    if person is not None and person.is_authenticated:
        request.environ[USER] = person.id
    return response


def init_app(app: Flask, settings: Settings) -> None:
    """Number the requests of an application and write them down."""
    observers = app.extensions.setdefault(OBSERVERS, [])
    app.before_request(note_route)
    app.after_request(note_user)
    app.wsgi_app = Requests(app.wsgi_app, settings.trusted_proxies > 0, observers)  # type: ignore[method-assign]
    app.jinja_env.globals["request_number"] = request_number
