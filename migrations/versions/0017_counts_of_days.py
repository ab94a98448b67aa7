"""Answers counted by day, so that no page counts a million of them; two indexes for pages of statements and shares.

What has been counted of a day is marked as stale by the database itself as soon as an answer of that day comes, changes
or goes, whoever writes it; the worker counts the day again. The mark is a row of its own without a unique key, so two
that write answers of the same days never wait for each other. The newest two days are never kept; taking an answer
costs a look for a row that is not there.

Revision: 0017
Follows: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# The columns that are counted.
CHANGES = "survey_id, score, comment, answered_at, analysed_at"
# One mark for a day is enough, but others' that are not committed cannot be seen, and need not be.
MARK = (
    "INSERT INTO stale_days (day) SELECT day FROM counted_days WHERE day = {} "
    "AND NOT EXISTS (SELECT 1 FROM stale_days AS marked WHERE marked.day = counted_days.day);"
)
POOL = "complaint_id IS NULL AND role = 'main' AND kind = 'problem'"
READ = "comment <> '' AND analysed_at IS NOT NULL"


def pool(columns: list[str]) -> None:
    op.drop_index("ix_statements_pool", "statements")
    op.create_index(
        "ix_statements_pool", "statements", columns, sqlite_where=sa.text(POOL), postgresql_where=sa.text(POOL)
    )


def upgrade() -> None:
    op.create_table(
        "counted_days",
        sa.Column("day", sa.Date(), nullable=False, comment="by UTC, whose answers are counted"),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_counted_days")),
    )
    op.create_table(
        "answer_counts",
        sa.Column("survey_id", db.BigId, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False, comment="-1 where none was given"),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("with_words", sa.Integer(), nullable=False, comment="or that still wait to be redacted"),
        sa.Column("heard", sa.Integer(), nullable=False, comment="of these, those whose words were analysed"),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name=op.f("fk_answer_counts_survey_id_surveys")),
        sa.ForeignKeyConstraint(
            ["day"], ["counted_days.day"], name=op.f("fk_answer_counts_day_counted_days"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("survey_id", "day", "score", name=op.f("pk_answer_counts")),
    )
    op.create_index(op.f("ix_answer_counts_day"), "answer_counts", ["day"])
    op.create_table(
        "stale_days",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["day"], ["counted_days.day"], name=op.f("fk_stale_days_day_counted_days"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stale_days")),
    )
    op.create_index(op.f("ix_stale_days_day"), "stale_days", ["day"])
    op.drop_index("ix_statements_complaint_id", "statements")
    somewhere = sa.text("complaint_id IS NOT NULL")
    op.create_index(
        "ix_statements_complaint_id",
        "statements",
        ["complaint_id", "said_at", "answer_id", "customer_id"],
        sqlite_where=somewhere,
        postgresql_where=somewhere,
    )
    pool(["said_at", "complaint_id", "role", "kind"])
    op.create_index(
        "ix_statements_confidence",
        "statements",
        ["complaint_id", "confidence"],
        sqlite_where=somewhere,
        postgresql_where=somewhere,
    )
    op.create_index(
        "ix_answers_heard", "answers", ["answered_at"], sqlite_where=sa.text(READ), postgresql_where=sa.text(READ)
    )
    if op.get_bind().dialect.name == "sqlite":
        for name, when, row in (
            ("insert", "INSERT", "NEW"), ("leave", f"UPDATE OF {CHANGES}", "OLD"),
            ("enter", f"UPDATE OF {CHANGES}", "NEW"), ("delete", "DELETE", "OLD"),
        ):  # fmt: skip
            op.execute(
                f"CREATE TRIGGER answers_uncount_{name} AFTER {when} ON answers BEGIN "
                f"{MARK.format(f'substr({row}.answered_at, 1, 10)')} END"
            )
        return
    day = "({}.answered_at AT TIME ZONE 'UTC')::date"
    op.execute(
        "CREATE FUNCTION uncount_day() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP <> 'INSERT' THEN {MARK.format(day.format('OLD'))} END IF; "
        f"IF TG_OP <> 'DELETE' THEN {MARK.format(day.format('NEW'))} END IF; "
        "RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER answers_uncount AFTER INSERT OR DELETE OR UPDATE OF {CHANGES} ON answers "
        "FOR EACH ROW EXECUTE FUNCTION uncount_day()"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in ("insert", "leave", "enter", "delete"):
            op.execute(f"DROP TRIGGER answers_uncount_{name}")
    else:
        op.execute("DROP TRIGGER answers_uncount ON answers")
        op.execute("DROP FUNCTION uncount_day()")
    op.drop_index("ix_answers_heard", "answers")
    op.drop_index("ix_statements_confidence", "statements")
    pool(["said_at"])
    op.drop_index("ix_statements_complaint_id", "statements")
    op.create_index("ix_statements_complaint_id", "statements", ["complaint_id", "said_at"])
    op.drop_table("stale_days")
    op.drop_table("answer_counts")
    op.drop_table("counted_days")
