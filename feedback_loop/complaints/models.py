"""Statements, their vectors, complaints, and the refines that find them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.db import Base, BigId, UtcDateTime, checked, json_dict, long_text, pk, short_text, utc
from feedback_loop.responses.models import Answer


class ComplaintState(StrEnum):
    """Whether a complaint takes statements."""

    ACTIVE = "active"
    MERGED = "merged"
    DISMISSED = "dismissed"


class StatementRole(StrEnum):
    """The main statement stands for the whole comment; a part counts only where it belongs to another complaint."""

    MAIN = "main"
    PART = "part"


class StatementKind(StrEnum):
    """Only problems are grouped into complaints."""

    PROBLEM = "problem"
    PRAISE = "praise"
    NON_ANSWER = "non_answer"


class Placed(StrEnum):
    """Who put a statement where it is."""

    NEAREST = "nearest"
    REFINE = "refine"
    PERSON = "person"


class Complaint(Base):
    """A problem that several statements repeat. Its number is permanent and never used again."""

    __tablename__ = "complaints"
    __table_args__ = (
        CheckConstraint("(state = 'merged') = (merged_into_id IS NOT NULL)", name="merged_says_into_what"),
        Index("ix_complaints_last_said_at", "state", "last_said_at"),
        # AUTOINCREMENT: SQLite would otherwise give the number of a deleted last row to the next one.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[pk]
    name: Mapped[short_text]
    named_by_person: Mapped[bool] = mapped_column(default=False)
    keywords: Mapped[list[str]] = mapped_column(JSON, default=list)
    state: Mapped[ComplaintState] = mapped_column(
        checked(ComplaintState, "complaint_state"), default=ComplaintState.ACTIVE
    )
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("complaints.id"))
    created_at: Mapped[utc]
    # Counted again from the statements whenever these change; kept here so that lists need no counting.
    statement_count: Mapped[int] = mapped_column(default=0)
    people_count: Mapped[int] = mapped_column(default=0, comment="known customers who raised it")
    anonymous_count: Mapped[int] = mapped_column(default=0, comment="statements of people we do not know")
    first_said_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_said_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def number(self) -> str:
        """The public id, such as C-42."""
        return f"C-{self.id}"


class Vector(Base):
    """The embedding of one text by one model. Equal texts share it."""

    __tablename__ = "vectors"
    __table_args__ = (UniqueConstraint("text_hash", "model"),)

    id: Mapped[pk]
    text_hash: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(120))
    data: Mapped[bytes] = mapped_column(LargeBinary, comment="unit vector, little-endian float16")


class Statement(Base):
    """One thing said in a comment, redacted: the unit that is grouped."""

    __tablename__ = "statements"
    __table_args__ = (
        UniqueConstraint("answer_id", "position"),
        CheckConstraint("(role = 'main') = (position = 0)", name="main_is_first"),
        CheckConstraint("kind = 'problem' OR complaint_id IS NULL", name="only_problems_are_grouped"),
        CheckConstraint("(complaint_id IS NULL) = (placed IS NULL)", name="placed_says_by_whom"),
        Index("ix_statements_complaint_id", "complaint_id", "said_at"),
        Index(
            "ix_statements_pool",
            "said_at",
            sqlite_where=text("complaint_id IS NULL AND role = 'main' AND kind = 'problem'"),
            postgresql_where=text("complaint_id IS NULL AND role = 'main' AND kind = 'problem'"),
        ),
        Index(
            "ix_statements_exemplars",
            "complaint_id",
            sqlite_where=text("is_exemplar"),
            postgresql_where=text("is_exemplar"),
        ),
        Index("ix_statements_said_at", "said_at"),
    )

    id: Mapped[pk]
    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(comment="0 for the whole comment, then its parts")
    role: Mapped[StatementRole] = mapped_column(checked(StatementRole, "statement_role"))
    kind: Mapped[StatementKind] = mapped_column(checked(StatementKind, "statement_kind"))
    text: Mapped[long_text]
    said_at: Mapped[utc]
    vector_id: Mapped[int | None] = mapped_column(ForeignKey("vectors.id"), index=True)
    complaint_id: Mapped[int | None] = mapped_column(ForeignKey("complaints.id"))
    placed: Mapped[Placed | None] = mapped_column(checked(Placed, "placed"))
    confidence: Mapped[float | None] = mapped_column(comment="0 to 1")
    reason: Mapped[str] = mapped_column(String(300), default="", comment="why it is where it is, in words")
    is_exemplar: Mapped[bool] = mapped_column(default=False, comment="new statements are compared with these")

    answer: Mapped[Answer] = relationship()
    complaint: Mapped[Complaint | None] = relationship()


class RefineState(StrEnum):
    """How a refine ended."""

    DONE = "done"
    FAILED = "failed"


class Refine(Base):
    """One run of discovery over everything known, kept as evidence."""

    __tablename__ = "refines"

    id: Mapped[pk]
    state: Mapped[RefineState] = mapped_column(checked(RefineState, "refine_state"))
    started_at: Mapped[utc]
    finished_at: Mapped[utc]
    model: Mapped[str] = mapped_column(String(120))
    seed: Mapped[int]
    last_statement_id: Mapped[int] = mapped_column(BigId, default=0, comment="newest statement it saw")
    statements: Mapped[int] = mapped_column(default=0)
    complaints: Mapped[int] = mapped_column(default=0)
    new_complaints: Mapped[int] = mapped_column(default=0)
    moved: Mapped[int] = mapped_column(default=0)
    coverage: Mapped[float | None] = mapped_column(comment="share of problem statements that have a complaint")
    kept: Mapped[float | None] = mapped_column(comment="share of assigned statements that kept their complaint")
    seconds: Mapped[json_dict]
    versions: Mapped[json_dict]
    message: Mapped[str] = mapped_column(Text, default="", comment="what went wrong, if it failed")
