"""Named reads of people, teams and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from feedback_loop import tokens
from feedback_loop.accounts.models import ApiKey, RawRightChange, Role, Team, User


@dataclass(frozen=True)
class TeamWithMembers:
    """A team and its active people, by name."""

    team: Team
    members: Sequence[User]


def user_by_email(session: Session, email: str) -> User | None:
    """The person with this address, or None."""
    return session.scalar(select(User).where(User.email == email.strip().lower()))


def people(session: Session) -> Sequence[User]:
    """Everybody with an account, with their team; those who are active first."""
    return session.scalars(
        select(User).options(joinedload(User.team)).order_by(User.is_active.desc(), User.name, User.id)
    ).all()


def raw_right_changes(session: Session, limit: int) -> Sequence[RawRightChange]:
    """To whom the right to read raw texts was given last and from whom it was taken, the newest first."""
    return session.scalars(
        select(RawRightChange)
        .options(joinedload(RawRightChange.user), joinedload(RawRightChange.by))
        .order_by(RawRightChange.id.desc())
        .limit(limit)
    ).all()


def possible_owners(session: Session) -> Sequence[User]:
    """Active people who may own an action item, by name."""
    return session.scalars(
        select(User)
        .where(User.is_active, User.role != Role.VIEWER)
        .options(joinedload(User.team))
        .order_by(User.name, User.id)
    ).all()


def active_people(session: Session) -> Sequence[User]:
    """Everybody who can sign in, with their team, by name."""
    return session.scalars(
        select(User).where(User.is_active).options(joinedload(User.team)).order_by(User.name, User.id)
    ).all()


def teams(session: Session) -> Sequence[Team]:
    """All teams, by name."""
    return session.scalars(select(Team).order_by(Team.name)).all()


def teams_with_members(session: Session) -> list[TeamWithMembers]:
    """All teams, the default one first, with their active people."""
    members: dict[int, list[User]] = {}
    for user in session.scalars(
        select(User).where(User.is_active, User.team_id.is_not(None)).order_by(User.name, User.id)
    ):
        members.setdefault(user.team_id or 0, []).append(user)
    rows = session.scalars(select(Team).order_by(Team.is_default.desc(), Team.name))
    return [TeamWithMembers(team, members.get(team.id, [])) for team in rows]


def api_keys(session: Session) -> Sequence[ApiKey]:
    """All API keys, with who made and who revoked them: those not revoked first, then the newest."""
    return session.scalars(
        select(ApiKey)
        .options(joinedload(ApiKey.created_by), joinedload(ApiKey.revoked_by))
        .order_by(ApiKey.revoked_at.is_not(None), ApiKey.id.desc())
    ).all()


def api_key_by_secret(session: Session, secret: str) -> ApiKey | None:
    """The API key that was shown as this, whether it still works or not, or None.

    It is found by its hash, so how long that takes tells nothing of a key.
    """
    return session.scalar(select(ApiKey).where(ApiKey.key_hash == tokens.hashed(secret)))
