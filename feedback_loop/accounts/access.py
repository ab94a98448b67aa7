"""Who may open which page. Every view says so with one of the three decorators; a view that says nothing is closed to
all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, abort, current_app, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from feedback_loop.accounts.keys import check_key
from feedback_loop.accounts.models import Role, Scope

View = TypeVar("View", bound=Callable[..., Any])
PUBLIC = "public"


def public(view: View) -> View:
    """Anybody may open this page."""
    view.access = PUBLIC  # type: ignore[attr-defined]
    return view


def staff(role: Role) -> Callable[[View], View]:
    """People who are signed in and have at least this role may open this page."""

    def mark(view: View) -> View:
        view.access = role  # type: ignore[attr-defined]
        return view

    return mark


def api(scope: Scope) -> Callable[[View], View]:
    """Programs that send an API key with this scope may use this address. No session opens it."""

    def mark(view: View) -> View:
        view.access = scope  # type: ignore[attr-defined]
        return view

    return mark


def check_access() -> Response | None:
    """Before each request: let in, send to the sign-in, or refuse."""
    if request.endpoint is None or request.endpoint == "static":
        return None
    access = getattr(current_app.view_functions[request.endpoint], "access", None)
    if access == PUBLIC:
        return None
    if access is None:
        abort(403)
    if isinstance(access, Scope):
        check_key(access)
        return None
    if not current_user.is_authenticated:
        return redirect(url_for("accounts.sign_in", next=request.full_path.rstrip("?")))
    if not current_user.role.includes(access):
        abort(403)
    if current_user.must_change_password and request.endpoint not in ("accounts.password", "accounts.sign_out"):
        return redirect(url_for("accounts.password"))
    return None


def init_app(app: Flask) -> None:
    """Guard every page of an application."""
    app.before_request(check_access)
