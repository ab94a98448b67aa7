"""The breaker of the mail channel: when the server takes nothing at all, everything waits, and now and then one mail
tries whether it does again. Kept in a row, so that all workers act on what one has seen.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_loop.db import insert_missing
from feedback_loop.jobs.claims import SKEW
from feedback_loop.notifications.models import Channel

MAIL = "mail"
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10))


class Gate(StrEnum):
    """Whether mails may be sent now."""

    OPEN = "open"  # they may
    ONE = "one"  # one may, to try
    SHUT = "shut"


def gate(session: Session, now: datetime, hold: timedelta) -> Gate:
    """Whether mails may be sent now. Whoever is told that one may is the only one until `hold` is over."""
    row = session.execute(select(Channel.failures, Channel.next_at).where(Channel.name == MAIL)).one_or_none()
    if row is None or not row.failures:
        return Gate.OPEN
    # Farther away than any pause lies what a clock wrote that ran ahead, and was set back since.
    if now < row.next_at <= now + max(PAUSES[-1], hold) + SKEW:
        return Gate.SHUT
    taken = session.execute(
        update(Channel)
        .where(Channel.name == MAIL, Channel.failures == row.failures, Channel.next_at == row.next_at)
        .values(next_at=now + hold)
    )
    return Gate.ONE if taken.rowcount else Gate.SHUT  # type: ignore[attr-defined]


def failed(session: Session, reason: str, now: datetime, *, tried: bool) -> None:
    """Note that the channel takes nothing; the pause grows with each try that fails.

    Args:
        tried: Whether it was the one mail that was to try. What others had on the way when it went down says nothing
            new.
    """
    insert_missing(session, Channel, [{"name": MAIL}])
    row = session.scalars(select(Channel).where(Channel.name == MAIL).with_for_update()).one()
    if row.failures and not tried:
        return
    row.failures += 1
    row.down_since = row.down_since or now
    row.next_at = now + PAUSES[min(row.failures, len(PAUSES)) - 1]
    row.reason = reason[:500]


def worked(session: Session, now: datetime, *, tried: bool, sent: bool) -> None:
    """Note that the channel took mails.

    Args:
        tried: Whether it was the one mail that was to try: then the channel is up again.
        sent: Whether a mail went out.
    """
    values: dict[str, object] = {"sent_at": now} if sent else {}
    if tried:
        values |= {"failures": 0, "down_since": None, "next_at": None, "reason": ""}
    if values:
        insert_missing(session, Channel, [{"name": MAIL}])
        session.execute(update(Channel).where(Channel.name == MAIL).values(**values))


def try_now(session: Session, now: datetime) -> None:
    """End the pause: the next mail tries at once. Changes nothing while the channel works."""
    session.execute(update(Channel).where(Channel.name == MAIL, Channel.failures > 0).values(next_at=now))
