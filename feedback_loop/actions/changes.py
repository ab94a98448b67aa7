"""What a change changed, for the history; and what changed since a page was made, for whoever sends a form from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.deadlines import in_words
from feedback_loop.actions.models import ActionEvent, ActionItem
from feedback_loop.actions.transitions import WORDS

LOOKED_AT = 100


def moment(value: datetime | None) -> str:
    """`1 Mar 2030, 23:59 UTC`, or that there is none."""
    return "no date" if value is None else in_words(value)


def standing(item: ActionItem) -> dict[str, str]:
    """What people may change of an item, in words, by the word for it. Take it before a change."""
    return {
        "Status": WORDS[item.status],
        "Team": item.team.name,
        "Owner": item.owner.name if item.owner else "nobody yet",
        "Priority": item.priority.value,
        "Due": moment(item.due_at),
        "Waiting for": item.waiting_for or "nothing",
        "Service level": item.service_level.name if item.service_level else "the default",
    }


def changed(before: Mapping[str, str], item: ActionItem) -> dict[str, list[list[str]]]:
    """What is different now, as data for `service.note`.

    Args:
        before: What `standing` gave before the change.

    Returns:
        Under `changes` a list of what it is, what it was and what it became; empty where all is as it was.
    """
    after = standing(item)
    found = [[what, before[what], now] for what, now in after.items() if before[what] != now]
    return {"changes": found} if found else {}


def since(session: Session, item: ActionItem, version: int | None) -> Sequence[ActionEvent]:
    """What others changed after the page was made from which a form comes, the oldest first.

    Comments, the checklist and links do not count: they overwrite nothing. Nor do priorities that the program works
    out anew with each statement: whoever is writing would be disturbed every minute.

    Args:
        version: Of the item, as the form carries it; None for a form that carries none.
    """
    if version is None or version >= item.version:
        return []
    newest = session.scalars(
        select(ActionEvent)
        .where(ActionEvent.action_item_id == item.id)
        .options(joinedload(ActionEvent.by))
        .order_by(ActionEvent.id.desc())
        .limit(LOOKED_AT)
    ).all()
    return [each for each in reversed(newest) if each.data.get("version", 0) > version and is_conflict(each)]


def is_conflict(event: ActionEvent) -> bool:
    """Whether somebody who writes meanwhile has to know of it."""
    return event.by_id is not None or event.kind != "priority"
