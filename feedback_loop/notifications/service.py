"""Verbs on messages: owe them, write them, send them, stop them."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop import mail, tokens
from feedback_loop.db import Sessions
from feedback_loop.jobs.claims import Claim, claim, still_ours
from feedback_loop.notifications.models import Notification, NotificationState, Suppression
from feedback_loop.notifications.queries import suppressed
from feedback_loop.settings import Settings

PURPOSE = "notification"
BATCH = 20
BACKOFF_MINUTES = (1, 5, 15, 30, 60, 120, 240, 480)
GIVE_UP_AFTER = timedelta(hours=72)
CHANNEL_PAUSE = timedelta(minutes=1)


@dataclass(frozen=True)
class Owed:
    """A message to be owed to one person.

    Attributes:
        recipient: Who, such as `customer:7`.
        address: Mail address.
        name: Name, may be empty.
        data: What the templates need beside name, company and links. `data["links"]` maps names to paths in which
            `{token}` stands for the mail's own token.
    """

    recipient: str
    address: str
    name: str
    data: Mapping[str, Any]


def owe(
    session: Session,
    kind: str,
    event: str,
    messages: Iterable[Owed],
    *,
    next_at: datetime,
    now: datetime,
    settings: Settings,
) -> int:
    """Write down messages that are owed; the worker sends them.

    Args:
        kind: Which mail; its folder under `templates/email`.
        event: What caused them, such as `closure:12`.
        messages: One for each person.
        next_at: Not to be sent before this.
        now: The present moment.
        settings: For the key of the links and the domain of message ids.

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
                    "data": dict(each.data),
                    "message_id": f"<{key}@{domain}>",
                    "token_hash": tokens.hashed(tokens.derive(settings.secret_key, PURPOSE, key)),
                    "created_at": now,
                    "next_at": next_at,
                }
            )
        session.execute(insert(Notification), values)
        count += len(values)
    return count


def token_of(notification: Notification, settings: Settings) -> str:
    """The token in a mail's links, derived again from its message id."""
    return tokens.derive(settings.secret_key, PURPOSE, notification.message_id[1:].partition("@")[0])


def compose(notification: Notification, settings: Settings, token: str | None = None) -> mail.Message:
    """Write the mail of a notification; each attempt writes the same.

    Args:
        notification: What is owed.
        settings: For company name, public address and key.
        token: Stands in for the real token in a preview.
    """
    token = token_of(notification, settings) if token is None else token
    data = dict(notification.data)
    links = {name: settings.public_url + path.replace("{token}", token) for name, path in data.pop("links", {}).items()}
    for name in ("said_at",):
        if data.get(name):
            data[name] = datetime.fromisoformat(data[name])
    links["unsubscribe_url"] = f"{settings.public_url}/u/{token}"
    subject, text, html = mail.render(
        notification.kind, {**data, **links, "name": notification.name, "company": settings.company_name}
    )
    headers = {
        # RFC 2369 and RFC 8058: the mail program's own unsubscribe button, which needs no page and no sign-in.
        "List-Unsubscribe": f"<{links['unsubscribe_url']}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    return mail.Message(notification.address, notification.name, subject, text, html, notification.message_id, headers)


@dataclass
class Delivery:
    """What one drain of the outbox did. Counts of messages."""

    sent: int = 0
    later: int = 0
    failed: int = 0
    skipped: int = 0
    channel_down: str = ""


def drain_outbox(
    sessions: Sessions, settings: Settings, clock: Any, transport: mail.Transport | None = None
) -> Delivery:
    """Send what is due until nothing is, or the mail server takes no more.

    Each message is claimed with a lease, sent with no transaction open, and marked in a transaction of its own. A
    worker that dies between sending and marking leaves the message to be sent once more with the same Message-ID;
    one that was marked is never sent again.

    Args:
        sessions: Maker of sessions.
        settings: For the mail server.
        clock: Called for the present moment.
        transport: Stands in for the one the settings name.
    """
    lease = timedelta(seconds=max(60, 4 * settings.smtp_timeout))
    delivery = Delivery()
    with transport or mail.transport(settings) as channel:
        while not delivery.channel_down:
            with sessions.begin() as session:
                now = clock()
                due = [Notification.state == NotificationState.PENDING, Notification.next_at <= now]
                claims = claim(session, Notification, due, [Notification.next_at, Notification.id], BATCH, now, lease)
                if not claims:
                    break
                rows = {
                    row.id: row
                    for row in session.scalars(select(Notification).where(Notification.id.in_([c.id for c in claims])))
                }
                no_mail = suppressed(session, {row.address for row in rows.values()})
            deadline = time.monotonic() + (lease - timedelta(seconds=settings.smtp_timeout)).total_seconds()
            for each in claims:
                if time.monotonic() > deadline:
                    break  # the rest of the batch would outlive its lease: whoever claims it next sends it
                row = rows[each.id]
                if row.address in no_mail:
                    mark(
                        sessions,
                        each,
                        {"state": NotificationState.SKIPPED, "reason": "This person asked for no more mail."},
                    )
                    delivery.skipped += 1
                    continue
                try:
                    channel.send(compose(row, settings), clock())
                except mail.ChannelDown as error:
                    delivery.channel_down = str(error)
                    release(
                        sessions,
                        [c for c in claims if c.id not in done_ids(claims, each)],
                        clock() + CHANNEL_PAUSE,
                        str(error),
                    )
                    break
                except mail.TryLater as error:
                    mark(sessions, each, after_failure(row, str(error), clock()))
                    delivery.later += 1
                except mail.Refused as error:
                    mark(sessions, each, {"state": NotificationState.FAILED, "reason": str(error)[:500]})
                    delivery.failed += 1
                else:
                    mark(sessions, each, {"state": NotificationState.SENT, "sent_at": clock(), "reason": ""})
                    delivery.sent += 1
    return delivery


def done_ids(claims: list[Claim], current: Claim) -> set[int]:
    """Ids of the claims that came before the current one."""
    return {c.id for c in itertools.takewhile(lambda c: c.id != current.id, claims)}


def after_failure(row: Notification, reason: str, now: datetime) -> dict[str, Any]:
    """What to write when a mail may pass later: the next attempt, or the end of trying."""
    if now - row.created_at > GIVE_UP_AFTER:
        return {"state": NotificationState.FAILED, "reason": f"Given up after 72 hours: {reason}"[:500]}
    minutes = BACKOFF_MINUTES[min(row.attempts, len(BACKOFF_MINUTES)) - 1]
    return {"next_at": now + timedelta(minutes=minutes), "reason": reason[:500]}


def mark(sessions: Sessions, each: Claim, values: dict[str, Any]) -> None:
    """Write what became of one message, in a transaction of its own."""
    with sessions.begin() as session:
        still_ours(session, Notification, each, values)


def release(sessions: Sessions, claims: list[Claim], next_at: datetime, reason: str) -> None:
    """Let claims go unused: the server was not to be had, which costs no attempt and blames nobody."""
    with sessions.begin() as session:
        for each in claims:
            values = {"next_at": next_at, "reason": reason[:500], "attempts": Notification.attempts - 1}
            still_ours(session, Notification, each, values)


def cancel(session: Session, event: str, reason: str) -> int:
    """Skip what an event still owes. A message that is being sent at this moment is not stopped.

    Returns:
        How many messages will not be sent.
    """
    return session.execute(  # type: ignore[attr-defined, no-any-return]
        update(Notification)
        .where(Notification.event == event, Notification.state == NotificationState.PENDING)
        .values(state=NotificationState.SKIPPED, reason=reason, fence=Notification.fence + 1)
    ).rowcount


def suppress(session: Session, address: str, reason: str, now: datetime) -> None:
    """Write no more to this address. Repeating it changes nothing."""
    address = address.strip().lower()
    if address in suppressed(session, [address]):
        return
    try:
        with session.begin_nested():
            session.execute(insert(Suppression).values(address=address, reason=reason, created_at=now))
    except IntegrityError:
        pass  # another request was first
