"""People of the organisation and their teams; the keys of other systems and what they have asked."""

from __future__ import annotations

import secrets
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
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


class Digest(StrEnum):
    """How often a person gets a mail about what is theirs."""

    OFF = "off"
    DAILY = "daily"
    WEEKLY = "weekly"


class Scope(StrEnum):
    """What an API key may do; none includes another."""

    CUSTOMERS_WRITE = "customers:write"
    INVITATIONS_WRITE = "invitations:write"
    ANSWERS_WRITE = "answers:write"
    READ = "read"


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
    digest: Mapped[Digest] = mapped_column(
        checked(Digest, "digest"), default=Digest.DAILY, server_default=Digest.DAILY.value
    )
    # Grows when the password changes; sessions begun before that end. Drawn, for after the restore of a backup the
    # number of a person who is lost is given again, and their sessions must not be those of the next one.
    session_epoch: Mapped[int] = mapped_column(default=lambda: secrets.randbelow(2**30))
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


class ApiKey(Base):
    """The right of another system to use the API. Never deleted: the row says who made the key and who took it back."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("name <> ''", name="has_name"),
        CheckConstraint("length(key_hash) = 64", name="hash_is_sha256"),
        CheckConstraint("(revoked_at IS NULL) = (revoked_by_id IS NULL)", name="revoked_says_by_whom"),
    )

    id: Mapped[pk]
    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(16), comment="its first letters, by which people recognise it")
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_by_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[utc]
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="to the hour; written no oftener")

    created_by: Mapped[User] = relationship(foreign_keys=created_by_id)
    revoked_by: Mapped[User | None] = relationship(foreign_keys=revoked_by_id)

    def works_at(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class ApiRequest(Base):
    """A request that is done once, however often it is sent: under which name, its hash, and what was answered.

    While it runs, one process holds it. The answer is encrypted: it may hold the links of invitations.
    """

    __tablename__ = "api_requests"
    __table_args__ = (
        UniqueConstraint("api_key_id", "name"),
        CheckConstraint("(status IS NULL) = (response IS NULL)", name="answered_says_what"),
    )

    id: Mapped[pk]
    api_key_id: Mapped[int] = mapped_column(ForeignKey("api_keys.id"))
    name: Mapped[str] = mapped_column(String(255), comment="the Idempotency-Key it came with")
    fingerprint: Mapped[str] = mapped_column(String(64), comment="SHA-256 of method, address and body")
    holder: Mapped[str] = mapped_column(String(32), comment="drawn at random by whoever does it")
    held_until: Mapped[utc]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    status: Mapped[int | None] = mapped_column(SmallInteger)
    response: Mapped[bytes | None] = mapped_column(LargeBinary, comment="encrypted")
