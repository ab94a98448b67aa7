"""Mails that come back: bounced ones, outcomes nobody knows, and how far a suppressed address reaches.

Revision: 0018
Follows: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STATES = ("pending", "sent", "failed", "skipped")
STATES_NOW = (*STATES, "bounced")
SCOPES = ("feedback", "everything")
CAUSES = ("asked", "bounced", "complained", "by_hand")


def listed(column: str, names: tuple[str, ...]) -> str:
    names_quoted = ", ".join(f"'{name}'" for name in names)
    return f"{column} IN ({names_quoted})"


def rewrite(table: str, before: str, after: str) -> None:
    """On SQLite: change the text of a table, as its documentation says for changes that leave the rows as they are."""
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = ? AND instr(sql, ?) > 0",
        (before, after, table, before),
    )
    assert changed.rowcount == 1, f"The table {table} is not as it was made."
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")


def allow(names: tuple[str, ...], before: tuple[str, ...]) -> None:
    """Say which states a message may have."""
    if op.get_bind().dialect.name == "sqlite":
        rewrite("notifications", listed("state", before), listed("state", names))
        return
    op.drop_constraint(op.f("ck_notifications_notification_state"), "notifications", type_="check")
    op.create_check_constraint(op.f("ck_notifications_notification_state"), "notifications", listed("state", names))


def add_one_of(table: str, column: str, name: str, names: tuple[str, ...], default: str) -> None:
    """Add a column with its CHECK, which `op.add_column` leaves out on SQLite."""
    op.execute(
        f"ALTER TABLE {table} ADD COLUMN {column} VARCHAR(32) DEFAULT '{default}' NOT NULL "
        f"CONSTRAINT ck_{table}_{name} CHECK ({listed(column, names)})"
    )


def upgrade() -> None:
    allow(STATES_NOW, STATES)
    op.add_column("notifications", sa.Column("bounced_at", db.UtcDateTime(), nullable=True))
    op.add_column(
        "notifications",
        sa.Column(
            "doubtful",
            sa.SmallInteger(),
            nullable=False,
            server_default="0",
            comment="attempts of which nobody knows whether the server took the mail; each may be a duplicate",
        ),
    )
    add_one_of("suppressions", "scope", "suppression_scope", SCOPES, "feedback")
    add_one_of("suppressions", "cause", "suppression_cause", CAUSES, "asked")


def downgrade() -> None:
    # A mail that came back was sent before it did.
    op.execute("UPDATE notifications SET state = 'failed', reason = 'bounced' WHERE state = 'bounced'")
    op.drop_column("suppressions", "cause")
    op.drop_column("suppressions", "scope")
    op.drop_column("notifications", "doubtful")
    op.drop_column("notifications", "bounced_at")
    allow(STATES, STATES_NOW)
