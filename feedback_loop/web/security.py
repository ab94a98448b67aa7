"""Headers that every page carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flask import Flask, Request, g, request
from flask import Response as FlaskResponse
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from werkzeug.wrappers import Response

from feedback_loop.web import problems

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def written(policy: Mapping[str, str]) -> str:
    """A policy as its header says it."""
    return "; ".join(f"{name} {value}" for name, value in policy.items())


USUAL = written(POLICY)


def allow(directive: str, sources: Iterable[str]) -> None:
    """Change one line of the content security policy of the page that is being made.

    Args:
        directive: For example `frame-ancestors`.
        sources: What it allows instead; without any, it stays as it is on other pages.
    """
    allowed = " ".join(sources)
    if allowed:
        g.setdefault("policy", {})[directive] = allowed


def add_headers(response: Response) -> Response:
    """Set what the page has not set for itself."""
    headers = response.headers
    changed = g.get("policy", {})
    policy = POLICY | changed
    headers.setdefault("Content-Security-Policy", written(policy) if changed else USUAL)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    if policy["frame-ancestors"] == "'none'":
        headers.setdefault("X-Frame-Options", "DENY")  # it knows no list, so where there is one it would refuse all
    headers.setdefault("Referrer-Policy", "same-origin")
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
    return response


def keep_private(response: Response) -> Response:
    """Headers of every page whose address is known to one customer only: kept by no cache, index or other site."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


class PageSessions(SecureCookieSessionInterface):
    """Sessions in a cookie, for pages. A program never gets one, whatever it sends."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie. Customers send none, and need not wait until what would check one is made."""
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: FlaskResponse) -> None:
        """Set the cookie where there is something to set."""
        if not problems.is_for_program():
            super().save_session(app, session, response)


def init_app(app: Flask) -> None:
    """Set the headers of every response."""
    app.session_interface = PageSessions()
    app.after_request(add_headers)
