"""Verbs on the links of an action item: issues in trackers outside, and files by their address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import User
from feedback_loop.actions.models import ActionItem, ItemLink, LinkKind
from feedback_loop.actions.service import Refused, demand_living, note

LONGEST_URL = 1000
LONGEST_TITLE = 200
MOST = 50
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f]")


class BadAddress(Refused):
    """What is wrong with the address of a link."""


def links(session: Session, item: ActionItem) -> Sequence[ItemLink]:
    """The links of an item, the oldest first; there are few."""
    return session.scalars(
        select(ItemLink)
        .where(ItemLink.action_item_id == item.id)
        .options(joinedload(ItemLink.created_by))
        .order_by(ItemLink.id)
    ).all()


def link_of(session: Session, item: ActionItem, link_id: int) -> ItemLink:
    """One link.

    Raises:
        Refused: The item has no such link any more.
    """
    link = session.get(ItemLink, link_id)
    if link is None or link.action_item_id != item.id:
        raise Refused("That link is gone: somebody deleted it.")
    return link


def checked_url(url: str) -> str:
    """An address as it is kept.

    Raises:
        BadAddress: It is none that a browser opens, is too long, or holds a password.
    """
    url = url.strip()
    if not url:
        raise BadAddress("Enter an address.")
    if len(url) > LONGEST_URL:
        raise BadAddress(f"Enter an address of at most {LONGEST_URL:,} characters.")
    if _UNSEEN.search(url):
        raise BadAddress("Enter an address without spaces.")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BadAddress("Enter an address such as https://tracker.example.com/issues/42.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadAddress("Enter an address that begins with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("Enter the address without a user name or password in it: everybody here can read it.")
    return url


def title_from(url: str) -> str:
    """What a link without a title is called: its host and the end of its path."""
    parts = urlsplit(url)
    last = parts.path.rstrip("/").rpartition("/")[2]
    return f"{parts.hostname} … {last}"[:LONGEST_TITLE] if last else str(parts.hostname)[:LONGEST_TITLE]


def add(session: Session, item: ActionItem, url: str, title: str, kind: LinkKind, by: User, now: datetime) -> ItemLink:
    """Add a link.

    Args:
        url: Where it leads.
        title: What it is called; empty to take it from the address.
        kind: What it leads to.

    Raises:
        BadAddress: The address is unusable, or there already.
        Refused: The title is too long; there are too many; or the complaint was merged or dismissed.
    """
    demand_living(item)
    url, title = checked_url(url), " ".join(title.split())
    if len(title) > LONGEST_TITLE:
        raise Refused(f"Enter a title of at most {LONGEST_TITLE} characters.")
    there = links(session, item)
    if any(each.url == url for each in there):
        raise BadAddress("This address is linked here already.")
    if len(there) >= MOST:
        raise Refused(f"An item has at most {MOST} links. Delete some first, or link a page that lists them.")
    link = ItemLink(
        action_item_id=item.id, kind=kind, url=url, title=title or title_from(url), created_by=by, created_at=now
    )
    session.add(link)
    note(session, item, "link", f"Linked “{link.title}”.", by, now, url=url)
    return link


def delete(session: Session, item: ActionItem, link: ItemLink, by: User, now: datetime) -> None:
    """Take a link away; the history keeps where it led."""
    demand_living(item)
    session.delete(link)
    note(session, item, "link", f"Deleted the link “{link.title}”.", by, now, url=link.url)
