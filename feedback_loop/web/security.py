"""Headers that every page carries."""

from __future__ import annotations

from flask import Flask, request
from flask import Response as FlaskResponse
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from werkzeug.wrappers import Response

from feedback_loop.web import problems

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def add_headers(response: Response) -> Response:
    """Set what the page has not set for itself."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
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

    def save_session(self, app: Flask, session: SessionMixin, response: FlaskResponse) -> None:
        """Set the cookie where there is something to set."""
        if not problems.is_for_program():
            super().save_session(app, session, response)


def init_app(app: Flask) -> None:
    """Set the headers of every response."""
    app.session_interface = PageSessions()
    app.after_request(add_headers)
