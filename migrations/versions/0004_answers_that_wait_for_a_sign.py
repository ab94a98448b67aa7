"""Answers that wait for a sign of a person, earlier versions of answers, one answer a page.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SIGNS = ("opened", "gesture", "sent", "person", "import")


def one_of(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    op.create_table(
        "answer_versions",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("answer_id", db.BigId, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False, comment="redacted"),
        sa.Column("sign", one_of("version_sign", *SIGNS), nullable=False),
        sa.Column("answered_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["answers.id"], ondelete="CASCADE", name=op.f("fk_answer_versions_answer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answer_versions")),
        sa.UniqueConstraint("answer_id", "revision", name=op.f("uq_answer_versions_answer_id_revision")),
    )
    op.create_table(
        "unconfirmed_answers",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("survey_id", db.BigId, nullable=False),
        sa.Column("invitation_id", db.BigId, nullable=True),
        sa.Column("page_key", sa.String(64), nullable=True),
        sa.Column("sign", one_of("unconfirmed_sign", *SIGNS), nullable=False),
        sa.Column(
            "state",
            one_of("unconfirmed_state", "provisional", "suspect", "confirmed", "dismissed", "overtaken"),
            nullable=False,
        ),
        sa.Column("reason", sa.String(200), nullable=False, comment="why it does not count"),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True, comment="what was typed, encrypted"),
        sa.Column("email", sa.String(254), nullable=False, comment="address left on an open page"),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.Column("seen_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("settled_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("settled_by_id", db.BigId, nullable=True),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_unconfirmed_answers_says_why")),
        sa.CheckConstraint(
            "(state IN ('provisional', 'suspect')) = (settled_at IS NULL)",
            name=op.f("ck_unconfirmed_answers_settled_has_a_time"),
        ),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name=op.f("fk_unconfirmed_answers_survey_id")),
        sa.ForeignKeyConstraint(
            ["invitation_id"], ["invitations.id"], name=op.f("fk_unconfirmed_answers_invitation_id")
        ),
        sa.ForeignKeyConstraint(["settled_by_id"], ["users.id"], name=op.f("fk_unconfirmed_answers_settled_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unconfirmed_answers")),
        sa.UniqueConstraint("page_key", name=op.f("uq_unconfirmed_answers_page_key")),
    )
    op.create_index("ix_unconfirmed_answers_invitation_id", "unconfirmed_answers", ["invitation_id"], unique=False)
    op.create_index("ix_unconfirmed_answers_expires_at", "unconfirmed_answers", ["expires_at"], unique=False)
    op.create_index(
        "ix_unconfirmed_answers_open",
        "unconfirmed_answers",
        ["survey_id", "state"],
        unique=False,
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.add_column(
        "invitations",
        sa.Column(
            "trapped_at",
            db.UtcDateTime(timezone=True),
            nullable=True,
            comment="when the link that only programs follow was last opened",
        ),
    )
    op.add_column(
        "surveys",
        sa.Column(
            "takes_gestures",
            sa.Boolean(),
            nullable=False,
            server_default=sa.true(),
            comment="whether a score link counts once a person moves on its page, without Send",
        ),
    )
    op.add_column("answers", sa.Column("page_key", sa.String(64), nullable=True))
    op.create_index("uq_answers_page_key", "answers", ["page_key"], unique=True)
    # Written out, because both databases take the check with the column, and Alembic would leave it out on SQLite.
    signs = ", ".join(f"'{sign}'" for sign in SIGNS)
    op.execute(
        "ALTER TABLE answers ADD COLUMN sign VARCHAR(32) DEFAULT 'sent' NOT NULL "
        f"CONSTRAINT ck_answers_sign CHECK (sign IN ({signs}))"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("COMMENT ON COLUMN answers.sign IS 'what made it count'")


def downgrade() -> None:
    op.drop_column("answers", "sign")
    op.drop_index("uq_answers_page_key", "answers")
    op.drop_column("answers", "page_key")
    op.drop_column("surveys", "takes_gestures")
    op.drop_column("invitations", "trapped_at")
    op.drop_table("unconfirmed_answers")
    op.drop_table("answer_versions")
