"""The mail channel: whether the mail server takes our mails, and what went astray.

Revision: 0019
Follows: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ASTRAY = sa.text("state IN ('failed', 'bounced')")
DOUBTFUL = sa.text("doubtful > 0")


def upgrade() -> None:
    op.create_table(
        "channels",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column(
            "failures",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="in a row, of the channel as a whole; 0 while it works",
        ),
        sa.Column("down_since", db.UtcDateTime(), nullable=True),
        sa.Column(
            "next_at",
            db.UtcDateTime(),
            nullable=True,
            comment="while it is down: when one mail tries whether it works again",
        ),
        sa.Column("reason", sa.String(500), nullable=False, server_default="", comment="why it is down"),
        sa.Column("sent_at", db.UtcDateTime(), nullable=True, comment="when a batch of mails last went out"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channels")),
    )
    op.create_index(
        "ix_notifications_astray",
        "notifications",
        ["state", "created_at"],
        sqlite_where=ASTRAY,
        postgresql_where=ASTRAY,
    )
    op.create_index(
        "ix_notifications_doubtful",
        "notifications",
        ["created_at"],
        sqlite_where=DOUBTFUL,
        postgresql_where=DOUBTFUL,
    )


def downgrade() -> None:
    op.drop_index("ix_notifications_doubtful", "notifications")
    op.drop_index("ix_notifications_astray", "notifications")
    op.drop_table("channels")
