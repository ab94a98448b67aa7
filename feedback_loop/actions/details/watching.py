"""Verbs on who watches an action item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import User
from feedback_loop.actions.models import ActionItem, Watcher
from feedback_loop.actions.notices import tell
from feedback_loop.actions.service import Refused, note
from feedback_loop.db import insert_missing


def watchers(session: Session, item: ActionItem) -> Sequence[User]:
    """Those who watch an item, by name."""
    rows = session.scalars(
        select(Watcher)
        .where(Watcher.action_item_id == item.id)
        .join(User, User.id == Watcher.user_id)
        .options(joinedload(Watcher.user))
        .order_by(User.name, User.id)
    )
    return [row.user for row in rows]


def watch(session: Session, item: ActionItem, people: Iterable[int], now: datetime) -> None:
    """Let people hear of what happens to an item. Who watches already goes on."""
    insert_missing(
        session,
        Watcher,
        [{"action_item_id": item.id, "user_id": each, "created_at": now} for each in sorted(set(people))],
    )


def unwatch(session: Session, item: ActionItem, user: User) -> None:
    """Let a person hear no more of it. Mentioning them makes them watch again."""
    session.execute(delete(Watcher).where(Watcher.action_item_id == item.id, Watcher.user_id == user.id))


def add_watcher(session: Session, item: ActionItem, user: User, by: User, now: datetime) -> None:
    """Let somebody else hear of an item, and tell them.

    Raises:
        Refused: They are no longer active.
    """
    if not user.is_active:
        raise Refused(f"{user.name} is not active any more and would hear of nothing.")
    watch(session, item, [user.id], now)
    note(session, item, "watchers", f"{user.name} watches this now.", by, now)
    tell(session, [user.id], item, "watching", f"{by.name} lets you watch this.", now, by)
