"""The pages on which staff look after answers: those that do not count, the guard of open links, and originals, which
nothing outside this domain may read."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.accounts.queries import raw_right_changes
from feedback_loop.clock import utc_now
from feedback_loop.db import clean_text
from feedback_loop.responses import originals, pressure, queries, receiving, service
from feedback_loop.responses.blueprint import Page, bp
from feedback_loop.responses.forms import OriginalForm
from feedback_loop.responses.models import Guard
from feedback_loop.responses.raw import RawTextUnreadable
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.queries import questions_of
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session, settings
from feedback_loop.web.forms import StaffForm
from feedback_loop.web.navigation import page_number

RIGHTS_SHOWN = 50
SET_GUARD = {
    Guard.OFF: "The open link asks for no proof of work, whatever comes.",
    Guard.AUTOMATIC: "The open link asks for a proof of work while it is under attack.",
    Guard.ON: "The open link asks everybody for a proof of work, until you change this.",
}


@bp.get("/surveys/<slug>/unconfirmed")
@staff(Role.VIEWER)
def unconfirmed(slug: str) -> Page:
    """Answers that do not count, and why."""
    survey = survey_or_404(slug)
    shown = receiving.unconfirmed(session(), survey, page_number(), settings())
    asked_with = questions_of(session(), survey, [each.row.survey_version for each in shown.rows])
    return render_template(
        "responses/unconfirmed.html", survey=survey, page=shown, scale=SCALES[survey.scale], asked_with=asked_with
    )


@bp.post("/surveys/<slug>/unconfirmed/<int:unconfirmed_id>")
@staff(Role.LEAD)
def settle(slug: str, unconfirmed_id: int) -> Page:
    """Let an answer count after all, or put it away."""
    survey, form = survey_or_404(slug), StaffForm()
    if not form.validate_on_submit():
        abort(400, "The page had been open for too long. Go back, reload it, and send the form again.")
    row = queries.unconfirmed_answer(session(), survey, unconfirmed_id) or abort(404, "There is no such answer.")
    try:
        if request.form.get("verdict") == "confirm":
            receiving.confirm(session(), row, me(), utc_now(), settings())
            flash("The answer counts now.")
        else:
            receiving.dismiss(session(), row, me(), utc_now())
            flash("Put away as a program’s. What it had typed is destroyed.")
        session().commit()
    except (service.Refused, RawTextUnreadable) as error:
        session().rollback()
        flash(str(error), "error")
    return redirect(url_for(".unconfirmed", slug=slug))


@bp.post("/surveys/<slug>/guard")
@staff(Role.ADMIN)
def set_guard(slug: str) -> Page:
    """Say when the open link of a survey asks for a proof of work."""
    survey, form, asked = survey_or_404(slug), StaffForm(), request.form.get("guard", "")
    if not form.validate_on_submit() or asked not in list(Guard):
        abort(400, "The page had been open for too long. Go back, reload it, and send the form again.")
    pressure.set_guard(session(), survey, Guard(asked))
    session().commit()
    flash(SET_GUARD[Guard(asked)])
    return redirect(url_for("reports.survey", slug=survey.slug))


@bp.route("/answers/<int(signed=True):answer_id>/original", methods=["GET", "POST"])
@staff(Role.VIEWER)
def original(answer_id: int) -> Page:
    """Ask why, then show what the customer typed on the answer to this form only. Each reading is logged."""
    answer = queries.answer(session(), answer_id) or abort(404, "There is no such answer.")
    form, now = OriginalForm(), utc_now()
    asked_with = questions_of(session(), answer.survey, [answer.survey_version]).get(answer.survey_version or 0, "")
    shown: dict[str, Any] = {
        "answer": answer,
        "asked_with": asked_with,
        "form": form,
        "at": now,
        "until": None,
        "text": None,
        "problem": "",
    }
    try:
        shown["until"] = originals.kept_raw(session(), answer, me(), now, settings()).expires_at
        if form.validate_on_submit():
            shown["text"] = originals.read_raw(session(), answer, me(), form.why.data, now, settings())
            session().commit()
    except originals.NoRight as error:
        abort(403, str(error))
    except (service.Refused, RawTextUnreadable) as error:
        shown["problem"] = str(error)
        return render_template("responses/original.html", **shown), 410 if isinstance(
            error, originals.Destroyed
        ) else 409
    if "csrf_token" in form.errors:
        abort(400, "The page had been open for too long. Go back, reload it, and send the form again.")
    return render_template("responses/original.html", **shown), 400 if form.errors else 200


@bp.get("/settings/raw-readings")
@staff(Role.ADMIN)
def readings() -> Page:
    """Who read which original, when and why; to whom the right was given, and from whom it was taken."""
    return render_template(
        "responses/readings.html",
        page=queries.readings(session(), page_number()),
        changes=raw_right_changes(session(), RIGHTS_SHOWN),
    )


def survey_or_404(slug: str) -> Survey:
    """The survey of an address, however its letters were typed."""
    return queries.survey_by_slug(session(), clean_text(slug).lower()) or abort(404)
