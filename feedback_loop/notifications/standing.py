"""Where a message stands, as people see it.

The row keeps what is a fact: it is owed, sent, given up, left out, came back. That it is just being sent, or is to be
tried again, is what an owed row is by its lease and its attempts: a worker that dies leaves nothing behind that says
otherwise (docs/adr/0019-where-a-message-stands.md).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement

from feedback_loop.notifications.models import Notification, NotificationState


class Standing(StrEnum):
    """Where a message stands; the value is also what filters in addresses say."""

    PENDING = "pending"
    SENDING = "sending"
    RETRY = "retry"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"
    BOUNCED = "bounced"


def standing(row: Notification, now: datetime) -> Standing:
    """Where one message stands."""
    if row.state != NotificationState.PENDING:
        return Standing(row.state.value)
    if row.claimed_until is not None and row.claimed_until >= now:
        return Standing.SENDING
    return Standing.RETRY if row.attempts else Standing.PENDING


def stands(where: Standing, now: datetime) -> list[ColumnElement[bool]]:
    """What finds the messages that stand there; the same as `standing` says of each."""
    held = Notification.claimed_until.is_not(None) & (Notification.claimed_until >= now)
    owed: dict[Standing, list[ColumnElement[bool]]] = {
        Standing.SENDING: [held],
        Standing.RETRY: [~held, Notification.attempts > 0],
        Standing.PENDING: [~held, Notification.attempts == 0],
    }
    if where in owed:
        return [Notification.state == NotificationState.PENDING, *owed[where]]
    return [Notification.state == NotificationState(where.value)]
