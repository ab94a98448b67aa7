"""How steps fare, answers that are set aside, and what people decided about what was stuck.

Revision: 0022
Follows: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "step_runs",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("every_seconds", sa.Integer(), nullable=False, comment="how often it looks"),
        sa.Column("started_at", db.UtcDateTime(), nullable=True, comment="its last run that has ended"),
        sa.Column("ended_at", db.UtcDateTime(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False, server_default="0", comment="that this run took"),
        sa.Column("runs", big, nullable=False, server_default="0"),
        sa.Column("failures", big, nullable=False, server_default="0"),
        sa.Column("failures_in_a_row", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("worked_at", db.UtcDateTime(), nullable=True, comment="when it last ended well"),
        sa.Column("failing_since", db.UtcDateTime(), nullable=True, comment="empty where its last run was well"),
        sa.Column("failed_at", db.UtcDateTime(), nullable=True, comment="when it last failed, also long ago"),
        sa.Column("error", sa.String(120), nullable=False, server_default="", comment="class of that error"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_step_runs")),
    )
    op.create_table(
        "stuck_decisions",
        sa.Column("id", big, nullable=False),
        sa.Column("at", db.UtcDateTime(), nullable=False),
        sa.Column("by_id", big, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("verb", sa.String(20), nullable=False),
        sa.Column("row_id", big, nullable=True, comment="empty for all of the kind"),
        sa.Column("count", sa.Integer(), nullable=False, comment="rows that it was about"),
        sa.Column("why", sa.String(300), nullable=False),
        sa.CheckConstraint("verb <> 'discard' OR why <> ''", name=op.f("ck_stuck_decisions_discard_says_why")),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_stuck_decisions_by_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stuck_decisions")),
    )
    op.add_column(
        "answers",
        sa.Column(
            "set_aside_at",
            db.UtcDateTime(),
            nullable=True,
            comment="since when no worker tries to redact or analyse it any more",
        ),
    )
    op.add_column(
        "answers",
        sa.Column(
            "trouble",
            sa.String(300),
            nullable=False,
            server_default="",
            comment="why it could not be the last time; never what it says",
        ),
    )
    where = sa.text("set_aside_at IS NOT NULL")
    op.create_index("ix_answers_set_aside", "answers", ["set_aside_at"], sqlite_where=where, postgresql_where=where)
    where = sa.text("state = 'failed'")
    op.create_index("ix_notifications_failed", "notifications", ["id"], sqlite_where=where, postgresql_where=where)
    where = sa.text("state = 'pending' AND attempts > 0")
    op.create_index(
        "ix_notifications_tried", "notifications", ["created_at"], sqlite_where=where, postgresql_where=where
    )
    op.create_index("ix_notifications_sent_at", "notifications", ["sent_at"])


def downgrade() -> None:
    op.drop_index("ix_notifications_sent_at", "notifications")
    op.drop_index("ix_notifications_tried", "notifications")
    op.drop_index("ix_notifications_failed", "notifications")
    op.drop_index("ix_answers_set_aside", "answers")
    op.drop_column("answers", "trouble")
    op.drop_column("answers", "set_aside_at")
    op.drop_table("stuck_decisions")
    op.drop_table("step_runs")
