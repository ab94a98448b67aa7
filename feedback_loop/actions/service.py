"""Verbs on action items."""

from __future__ import annotations

from datetime import UTC, datetime, time

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, Team, User
from feedback_loop.actions.changes import changed, standing
from feedback_loop.actions.deadlines import due_by_level, in_words
from feedback_loop.actions.mentions import Mentions, Person, find
from feedback_loop.actions.models import (
    ActionEvent,
    ActionItem,
    Closure,
    NotificationRun,
    RunState,
    Status,
    Watcher,
)
from feedback_loop.actions.notices import concerned, tell
from feedback_loop.actions.transitions import may
from feedback_loop.complaints.models import ComplaintState
from feedback_loop.complaints.queries import surviving
from feedback_loop.db import insert_missing
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import cancel

LONGEST_WAIT = 300
MOST_YEARS = 5  # ahead that a due date may lie: beyond it, it is a slip of the hand


class Refused(ValueError):
    """What was asked for is not possible now; the message says why, for people."""


def may_work_on(user: User, item: ActionItem) -> bool:
    """Leads and admins work on every item, owners on those that are theirs or their team's."""
    if user.role.includes(Role.LEAD):
        return True
    return user.role == Role.OWNER and (item.owner_id == user.id or item.team_id == user.team_id)


def note(
    session: Session, item: ActionItem, kind: str, text: str, by: User | None, now: datetime, **data: object
) -> None:
    """Add an entry to an item's history. What a person did makes the complaint theirs: no refine empties it.

    Change the item first: the entry says which version of it the change made, so that whoever sends a form made from
    an earlier one can be told. Take `changes.standing` before, and give what `changes.changed` finds after.
    """
    if by is not None:
        item.complaint.kept = True
    session.flush()
    data["version"] = item.version
    session.add(ActionEvent(action_item_id=item.id, at=now, by=by, kind=kind, text=text, data=data))


def demand(item: ActionItem, verb: str) -> None:
    """Refuse what the table of transitions does not allow."""
    if refusal := may(item.status, verb):
        raise Refused(refusal)


def demand_living(item: ActionItem) -> None:
    """Refuse work on what was merged into another complaint, or dismissed."""
    complaint = item.complaint
    if complaint.state == ComplaintState.MERGED:
        raise Refused(
            f"{complaint.number} was merged into C-{complaint.merged_into_id}; the work goes on at its action item."
        )
    if complaint.state == ComplaintState.DISMISSED:
        raise Refused(f"{complaint.number} was dismissed as not a complaint. Undo that under “Corrections” first.")


def take_on(session: Session, item: ActionItem, by: User, now: datetime) -> None:
    """Begin work, or go on with it: the person becomes the owner.

    Raises:
        Refused: It is being worked on, or closed; or its complaint was merged or dismissed.
    """
    demand_living(item)
    demand(item, "take_on")
    before, earlier = standing(item), item.owner_id
    waited = end_wait(item, now)
    item.status = Status.IN_PROGRESS
    item.owner = by
    item.triaged_at = item.triaged_at or now
    note(session, item, "taken_on", f"{by.name} took this on.", by, now, **changed(before, item), **waited)
    tell(session, [earlier], item, "assigned", f"{by.name} took this on in your place.", now, by)


def wait(session: Session, item: ActionItem, what_for: str, by: User, now: datetime) -> None:
    """Nothing can be done until something outside happens.

    Args:
        what_for: What has to happen, or whose answer is missing.

    Raises:
        Refused: It says nothing or too much; the item is new, waiting already, or closed; or its complaint was merged
            or dismissed.
    """
    demand_living(item)
    demand(item, "wait")
    what_for = " ".join(what_for.split())
    if not what_for:
        raise Refused("Say what it waits for.")
    if len(what_for) > LONGEST_WAIT:
        raise Refused(f"Say in at most {LONGEST_WAIT} characters what it waits for.")
    before = standing(item)
    item.status = Status.WAITING
    item.waiting_for, item.waiting_since = what_for, now
    item.triaged_at = item.triaged_at or now
    note(session, item, "waiting", f"Waits for: {what_for}", by, now, **changed(before, item))
    tell(session, concerned(session, item), item, "waiting", f"{by.name}: it waits for {what_for}", now, by)


def go_on(session: Session, item: ActionItem, by: User, now: datetime) -> None:
    """What it waited for has happened: work goes on. The owner stays; without one the person becomes it.

    Raises:
        Refused: It does not wait; or its complaint was merged or dismissed.
    """
    demand_living(item)
    demand(item, "go_on")
    before = standing(item)
    waited = end_wait(item, now)
    item.status = Status.IN_PROGRESS
    item.owner = item.owner or by
    text = f"Goes on, after it had waited {lasted(waited.get('waited_seconds', 0))}."
    note(session, item, "went_on", text, by, now, **changed(before, item), **waited)


def end_wait(item: ActionItem, now: datetime) -> dict[str, int]:
    """Clear what an item waits for.

    Returns:
        How long it waited, under `waited_seconds`, as data for `note`: the service level does not count that time.
        Empty where it does not wait.
    """
    since, item.waiting_for, item.waiting_since = item.waiting_since, "", None
    return {} if since is None else {"waited_seconds": max(0, int((now - since).total_seconds()))}


def lasted(seconds: int) -> str:
    """A length of time in words: `less than an hour`, `5 hours`, `1 day`."""
    size, unit = (86_400, "day") if seconds >= 86_400 else (3_600, "hour")
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}" if count else "less than an hour"


def assign(
    session: Session, item: ActionItem, team: Team, owner: User | None, by: User, now: datetime, why: str = ""
) -> None:
    """Give an item to a team and, if named, to one of its people, who are told. A new item is triaged thereby.

    Args:
        why: For the history; may be empty.

    Raises:
        Refused: The owner is inactive or only reads; or the complaint was merged or dismissed.
    """
    demand_living(item)
    if owner is not None and (not owner.is_active or owner.role == Role.VIEWER):
        raise Refused(f"{owner.name} cannot own action items: choose somebody who is active and not only a viewer.")
    if item.team_id == team.id and item.owner_id == (owner.id if owner else None):
        return
    before, earlier = standing(item), item.owner_id
    item.team = team
    item.owner = owner
    item.triaged_at = item.triaged_at or now
    if item.status == Status.NEW:
        item.status = Status.TRIAGED
    who = f"{team.name}, {owner.name}" if owner else team.name
    reason = f" {why}" if why else ""
    note(session, item, "assigned", f"Assigned to {who}.{reason}", by, now, **changed(before, item))
    meant = {owner.id} if owner is not None and owner.id != earlier else set()
    tell(session, meant, item, "assigned", f"{by.name} assigned this to you.{reason}", now, by)
    others = {earlier, *concerned(session, item)} - meant
    tell(session, others, item, "assigned", f"{by.name} assigned this to {who}.{reason}", now, by)


def latest_due(now: datetime) -> datetime:
    """The last moment that may be chosen by hand: the end of the day five years from now."""
    day = now.astimezone(UTC).date()
    leap = (day.month, day.day) == (2, 29)
    return datetime.combine(day.replace(year=day.year + MOST_YEARS, day=28 if leap else day.day), time.max, UTC)


def too_late(now: datetime) -> str:
    """What is said of a due date that lies too far ahead."""
    latest = latest_due(now)
    return f"Choose a day until {latest.day} {latest:%b %Y}: a due date lies at most {MOST_YEARS} years ahead."


def set_due(
    session: Session, item: ActionItem, due_at: datetime | None, by: User, now: datetime, why: str = ""
) -> None:
    """Choose by when an item is due, and say why in the history; None leaves it to the service level.

    Raises:
        Refused: The date lies more than five years ahead.
    """
    if item.due_by_hand == (due_at is not None) and due_at in (None, item.due_at):
        return
    if due_at is not None and due_at > latest_due(now):
        raise Refused(too_late(now))
    before = standing(item)
    item.due_by_hand = due_at is not None
    item.due_at = due_at or due_by_level(session, item)
    when = f"Due {in_words(item.due_at)}" if item.due_at else "No due date"
    text = (f"{when}." if due_at else f"{when}, by the service level again.") + (f" {why}" if why else "")
    note(session, item, "due", text, by, now, **changed(before, item))


def add_comment(session: Session, item: ActionItem, text: str, by: User, now: datetime) -> Mentions:
    """Write a comment into the history; colleagues read it, customers never.

    Whoever is mentioned is told, and watches from then on; the owner and those who watch already are told, too.

    Returns:
        Who was mentioned, and which mentions fit nobody or several.
    """
    mentioned = find(text, mentionable(session)) if "@" in text else Mentions()
    note(session, item, "comment", text, by, now, **({"mentions": mentioned.people} if mentioned.people else {}))
    others = concerned(session, item) - set(mentioned.people)
    insert_missing(
        session,
        Watcher,
        [{"action_item_id": item.id, "user_id": id, "created_at": now} for id in mentioned.people if id != by.id],
    )
    tell(session, mentioned.people, item, "mention", f"{by.name} mentioned you: {text}", now, by)
    tell(session, others, item, "comment", f"{by.name}: {text}", now, by)
    return mentioned


def mentionable(session: Session) -> list[Person]:
    """Those whom a comment can mention: active people, by name."""
    rows = session.execute(select(User.id, User.name, User.email).where(User.is_active).order_by(User.name, User.id))
    return [Person(*row) for row in rows]


def goes_on_in(session: Session, item: ActionItem) -> ActionItem:
    """The item at which work goes on: that of the complaint into which this one's was merged, itself otherwise."""
    complaint = surviving(session, item.complaint)
    if complaint.id == item.complaint_id:
        return item
    other = session.scalar(select(ActionItem).where(ActionItem.complaint_id == complaint.id))
    return other or item


def latest_closure(session: Session, item: ActionItem) -> Closure | None:
    """The newest closing of an item, or None."""
    return session.scalar(
        select(Closure).where(Closure.action_item_id == item.id).order_by(Closure.number.desc()).limit(1)
    )


def verify(session: Session, item: ActionItem, reason: str, now: datetime) -> None:
    """Customers confirmed the fix.

    Raises:
        Refused: The item is not closed.
    """
    demand(item, "verify")
    before = standing(item)
    item.status = Status.VERIFIED
    note(session, item, "verified", reason, None, now, **changed(before, item))


def reopen(session: Session, item: ActionItem, reason: str, by: User | None, now: datetime) -> None:
    """Open a closed item again, with its history; what its closing still owes is not sent.

    A due date that has passed was that of the earlier work and goes. What customers reopen waits to be triaged again;
    a person who does it has decided.

    Args:
        by: The person who does it, or None when customers' answers did.

    Raises:
        Refused: The item is not closed.
    """
    if by is not None:
        demand_living(item)
    demand(item, "reopen")
    before = standing(item)
    end_wait(item, now)
    item.status = Status.REOPENED
    item.reopened_count += 1
    item.triaged_at, item.snoozed_until = (now if by is not None else None), None
    if item.due_at is not None and item.due_at < now:
        item.due_at, item.due_by_hand = None, False
    session.flush()  # the item first, then its notifications: the order in which customers' answers lock them, too
    closure = latest_closure(session, item)
    unsent = 0
    if closure is not None:
        end_run(session, closure, by, now)
        taken_back = "The closing was taken back before this was sent."
        unsent = sum(cancel(session, each, taken_back) for each in (closure.event, closure.follow_up_event))
        if by is not None:
            closure.withdrawn_at = now
    text = reason.strip() + (f" {unsent} not yet sent will not be sent." if unsent else "")
    note(session, item, "reopened", text, by, now, unsent=unsent, **changed(before, item))
    who = by.name if by is not None else "Customers’ answers"
    tell(session, concerned(session, item), item, "reopened", f"{who} opened this again: {text}", now, by)


def end_run(session: Session, closure: Closure, by: User | None, now: datetime) -> None:
    """End the run of a closing that holds no longer: it is undone, or done where it has told anybody."""
    was_sent = select(Notification.id).where(
        Notification.event == closure.event,
        Notification.state.in_([NotificationState.SENT, NotificationState.BOUNCED]),
    )
    session.execute(
        update(NotificationRun)
        .where(
            NotificationRun.closure_id == closure.id,
            NotificationRun.state.not_in([RunState.DONE, RunState.UNDONE]),
        )
        .values(
            state=case((was_sent.exists(), RunState.DONE), else_=RunState.UNDONE),
            undone_by_id=by.id if by else None,
            undone_at=now,
            version=NotificationRun.version + 1,  # who is just releasing it finds it changed
        )
        .execution_options(synchronize_session="fetch")
    )
