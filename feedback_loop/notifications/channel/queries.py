"""Named reads of the mail channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from feedback_loop.notifications.breaker import MAIL
from feedback_loop.notifications.models import Channel, Notification, NotificationState

TEST = "staff_test"
LOOKED_BACK = timedelta(days=30)
OVERDUE = timedelta(minutes=5)  # after which a mail that is due should be out


@dataclass(frozen=True)
class Count:
    """Some messages, and since when the oldest of them is there; None when there are none."""

    number: int
    oldest: datetime | None


@dataclass(frozen=True)
class Outbox:
    """How the outbox stands.

    Attributes:
        due: To be sent now, for the first time.
        planned: Not due yet, for the first time: held, or waiting for their hour.
        retrying: Tried before, and to be tried again.
        failed, bounced: Of the last 30 days.
        doubtful: Messages of the last 30 days that may have arrived twice.
    """

    due: Count
    planned: Count
    retrying: Count
    failed: Count
    bounced: Count
    doubtful: Count


def channel(session: Session) -> Channel:
    """The mail channel; as new when nothing was ever sent."""
    return session.get(Channel, MAIL) or Channel(name=MAIL, failures=0, reason="")


def outbox(session: Session, now: datetime) -> Outbox:
    """How the outbox stands. What is owed is counted in the index of what is due, the rest in those of what went
    astray: none reads what was sent."""
    is_first = Notification.attempts == 0
    is_due = Notification.next_at <= now
    owed = {"due": is_first & is_due, "planned": is_first & ~is_due, "retrying": ~is_first}
    kept = {"due": Notification.next_at, "planned": Notification.created_at, "retrying": Notification.created_at}
    row = session.execute(
        select(
            *(func.count(case((where, 1))).label(name) for name, where in owed.items()),
            *(func.min(case((where, kept[name]))).label(f"{name}_oldest") for name, where in owed.items()),
        ).where(Notification.state == NotificationState.PENDING)
    ).one()
    found = {name: Count(getattr(row, name), getattr(row, f"{name}_oldest")) for name in owed}
    since = Notification.created_at > now - LOOKED_BACK
    astray = {
        "failed": (Notification.state == NotificationState.FAILED, since),
        "bounced": (Notification.state == NotificationState.BOUNCED, since),
        "doubtful": (Notification.doubtful > 0, since),
    }
    for name, where in astray.items():
        number, oldest = session.execute(select(func.count(), func.min(Notification.created_at)).where(*where)).one()
        found[name] = Count(number, oldest)
    return Outbox(**found)


def last_test(session: Session, recipient: str) -> Notification | None:
    """The last test mail to somebody, or None."""
    return session.scalar(
        select(Notification)
        .where(Notification.recipient == recipient, Notification.kind == TEST)
        .order_by(Notification.id.desc())
        .limit(1)
    )
