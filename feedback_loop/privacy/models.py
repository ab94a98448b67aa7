"""What was shown and erased at the request of customers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import User
from feedback_loop.db import Base, checked, long_text, pk, utc


class Asked(StrEnum):
    """What somebody asked for."""

    ACCESS = "access"
    ERASURE = "erasure"


class DataRequest(Base):
    """That what is kept about a person was shown, or erased: who did it, when, why, and how much it was. Never about
    whom. Kept for good."""

    __tablename__ = "data_requests"
    __table_args__ = (
        CheckConstraint("why <> ''", name="says_why"),
        CheckConstraint("(kind = 'erasure') = (address_key IS NOT NULL)", name="erasure_has_a_key"),
    )

    id: Mapped[pk]
    kind: Mapped[Asked] = mapped_column(checked(Asked, "data_request_kind"))
    by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), comment="empty for the command line")
    at: Mapped[utc]
    why: Mapped[long_text]
    counts: Mapped[dict[str, Any]] = mapped_column(JSON, comment="rows of each kind")
    address_key: Mapped[str | None] = mapped_column(
        String(64), comment="of the address, by SECRET_KEY: a restored backup is searched for it, and erased again"
    )

    by: Mapped[User | None] = relationship()
