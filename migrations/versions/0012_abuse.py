"""Counts of rate limits, and how hard each survey is pressed.

Revision: 0012
Follows: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Counts of the last minutes: nothing is lost with them, so they need not survive a crash.
    is_postgres = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "limit_counts",
        sa.Column("key", sa.String(200), nullable=False, comment="of whom it counts: a hash that changes daily"),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", db.UtcDateTime(), nullable=False, comment="when counting begins anew"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_limit_counts")),
        prefixes=["UNLOGGED"] if is_postgres else [],
    )
    op.create_index(op.f("ix_limit_counts_expires_at"), "limit_counts", ["expires_at"])
    op.add_column(
        "unconfirmed_answers",
        sa.Column(
            "receipt_hash", sa.String(64), nullable=True, comment="hash of the receipt that its anonymous author holds"
        ),
    )
    op.create_index(op.f("ix_unconfirmed_answers_receipt_hash"), "unconfirmed_answers", ["receipt_hash"])
    op.create_table(
        "survey_pressures",
        sa.Column("survey_id", db.BigId, nullable=False),
        sa.Column(
            "guard",
            sa.Enum("off", "automatic", "on", name="guard", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("usual", sa.Double(), nullable=False, comment="answers in one window, over the last week"),
        sa.Column("usual_at", db.UtcDateTime(), nullable=True, comment="when that was counted"),
        sa.Column("until", db.UtcDateTime(), nullable=True, comment="until when it is taken to be under attack"),
        sa.Column("reason", sa.String(200), nullable=False, comment="why"),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_survey_pressures_survey_id_surveys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("survey_id", name=op.f("pk_survey_pressures")),
    )


def downgrade() -> None:
    op.drop_table("survey_pressures")
    op.drop_index(op.f("ix_unconfirmed_answers_receipt_hash"), "unconfirmed_answers")
    op.drop_column("unconfirmed_answers", "receipt_hash")
    op.drop_table("limit_counts")
