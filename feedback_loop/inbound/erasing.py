"""Taking out what customers replied to mails about an answer that they have erased."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionEvent
from feedback_loop.followups.erasing import forget_in_notices
from feedback_loop.inbound.models import InboundMail
from feedback_loop.inbound.reading import Kind
from feedback_loop.inbound.replies import REPLY, as_told

ERASED_REPLY = "The customer’s reply was erased with their answer."


def forget_replies(session: Session, notification_ids: Collection[int]) -> None:
    """Take the words out of the replies to some mails: out of the list of replies, the histories of items, and what
    colleagues are told. That there was a reply stays."""
    rows = session.scalars(
        select(InboundMail)
        .where(InboundMail.notification_id.in_(notification_ids), InboundMail.kind == Kind.REPLY)
        .order_by(InboundMail.id)
        .with_for_update()
    )
    for mail in rows.all():
        mail.words = ""
        entry = entry_of(session, mail)
        if entry is not None and not entry.data.get("is_erased"):
            forget_in_notices(session, [entry.action_item_id], as_told(entry.text))
            entry.text, entry.data = ERASED_REPLY, entry.data | {"is_erased": True}
    session.flush()


def entry_of(session: Session, mail: InboundMail) -> ActionEvent | None:
    """The entry of a history that holds a reply; None where it belongs to no item.

    Entries of earlier versions do not say of which mail they are: they were written in its moment, one for each mail.
    """
    if mail.action_item_id is None:
        return None
    of_moment = select(ActionEvent).where(
        ActionEvent.action_item_id == mail.action_item_id,
        ActionEvent.kind == REPLY,
        ActionEvent.at == mail.received_at,
    )
    entries = session.scalars(of_moment.order_by(ActionEvent.id)).all()
    named = [entry for entry in entries if entry.data.get("mail_id") == mail.id]
    if named:
        return named[0]
    unnamed = [entry for entry in entries if "mail_id" not in entry.data]
    beside = select(InboundMail.id).where(
        InboundMail.action_item_id == mail.action_item_id,
        InboundMail.kind == Kind.REPLY,
        InboundMail.received_at == mail.received_at,
    )
    place = session.scalars(beside.order_by(InboundMail.id)).all().index(mail.id)
    return unnamed[place] if place < len(unnamed) else None
