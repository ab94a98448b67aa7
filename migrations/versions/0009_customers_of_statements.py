"""Who said a statement, beside it, so that counting people reads one index; two indexes that SQLite passed over.

SQLAlchemy asks SQLite for "is_exemplar = 1", and an index where "is_exemplar" is not used for that.

Revision: 0009
Follows: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def flagged(condition: str) -> None:
    for name, columns, flag in (
        ("ix_statements_exemplars", ["complaint_id", "vector_id"], "is_exemplar"),
        ("ix_statements_kept_out", ["vector_id"], "kept_out"),
    ):
        op.drop_index(name, "statements")
        op.create_index(
            name,
            "statements",
            columns,
            unique=False,
            sqlite_where=sa.text(flag + condition),
            postgresql_where=sa.text(flag),
        )


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    if op.get_bind().dialect.name == "sqlite":
        # Not in Alembic's batch mode, which would make the table anew without its AUTOINCREMENT.
        op.execute("ALTER TABLE statements ADD COLUMN customer_id INTEGER REFERENCES customers (id)")
    else:
        op.add_column("statements", sa.Column("customer_id", number, nullable=True))
        op.create_foreign_key(op.f("fk_statements_customer_id"), "statements", "customers", ["customer_id"], ["id"])
    op.execute(
        "UPDATE statements SET customer_id = (SELECT customer_id FROM answers WHERE answers.id = statements.answer_id)"
    )
    op.create_index("ix_statements_customer_id", "statements", ["customer_id", "complaint_id"], unique=False)
    # The unique constraint on (answer_id, position) finds the statements of an answer as well.
    op.drop_index("ix_statements_answer_id", "statements")
    if op.get_bind().dialect.name == "sqlite":
        flagged(" = 1")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        flagged("")
    op.create_index("ix_statements_answer_id", "statements", ["answer_id", "complaint_id"], unique=False)
    op.drop_index("ix_statements_customer_id", "statements")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("ALTER TABLE statements DROP COLUMN customer_id")
    else:
        op.drop_column("statements", "customer_id")
