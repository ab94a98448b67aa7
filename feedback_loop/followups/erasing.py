"""Taking what a customer wrote of a fix out of histories and messages: they erased it, or said something else since."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.audience.groups import around
from feedback_loop.actions.colleagues.mails import DIGEST, NEWS
from feedback_loop.actions.models import ActionEvent, Notice
from feedback_loop.actions.notices import LONGEST
from feedback_loop.followups.models import FollowUp
from feedback_loop.followups.telling import shortened
from feedback_loop.notifications.models import Notification

ERASED_WORDS = "[erased by the customer]"
TAKEN_BACK = "[taken back by the customer]"


def forget_comments(session: Session, customer_id: int, closure_ids: Collection[int]) -> None:
    """Take out what a customer wrote when they said whether some closings helped. Yes and no stay: they were counted,
    and items were verified or reopened because of them."""
    rows = session.scalars(
        select(FollowUp)
        .where(FollowUp.customer_id == customer_id, FollowUp.closure_id.in_(closure_ids), FollowUp.comment != "")
        .with_for_update()
    )
    for row in rows.all():
        before, row.comment = row.comment, ""
        quote_instead(session, row, before, ERASED_WORDS)
    session.flush()


def quote_anew(session: Session, row: FollowUp, before: str) -> None:
    """Quote what a customer writes of a fix now wherever their earlier words stand, so that those are kept nowhere and
    what is erased one day is all there is.

    Args:
        row: With what they write now; its item is locked.
        before: What they had written.
    """
    if before and before != row.comment:
        quote_instead(session, row, before, f"“{shortened(row.comment)}”" if row.comment else TAKEN_BACK)


def quote_instead(session: Session, row: FollowUp, before: str, instead: str) -> None:
    """Let something else stand where a customer's words were quoted."""
    quote = f"“{shortened(before)}”"
    items = around(session, row.closure.action_item).item_ids
    forget_in_histories(session, items, quote, instead)
    forget_in_notices(session, items, quote, instead)


def forget_in_histories(session: Session, item_ids: Collection[int], quote: str, instead: str) -> None:
    """Take a quote out of what the program wrote into histories. What colleagues typed is theirs."""
    rows = session.scalars(
        select(ActionEvent).where(
            ActionEvent.action_item_id.in_(item_ids),
            ActionEvent.by_id.is_(None),
            ActionEvent.text.contains(quote, autoescape=True),
        )
    )
    for row in rows.all():
        row.text = without(row.text, quote, instead)


def forget_in_notices(session: Session, item_ids: Collection[int], quote: str, instead: str = ERASED_WORDS) -> None:
    """Take a quote out of what colleagues hear of, and out of the mails that tell them, sent or not."""
    quoting = select(Notice).where(
        Notice.action_item_id.in_(item_ids), Notice.text.contains(quote[:2], autoescape=True)
    )
    for notice in session.scalars(quoting).all():
        text = without(notice.text, quote, instead)[:LONGEST]
        if text == notice.text:
            continue
        if notice.mailed_at is not None:
            forget_in_mails(session, notice, text)
        notice.text = text


def forget_in_mails(session: Session, notice: Notice, text: str) -> None:
    """Let a colleague's mails say another text than a notice did. One that is not sent yet says it from now on."""
    rows = session.scalars(
        select(Notification)
        .where(
            Notification.recipient == f"user:{notice.user_id}",
            Notification.kind.in_([DIGEST, NEWS]),
            Notification.created_at >= notice.mailed_at,
        )
        .with_for_update()
    )
    for row in rows.all():
        sections = row.data["sections"]
        changed = [
            each | {"lines": [line | {"text": text} if line["text"] == notice.text else line for line in each["lines"]]}
            for each in sections
        ]
        if changed != sections:
            row.data = row.data | {"sections": changed}  # a mail is read again when it is sent


def without(text: str, quote: str, instead: str = ERASED_WORDS) -> str:
    """A text that quotes a customer, without the quote; of others who said the same in it, it takes none out.

    Args:
        text: May end in the middle of the quote, where it was too long to be stored.
        quote: With its quotation marks.
        instead: What stands there then.
    """
    if quote in text:
        return text.replace(quote, instead, 1)
    starts = (at for at, letter in enumerate(text) if letter == "“" and quote.startswith(text[at:]))
    start = next(starts, None)
    return text if start is None or len(text) < LONGEST else text[:start] + instead
