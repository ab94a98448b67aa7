"""How often a worker ended while it had a mail, one to send or one that came in.

Revision: 0024
Follows: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

SUSPECTED = sa.text("state = 'pending' AND deaths > 0")


def upgrade() -> None:
    op.add_column(
        "notifications",
        sa.Column(
            "deaths",
            sa.SmallInteger(),
            nullable=False,
            server_default="0",
            comment="claims in a row whose lease ran out: the worker ended meanwhile",
        ),
    )
    op.create_index(
        "ix_notifications_suspected",
        "notifications",
        ["deaths"],
        sqlite_where=SUSPECTED,
        postgresql_where=SUSPECTED,
    )
    op.add_column(
        "inbound_polls",
        sa.Column(
            "at_uid",
            sa.String(20),
            nullable=False,
            server_default="",
            comment="the mail that is being taken, by its number in the folder",
        ),
    )
    op.add_column(
        "inbound_polls",
        sa.Column("worker", sa.String(100), nullable=False, server_default="", comment="who is taking it"),
    )
    op.add_column(
        "inbound_polls",
        sa.Column(
            "deaths",
            sa.SmallInteger(),
            nullable=False,
            server_default="0",
            comment="workers in a row that ended while they took it",
        ),
    )


def downgrade() -> None:
    op.drop_column("inbound_polls", "deaths")
    op.drop_column("inbound_polls", "worker")
    op.drop_column("inbound_polls", "at_uid")
    op.drop_index("ix_notifications_suspected", "notifications")
    op.drop_column("notifications", "deaths")
