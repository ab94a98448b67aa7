"""How the notifications of a closing stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, case, cast, func, literal, select, union_all
from sqlalchemy.orm import Session

from feedback_loop.actions.models import Closure
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.standing import Standing, stands
from feedback_loop.web.paging import Page, offset

NOTIFICATIONS_A_PAGE = 50
REASONS_SHOWN = 5  # why people are not told
CAME_BACK = "the mail to them came back."
UNSENT = (NotificationState.SKIPPED, NotificationState.FAILED, NotificationState.BOUNCED)


@dataclass(frozen=True)
class Unsent:
    """How many people were not told for one reason."""

    reason: str
    people: int


@dataclass(frozen=True)
class Telling:
    """How the notifications of a closing stand. Counts of people."""

    sent: int
    pending: int
    unsent: Sequence[Unsent]

    @property
    def not_told(self) -> int:
        """Those who will not be told."""
        return sum(each.people for each in self.unsent)


def telling(session: Session, closure: Closure) -> Telling:
    """How the notifications of a closing stand."""
    of_closure = Notification.event == closure.event
    came_back = Notification.state == NotificationState.BOUNCED
    reason = case((came_back, CAME_BACK), else_=func.coalesce(Notification.reason, "")).label("reason")
    # Both in one query; the frequent reasons are cut there, for mail servers word theirs for each address.
    frequent = (
        select(reason, func.count().label("people"))
        .where(of_closure, Notification.state.in_(UNSENT))
        .group_by(reason)
        .order_by(func.count().desc(), reason)
        .limit(REASONS_SHOWN)
        .subquery()
    )
    state = cast(Notification.state, String).label("state")
    rows = session.execute(
        union_all(
            select(state, literal("").label("reason"), func.count().label("people")).where(of_closure).group_by(state),
            select(literal("").label("state"), frequent.c.reason, frequent.c.people),
        )
    ).all()
    counts = {row.state: row.people for row in rows if row.state}
    unsent = [Unsent(row.reason, row.people) for row in rows if not row.state]
    unsent.sort(key=lambda each: (-each.people, each.reason))
    rest = sum(counts.get(each.value, 0) for each in UNSENT) - sum(each.people for each in unsent)
    if rest:
        unsent.append(Unsent("Other reasons.", rest))
    return Telling(counts.get(NotificationState.SENT, 0), counts.get(NotificationState.PENDING, 0), unsent)


def notifications(
    session: Session, closure: Closure, where: Standing | None, page: int, now: datetime
) -> Page[Notification]:
    """A page of the notifications of a closing; all, or those that stand somewhere."""
    conditions = [Notification.event == closure.event]
    if where is not None:
        conditions += stands(where, now)
    total = session.scalar(select(func.count()).select_from(Notification).where(*conditions))
    # The ids first: else all that stand before the page would be looked up, too.
    ids = (
        select(Notification.id)
        .where(*conditions)
        .order_by(Notification.id)
        .offset(offset(page, NOTIFICATIONS_A_PAGE))
        .limit(NOTIFICATIONS_A_PAGE)
        .subquery()
    )
    rows = session.scalars(select(Notification).join(ids, ids.c.id == Notification.id).order_by(Notification.id)).all()
    return Page(rows, page, NOTIFICATIONS_A_PAGE, total or 0)
