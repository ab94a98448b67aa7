"""Where a mail server hands in mails that came back and replies."""

from __future__ import annotations

import hmac
from http import HTTPStatus

from flask import Blueprint, request

from feedback_loop.accounts.access import public
from feedback_loop.clock import utc_now
from feedback_loop.inbound.mime import LONGEST
from feedback_loop.inbound.models import Way
from feedback_loop.inbound.service import secret
from feedback_loop.inbound.taking import BUSY, take
from feedback_loop.web import limits
from feedback_loop.web.database import sessions, settings
from feedback_loop.web.uploads import FILE_LIMIT, takes_file

bp = Blueprint("inbound_hook", __name__)

FIELDS = ("message", "body-mime", "email", "mime", "raw", "rfc822", "mail")  # under which services send a whole mail
RECIPIENTS = ("recipient", "envelope_to", "rcpt_to", "to")
CHUNK = 64 * 1024

Answer = tuple[str, int] | tuple[str, int, dict[str, str]]


@bp.post("/inbound/mail")
@public
@takes_file
def mail() -> Answer:
    """Take in one mail. What cannot be understood is taken as well, or it would be sent for ever."""
    if limits.is_over(limits.INBOUND_WRONG, limits.here()):
        return "", HTTPStatus.TOO_MANY_REQUESTS, limits.retry_after(limits.INBOUND_WRONG, limits.here())
    if not shows_secret(request.headers.get("Authorization", "")):
        limits.count(limits.INBOUND_WRONG, limits.here())
        return "", HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"}
    if not limits.count(limits.INBOUND, "mail"):
        return "", HTTPStatus.TOO_MANY_REQUESTS, limits.retry_after(limits.INBOUND, "mail")
    raw, recipient = handed_in()
    if not raw:
        return f"Send the mail as message/rfc822, or as a field: {', '.join(FIELDS)}.\n", HTTPStatus.BAD_REQUEST
    try:
        done = take(sessions(), settings(), raw, Way.WEBHOOK, utc_now(), recipient)
    except BUSY:
        return "Try again in a minute.\n", HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "60"}
    return f"{done.kind.value}\n", HTTPStatus.OK


def shows_secret(header: str) -> bool:
    """Whether a request comes from somebody who knows the secret; compared in the same time whatever was sent."""
    scheme, _, given = header.partition(" ")
    expected = secret(settings()).encode()
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected) and scheme.lower() == "bearer"


def handed_in() -> tuple[bytes, str]:
    """The mail of a request, as far as it is looked at, and to whom the envelope sent it where that is told."""
    recipient = next((request.args[each] for each in RECIPIENTS if each in request.args), "")
    if request.mimetype not in ("multipart/form-data", "application/x-www-form-urlencoded"):
        raw = request.stream.read(LONGEST)
        while request.stream.read(CHUNK):  # to its end, or the sender would not hear the answer
            pass
        return raw, recipient or request.headers.get("X-Original-To", "")
    request.max_form_memory_size = FILE_LIMIT
    recipient = recipient or next((request.form[each] for each in RECIPIENTS if each in request.form), "")
    for name in FIELDS:
        if name in request.files:
            return request.files[name].read(LONGEST), recipient
        if name in request.form:
            return request.form[name].encode("utf-8", "replace")[:LONGEST], recipient
    return b"", recipient
