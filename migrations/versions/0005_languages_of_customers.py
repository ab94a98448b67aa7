"""In which language a customer reads, and in which an invitation asks.

Revision: 0005
Follows: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def language(table: str, comment: str) -> sa.Column[str]:
    law = sa.CheckConstraint("language = lower(language)", name=op.f(f"ck_{table}_language_is_lower_case"))
    return sa.Column("language", sa.String(8), law, server_default="", nullable=False, comment=comment)


def upgrade() -> None:
    for table, comment in (
        ("customers", "in which we write to them; empty means that we do not know"),
        ("invitations", "in which it asks; empty means in the customer's"),
    ):
        op.add_column(table, language(table, comment))


def downgrade() -> None:
    op.drop_column("invitations", "language")
    op.drop_column("customers", "language")
