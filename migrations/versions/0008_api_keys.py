"""API keys, and requests that are done once.

Revision: 0008
Follows: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "api_keys",
        sa.Column("id", number, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column(
            "prefix",
            sa.String(length=16),
            nullable=False,
            comment="its first letters, by which people recognise it",
        ),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_by_id", number, nullable=False),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("revoked_by_id", number, nullable=True),
        sa.Column("revoked_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column(
            "last_used_at",
            db.UtcDateTime(timezone=True),
            nullable=True,
            comment="to the hour; written no oftener",
        ),
        sa.CheckConstraint("name <> ''", name=op.f("ck_api_keys_has_name")),
        sa.CheckConstraint("length(key_hash) = 64", name=op.f("ck_api_keys_hash_is_sha256")),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revoked_by_id IS NULL)", name=op.f("ck_api_keys_revoked_says_by_whom")
        ),
        sa.ForeignKeyConstraint(["created_by_id"], ["users.id"], name=op.f("fk_api_keys_created_by_id")),
        sa.ForeignKeyConstraint(["revoked_by_id"], ["users.id"], name=op.f("fk_api_keys_revoked_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_table(
        "api_requests",
        sa.Column("id", number, nullable=False),
        sa.Column("api_key_id", number, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False, comment="the Idempotency-Key it came with"),
        sa.Column("fingerprint", sa.String(length=64), nullable=False, comment="SHA-256 of method, address and body"),
        sa.Column("holder", sa.String(length=32), nullable=False, comment="drawn at random by whoever does it"),
        sa.Column("held_until", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("response", sa.LargeBinary(), nullable=True, comment="encrypted"),
        sa.CheckConstraint("(status IS NULL) = (response IS NULL)", name=op.f("ck_api_requests_answered_says_what")),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_keys.id"], name=op.f("fk_api_requests_api_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_requests")),
        sa.UniqueConstraint("api_key_id", "name", name=op.f("uq_api_requests_api_key_id_name")),
    )
    op.create_index(op.f("ix_api_requests_created_at"), "api_requests", ["created_at"], unique=False)


def downgrade() -> None:
    op.drop_table("api_requests")
    op.drop_table("api_keys")
