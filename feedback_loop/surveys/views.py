"""Making, opening and closing surveys, and the ways to put them before customers. Pages of surveys stand in `reports`:
they show what was answered."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.surveys import queries, service, snippets
from feedback_loop.surveys.forms import OriginsForm, SurveyForm
from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session, settings
from feedback_loop.web.security import allow

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


@bp.get("/surveys/<slug>/share")
@staff(Role.VIEWER)
def share(slug: str) -> Reply:
    """Ready texts for every place where the question can be asked."""
    survey = survey_or_404(slug)
    return share_page(survey, OriginsForm(origins="\n".join(survey.embed_origins)))


@bp.post("/surveys/<slug>/origins")
@staff(Role.ADMIN)
def set_origins(slug: str) -> Reply:
    """Say on whose pages a survey may stand."""
    survey, form = survey_or_404(slug), OriginsForm()
    if not form.validate_on_submit():
        return share_page(survey, form, 400)
    try:
        service.allow_embedding(session(), survey, form.lines)
    except ValueError as error:
        form.origins.errors = [str(error)]
        return share_page(survey, form, 400)
    session().commit()
    flash("Saved. Browsers show the question on these pages now." if form.lines else "Saved. No page may show it now.")
    return redirect(url_for(".share", slug=survey.slug, _anchor="pages"))


@bp.get("/surveys/<slug>/qr.svg")
@staff(Role.VIEWER)
def qr_code(slug: str) -> Reply:
    """The link as a QR code."""
    return Response(snippets.qr_code(survey_or_404(slug), settings().public_url), mimetype="image/svg+xml")


@bp.get("/surveys/<slug>/share/mail")
@staff(Role.VIEWER)
def mail_preview(slug: str) -> Reply:
    """The ready HTML as a mail program shows it; a page of its own, for its policy has to allow the styles in it."""
    allow("style-src", ["'unsafe-inline'"])
    allow("frame-ancestors", ["'self'"])
    survey = survey_or_404(slug)
    return render_template("surveys/mail_preview.html", survey=survey, **mail_parts(survey))


def survey_or_404(slug: str) -> Survey:
    """The survey of an address."""
    return queries.by_slug(session(), slug) or abort(404, "There is no such survey.")


def share_page(survey: Survey, form: OriginsForm, status: int = 200) -> Reply:
    """The page of ready texts."""
    allow("frame-src", ["'self'"])  # the preview of the mail
    base, mail = settings().public_url, mail_parts(survey)
    return render_template(
        "surveys/share.html",
        survey=survey,
        form=form,
        link=snippets.link(survey, base),
        desks=snippets.HELP_DESKS,
        modes=[(mode, title, snippets.widget(survey, base, mode)) for mode, title in snippets.MODES.items()],
        frame=snippets.frame(survey, base),
        function=snippets.function(survey, base),
        origin="{0.scheme}://{0.netloc}".format(urlsplit(base)),
        mail_html=render_template("surveys/mail_snippet.html", survey=survey, **mail),
        **mail,
    ), status


def mail_parts(survey: Survey) -> dict[str, Any]:
    """What the ready mail of a survey says, for the help desk that was chosen on the page."""
    asked = request.args.get("desk", "")
    desk = asked if asked in snippets.HELP_DESKS else next(iter(snippets.HELP_DESKS))
    links = snippets.score_links(survey, settings().public_url, snippets.HELP_DESKS[desk].ticket)
    plain_text = "\n".join([survey.question, "", *(f"{link.words}: {link.url}" for link in links)])
    return {"desk": desk, "links": links, "plain_text": plain_text, "scale": SCALES[survey.scale]}
