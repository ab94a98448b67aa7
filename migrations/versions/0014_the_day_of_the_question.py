"""The day on which those told of a closing are asked whether it helped.

Revision: 0014
Follows: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "closures",
        sa.Column(
            "ask_at",
            db.UtcDateTime(timezone=True),
            nullable=True,
            comment="when those told are asked whether it helped; empty: as the settings say",
        ),
    )


def downgrade() -> None:
    op.drop_column("closures", "ask_at")
