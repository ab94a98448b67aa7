"""Indexes from which assigning reads what it needs without visiting the statements.

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def exemplars(*columns: str) -> None:
    op.drop_index("ix_statements_exemplars", "statements")
    op.create_index(
        "ix_statements_exemplars",
        "statements",
        list(columns),
        unique=False,
        sqlite_where=sa.text("is_exemplar"),
        postgresql_where=sa.text("is_exemplar"),
    )


def upgrade() -> None:
    exemplars("complaint_id", "vector_id")
    op.create_index("ix_statements_answer_id", "statements", ["answer_id", "complaint_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_statements_answer_id", "statements")
    exemplars("complaint_id")
