"""Originals: what customers typed, kept sealed for a time, read for a reason that is logged, then destroyed."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.db import clean_text
from feedback_loop.responses.models import Answer, RawComment, RawReading
from feedback_loop.responses.raw import unseal
from feedback_loop.responses.service import Refused
from feedback_loop.settings import Settings


class NoRight(Refused):
    """Whoever asks lacks the right to read raw texts."""


class Destroyed(Refused):
    """The raw text is gone."""


def kept_raw(session: Session, answer: Answer, by: User, now: datetime, settings: Settings) -> RawComment:
    """The sealed raw text of an answer, for a person who may read it.

    Raises:
        NoRight: This person may not.
        Destroyed: Its time is over; says since when.
        Refused: It has not been redacted yet, or redacting took nothing out of it.
    """
    if not by.reads_raw:
        raise NoRight(
            "Reading what customers typed, before personal details are blanked out, is a right of its own, "
            "which no role includes. An admin can give it to you under Settings, People."
        )
    if answer.redacted_at is None:
        raise Refused("Personal details are still being blanked out of this answer. Look again in a minute.")
    if not answer.redactions:
        raise Refused("Nothing was blanked out of this answer: what you see is what the customer typed.")
    raw = session.get(RawComment, answer.id)
    if raw is None or raw.expires_at <= now:
        at = raw.expires_at if raw else destroyed_at(answer, settings)
        on = f" on {at.day} {at:%b %Y}" if at and at <= now else ""
        raise Destroyed(f"The original was destroyed{on}. What is left is the text with personal details blanked out.")
    return raw


def destroyed_at(answer: Answer, settings: Settings) -> datetime | None:
    """When the raw text of a redacted answer was destroyed, by the lifetime that is set now; no row says it."""
    typed_at = max(answer.answered_at, answer.received_at)  # it may have been changed later, or imported later
    redacted_at = answer.redacted_at
    return redacted_at and max(redacted_at, typed_at + timedelta(days=settings.raw_text_days))


def read_raw(session: Session, answer: Answer, by: User, why: str, now: datetime, settings: Settings) -> str:
    """Give a person the raw text of an answer, and log that they read it. Commit before you show it.

    Raises:
        NoRight: This person may not.
        Destroyed: Its time is over.
        Refused: There is no reason, or nothing to read beside the redacted text.
        RawTextUnreadable: It was sealed with another key. Nothing was read, so nothing is logged.
    """
    raw = kept_raw(session, answer, by, now, settings)
    why = clean_text(why).strip()
    if not why:
        raise Refused("Say why you need to read the original.")
    text = unseal(raw.sealed, settings.secret_key)
    session.add(RawReading(answer_id=answer.id, by_id=by.id, at=now, why=why))
    session.flush()
    return text


def expired(session: Session, at: datetime, most: int) -> int:
    """How many raw texts are kept whose time was over at some moment; at most so many are counted."""
    rows = select(RawComment.answer_id).where(RawComment.expires_at < at).limit(most)
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0


def destroy_expired(session: Session, now: datetime) -> int:
    """Destroy raw texts whose time is over and that have been redacted; one not read yet would be lost.

    Returns:
        How many were destroyed.
    """
    read = RawComment.answer_id.in_(select(Answer.id).where(Answer.redacted_at.is_not(None)))
    return session.execute(delete(RawComment).where(RawComment.expires_at <= now, read)).rowcount  # type: ignore[attr-defined, no-any-return]
