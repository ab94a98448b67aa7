"""Verbs on people, teams and API keys."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.accounts.models import ApiKey, RawRightChange, Role, Scope, Team, User

HASHER = PasswordHasher()
# Checked when there is no such person, so that the time taken does not tell who has an account.
NOBODY = HASHER.hash(secrets.token_urlsafe(16))
KEY_START = "fl_"  # by which people and scanners for leaked secrets know our keys
SHOWN_OF_A_KEY = len(KEY_START) + 8
USE_NOTED_EVERY = timedelta(hours=1)


def one_time_password() -> str:
    """A password to hand over once, easy to type: 16 letters and digits in fours."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(4))


def hash_password(password: str) -> str:
    """Hash a password with Argon2id. Slow by design: keep no transaction open meanwhile."""
    return HASHER.hash(password)


def sign_in_allowed(user: User | None, password: str) -> bool:
    """Whether this person may sign in with this password. As slow as `hash_password`, also for an unknown person."""
    try:
        matches = HASHER.verify(user.password_hash if user else NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return bool(matches and user is not None and user.is_active)


def set_password(session: Session, user: User, password_hash: str) -> None:
    """Give a person a new password; sessions begun with the old one end."""
    user.password_hash = password_hash
    user.must_change_password = False
    user.session_epoch += 1


def add_user(
    session: Session,
    *,
    email: str,
    name: str,
    role: Role,
    team: Team | None,
    password_hash: str,
    must_change_password: bool,
    now: datetime,
) -> User:
    """Add a person.

    Raises:
        ValueError: Somebody has this address already.
    """
    email = email.strip().lower()
    if session.scalar(select(User.id).where(User.email == email)):
        raise ValueError(f"{email} is known already.")
    user = User(
        email=email,
        name=name,
        role=role,
        team=team,
        password_hash=password_hash,
        must_change_password=must_change_password,
        created_at=now,
    )
    session.add(user)
    session.flush()
    return user


def set_reads_raw(session: Session, user: User, given: bool, by: User, now: datetime) -> None:
    """Give a person the right to read raw texts, or take it away; either is logged.

    Raises:
        ValueError: It would be given to somebody who cannot sign in.
    """
    if given and not user.is_active:
        raise ValueError(f"{user.name} cannot sign in, so there is nothing to read. Let {user.name} in again first.")
    if user.reads_raw != given:
        user.reads_raw = given
        session.add(RawRightChange(user_id=user.id, by_id=by.id, given=given, at=now))
        session.flush()


def add_team(session: Session, name: str, now: datetime) -> Team:
    """Add a team; the first one becomes the default.

    Raises:
        ValueError: The name is taken.
    """
    if session.scalar(select(Team.id).where(func.lower(Team.name) == name.lower())):
        raise ValueError(f"There is a team called {name} already.")
    first = session.scalar(select(Team.id).limit(1)) is None
    team = Team(name=name, is_default=first, created_at=now)
    session.add(team)
    session.flush()
    return team


def make_default(session: Session, team: Team) -> None:
    """Send what no rule claims to this team from now on."""
    # Two statements in this order: the index allows one default at any moment.
    session.execute(update(Team).where(Team.is_default).values(is_default=False))
    session.execute(update(Team).where(Team.id == team.id).values(is_default=True))


def ensure_team(session: Session, now: datetime) -> Team:
    """The default team, made when there is none."""
    team = session.scalar(select(Team).where(Team.is_default))
    return team or add_team(session, "Customer care", now)


def add_api_key(
    session: Session, name: str, scopes: Collection[Scope], expires_at: datetime | None, by: User, now: datetime
) -> tuple[ApiKey, str]:
    """Make an API key.

    Returns:
        Its row, and the key itself: 24 random bytes in hex. It is stored nowhere: show it now.

    Raises:
        ValueError: It has no scope, or would be over before it begins.
    """
    if not scopes:
        raise ValueError("Choose what the key may do.")
    if expires_at is not None and expires_at <= now:
        raise ValueError("Choose a day that has yet to come.")
    secret = KEY_START + secrets.token_hex(24)
    key = ApiKey(
        name=name,
        prefix=secret[:SHOWN_OF_A_KEY],
        key_hash=tokens.hashed(secret),
        scopes=[scope.value for scope in Scope if scope in scopes],
        created_by_id=by.id,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    return key, secret


def revoke_api_key(session: Session, key: ApiKey, by: User, now: datetime) -> None:
    """Take an API key back, for good. One that was taken back before keeps its date."""
    if key.revoked_at is None:
        key.revoked_at, key.revoked_by_id = now, by.id
        session.flush()


def note_use(session: Session, key_id: int, now: datetime) -> None:
    """Note that an API key was used, unless that was noted within the last hour."""
    due = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= now - USE_NOTED_EVERY)
    session.execute(update(ApiKey).where(ApiKey.id == key_id, due).values(last_used_at=now))
