"""Mails that came in, and what led to a suppression.

Revision: 0021
Follows: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

WAYS = ("webhook", "mailbox", "command")
KINDS = ("bounce", "delay", "news", "complaint", "auto_reply", "reply", "stop", "unclear")
SCOPES = ("feedback", "everything")
CAUSES = ("asked", "bounced", "complained", "by_hand")
OPEN = "kind = 'reply' AND action_item_id IS NULL AND done_at IS NULL"


def one_of(name: str, values: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def add_reference(table: str, column: str, other: str, comment: str) -> None:
    """Add a column that refers to another table, which SQLite can do inline only."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER REFERENCES {other} (id)")
        return
    op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True, comment=comment))
    op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, other, [column], ["id"])


def reference(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}"))


def upgrade() -> None:
    add_reference("suppressions", "notification_id", "notifications", "the mail that led to it")
    add_reference("suppressions", "by_id", "users", "the colleague who decided it")
    op.create_index("ix_suppressions_created_at", "suppressions", ["created_at", "id"])
    op.create_table(
        "inbound_mails",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("key", sa.String(64), nullable=False, comment="hash by which it is known again"),
        sa.Column("way", one_of("inbound_way", WAYS), nullable=False),
        sa.Column("kind", one_of("inbound_kind", KINDS), nullable=False),
        sa.Column("received_at", db.UtcDateTime(), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False, comment="what says so, and what followed"),
        sa.Column("sender", sa.String(254), nullable=False, comment="only where it was not understood"),
        sa.Column("subject", sa.String(200), nullable=False, comment="only where it was not understood"),
        sa.Column("notification_id", db.BigId, nullable=True),
        sa.Column("action_item_id", db.BigId, nullable=True, comment="whose history has it"),
        sa.Column("words", sa.Text(), nullable=False, comment="redacted; only of a reply without an item"),
        sa.Column("attachments", sa.SmallInteger(), nullable=False, comment="not kept"),
        sa.Column("done_at", db.UtcDateTime(), nullable=True, comment="when a colleague was done with the reply"),
        sa.Column("done_by_id", db.BigId, nullable=True),
        sa.CheckConstraint("kind <> 'unclear' OR reason <> ''", name=op.f("ck_inbound_mails_unclear_says_why")),
        sa.CheckConstraint(
            "kind <> 'reply' OR notification_id IS NOT NULL", name=op.f("ck_inbound_mails_reply_answers_a_mail")
        ),
        reference("inbound_mails", "notification_id", "notifications"),
        reference("inbound_mails", "action_item_id", "action_items"),
        reference("inbound_mails", "done_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_mails")),
        sa.UniqueConstraint("key", name=op.f("uq_inbound_mails_key")),
    )
    op.create_index("ix_inbound_mails_received", "inbound_mails", ["received_at", "kind"])
    op.create_index("ix_inbound_mails_kind", "inbound_mails", ["kind", "id"])
    op.create_index(op.f("ix_inbound_mails_notification_id"), "inbound_mails", ["notification_id"])
    op.create_index(
        "ix_inbound_mails_open", "inbound_mails", ["id"], sqlite_where=sa.text(OPEN), postgresql_where=sa.text(OPEN)
    )
    op.create_table(
        "inbound_polls",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("polled_at", db.UtcDateTime(), nullable=False),
        sa.Column("found_at", db.UtcDateTime(), nullable=True, comment="when it was last open to us"),
        sa.Column("taken", sa.Integer(), nullable=False, comment="mails taken at the last look"),
        sa.Column("failure", sa.String(300), nullable=False, comment="of the last look, in words"),
        sa.CheckConstraint("id = 1", name=op.f("ck_inbound_polls_is_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_polls")),
    )
    op.create_table(
        "lifts",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("scope", one_of("lift_scope", SCOPES), nullable=False),
        sa.Column("cause", one_of("lift_cause", CAUSES), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False, comment="of the suppression"),
        sa.Column("since", db.UtcDateTime(), nullable=False, comment="when no mail was sent any more"),
        sa.Column("why", sa.String(200), nullable=False, comment="it was lifted"),
        sa.Column("by_id", db.BigId, nullable=False),
        sa.Column("at", db.UtcDateTime(), nullable=False),
        reference("lifts", "by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifts")),
    )


def downgrade() -> None:
    for table in ("lifts", "inbound_polls", "inbound_mails"):
        op.drop_table(table)
    op.drop_index("ix_suppressions_created_at", "suppressions")
    # On SQLite the columns leave with their references.
    op.drop_column("suppressions", "by_id")
    op.drop_column("suppressions", "notification_id")
