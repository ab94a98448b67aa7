"""Mailings: who is to be asked, when, and what came of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import User
from feedback_loop.db import Base, UtcDateTime, checked, json_dict, long_text, pk, short_text, utc
from feedback_loop.notifications.hours import EVERY_DAY, Hours
from feedback_loop.responses.models import Invitation
from feedback_loop.surveys.models import Survey

KIND = "invitation"
REMINDER = "reminder"


class MailingState(StrEnum):
    """Where a mailing stands."""

    DRAFT = "draft"
    SENDING = "sending"
    DONE = "done"
    STOPPED = "stopped"


class Mailing(Base):
    """A batch of invitations to one survey, sent by mail to a list."""

    __tablename__ = "mailings"
    __table_args__ = (
        CheckConstraint("rate BETWEEN 1 AND 1000", name="rate_is_a_rate"),
        CheckConstraint("0 <= opens AND opens < closes AND closes <= 24", name="hours_of_one_day"),
        CheckConstraint(f"weekdays BETWEEN 1 AND {EVERY_DAY}", name="some_weekday"),
        CheckConstraint("reminders BETWEEN 0 AND 2 AND remind_after_days >= 1", name="two_reminders_at_most"),
        CheckConstraint("valid_days >= 1 AND ask_again_days >= 0", name="days_are_days"),
        CheckConstraint("(state = 'draft') = (started_at IS NULL)", name="started_says_when"),
        CheckConstraint("(state IN ('done', 'stopped')) = (ended_at IS NOT NULL)", name="ended_says_when"),
        Index(
            "ix_mailings_sending",
            "next_batch_at",
            sqlite_where=text("state = 'sending'"),
            postgresql_where=text("state = 'sending'"),
        ),
    )

    id: Mapped[pk]
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), index=True)
    name: Mapped[short_text]
    why: Mapped[long_text] = mapped_column(comment="why they are asked, as the mail says it")
    rate: Mapped[int] = mapped_column(default=60, comment="most mails a minute")
    opens: Mapped[int] = mapped_column(SmallInteger, default=9, comment="first hour of sending, by their own clock")
    closes: Mapped[int] = mapped_column(SmallInteger, default=18, comment="hour at which quiet begins")
    weekdays: Mapped[int] = mapped_column(SmallInteger, default=EVERY_DAY, comment="one bit a day, Monday the lowest")
    reminders: Mapped[int] = mapped_column(SmallInteger, default=1)
    remind_after_days: Mapped[int] = mapped_column(SmallInteger, default=5)
    valid_days: Mapped[int] = mapped_column(SmallInteger, default=30, comment="so long an invitation may be answered")
    ask_again_days: Mapped[int] = mapped_column(
        SmallInteger, default=30, comment="who was asked this within so many days is left out"
    )
    state: Mapped[MailingState] = mapped_column(checked(MailingState, "mailing_state"), default=MailingState.DRAFT)
    made_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    made_at: Mapped[utc]
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_batch_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    survey: Mapped[Survey] = relationship()
    made_by: Mapped[User] = relationship()

    @property
    def event(self) -> str:
        """What its invitations are caused by."""
        return f"mailing:{self.id}"

    def reminder_event(self, number: int) -> str:
        """What its first or second reminders are caused by."""
        return f"mailing:{self.id}:reminder:{number}"

    @property
    def events(self) -> list[str]:
        """What all its mails are caused by."""
        return [self.event, *(self.reminder_event(number + 1) for number in range(self.reminders))]

    def hours(self, zone: str) -> Hours:
        """When mails may go out in one time zone."""
        return Hours(zone, self.opens, self.closes, self.weekdays)


class RecipientState(StrEnum):
    """Where a person of a mailing's list stands."""

    WAITING = "waiting"
    ASKED = "asked"
    LEFT_OUT = "left_out"


class Recipient(Base):
    """A person of a mailing's list. Once asked, the invitation and its notifications say the rest."""

    __tablename__ = "recipients"
    __table_args__ = (
        UniqueConstraint("mailing_id", "email", "experience"),
        CheckConstraint("(state = 'asked') = (invitation_id IS NOT NULL)", name="asked_has_an_invitation"),
        CheckConstraint("state <> 'left_out' OR reason <> ''", name="left_out_has_a_reason"),
        Index(
            "ix_recipients_due",
            "mailing_id",
            "state",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
    )

    id: Mapped[pk]
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"))
    line: Mapped[int] = mapped_column(comment="of the file")
    email: Mapped[str] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(200), default="")
    time_zone: Mapped[str] = mapped_column(String(64), comment="by whose clock mails go out")
    has_own_zone: Mapped[bool] = mapped_column(comment="whether the list named the time zone")
    experience: Mapped[str] = mapped_column(String(200))
    context: Mapped[json_dict]
    state: Mapped[RecipientState] = mapped_column(
        checked(RecipientState, "recipient_state"), default=RecipientState.WAITING
    )
    reason: Mapped[str] = mapped_column(String(500), default="", comment="why not asked, or not reminded")
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("invitations.id"), unique=True)
    reminded: Mapped[int] = mapped_column(SmallInteger, default=0)
    # Not to be looked at before this; empty where nothing more is to be done.
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    mailing: Mapped[Mailing] = relationship()
    invitation: Mapped[Invitation | None] = relationship()


class Reject(Base):
    """A line of a mailing's list that asks nobody, as it was, with the reason. Kept for a time."""

    __tablename__ = "rejects"

    id: Mapped[pk]
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"), index=True)
    line: Mapped[int]
    cause: Mapped[str] = mapped_column(String(200), comment="in a few words, the same for all lines of one kind")
    reason: Mapped[str] = mapped_column(String(500))
    cells: Mapped[list[str]] = mapped_column(JSON, comment="of the line; those of the first line for line 1")
