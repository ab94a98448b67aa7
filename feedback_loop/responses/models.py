"""Customers, invitations, answers, and what is kept of them unredacted."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

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
from feedback_loop.db import Base, UtcDateTime, checked, json_dict, long_text, pk, utc
from feedback_loop.jobs.models import Leased
from feedback_loop.surveys.models import Survey

language_code = Annotated[str, mapped_column(String(8), default="", server_default="")]


class Customer(Base):
    """A person we may write to, known by mail address."""

    __tablename__ = "customers"
    __table_args__ = (CheckConstraint("email = lower(email) AND email <> ''", name="email_is_lower_case"),)

    id: Mapped[pk]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    language: Mapped[language_code] = mapped_column(
        CheckConstraint("language = lower(language)", name="language_is_lower_case"),
        comment="in which we write to them; empty means that we do not know",
    )
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
    language: Mapped[language_code] = mapped_column(
        CheckConstraint("language = lower(language)", name="language_is_lower_case"),
        comment="in which it asks; empty means in the customer's",
    )
    token_key: Mapped[str | None] = mapped_column(
        String(32), comment="from which its token is derived again for each mail; empty where it was shown once"
    )
    experience: Mapped[str | None] = mapped_column(String(200))
    context: Mapped[json_dict]
    created_at: Mapped[utc]
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    trapped_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime, comment="when the link that only programs follow was last opened"
    )

    survey: Mapped[Survey] = relationship()
    customer: Mapped[Customer] = relationship()

    @property
    def recipient(self) -> str:
        """Whom the mails that carry its link are for."""
        return f"invitation:{self.id}"


class Sign(StrEnum):
    """By what an answer reached us, from the weakest sign that a person gave it to the strongest."""

    OPENED = "opened"
    GESTURE = "gesture"
    SENT = "sent"
    PERSON = "person"
    IMPORT = "import"


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
        Index("ix_answers_of_survey", "survey_id", "answered_at"),  # a program that fetches what is new in one survey
        # Whether and when a customer last answered a survey. Asked for the latest of few, both databases would else
        # go through the moments of all answers from the newest back.
        Index("ix_answers_customer_id", "customer_id", "survey_id", "answered_at"),
        # How many answers of a week could have raised something, which pages of trends compare with, is read from this
        # alone. Only the worker writes it, when it has analysed an answer.
        Index(
            "ix_answers_heard",
            "answered_at",
            sqlite_where=text("comment <> '' AND analysed_at IS NOT NULL"),
            postgresql_where=text("comment <> '' AND analysed_at IS NOT NULL"),
        ),
        Index(
            "ix_answers_set_aside",
            "set_aside_at",
            sqlite_where=text("set_aside_at IS NOT NULL"),
            postgresql_where=text("set_aside_at IS NOT NULL"),
        ),
        Index("uq_answers_page_key", "page_key", unique=True),
        Index("uq_answers_receipt_hash", "receipt_hash", unique=True),
    )

    id: Mapped[pk]
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), index=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    # One answer an invitation: who answers again changes the answer.
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("invitations.id"), unique=True)
    external_id: Mapped[str | None] = mapped_column(String(200), comment="the id under which another system knows it")
    # One answer a page: who presses Send twice has answered once.
    page_key: Mapped[str | None] = mapped_column(String(64))
    sign: Mapped[Sign] = mapped_column(
        checked(Sign, "sign"), default=Sign.SENT, server_default="sent", comment="what made it count"
    )
    score: Mapped[int | None] = mapped_column(SmallInteger)
    comment: Mapped[str | None] = mapped_column(Text, comment="redacted")
    redactions: Mapped[list[str]] = mapped_column(JSON, default=list, comment="kinds of what was redacted, in order")
    context: Mapped[json_dict]
    answered_at: Mapped[utc]
    received_at: Mapped[utc]
    revision: Mapped[int] = mapped_column(default=1, comment="grows when the customer changes the answer")
    survey_version: Mapped[int | None] = mapped_column(comment="whose words it answers; empty where none was seen")
    receipt_hash: Mapped[str | None] = mapped_column(
        String(64), comment="hash of the receipt that its anonymous author holds"
    )
    redacted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    analysed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    set_aside_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime, comment="since when no worker tries to redact or analyse it any more"
    )
    trouble: Mapped[str] = mapped_column(
        String(300), default="", server_default="", comment="why it could not be the last time; never what it says"
    )

    survey: Mapped[Survey] = relationship()
    customer: Mapped[Customer | None] = relationship()


class CountedDay(Base):
    """A day whose answers are counted; what is known of it holds unless it is among the stale ones."""

    __tablename__ = "counted_days"

    day: Mapped[date] = mapped_column(primary_key=True, comment="by UTC, whose answers are counted")


class StaleDay(Base):
    """That an answer of a counted day came, changed or went since. The database writes it, and the next counting
    deletes it. Days may be in it several times: so nobody who writes waits for another."""

    __tablename__ = "stale_days"

    id: Mapped[pk]
    day: Mapped[date] = mapped_column(ForeignKey("counted_days.day", ondelete="CASCADE"), index=True)


class AnswerCount(Base):
    """The answers to one survey on one day with one score; see `counting.py`."""

    __tablename__ = "answer_counts"

    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), primary_key=True)
    day: Mapped[date] = mapped_column(ForeignKey("counted_days.day", ondelete="CASCADE"), primary_key=True, index=True)
    score: Mapped[int] = mapped_column(SmallInteger, primary_key=True, comment="-1 where none was given")
    answers: Mapped[int]
    with_words: Mapped[int] = mapped_column(comment="or that still wait to be redacted")
    heard: Mapped[int] = mapped_column(comment="of these, those whose words were analysed")


class ErasedAnswer(Base):
    """That an answer was erased by whoever gave it, and nothing of what it said."""

    __tablename__ = "erased_answers"

    id: Mapped[pk]
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), index=True)
    receipt_hash: Mapped[str | None] = mapped_column(
        String(64), index=True, comment="so that its receipt can say that it is gone"
    )
    erased_at: Mapped[utc] = mapped_column(comment="the day")


class AnswerVersion(Base):
    """What an answer said before the customer changed it. `answers` holds what counts now."""

    __tablename__ = "answer_versions"
    __table_args__ = (UniqueConstraint("answer_id", "revision"),)

    id: Mapped[pk]
    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"))
    revision: Mapped[int]
    score: Mapped[int | None] = mapped_column(SmallInteger)
    comment: Mapped[str] = mapped_column(Text, comment="redacted")
    sign: Mapped[Sign] = mapped_column(checked(Sign, "version_sign"))
    answered_at: Mapped[utc]
    replaced_at: Mapped[utc]


class UnconfirmedState(StrEnum):
    """Where an answer that does not count stands."""

    PROVISIONAL = "provisional"
    SUSPECT = "suspect"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    OVERTAKEN = "overtaken"


class UnconfirmedAnswer(Base):
    """What came from a customer's link but may have come from a program. It counts nowhere: only what a human sign has
    confirmed becomes an answer, in a table of its own."""

    __tablename__ = "unconfirmed_answers"
    __table_args__ = (
        CheckConstraint("reason <> ''", name="says_why"),
        CheckConstraint("(state IN ('provisional', 'suspect')) = (settled_at IS NULL)", name="settled_has_a_time"),
        Index(
            "ix_unconfirmed_answers_open",
            "survey_id",
            "state",
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
    )

    id: Mapped[pk]
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"))
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("invitations.id"), index=True)
    page_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    sign: Mapped[Sign] = mapped_column(checked(Sign, "unconfirmed_sign"))
    state: Mapped[UnconfirmedState] = mapped_column(checked(UnconfirmedState, "unconfirmed_state"))
    reason: Mapped[str] = mapped_column(String(200), comment="why it does not count")
    score: Mapped[int | None] = mapped_column(SmallInteger)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary, comment="what was typed, encrypted")
    email: Mapped[str] = mapped_column(String(254), default="", comment="address left on an open page")
    survey_version: Mapped[int | None] = mapped_column(comment="whose words it answers; empty where none was seen")
    receipt_hash: Mapped[str | None] = mapped_column(
        String(64), index=True, comment="hash of the receipt that its anonymous author holds"
    )
    context: Mapped[json_dict]
    seen_at: Mapped[utc]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    settled_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    survey: Mapped[Survey] = relationship()
    invitation: Mapped[Invitation | None] = relationship()


class Guard(StrEnum):
    """When the open link of a survey asks browsers for a proof of work."""

    OFF = "off"
    AUTOMATIC = "automatic"
    ON = "on"


class SurveyPressure(Base):
    """How hard the open link of a survey is pressed. `pressure.py` says what follows; without a row nothing does."""

    __tablename__ = "survey_pressures"

    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id", ondelete="CASCADE"), primary_key=True)
    guard: Mapped[Guard] = mapped_column(checked(Guard, "guard"), default=Guard.AUTOMATIC)
    usual: Mapped[float] = mapped_column(default=0.0, comment="answers in one window, over the last week")
    usual_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when that was counted")
    until: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="until when it is taken to be under attack")
    reason: Mapped[str] = mapped_column(String(200), default="", comment="why")


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
