"""How often complaints were said in the last two weeks, so that no page counts it of all.

Revision: 0023
Follows: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "complaint_weeks",
        sa.Column("complaint_id", db.BigId, autoincrement=False, nullable=False),
        sa.Column("recent", sa.Integer(), nullable=False, comment="statements of the last seven days"),
        sa.Column("before", sa.Integer(), nullable=False, comment="statements of the seven days before"),
        sa.ForeignKeyConstraint(
            ["complaint_id"], ["complaints.id"], name=op.f("fk_complaint_weeks_complaint_id_complaints")
        ),
        sa.PrimaryKeyConstraint("complaint_id", name=op.f("pk_complaint_weeks")),
    )


def downgrade() -> None:
    op.drop_table("complaint_weeks")
