"""Messages owed and sent, and addresses that must not be written to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import User
from feedback_loop.db import Base, UtcDateTime, checked, json_dict, pk, utc
from feedback_loop.jobs.models import Leased


class NotificationState(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"
    BOUNCED = "bounced"  # it was sent, and came back


CAME_BACK_FOR_NOW = "Came back, to be sent again: "
"""Begins the reason of a mail that a server brought back and might take another time."""


NOBODY = "erased.invalid"
"""The domain of addresses that were erased, one to which no mail is ever sent (RFC 2606)."""


class Scope(StrEnum):
    """How far a suppression reaches."""

    FEEDBACK = "feedback"  # mails about feedback, which customers get
    EVERYTHING = "everything"  # mails to colleagues, too: nobody reads this address


class Cause(StrEnum):
    """Why an address is suppressed."""

    ASKED = "asked"  # the person unsubscribed
    BOUNCED = "bounced"
    COMPLAINED = "complained"  # marked a mail as spam
    BY_HAND = "by_hand"


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
        Index(
            "ix_notifications_failed",
            "id",
            sqlite_where=text("state = 'failed'"),
            postgresql_where=text("state = 'failed'"),
        ),
        Index(
            "ix_notifications_tried",
            "created_at",
            sqlite_where=text("state = 'pending' AND attempts > 0"),
            postgresql_where=text("state = 'pending' AND attempts > 0"),
        ),
        Index(
            "ix_notifications_suspected",
            "deaths",
            sqlite_where=text("state = 'pending' AND deaths > 0"),
            postgresql_where=text("state = 'pending' AND deaths > 0"),
        ),
        Index("ix_notifications_sent_at", "sent_at"),
        Index("ix_notifications_event", "event", "state"),
        Index("ix_notifications_address", "address", "sent_at"),
        # What never arrived, and what may have arrived twice: few of many.
        Index(
            "ix_notifications_astray",
            "state",
            "created_at",
            sqlite_where=text("state IN ('failed', 'bounced')"),
            postgresql_where=text("state IN ('failed', 'bounced')"),
        ),
        Index(
            "ix_notifications_doubtful",
            "created_at",
            sqlite_where=text("doubtful > 0"),
            postgresql_where=text("doubtful > 0"),
        ),
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
    bounced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    doubtful: Mapped[int] = mapped_column(
        SmallInteger,
        default=0,
        server_default="0",
        comment="attempts of which nobody knows whether the server took the mail; each may be a duplicate",
    )
    deaths: Mapped[int] = mapped_column(
        SmallInteger,
        default=0,
        server_default="0",
        comment="claims in a row whose lease ran out: the worker ended meanwhile",
    )

    @property
    def is_to_nobody(self) -> bool:
        """Whether the person it was for had their data erased."""
        return self.address.endswith(f"@{NOBODY}")


class Channel(Base):
    """A way to the outside that all workers share, such as the mail server: whether it works, for all to see."""

    __tablename__ = "channels"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    failures: Mapped[int] = mapped_column(
        default=0, server_default="0", comment="in a row, of the channel as a whole; 0 while it works"
    )
    down_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime, comment="while it is down: when one mail tries whether it works again"
    )
    reason: Mapped[str] = mapped_column(String(500), default="", server_default="", comment="why it is down")
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when a batch of mails last went out")


class Suppression(Base):
    """An address that gets no more mail about feedback, or none at all."""

    __tablename__ = "suppressions"
    __table_args__ = (Index("ix_suppressions_created_at", "created_at", "id"),)

    id: Mapped[pk]
    address: Mapped[str] = mapped_column(String(254), unique=True)
    reason: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[utc]
    scope: Mapped[Scope] = mapped_column(
        checked(Scope, "suppression_scope"), default=Scope.FEEDBACK, server_default=Scope.FEEDBACK
    )
    cause: Mapped[Cause] = mapped_column(
        checked(Cause, "suppression_cause"), default=Cause.ASKED, server_default=Cause.ASKED
    )
    notification_id: Mapped[int | None] = mapped_column(
        ForeignKey("notifications.id"), comment="the mail that led to it"
    )
    by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), comment="the colleague who decided it")

    notification: Mapped[Notification | None] = relationship()
    by: Mapped[User | None] = relationship()
