"""Settings, Trackers: where issues for action items are made."""

from __future__ import annotations

from cryptography.fernet import InvalidToken
from flask import abort, flash, redirect, render_template, request, url_for

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role, Team
from feedback_loop.accounts.queries import teams
from feedback_loop.clock import utc_now
from feedback_loop.integrations import queries
from feedback_loop.integrations.forms import TrackerForm
from feedback_loop.integrations.models import Tracker
from feedback_loop.integrations.service import Refused
from feedback_loop.integrations.trackers import service
from feedback_loop.integrations.views.blueprint import Reply, bp
from feedback_loop.outbound import outbound
from feedback_loop.web.database import session, settings


def team_of(form: TrackerForm) -> Team | None:
    """The team that was chosen."""
    return session().get(Team, int(form.team.data)) if form.team.data else None


def place(form: TrackerForm, error: Refused) -> None:
    """Show what does not fit beside the field it is about."""
    text = str(error)
    for word, field in (("token", form.token), ("account", form.account), ("project", form.project)):
        if word in text.lower():
            field.errors = [text]
            return
    (form.project if "repository" in text else form.base_url).errors = [text]


@bp.route("/settings/trackers", methods=["GET", "POST"])
@staff(Role.ADMIN)
def trackers() -> Reply:
    """All trackers; add one."""
    form = TrackerForm(teams=teams(session()))
    if form.validate_on_submit():
        try:
            tracker = service.add_tracker(
                session(), form.wanted, team_of(form), me(), utc_now(), settings(), outbound(settings())
            )
        except Refused as error:
            place(form, error)
        else:
            session().commit()
            flash(f"{tracker.name} is added. Issues can be made from action items now.")
            return redirect(url_for(".tracker", tracker_id=tracker.id))
    page = render_template(
        "integrations/trackers.html", form=form, rows=queries.trackers(session()), names=service.NAMES
    )
    return page, 400 if form.is_submitted() else 200


@bp.route("/settings/trackers/<int:tracker_id>", methods=["GET", "POST"])
@staff(Role.ADMIN)
def tracker(tracker_id: int) -> Reply:
    """One tracker: change it, and how it tells us of its issues at once."""
    row = session().get(Tracker, tracker_id) or abort(404, "There is no such tracker.")
    form = TrackerForm(
        teams=teams(session()), name=row.name, kind=row.kind.value, base_url=row.base_url, project=row.project,
        account=row.account, issue_type=row.issue_type, team=str(row.team_id or ""), comments_back=row.comments_back,
    )  # fmt: skip
    if form.validate_on_submit():
        try:
            service.set_up(row, form.wanted, settings(), outbound(settings()))
        except Refused as error:
            session().rollback()
            row = session().get_one(Tracker, tracker_id)
            place(form, error)
        else:
            row.team = team_of(form)
            session().commit()
            flash("Saved.")
            return redirect(url_for(".tracker", tracker_id=row.id))
    try:
        path, secret = service.hook_of(row, settings())
    except InvalidToken:
        path, secret = "", ""
    page = render_template(
        "integrations/tracker.html",
        tracker=row,
        form=form,
        names=service.NAMES,
        hook_url=settings().public_url + path if path else "",
        hook_secret=secret,
    )
    return page, 400 if form.is_submitted() else 200


@bp.post("/settings/trackers/<int:tracker_id>/archived")
@staff(Role.ADMIN)
def tracker_archived(tracker_id: int) -> Reply:
    """Ask a tracker for nothing more, or go on."""
    row = session().get(Tracker, tracker_id) or abort(404, "There is no such tracker.")
    is_archived = request.form.get("archived") == "yes"
    service.set_archived(row, is_archived, utc_now())
    session().commit()
    flash(f"{row.name} is not asked any more. Links to its issues stay." if is_archived else f"{row.name} is on again.")
    return redirect(url_for(".trackers"))
