"""The survey editor: what customers read, beside how they will see it. It stands in `reports`, because what it shows
belongs to the pages of answers and to mails. The preview records nothing: it makes surveys that no session knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.languages import ENGLISH_NAMES, LANGUAGES, SOURCE, known
from feedback_loop.responses.forms import AnswerForm
from feedback_loop.responses.mailings.models import Mailing, Recipient
from feedback_loop.responses.mailings.service import preview as written_mail
from feedback_loop.responses.queries import availability_of, has_answers
from feedback_loop.responses.thanking import Said, read_by, thanks_for
from feedback_loop.surveys import queries, service
from feedback_loop.surveys.availability import STANDINGS
from feedback_loop.surveys.forms import OpeningForm, ThemeForm, WordingForm
from feedback_loop.surveys.models import ScaleName, Survey
from feedback_loop.surveys.scales import SCALES, USUAL
from feedback_loop.surveys.theme import check_accent, contrasts, read_logo
from feedback_loop.surveys.views import spoken
from feedback_loop.surveys.wording import (
    TEXTS,
    differences,
    drafted,
    fingerprint,
    gaps,
    missing,
    tidied,
    worded,
)
from feedback_loop.web.database import session, settings
from feedback_loop.web.language import language, speak
from feedback_loop.web.security import allow

bp = Blueprint("editor", __name__)

Reply = str | tuple[str, int] | Response

TAG = "tag:"  # begins the names of the fields in which tags are translated
VIEWS = {
    "phone": ("Phone", "page"),
    "desktop": ("Desktop", "page"),
    "thanks": ("Thanks", "thanks"),
    "thanks_low": ("Thanks, low score", "thanks_low"),
    "mail": ("Mail", "mail"),
}
EXAMPLE_WHY = "Your order reached you last week."
EXAMPLE_DAYS = timedelta(days=30)


@bp.route("/surveys/<slug>/edit", methods=["GET", "POST"])
@staff(Role.ADMIN)
def edit(slug: str) -> Reply:
    """Will people answer this? What customers read, saved as a draft until it is published."""
    survey = survey_or_404(slug)
    if request.method == "GET":
        return editor(survey)
    form, wish = WordingForm(), request.form.get("do", "save")
    if not form.validate_on_submit():
        return editor(survey, wording_form=form, status=400)
    answered = has_answers(session(), survey)
    try:
        wording = form.wording(drafted(survey), translated_tags())
        service.save_draft(session(), survey, wording, form.seen.data or "", has_answers=answered)
        if wish == "publish":
            now = utc_now()
            number = service.publish(session(), survey, fingerprint(survey), me(), now, has_answers=answered)
    except service.Refused as error:
        session().rollback()
        form.form_errors.append(str(error))
        if isinstance(error, service.ChangedMeanwhile):
            form.seen.data = fingerprint(survey)  # now they know, so that saving again is meant
        return editor(survey, wording_form=form, status=409)
    session().commit()
    if wish == "publish":
        flash(f"Published: customers read version {number} from now on.")
        return redirect(url_for("reports.survey", slug=survey.slug))
    if wish == "save":
        flash("Saved. Customers read it once you publish it." if survey.draft else "Saved; it says what is published.")
    return redirect(url_for(".edit", slug=survey.slug, language=form.other.data))


@bp.post("/surveys/<slug>/draft/discard")
@staff(Role.ADMIN)
def discard(slug: str) -> Reply:
    """Throw away what was not published."""
    survey = survey_or_404(slug)
    try:
        service.discard_draft(session(), survey, request.form.get("seen", ""))
    except service.Refused as error:
        session().rollback()
        flash(f"{error}", "problem")
        return redirect(url_for(".edit", slug=survey.slug))
    session().commit()
    flash("The draft is gone. Below is what customers read.")
    return redirect(url_for(".edit", slug=survey.slug))


@bp.post("/surveys/<slug>/opening")
@staff(Role.ADMIN)
def set_opening(slug: str) -> Reply:
    """Say from when until when a survey takes answers, and how many."""
    survey, form = survey_or_404(slug), OpeningForm()
    if not form.validate_on_submit():
        return editor(survey, opening_form=form, status=400)
    try:
        service.schedule(
            session(), survey, moment(form.opens_at.data), moment(form.closes_at.data), form.answer_limit.data
        )
    except service.Refused as error:
        form.closes_at.errors = [str(error)]
        return editor(survey, opening_form=form, status=400)
    session().commit()
    flash(f"Saved. {survey.name} is now: {STANDINGS[availability_of(session(), survey, utc_now())].lower()}.")
    return redirect(url_for(".edit", slug=survey.slug, _anchor="opening"))


@bp.post("/surveys/<slug>/theme")
@staff(Role.ADMIN)
def set_theme(slug: str) -> Reply:
    """Give a survey a colour and a logo."""
    survey, form = survey_or_404(slug), ThemeForm()
    if not form.validate_on_submit():
        return editor(survey, theme_form=form, status=400)
    try:
        check_accent(form.accent.data or "")
    except ValueError as error:
        form.accent.errors = [str(error)]
    file = request.files.get("logo")
    logo = None
    if file is not None and file.filename:
        try:
            logo = read_logo(file.read())
        except ValueError as error:
            form.logo.errors = [str(error)]
    if form.errors:
        return editor(survey, theme_form=form, status=400)
    service.dress(session(), survey, form.accent.data or "", logo, without_logo=form.without_logo.data)
    session().commit()
    flash("Saved. Customers see it from now on.")
    return redirect(url_for(".edit", slug=survey.slug, _anchor="looks"))


@bp.get("/surveys/<slug>/versions")
@staff(Role.VIEWER)
def versions(slug: str) -> Reply:
    """What did customers read when, and who changed it?"""
    survey = survey_or_404(slug)
    rows = queries.versions(session(), survey)
    before = [*(version.wording for version, _ in rows[1:]), {}][: len(rows)]  # none of a survey never published
    changed = [
        (version, name, differences(older, version.wording))
        for (version, name), older in zip(rows, before, strict=True)
    ]
    return render_template(
        "surveys/versions.html",
        survey=survey,
        versions=changed,
        draft=differences(worded(survey), drafted(survey)),
    )


@bp.route("/surveys/<slug>/preview", methods=["GET", "POST"])
@staff(Role.ADMIN)
def preview(slug: str) -> Reply:
    """What a customer would see: of what was last saved, or of what was sent along. Nothing is stored."""
    allow("frame-ancestors", ["'self'"])
    survey = survey_or_404(slug)
    wording, accent = drafted(survey), survey.accent
    if request.method == "POST":
        form = WordingForm()
        if form.validate():
            wording = tidied(form.wording(wording, translated_tags()))
        accent = sent_accent(accent)
    speak(known(request.args.get("language", "")) or wording["language"])
    view, shown = request.args.get("view", "page"), unknown_survey(survey, wording, accent)
    if view == "mail":
        allow("style-src", ["'unsafe-inline'"])  # mails carry their styles in their tags
        return mail_of(shown)
    around: dict[str, Any] = {"survey": shown, "layout": "layouts/public.html", "embedded": False}
    if view in ("thanks", "thanks_low"):
        told = Said(is_low=view == "thanks_low", has_words=True, is_reachable=True)
        return render_template(
            "responses/thanks.html",
            told=told,
            thanks=spoken(thanks_for(shown, told.is_low, language())),
            read_by=read_by(shown, utc_now()),
            token="",
            name="",
            receipt="",
            **around,
        )
    answering = AnswerForm(
        None, survey=shown, purpose="preview", comment_limit=settings().comment_limit, data={"score": ""}
    )
    return render_template(
        "responses/answer.html",
        form=answering,
        signs="",
        action=url_for(".preview", slug=survey.slug, language=language()),
        context={},
        invitation=None,
        earlier=None,
        **around,
    )


def survey_or_404(slug: str) -> Survey:
    """The survey of an address."""
    return queries.by_slug(session(), slug) or abort(404, "There is no such survey.")


def translated_tags() -> dict[str, str]:
    """What was typed as translations of tags."""
    return {name.removeprefix(TAG): value.strip()[:200] for name, value in request.form.items() if name.startswith(TAG)}


def sent_accent(otherwise: str) -> str:
    """The colour that was sent along, where it can be read; else another one."""
    try:
        return check_accent(request.form.get("accent", otherwise))
    except ValueError:
        return otherwise


def unknown_survey(survey: Survey, wording: Mapping[str, Any], accent: str) -> Survey:
    """A survey that says something else, known to no session."""
    return Survey(
        id=survey.id,
        slug=survey.slug,
        name=survey.name,
        version=survey.version,
        takes_gestures=False,
        embed_origins=[],
        is_anonymous=survey.is_anonymous,
        accent=accent,
        logo_digest=survey.logo_digest,
        **{**wording, "scale": ScaleName(wording["scale"])},
    )


def mail_of(shown: Survey) -> str:
    """The mail by which a mailing asks, with links that lead nowhere."""
    mailing = Mailing(survey=shown, why=EXAMPLE_WHY, valid_days=EXAMPLE_DAYS.days)
    person = Recipient(email="maya@example.com", name="Maya Lind", context={"language": language()})
    html: str = written_mail(mailing, person, utc_now(), settings()).html
    return html


def moment(typed: datetime | None) -> datetime | None:
    """What was typed by the clock of this installation."""
    return typed.replace(tzinfo=ZoneInfo(settings().default_time_zone)).astimezone(UTC) if typed else None


def clock(stored: datetime | None) -> datetime | None:
    """The other way round."""
    return stored.astimezone(ZoneInfo(settings().default_time_zone)).replace(tzinfo=None) if stored else None


def wording_form_of(wording: Mapping[str, Any], beside: str) -> WordingForm:
    """The form as shown for the first time."""
    texts = wording["translations"].get(beside) or {}
    return WordingForm(
        None,
        data={
            **{name: "" if wording[name] in USUAL and name != "question" else wording[name] for name in TEXTS},
            **{f"t_{name}": texts.get(name, "") for name in TEXTS},
            "tags": "\n".join(wording["tags"]),
            "scale": wording["scale"],
            "reply_days": wording["reply_days"],
            "language": wording["language"],
            "beside": beside,
            "other": beside,
        },
    )


def beside_of(wording: Mapping[str, Any]) -> str:
    """Which language stands beside the survey's own: the one asked for, else one that was begun, else the next."""
    asked = known(request.form.get("beside") or request.args.get("language", ""))
    begun: list[str] = [asked, *wording["translations"], *(code for code in LANGUAGES if code != SOURCE), SOURCE]
    return next(code for code in begun if code and code != wording["language"])


def editor(
    survey: Survey,
    *,
    wording_form: WordingForm | None = None,
    theme_form: ThemeForm | None = None,
    opening_form: OpeningForm | None = None,
    status: int = 200,
) -> Reply:
    """The page of the editor, with what was typed."""
    allow("frame-src", ["'self'"])
    wording = drafted(survey)
    beside = beside_of(wording)
    form = wording_form or wording_form_of(wording, beside)
    if wording_form is None:
        form.seen.data = fingerprint(survey)
    texts = wording["translations"].get(beside) or {}
    typed = translated_tags()
    return render_template(
        "surveys/edit.html",
        survey=survey,
        form=form,
        theme_form=theme_form or ThemeForm(None, data={"accent": survey.accent}),
        opening_form=opening_form
        or OpeningForm(
            None,
            data={
                "opens_at": clock(survey.opens_at),
                "closes_at": clock(survey.closes_at),
                "answer_limit": survey.answer_limit,
            },
        ),
        wrong=next((each for each in (form, theme_form, opening_form) if each is not None and each.errors), None),
        wording=wording,
        beside=beside,
        scale=SCALES[survey.scale],
        tag_fields=[
            (tag, TAG + tag, typed.get(tag, (texts.get("tags") or {}).get(tag, ""))) for tag in wording["tags"]
        ],
        missing=missing(wording, beside),
        gaps=gaps(wording),
        named=ENGLISH_NAMES,
        usual=USUAL,
        views=VIEWS,
        standing=availability_of(session(), survey, utc_now()).value,
        standings={key.value: word for key, word in STANDINGS.items()},
        changes=differences(worded(survey), wording),
        has_answers=has_answers(session(), survey),
        contrasts=contrasts(survey.accent),
        logo=survey.logo_digest,
        zone=settings().default_time_zone,
    ), status
