"""Named reads of notifications."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.notifications.models import Notification, Suppression


def by_token(session: Session, token: str) -> Notification | None:
    """The notification whose mail holds this token, or None."""
    return session.scalar(select(Notification).where(Notification.token_hash == tokens.hashed(token)))


def suppressed(session: Session, addresses: Iterable[str]) -> set[str]:
    """Those of some addresses that must not be written to."""
    return set(session.scalars(select(Suppression.address).where(Suppression.address.in_(list(addresses)))))
