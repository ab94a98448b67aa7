"""Did this fix it? What customers say of a closing, and what follows from it."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.actions.models import Closure
from feedback_loop.db import Base, checked, long_text, pk, utc
from feedback_loop.notifications.models import Notification
from feedback_loop.responses.models import Customer


class Fixed(StrEnum):
    """A customer's answer."""

    YES = "yes"
    NO = "no"
    NOT_SINCE = "not_since"  # has not run into it since


class VerdictKind(StrEnum):
    """The verdict over a closing."""

    VERIFIED = "verified"
    NOT_FIXED = "not_fixed"
    UNVERIFIED = "unverified"


class FollowUp(Base):
    """One customer's answer to "did this fix it?". Who answers again changes it."""

    __tablename__ = "follow_ups"
    __table_args__ = (
        UniqueConstraint("closure_id", "customer_id"),
        Index("ix_follow_ups_answered_at", "answered_at"),
    )

    id: Mapped[pk]
    closure_id: Mapped[int] = mapped_column(ForeignKey("closures.id"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    notification_id: Mapped[int] = mapped_column(ForeignKey("notifications.id"), unique=True)
    fixed: Mapped[Fixed] = mapped_column(checked(Fixed, "fixed"))
    comment: Mapped[long_text]
    answered_at: Mapped[utc]

    closure: Mapped[Closure] = relationship()
    customer: Mapped[Customer] = relationship()
    notification: Mapped[Notification] = relationship()


class Verdict(Base):
    """What the answers decided. One per closing."""

    __tablename__ = "verdicts"
    __table_args__ = (Index("ix_verdicts_decided_at", "decided_at"),)

    id: Mapped[pk]
    closure_id: Mapped[int] = mapped_column(ForeignKey("closures.id"), unique=True)
    kind: Mapped[VerdictKind] = mapped_column(checked(VerdictKind, "verdict_kind"))
    reason: Mapped[str] = mapped_column(String(300))
    asked: Mapped[int]
    yes: Mapped[int]
    no: Mapped[int]
    decided_at: Mapped[utc]

    closure: Mapped[Closure] = relationship()
