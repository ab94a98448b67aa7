"""People of the organisation and their teams."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.db import Base, UtcDateTime, checked, pk, short_text, utc


class Role(StrEnum):
    """What a person may do; each role includes those below it."""

    ADMIN = "admin"
    LEAD = "lead"
    OWNER = "owner"
    VIEWER = "viewer"

    @property
    def rank(self) -> int:
        """0 for a viewer, 3 for an admin."""
        return [Role.VIEWER, Role.OWNER, Role.LEAD, Role.ADMIN].index(self)

    def includes(self, other: Role) -> bool:
        """Whether whoever has this role may do what `other` may."""
        return self.rank >= other.rank


class Team(Base):
    """Those who work on action items together. One team is the default: what no rule claims goes there."""

    __tablename__ = "teams"
    __table_args__ = (
        Index(
            "uq_teams_default",
            "is_default",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[pk]
    name: Mapped[str] = mapped_column(String(80), unique=True)
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[utc]


class User(Base):
    """A person who signs in."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("email = lower(email)", name="email_is_lower_case"),)

    id: Mapped[pk]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[short_text]
    role: Mapped[Role] = mapped_column(checked(Role, "role"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"), index=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    must_change_password: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    # A right beside the role, which no role includes.
    reads_raw: Mapped[bool] = mapped_column(default=False, comment="may read what customers typed, before redaction")
    # Grows when the password changes; sessions begun before that end.
    session_epoch: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[utc]
    last_signed_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    team: Mapped[Team | None] = relationship()


class RawRightChange(Base):
    """The right to read raw texts, given to a person or taken away. Kept for good."""

    __tablename__ = "raw_right_changes"

    id: Mapped[pk]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    given: Mapped[bool]
    at: Mapped[utc]

    user: Mapped[User] = relationship(foreign_keys=user_id)
    by: Mapped[User] = relationship(foreign_keys=by_id)
