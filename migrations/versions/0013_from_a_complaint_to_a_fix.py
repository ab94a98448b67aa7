"""Triage, priorities, service levels, checklists, links, watchers; closings with a date and a segment; notification
runs; routing by more than a word.

Revision: 0013
Follows: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATUSES = ("new", "in_progress", "closed", "verified", "reopened")
STATUSES_NOW = ("new", "triaged", "in_progress", "waiting", "closed", "verified", "reopened")
OUTCOMES = ("fixed", "declined")
OUTCOMES_NOW = ("fixed", "partly_fixed", "declined", "duplicate", "not_a_problem")
FIXED, FIXED_NOW = ("yes", "no"), ("yes", "no", "not_since")
PRIORITIES = ("low", "normal", "high", "urgent")
SEGMENTS = ("all", "page", "tag", "release", "language")
DIGESTS = ("off", "daily", "weekly")
ASKS = "keyword <> '' OR survey_id IS NOT NULL"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def listed(column: str, names: tuple[str, ...]) -> str:
    names_quoted = ", ".join(f"'{name}'" for name in names)
    return f"{column} IN ({names_quoted})"


def rewrite(table: str, before: str, after: str) -> None:
    """On SQLite: change the text of a table, as its documentation says for changes that leave the rows as they are
    ("Making Other Kinds Of Table Schema Changes"). Making the table anew would touch every row that refers to it."""
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


def allow(table: str, column: str, name: str, names: tuple[str, ...], before: tuple[str, ...]) -> None:
    """Say what a column may hold."""
    if op.get_bind().dialect.name == "sqlite":
        rewrite(table, listed(column, before), listed(column, names))
        return
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, listed(column, names))


def add_one_of(table: str, column: str, name: str, names: tuple[str, ...], default: str) -> None:
    """Add a column with its CHECK, which `op.add_column` leaves out on SQLite."""
    rest = f"DEFAULT '{default}' NOT NULL " if default else ""
    op.execute(
        f"ALTER TABLE {table} ADD COLUMN {column} VARCHAR(32) {rest}"
        f"CONSTRAINT ck_{table}_{name} CHECK ({listed(column, names)})"
    )


def add_reference(table: str, column: str, other: str, comment: str = "") -> None:
    """Add a column that refers to another table, which SQLite can do inline only."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER REFERENCES {other} (id)")
        return
    op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True, comment=comment or None))
    op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, other, [column], ["id"])


def one_of(table: str, column: str, name: str, names: tuple[str, ...]) -> sa.CheckConstraint:
    return sa.CheckConstraint(listed(column, names), name=op.f(f"ck_{table}_{name}"))


def reference(table: str, column: str, other: str, **options: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}"), **options)


def upgrade() -> None:
    moment = db.UtcDateTime(timezone=True)
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "service_levels",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("hours", sa.JSON(), nullable=False, comment="business hours until it is due, by priority"),
        sa.Column("days", sa.JSON(), nullable=False, comment="working days; 0 is Monday"),
        sa.Column(
            "opens", sa.SmallInteger(), nullable=False, comment="when the working day begins, in minutes after midnight"
        ),
        sa.Column("closes", sa.SmallInteger(), nullable=False, comment="when it ends"),
        sa.Column("time_zone", sa.String(60), nullable=False),
        sa.Column("holidays", sa.JSON(), nullable=False, comment="days nobody works, as 2026-12-25"),
        sa.Column(
            "remind_hours", sa.SmallInteger(), nullable=False, comment="business hours before it is due; 0 is never"
        ),
        sa.Column(
            "lead_hours", sa.SmallInteger(), nullable=False, comment="business hours overdue until leads hear of it"
        ),
        sa.Column(
            "admin_hours", sa.SmallInteger(), nullable=False, comment="business hours overdue until admins hear of it"
        ),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("archived_at", moment, nullable=True, comment="not to be chosen any more"),
        sa.CheckConstraint("name <> ''", name=op.f("ck_service_levels_has_name")),
        sa.CheckConstraint("opens < closes", name=op.f("ck_service_levels_day_has_hours")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_levels")),
        sa.UniqueConstraint("name", name=op.f("uq_service_levels_name")),
    )
    op.create_index(
        "uq_service_levels_default",
        "service_levels",
        ["is_default"],
        unique=True,
        sqlite_where=sa.text("is_default = 1"),
        postgresql_where=sa.text("is_default"),
    )
    allow("action_items", "status", "status", STATUSES_NOW, STATUSES)
    allow("closures", "outcome", "outcome", OUTCOMES_NOW, OUTCOMES)
    allow("follow_ups", "fixed", "fixed", FIXED_NOW, FIXED)
    add_one_of("users", "digest", "digest", DIGESTS, "daily")

    op.add_column(
        "action_items",
        sa.Column(
            "due_by_hand",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="a person chose the day; the service level leaves it alone",
        ),
    )
    op.execute(sa.text("UPDATE action_items SET due_by_hand = :yes WHERE due_at IS NOT NULL").bindparams(yes=True))
    add_reference("action_items", "service_level_id", "service_levels")
    op.create_index(op.f("ix_action_items_service_level_id"), "action_items", ["service_level_id"])
    add_one_of("action_items", "priority", "priority", PRIORITIES, "normal")
    for column in (
        sa.Column(
            "priority_reason",
            sa.String(300),
            nullable=False,
            server_default="",
            comment="its arithmetic, or who chose it",
        ),
        sa.Column("priority_by_hand", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("waiting_for", sa.String(300), nullable=False, server_default="", comment="while it waits"),
        sa.Column("waiting_since", moment, nullable=True),
        sa.Column("triaged_at", moment, nullable=True, comment="when a person first decided about it"),
        sa.Column("snoozed_until", moment, nullable=True, comment="triage leaves it out until then"),
    ):
        op.add_column("action_items", column)
    op.execute("UPDATE action_items SET triaged_at = created_at WHERE status <> 'new'")

    op.create_table(
        "checklist_entries",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("action_item_id", NUMBER, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(300), nullable=False),
        sa.Column("done_at", moment, nullable=True),
        sa.Column("done_by_id", NUMBER, nullable=True),
        sa.CheckConstraint("text <> ''", name=op.f("ck_checklist_entries_has_text")),
        reference("checklist_entries", "action_item_id", "action_items"),
        reference("checklist_entries", "done_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checklist_entries")),
    )
    op.create_index(op.f("ix_checklist_entries_action_item_id"), "checklist_entries", ["action_item_id"])
    op.create_table(
        "item_links",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("action_item_id", NUMBER, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("url", sa.String(1000), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("provider", sa.String(20), nullable=False, comment="github, gitlab, jira; empty for others"),
        sa.Column("external_id", sa.String(200), nullable=False, comment="what the tracker calls it"),
        sa.Column("created_by_id", NUMBER, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        one_of("item_links", "kind", "link_kind", ("attachment", "tracker")),
        reference("item_links", "action_item_id", "action_items"),
        reference("item_links", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_links")),
        sa.UniqueConstraint("action_item_id", "url", name=op.f("uq_item_links_action_item_id_url")),
    )
    op.create_index("ix_item_links_external", "item_links", ["provider", "external_id"])
    op.create_table(
        "watchers",
        sa.Column("action_item_id", NUMBER, nullable=False),
        sa.Column("user_id", NUMBER, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        reference("watchers", "action_item_id", "action_items"),
        reference("watchers", "user_id", "users"),
        sa.PrimaryKeyConstraint("action_item_id", "user_id", name=op.f("pk_watchers")),
    )
    op.create_index(op.f("ix_watchers_user_id"), "watchers", ["user_id"])

    op.create_table(
        "notices",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("user_id", NUMBER, nullable=False),
        sa.Column("action_item_id", NUMBER, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        sa.Column("is_urgent", sa.Boolean(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("mailed_at", moment, nullable=True, comment="or when it was too late to be news"),
        reference("notices", "user_id", "users"),
        reference("notices", "action_item_id", "action_items"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(op.f("ix_notices_action_item_id"), "notices", ["action_item_id"])
    op.create_index(
        "ix_notices_unmailed",
        "notices",
        ["user_id", "id"],
        sqlite_where=sa.text("mailed_at IS NULL"),
        postgresql_where=sa.text("mailed_at IS NULL"),
    )

    op.add_column(
        "closures",
        sa.Column(
            "effective_from",
            moment,
            nullable=True,
            comment="experiences from then on are of the changed thing; empty where nothing was changed",
        ),
    )
    op.execute("UPDATE closures SET effective_from = closed_at WHERE outcome = 'fixed'")
    add_one_of("closures", "segment", "segment", SEGMENTS, "all")
    op.add_column(
        "closures",
        sa.Column(
            "segment_value",
            sa.String(200),
            nullable=False,
            server_default="",
            comment="which page, tag, release or language",
        ),
    )
    add_reference("closures", "duplicate_of_id", "action_items", "the item at which the work goes on")
    op.add_column(
        "closures",
        sa.Column(
            "usual",
            sa.JSON(),
            nullable=False,
            server_default="{}",
            comment="how often it was said before: statements, answers, days",
        ),
    )

    op.create_table(
        "notification_runs",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("closure_id", NUMBER, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("prepared_by_id", NUMBER, nullable=False),
        sa.Column("prepared_at", moment, nullable=False),
        sa.Column("released_by_id", NUMBER, nullable=True, comment="who said: send it"),
        sa.Column("released_at", moment, nullable=True),
        sa.Column("approved_by_id", NUMBER, nullable=True, comment="the second pair of eyes"),
        sa.Column("approved_at", moment, nullable=True),
        sa.Column("starts_at", moment, nullable=True, comment="until then it can be undone"),
        sa.Column("undone_by_id", NUMBER, nullable=True),
        sa.Column("undone_at", moment, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        one_of(
            "notification_runs",
            "state",
            "run_state",
            ("review", "approval", "held", "sending", "done", "undone"),
        ),
        sa.CheckConstraint(
            "state <> 'held' OR starts_at IS NOT NULL", name=op.f("ck_notification_runs_held_says_until_when")
        ),
        reference("notification_runs", "closure_id", "closures"),
        *(
            reference("notification_runs", f"{verb}_by_id", "users")
            for verb in ("prepared", "released", "approved", "undone")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_runs")),
        sa.UniqueConstraint("closure_id", name=op.f("uq_notification_runs_closure_id")),
    )
    op.create_index("ix_notification_runs_state", "notification_runs", ["state", "starts_at"])
    op.create_table(
        "run_people",
        sa.Column("run_id", NUMBER, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("statement_id", NUMBER, nullable=True, comment="whose words the mail quotes"),
        sa.Column("is_told", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False, comment="why not, by its short name"),
        sa.Column("by_hand", sa.Boolean(), nullable=False, comment="a person dropped or added them"),
        sa.CheckConstraint("is_told = (reason = '')", name=op.f("ck_run_people_not_told_says_why")),
        reference("run_people", "run_id", "notification_runs"),
        reference("run_people", "customer_id", "customers"),
        reference("run_people", "statement_id", "statements", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("run_id", "customer_id", name=op.f("pk_run_people")),
    )
    op.create_index(op.f("ix_run_people_customer_id"), "run_people", ["customer_id"])
    op.create_index("ix_run_people_told", "run_people", ["run_id", "is_told", "reason"])
    op.create_table(
        "statement_templates",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("team_id", NUMBER, nullable=True, comment="empty for every team"),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        one_of("statement_templates", "outcome", "outcome", OUTCOMES_NOW),
        sa.CheckConstraint("name <> '' AND text <> ''", name=op.f("ck_statement_templates_says_something")),
        reference("statement_templates", "team_id", "teams"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement_templates")),
    )
    op.create_index(op.f("ix_statement_templates_team_id"), "statement_templates", ["team_id"])

    if is_sqlite:
        rewrite("routing_rules", f"CHECK ({ASKS})", "CHECK (1)")
    else:
        op.drop_constraint(op.f("ck_routing_rules_asks_for_something"), "routing_rules", type_="check")
    for column in (
        sa.Column("page", sa.String(200), nullable=False, server_default="", comment="most came from such a page"),
        sa.Column("tag", sa.String(200), nullable=False, server_default="", comment="most were tagged so"),
        sa.Column("language", sa.String(8), nullable=False, server_default="", comment="most were written in it"),
        sa.Column("worst_score", sa.SmallInteger(), nullable=True, comment="the mean score, 0 to 100, is at most this"),
        sa.Column(
            "examples", sa.JSON(), nullable=False, server_default="[]", comment="texts that mean what it asks for"
        ),
        sa.Column(
            "example_vectors",
            sa.LargeBinary(),
            nullable=True,
            comment="of the examples, one after the other, little-endian float16; the worker makes them",
        ),
        sa.Column("example_model", sa.String(120), nullable=False, server_default="", comment="that made them"),
    ):
        op.add_column("routing_rules", column)
    add_reference("routing_rules", "owner_id", "users", "empty for whoever takes it on")
    add_one_of("routing_rules", "priority", "priority", PRIORITIES, "")
    add_reference("routing_rules", "service_level_id", "service_levels", "empty: the default")


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute("DELETE FROM routing_rules WHERE NOT (keyword <> '' OR survey_id IS NOT NULL)")
    if is_sqlite:
        rewrite("routing_rules", "CHECK (1)", f"CHECK ({ASKS})")
    else:
        op.create_check_constraint(op.f("ck_routing_rules_asks_for_something"), "routing_rules", ASKS)
    for name in (
        "service_level_id", "priority", "owner_id", "example_model", "example_vectors", "examples", "worst_score",
        "language", "tag", "page",
    ):  # fmt: skip
        op.drop_column("routing_rules", name)
    op.drop_table("statement_templates")
    op.drop_table("run_people")
    op.drop_table("notification_runs")
    for name in ("usual", "duplicate_of_id", "segment_value", "segment", "effective_from"):
        op.drop_column("closures", name)
    op.drop_table("notices")
    op.drop_table("watchers")
    op.drop_table("item_links")
    op.drop_table("checklist_entries")
    op.drop_index(op.f("ix_action_items_service_level_id"), "action_items")
    for name in (
        "snoozed_until", "triaged_at", "waiting_since", "waiting_for", "priority_by_hand", "priority_reason",
        "priority", "service_level_id", "due_by_hand",
    ):  # fmt: skip
        op.drop_column("action_items", name)
    op.drop_column("users", "digest")
    op.execute("DELETE FROM follow_ups WHERE fixed = 'not_since'")
    op.execute("UPDATE closures SET outcome = 'fixed' WHERE outcome = 'partly_fixed'")
    op.execute("UPDATE closures SET outcome = 'declined' WHERE outcome IN ('duplicate', 'not_a_problem')")
    op.execute("UPDATE action_items SET status = 'new' WHERE status = 'triaged'")
    op.execute("UPDATE action_items SET status = 'in_progress' WHERE status = 'waiting'")
    allow("follow_ups", "fixed", "fixed", FIXED, FIXED_NOW)
    allow("closures", "outcome", "outcome", OUTCOMES, OUTCOMES_NOW)
    allow("action_items", "status", "status", STATUSES, STATUSES_NOW)
    op.drop_table("service_levels")
