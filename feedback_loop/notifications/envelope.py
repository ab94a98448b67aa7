"""The address on the envelope of a mail, which says by itself which mail came back: one for each (VERP)."""

from __future__ import annotations

import hmac
import re
from email.utils import parseaddr

from feedback_loop import tokens
from feedback_loop.settings import Settings

PURPOSE = "envelope"
SIGNATURE = 16  # hex digits; with them the part before the @ stays well below the 64 characters a mail server takes
OURS = re.compile(r"(?P<box>.+)\+(?P<id>\d{1,18})\.(?P<signature>[0-9a-f]{16})@(?P<domain>[^@]+)", re.ASCII)


def sender(settings: Settings, notification_id: int) -> str:
    """The envelope sender, and Reply-To, of one mail.

    Args:
        settings: `inbound_address` is the mailbox at which mails come back, `secret_key` signs. Without such a mailbox
            it is the address of `mail_from`, as for any mail.
        notification_id: Whose mail it is.
    """
    if not settings.inbound_address:
        return parseaddr(settings.mail_from)[1]
    box, _, domain = settings.inbound_address.rpartition("@")
    return f"{box}+{notification_id}.{signature(settings, notification_id)}@{domain}"


def read(settings: Settings, address: str) -> int | None:
    """Which mail an address that `sender` wrote belongs to, or None when we did not write it. Mail servers may change
    the case of an address."""
    found = OURS.fullmatch(address.strip().lower())
    if found is None:
        return None
    number = int(found["id"])
    expected = f"{found['box']}@{found['domain']}" == settings.inbound_address.lower()
    if not expected or not hmac.compare_digest(found["signature"], signature(settings, number)):
        return None
    return number


def signature(settings: Settings, notification_id: int) -> str:
    """What nobody but us can write behind a number."""
    return tokens.hashed(tokens.derive(settings.secret_key, PURPOSE, str(notification_id)))[:SIGNATURE]
