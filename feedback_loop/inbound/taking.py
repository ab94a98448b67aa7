"""A mail on its way in: read with no transaction open, then written in one of its own."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import InterfaceError, OperationalError

from feedback_loop.db import Sessions, reading
from feedback_loop.inbound.models import Way
from feedback_loop.inbound.queries import is_known, notification_of
from feedback_loop.inbound.reading import Kind, Reading, read
from feedback_loop.inbound.replies import said
from feedback_loop.inbound.service import handle, set_aside
from feedback_loop.settings import Settings

log = logging.getLogger(__name__)

BUSY = (OperationalError, InterfaceError, TimeoutError)
"""Errors that say nothing of a mail: the database does not answer, or others write for too long."""


@dataclass(frozen=True)
class Taken:
    """What became of a mail.

    Attributes:
        kind: What it is.
        reason: What says so, and what followed.
        is_new: Whether it came for the first time; otherwise nothing was done.
    """

    kind: Kind
    reason: str
    is_new: bool = True


def take(sessions: Sessions, settings: Settings, raw: bytes, way: Way, now: datetime, recipient: str = "") -> Taken:
    """Take in one mail. Taking it again changes nothing.

    One that cannot be handled is set aside with its reason, so that it holds up none behind it. Only when the database
    does not answer is it left to be sent again.

    Args:
        sessions: Maker of sessions.
        settings: For the addresses of our mails and for redaction.
        raw: As it travelled.
        way: How it came.
        now: The present moment.
        recipient: To whom the envelope sent it, where that is known.

    Raises:
        OperationalError, InterfaceError, TimeoutError: The database does not answer.
    """
    found = read(raw, recipient)
    try:
        with reading(sessions) as session:
            if is_known(session, found.key):
                return Taken(found.kind, "It came before.", is_new=False)
            about, _ = notification_of(session, settings, found) if found.kind == Kind.REPLY else (None, False)
            language = about.data.get("language", "") if about is not None else ""
        words = said(found, language, settings) if about is not None else ""
        with sessions.begin() as session:
            mail = handle(session, settings, found, words, way, now)
            if mail is None:
                return Taken(found.kind, "It came before.", is_new=False)
            return Taken(mail.kind, mail.reason)
    except BUSY:
        raise
    except Exception as error:
        # Where it happened, and not what: the message of an error may hold what stood in the mail.
        at = traceback.extract_tb(error.__traceback__)[-1]
        name = f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}"
        log.error("A mail that came in could not be handled; it is set aside: %s", name)
        return put_by(sessions, found, way, f"It could not be handled ({name}).", now)


def put_by(sessions: Sessions, found: Reading, way: Way, reason: str, now: datetime) -> Taken:
    """Set a mail aside in a transaction of its own."""
    with sessions.begin() as session:
        set_aside(session, found.key, way, reason, now)
    return Taken(Kind.UNCLEAR, reason)
