"""Making, opening and closing surveys, and the ways to put them before customers. Pages of surveys stand in `reports`:
they show what was answered."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import public, staff
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.surveys import queries, service, snippets
from feedback_loop.surveys.availability import REASONS, availability
from feedback_loop.surveys.forms import OriginsForm, SurveyForm
from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from feedback_loop.surveys.scales import SCALES, USUAL
from feedback_loop.surveys.theme import check_accent, stylesheet
from feedback_loop.surveys.wording import tags_in, text_in
from feedback_loop.web.database import session, settings
from feedback_loop.web.language import language
from feedback_loop.web.security import allow

bp = Blueprint("surveys", __name__)

Reply = str | tuple[str, int] | Response


def spoken(text: str) -> str:
    """A text of a survey as its reader reads it: usual ones are ours to translate, others stay as they are written."""
    return gettext(text) if text in USUAL else text


@bp.app_template_filter("worded")
def in_the_readers_language(survey: Survey, name: str) -> str:
    """One of the texts of a survey for its reader."""
    return spoken(text_in(survey, name, language()))


@bp.app_template_filter("tag_words")
def tags_in_the_readers_language(survey: Survey) -> list[tuple[str, str]]:
    """The tags of a survey: each as it is stored, and as its reader reads it."""
    return tags_in(survey, language())


@bp.get("/s/<slug>/theme.css")
@public
def theme(slug: str) -> Reply:
    """The colours of a survey's pages. They follow from the colour in the address alone, so browsers may keep them."""
    try:
        accent = check_accent(f"#{request.args.get('v', '')}")
    except ValueError:
        abort(404)
    return kept(Response(stylesheet(accent), mimetype="text/css"))


@bp.get("/s/<slug>/logo/<digest>")
@public
def logo(slug: str, digest: str) -> Reply:
    """The logo of a survey's pages."""
    survey = survey_or_404(slug)
    found = queries.logo(session(), survey)
    if found is None or survey.logo_digest != digest:
        abort(404)
    return kept(Response(found.data, mimetype=found.media_type))


def kept(response: Response) -> Response:
    """Let the reader's browser keep what its address names by its content."""
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


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
                is_anonymous=form.is_anonymous.data,
                is_published=False,
            )
        except ValueError as error:
            form.slug.errors = [str(error)]
        else:
            session().commit()
            flash(f"{survey.name} is a draft. Look at it as customers will; nobody can answer before you publish it.")
            return redirect(url_for("editor.edit", slug=survey.slug))
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


@bp.post("/surveys/<slug>/archive")
@staff(Role.ADMIN)
def set_archived(slug: str) -> Reply:
    """Put a survey away, or bring it back."""
    survey = survey_or_404(slug)
    is_put_away = request.form.get("archived") == "yes"
    service.archive(session(), survey, utc_now() if is_put_away else None)
    session().commit()
    flash(f"{survey.name} is {'archived; its answers stay' if is_put_away else 'back'}.")
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
        # Whether it is full, only the steps after this one know; a link to it says so.
        standing=(standing := availability(survey, utc_now())).value,
        obstacle=REASONS.get(standing, ""),
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
