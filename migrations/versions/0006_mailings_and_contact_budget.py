"""Mailings, and the contact budget.

Revision: 0006
Follows: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from feedback_loop import db

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mailings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("survey_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("why", sa.Text(), nullable=False, comment="why they are asked, as the mail says it"),
        sa.Column("rate", sa.Integer(), nullable=False, comment="most mails a minute"),
        sa.Column("opens", sa.SmallInteger(), nullable=False, comment="first hour of sending, by their own clock"),
        sa.Column("closes", sa.SmallInteger(), nullable=False, comment="hour at which quiet begins"),
        sa.Column("weekdays", sa.SmallInteger(), nullable=False, comment="one bit a day, Monday the lowest"),
        sa.Column("reminders", sa.SmallInteger(), nullable=False),
        sa.Column("remind_after_days", sa.SmallInteger(), nullable=False),
        sa.Column("valid_days", sa.SmallInteger(), nullable=False, comment="so long an invitation may be answered"),
        sa.Column(
            "ask_again_days",
            sa.SmallInteger(),
            nullable=False,
            comment="who was asked this within so many days is left out",
        ),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "sending",
                "done",
                "stopped",
                name="mailing_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("made_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("made_at", db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("started_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("next_batch_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'draft') = (started_at IS NULL)", name=op.f("ck_mailings_started_says_when")),
        sa.CheckConstraint(
            "(state IN ('done', 'stopped')) = (ended_at IS NOT NULL)", name=op.f("ck_mailings_ended_says_when")
        ),
        sa.CheckConstraint("0 <= opens AND opens < closes AND closes <= 24", name=op.f("ck_mailings_hours_of_one_day")),
        sa.CheckConstraint("rate BETWEEN 1 AND 1000", name=op.f("ck_mailings_rate_is_a_rate")),
        sa.CheckConstraint(
            "reminders BETWEEN 0 AND 2 AND remind_after_days >= 1", name=op.f("ck_mailings_two_reminders_at_most")
        ),
        sa.CheckConstraint("valid_days >= 1 AND ask_again_days >= 0", name=op.f("ck_mailings_days_are_days")),
        sa.CheckConstraint("weekdays BETWEEN 1 AND 127", name=op.f("ck_mailings_some_weekday")),
        sa.ForeignKeyConstraint(["made_by_id"], ["users.id"], name=op.f("fk_mailings_made_by_id")),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name=op.f("fk_mailings_survey_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailings")),
    )
    op.create_index(
        "ix_mailings_sending",
        "mailings",
        ["next_batch_at"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index("ix_mailings_survey_id", "mailings", ["survey_id"], unique=False)

    op.create_table(
        "recipients",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("mailing_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False, comment="of the file"),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False, comment="by whose clock mails go out"),
        sa.Column("has_own_zone", sa.Boolean(), nullable=False, comment="whether the list named the time zone"),
        sa.Column("experience", sa.String(length=200), nullable=False),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "asked",
                "left_out",
                name="recipient_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=500), nullable=False, comment="why not asked, or not reminded"),
        sa.Column("invitation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reminded", sa.SmallInteger(), nullable=False),
        sa.Column("next_at", db.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'asked') = (invitation_id IS NOT NULL)", name=op.f("ck_recipients_asked_has_an_invitation")
        ),
        sa.CheckConstraint("state <> 'left_out' OR reason <> ''", name=op.f("ck_recipients_left_out_has_a_reason")),
        sa.ForeignKeyConstraint(["invitation_id"], ["invitations.id"], name=op.f("fk_recipients_invitation_id")),
        sa.ForeignKeyConstraint(
            ["mailing_id"], ["mailings.id"], name=op.f("fk_recipients_mailing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipients")),
        sa.UniqueConstraint("invitation_id", name=op.f("uq_recipients_invitation_id")),
        sa.UniqueConstraint(
            "mailing_id", "email", "experience", name=op.f("uq_recipients_mailing_id_email_experience")
        ),
    )
    op.create_index(
        "ix_recipients_due",
        "recipients",
        ["mailing_id", "state", "next_at"],
        unique=False,
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )

    op.create_table(
        "rejects",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("mailing_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column(
            "cause", sa.String(length=200), nullable=False, comment="in a few words, the same for all lines of one kind"
        ),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("cells", sa.JSON(), nullable=False, comment="of the line; those of the first line for line 1"),
        sa.ForeignKeyConstraint(
            ["mailing_id"], ["mailings.id"], name=op.f("fk_rejects_mailing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejects")),
    )
    op.create_index("ix_rejects_mailing_id", "rejects", ["mailing_id"], unique=False)

    op.add_column(
        "customers",
        sa.Column(
            "time_zone",
            sa.String(length=64),
            server_default="",
            nullable=False,
            comment="such as Europe/Berlin; empty where it is not known",
        ),
    )

    op.add_column(
        "invitations",
        sa.Column(
            "token_key",
            sa.String(length=32),
            nullable=True,
            comment="from which its token is derived again for each mail; empty where it was shown once",
        ),
    )
    op.add_column("invitations", sa.Column("experience", sa.String(length=200), nullable=True))
    op.create_index("uq_invitations_experience", "invitations", ["survey_id", "customer_id", "experience"], unique=True)

    op.add_column(
        "notifications",
        sa.Column(
            "rank",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="which go first and which give way; see budget.Rank",
        ),
    )
    op.add_column(
        "notifications",
        sa.Column(
            "passed_at",
            db.UtcDateTime(timezone=True),
            nullable=True,
            comment="when the contact budget let it through; it counts from then on",
        ),
    )
    op.drop_index("ix_notifications_due", "notifications")
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["rank", "next_at"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_notifications_address", "notifications", ["address", "sent_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_notifications_address", "notifications")
    op.drop_index("ix_notifications_due", "notifications")
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["next_at"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_column("notifications", "passed_at")
    op.drop_column("notifications", "rank")

    op.drop_index("uq_invitations_experience", "invitations")
    op.drop_column("invitations", "experience")
    op.drop_column("invitations", "token_key")

    op.drop_column("customers", "time_zone")

    op.drop_index("ix_rejects_mailing_id", "rejects")

    op.drop_table("rejects")
    op.drop_index("ix_recipients_due", "recipients")

    op.drop_table("recipients")
    op.drop_index("ix_mailings_survey_id", "mailings")
    op.drop_index("ix_mailings_sending", "mailings")

    op.drop_table("mailings")
