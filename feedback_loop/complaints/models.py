"""Statements, their vectors, complaints, the refines that find them, and what people correct."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import User
from feedback_loop.db import Base, BigId, UtcDateTime, checked, json_dict, long_text, pk, short_text, utc
from feedback_loop.jobs.models import Leased
from feedback_loop.responses.models import Answer


class ComplaintState(StrEnum):
    """What became of a complaint. A dismissed one still takes statements, so that they found no other complaint."""

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
    kept: Mapped[bool] = mapped_column(default=False, comment="somebody answers for it, so no refine may empty it")
    # What the last refine that looked at it found.
    cohesion: Mapped[float | None] = mapped_column(comment="mean cosine of its statements to their mean, 0 to 1")
    stability: Mapped[float | None] = mapped_column(comment="share of its statements that it kept, 0 to 1")
    neighbours: Mapped[list[list[float]]] = mapped_column(JSON, default=list, comment="[complaint, cosine], nearest")
    map_x: Mapped[float | None] = mapped_column(comment="place on the map of complaints, 0 to 1")
    map_y: Mapped[float | None]

    @property
    def number(self) -> str:
        """The public id, such as C-42."""
        return f"C-{self.id}"


class Weeks(Base):
    """How often a complaint was said lately, as last counted. Only of those that were; see `service.weeks`."""

    __tablename__ = "complaint_weeks"

    complaint_id: Mapped[int] = mapped_column(ForeignKey("complaints.id"), primary_key=True, autoincrement=False)
    recent: Mapped[int] = mapped_column(comment="statements of the last seven days")
    before: Mapped[int] = mapped_column(comment="statements of the seven days before")


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
        # With the answer and the customer, so that the answers and the people that raised a complaint are counted in
        # the index alone.
        Index(
            "ix_statements_complaint_id",
            "complaint_id",
            "said_at",
            "answer_id",
            "customer_id",
            sqlite_where=text("complaint_id IS NOT NULL"),  # else SQLite counts the pool by it, row by row
            postgresql_where=text("complaint_id IS NOT NULL"),
        ),
        # The surest and the least sure statements of a complaint without sorting all of them. Only the worker writes
        # statements, in batches.
        Index(
            "ix_statements_confidence",
            "complaint_id",
            "confidence",
            sqlite_where=text("complaint_id IS NOT NULL"),
            postgresql_where=text("complaint_id IS NOT NULL"),
        ),
        Index("ix_statements_vector_id", "vector_id", "complaint_id"),  # how often a complaint was said in these words
        Index("ix_statements_customer_id", "customer_id", "complaint_id"),  # the complaints of a customer
        # Which complaints are said in answers to a survey.
        Index(
            "ix_statements_survey_id",
            "survey_id",
            "complaint_id",
            sqlite_where=text("complaint_id IS NOT NULL"),
            postgresql_where=text("complaint_id IS NOT NULL"),
        ),
        Index(
            "ix_statements_pool",
            "said_at",
            # SQLite asks again for what a partial index implies; without these it would look at each row to count.
            "complaint_id",
            "role",
            "kind",
            sqlite_where=text("complaint_id IS NULL AND role = 'main' AND kind = 'problem'"),
            postgresql_where=text("complaint_id IS NULL AND role = 'main' AND kind = 'problem'"),
        ),
        # SQLite takes these only where they are asked for as written, and SQLAlchemy writes "= 1" there.
        Index(
            "ix_statements_exemplars",
            "complaint_id",
            "vector_id",  # so that which statements stand for what is read from the index alone
            sqlite_where=text("is_exemplar = 1"),
            postgresql_where=text("is_exemplar"),
        ),
        Index(
            "ix_statements_by_person",
            "complaint_id",
            sqlite_where=text("placed = 'person'"),
            postgresql_where=text("placed = 'person'"),
        ),
        Index(
            "ix_statements_kept_out",
            "vector_id",
            sqlite_where=text("kept_out = 1"),
            postgresql_where=text("kept_out"),
        ),
        Index("ix_statements_said_at", "said_at"),
        # SQLite would give the id of a deleted statement to the next one, and with it what people decided about it.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[pk]
    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"))
    # Of the answer, whose customer may change until it is analysed again. Counting people would otherwise look at every
    # earlier answer of each of them.
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    # Of the answer, for good. Each has one; the column may be empty, as SQLite adds no other to a table with rows.
    survey_id: Mapped[int | None] = mapped_column(ForeignKey("surveys.id"))
    position: Mapped[int] = mapped_column(comment="0 for the whole comment, then its parts")
    role: Mapped[StatementRole] = mapped_column(checked(StatementRole, "statement_role"))
    kind: Mapped[StatementKind] = mapped_column(checked(StatementKind, "statement_kind"))
    text: Mapped[long_text]
    language: Mapped[str | None] = mapped_column(String(8), comment="ISO 639, empty where it cannot be told")
    said_at: Mapped[utc]
    vector_id: Mapped[int | None] = mapped_column(ForeignKey("vectors.id"))
    complaint_id: Mapped[int | None] = mapped_column(ForeignKey("complaints.id"))
    placed: Mapped[Placed | None] = mapped_column(checked(Placed, "placed"))
    confidence: Mapped[float | None] = mapped_column(comment="0 to 1")
    reason: Mapped[str] = mapped_column(String(300), default="", comment="why it is where it is, in words")
    nearest: Mapped[list[int]] = mapped_column(JSON, default=list, comment="statements it was placed next to")
    is_exemplar: Mapped[bool] = mapped_column(default=False, comment="new statements are compared with these")
    kept_out: Mapped[bool] = mapped_column(default=False, comment="a person decided that it belongs nowhere")

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
    changes: Mapped[json_dict] = mapped_column(comment="complaints found, merged and renamed, and who moved where")
    message: Mapped[str] = mapped_column(Text, default="", comment="what went wrong, if it failed")


class DraftState(StrEnum):
    """Whether the corrections of a draft hold."""

    OPEN = "open"
    APPLIED = "applied"


class CorrectionKind(StrEnum):
    """What a person may correct."""

    RENAME = "rename"
    MERGE = "merge"
    SPLIT = "split"
    MOVE = "move"
    PIN = "pin"
    APART = "apart"
    DISMISS = "dismiss"


class Draft(Base):
    """Corrections that a person has put together, to be looked at and applied as a whole."""

    __tablename__ = "drafts"
    __table_args__ = (
        CheckConstraint("(state = 'applied') = (applied_at IS NOT NULL)", name="applied_says_when"),
        Index(
            "uq_drafts_open",
            "by_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[pk]
    by_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    state: Mapped[DraftState] = mapped_column(checked(DraftState, "draft_state"), default=DraftState.OPEN)
    why: Mapped[str] = mapped_column(Text, default="", comment="for colleagues")
    created_at: Mapped[utc]
    applied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    by: Mapped[User] = relationship()
    corrections: Mapped[list[Correction]] = relationship(
        back_populates="draft", order_by="Correction.id", cascade="all, delete-orphan"
    )


class Correction(Base):
    """One thing a person corrected, or wants to. Once applied it holds in every refine until it is undone."""

    __tablename__ = "corrections"
    __table_args__ = (
        CheckConstraint("complaint_id <> other_id", name="two_complaints"),
        Index("ix_corrections_complaint_id", "complaint_id"),
        Index("ix_corrections_other_id", "other_id"),
    )

    id: Mapped[pk]
    draft_id: Mapped[int] = mapped_column(ForeignKey("drafts.id", ondelete="CASCADE"), index=True)
    kind: Mapped[CorrectionKind] = mapped_column(checked(CorrectionKind, "correction_kind"))
    complaint_id: Mapped[int | None] = mapped_column(ForeignKey("complaints.id"), comment="that is corrected")
    other_id: Mapped[int | None] = mapped_column(
        ForeignKey("complaints.id"), comment="into which, to which, or away from which"
    )
    name: Mapped[str] = mapped_column(String(200), default="", comment="new name")
    statement_ids: Mapped[list[int]] = mapped_column(JSON, default=list, comment="picked by hand")
    before: Mapped[json_dict] = mapped_column(comment="what undoing needs to know, beside the statements")
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    undone_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    undone_why: Mapped[str] = mapped_column(Text, default="")

    draft: Mapped[Draft] = relationship(back_populates="corrections")
    complaint: Mapped[Complaint | None] = relationship(foreign_keys=complaint_id)
    other: Mapped[Complaint | None] = relationship(foreign_keys=other_id)
    undone_by: Mapped[User | None] = relationship(foreign_keys=undone_by_id)


class CorrectedStatement(Base):
    """Where a statement stood before a correction put it where it is."""

    __tablename__ = "corrected_statements"

    correction_id: Mapped[int] = mapped_column(ForeignKey("corrections.id", ondelete="CASCADE"), primary_key=True)
    statement_id: Mapped[int] = mapped_column(
        ForeignKey("statements.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    was_complaint_id: Mapped[int | None] = mapped_column(ForeignKey("complaints.id"))
    was_placed: Mapped[Placed | None] = mapped_column(checked(Placed, "was_placed"))
    was_kept_out: Mapped[bool] = mapped_column(default=False)
    was_reason: Mapped[str] = mapped_column(String(300), default="")


class SpikeState(StrEnum):
    """Whether a complaint is said unusually often just now."""

    RUNNING = "running"
    OVER = "over"


class Spike(Base):
    """An alert: a complaint is said far more often than it used to be. One that returns soon is the same alert."""

    __tablename__ = "spikes"
    __table_args__ = (
        CheckConstraint("(state = 'over') = (ended_at IS NOT NULL)", name="over_says_when"),
        Index(
            "uq_spikes_running",
            "complaint_id",
            unique=True,
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
        Index("ix_spikes_complaint_id", "complaint_id"),
        Index("ix_spikes_state", "state", "started_at"),
    )

    id: Mapped[pk]
    complaint_id: Mapped[int] = mapped_column(ForeignKey("complaints.id"))
    state: Mapped[SpikeState] = mapped_column(checked(SpikeState, "spike_state"), default=SpikeState.RUNNING)
    started_at: Mapped[utc]
    last_at: Mapped[utc] = mapped_column(comment="when it was last found to run")
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    returned: Mapped[int] = mapped_column(default=0, comment="how often it came back after it was over")
    statements: Mapped[int] = mapped_column(comment="in the last 24 hours in which it was looked at")
    expected: Mapped[float] = mapped_column(comment="statements that such 24 hours had before, on average")
    z: Mapped[float] = mapped_column(comment="standard deviations above what is expected")
    reason: Mapped[str] = mapped_column(String(300), default="", comment="in words")

    complaint: Mapped[Complaint] = relationship()


class SearchState(StrEnum):
    """How far a search is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class Search(Leased, Base):
    """A search by meaning. The web writes it down, a worker answers it: only workers hold the model."""

    __tablename__ = "searches"
    __table_args__ = (
        Index(
            "ix_searches_waiting",
            "id",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_searches_made_at", "made_at"),
    )

    id: Mapped[pk]
    by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    text: Mapped[long_text] = mapped_column(comment="redacted like everything else")
    statement_id: Mapped[int | None] = mapped_column(
        ForeignKey("statements.id", ondelete="CASCADE"), comment="find others like this"
    )
    state: Mapped[SearchState] = mapped_column(checked(SearchState, "search_state"), default=SearchState.WAITING)
    made_at: Mapped[utc]
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    found: Mapped[list[list[float]]] = mapped_column(JSON, default=list, comment="[statement, cosine] nearest first")
    message: Mapped[str] = mapped_column(Text, default="", comment="what went wrong, or what was left out")
