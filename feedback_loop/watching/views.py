"""Settings, Stuck: what does not go on by itself, and what to do about it."""

from __future__ import annotations

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField
from wtforms.validators import DataRequired, Length

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import may, me
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.watching import stuck as stuck_things
from feedback_loop.watching.stuck import KINDS, Kind, Refused
from feedback_loop.web.database import session
from feedback_loop.web.filters import plural
from feedback_loop.web.forms import StaffForm

bp = Blueprint("watching", __name__)

Reply = str | tuple[str, int] | Response


class DiscardForm(StaffForm):
    """Why something is given up."""

    id = HiddenField()
    why = StringField(
        "Why is it given up?",
        [DataRequired("Enter why it is given up."), Length(max=300, message="Enter at most 300 characters.")],
        description="It is kept with your name.",
    )


def kind_or_404(name: str) -> Kind:
    """The kind of the address."""
    return KINDS.get(name) or abort(404, "There is no such list.")


def row_id(text: str | None) -> int | None:
    """The row that a form or an address names; None for all."""
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
        abort(404, "There is no such row.")
    return int(text)


@bp.get("/settings/stuck")
@staff(Role.ADMIN)
def stuck() -> Reply:
    """Everything that is stuck."""
    now = utc_now()
    return render_template(
        "watching/stuck.html",
        lists=stuck_things.everything(session(), now),
        steps=stuck_things.steps(session(), now),
        decisions=stuck_things.decisions(session()),
        kinds=KINDS,
        most=stuck_things.COUNTED,
    )


@bp.post("/settings/stuck/<kind>/retry")
@staff(Role.ADMIN)
def retry(kind: str) -> Reply:
    """Try one again, or all of a kind."""
    found, form = kind_or_404(kind), StaffForm()
    if not form.validate_on_submit():
        abort(400, "The page had been open for too long. Go back, reload it, and send the form again.")
    try:
        count = stuck_things.decide(session(), found, "retry", row_id(request.form.get("id")), "", me(), utc_now())
        session().commit()
        flash(f"{plural(count, 'thing is', 'things are')} tried again.")
    except Refused as error:
        session().rollback()
        flash(str(error), "problem")
    return redirect(url_for(".stuck"))


@bp.route("/settings/stuck/<kind>/discard", methods=["GET", "POST"])
@staff(Role.ADMIN)
def discard(kind: str) -> Reply:
    """Ask whether to give up one or all of a kind; then do it."""
    found = kind_or_404(kind)
    form = DiscardForm(id=request.args.get("id", ""))
    which = row_id(form.id.data)
    if form.validate_on_submit():
        try:
            count = stuck_things.decide(session(), found, "discard", which, form.why.data, me(), utc_now())
            session().commit()
            flash(f"{plural(count, 'thing is', 'things are')} given up.")
        except Refused as error:
            session().rollback()
            flash(str(error), "problem")
        return redirect(url_for(".stuck"))
    now = utc_now()
    if which is None:
        listed = stuck_things.listed(session(), found, now)
        rows, count = listed.rows, listed.count
    else:
        rows = found.described(session(), list(session().scalars(found.ids(now).where(found.key == which))))
        count = len(rows)
    if not rows and not form.is_submitted():
        flash("It is not stuck any more.")
        return redirect(url_for(".stuck"))
    page = render_template("watching/discard.html", kind=found, form=form, rows=rows, count=count, is_all=which is None,
                           most=stuck_things.AT_ONCE)  # fmt: skip
    return page, 400 if form.is_submitted() else 200


def stuck_notice() -> str:
    """What to tell the signed-in person: that something is stuck, or no worker runs; empty where all is well."""
    if "stuck_notice" not in g:
        g.stuck_notice = stuck_things.notice(session(), utc_now()) if may(Role.ADMIN) else ""
    return str(g.stuck_notice)


@bp.record
def prepare(state: BlueprintSetupState) -> None:
    """Let pages of others ask whether anything is stuck."""
    state.app.jinja_env.globals["stuck_notice"] = stuck_notice
