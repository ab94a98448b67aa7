"""Messages owed and sent, and addresses that must not be written to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from feedback_loop.db import Base, UtcDateTime, checked, json_dict, pk, utc
from feedback_loop.jobs.models import Leased


class NotificationState(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"


class Notification(Leased, Base):
    """A message owed to one person: one per person, event and kind."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("recipient", "event", "kind"),
        CheckConstraint("state <> 'sent' OR sent_at IS NOT NULL", name="sent_has_a_time"),
        CheckConstraint("state NOT IN ('skipped', 'failed') OR reason <> ''", name="unsent_has_a_reason"),
        Index(
            "ix_notifications_due",
            "rank",
            "next_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_notifications_event", "event", "state"),
        Index("ix_notifications_address", "address", "sent_at"),
    )

    id: Mapped[pk]
    kind: Mapped[str] = mapped_column(String(40), comment="which mail it is; also its folder under templates/email")
    event: Mapped[str] = mapped_column(String(80), comment="what caused it, such as closure:12")
    recipient: Mapped[str] = mapped_column(String(80), comment="who it is for, such as customer:7")
    address: Mapped[str] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(200), default="")
    data: Mapped[json_dict]
    rank: Mapped[int] = mapped_column(
        SmallInteger, default=0, server_default="0", comment="which go first and which give way; see budget.Rank"
    )
    # Made with the row and used by every attempt, so that a repeat can be recognised.
    message_id: Mapped[str] = mapped_column(String(120), unique=True)
    # Hash of the token in the mail's links; the token itself is derived again when the mail is written.
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[NotificationState] = mapped_column(
        checked(NotificationState, "notification_state"), default=NotificationState.PENDING
    )
    reason: Mapped[str] = mapped_column(String(500), default="", comment="why it was not sent, or last failed")
    created_at: Mapped[utc]
    next_at: Mapped[utc]
    passed_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime, comment="when the contact budget let it through; it counts from then on"
    )
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Suppression(Base):
    """An address that gets no more mail about feedback."""

    __tablename__ = "suppressions"

    id: Mapped[pk]
    address: Mapped[str] = mapped_column(String(254), unique=True)
    reason: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[utc]
