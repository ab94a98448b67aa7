"""The web application: puts the parts together. It loads no model library; a test holds it to that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask_wtf.csrf import CSRFProtect
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from feedback_loop.accounts import access, login
from feedback_loop.db import Sessions
from feedback_loop.jobs import bell
from feedback_loop.settings import Settings, resource
from feedback_loop.web import database, errors, filters, language, limits, requests, security, uploads
from feedback_loop.web.request import Request

STAFF = (
    "accounts",
    "surveys",
    "complaints",
    "actions",
    "reports",
    "reports.editor",
    "responses.mailings",
    "integrations",
    "inbound",
    "privacy",
    "watching",
    "notifications.channel",
)
PUBLIC = (
    "responses",
    "responses.api",
    "followups",
    "notifications",
    "reports.status",
    "integrations.hooks",
    "inbound.hook",
    "watching.probes",
)  # use no cookies, so no CSRF
FORM_LIMIT = 1024 * 1024  # bytes of one form; a comment of the longest kind fits many times


class Application(Flask):
    """Flask with what is ours."""

    request_class = Request

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Functions as they are: none of ours is a coroutine, and to ask each of them at each request takes time."""
        return func


def create_app(settings: Settings, sessions: Sessions) -> Flask:
    """Build the web application.

    Args:
        settings: Of this installation.
        sessions: Maker of database sessions.
    """
    app = Application("feedback_loop", template_folder=str(resource("templates")))
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=FORM_LIMIT,
        SESSION_COOKIE_NAME="__Host-session" if settings.secure else "session",
        SESSION_COOKIE_SECURE=settings.secure,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        WTF_CSRF_TIME_LIMIT=None,
        TRUSTED_HOSTS=[urlsplit(settings.public_url).hostname, "127.0.0.1", "localhost"],
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    requests.init_app(app, settings)
    database.init_app(app, settings, sessions)
    bell.hang(sessions, settings)
    filters.init_app(app)
    language.init_app(app, (*PUBLIC, "status"))  # by the names of the blueprints; programs read no language
    security.init_app(app)
    errors.init_app(app)
    login.init_app(app)
    access.init_app(app)
    uploads.init_app(app)
    limits.init_app(app, settings)
    csrf = CSRFProtect(app)
    for domain in (*STAFF, *PUBLIC):
        blueprint = import_module(f"feedback_loop.{domain}.views").bp
        if domain in PUBLIC:
            csrf.exempt(blueprint)
        app.register_blueprint(blueprint)
    if settings.mail_transport == "mailbox":
        app.register_blueprint(import_module("feedback_loop.reports.mailbox").bp)
    app.context_processor(lambda: {"settings": settings, "view_functions": app.view_functions})
    if settings.trusted_proxies:
        # Each proxy adds the address that it saw; what stands before those is a visitor's own claim.
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=1)  # type: ignore[method-assign]
    return app
