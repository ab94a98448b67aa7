"""Tables that let several processes share work: leases on rows, named leases, ticks of the clock."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from feedback_loop.db import Base, UtcDateTime, utc


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


class Tick(Base):
    """One due moment of a scheduled job. The process that inserts the row runs it; all others are refused by the
    key."""

    __tablename__ = "ticks"

    job: Mapped[str] = mapped_column(String(80), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
