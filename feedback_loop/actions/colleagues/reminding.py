"""Who is reminded of an item when: before it is due, at due, after; and when it came back too often.

Each reminder has a name that holds the due date it is about, and is given once. A new due date begins anew.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, User
from feedback_loop.actions.calendar import Calendar, add_hours, hours_between
from feedback_loop.actions.deadlines import calendar_of, due_by_levels, in_words, level_finder
from feedback_loop.actions.models import ActionItem, Notice, Status
from feedback_loop.actions.notices import tell
from feedback_loop.actions.queries import OPEN, listed
from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.claims import queue

log = logging.getLogger(__name__)

CAME_BACK_OFTEN = 3
AHEAD = timedelta(days=92)  # no service level reminds earlier
CHUNK = 100


class Kind(StrEnum):
    """What a reminder is about."""

    DUE_SOON = "due_soon"
    DUE = "due"
    LEADS = "overdue_leads"
    ADMINS = "overdue_admins"
    OFTEN = "reopened_often"


class To(StrEnum):
    """To whom it goes."""

    OWNER = "owner"
    LEADS = "leads"
    ADMINS = "admins"


@dataclass(frozen=True)
class Policy:
    """When a service level reminds whom. Business hours: before it is due (0: never), and after."""

    calendar: Calendar
    remind_hours: int
    lead_hours: int
    admin_hours: int


@dataclass(frozen=True)
class Standing:
    """What is to be known of an open item that does not wait."""

    called: str
    due_at: datetime | None
    reopened_count: int


@dataclass(frozen=True)
class Reminder:
    """One reminder: its name, to whom it goes, and what it says."""

    name: str
    to: Sequence[To]
    text: str
    is_urgent: bool


def name_of(kind: Kind, due_at: datetime) -> str:
    """The name of a reminder of one due date: `due:2026-12-01T16:00`."""
    return f"{kind.value}:{due_at.astimezone(UTC):%Y-%m-%dT%H:%M}"


def reminders(it: Standing, policy: Policy | None, now: datetime) -> list[Reminder]:
    """The reminders that are due by now, whether given already or not.

    Args:
        it: The item.
        policy: Of its service level; None where there is none yet.
        now: The present moment.
    """
    found = []
    if it.reopened_count >= CAME_BACK_OFTEN:
        text = f"{it.called} has come back {it.reopened_count} times: what was done so far does not last."
        found.append(Reminder(f"{Kind.OFTEN.value}:{it.reopened_count}", (To.LEADS, To.ADMINS), text, True))
    if policy is None or it.due_at is None or it.due_at - now > AHEAD:
        return found
    due, when = it.due_at, in_words(it.due_at)
    if now < due:
        if policy.remind_hours and hours_between(now, due, policy.calendar) <= policy.remind_hours:
            text = f"{it.called} is due on {when}."
            found.append(Reminder(name_of(Kind.DUE_SOON, due), (To.OWNER,), text, False))
        return found
    text = f"{it.called} was due on {when} and is still open."
    found.append(Reminder(name_of(Kind.DUE, due), (To.OWNER,), text, True))
    for kind, to, hours in ((Kind.LEADS, To.LEADS, policy.lead_hours), (Kind.ADMINS, To.ADMINS, policy.admin_hours)):
        if now >= (add_hours(due, hours, policy.calendar) if hours else due):
            found.append(Reminder(name_of(kind, due), (to,), f"{it.called} is overdue since {when}.", True))
    return found


def is_reminder(kind: str) -> bool:
    """Whether a notice of this kind is a reminder."""
    return kind.partition(":")[0] in list(Kind)


def is_stale(kind: str, item: ActionItem, now: datetime) -> bool:
    """Whether a notice is a reminder that is no longer true: the item is closed or waits, or is due at another time."""
    if not is_reminder(kind):
        return False
    about = Kind(kind.partition(":")[0])
    if item.status not in OPEN:
        return True
    if about == Kind.OFTEN:
        return False
    return (
        item.status == Status.WAITING
        or item.due_at is None
        or kind != name_of(about, item.due_at)
        or (about == Kind.DUE_SOON and item.due_at <= now)
    )


def called(item: ActionItem) -> str:
    """How sentences name an item: `C-42 “Parcel never came”`."""
    return f"{item.complaint.number} “{item.complaint.name}”"


@dataclass(frozen=True)
class Colleagues:
    """Who hears what. `leads` with their teams; a lead without one answers for all."""

    leads: Sequence[tuple[int, int | None]]
    admins: Sequence[int]

    def of(self, to: To, item: ActionItem) -> set[int]:
        """To whom a reminder of an item goes. What has no owner is its leads'; what has no lead the admins'."""
        if to == To.OWNER and item.owner is not None and item.owner.is_active:
            return {item.owner.id}
        leads = {id for id, team in self.leads if team in (None, item.team_id)}
        return leads if leads and to != To.ADMINS else set(self.admins)


def colleagues(session: Session) -> Colleagues:
    """The leads and admins who can sign in."""
    rows = session.execute(
        select(User.id, User.role, User.team_id).where(User.is_active, User.role.in_([Role.LEAD, Role.ADMIN]))
    ).all()
    return Colleagues(
        [(id, team) for id, role, team in rows if role == Role.LEAD], [id for id, role, _ in rows if role == Role.ADMIN]
    )


def remind(sessions: Sessions, now: datetime) -> int:
    """Note for colleagues what is due, late, or came back too often. Safe to run anywhere at any time.

    An item at which something fails is logged, and does not stop the others.

    Returns:
        How many reminders were new.
    """
    with reading(sessions) as session:
        found = [(item, each) for item, each in due_now(session, now) if each]
        told = given(session, [item.id for item, _ in found])
    missing = [item.id for item, each in found if any((item.id, one.name) not in told for one in each)]
    count = 0
    for first in range(0, len(missing), CHUNK):
        count += note_some(sessions, missing[first : first + CHUNK], now)
    return count


def note_some(sessions: Sessions, item_ids: Sequence[int], now: datetime) -> int:
    """Note what is due of some items in one transaction; if that fails, of each in its own."""
    try:
        with sessions.begin() as session:
            queue(session, "remind")  # of two workers the second sees what the first has noted
            return note_missing(session, item_ids, now)
    except OperationalError:
        raise  # the database is away or busy: no fault of an item
    except Exception:
        if len(item_ids) == 1:
            log.exception("Reminders of action item %s failed.", item_ids[0])
            return 0
    return sum(note_some(sessions, [id], now) for id in item_ids)


def due_now(
    session: Session, now: datetime, only: Collection[int] | None = None
) -> Iterable[tuple[ActionItem, list[Reminder]]]:
    """Open items that do not wait, with the reminders that are due."""
    level_for = level_finder(session)
    policies: dict[int, Policy] = {}
    query = listed().where(
        ActionItem.status.in_(OPEN),
        ActionItem.status != Status.WAITING,
        (ActionItem.due_at < now + AHEAD) | (ActionItem.reopened_count >= CAME_BACK_OFTEN),
    )
    if only is not None:
        query = query.where(ActionItem.id.in_(only))
    for item in session.scalars(query.order_by(ActionItem.id)):
        try:
            level = level_for(item)
            if level is not None and level.id not in policies:
                policies[level.id] = Policy(calendar_of(level), level.remind_hours, level.lead_hours, level.admin_hours)
            policy = policies[level.id] if level is not None else None
            due = reminders(Standing(called(item), item.due_at, item.reopened_count), policy, now)
        except Exception:  # nothing here asks the database
            log.exception("Reminders of action item %s failed.", item.id)
            continue
        yield item, due


def given(session: Session, item_ids: Collection[int]) -> set[tuple[int, str]]:
    """Item and name of the reminders that were noted already for some items."""
    rows = session.execute(
        select(Notice.action_item_id, Notice.kind)
        .where(Notice.action_item_id.in_(item_ids), Notice.kind.contains(":"))
        .distinct()
    )
    return {(id, kind) for id, kind in rows}


def note_missing(session: Session, item_ids: Collection[int], now: datetime) -> int:
    """Note what is due of some items and was not noted yet; nobody hears twice of one item at once."""
    told, people = given(session, item_ids), colleagues(session)
    count = 0
    found = list(due_now(session, now, item_ids))
    due_by = due_by_levels(session, [item for item, _ in found])
    for item, due in found:
        if not item.due_by_hand and item.due_at != due_by[item.id]:
            continue  # it went on or was rated just now, and is about to get another date
        hear: set[int] = set()
        for each in due:
            if (item.id, each.name) in told:
                continue
            wanted = set().union(*(people.of(to, item) for to in each.to))
            tell(session, wanted - hear, item, each.name, each.text, now, is_urgent=each.is_urgent)
            for user_id in wanted & hear:  # noted all the same, or it would be missing at the next look
                session.add(
                    Notice(
                        user_id=user_id, action_item_id=item.id, kind=each.name, text=each.text, at=now, mailed_at=now
                    )
                )
            hear |= wanted
            count += 1
    return count
