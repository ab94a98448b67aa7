"""Which colleagues hear of what customers said, and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, User
from feedback_loop.actions.models import ActionItem
from feedback_loop.actions.notices import concerned, tell

QUOTED = 10  # comments that stand in the history, at most
LONGEST_QUOTE = 300


def leads_of(session: Session, item: ActionItem) -> set[int | None]:
    """The leads of an item's team; all leads where it has none; admins where nobody leads."""
    leads = select(User.id).where(User.is_active.is_(True), User.role == Role.LEAD)
    for query in (
        leads.where(User.team_id == item.team_id),
        leads,
        select(User.id).where(User.is_active.is_(True), User.role == Role.ADMIN),
    ):
        if found := session.scalars(query).all():
            return set(found)
    return set()


def tell_urgently(session: Session, item: ActionItem, kind: str, text: str, now: datetime) -> None:
    """Tell the owner, those who watch the item, and the leads of its team."""
    people = concerned(session, item) | leads_of(session, item)
    tell(session, people, item, kind, text, now, is_urgent=True)


def in_their_words(comments: Sequence[str]) -> str:
    """Comments as the history quotes them, each in a line of its own; nothing without any."""
    quoted = [f"“{shortened(comment)}”" for comment in comments[:QUOTED]]
    return "\n".join(["", "What they say:", *quoted]) if quoted else ""


def shortened(text: str) -> str:
    """A comment in one line, or its beginning."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE].rsplit(" ", 1)[0] + " …"
