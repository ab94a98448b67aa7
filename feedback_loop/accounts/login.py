"""Who is signed in. Sessions hold an id and an epoch, so that a new password ends those begun with the old one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app, g, request
from flask_login import LoginManager, UserMixin, current_user
from sqlalchemy import select

from feedback_loop.accounts.models import Role, User
from feedback_loop.db import reading
from feedback_loop.web import navigation
from feedback_loop.web.database import session, sessions

login_manager = LoginManager()


@dataclass(frozen=True)
class SignedIn(UserMixin):  # type: ignore[misc]
    """The person behind a request, as plain values: looking at them never opens a transaction."""

    id: int
    name: str
    email: str
    role: Role
    team_id: int | None
    reads_raw: bool
    must_change_password: bool
    session_epoch: int

    @classmethod
    def of(cls, user: User) -> SignedIn:
        """Take the values from the row."""
        return cls(
            user.id,
            user.name,
            user.email,
            user.role,
            user.team_id,
            user.reads_raw,
            user.must_change_password,
            user.session_epoch,
        )

    def get_id(self) -> str:
        """What the session cookie holds."""
        return f"{self.id}:{self.session_epoch}"


@login_manager.user_loader  # type: ignore[untyped-decorator]
def load(key: str) -> SignedIn | None:
    """The person of a session, unless they were deactivated or have a new password since.

    A session of its own that only reads: a POST holds no write lock before its view asks for one.
    """
    number, _, epoch = key.partition(":")
    if not (number.isdecimal() and epoch.isdecimal()):
        return None
    with reading(sessions()) as own:
        user = own.scalar(select(User).where(User.id == int(number), User.is_active, User.session_epoch == int(epoch)))
        return SignedIn.of(user) if user else None


def me() -> User:
    """The signed-in person as a row of the request's session, for verbs that note who did something."""
    return session().get_one(User, current_user.id)


def may(role: Role) -> bool:
    """Whether the signed-in person has at least this role."""
    return bool(current_user.is_authenticated and current_user.role.includes(role))


def menu() -> list[navigation.Link]:
    """What stands at the top of each page for the signed-in person."""
    if not current_user.is_authenticated:
        return []
    if "menu" not in g:  # a page shows it twice
        counts = current_app.extensions.get("menu_counts", {})
        endpoints = set(current_app.view_functions)
        g.menu = navigation.links(lambda role: may(Role(role)), endpoints, request.path, counts)
    return cast(list[navigation.Link], g.menu)


def init_app(app: Flask) -> None:
    """Give an application its sign-in, and its templates what depends on who looks."""
    login_manager.init_app(app)
    app.jinja_env.globals.update(menu=menu, may=lambda role: may(Role(role)), same_page=navigation.same_page)
