"""Verbs on messages: owe them, write them, send them, stop them."""

from __future__ import annotations

import itertools
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop import mail, tokens
from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.claims import Claim, claim, still_ours
from feedback_loop.notifications.budget import BUDGETED, Budget, Rank, refusal
from feedback_loop.notifications.hours import Hours, next_open
from feedback_loop.notifications.models import Notification, NotificationState, Suppression
from feedback_loop.notifications.queries import contacts, suppressed
from feedback_loop.settings import Settings

log = logging.getLogger(__name__)

PURPOSE = "notification"
BATCH = 20
BACKOFF_MINUTES = (1, 5, 15, 30, 60, 120, 240, 480)
GIVE_UP_AFTER = timedelta(hours=72)
CHANNEL_PAUSE = timedelta(minutes=1)
TOKEN = re.compile(r"\{token(?::([a-z]+):([0-9a-f]+))?\}")
MOMENTS = ("said_at", "until")


@dataclass(frozen=True)
class Owed:
    """A message to be owed to one person.

    Attributes:
        recipient: Who, such as `customer:7`.
        address: Mail address.
        name: Name, may be empty.
        data: What the templates need beside name, company and links. `data["links"]` maps names to paths in which
            `{token}` stands for the mail's own token, and `{token:PURPOSE:IDENTIFIER}` for that of another thing, so
            that several mails can carry one link; `data["language"]` is the person's, may be missing.
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
                    "data": {**each.data, "hours": each.hours.as_list()} if each.hours else dict(each.data),
                    "rank": int(rank),
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
    own = token_of(notification, settings) if token is None else token

    def written(found: re.Match[str]) -> str:
        purpose, identifier = found.groups()
        return tokens.derive(settings.secret_key, purpose, identifier) if purpose and token is None else own

    data = dict(notification.data)
    language = data.pop("language", "")
    data.pop("hours", None)
    links = {name: settings.public_url + TOKEN.sub(written, path) for name, path in data.pop("links", {}).items()}
    for name in MOMENTS:
        if data.get(name):
            data[name] = datetime.fromisoformat(data[name])
    links["unsubscribe_url"] = f"{settings.public_url}/u/{own}"
    subject, text, html = mail.render(
        notification.kind, {**data, **links, "name": notification.name, "company": settings.company_name}, language
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
    sessions: Sessions,
    settings: Settings,
    clock: Callable[[], datetime],
    transport: mail.Transport | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Delivery:
    """Send what is due until nothing is, or the mail server takes no more.

    Each message is claimed with a lease, sent with no transaction open, and marked in a transaction of its own. A
    worker that dies between sending and marking leaves the message to be sent once more with the same Message-ID; one
    that was marked is never sent again.

    Args:
        sessions: Maker of sessions.
        settings: For the mail server.
        clock: Called for the present moment.
        transport: Stands in for the one the settings name.
        stop: Asked before each message whether to leave the rest to others.
    """
    lease = timedelta(seconds=max(60, 4 * settings.smtp_timeout))
    delivery = Delivery()
    with transport or mail.transport(settings) as channel:
        while not delivery.channel_down and not stop():
            with sessions.begin() as session:
                now = clock()
                due = [Notification.state == NotificationState.PENDING, Notification.next_at <= now]
                order = [Notification.rank, Notification.next_at, Notification.id]
                claims = claim(session, Notification, due, order, BATCH, now, lease)
            if not claims:
                break
            deadline = time.monotonic() + (lease - timedelta(seconds=settings.smtp_timeout)).total_seconds()
            for place, each in enumerate(claims):
                if time.monotonic() > deadline:
                    break  # the rest of the batch would outlive its lease: whoever claims it next sends it
                if stop():
                    release(sessions, claims[place:], clock(), "")
                    break
                try:
                    deliver(sessions, settings, each, channel, clock, delivery)
                except mail.ChannelDown as error:
                    delivery.channel_down = str(error)
                    # This mail may be why, unless the server was not to be had at all; those behind it are not.
                    blameless = place if isinstance(error, mail.Unreachable) else place + 1
                    if blameless > place:
                        put_off(sessions, each, str(error), clock())
                    release(sessions, claims[blameless:], clock() + CHANNEL_PAUSE, str(error))
                    break
    return delivery


def deliver(
    sessions: Sessions,
    settings: Settings,
    each: Claim,
    channel: mail.Transport,
    clock: Callable[[], datetime],
    delivery: Delivery,
) -> None:
    """Send one claimed message and write what became of it.

    Looked at again right before it is sent: its closing may have been taken back, or the person have asked for no more
    mail, since the batch was claimed.

    Raises:
        ChannelDown: The server takes no more mail.
    """
    with reading(sessions) as session:
        row = session.scalar(select(Notification).where(Notification.id == each.id, Notification.fence == each.fence))
        if row is None:
            return
        no_mail = bool(suppressed(session, [row.address]))
    if tokens.hashed(token_of(row, settings)) != row.token_hash:
        # Another key than the one it was owed under: its links would lead nowhere.
        raise mail.Unreachable("SECRET_KEY is not the one this message was written under; restore it.")
    if no_mail:
        mark(sessions, each, {"state": NotificationState.SKIPPED, "reason": "This person asked for no more mail."})
        delivery.skipped += 1
        return
    if row.data.get("hours"):
        now = clock()
        opens = next_open(now, Hours.read(row.data["hours"]))
        if opens > now:  # it waited for the mail server into the quiet hours
            release(sessions, [each], opens, "")
            delivery.later += 1
            return
    if not let_through(sessions, settings, each, row, clock()):
        delivery.skipped += 1
        return
    try:
        channel.send(compose(row, settings), clock())
    except mail.ChannelDown:
        raise
    except mail.Refused as error:
        mark(sessions, each, {"state": NotificationState.FAILED, "reason": str(error)[:500]})
        delivery.failed += 1
    except Exception as error:
        # Whatever goes wrong with one message must not hold up those behind it.
        if not isinstance(error, mail.TryLater):
            log.exception("Notification %d could not be sent.", each.id)
        put_off(sessions, each, str(error) or type(error).__name__, clock())
        delivery.later += 1
    else:
        record_sent(sessions, each, clock())
        delivery.sent += 1


def let_through(sessions: Sessions, settings: Settings, each: Claim, row: Notification, now: datetime) -> bool:
    """Ask the contact budget about one claimed message, and write its answer: a place taken, or the reason of none.

    All messages that wait for one address are locked meanwhile, so that of two workers with one for each the second
    sees what the first has taken.
    """
    budget = Budget(settings.contact_limit, settings.contact_days)
    if row.rank not in BUDGETED or not budget.limit or row.passed_at is not None:
        return True
    with sessions.begin() as session:
        waiting = (Notification.address == row.address, Notification.state == NotificationState.PENDING)
        session.execute(select(Notification.id).where(*waiting).order_by(Notification.id).with_for_update()).all()
        if reason := refusal(Rank(row.rank), contacts(session, row, budget, now), budget):
            still_ours(session, Notification, each, {"state": NotificationState.SKIPPED, "reason": reason})
            return False
        result = session.execute(
            update(Notification)
            .where(Notification.id == each.id, Notification.fence == each.fence)
            .values(passed_at=now)
        )
        return bool(result.rowcount)  # type: ignore[attr-defined]


def record_sent(sessions: Sessions, each: Claim, now: datetime) -> None:
    """Write that a message is out. A fact, whoever holds the row by now: not even a cancelling undoes it."""
    with sessions.begin() as session:
        session.execute(
            update(Notification)
            .where(Notification.id == each.id, Notification.state != NotificationState.SENT)
            .values(state=NotificationState.SENT, sent_at=now, reason="", claimed_until=None)
        )


def put_off(sessions: Sessions, each: Claim, reason: str, now: datetime) -> None:
    """Try one message again later, or give it up when its time is over."""
    with sessions.begin() as session:
        row = session.get_one(Notification, each.id)
        still_ours(session, Notification, each, after_failure(row, reason, now))


def after_failure(row: Notification, reason: str, now: datetime) -> dict[str, Any]:
    """What to write when a mail may pass later: the next attempt, or the end of trying."""
    if now - row.created_at > GIVE_UP_AFTER:
        return {"state": NotificationState.FAILED, "reason": f"Given up after 72 hours: {reason}"[:500]}
    minutes = BACKOFF_MINUTES[min(max(row.attempts, 1), len(BACKOFF_MINUTES)) - 1]
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
