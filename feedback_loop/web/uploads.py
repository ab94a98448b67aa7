"""Pages that take files: only these may be sent more than a form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request

View = TypeVar("View", bound=Callable[..., Any])
FILE_LIMIT = 16 * 1024 * 1024  # bytes


def takes_file(view: View) -> View:
    """This page takes a file."""
    view.takes_file = True  # type: ignore[attr-defined]
    return view


def init_app(app: Flask) -> None:
    """Raise the limit where a file is taken. To be called before anything that reads the form."""

    @app.before_request
    def allow_file() -> None:
        if request.endpoint and getattr(current_app.view_functions[request.endpoint], "takes_file", False):
            request.max_content_length = FILE_LIMIT
