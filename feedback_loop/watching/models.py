"""What people decided about what was stuck."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import User
from feedback_loop.db import Base, BigId, pk, utc


class StuckDecision(Base):
    """That somebody had something tried again, or gave it up. Kept for good."""

    __tablename__ = "stuck_decisions"
    __table_args__ = (CheckConstraint("verb <> 'discard' OR why <> ''", name="discard_says_why"),)

    id: Mapped[pk]
    at: Mapped[utc]
    by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(40))
    verb: Mapped[str] = mapped_column(String(20))
    row_id: Mapped[int | None] = mapped_column(BigId, comment="empty for all of the kind")
    count: Mapped[int] = mapped_column(comment="rows that it was about")
    why: Mapped[str] = mapped_column(String(300), default="")

    by: Mapped[User] = relationship()
