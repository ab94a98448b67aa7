"""Answers that were erased by whoever gave them.

Revision: 0011
Follows: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "erased_answers",
        sa.Column("id", number, nullable=False),
        sa.Column("survey_id", number, nullable=False),
        sa.Column("receipt_hash", sa.String(64), nullable=True, comment="so that its receipt can say that it is gone"),
        sa.Column("erased_at", db.UtcDateTime(timezone=True), nullable=False, comment="the day"),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name=op.f("fk_erased_answers_survey_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erased_answers")),
    )
    op.create_index(op.f("ix_erased_answers_survey_id"), "erased_answers", ["survey_id"])
    op.create_index(op.f("ix_erased_answers_receipt_hash"), "erased_answers", ["receipt_hash"])


def downgrade() -> None:
    op.drop_table("erased_answers")
