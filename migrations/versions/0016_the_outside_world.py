"""Endpoints of other systems and what is owed to them; trackers and the issues made there.

Revision: 0016
Follows: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def one_of(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def moment(name: str, comment: str | None = None, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, db.UtcDateTime(), nullable=nullable, comment=comment)


def leased() -> list[sa.Column[object]]:
    return [
        moment("claimed_until"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
    ]


def refers(table: str, column: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"), ondelete=ondelete)


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("kind", one_of("endpoint_kind", "webhook", "slack", "teams"), nullable=False),
        sa.Column(
            "shown_url", sa.String(300), nullable=False, comment="as people may see it; of chats without its secret"
        ),
        sa.Column("sealed_url", sa.LargeBinary(), nullable=False, comment="sealed: of chats the address is the secret"),
        sa.Column("events", sa.JSON(), nullable=False, comment="types that it hears of"),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=True, comment="signs what is sent"),
        sa.Column("sealed_old_secret", sa.LargeBinary(), nullable=True, comment="signs as well until it is over"),
        moment("old_secret_until"),
        sa.Column("created_by_id", db.BigId, nullable=False),
        moment("created_at", "what happened before is not sent", nullable=False),
        moment("paused_at", "by a person"),
        moment("disabled_at", "by the program"),
        sa.Column("disabled_why", sa.String(300), nullable=False),
        moment("failing_since", "nothing has arrived since"),
        sa.Column("failures", sa.Integer(), nullable=False, comment="in a row"),
        moment("next_at", "it is left alone until then"),
        sa.CheckConstraint("name <> ''", name=op.f("ck_endpoints_has_name")),
        sa.CheckConstraint(
            "(kind = 'webhook') = (sealed_secret IS NOT NULL)", name=op.f("ck_endpoints_webhooks_are_signed")
        ),
        refers("endpoints", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("endpoint_id", db.BigId, nullable=False),
        sa.Column("event_id", sa.String(80), nullable=False, comment="the same for every endpoint and attempt"),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("subject_id", db.BigId, nullable=False, comment="row that it is about, in the table its type names"),
        moment("at", "when it happened", nullable=False),
        sa.Column("state", one_of("delivery_state", "pending", "sent", "failed", "skipped"), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False, comment="why it was not sent, or last failed"),
        sa.Column("code", sa.SmallInteger(), nullable=True, comment="last answered"),
        sa.Column("answer", sa.String(500), nullable=False, comment="how the last answer began"),
        moment("created_at", nullable=False),
        moment("next_at", nullable=False),
        moment("sent_at"),
        *leased(),
        sa.CheckConstraint("state <> 'sent' OR sent_at IS NOT NULL", name=op.f("ck_deliveries_sent_has_a_time")),
        sa.CheckConstraint(
            "state NOT IN ('skipped', 'failed') OR reason <> ''", name=op.f("ck_deliveries_unsent_has_a_reason")
        ),
        refers("deliveries", "endpoint_id", "endpoints", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("endpoint_id", "event_id", name=op.f("uq_deliveries_endpoint_id_event_id")),
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_deliveries_due", "deliveries", ["endpoint_id", "next_at"], sqlite_where=pending, postgresql_where=pending
    )
    op.create_index("ix_deliveries_log", "deliveries", ["endpoint_id", "state", "id"])
    op.create_index("ix_deliveries_created_at", "deliveries", ["created_at"])
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("last_id", db.BigId, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursors")),
    )
    op.create_table(
        "trackers",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("kind", one_of("tracker_kind", "github", "gitlab", "jira"), nullable=False),
        sa.Column("base_url", sa.String(300), nullable=False),
        sa.Column(
            "project", sa.String(200), nullable=False, comment="owner/repository, group/project, or the key of Jira"
        ),
        sa.Column("account", sa.String(254), nullable=False, comment="of Jira: the mail address of the token"),
        sa.Column("issue_type", sa.String(60), nullable=False, comment="of Jira"),
        sa.Column("sealed_token", sa.LargeBinary(), nullable=False),
        sa.Column("team_id", db.BigId, nullable=True, comment="empty for every team"),
        sa.Column("comments_back", sa.Boolean(), nullable=False, comment="says there when our item closes or reopens"),
        sa.Column("hook_hash", sa.String(64), nullable=False, comment="of the token in the address of its hook"),
        sa.Column(
            "sealed_hook", sa.LargeBinary(), nullable=False, comment="that token, and what its hook is signed with"
        ),
        sa.Column("created_by_id", db.BigId, nullable=False),
        moment("created_at", nullable=False),
        moment("archived_at", "not to be chosen, not asked any more"),
        moment("next_at", "it is left alone until then"),
        sa.Column("trouble", sa.String(500), nullable=False, comment="what went wrong when it was last asked"),
        sa.CheckConstraint("name <> '' AND project <> ''", name=op.f("ck_trackers_names_a_project")),
        refers("trackers", "team_id", "teams"),
        refers("trackers", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trackers")),
        sa.UniqueConstraint("hook_hash", name=op.f("uq_trackers_hook_hash")),
    )
    op.create_index(op.f("ix_trackers_team_id"), "trackers", ["team_id"])
    op.create_table(
        "tracker_issues",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("action_item_id", db.BigId, nullable=False),
        sa.Column("tracker_id", db.BigId, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("marker", sa.String(32), nullable=False),
        sa.Column("state", one_of("issue_state", "pending", "done", "failed"), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False, comment="why it failed, or has to wait"),
        sa.Column("external_id", sa.String(200), nullable=False, comment="what the tracker calls it"),
        sa.Column("url", sa.String(1000), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False, comment="there"),
        sa.Column("etag", sa.String(200), nullable=False, comment="of the last answer about it"),
        sa.Column("asked_by_id", db.BigId, nullable=False),
        moment("created_at", nullable=False),
        moment("changed_at", "when it last became something else", nullable=False),
        moment("next_at", "when to try or look; empty for never"),
        *leased(),
        sa.CheckConstraint("state <> 'done' OR external_id <> ''", name=op.f("ck_tracker_issues_done_has_a_name")),
        sa.CheckConstraint("state <> 'failed' OR reason <> ''", name=op.f("ck_tracker_issues_failed_says_why")),
        refers("tracker_issues", "action_item_id", "action_items"),
        refers("tracker_issues", "tracker_id", "trackers"),
        refers("tracker_issues", "asked_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracker_issues")),
        sa.UniqueConstraint("marker", name=op.f("uq_tracker_issues_marker")),
    )
    op.create_index("ix_tracker_issues_item", "tracker_issues", ["action_item_id", "id"])
    op.create_index("ix_tracker_issues_due", "tracker_issues", ["state", "next_at"])
    op.create_index("ix_tracker_issues_external", "tracker_issues", ["tracker_id", "external_id"])
    op.create_table(
        "tracker_comments",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("issue_id", db.BigId, nullable=False),
        sa.Column("event_id", db.BigId, nullable=False),
        sa.Column("state", one_of("comment_state", "pending", "done", "failed"), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        moment("created_at", nullable=False),
        moment("next_at"),
        *leased(),
        refers("tracker_comments", "issue_id", "tracker_issues"),
        refers("tracker_comments", "event_id", "action_events"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracker_comments")),
        sa.UniqueConstraint("issue_id", "event_id", name=op.f("uq_tracker_comments_issue_id_event_id")),
    )
    op.create_index("ix_tracker_comments_due", "tracker_comments", ["state", "next_at"])
    op.create_index("ix_follow_ups_answered_at", "follow_ups", ["answered_at"])
    op.create_index("ix_verdicts_decided_at", "verdicts", ["decided_at"])


def downgrade() -> None:
    op.drop_index("ix_verdicts_decided_at", "verdicts")
    op.drop_index("ix_follow_ups_answered_at", "follow_ups")
    for table in ("tracker_comments", "tracker_issues", "trackers", "cursors", "deliveries", "endpoints"):
        op.drop_table(table)
