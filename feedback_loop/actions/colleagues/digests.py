"""What a person's digest says, and on which days it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from feedback_loop.accounts.models import Digest, Role, User
from feedback_loop.actions.calendar import DAY, Calendar, on_the_clock
from feedback_loop.actions.colleagues.reminding import called, is_reminder, is_stale
from feedback_loop.actions.deadlines import calendar_of, default_level, in_words
from feedback_loop.actions.models import ActionItem, Closure, Notice, NotificationRun, RunState, Status
from feedback_loop.actions.queries import OPEN, is_listed, listed
from feedback_loop.complaints.models import Complaint
from feedback_loop.settings import Settings

LINES = 10  # of a section; a mail is no list
SOON = timedelta(days=3)
WEEK = timedelta(days=7)
MOST_NEWS = 500
DAYS_AHEAD = 60


@dataclass(frozen=True)
class Line:
    """One line, and the page it leads to."""

    text: str
    path: str


@dataclass(frozen=True)
class Section:
    """Some lines of one kind. `total` counts those as well that are not shown."""

    title: str
    lines: Sequence[Line]
    total: int

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.total - len(self.lines)

    @property
    def as_json(self) -> dict[str, Any]:
        """For the data of a mail."""
        lines = [{"text": line.text, "path": line.path} for line in self.lines]
        return {"title": self.title, "lines": lines, "more": self.more}


def comes_on(digest: Digest, day: date, calendar: Calendar) -> bool:
    """Whether a digest comes on a day: a daily one on working days, a weekly one on the first of a week."""
    if digest == Digest.OFF or not calendar.works_on(day):
        return False
    return digest == Digest.DAILY or not any(
        calendar.works_on(day - DAY * before) for before in range(1, day.weekday() + 1)
    )


def moment_of(day: date, settings: Settings) -> datetime:
    """When digests go out on a day."""
    return on_the_clock(day, settings.digest_hour * 60, ZoneInfo(settings.default_time_zone))


def next_digest(digest: Digest, calendar: Calendar, settings: Settings, now: datetime) -> datetime | None:
    """When a person's next digest comes, if there is something to say; None if never."""
    today = now.astimezone(ZoneInfo(settings.default_time_zone)).date()
    for ahead in range(DAYS_AHEAD):
        day = today + DAY * ahead
        if comes_on(digest, day, calendar) and moment_of(day, settings) > now:
            return moment_of(day, settings)
    return None


def working_days(session: Session, settings: Settings) -> Calendar:
    """On which days people work: by the default service level; Monday to Friday until there is one."""
    level = default_level(session)
    return calendar_of(level) if level else Calendar(frozenset(range(5)), 540, 1020, settings.default_time_zone)


def sections(session: Session, user: User, notices: Sequence[Notice], now: datetime) -> list[Section]:
    """What a person's digest says just now; empty where there is nothing to say.

    Args:
        session: A session.
        user: The person.
        notices: What they have not been told yet.
        now: The present moment.
    """
    mine = mine_by_need(session, user, now)
    shown = {item.id for items in mine.values() for item in items}
    news = [
        each
        for each in notices
        # A reminder of what stands above says nothing new.
        if not is_stale(each.kind, each.action_item, now)
        and not (is_reminder(each.kind) and each.action_item_id in shown)
    ]
    found = [
        *(Section(title, [line_of(item) for item in items[:LINES]], len(items)) for title, items in mine.items()),
        Section("News", [Line(each.text, path(each.action_item_id)) for each in news[:LINES]], len(news)),
        *waiting_runs(session, user),
    ]
    if user.role.includes(Role.LEAD):
        found.append(waiting_triage(session, now))
    return [section for section in found if section.total]


def path(item_id: int) -> str:
    """The page of an item. Mails are written where there is no web to ask."""
    return f"/actions/{item_id}"


def line_of(item: ActionItem) -> Line:
    """An item as the lists say it."""
    due = f", due {in_words(item.due_at)}" if item.due_at and item.status in OPEN else ""
    return Line(f"{called(item)}{due}", path(item.id))


def mine_by_need(session: Session, user: User, now: datetime) -> dict[str, list[ActionItem]]:
    """A person's open items that need something, each once, under what it needs first. What waits for others does not.

    What is in work and not due soon needs nothing.
    """
    soon = now + (WEEK if user.digest == Digest.WEEKLY else SOON)
    found: dict[str, list[ActionItem]] = {"Overdue": [], "Came back": [], "Due soon": [], "New for you": []}
    rows = session.scalars(
        listed()
        .where(ActionItem.owner_id == user.id, ActionItem.status.in_(OPEN), ActionItem.status != Status.WAITING)
        .order_by(ActionItem.due_at.asc().nulls_last(), ActionItem.id)
    )
    for item in rows:
        if item.due_at is not None and item.due_at <= now:
            found["Overdue"].append(item)
        elif item.status == Status.REOPENED:
            found["Came back"].append(item)
        elif item.due_at is not None and item.due_at <= soon:
            found["Due soon"].append(item)
        elif item.status in (Status.NEW, Status.TRIAGED):
            found["New for you"].append(item)
    return found


def unmailed(session: Session, user: User, *, urgent: bool) -> Sequence[Notice]:
    """What a person has not been told yet, oldest first, be it still true or not."""
    return session.scalars(
        select(Notice)
        .where(Notice.user_id == user.id, Notice.mailed_at.is_(None), Notice.is_urgent == urgent)
        .options(joinedload(Notice.action_item).joinedload(ActionItem.complaint))
        .order_by(Notice.id)
        .limit(MOST_NEWS)
    ).all()


def waiting_runs(session: Session, user: User) -> list[Section]:
    """Notification runs that wait for this person: to review what they prepared, and for leads to approve."""
    runs = (
        select(NotificationRun)
        .join(NotificationRun.closure)
        .join(Closure.action_item)
        .join(ActionItem.complaint)
        .options(
            contains_eager(NotificationRun.closure)
            .contains_eager(Closure.action_item)
            .contains_eager(ActionItem.complaint)
        )
        .order_by(NotificationRun.id)
    )
    review = session.scalars(
        runs.where(NotificationRun.state == RunState.REVIEW, NotificationRun.prepared_by_id == user.id)
    ).all()
    approval: Sequence[NotificationRun] = ()
    if user.role.includes(Role.LEAD):
        others = or_(NotificationRun.released_by_id.is_(None), NotificationRun.released_by_id != user.id)
        approval = session.scalars(runs.where(NotificationRun.state == RunState.APPROVAL, others)).all()
    waiting = (("Review who is told, then send", review), ("Waits for a second pair of eyes", approval))
    return [
        Section(title, [line_of(run.closure.action_item) for run in rows[:LINES]], len(rows)) for title, rows in waiting
    ]


def waiting_triage(session: Session, now: datetime) -> Section:
    """New items about which nobody has decided yet, those that most people wait for first."""
    untouched = (
        is_listed(),
        ActionItem.status == Status.NEW,
        ActionItem.triaged_at.is_(None),
        or_(ActionItem.snoozed_until.is_(None), ActionItem.snoozed_until <= now),
    )
    joined = select(func.count()).select_from(ActionItem).join(Complaint, Complaint.id == ActionItem.complaint_id)
    total = session.scalar(joined.where(*untouched)) or 0
    people = Complaint.people_count + Complaint.anonymous_count
    rows = session.scalars(listed().where(*untouched).order_by(people.desc(), ActionItem.id).limit(LINES)).all()
    return Section("Waits for triage", [Line(called(item), path(item.id)) for item in rows], total)
