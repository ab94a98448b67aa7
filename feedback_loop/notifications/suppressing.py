"""Verbs on addresses that must not be written to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop.notifications.models import Cause, Notification, Scope, Suppression

LONGEST = 200  # characters of a reason
WISHES = (Cause.ASKED, Cause.COMPLAINED)  # what a person decided; it outlives what mail servers or colleagues say


def suppress(
    session: Session,
    address: str,
    reason: str,
    now: datetime,
    *,
    scope: Scope = Scope.FEEDBACK,
    cause: Cause = Cause.ASKED,
    because_of: Notification | None = None,
    by_id: int | None = None,
) -> None:
    """Write no more to this address. Repeating it changes nothing.

    Of two reasons the wider scope holds, and what the person asked for goes before what anybody else says.

    Args:
        address: Which one.
        reason: In words.
        now: The present moment.
        scope: How far it reaches.
        cause: Why.
        because_of: The mail that led to it.
        by_id: The colleague who decided it.
    """
    address = address.strip().lower()
    row = session.scalar(select(Suppression).where(Suppression.address == address).with_for_update())
    if row is None:
        values = {
            "address": address,
            "reason": reason[:LONGEST],
            "created_at": now,
            "scope": scope,
            "cause": cause,
            "notification_id": because_of.id if because_of else None,
            "by_id": by_id,
        }
        try:
            with session.begin_nested():
                session.execute(insert(Suppression).values(values))
        except IntegrityError:  # another request was first
            row = session.scalar(select(Suppression).where(Suppression.address == address).with_for_update())
        else:
            return
    if row is None:
        return
    if scope == Scope.EVERYTHING:
        row.scope = scope
    if cause != row.cause and row.cause not in WISHES:
        row.cause, row.reason, row.by_id = cause, reason[:LONGEST], by_id
        row.notification_id = because_of.id if because_of else None
    session.flush()
