"""The pages on which customers answer, by a public link or by an invitation of their own; and those on which staff
with the right to it read an original, as nothing outside this domain may. A GET never records an answer; what may come
from a program is kept apart."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import public, staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.accounts.queries import raw_right_changes
from feedback_loop.clock import utc_now
from feedback_loop.db import clean_text
from feedback_loop.responses import queries, receiving, service
from feedback_loop.responses.confirming import Judgement, Standing
from feedback_loop.responses.forms import AnswerForm, OriginalForm
from feedback_loop.responses.models import Answer, Invitation, Sign
from feedback_loop.responses.raw import RawTextUnreadable
from feedback_loop.surveys.models import Survey, SurveyState
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session, sessions, settings
from feedback_loop.web.forms import StaffForm
from feedback_loop.web.language import chosen, language, speak
from feedback_loop.web.navigation import page_number
from feedback_loop.web.security import allow, keep_private

bp = Blueprint("responses", __name__)
bp.after_request(keep_private)

Page = str | Response | tuple[str, int] | dict[str, bool]

CONTEXT_PREFIX = "c_"
MOST_CONTEXT = 10
LONGEST_NAME = 40
LONGEST_VALUE = 200
RIGHTS_SHOWN = 50
EMBEDDED = ("embedded_survey", "embedded_survey_thanks")


@bp.route("/s/<slug>", methods=["GET", "POST"])
@bp.route("/s/<slug>/embed", methods=["GET", "POST"], endpoint=EMBEDDED[0])
@public
def survey(slug: str) -> Page:
    """The page of a survey that anybody may answer; alone, or in a frame on a page of the company."""
    survey = survey_or_404(slug)
    if survey.state == SurveyState.CLOSED:
        return closed(survey)
    context = given_context(request.form if request.method == "POST" else request.args)
    form = answer_form(survey, f"answer:{survey.slug}", {"score": asked_score(survey)})
    if request.method == "POST" and form.validate() and counts(form, survey, None, context):
        return redirect(url_for(here(".survey_thanks"), slug=survey.slug), 303)
    signs = url_for(".survey_sign", slug=survey.slug) if survey.takes_gestures and not is_embedded() else ""
    return page(form, action=url_for(here(".survey"), slug=survey.slug), context=context, signs=signs)


@bp.route("/s/<slug>/thanks")
@bp.route("/s/<slug>/embed/thanks", endpoint=EMBEDDED[1])
@public
def survey_thanks(slug: str) -> Page:
    """Thanks, and what happens next."""
    return render_template("responses/thanks.html", survey=survey_or_404(slug), token="", name="")


@bp.route("/i/<token>", methods=["GET", "POST"])
@public
def invitation(token: str) -> Page:
    """The same page for one invited customer, who may change the answer later."""
    invitation = queries.invitation_by_token(session(), token)
    if invitation is None:
        return render_template("responses/unknown.html"), 404
    speak_to(invitation)
    survey, now = invitation.survey, utc_now()
    if survey.state == SurveyState.CLOSED:
        return closed(survey)
    if invitation.expires_at is not None and invitation.expires_at <= now:
        return render_template("responses/expired.html", invitation=invitation), 410
    earlier = queries.answer_to(session(), invitation)
    form = answer_form(survey, f"invitation:{invitation.token_hash}", earlier_values(survey, earlier))
    del form.email  # we know the address
    context = given_context(request.form if request.method == "POST" else request.args)
    if request.method == "POST" and form.validate() and counts(form, survey, invitation, context | invitation.context):
        return redirect(url_for(".invitation_thanks", token=token), 303)
    return page(
        form,
        action=url_for(".invitation", token=token),
        signs=url_for(".invitation_sign", token=token),
        context=context,
        invitation=invitation,
        earlier=earlier,
    )


@bp.route("/i/<token>/thanks")
@public
def invitation_thanks(token: str) -> Page:
    """Thanks, what happens next, and the way back to change the answer."""
    invitation = queries.invitation_by_token(session(), token)
    if invitation is None:
        return render_template("responses/unknown.html"), 404
    speak_to(invitation)
    if queries.answer_to(session(), invitation) is None:
        return redirect(url_for(".invitation", token=token), 303)
    return render_template(
        "responses/thanks.html", survey=invitation.survey, token=token, name=invitation.customer.name
    )


@bp.post("/s/<slug>/signs")
@public
def survey_sign(slug: str) -> Page:
    """A person moved on the page of a score link."""
    survey = survey_or_404(slug)
    if survey.state == SurveyState.CLOSED:
        abort(410)
    return noticed(survey, None, f"answer:{survey.slug}", given_context(request.form))


@bp.post("/i/<token>/signs")
@public
def invitation_sign(token: str) -> Page:
    """The page of an invited customer's score link was opened, or a person moved on it."""
    invitation = queries.invitation_by_token(session(), token) or abort(404)
    speak_to(invitation)
    expired = invitation.expires_at is not None and invitation.expires_at <= utc_now()
    if expired or invitation.survey.state == SurveyState.CLOSED:
        abort(410)
    context = given_context(request.form) | invitation.context
    return noticed(invitation.survey, invitation, f"invitation:{invitation.token_hash}", context)


@bp.get("/i/<token>/contents")
@public
def trap(token: str) -> Page:
    """A link in the mail that people do not see. Whoever follows it is a program; the page says so to a curious one."""
    invitation = queries.invitation_by_token(session(), token)
    if invitation is None:
        return render_template("responses/unknown.html"), 404
    speak_to(invitation)
    # The one GET that writes: it notes what a program did, and changes no answer.
    with sessions().begin() as writing:
        receiving.trap(writing, writing.get_one(Invitation, invitation.id), utc_now())
    return render_template("responses/trap.html", token=token)


@bp.get("/surveys/<slug>/unconfirmed")
@staff(Role.VIEWER)
def unconfirmed(slug: str) -> Page:
    """Answers that do not count, and why."""
    survey = survey_or_404(slug)
    shown = receiving.unconfirmed(session(), survey, page_number(), settings())
    return render_template("responses/unconfirmed.html", survey=survey, page=shown, scale=SCALES[survey.scale])


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


@bp.route("/answers/<int:answer_id>/original", methods=["GET", "POST"])
@staff(Role.VIEWER)
def original(answer_id: int) -> Page:
    """Ask why, then show what the customer typed on the answer to this form only. Each reading is logged."""
    answer = queries.answer(session(), answer_id) or abort(404, "There is no such answer.")
    form, now = OriginalForm(), utc_now()
    shown: dict[str, Any] = {"answer": answer, "form": form, "at": now, "until": None, "text": None, "problem": ""}
    try:
        shown["until"] = service.kept_raw(session(), answer, me(), now, settings()).expires_at
        if form.validate_on_submit():
            shown["text"] = service.read_raw(session(), answer, me(), form.why.data, now, settings())
            session().commit()
    except service.NoRight as error:
        abort(403, str(error))
    except (service.Refused, RawTextUnreadable) as error:
        shown["problem"] = str(error)
        return render_template("responses/original.html", **shown), 410 if isinstance(error, service.Destroyed) else 409
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


def counts(form: AnswerForm, survey: Survey, invitation: Invitation | None, context: dict[str, Any]) -> bool:
    """Take in what was sent. Where it may come from a program, the form comes back and asks to press Send once more."""
    judgement = taken_in(form, survey, invitation, context, Sign.SENT)
    if judgement is None or judgement.standing == Standing.CONFIRMED:
        return True
    form.form_errors.append(
        gettext(
            "That was faster than people usually are. Nothing is lost: please press Send once more, so that we know "
            "that it was you."
        )
    )
    return False


def taken_in(
    form: AnswerForm, survey: Survey, invitation: Invitation | None, context: dict[str, Any], sign: Sign
) -> Judgement | None:
    """Hand over what came from a page that we made."""
    assert form.shown is not None  # the form's token has been checked
    given = receiving.Given(
        sign=sign,
        score=form.chosen,
        comment=form.words if sign == Sign.SENT else "",
        email=(form.email.data or "") if form.email and sign == Sign.SENT else "",
        context=context,
        page_key=form.shown.key,
        page_made_at=form.shown.made_at,
        is_prefetch=is_prefetch(),
        shown_language=language(),
        chosen_language=chosen() if invitation is not None else "",
    )
    try:
        judgement = receiving.receive(session(), survey, invitation, given, utc_now(), settings())
    except service.SentTwice:
        # What the other request brought is there now, so that this one finds it and changes it.
        session().rollback()
        judgement = receiving.receive(session(), survey, invitation, given, utc_now(), settings())
    session().commit()
    return judgement


def noticed(survey: Survey, invitation: Invitation | None, purpose: str, context: dict[str, Any]) -> Page:
    """What the script of an answering page noticed; answers whether the score counts now."""
    form = answer_form(survey, purpose, {})
    sign = Sign.GESTURE if request.form.get("sign") == Sign.GESTURE else Sign.OPENED
    try:
        score = form.chosen
    except ValueError:
        score = None
    if form.shown is None or score is None:
        abort(400)
    if sign == Sign.OPENED and invitation is None:
        return "", 204  # of an open link nothing is known by which looks could be told apart
    judgement = taken_in(form, survey, invitation, context, sign)
    return {"counts": judgement is not None and judgement.standing == Standing.CONFIRMED}


def is_prefetch() -> bool:
    """Whether a browser or mail program says that it fetches before anybody looks."""
    return any(
        word in request.headers.get(name, "").lower()
        for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
        for word in ("prefetch", "prerender", "preview")
    )


def survey_or_404(slug: str) -> Survey:
    """The survey of an address, however its letters were typed. Its embedded pages may stand where the survey says."""
    survey = queries.survey_by_slug(session(), clean_text(slug).lower())
    if survey is None:
        abort(404)
    if is_embedded():
        allow("frame-ancestors", survey.embed_origins)
    return survey


def speak_to(invitation: Invitation) -> None:
    """Speak in the language of an invitation, or of the customer who has it."""
    speak(invitation.language, invitation.customer.language)


def is_embedded() -> bool:
    """Whether this page is made to stand in a frame."""
    return (request.endpoint or "").removeprefix(f"{bp.name}.") in EMBEDDED


def here(endpoint: str) -> str:
    """A page of an open survey: in the frame as well where this page is in one."""
    return f".embedded_{endpoint.removeprefix('.')}" if is_embedded() else endpoint


@bp.context_processor
def layout() -> dict[str, Any]:
    """The layout of the page, and whether that is the one for frames."""
    embedded = is_embedded()
    return {"embedded": embedded, "layout": "layouts/embedded.html" if embedded else "layouts/public.html"}


def closed(survey: Survey) -> tuple[str, int]:
    """The page of a survey that takes no more answers."""
    return render_template("responses/closed.html", survey=survey), 410


def answer_form(survey: Survey, purpose: str, shown_first: dict[str, str]) -> AnswerForm:
    """The form as sent, or as shown for the first time."""
    posted = request.method == "POST"
    return AnswerForm(
        request.form if posted else None,
        survey=survey,
        purpose=purpose,
        comment_limit=settings().comment_limit,
        # With these beside sent data, a choice that was not made would look made.
        data=None if posted else shown_first,
    )


def page(
    form: AnswerForm,
    *,
    action: str,
    context: dict[str, str],
    signs: str,
    invitation: Invitation | None = None,
    earlier: Answer | None = None,
) -> tuple[str, int]:
    """The answering page; 400 when the form came back with errors."""
    # Only a link that brings its score along can be opened by a program that answers nothing else.
    is_score_link = request.method == "GET" and bool(form.score.data) and bool(request.args.get("score"))
    page = render_template(
        "responses/answer.html",
        form=form,
        signs=signs if is_score_link else "",
        survey=form.survey,
        action=action,
        context={CONTEXT_PREFIX + name: value for name, value in context.items()},
        invitation=invitation,
        earlier=earlier,
    )
    return page, 400 if form.errors else 200


def asked_score(survey: Survey) -> str:
    """The score a link asks to preselect (`?score=yes`); empty when it is not on the scale."""
    scale = SCALES[survey.scale]
    try:
        return scale.write(scale.parse(request.args.get("score", "")))
    except ValueError:
        return ""


def earlier_values(survey: Survey, earlier: Answer | None) -> dict[str, str]:
    """What an invited customer finds filled in: the link's score, else the earlier one, and the redacted comment."""
    values = {"score": asked_score(survey)}
    if earlier is not None:
        values["score"] = values["score"] or SCALES[survey.scale].write(earlier.score)
        values["comment"] = earlier.comment or ""
    return values


def given_context(values: MultiDict[str, Any]) -> dict[str, str]:
    """Where the customer comes from, as a link or its form says (`c_page=/help`).

    Names that are too long, and all after the tenth, are left out; values that are too long are cut.
    """
    context: dict[str, str] = {}
    for key, value in values.items():
        name = clean_text(key.removeprefix(CONTEXT_PREFIX)).strip()
        text = clean_text(value).strip()[:LONGEST_VALUE]
        if key.startswith(CONTEXT_PREFIX) and 0 < len(name) <= LONGEST_NAME and text and len(context) < MOST_CONTEXT:
            context[name] = text
    return context
