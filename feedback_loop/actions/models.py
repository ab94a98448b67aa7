"""Action items, who gets them, their history, and what was done."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import Team, User
from feedback_loop.complaints.models import Complaint
from feedback_loop.db import Base, UtcDateTime, checked, json_dict, long_text, pk, short_text, utc
from feedback_loop.responses.models import Customer


class Status(StrEnum):
    """Where an action item stands; `transitions.py` says what may follow what."""

    NEW = "new"
    TRIAGED = "triaged"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    CLOSED = "closed"
    VERIFIED = "verified"
    REOPENED = "reopened"


class Outcome(StrEnum):
    """How an action item was closed."""

    FIXED = "fixed"
    PARTLY_FIXED = "partly_fixed"
    DECLINED = "declined"
    DUPLICATE = "duplicate"
    NOT_A_PROBLEM = "not_a_problem"


CHANGED = (Outcome.FIXED, Outcome.PARTLY_FIXED)  # people are asked whether it helped
DECIDED = (Outcome.DECLINED, Outcome.NOT_A_PROBLEM)  # nothing changes; people can disagree


class Priority(StrEnum):
    """How urgent an action item is; the least urgent first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Segment(StrEnum):
    """For whom a fix is effective."""

    ALL = "all"
    PAGE = "page"
    TAG = "tag"
    RELEASE = "release"
    LANGUAGE = "language"


class RunState(StrEnum):
    """Where a notification run stands."""

    REVIEW = "review"
    APPROVAL = "approval"
    HELD = "held"
    SENDING = "sending"
    DONE = "done"
    UNDONE = "undone"


class LinkKind(StrEnum):
    """What a link of an item leads to."""

    ATTACHMENT = "attachment"
    TRACKER = "tracker"


class ServiceLevel(Base):
    """By when an action item is to be closed: business hours by priority, and who is told when it takes longer."""

    __tablename__ = "service_levels"
    __table_args__ = (
        CheckConstraint("name <> ''", name="has_name"),
        CheckConstraint("opens < closes", name="day_has_hours"),
        Index(
            "uq_service_levels_default",
            "is_default",
            unique=True,
            sqlite_where=text("is_default = 1"),
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[pk]
    name: Mapped[str] = mapped_column(String(80), unique=True)
    is_default: Mapped[bool] = mapped_column(default=False)
    hours: Mapped[dict[str, int]] = mapped_column(JSON, comment="business hours until it is due, by priority")
    days: Mapped[list[int]] = mapped_column(JSON, comment="working days; 0 is Monday")
    opens: Mapped[int] = mapped_column(SmallInteger, comment="when the working day begins, in minutes after midnight")
    closes: Mapped[int] = mapped_column(SmallInteger, comment="when it ends")
    time_zone: Mapped[str] = mapped_column(String(60))
    holidays: Mapped[list[str]] = mapped_column(JSON, default=list, comment="days nobody works, as 2026-12-25")
    remind_hours: Mapped[int] = mapped_column(SmallInteger, comment="business hours before it is due; 0 is never")
    lead_hours: Mapped[int] = mapped_column(SmallInteger, comment="business hours overdue until leads hear of it")
    admin_hours: Mapped[int] = mapped_column(SmallInteger, comment="business hours overdue until admins hear of it")
    created_at: Mapped[utc]
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="not to be chosen any more")


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
    due_by_hand: Mapped[bool] = mapped_column(
        default=False, server_default=false(), comment="a person chose the day; the service level leaves it alone"
    )
    service_level_id: Mapped[int | None] = mapped_column(ForeignKey("service_levels.id"), index=True)
    priority: Mapped[Priority] = mapped_column(
        checked(Priority, "priority"), default=Priority.NORMAL, server_default="normal"
    )
    priority_reason: Mapped[str] = mapped_column(
        String(300), default="", server_default="", comment="its arithmetic, or who chose it"
    )
    priority_by_hand: Mapped[bool] = mapped_column(default=False, server_default=false())
    waiting_for: Mapped[str] = mapped_column(String(300), default="", server_default="", comment="while it waits")
    waiting_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    triaged_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when a person first decided about it")
    snoozed_until: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="triage leaves it out until then")
    reopened_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[utc]
    # Two people closing at once: the second one's write finds the version changed and is refused.
    version: Mapped[int] = mapped_column(default=1)

    complaint: Mapped[Complaint] = relationship()
    team: Mapped[Team] = relationship()
    owner: Mapped[User | None] = relationship()
    service_level: Mapped[ServiceLevel | None] = relationship()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 (SQLAlchemy reads it once)


class ChecklistEntry(Base):
    """One thing to do before an item can be closed."""

    __tablename__ = "checklist_entries"
    __table_args__ = (CheckConstraint("text <> ''", name="has_text"),)

    id: Mapped[pk]
    action_item_id: Mapped[int] = mapped_column(ForeignKey("action_items.id"), index=True)
    position: Mapped[int]
    text: Mapped[str] = mapped_column(String(300))
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    done_by: Mapped[User | None] = relationship()


class ItemLink(Base):
    """Something outside that belongs to an item: a file by its link, or an issue in a tracker."""

    __tablename__ = "item_links"
    __table_args__ = (
        UniqueConstraint("action_item_id", "url"),
        Index("ix_item_links_external", "provider", "external_id"),
    )

    id: Mapped[pk]
    action_item_id: Mapped[int] = mapped_column(ForeignKey("action_items.id"))
    kind: Mapped[LinkKind] = mapped_column(checked(LinkKind, "link_kind"))
    url: Mapped[str] = mapped_column(String(1000))
    title: Mapped[short_text]
    provider: Mapped[str] = mapped_column(String(20), default="", comment="github, gitlab, jira; empty for others")
    external_id: Mapped[str] = mapped_column(String(200), default="", comment="what the tracker calls it")
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[utc]

    created_by: Mapped[User | None] = relationship()


class Watcher(Base):
    """A person who hears of what happens to an item that is not theirs."""

    __tablename__ = "watchers"

    action_item_id: Mapped[int] = mapped_column(ForeignKey("action_items.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    created_at: Mapped[utc]

    user: Mapped[User] = relationship()


class Notice(Base):
    """Something a colleague should hear of. Urgent ones are mailed at once, the others together, once a day."""

    __tablename__ = "notices"
    __table_args__ = (
        Index(
            "ix_notices_unmailed",
            "user_id",
            "id",
            sqlite_where=text("mailed_at IS NULL"),
            postgresql_where=text("mailed_at IS NULL"),
        ),
    )

    id: Mapped[pk]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    action_item_id: Mapped[int] = mapped_column(ForeignKey("action_items.id"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(String(500))
    is_urgent: Mapped[bool] = mapped_column(default=False)
    at: Mapped[utc]
    mailed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="or when it was too late to be news")

    user: Mapped[User] = relationship()
    action_item: Mapped[ActionItem] = relationship()


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
    effective_from: Mapped[datetime | None] = mapped_column(
        UtcDateTime, comment="experiences from then on are of the changed thing; empty where nothing was changed"
    )
    segment: Mapped[Segment] = mapped_column(checked(Segment, "segment"), default=Segment.ALL, server_default="all")
    segment_value: Mapped[str] = mapped_column(
        String(200), default="", server_default="", comment="which page, tag, release or language"
    )
    duplicate_of_id: Mapped[int | None] = mapped_column(
        ForeignKey("action_items.id"), comment="the item at which the work goes on"
    )
    ask_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime, comment="when those told are asked whether it helped; empty: as the settings say"
    )
    usual: Mapped[dict[str, Any]] = mapped_column(
        JSON, default=dict, server_default="{}", comment="how often it was said before: statements, answers, days"
    )

    action_item: Mapped[ActionItem] = relationship(foreign_keys=action_item_id)
    duplicate_of: Mapped[ActionItem | None] = relationship(foreign_keys=duplicate_of_id)
    closed_by: Mapped[User] = relationship()

    @property
    def event(self) -> str:
        """The name under which its notifications are kept."""
        return f"closure:{self.id}"

    @property
    def thread(self) -> str:
        """What its mails are about: mail programs show those to one person together, from one closing to the next."""
        return f"item-{self.action_item_id}"

    @property
    def follow_up_event(self) -> str:
        """The name under which the questions whether it is fixed are kept."""
        return f"follow_up:{self.id}"

    @property
    def sorry_event(self) -> str:
        """The name under which apologies to those for whom it was not fixed are kept."""
        return f"sorry:{self.id}"

    @property
    def effective_at(self) -> datetime:
        """From when on experiences are of the changed thing; the closing itself where no other moment was named."""
        return self.effective_from or self.closed_at

    @property
    def asks_whether_fixed(self) -> bool:
        """Whether something was changed, so that the people are asked if it helped."""
        return self.outcome in CHANGED


class NotificationRun(Base):
    """All notifications of one closing, reviewed as a whole before anything is sent."""

    __tablename__ = "notification_runs"
    __table_args__ = (
        CheckConstraint("state <> 'held' OR starts_at IS NOT NULL", name="held_says_until_when"),
        Index("ix_notification_runs_state", "state", "starts_at"),
    )

    id: Mapped[pk]
    closure_id: Mapped[int] = mapped_column(ForeignKey("closures.id"), unique=True)
    state: Mapped[RunState] = mapped_column(checked(RunState, "run_state"), default=RunState.REVIEW)
    prepared_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    prepared_at: Mapped[utc]
    released_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), comment="who said: send it")
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), comment="the second pair of eyes")
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="until then it can be undone")
    undone_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Two people at one run: the second one's write finds the version changed and is refused.
    version: Mapped[int] = mapped_column(default=1)

    closure: Mapped[Closure] = relationship()
    prepared_by: Mapped[User] = relationship(foreign_keys=prepared_by_id)
    released_by: Mapped[User | None] = relationship(foreign_keys=released_by_id)
    approved_by: Mapped[User | None] = relationship(foreign_keys=approved_by_id)
    undone_by: Mapped[User | None] = relationship(foreign_keys=undone_by_id)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 (SQLAlchemy reads it once)


class RunPerson(Base):
    """A customer whom a run tells, or does not, and why not."""

    __tablename__ = "run_people"
    __table_args__ = (
        CheckConstraint("is_told = (reason = '')", name="not_told_says_why"),
        Index("ix_run_people_told", "run_id", "is_told", "reason"),
    )

    run_id: Mapped[int] = mapped_column(ForeignKey("notification_runs.id"), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), primary_key=True, index=True)
    statement_id: Mapped[int | None] = mapped_column(
        ForeignKey("statements.id", ondelete="SET NULL"), comment="whose words the mail quotes"
    )
    is_told: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(40), default="", comment="why not, by its short name")
    by_hand: Mapped[bool] = mapped_column(default=False, comment="a person dropped or added them")

    customer: Mapped[Customer] = relationship()
