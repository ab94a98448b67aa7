"""Tags that customers tick, in the context of an answer: `{"tags": ["Delivery", "Price"]}`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TAGS = "tags"


def named(context: dict[str, Any]) -> list[str]:
    """The tags that a context names: as a list, or as a link writes them, with commas."""
    found = context.get(TAGS) or []
    parts = found if isinstance(found, list) else str(found).split(",")
    return [text for part in parts if (text := str(part).strip())]


def with_tags(context: dict[str, Any], known: Sequence[str], ticked: Sequence[str]) -> dict[str, Any]:
    """A context with the ticked tags. Others, which a link brought, stay beside them.

    Args:
        context: Where the customer comes from.
        known: Tags that count only if they are ticked, whatever the context says: those of the survey where an answer
            is changed, none where it is new.
        ticked: Those that were ticked.
    """
    before = named(context)
    if not ticked and not any(tag in known for tag in before):
        return context
    tags = list(dict.fromkeys([*(tag for tag in before if tag not in known), *ticked]))
    return {name: value for name, value in context.items() if name != TAGS} | ({TAGS: tags} if tags else {})
