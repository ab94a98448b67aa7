"""Which survey a statement answers, beside it, and indexes, for pages at a million answers.

Looking up the answer of each statement to learn its survey took longer than all else on the pages that need it. The
other indexes hold the answers of a customer and of a survey by moment, and equal words by complaint.

Revision: 0020
Follows: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def widen(table: str, name: str, columns: list[str]) -> None:
    """Make an index anew, under the same name, over other columns."""
    op.drop_index(name, table)
    op.create_index(name, table, columns)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # Not in Alembic's batch mode, which would make the table anew without its AUTOINCREMENT.
        op.execute("ALTER TABLE statements ADD COLUMN survey_id INTEGER REFERENCES surveys (id)")
    else:
        op.add_column("statements", sa.Column("survey_id", db.BigId, nullable=True))
        op.create_foreign_key(op.f("fk_statements_survey_id"), "statements", "surveys", ["survey_id"], ["id"])
    op.execute(
        "UPDATE statements SET survey_id = (SELECT survey_id FROM answers WHERE answers.id = statements.answer_id)"
    )
    somewhere = sa.text("complaint_id IS NOT NULL")
    op.create_index(
        "ix_statements_survey_id",
        "statements",
        ["survey_id", "complaint_id"],
        sqlite_where=somewhere,
        postgresql_where=somewhere,
    )
    widen("statements", "ix_statements_vector_id", ["vector_id", "complaint_id"])
    widen("answers", "ix_answers_customer_id", ["customer_id", "survey_id", "answered_at"])
    op.create_index("ix_answers_of_survey", "answers", ["survey_id", "answered_at"])


def downgrade() -> None:
    op.drop_index("ix_answers_of_survey", "answers")
    widen("answers", "ix_answers_customer_id", ["customer_id"])
    widen("statements", "ix_statements_vector_id", ["vector_id"])
    op.drop_index("ix_statements_survey_id", "statements")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("ALTER TABLE statements DROP COLUMN survey_id")
    else:
        op.drop_column("statements", "survey_id")
