"""Claims mails that are due: many at once, but by itself each at which a worker may have died.

A worker that dies leaves its claims to run out, whichever of its mails was why. The next claim counts it. A mail that
was claimed twice without an end is tried alone from then on, so that those beside it go out; after five times it is
set aside with the reason, and a person decides (Settings, Stuck). Answers are treated the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import case, literal_column
from sqlalchemy.orm import Session

from feedback_loop.jobs.claims import Claim, claim
from feedback_loop.notifications.models import Notification, NotificationState

MOST_DEATHS = 5
DIED = "The worker ended, or was ended, each time it worked at this mail."
# Written out, not bound: SQLite takes an index of some rows only where it reads which.
SUSPECTED = (Notification.state == literal_column("'pending'"), Notification.deaths > literal_column("0"))
OTHERS = (Notification.state == NotificationState.PENDING, Notification.deaths == 0)


def claim_mails(session: Session, size: int, now: datetime, lease: timedelta, *, suspected_first: bool) -> list[Claim]:
    """Claim mails that are due: some, or one of those that are suspected. Commit before the slow work begins.

    Args:
        size: At most so many.
        suspected_first: Which to look for first; the others where there are none.
    """
    ran_out = Notification.claimed_until < now
    values = {"deaths": Notification.deaths + case((ran_out, 1), else_=0)}
    order = [Notification.rank, Notification.next_at, Notification.id]
    kinds = [(OTHERS, order, size), (SUSPECTED, [Notification.deaths, *order], 1)]
    for which, first, limit in reversed(kinds) if suspected_first else kinds:
        due = [*which, Notification.next_at <= now]
        if claims := claim(session, Notification, due, first, limit, now, lease, values):
            return claims
    return []
