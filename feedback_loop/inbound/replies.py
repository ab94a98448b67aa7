"""What follows from a person's answer to a mail."""

from __future__ import annotations

from datetime import datetime
from email.utils import parseaddr

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionItem
from feedback_loop.actions.notices import concerned, tell
from feedback_loop.actions.service import goes_on_in, note
from feedback_loop.analysis.redaction import redact
from feedback_loop.followups.telling import leads_of, shortened
from feedback_loop.inbound.bounces import closure_about
from feedback_loop.inbound.models import InboundMail
from feedback_loop.inbound.reading import Kind, Reading
from feedback_loop.inbound.words import is_stop, own_words
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import is_test, is_to_staff
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.settings import Settings

REPLY = "reply"  # kind of the entry in an item's history, and of the notice
NO_WORDS = "(no words)"
MOST = 20  # replies to one mail; what comes after is a program that says so nowhere


def said(reading: Reading, language: str, settings: Settings) -> str:
    """What a person wrote, redacted; may be empty."""
    box, _, domain = settings.inbound_address.rpartition("@")
    ours = [parseaddr(settings.mail_from)[1], f"{box}+" if domain else ""]
    words = own_words(reading.words, language, ours)[: settings.comment_limit]
    return redact(words, settings.phone_region or None).text


def asks_to_stop(reading: Reading, words: str) -> bool:
    """Whether a reply as a whole asks for no more mail."""
    return is_stop(words) or (not words and not reading.attachments and is_stop(reading.subject))


def answered(
    session: Session,
    mail: InboundMail,
    row: Notification,
    reading: Reading,
    words: str,
    now: datetime,
) -> str:
    """Bring a reply to whom it concerns: into the history of the item the mail was about, else into the list of
    replies. One that as a whole says "stop" unsubscribes, as the link in the mail would.

    Args:
        mail: What came in, to be completed.
        row: What it answers.
        reading: How it was read.
        words: The person's own, redacted.
        now: The present moment.

    Returns:
        What was done, in words.
    """
    is_customer = not is_to_staff(row) and not is_test(row)
    if is_customer and asks_to_stop(reading, words):
        mail.kind = Kind.STOP
        suppress(session, row.address, "Asked for it in a reply.", now, because_of=row)
        return "No more mail about feedback goes to this address."
    mail.attachments = min(reading.attachments, 999)
    earlier = select(func.count()).where(InboundMail.notification_id == row.id, InboundMail.kind == Kind.REPLY)
    if (session.scalar(earlier.where(InboundMail.id != mail.id)) or 0) >= MOST:
        mail.kind = Kind.AUTO_REPLY
        return f"The mail had {MOST} replies already, so this is taken for a program."
    closure = closure_about(session, row) if is_customer else None
    if closure is None:
        mail.words = words or NO_WORDS
        return "It stands among the replies."
    item = goes_on_in(session, closure.action_item)
    mail.action_item_id = item.id
    note(
        session, item, REPLY, words or NO_WORDS, None, now, attachments=mail.attachments, to=row.kind, mail_id=mail.id
    )  # fmt: skip
    told = f"A customer answered by mail: {as_told(words or NO_WORDS)}"
    tell(session, hearers(session, item), item, REPLY, told, now)
    return "It stands in the history of the item."


def as_told(words: str) -> str:
    """A reply as colleagues are told of it."""
    return f"“{shortened(words)}”"


def hearers(session: Session, item: ActionItem) -> set[int | None]:
    """Who hears of a reply: the owner and those who watch, or the leads where nobody does."""
    found = concerned(session, item) - {None}
    return found or leads_of(session, item)
