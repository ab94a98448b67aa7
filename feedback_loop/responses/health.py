"""What an operator may know of the raw texts without reading any: whether the key opens them, and whether any has
outlived its time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.responses.models import RawComment
from feedback_loop.responses.raw import RawTextUnreadable, unseal


def opens(session: Session, secret_key: str) -> bool | None:
    """Whether the key opens the newest raw text; None where none is kept. Its words are thrown away at once."""
    sealed = session.scalar(select(RawComment.sealed).order_by(RawComment.answer_id.desc()).limit(1))
    if sealed is None:
        return None
    try:
        unseal(sealed, secret_key)
    except RawTextUnreadable:
        return False
    return True


def overdue(session: Session, now: datetime, grace: timedelta) -> int:
    """How many raw texts are kept although their time was over before `now - grace`. Those that could not be redacted
    yet are kept on purpose, so this counts them, too: either is worth a look."""
    late = select(func.count()).select_from(RawComment).where(RawComment.expires_at <= now - grace)
    return session.scalar(late) or 0
