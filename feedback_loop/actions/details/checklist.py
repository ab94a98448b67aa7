"""Verbs on the checklist of an action item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import User
from feedback_loop.actions.models import ActionItem, ChecklistEntry
from feedback_loop.actions.service import Refused, demand_living, note

LONGEST = 300
MOST = 50
GONE = "That entry of the checklist is gone: somebody deleted it."


class Overtaken(Refused):
    """Somebody else changed an entry meanwhile."""


@dataclass(frozen=True)
class Checklist:
    """The entries of an item, in their order."""

    entries: Sequence[ChecklistEntry]

    @property
    def open(self) -> Sequence[ChecklistEntry]:
        """Those not done."""
        return [each for each in self.entries if each.done_at is None]

    @property
    def done(self) -> int:
        """How many are done."""
        return len(self.entries) - len(self.open)


def checklist(session: Session, item: ActionItem) -> Checklist:
    """The checklist of an item."""
    return Checklist(
        session.scalars(
            select(ChecklistEntry)
            .where(ChecklistEntry.action_item_id == item.id)
            .options(joinedload(ChecklistEntry.done_by))
            .order_by(ChecklistEntry.position, ChecklistEntry.id)
        ).all()
    )


def entry_of(session: Session, item: ActionItem, entry_id: int) -> ChecklistEntry:
    """One entry.

    Raises:
        Refused: The item has no such entry any more.
    """
    entry = session.get(ChecklistEntry, entry_id)
    if entry is None or entry.action_item_id != item.id:
        raise Refused(GONE)
    return entry


def checked_text(text: str) -> str:
    """What is to be done, as it is kept.

    Raises:
        Refused: It is empty or too long.
    """
    text = " ".join(text.split())
    if not text:
        raise Refused("Enter what is to be done.")
    if len(text) > LONGEST:
        raise Refused(f"Enter at most {LONGEST} characters; longer things belong into a comment.")
    return text


def add(session: Session, item: ActionItem, text: str, by: User, now: datetime) -> ChecklistEntry:
    """Add an entry behind all others.

    Raises:
        Refused: It is empty or too long; there are too many; or the complaint was merged or dismissed.
    """
    demand_living(item)
    text = checked_text(text)
    entries = checklist(session, item).entries
    if len(entries) >= MOST:
        raise Refused(f"A checklist has at most {MOST} entries. Delete some that are done first.")
    entry = ChecklistEntry(
        action_item_id=item.id, text=text, position=max((each.position for each in entries), default=-1) + 1
    )
    session.add(entry)
    note(session, item, "checklist", f"Checklist: added “{text}”.", by, now)
    return entry


def set_done(session: Session, item: ActionItem, entry: ChecklistEntry, done: bool, by: User, now: datetime) -> None:
    """Tick an entry, or untick it. Nothing happens where it stands so already."""
    demand_living(item)
    if (entry.done_at is not None) == done:
        return
    entry.done_at, entry.done_by = (now, by) if done else (None, None)
    text = f"Checklist: “{entry.text}” is {'done' if done else 'open again'}."
    note(session, item, "checklist", text, by, now)


def rename(
    session: Session, item: ActionItem, entry: ChecklistEntry, text: str, was: str | None, by: User, now: datetime
) -> None:
    """Write an entry anew.

    Args:
        text: How it is to read.
        was: How it read when the form was made; None to change it whatever it reads now.

    Raises:
        Overtaken: It reads differently meanwhile.
        Refused: The text is empty or too long.
    """
    demand_living(item)
    if was is not None and was != entry.text:
        raise Overtaken(f"Somebody changed this entry meanwhile. It reads now: “{entry.text}”.")
    text = checked_text(text)
    if text == entry.text:
        return
    before, entry.text = entry.text, text
    note(session, item, "checklist", "Checklist: an entry was changed.", by, now, changes=[["Entry", before, text]])


def move(session: Session, item: ActionItem, entry: ChecklistEntry, step: int) -> None:
    """Let an entry stand earlier (-1) or later (1). At the ends nothing changes; the history says nothing of it."""
    demand_living(item)
    order = list(checklist(session, item).entries)
    place = order.index(entry)
    target = place + step
    if 0 <= target < len(order):
        order[place], order[target] = order[target], order[place]
    for position, each in enumerate(order):
        each.position = position


def delete(session: Session, item: ActionItem, entry: ChecklistEntry, by: User, now: datetime) -> None:
    """Take an entry away; the history keeps its text."""
    demand_living(item)
    session.delete(entry)
    note(session, item, "checklist", f"Checklist: deleted “{entry.text}”.", by, now)
