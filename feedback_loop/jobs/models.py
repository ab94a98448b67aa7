"""Tables that let several processes share work: leases on rows, named leases, ticks of the clock."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from feedback_loop.db import Base, BigId, UtcDateTime, utc


class Leased:
    """Columns of a row that a worker claims for a while. `fence` grows with each claim; a late writer finds it
    changed."""

    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)


class Lease(Base):
    """A named right that one process holds at a time, such as the right to refine."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    holder: Mapped[str] = mapped_column(String(80))
    until: Mapped[utc]


class StepRun(Base):
    """How a step of the workers fares, over all of them. One row a step; `jobs/steps.py` writes it."""

    __tablename__ = "step_runs"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    every_seconds: Mapped[int] = mapped_column(comment="how often it looks")
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="its last run that has ended")
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seconds: Mapped[float] = mapped_column(default=0.0, server_default="0", comment="that this run took")
    runs: Mapped[int] = mapped_column(BigId, default=0, server_default="0")
    failures: Mapped[int] = mapped_column(BigId, default=0, server_default="0")
    failures_in_a_row: Mapped[int] = mapped_column(default=0, server_default="0")
    worked_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when it last ended well")
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="empty where its last run was well")
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="when it last failed, also long ago")
    error: Mapped[str] = mapped_column(String(120), default="", server_default="", comment="class of that error")


class Tick(Base):
    """One due moment of a scheduled job. The process that inserts the row runs it; all others are refused by the
    key."""

    __tablename__ = "ticks"

    job: Mapped[str] = mapped_column(String(80), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
