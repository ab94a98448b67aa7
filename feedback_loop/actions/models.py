"""Action items, who gets them, their history, and what was done."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import Team, User
from feedback_loop.complaints.models import Complaint
from feedback_loop.db import Base, UtcDateTime, checked, json_dict, long_text, pk, utc
from feedback_loop.surveys.models import Survey


class Status(StrEnum):
    """Where an action item stands; `transitions.py` says what may follow what."""

    NEW = "new"
    IN_PROGRESS = "in_progress"
    CLOSED = "closed"
    VERIFIED = "verified"
    REOPENED = "reopened"


class Outcome(StrEnum):
    """How an action item was closed."""

    FIXED = "fixed"
    DECLINED = "declined"


class ActionItem(Base):
    """The work a complaint calls for. One per complaint."""

    __tablename__ = "action_items"
    __table_args__ = (
        CheckConstraint("reopened_count >= 0", name="reopened_count_is_not_negative"),
        Index("ix_action_items_work", "status", "team_id"),
    )

    id: Mapped[pk]
    complaint_id: Mapped[int] = mapped_column(ForeignKey("complaints.id"), unique=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"), index=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    status: Mapped[Status] = mapped_column(checked(Status, "status"), default=Status.NEW)
    routing_reason: Mapped[str] = mapped_column(String(300), default="")
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reopened_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[utc]
    # Two people closing at once: the second one's write finds the version changed and is refused.
    version: Mapped[int] = mapped_column(default=1)

    complaint: Mapped[Complaint] = relationship()
    team: Mapped[Team] = relationship()
    owner: Mapped[User | None] = relationship()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 (SQLAlchemy reads it once)


class ActionEvent(Base):
    """One entry of an item's history."""

    __tablename__ = "action_events"
    __table_args__ = (Index("ix_action_events_item", "action_item_id", "id"),)

    id: Mapped[pk]
    action_item_id: Mapped[int] = mapped_column(ForeignKey("action_items.id"))
    at: Mapped[utc]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), comment="empty when the program did it")
    kind: Mapped[str] = mapped_column(String(40))
    text: Mapped[long_text]
    data: Mapped[json_dict]

    by: Mapped[User | None] = relationship()


class Closure(Base):
    """What was done, or why not, and what customers are told."""

    __tablename__ = "closures"
    __table_args__ = (
        UniqueConstraint("action_item_id", "number"),
        CheckConstraint("statement <> ''", name="statement_is_given"),
    )

    id: Mapped[pk]
    action_item_id: Mapped[int] = mapped_column(ForeignKey("action_items.id"))
    number: Mapped[int] = mapped_column(comment="1 for the first closing of the item, 2 for the next")
    outcome: Mapped[Outcome] = mapped_column(checked(Outcome, "outcome"))
    done: Mapped[str] = mapped_column(Text, comment="what was changed; for colleagues")
    root_cause: Mapped[str] = mapped_column(Text, comment="for colleagues")
    statement: Mapped[str] = mapped_column(Text, comment="what customers read")
    closed_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    closed_at: Mapped[utc]
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when a person took the closing back")

    action_item: Mapped[ActionItem] = relationship()
    closed_by: Mapped[User] = relationship()

    @property
    def event(self) -> str:
        """The name under which its notifications are kept."""
        return f"closure:{self.id}"


class RoutingRule(Base):
    """Sends new action items to a team: the first rule that fits decides."""

    __tablename__ = "routing_rules"
    __table_args__ = (CheckConstraint("keyword <> '' OR survey_id IS NOT NULL", name="asks_for_something"),)

    id: Mapped[pk]
    position: Mapped[int] = mapped_column(default=0)
    keyword: Mapped[str] = mapped_column(String(100), default="", comment="found in the name, keywords or statements")
    survey_id: Mapped[int | None] = mapped_column(ForeignKey("surveys.id"), comment="most statements came from here")
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))

    team: Mapped[Team] = relationship()
    survey: Mapped[Survey | None] = relationship()
