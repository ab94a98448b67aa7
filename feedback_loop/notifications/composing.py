"""How the mail of a message is written: the same for each attempt."""

from __future__ import annotations

import re
from datetime import datetime

from feedback_loop import mail, tokens
from feedback_loop.notifications import envelope
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.models import Notification
from feedback_loop.settings import Settings

PURPOSE = "notification"
TOKEN = re.compile(r"\{token(?::([a-z]+):([0-9a-f]+))?\}")
MOMENTS = ("said_at", "until", "effective_from", "asks_at")


def key_of(notification: Notification) -> str:
    """What tells a mail from all others, also in a repeat: the first half of its message id."""
    return notification.message_id[1:].partition("@")[0]


def token_of(notification: Notification, settings: Settings) -> str:
    """The token in a mail's links, derived again from its message id."""
    return tokens.derive(settings.secret_key, PURPOSE, key_of(notification))


def is_to_staff(notification: Notification) -> bool:
    """Whether a message is about a colleague's work, who chooses under "My mails" what comes. A test of a customer's
    mail, sent to a colleague, is not: it looks as customers get it."""
    return notification.rank == Rank.STAFF


def is_test(notification: Notification) -> bool:
    """Whether a message is a customer's mail that a colleague sent to themselves."""
    return notification.rank == Rank.TEST


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
    thread = data.pop("thread", "")
    data.pop("hours", None)
    links = {name: settings.public_url + TOKEN.sub(written, path) for name, path in data.pop("links", {}).items()}
    for name in MOMENTS:
        if data.get(name):
            data[name] = datetime.fromisoformat(data[name])
    can_unsubscribe = not is_to_staff(notification) and not is_test(notification)
    if can_unsubscribe:
        links["unsubscribe_url"] = f"{settings.public_url}/u/{own}"
    elif is_test(notification):
        # A colleague who tries the link of a test must not stop what customers with their address would get.
        links.setdefault("unsubscribe_url", settings.public_url)
    subject, text, html = mail.render(
        notification.kind, {**data, **links, "name": notification.name, "company": settings.company_name}, language
    )
    headers = {}
    if can_unsubscribe:
        # RFC 2369 and RFC 8058: the mail program's own unsubscribe button, which needs no page and no sign-in.
        headers["List-Unsubscribe"] = f"<{links['unsubscribe_url']}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    if settings.idempotency_header:
        headers[settings.idempotency_header] = key_of(notification)
    is_draft = notification.id is None  # a preview, which nothing can come back to
    back = "" if is_draft else envelope.sender(settings, notification.id)
    return mail.Message(
        notification.address,
        notification.name,
        subject,
        text,
        html,
        notification.message_id,
        headers,
        envelope=back,
        reply_to=back if settings.inbound_address else "",
        thread=thread_id(notification, thread) if thread and not is_draft else "",
    )


def thread_id(notification: Notification, thread: str) -> str:
    """The message id under which the mails of one thread to one person are gathered, such as
    `<item-12.customer-7@example.com>`. No mail bears it, so that it does not matter which comes first."""
    domain = notification.message_id.rpartition("@")[2]
    return f"<{thread}.{notification.recipient.replace(':', '-')}@{domain}"
