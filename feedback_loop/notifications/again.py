"""Verbs on messages that were owed before: try again what failed, owe again what was held back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import Owed, kept, owe
from feedback_loop.settings import Settings


def owe_again(
    session: Session,
    kind: str,
    event: str,
    messages: Iterable[Owed],
    held_back: str,
    *,
    next_at: datetime,
    now: datetime,
    settings: Settings,
) -> int:
    """Write down messages that are owed, some of which may have been owed and held back before.

    Those come back under the Message-ID they had, so that nobody can get two: what a worker may still hold of an
    earlier time is the same mail, and finds its fence changed. Whoever has a message of this event that stands
    otherwise, keeps that one.

    Args:
        held_back: The reason under which messages were skipped that now come back.
        next_at: Not to be sent before this.

    Returns:
        How many are owed by it.
    """
    present = {
        row.recipient: row
        for row in session.execute(
            select(Notification.id, Notification.recipient, Notification.state, Notification.reason, Notification.fence)
            .where(Notification.event == event, Notification.kind == kind)
            .order_by(Notification.id)
            .with_for_update()
        )
    }
    back: list[dict[str, Any]] = []

    def missing() -> Iterator[Owed]:
        for each in messages:
            row = present.get(each.recipient)
            if row is None:
                yield each
            elif (row.state, row.reason) == (NotificationState.SKIPPED, held_back):
                back.append(
                    {
                        "id": row.id,
                        "address": each.address,
                        "name": each.name,
                        "data": kept(each),
                        "state": NotificationState.PENDING,
                        "reason": "",
                        "attempts": 0,
                        "deaths": 0,
                        "created_at": now,
                        "next_at": next_at,
                        "claimed_until": None,
                        "fence": row.fence + 1,
                    }
                )

    count = owe(session, kind, event, missing(), next_at=next_at, now=now, settings=settings)
    if back:
        session.flush()
        session.execute(update(Notification), back)
        session.expire_all()
    return count + len(back)


def retry(session: Session, event: str, now: datetime, notification_id: int | None = None) -> int:
    """Try what failed of an event once more, under the Message-ID it had. The time for trying begins anew.

    Nothing is sent of what its author has erased.

    Args:
        notification_id: The one; all by default.

    Returns:
        How many messages are tried again.
    """
    which = [
        Notification.event == event,
        Notification.state == NotificationState.FAILED,
        Notification.data["is_erased"].as_string().is_(None),
    ]
    if notification_id is not None:
        which.append(Notification.id == notification_id)
    return session.execute(  # type: ignore[attr-defined, no-any-return]
        update(Notification)
        .where(*which)
        .values(
            state=NotificationState.PENDING,
            reason="",
            attempts=0,
            deaths=0,
            created_at=now,
            next_at=now,
            claimed_until=None,
            fence=Notification.fence + 1,
        )
        .execution_options(synchronize_session="fetch")
    ).rowcount
