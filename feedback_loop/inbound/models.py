"""Mails that came in, how the mailbox was last found, and addresses that were written to again."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import User
from feedback_loop.actions.models import ActionItem
from feedback_loop.db import Base, UtcDateTime, checked, long_text, pk, utc
from feedback_loop.inbound.reading import Kind
from feedback_loop.notifications.models import Cause, Notification, Scope


class Way(StrEnum):
    """How a mail came in."""

    WEBHOOK = "webhook"
    MAILBOX = "mailbox"
    COMMAND = "command"


class InboundMail(Base):
    """A mail that came in, once. Its text is not kept; of a reply that belongs to no item the redacted words are."""

    __tablename__ = "inbound_mails"
    __table_args__ = (
        CheckConstraint("kind <> 'unclear' OR reason <> ''", name="unclear_says_why"),
        CheckConstraint("kind <> 'reply' OR notification_id IS NOT NULL", name="reply_answers_a_mail"),
        Index("ix_inbound_mails_received", "received_at", "kind"),
        Index("ix_inbound_mails_kind", "kind", "id"),
        Index(
            "ix_inbound_mails_open",
            "id",
            sqlite_where=text("kind = 'reply' AND action_item_id IS NULL AND done_at IS NULL"),
            postgresql_where=text("kind = 'reply' AND action_item_id IS NULL AND done_at IS NULL"),
        ),
    )

    id: Mapped[pk]
    key: Mapped[str] = mapped_column(String(64), unique=True, comment="hash by which it is known again")
    way: Mapped[Way] = mapped_column(checked(Way, "inbound_way"))
    kind: Mapped[Kind] = mapped_column(checked(Kind, "inbound_kind"))
    received_at: Mapped[utc]
    reason: Mapped[str] = mapped_column(String(500), default="", comment="what says so, and what followed")
    sender: Mapped[str] = mapped_column(String(254), default="", comment="only where it was not understood")
    subject: Mapped[str] = mapped_column(String(200), default="", comment="only where it was not understood")
    notification_id: Mapped[int | None] = mapped_column(ForeignKey("notifications.id"), index=True)
    action_item_id: Mapped[int | None] = mapped_column(ForeignKey("action_items.id"), comment="whose history has it")
    words: Mapped[long_text] = mapped_column(default="", comment="redacted; only of a reply without an item")
    attachments: Mapped[int] = mapped_column(SmallInteger, default=0, comment="not kept")
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when a colleague was done with the reply")
    done_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    notification: Mapped[Notification | None] = relationship()
    action_item: Mapped[ActionItem | None] = relationship()
    done_by: Mapped[User | None] = relationship()


class InboundPoll(Base):
    """How the mailbox was last found; one row, once it was looked into."""

    __tablename__ = "inbound_polls"
    __table_args__ = (CheckConstraint("id = 1", name="is_one"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    polled_at: Mapped[utc]
    found_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when it was last open to us")
    taken: Mapped[int] = mapped_column(default=0, comment="mails taken at the last look")
    failure: Mapped[str] = mapped_column(String(300), default="", comment="of the last look, in words")
    at_uid: Mapped[str] = mapped_column(
        String(20), default="", server_default="", comment="the mail that is being taken, by its number in the folder"
    )
    worker: Mapped[str] = mapped_column(String(100), default="", server_default="", comment="who is taking it")
    deaths: Mapped[int] = mapped_column(
        SmallInteger, default=0, server_default="0", comment="workers in a row that ended while they took it"
    )


class Lift(Base):
    """That an address may be written to again: who said so, and what had stood against it. Kept for good."""

    __tablename__ = "lifts"

    id: Mapped[pk]
    address: Mapped[str] = mapped_column(String(254))
    scope: Mapped[Scope] = mapped_column(checked(Scope, "lift_scope"))
    cause: Mapped[Cause] = mapped_column(checked(Cause, "lift_cause"))
    reason: Mapped[str] = mapped_column(String(200), comment="of the suppression")
    since: Mapped[utc] = mapped_column(comment="when no mail was sent any more")
    why: Mapped[str] = mapped_column(String(200), comment="it was lifted")
    by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    at: Mapped[utc]

    by: Mapped[User] = relationship()
