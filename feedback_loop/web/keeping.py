"""What is shown when nothing could be saved: why, what was typed, and a way to send it once more.

The page needs no database. It is the same for customers and colleagues: every field of the form that was sent comes
back, long texts to be seen, the rest unseen, and Send goes where the form went.
"""

from __future__ import annotations

import errno

import sqlalchemy.exc
from flask import Flask, Response, g, make_response, render_template, request
from flask_login import AnonymousUserMixin
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError, PendingRollbackError
from werkzeug.datastructures import MultiDict

RETRY_AFTER = 30  # seconds
# Nobody finds these in the source of a page, and a form with one is short.
SECRETS = frozenset({"password", "current", "new", "again", "token", "secret"})
# Disk full or read-only, too many files, input or output error.
OS_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO})
# PostgreSQL's classes of faults that are nobody's but the server's: connection, resources, intervention, system, and a
# server that only reads; and what is damaged.
SERVER_FAULTS = ("08", "53", "57", "58", "XX", "25006")


TEMPLATES = ("errors/503.html", "layouts/plain.html", "layouts/base.html")


def init_app(app: Flask) -> None:
    """Read the templates of this page now: when no file can be opened any more, it has to be there."""
    for name in TEMPLATES:
        app.jinja_env.get_template(name)


def is_fault(error: BaseException) -> bool:
    """Whether an error says that the database or the disk cannot do anything for anybody just now."""
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        return (
            isinstance(error, (OperationalError, InterfaceError))
            or error.connection_invalidated
            or type(error) is DatabaseError  # of SQLite: the file is damaged, or none of its own
            or state.startswith(SERVER_FAULTS)
        )
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return error.errno in OS_FAULTS
    return isinstance(error, (sqlalchemy.exc.TimeoutError, PendingRollbackError, TimeoutError))


def typed() -> MultiDict[str, str] | None:
    """What was sent, if it can be sent again from a page; None where it cannot or should not."""
    if request.method != "POST":
        return None
    try:
        if request.files or SECRETS & set(request.form):
            return None
        return request.form
    except Exception:  # what cannot be read cannot be sent again
        return None


def page(message: str, code: int = 503) -> Response:
    """The page of a request that came to nothing, which keeps what was typed."""
    if "_login_user" not in g:
        g._login_user = AnonymousUserMixin()  # nobody can look who it is just now, and this page need not know
    sent = typed()
    fields = [] if sent is None else [(name, value) for name, value in sent.items(multi=True)]
    shown = [each for each in fields if is_words(*each)]
    html = render_template(
        "errors/503.html",
        message=message,
        code=code,
        can_repeat=bool(fields),
        shown=shown,
        unseen=[each for each in fields if not is_words(*each)],
        # The path as it came: it may be an address of which only its owner knows.
        target=request.full_path.rstrip("?"),
    )
    response = make_response(html, code)
    if code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def is_words(name: str, value: str) -> bool:
    """Whether a field is what a person would not like to type again, and not a token of ours."""
    return bool(value.strip()) and (name == "comment" or any(letter.isspace() for letter in value.strip()))
