"""The request's database session and settings."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app, g, request
from sqlalchemy.orm import Session

from feedback_loop.db import Sessions
from feedback_loop.settings import Settings


def init_app(app: Flask, settings: Settings, sessions: Sessions) -> None:
    """Give an application its database and settings."""
    app.extensions["feedback_loop"] = (settings, sessions)
    app.teardown_appcontext(close)


def settings() -> Settings:
    """The settings of this installation."""
    return cast(Settings, current_app.extensions["feedback_loop"][0])


def sessions() -> Sessions:
    """The maker of sessions, for a view that must not keep one open across slow work."""
    return cast(Sessions, current_app.extensions["feedback_loop"][1])


def session() -> Session:
    """The request's session, opened when first asked for.

    GET and HEAD get one that only reads, so a page never waits for a writer and a link never changes anything.
    The view commits; what it does not commit is rolled back when the request ends.
    """
    if "session" not in g:
        g.session = sessions()()
        if request.method in ("GET", "HEAD", "OPTIONS"):
            g.session.connection(execution_options={"reads_only": True})
    return cast(Session, g.session)


def close(_error: BaseException | None = None) -> None:
    """Let the request's session go."""
    opened = g.pop("session", None)
    if opened is not None:
        opened.close()
