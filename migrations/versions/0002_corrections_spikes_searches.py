"""Corrections, spikes, searches, the right to read raw texts.

Revision: 0002
Follows: 0001
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def never_give_ids_again() -> None:
    """On SQLite, make the table of statements anew with AUTOINCREMENT: ids of deleted statements were used again."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    read = sa.text("SELECT sql FROM sqlite_master WHERE tbl_name = 'statements' AND type = :type AND sql IS NOT NULL")
    (table,) = connection.scalars(read, {"type": "table"}).all()
    indexes = connection.scalars(read, {"type": "index"}).all()
    table = table.replace("CREATE TABLE statements", "CREATE TABLE statements_anew")
    table = re.sub(r"\bid INTEGER NOT NULL", "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", table, count=1)
    table, found = re.subn(r",\s*CONSTRAINT pk_statements PRIMARY KEY \(id\)", "", table)
    assert found == 1, "the table of statements is not what revision 0001 made"
    op.execute(table)
    op.execute("INSERT INTO statements_anew SELECT * FROM statements")
    op.execute("DROP TABLE statements")
    op.execute("ALTER TABLE statements_anew RENAME TO statements")
    for index in indexes:
        op.execute(index)


def upgrade() -> None:
    never_give_ids_again()
    op.create_table(
        "spikes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("complaint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "state",
            sa.Enum("running", "over", name="spike_state", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("started_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_at", db.UtcDateTime(timezone=True), nullable=False, comment="when it was last found to run"),
        sa.Column("ended_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("returned", sa.Integer(), nullable=False, comment="how often it came back after it was over"),
        sa.Column("statements", sa.Integer(), nullable=False, comment="in the last 24 hours in which it was looked at"),
        sa.Column(
            "expected", sa.Double(), nullable=False, comment="statements that such 24 hours had before, on average"
        ),
        sa.Column("z", sa.Double(), nullable=False, comment="standard deviations above what is expected"),
        sa.Column("reason", sa.String(length=300), nullable=False, comment="in words"),
        sa.CheckConstraint("(state = 'over') = (ended_at IS NOT NULL)", name=op.f("ck_spikes_over_says_when")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_spikes_complaint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spikes")),
    )
    with op.batch_alter_table("spikes", schema=None) as batch_op:
        batch_op.create_index("ix_spikes_complaint_id", ["complaint_id"], unique=False)
        batch_op.create_index("ix_spikes_state", ["state", "started_at"], unique=False)
        batch_op.create_index(
            "uq_spikes_running",
            ["complaint_id"],
            unique=True,
            sqlite_where=sa.text("state = 'running'"),
            postgresql_where=sa.text("state = 'running'"),
        )

    op.create_table(
        "drafts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "state",
            sa.Enum("open", "applied", name="draft_state", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("why", sa.Text(), nullable=False, comment="for colleagues"),
        sa.Column("created_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("applied_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'applied') = (applied_at IS NOT NULL)", name=op.f("ck_drafts_applied_says_when")),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_drafts_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
    )
    with op.batch_alter_table("drafts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_drafts_by_id"), ["by_id"], unique=False)
        batch_op.create_index(
            "uq_drafts_open",
            ["by_id"],
            unique=True,
            sqlite_where=sa.text("state = 'open'"),
            postgresql_where=sa.text("state = 'open'"),
        )

    op.create_table(
        "corrections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("draft_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "rename",
                "merge",
                "split",
                "move",
                "pin",
                "apart",
                "dismiss",
                name="correction_kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "complaint_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="that is corrected",
        ),
        sa.Column(
            "other_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="into which, to which, or away from which",
        ),
        sa.Column("name", sa.String(length=200), nullable=False, comment="new name"),
        sa.Column("statement_ids", sa.JSON(), nullable=False, comment="picked by hand"),
        sa.Column("before", sa.JSON(), nullable=False, comment="what undoing needs to know, beside the statements"),
        sa.Column("undone_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("undone_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("undone_why", sa.Text(), nullable=False),
        sa.CheckConstraint("complaint_id <> other_id", name=op.f("ck_corrections_two_complaints")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaints.id"], name=op.f("fk_corrections_complaint_id")),
        sa.ForeignKeyConstraint(["draft_id"], ["drafts.id"], name=op.f("fk_corrections_draft_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["other_id"], ["complaints.id"], name=op.f("fk_corrections_other_id")),
        sa.ForeignKeyConstraint(["undone_by_id"], ["users.id"], name=op.f("fk_corrections_undone_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    with op.batch_alter_table("corrections", schema=None) as batch_op:
        batch_op.create_index("ix_corrections_complaint_id", ["complaint_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_corrections_draft_id"), ["draft_id"], unique=False)
        batch_op.create_index("ix_corrections_other_id", ["other_id"], unique=False)

    op.create_table(
        "corrected_statements",
        sa.Column("correction_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("statement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("was_complaint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "was_placed",
            sa.Enum(
                "nearest", "refine", "person", name="was_placed", native_enum=False, create_constraint=True, length=32
            ),
            nullable=True,
        ),
        sa.Column("was_kept_out", sa.Boolean(), nullable=False),
        sa.Column("was_reason", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["correction_id"],
            ["corrections.id"],
            name=op.f("fk_corrected_statements_correction_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["statements.id"], name=op.f("fk_corrected_statements_statement_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["was_complaint_id"], ["complaints.id"], name=op.f("fk_corrected_statements_was_complaint_id")
        ),
        sa.PrimaryKeyConstraint("correction_id", "statement_id", name=op.f("pk_corrected_statements")),
    )
    with op.batch_alter_table("corrected_statements", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_corrected_statements_statement_id"), ["statement_id"], unique=False)

    op.create_table(
        "searches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False, comment="redacted like everything else"),
        sa.Column(
            "statement_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="find others like this",
        ),
        sa.Column(
            "state",
            sa.Enum(
                "waiting", "done", "failed", name="search_state", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("made_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("done_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("found", sa.JSON(), nullable=False, comment="[statement, cosine] nearest first"),
        sa.Column("message", sa.Text(), nullable=False, comment="what went wrong, or what was left out"),
        sa.Column("claimed_until", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_searches_by_id")),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["statements.id"], name=op.f("fk_searches_statement_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_searches")),
    )
    with op.batch_alter_table("searches", schema=None) as batch_op:
        batch_op.create_index("ix_searches_made_at", ["made_at"], unique=False)
        batch_op.create_index(
            "ix_searches_waiting",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )

    op.create_table(
        "raw_readings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "answer_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="empty when the answer is deleted since",
        ),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.CheckConstraint("why <> ''", name=op.f("ck_raw_readings_says_why")),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["answers.id"], name=op.f("fk_raw_readings_answer_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_raw_readings_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raw_readings")),
    )
    with op.batch_alter_table("raw_readings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_raw_readings_answer_id"), ["answer_id"], unique=False)

    op.create_table(
        "raw_right_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("at", db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["users.id"], name=op.f("fk_raw_right_changes_by_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_raw_right_changes_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raw_right_changes")),
    )

    # Not in batches: these would make the tables anew, without what reflection does not see (AUTOINCREMENT, CHECKs).
    op.add_column(
        "users",
        sa.Column(
            "reads_raw",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="may read what customers typed, before redaction",
        ),
    )

    op.add_column(
        "complaints",
        sa.Column(
            "kept",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="somebody answers for it, so no refine may empty it",
        ),
    )
    op.add_column(
        "complaints",
        sa.Column(
            "cohesion", sa.Double(), nullable=True, comment="mean cosine of its statements to their mean, 0 to 1"
        ),
    )
    op.add_column(
        "complaints",
        sa.Column("stability", sa.Double(), nullable=True, comment="share of its statements that it kept, 0 to 1"),
    )
    op.add_column(
        "complaints",
        sa.Column("neighbours", sa.JSON(), nullable=False, server_default="[]", comment="[complaint, cosine], nearest"),
    )
    op.add_column(
        "complaints", sa.Column("map_x", sa.Double(), nullable=True, comment="place on the map of complaints, 0 to 1")
    )
    op.add_column("complaints", sa.Column("map_y", sa.Double(), nullable=True))

    op.add_column(
        "refines",
        sa.Column(
            "changes",
            sa.JSON(),
            nullable=False,
            server_default="{}",
            comment="complaints found, merged and renamed, and who moved where",
        ),
    )

    op.add_column(
        "statements",
        sa.Column("language", sa.String(length=8), nullable=True, comment="ISO 639, empty where it cannot be told"),
    )
    op.add_column(
        "statements",
        sa.Column(
            "kept_out",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="a person decided that it belongs nowhere",
        ),
    )

    op.add_column(
        "statements",
        sa.Column(
            "nearest", sa.JSON(), nullable=False, server_default="[]", comment="statements it was placed next to"
        ),
    )

    op.create_index(
        "ix_statements_by_person",
        "statements",
        ["complaint_id"],
        unique=False,
        sqlite_where=sa.text("placed = 'person'"),
        postgresql_where=sa.text("placed = 'person'"),
    )

    op.create_index(
        "ix_statements_kept_out",
        "statements",
        ["vector_id"],
        unique=False,
        sqlite_where=sa.text("kept_out"),
        postgresql_where=sa.text("kept_out"),
    )

    # Somebody answers already for what was taken on before this column was there.
    op.execute(
        "UPDATE complaints SET kept = true WHERE id IN "
        "(SELECT complaint_id FROM action_items WHERE status <> 'new' OR owner_id IS NOT NULL)"
    )


def downgrade() -> None:
    op.drop_index("ix_statements_kept_out", "statements")
    op.drop_index("ix_statements_by_person", "statements")
    for table, columns in (
        ("statements", ("nearest", "kept_out", "language")),
        ("refines", ("changes",)),
        ("users", ("reads_raw",)),
        ("complaints", ("map_y", "map_x", "neighbours", "stability", "cohesion", "kept")),
    ):
        for column in columns:
            op.drop_column(table, column)
    for table in (
        "raw_right_changes",
        "raw_readings",
        "searches",
        "corrected_statements",
        "corrections",
        "drafts",
        "spikes",
    ):
        op.drop_table(table)
