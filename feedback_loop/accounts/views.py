"""Signing in and out, the own password, people, teams and API keys."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask import session as cookie
from flask_login import current_user, login_user, logout_user
from limits import RateLimitItem
from werkzeug.wrappers import Response

from feedback_loop.accounts import queries, service
from feedback_loop.accounts.access import public, staff
from feedback_loop.accounts.forms import ApiKeyForm, PasswordForm, PersonForm, SignInForm, TeamForm
from feedback_loop.accounts.login import SignedIn, me
from feedback_loop.accounts.models import ApiKey, Role, Scope, Team, User
from feedback_loop.clock import utc_now
from feedback_loop.db import reading
from feedback_loop.web import limits
from feedback_loop.web.database import session, sessions

bp = Blueprint("accounts", __name__)

Reply = str | tuple[str, int] | tuple[str, int, dict[str, str]] | Response


def local_path(target: str | None) -> str:
    """Where to go after signing in: a path of this site, or home.

    Browsers read a backslash as a slash and drop control characters: `/\\evil.example` would leave the site.
    """
    target = target or ""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    is_local = target.startswith("/") and not target.startswith("//") and not parts.netloc and not parts.scheme
    return target if is_local and "\\" not in target and target.isprintable() else "/"


@bp.route("/sign-in", methods=["GET", "POST"])
@public
def sign_in() -> Reply:
    """Sign in with email and password."""
    if request.method == "GET" and current_user.is_authenticated:
        return redirect(local_path(request.args.get("next")))
    form = SignInForm(next=request.args.get("next", ""))
    if not form.validate_on_submit():
        return render_template("accounts/sign_in.html", form=form), 400 if form.is_submitted() else 200
    account = limits.veiled((form.email.data or "").strip().lower())
    used_up = tries_used_up(account)
    if used_up:
        limit, who = used_up
        minutes = math.ceil(limits.left(limit, *who)[1] / 60)
        form.password.errors = [
            f"Too many passwords from your network did not fit. Try again in {minutes} "
            f"{'minute' if minutes == 1 else 'minutes'}, or ask an admin for a new password."
        ]
        return render_template("accounts/sign_in.html", form=form), 429, limits.retry_after(limit, *who)
    with reading(sessions()) as own:
        user = queries.user_by_email(own, form.email.data)
    # Checking the password is slow by design, so no session is open meanwhile.
    if not service.sign_in_allowed(user, form.password.data) or user is None:
        limits.count(limits.SIGN_IN_NETWORK, limits.here())
        limits.count(limits.SIGN_IN_ACCOUNT, account)
        form.password.errors = ["Email and password do not fit together. Check both and try again."]
        return render_template("accounts/sign_in.html", form=form), 400
    for limit in (limits.SIGN_IN, limits.SIGN_IN_WATCHED):
        limits.forget(limit, account, limits.here())
    cookie.clear()
    cookie.permanent = True
    login_user(SignedIn.of(user))
    session().get_one(User, user.id).last_signed_in_at = utc_now()
    session().commit()
    return redirect(local_path(form.next.data))


def tries_used_up(account: str) -> tuple[RateLimitItem, tuple[str, ...]] | None:
    """Count a try to sign in; the limit that stands against it, and of whom it counts.

    No account is ever closed to everybody, or anybody could shut its owner out: one that is tried from many networks
    gives each of them fewer tries.
    """
    network = limits.here()
    if limits.is_over(limits.SIGN_IN_NETWORK, network):
        return limits.SIGN_IN_NETWORK, (network,)
    is_watched = limits.is_over(limits.SIGN_IN_ACCOUNT, account)
    limit = limits.SIGN_IN_WATCHED if is_watched else limits.SIGN_IN
    # Counted before the password is checked, which takes a while, so that many tries at once do not slip through.
    return None if limits.count(limit, account, network) else (limit, (account, network))


@bp.post("/sign-out")
@staff(Role.VIEWER)
def sign_out() -> Reply:
    """End the session."""
    logout_user()
    cookie.clear()
    return redirect(url_for(".sign_in"))


@bp.route("/password", methods=["GET", "POST"])
@staff(Role.VIEWER)
def password() -> Reply:
    """Choose a new password; whoever has a one-time password comes here first."""
    form = PasswordForm()
    if not form.validate_on_submit():
        return render_template("accounts/password.html", form=form), 400 if form.is_submitted() else 200
    with reading(sessions()) as own:
        user = own.get_one(User, current_user.id)
    if not service.sign_in_allowed(user, form.current.data):
        form.current.errors = ["This is not your current password."]
        return render_template("accounts/password.html", form=form), 400
    password_hash = service.hash_password(form.new.data)
    user = me()
    service.set_password(session(), user, password_hash)
    session().commit()
    # The epoch has changed: every other session of this person ends, this one goes on.
    login_user(SignedIn.of(user))
    flash("Your password is changed. Wherever else you were signed in, you are signed out.")
    return redirect(url_for("reports.home"))


@bp.route("/settings/teams", methods=["GET", "POST"])
@staff(Role.LEAD)
def teams() -> Reply:
    """Teams and their people; add a team."""
    form = TeamForm()
    if form.validate_on_submit():
        try:
            team = service.add_team(session(), form.name.data, utc_now())
        except ValueError as error:
            form.name.errors = [str(error)]
        else:
            session().commit()
            flash(f"Team {team.name} is added.")
            return redirect(url_for(".teams"))
    rows = queries.teams_with_members(session())
    return render_template("accounts/teams.html", form=form, rows=rows), 400 if form.is_submitted() else 200


@bp.post("/settings/teams/<int:team_id>/default")
@staff(Role.LEAD)
def make_default(team_id: int) -> Reply:
    """Send what no rule claims to this team."""
    team = session().get(Team, team_id) or abort(404)
    service.make_default(session(), team)
    session().commit()
    flash(f"{team.name} now gets what no routing rule claims.")
    return redirect(url_for(".teams"))


@bp.route("/settings/people", methods=["GET", "POST"])
@staff(Role.ADMIN)
def people() -> Reply:
    """Everybody with an account; add a person, whose one-time password is shown on the answer to this form only."""
    with reading(sessions()) as own:
        all_teams = queries.teams(own)
    form = PersonForm(teams=all_teams)
    if form.validate_on_submit():
        secret = service.one_time_password()
        password_hash = service.hash_password(secret)
        try:
            user = service.add_user(
                session(),
                email=form.email.data,
                name=form.name.data,
                role=Role(form.role.data),
                team=session().get(Team, int(form.team.data)) if form.team.data else None,
                password_hash=password_hash,
                must_change_password=True,
                now=utc_now(),
            )
        except ValueError as error:
            form.email.errors = [str(error)]
        else:
            session().commit()
            return render_template("accounts/one_time_password.html", user=user, secret=secret, is_new=True)
    rows = queries.people(session())
    return render_template("accounts/people.html", form=form, rows=rows), 400 if form.is_submitted() else 200


@bp.post("/settings/people/<int:user_id>/password")
@staff(Role.ADMIN)
def new_password(user_id: int) -> Reply:
    """Give a person a new one-time password, shown on the answer only."""
    secret = service.one_time_password()
    password_hash = service.hash_password(secret)
    user = session().get(User, user_id) or abort(404)
    service.set_password(session(), user, password_hash)
    user.must_change_password = True
    session().commit()
    return render_template("accounts/one_time_password.html", user=user, secret=secret, is_new=False)


@bp.post("/settings/people/<int:user_id>/active")
@staff(Role.ADMIN)
def set_active(user_id: int) -> Reply:
    """Deactivate a person, or let them in again. What they did stays in the history under their name."""
    user = session().get(User, user_id) or abort(404)
    active = request.form.get("active") == "yes"
    if not active and user.id == current_user.id:
        flash("You cannot deactivate yourself. Ask another admin to do it.", "problem")
        return redirect(url_for(".people"))
    user.is_active = active
    user.session_epoch += 1  # a session begun before does not come back to life with the person
    session().commit()
    flash(f"{user.name} can sign in again." if active else f"{user.name} can no longer sign in.")
    return redirect(url_for(".people"))


@bp.post("/settings/people/<int:user_id>/originals")
@staff(Role.ADMIN)
def set_reads_raw(user_id: int) -> Reply:
    """Let a person read original texts, or no longer. An admin may give the right to themselves; both are logged."""
    user = session().get(User, user_id) or abort(404)
    given = request.form.get("given") == "yes"
    try:
        service.set_reads_raw(session(), user, given, me(), utc_now())
    except ValueError as error:
        flash(str(error), "problem")
        return redirect(url_for(".people"))
    session().commit()
    if given:
        flash(f"{user.name} may read original texts now. Each reading asks for a reason and is logged.")
    else:
        flash(f"{user.name} can no longer read original texts.")
    return redirect(url_for(".people"))


@bp.route("/settings/api-keys", methods=["GET", "POST"])
@staff(Role.ADMIN)
def api_keys() -> Reply:
    """Keys of other systems; make one, which is shown on the answer to this form only."""
    form = ApiKeyForm()
    if form.validate_on_submit():
        scopes = [Scope(value) for value in form.scopes.data]
        key, secret = service.add_api_key(session(), form.name.data, scopes, form.expires_at, me(), utc_now())
        session().commit()
        return render_template("accounts/api_key.html", key=key, secret=secret)
    rows, code = queries.api_keys(session()), 400 if form.is_submitted() else 200
    return render_template("accounts/api_keys.html", form=form, rows=rows, at=utc_now()), code


@bp.post("/settings/api-keys/<int:key_id>/revoke")
@staff(Role.ADMIN)
def revoke_api_key(key_id: int) -> Reply:
    """Take a key back, for good."""
    key = session().get(ApiKey, key_id) or abort(404)
    service.revoke_api_key(session(), key, me(), utc_now())
    session().commit()
    flash(f"The key {key.name} is revoked. Whatever used it is refused from now on.")
    return redirect(url_for(".api_keys"))
