"""Customers, invitations, answers, and what is kept of them unredacted."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import User
from feedback_loop.db import Base, UtcDateTime, json_dict, long_text, pk, utc
from feedback_loop.jobs.models import Leased
from feedback_loop.surveys.models import Survey


class Customer(Base):
    """A person we may write to, known by mail address."""

    __tablename__ = "customers"
    __table_args__ = (CheckConstraint("email = lower(email) AND email <> ''", name="email_is_lower_case"),)

    id: Mapped[pk]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    time_zone: Mapped[str] = mapped_column(
        String(64), default="", server_default="", comment="such as Europe/Berlin; empty where it is not known"
    )
    created_at: Mapped[utc]


class Invitation(Base):
    """The right of one customer to answer one survey about one experience.

    An experience is an order, a visit, a ticket, by whatever name the customer's own system gives it. A mailing that
    names none stands for it itself, as `mailing:12`. Links made one by one name none: each is a right of its own.
    """

    __tablename__ = "invitations"
    __table_args__ = (Index("uq_invitations_experience", "survey_id", "customer_id", "experience", unique=True),)

    id: Mapped[pk]
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), index=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    token_key: Mapped[str | None] = mapped_column(
        String(32), comment="from which its token is derived again for each mail; empty where it was shown once"
    )
    experience: Mapped[str | None] = mapped_column(String(200))
    context: Mapped[json_dict]
    created_at: Mapped[utc]
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    survey: Mapped[Survey] = relationship()
    customer: Mapped[Customer] = relationship()

    @property
    def recipient(self) -> str:
        """Whom the mails that carry its link are for."""
        return f"invitation:{self.id}"


class Answer(Leased, Base):
    """A score and/or a comment. `comment` is the redacted text; it is empty until the worker has redacted it."""

    __tablename__ = "answers"
    __table_args__ = (
        UniqueConstraint("survey_id", "external_id"),
        Index(
            "ix_answers_unredacted",
            "id",
            sqlite_where=text("redacted_at IS NULL"),
            postgresql_where=text("redacted_at IS NULL"),
        ),
        Index(
            "ix_answers_unanalysed",
            "id",
            sqlite_where=text("redacted_at IS NOT NULL AND analysed_at IS NULL"),
            postgresql_where=text("redacted_at IS NOT NULL AND analysed_at IS NULL"),
        ),
        Index("ix_answers_answered_at", "answered_at"),
    )

    id: Mapped[pk]
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), index=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"), index=True)
    # One answer an invitation: who answers again changes the answer.
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("invitations.id"), unique=True)
    external_id: Mapped[str | None] = mapped_column(String(200), comment="the id under which another system knows it")
    score: Mapped[int | None] = mapped_column(SmallInteger)
    comment: Mapped[str | None] = mapped_column(Text, comment="redacted")
    redactions: Mapped[list[str]] = mapped_column(JSON, default=list, comment="kinds of what was redacted, in order")
    context: Mapped[json_dict]
    answered_at: Mapped[utc]
    received_at: Mapped[utc]
    revision: Mapped[int] = mapped_column(default=1, comment="grows when the customer changes the answer")
    redacted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    analysed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    survey: Mapped[Survey] = relationship()
    customer: Mapped[Customer | None] = relationship()


class RawComment(Base):
    """What the customer typed, encrypted, until it expires. Only `responses/` reads it."""

    __tablename__ = "raw_comments"

    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class RawReading(Base):
    """One reading of a raw text by a person: which, who, when and why, never what it said. Kept for good."""

    __tablename__ = "raw_readings"
    __table_args__ = (CheckConstraint("why <> ''", name="says_why"),)

    id: Mapped[pk]
    answer_id: Mapped[int | None] = mapped_column(
        ForeignKey("answers.id", ondelete="SET NULL"), index=True, comment="empty when the answer is deleted since"
    )
    by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    at: Mapped[utc]
    why: Mapped[long_text]

    answer: Mapped[Answer | None] = relationship()
    by: Mapped[User] = relationship()
