"""Making, opening and closing surveys. Pages of surveys stand in `reports`: they show what was answered."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.surveys import queries, service
from feedback_loop.surveys.forms import SurveyForm
from feedback_loop.surveys.models import ScaleName, SurveyState
from feedback_loop.web.database import session

bp = Blueprint("surveys", __name__)

Reply = str | tuple[str, int] | Response


@bp.app_template_filter("usual")
def in_the_readers_language(text: str) -> str:
    """A text of a survey that is still the usual one, in the reader's language; what an admin wrote stays as it is."""
    return gettext(text) if text in service.USUAL else text


@bp.route("/surveys/new", methods=["GET", "POST"])
@staff(Role.ADMIN)
def new() -> Reply:
    """Make a survey."""
    form = SurveyForm()
    if form.validate_on_submit():
        try:
            survey = service.add_survey(
                session(),
                slug=form.slug.data,
                name=form.name.data,
                question=form.question.data or "",
                scale=ScaleName(form.scale.data),
                now=utc_now(),
                prompt_low=form.prompt_low.data or "",
                prompt_high=form.prompt_high.data or "",
                thanks=form.thanks.data or "",
            )
        except ValueError as error:
            form.slug.errors = [str(error)]
        else:
            session().commit()
            flash(f"Survey {survey.name} is open. Try its link yourself before customers do.")
            return redirect(url_for("reports.survey", slug=survey.slug))
    return render_template("surveys/new.html", form=form), 400 if form.is_submitted() else 200


@bp.post("/surveys/<slug>/state")
@staff(Role.ADMIN)
def set_state(slug: str) -> Reply:
    """Open a survey or close it."""
    survey = queries.by_slug(session(), slug) or abort(404)
    survey.state = SurveyState.OPEN if request.form.get("state") == "open" else SurveyState.CLOSED
    session().commit()
    flash(f"{survey.name} takes {'answers again' if survey.state == SurveyState.OPEN else 'no more answers'}.")
    return redirect(url_for("reports.survey", slug=survey.slug))


@bp.post("/surveys/<slug>/gestures")
@staff(Role.ADMIN)
def set_gestures(slug: str) -> Reply:
    """Say whether a score link counts once a person moves on its page, or only by Send."""
    survey = queries.by_slug(session(), slug) or abort(404)
    survey.takes_gestures = request.form.get("takes") == "yes"
    session().commit()
    counts = "once somebody moves on its page" if survey.takes_gestures else "only when Send is pressed"
    flash(f"A score link of {survey.name} counts {counts}.")
    return redirect(url_for("reports.survey", slug=survey.slug))
