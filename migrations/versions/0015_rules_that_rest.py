"""Routing rules that are drafts or switched off.

Revision: 0015
Follows: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "routing_rules",
        sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true(), comment="drafts are not asked"),
    )


def downgrade() -> None:
    op.drop_column("routing_rules", "is_active")
