"""Verbs on messages that are owed: write them down, and take back what is not sent yet."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from typing import Any

from sqlalchemy import ColumnElement, insert, update
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.jobs.bell import ring
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.composing import PURPOSE
from feedback_loop.notifications.hours import Hours
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.settings import Settings


@dataclass(frozen=True)
class Owed:
    """A message to be owed to one person.

    Attributes:
        recipient: Who, such as `customer:7`.
        address: Mail address.
        name: Name, may be empty.
        data: What the templates need beside name, company and links. `data["links"]` maps names to paths in which
            `{token}` stands for the mail's own token, and `{token:PURPOSE:IDENTIFIER}` for that of another thing, so
            that several mails can carry one link; `data["language"]` is the person's, may be missing;
            `data["thread"]` is what the mail is about, such as `item-12`: mail programs show the mails of one thread to
            one person together.
        hours: When it may go out, by the recipient's clock; any time by default.
    """

    recipient: str
    address: str
    name: str
    data: Mapping[str, Any]
    hours: Hours | None = None


def owe(
    session: Session,
    kind: str,
    event: str,
    messages: Iterable[Owed],
    *,
    next_at: datetime,
    now: datetime,
    settings: Settings,
    rank: Rank = Rank.OWED,
) -> int:
    """Write down messages that are owed; the worker sends them.

    Args:
        kind: Which mail; its folder under `templates/email`.
        event: What caused them, such as `closure:12`.
        messages: One for each person.
        next_at: Not to be sent before this.
        now: The present moment.
        settings: For the key of the links and the domain of message ids.
        rank: Which go first, and which give way to the contact budget.

    Returns:
        How many were written.
    """
    domain = parseaddr(settings.mail_from)[1].rpartition("@")[2]
    count = 0
    rows = iter(messages)
    while chunk := list(itertools.islice(rows, 500)):
        values = []
        for each in chunk:
            key = uuid.uuid4().hex
            values.append(
                {
                    "kind": kind,
                    "event": event,
                    "recipient": each.recipient,
                    "address": each.address,
                    "name": each.name,
                    "data": kept(each),
                    "rank": int(rank),
                    "message_id": f"<{key}@{domain}>",
                    "token_hash": tokens.hashed(tokens.derive(settings.secret_key, PURPOSE, key)),
                    "created_at": now,
                    "next_at": next_at,
                }
            )
        session.execute(insert(Notification), values)
        count += len(values)
    if count and next_at <= now:
        ring(session, "send mail")
    return count


def kept(message: Owed) -> dict[str, Any]:
    """The data of a message as its row keeps them."""
    return {**message.data, "hours": message.hours.as_list()} if message.hours else dict(message.data)


def cancel(session: Session, event: str, reason: str) -> int:
    """Skip what an event still owes. A message that is being sent at this moment is not stopped.

    Returns:
        How many messages will not be sent.
    """
    return skip(session, Notification.event == event, reason)


def cancel_to(session: Session, recipient: str, reason: str) -> int:
    """Skip what is still owed to one recipient, whatever caused it. See `cancel`.

    Returns:
        How many messages will not be sent.
    """
    return skip(session, Notification.recipient == recipient, reason)


def skip(session: Session, which: ColumnElement[bool], reason: str) -> int:
    """Skip those of some messages that are still owed; a worker that holds one finds its fence changed."""
    return session.execute(  # type: ignore[attr-defined, no-any-return]
        update(Notification)
        .where(which, Notification.state == NotificationState.PENDING)
        .values(state=NotificationState.SKIPPED, reason=reason, fence=Notification.fence + 1)
    ).rowcount
