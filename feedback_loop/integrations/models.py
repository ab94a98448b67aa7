"""Who outside hears what happens here, and the issues that other systems keep for our action items."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import ActionEvent, ActionItem
from feedback_loop.db import Base, BigId, UtcDateTime, checked, long_text, pk, utc
from feedback_loop.jobs.models import Leased


class EndpointKind(StrEnum):
    """What an endpoint understands."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    TEAMS = "teams"


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"


class TrackerKind(StrEnum):
    """Which tracker it is."""

    GITHUB = "github"
    GITLAB = "gitlab"
    JIRA = "jira"


class IssueState(StrEnum):
    """Where an issue that was asked for stands."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class Endpoint(Base):
    """An address of another system that hears what happens here."""

    __tablename__ = "endpoints"
    __table_args__ = (
        CheckConstraint("name <> ''", name="has_name"),
        CheckConstraint("(kind = 'webhook') = (sealed_secret IS NOT NULL)", name="webhooks_are_signed"),
    )

    id: Mapped[pk]
    name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[EndpointKind] = mapped_column(checked(EndpointKind, "endpoint_kind"))
    shown_url: Mapped[str] = mapped_column(String(300), comment="as people may see it; of chats without its secret")
    sealed_url: Mapped[bytes] = mapped_column(LargeBinary, comment="sealed: of chats the address is the secret")
    events: Mapped[list[str]] = mapped_column(JSON, comment="types that it hears of")
    sealed_secret: Mapped[bytes | None] = mapped_column(LargeBinary, comment="signs what is sent")
    sealed_old_secret: Mapped[bytes | None] = mapped_column(LargeBinary, comment="signs as well until it is over")
    old_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[utc] = mapped_column(comment="what happened before is not sent")
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="by a person")
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="by the program")
    disabled_why: Mapped[str] = mapped_column(String(300), default="")
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="nothing has arrived since")
    failures: Mapped[int] = mapped_column(default=0, comment="in a row")
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="it is left alone until then")

    created_by: Mapped[User] = relationship()

    @property
    def is_on(self) -> bool:
        """Whether anything is sent there."""
        return self.paused_at is None and self.disabled_at is None


class Delivery(Leased, Base):
    """One event owed to one endpoint. What it says is written when it is sent, so that it holds nothing erased."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        CheckConstraint("state <> 'sent' OR sent_at IS NOT NULL", name="sent_has_a_time"),
        CheckConstraint("state NOT IN ('skipped', 'failed') OR reason <> ''", name="unsent_has_a_reason"),
        Index(
            "ix_deliveries_due",
            "endpoint_id",
            "next_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_deliveries_log", "endpoint_id", "state", "id"),
        Index("ix_deliveries_created_at", "created_at"),
    )

    id: Mapped[pk]
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoints.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(String(80), comment="the same for every endpoint and attempt")
    type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigId, comment="row that it is about, in the table its type names")
    at: Mapped[utc] = mapped_column(comment="when it happened")
    state: Mapped[DeliveryState] = mapped_column(
        checked(DeliveryState, "delivery_state"), default=DeliveryState.PENDING
    )
    reason: Mapped[str] = mapped_column(String(500), default="", comment="why it was not sent, or last failed")
    code: Mapped[int | None] = mapped_column(SmallInteger, comment="last answered")
    answer: Mapped[str] = mapped_column(String(500), default="", comment="how the last answer began")
    created_at: Mapped[utc]
    next_at: Mapped[utc]
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    endpoint: Mapped[Endpoint] = relationship()


class Cursor(Base):
    """How far a kind of row has been looked through."""

    __tablename__ = "cursors"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_id: Mapped[int] = mapped_column(BigId)


class Tracker(Base):
    """A project in another system, in which issues are made for action items."""

    __tablename__ = "trackers"
    __table_args__ = (CheckConstraint("name <> '' AND project <> ''", name="names_a_project"),)

    id: Mapped[pk]
    name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[TrackerKind] = mapped_column(checked(TrackerKind, "tracker_kind"))
    base_url: Mapped[str] = mapped_column(String(300))
    project: Mapped[str] = mapped_column(String(200), comment="owner/repository, group/project, or the key of Jira")
    account: Mapped[str] = mapped_column(String(254), default="", comment="of Jira: the mail address of the token")
    issue_type: Mapped[str] = mapped_column(String(60), default="", comment="of Jira")
    sealed_token: Mapped[bytes] = mapped_column(LargeBinary)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"), index=True, comment="empty for every team")
    comments_back: Mapped[bool] = mapped_column(default=True, comment="says there when our item closes or reopens")
    hook_hash: Mapped[str] = mapped_column(String(64), unique=True, comment="of the token in the address of its hook")
    sealed_hook: Mapped[bytes] = mapped_column(LargeBinary, comment="that token, and what its hook is signed with")
    created_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[utc]
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="not to be chosen, not asked any more")
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="it is left alone until then")
    trouble: Mapped[str] = mapped_column(String(500), default="", comment="what went wrong when it was last asked")

    team: Mapped[Team | None] = relationship()
    created_by: Mapped[User] = relationship()


class TrackerIssue(Leased, Base):
    """An issue for an action item: asked for, made, and then looked at until it is closed."""

    __tablename__ = "tracker_issues"
    __table_args__ = (
        CheckConstraint("state <> 'done' OR external_id <> ''", name="done_has_a_name"),
        CheckConstraint("state <> 'failed' OR reason <> ''", name="failed_says_why"),
        Index("ix_tracker_issues_item", "action_item_id", "id"),
        Index("ix_tracker_issues_due", "state", "next_at"),
        Index("ix_tracker_issues_external", "tracker_id", "external_id"),
    )

    id: Mapped[pk]
    action_item_id: Mapped[int] = mapped_column(ForeignKey("action_items.id"))
    tracker_id: Mapped[int] = mapped_column(ForeignKey("trackers.id"))
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[long_text]
    # Drawn with the form and written into the issue: by it a repeat is recognised, here and there.
    marker: Mapped[str] = mapped_column(String(32), unique=True)
    state: Mapped[IssueState] = mapped_column(checked(IssueState, "issue_state"), default=IssueState.PENDING)
    reason: Mapped[str] = mapped_column(String(500), default="", comment="why it failed, or has to wait")
    external_id: Mapped[str] = mapped_column(String(200), default="", comment="what the tracker calls it")
    url: Mapped[str] = mapped_column(String(1000), default="")
    is_open: Mapped[bool] = mapped_column(default=True, comment="there")
    etag: Mapped[str] = mapped_column(String(200), default="", comment="of the last answer about it")
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[utc]
    changed_at: Mapped[utc] = mapped_column(comment="when it last became something else")
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when to try or look; empty for never")

    item: Mapped[ActionItem] = relationship()
    tracker: Mapped[Tracker] = relationship()
    asked_by: Mapped[User] = relationship()


class TrackerComment(Leased, Base):
    """What an issue is to be told of our item."""

    __tablename__ = "tracker_comments"
    __table_args__ = (
        UniqueConstraint("issue_id", "event_id"),
        Index("ix_tracker_comments_due", "state", "next_at"),
    )

    id: Mapped[pk]
    issue_id: Mapped[int] = mapped_column(ForeignKey("tracker_issues.id"))
    event_id: Mapped[int] = mapped_column(ForeignKey("action_events.id"))
    state: Mapped[IssueState] = mapped_column(checked(IssueState, "comment_state"), default=IssueState.PENDING)
    reason: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[utc]
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    issue: Mapped[TrackerIssue] = relationship()
    event: Mapped[ActionEvent] = relationship()
