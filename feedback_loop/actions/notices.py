"""What colleagues should hear of an action item."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.actions.models import ActionItem, Notice, Watcher

LONGEST = 500


def tell(
    session: Session,
    people: Iterable[int | None],
    item: ActionItem,
    kind: str,
    text: str,
    now: datetime,
    by: User | None = None,
    is_urgent: bool = False,
) -> list[Notice]:
    """Note for some colleagues what happened; the worker mails it.

    Args:
        people: Their ids, in any number; None and repeats are passed over, and so is whoever did it.
        item: What it is about.
        kind: In a word, such as `mention` or `overdue`.
        text: A sentence.
        now: The present moment.
        by: Who did it, if a person did.
        is_urgent: Whether it cannot wait for the mail of the day.

    Returns:
        The notices; they have ids once the session is flushed.
    """
    made = [
        Notice(user_id=user_id, action_item_id=item.id, kind=kind, text=text[:LONGEST], at=now, is_urgent=is_urgent)
        for user_id in sorted({each for each in people if each is not None} - {by.id if by else None})
    ]
    session.add_all(made)
    return made


def concerned(session: Session, item: ActionItem) -> set[int | None]:
    """Who hears of an item: its owner, and those who watch it."""
    watchers = session.scalars(select(Watcher.user_id).where(Watcher.action_item_id == item.id))
    return {item.owner_id, *watchers}
