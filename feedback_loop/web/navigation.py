"""The menu of the staff pages."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from flask import url_for


@dataclass(frozen=True)
class Entry:
    """One place in the menu.

    Attributes:
        label: As people read it.
        endpoint: Where it leads; left out where the application has no such page.
        role: The least role that may go there.
        under: Paths that count as being there.
        key: Pressed after `g`, it leads there.
    """

    label: str
    endpoint: str
    role: str
    under: str
    key: str


@dataclass(frozen=True)
class Link:
    """An entry as one page shows it."""

    label: str
    url: str
    is_current: bool
    key: str


ENTRIES = (
    Entry("Home", "reports.home", "viewer", "/", "h"),
    Entry("Complaints", "reports.complaints", "viewer", "/complaints", "c"),
    Entry("Actions", "actions.index", "viewer", "/actions", "a"),
    Entry("Surveys", "reports.surveys", "viewer", "/surveys", "s"),
    Entry("Settings", "accounts.teams", "lead", "/settings", "t"),
    Entry("Mailbox", "mailbox.index", "viewer", "/mailbox", "m"),
)


def is_under(path: str, place: str) -> bool:
    """Whether a path lies at or below a place; the root holds only itself."""
    return path == place or (place != "/" and path.startswith(place + "/"))


def links(allowed: Callable[[str], bool], endpoints: Collection[str], path: str) -> list[Link]:
    """The entries one person sees on one page.

    Args:
        allowed: Whether the person has at least a role.
        endpoints: Pages the application has.
        path: Of the page being shown.
    """
    return [
        Link(entry.label, url_for(entry.endpoint), is_under(path, entry.under), entry.key)
        for entry in ENTRIES
        if entry.endpoint in endpoints and allowed(entry.role)
    ]
