"""The mails a colleague gets."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask_login import current_user

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import may, me
from feedback_loop.accounts.models import Digest, Role
from feedback_loop.actions.blueprint import Reply, bp
from feedback_loop.actions.colleagues import digests
from feedback_loop.actions.colleagues.forms import DigestForm
from feedback_loop.actions.colleagues.mails import choose_digest
from feedback_loop.clock import utc_now
from feedback_loop.web.database import session, settings


@bp.get("/settings")
@staff(Role.VIEWER)
def settings_home() -> Reply:
    """The first of the settings that the signed-in person may see."""
    return redirect(url_for("accounts.teams" if may(Role.LEAD) else ".my_mails"))


@bp.route("/settings/my-mails", methods=["GET", "POST"])
@staff(Role.VIEWER)
def my_mails() -> Reply:
    """Which mails come, when the next one does, and what it would say now."""
    user, now = me(), utc_now()
    form = DigestForm(digest=user.digest.value)
    if form.validate_on_submit():
        choose_digest(session(), user, Digest(form.digest.data), settings(), now)
        session().commit()
        flash("Saved.")
        return redirect(url_for(".my_mails"))
    page = render_template(
        "actions/my_mails.html",
        form=form,
        address=current_user.email,
        next_at=digests.next_digest(user.digest, digests.working_days(session(), settings()), settings(), now),
        sections=digests.sections(session(), user, digests.unmailed(session(), user, urgent=False), now),
    )
    return page, 400 if form.is_submitted() else 200
