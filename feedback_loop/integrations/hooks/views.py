"""Where trackers say that something happened to an issue."""

from __future__ import annotations

from http import HTTPStatus

from cryptography.fernet import InvalidToken
from flask import Blueprint, abort, request

from feedback_loop.accounts.access import public
from feedback_loop.clock import utc_now
from feedback_loop.db import reading
from feedback_loop.integrations.hooks.reading import is_theirs, issue_named
from feedback_loop.integrations.queries import tracker_by_hook
from feedback_loop.integrations.trackers.service import hook_of, look_now
from feedback_loop.web.database import session, sessions, settings

bp = Blueprint("hooks", __name__)


@bp.post("/hooks/<token>")
@public
def hook(token: str) -> tuple[str, int]:
    """Look at an issue now, instead of at the next round."""
    with reading(sessions()) as own:
        tracker = tracker_by_hook(own, token)
    if tracker is None or tracker.archived_at is not None:
        abort(HTTPStatus.NOT_FOUND)
    body = request.get_data()
    try:
        _, secret = hook_of(tracker, settings())
    except InvalidToken:
        abort(HTTPStatus.NOT_FOUND)
    if not is_theirs(tracker.kind, secret, request.headers.get, body):
        abort(HTTPStatus.FORBIDDEN)
    if external_id := issue_named(tracker.kind, body):
        look_now(session(), tracker.id, external_id, utc_now())
        session().commit()
    return "", HTTPStatus.NO_CONTENT
