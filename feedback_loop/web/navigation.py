"""Ways through the staff pages: the menu, and filters and pages that live in the address."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from flask import request, url_for


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
    """An entry as one page shows it. `count` says how many wait there; empty where nobody counts."""

    label: str
    url: str
    is_current: bool
    key: str
    count: str = ""


FARTHEST = 100_000  # a page number is also an offset; nobody turns so many pages
ENTRIES = (
    Entry("Home", "reports.home", "viewer", "/", "h"),
    Entry("Triage", "actions.triage", "lead", "/triage", "r"),
    Entry("Complaints", "reports.complaints", "viewer", "/complaints", "c"),
    Entry("Actions", "actions.index", "viewer", "/actions", "a"),
    Entry("Surveys", "reports.surveys", "viewer", "/surveys", "s"),
    Entry("Settings", "actions.settings_home", "viewer", "/settings", "t"),
    Entry("Mailbox", "mailbox.index", "viewer", "/demo/mailbox", "m"),
)


def is_under(path: str, place: str) -> bool:
    """Whether a path lies at or below a place; the root holds only itself."""
    return path == place or (place != "/" and path.startswith(place + "/"))


def links(
    allowed: Callable[[str], bool],
    endpoints: Collection[str],
    path: str,
    counts: Mapping[str, Callable[[], str]],
) -> list[Link]:
    """The entries one person sees on one page.

    Args:
        allowed: Whether the person has at least a role.
        endpoints: Pages the application has.
        path: Of the page being shown.
        counts: For some of the endpoints, what counts those that wait there.
    """
    return [
        Link(
            entry.label,
            url_for(entry.endpoint),
            is_under(path, entry.under),
            entry.key,
            counts[entry.endpoint]() if entry.endpoint in counts else "",
        )
        for entry in ENTRIES
        if entry.endpoint in endpoints and allowed(entry.role)
    ]


def page_number(name: str = "page") -> int:
    """The page asked for; 1 where the address says nothing sensible."""
    value = request.args.get(name, 1, type=int)
    return min(max(value, 1), FARTHEST)


def same_page(**changes: object) -> str:
    """The address of this page with some filters changed; None or an empty text takes one away."""
    values = {**request.args.to_dict(), **changes}
    kept = {name: value for name, value in values.items() if value not in (None, "")}
    return url_for(request.endpoint or "", **{**(request.view_args or {}), **kept})
