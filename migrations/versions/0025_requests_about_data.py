"""Who saw and erased what is kept about a person.

Revision: 0025
Follows: 0024
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

KIND = sa.Enum("access", "erasure", name="data_request_kind", native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    op.create_table(
        "data_requests",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("by_id", db.BigId, nullable=True, comment="empty for the command line"),
        sa.Column("at", db.UtcDateTime(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False, comment="rows of each kind"),
        sa.Column(
            "address_key",
            sa.String(length=64),
            nullable=True,
            comment="of the address, by SECRET_KEY: a restored backup is searched for it, and erased again",
        ),
        sa.CheckConstraint(
            "(kind = 'erasure') = (address_key IS NOT NULL)", name=op.f("ck_data_requests_erasure_has_a_key")
        ),
        sa.CheckConstraint("why <> ''", name=op.f("ck_data_requests_says_why")),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_data_requests_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_requests")),
    )


def downgrade() -> None:
    op.drop_table("data_requests")
