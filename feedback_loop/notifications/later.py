"""When a mail is tried again, and when no more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import literal_column, or_, update
from sqlalchemy.orm import Session

from feedback_loop.jobs.backoff import GIVE_UP_AFTER, LONGEST, backoff, is_over, waited
from feedback_loop.jobs.claims import SKEW
from feedback_loop.notifications.hours import DAYS_AHEAD
from feedback_loop.notifications.models import Notification, NotificationState


def after_failure(row: Notification, reason: str, now: datetime) -> dict[str, Any]:
    """What to write when a mail may pass later: the next attempt, or the end of trying.

    It ends after 72 hours of trying. The time a mail only waited, for its hour or for a server that was away, is none
    of it: what waited for days would otherwise be given up when it is asked to come again in a minute.
    """
    key = f"notification:{row.id}"
    if is_over(row.created_at, now) and waited(row.attempts, key) > GIVE_UP_AFTER:
        return {"state": NotificationState.FAILED, "reason": f"Given up after 72 hours: {reason}"[:500]}
    return {"next_at": now + backoff(row.attempts, key), "reason": reason[:500]}


def bring_back(session: Session, now: datetime) -> int:
    """Let mails be due that were put off to a moment that no pause reaches: the clock ran ahead then, and was set back
    since.

    Returns:
        How many there are.
    """
    hours = Notification.data["hours"].as_string()
    # Written out, not bound: SQLite takes an index of some rows only where it reads which.
    tried = (
        Notification.state == literal_column("'pending'"),
        Notification.attempts > literal_column("0"),
        Notification.next_at > now + LONGEST + SKEW,
        or_(hours.is_(None), Notification.next_at > now + timedelta(days=DAYS_AHEAD) + SKEW),
    )
    result = session.execute(
        update(Notification).where(*tried).values(next_at=now).execution_options(synchronize_session=False)
    )
    return result.rowcount  # type: ignore[attr-defined, no-any-return]
