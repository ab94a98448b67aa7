"""The pages on which a survey may be embedded.

Revision: 0007
Follows: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "surveys",
        sa.Column(
            "embed_origins",
            sa.JSON(),
            server_default="[]",
            nullable=False,
            comment="whose pages may show it in a frame; empty means nobody's",
        ),
    )


def downgrade() -> None:
    op.drop_column("surveys", "embed_origins")
