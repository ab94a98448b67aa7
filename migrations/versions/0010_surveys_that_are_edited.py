"""Surveys with a draft, versions, languages, looks, dates and a limit; anonymous ones; receipts; smileys.

Revision: 0010
Follows: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SCALES = ("helpful", "csat", "ces", "nps", "stars", "text")
SURVEY_COLUMNS = (
    "language", "translations", "thanks_low", "tags", "reply_days", "draft", "version", "is_anonymous", "accent",
    "logo_digest", "opens_at", "closes_at", "answer_limit", "published_at", "archived_at",
)  # fmt: skip


def scales(names: tuple[str, ...], before: tuple[str, ...]) -> None:
    """Say which scales there are."""
    listed, old = (", ".join(f"'{name}'" for name in each) for each in (names, before))
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_surveys_scale"), "surveys", type_="check")
        op.create_check_constraint(op.f("ck_surveys_scale"), "surveys", f"scale IN ({listed})")
        return
    # What SQLite's documentation says for changes that leave the rows as they are ("Making Other Kinds Of Table Schema
    # Changes"): the text of the table is written anew. Making the table anew would touch every row that refers to it.
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'surveys' AND sql LIKE ?",
        (f"scale IN ({old})", f"scale IN ({listed})", f"%scale IN ({old})%"),
    )
    assert changed.rowcount == 1, "The table of surveys is not as it was made."
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    scales((*SCALES, "smileys"), SCALES)
    for column in (
        sa.Column(
            "language", sa.String(8), nullable=False, server_default="en", comment="in which its own texts are written"
        ),
        sa.Column(
            "translations",
            sa.JSON(),
            nullable=False,
            server_default="{}",
            comment="texts by language and name of the text",
        ),
        sa.Column(
            "thanks_low",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="said after a low score; empty means the same as otherwise",
        ),
        sa.Column(
            "tags", sa.JSON(), nullable=False, server_default="[]", comment="what a customer can tick beside the score"
        ),
        sa.Column(
            "reply_days",
            sa.SmallInteger(),
            nullable=True,
            comment="within how many days a person reads an answer; empty where nothing is promised",
        ),
        sa.Column("draft", sa.JSON(), nullable=True, comment="what an admin has changed and not published"),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1", comment="of its published texts"),
        sa.Column("is_anonymous", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column(
            "accent", sa.String(7), nullable=False, server_default="", comment="#rrggbb; empty means the usual one"
        ),
        sa.Column(
            "logo_digest",
            sa.String(64),
            nullable=False,
            server_default="",
            comment="SHA-256 of its logo, part of the address of that; empty without one",
        ),
        sa.Column("opens_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("closes_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("answer_limit", sa.Integer(), nullable=True, comment="after so many answers it takes no more"),
        sa.Column("published_at", db.UtcDateTime(timezone=True), nullable=True, comment="empty until it first is"),
        sa.Column("archived_at", db.UtcDateTime(timezone=True), nullable=True),
    ):
        op.add_column("surveys", column)
    op.execute("UPDATE surveys SET published_at = created_at")
    op.create_table(
        "survey_versions",
        sa.Column("id", number, nullable=False),
        sa.Column("survey_id", number, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("wording", sa.JSON(), nullable=False, comment="its texts, tags and scale as customers saw them"),
        sa.Column("published_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column(
            "published_by_id",
            number,
            nullable=True,
            comment="empty where it was made by a command or before this was noted",
        ),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name=op.f("fk_survey_versions_survey_id")),
        sa.ForeignKeyConstraint(["published_by_id"], ["users.id"], name=op.f("fk_survey_versions_published_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey_versions")),
        sa.UniqueConstraint("survey_id", "number", name=op.f("uq_survey_versions_survey_id_number")),
    )
    op.create_table(
        "survey_logos",
        sa.Column("survey_id", number, nullable=False),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name=op.f("fk_survey_logos_survey_id")),
        sa.PrimaryKeyConstraint("survey_id", name=op.f("pk_survey_logos")),
    )
    surveys = sa.table(
        "surveys",
        *(sa.column(name) for name in ("id", "question", "scale", "prompt_low", "prompt_high", "thanks", "created_at")),
    )
    versions = sa.table(
        "survey_versions",
        sa.column("survey_id"),
        sa.column("number"),
        sa.column("wording", sa.JSON()),
        sa.column("published_at"),
    )
    for row in op.get_bind().execute(sa.select(surveys)).mappings():
        wording = {name: row[name] for name in ("question", "scale", "prompt_low", "prompt_high", "thanks")}
        wording |= {"language": "en", "translations": {}, "thanks_low": "", "tags": []}
        op.get_bind().execute(
            sa.insert(versions).values(survey_id=row["id"], number=1, wording=wording, published_at=row["created_at"])
        )
    for table in ("answers", "unconfirmed_answers"):
        op.add_column(
            table,
            sa.Column(
                "survey_version",
                sa.Integer(),
                nullable=True,
                comment="whose words it answers; empty where none was seen",
            ),
        )
    op.add_column(
        "answers",
        sa.Column(
            "receipt_hash", sa.String(64), nullable=True, comment="hash of the receipt that its anonymous author holds"
        ),
    )
    op.create_index("uq_answers_receipt_hash", "answers", ["receipt_hash"], unique=True)


def downgrade() -> None:
    op.drop_index("uq_answers_receipt_hash", "answers")
    op.drop_column("answers", "receipt_hash")
    for table in ("unconfirmed_answers", "answers"):
        op.drop_column(table, "survey_version")
    op.drop_table("survey_logos")
    op.drop_table("survey_versions")
    for name in reversed(SURVEY_COLUMNS):
        op.drop_column("surveys", name)
    # Satisfaction has the same five scores.
    op.execute("UPDATE surveys SET scale = 'csat' WHERE scale = 'smileys'")
    scales(SCALES, (*SCALES, "smileys"))
