"""The pages on which customers answer, by a public link or by an invitation of their own. A GET never records an
answer; what may come from a program is kept apart."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from flask import abort, current_app, redirect, render_template, request, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask_babel import gettext
from limits import RateLimitItem
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import MultiDict

import feedback_loop.responses.staff_views  # noqa: F401  # hangs its pages on the blueprint
from feedback_loop.accounts.access import public
from feedback_loop.clock import utc_now
from feedback_loop.db import clean_text
from feedback_loop.notifications.queries import suppressed
from feedback_loop.responses import guards, queries, receipts, receiving, service
from feedback_loop.responses.blueprint import Page, bp
from feedback_loop.responses.confirming import Judgement, Standing
from feedback_loop.responses.forms import AnswerForm
from feedback_loop.responses.models import Answer, Invitation, Sign
from feedback_loop.responses.queries import OpenPage
from feedback_loop.responses.tagging import named
from feedback_loop.responses.thanking import Said, read_by, thanks_for
from feedback_loop.responses.together import Changed, Together
from feedback_loop.surveys.availability import NOT_PUBLIC_YET, Availability, availability
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES
from feedback_loop.surveys.views import spoken
from feedback_loop.tokens import hashed
from feedback_loop.web import limits, proofs
from feedback_loop.web.database import session, sessions, settings
from feedback_loop.web.language import chosen, language, speak
from feedback_loop.web.proofs import Proof
from feedback_loop.web.security import allow

TOGETHER = "feedback_loop.together"
CONTEXT_PREFIX = "c_"
MOST_CONTEXT = 10
LONGEST_NAME = 40
LONGEST_VALUE = 200
EMBEDDED = ("embedded_survey", "embedded_survey_thanks", "embedded_survey_kept")


@bp.route("/s/<slug>", methods=["GET", "POST"])
@bp.route("/s/<slug>/embed", methods=["GET", "POST"], endpoint=EMBEDDED[0])
@public
def survey(slug: str) -> Page:
    """The page of a survey that anybody may answer; alone, or in a frame on a page of the company."""
    try:
        return answered_openly(slug, remembered=request.method == "POST")
    except Changed:  # within the last second
        session().rollback()
        return answered_openly(slug, remembered=False)


def answered_openly(slug: str, remembered: bool) -> Page:
    """The same, once.

    Raises:
        Changed: What was remembered of the survey is not so any more; nothing is taken in.
    """
    known = open_page_or_404(slug, remembered)
    survey = known.survey
    form = answer_form(survey, f"answer:{survey.slug}", {"score": asked_score(survey)})
    standing = open_standing(survey)
    if standing == Availability.FULL and form.shown and queries.page_was_answered(session(), form.shown.key):
        standing = Availability.OPEN  # a movement on this page counted as the last answer; its words belong to it
    if standing != Availability.OPEN:
        if remembered:  # perhaps it takes answers by now, and what was typed is not lost
            raise Changed
        return closed(survey, standing)
    context = given_context(request.form if request.method == "POST" else request.args)
    if survey.is_anonymous:
        del form.email
    asks_proof, over = guards.asks_proof(survey, known.pressure(utc_now())), None
    if request.method == "POST":
        over = sent_openly(form, survey, context, asks_proof, known if remembered else None)
        if over is None and not form.errors:
            return followed(form, survey)
    if asks_proof:
        form.challenge = proofs.challenge(form.page_key)
    signs = url_for(".survey_sign", slug=survey.slug) if survey.takes_gestures and not is_embedded() else ""
    shown = page(form, action=url_for(here(".survey"), slug=survey.slug), context=context, signs=signs)
    return shown if over is None else guards.too_many(shown, over, limits.here(), survey.slug)


def followed(form: AnswerForm, survey: Survey) -> Page:
    """What whoever answered an open link reads next."""
    told = said(form)
    if form.doubt and survey.is_anonymous:
        return render_template("responses/kept.html", survey=survey, **receipt_shown(receipt_of(form)))
    if form.doubt:
        return redirect(url_for(here(".survey_kept"), slug=survey.slug), 303)
    if survey.is_anonymous:
        # Shown at once: a page of its own would need the receipt in its address, and so in the logs of servers.
        return thanks(survey, told, utc_now(), receipt=receipt_of(form))
    where: dict[str, Any] = {"slug": survey.slug, **told.hints}
    return redirect(url_for(here(".survey_thanks"), **where), 303)


def sent_openly(
    form: AnswerForm, survey: Survey, context: dict[str, Any], asks_proof: bool, known: OpenPage | None
) -> RateLimitItem | None:
    """Take in what came by an open link; what hinders it stands on the form. Returns the limit that is used up."""
    who = (limits.here(), survey.slug)
    if limits.is_over(limits.ABUSE, *who):
        guards.refuse(form)
        guards.note(survey, taken=False)
        return limits.ABUSE
    if not form.validate():
        if guards.is_abuse(form):
            guards.note(survey, taken=False)
        return None
    proof = guards.prove(form) if asks_proof else Proof.GOOD
    if proof == Proof.MISSING and not limits.count(limits.UNPROVEN, *who):
        guards.refuse(form)
        return limits.UNPROVEN
    if proof in (Proof.GOOD, Proof.MISSING):
        guards.note(survey, taken=counts(form, survey, None, context, known))
    elif proof == Proof.FALSE:
        guards.note(survey, taken=False)
    return None


@bp.route("/s/<slug>/thanks")
@bp.route("/s/<slug>/embed/thanks", endpoint=EMBEDDED[1])
@public
def survey_thanks(slug: str) -> Page:
    """Thanks, and what happens next."""
    return thanks(open_page_or_404(slug).survey, Said.from_hints(request.args), utc_now())


@bp.route("/s/<slug>/kept")
@bp.route("/s/<slug>/embed/kept", endpoint=EMBEDDED[2])
@public
def survey_kept(slug: str) -> Page:
    """Thanks for an answer that somebody looks at before it counts."""
    return render_template("responses/kept.html", survey=open_page_or_404(slug).survey)


@bp.route("/i/<token>", methods=["GET", "POST"])
@public
def invitation(token: str) -> Page:
    """The same page for one invited customer, who may change the answer later."""
    invitation = queries.invitation_by_token(session(), token)
    if invitation is None:
        return render_template("responses/unknown.html"), 404
    speak_to(invitation)
    survey, now = invitation.survey, utc_now()
    earlier = queries.answer_to(session(), invitation)
    if (standing := standing_for(survey, earlier)) != Availability.OPEN:
        return closed(survey, standing)
    if invitation.expires_at is not None and invitation.expires_at <= now:
        return render_template("responses/expired.html", invitation=invitation), 410
    form = answer_form(survey, f"invitation:{invitation.token_hash}", earlier_values(survey, earlier))
    del form.email  # we know the address
    context = given_context(request.form if request.method == "POST" else request.args)
    over = request.method == "POST" and limits.is_over(limits.LINK, invitation.token_hash)
    if over:
        guards.refuse(form)
    elif request.method == "POST":
        sent = form.validate() and counts(form, survey, invitation, context | invitation.context)
        if sent or guards.is_abuse(form):
            limits.count(limits.LINK, invitation.token_hash)
        if sent:
            return redirect(url_for(".invitation_thanks", token=token), 303)
    shown = page(
        form,
        action=url_for(".invitation", token=token),
        signs=url_for(".invitation_sign", token=token),
        context=context,
        invitation=invitation,
        earlier=earlier,
    )
    return guards.too_many(shown, limits.LINK, invitation.token_hash) if over else shown


@bp.route("/i/<token>/thanks")
@public
def invitation_thanks(token: str) -> Page:
    """Thanks, what happens next, and the way back to change the answer."""
    invitation = queries.invitation_by_token(session(), token)
    if invitation is None:
        return render_template("responses/unknown.html"), 404
    speak_to(invitation)
    answer = queries.answer_to(session(), invitation)
    if answer is None:
        return redirect(url_for(".invitation", token=token), 303)
    told = Said(
        is_low=bool(SCALES[invitation.survey.scale].is_low(answer.score)),
        has_words=answer.comment != "",  # nothing yet: there are some, and personal details are being blanked out
        is_reachable=invitation.customer.email not in suppressed(session(), [invitation.customer.email]),
    )
    return thanks(invitation.survey, told, answer.answered_at, token, invitation.customer.name)


@bp.post("/s/<slug>/signs")
@public
def survey_sign(slug: str) -> Page:
    """A person moved on the page of a score link."""
    known = open_page_or_404(slug)
    survey = known.survey
    if open_standing(survey) != Availability.OPEN:
        abort(410)
    return noticed(survey, None, f"answer:{survey.slug}", given_context(request.form), known)


@bp.post("/i/<token>/signs")
@public
def invitation_sign(token: str) -> Page:
    """The page of an invited customer's score link was opened, or a person moved on it."""
    invitation = queries.invitation_by_token(session(), token) or abort(404)
    speak_to(invitation)
    expired = invitation.expires_at is not None and invitation.expires_at <= utc_now()
    standing = standing_for(invitation.survey, queries.answer_to(session(), invitation))
    if expired or standing != Availability.OPEN:
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


def receipt_of(form: AnswerForm) -> str:
    """The receipt of whoever answers the page that a form was sent from."""
    assert form.shown is not None  # the form's token has been checked
    return receipts.token_of(settings().secret_key, form.shown.identifier)


def counts(
    form: AnswerForm,
    survey: Survey,
    invitation: Invitation | None,
    context: dict[str, Any],
    known: OpenPage | None = None,
) -> bool:
    """Take in what was sent. Where it may come from a program, the form comes back and asks to press Send once more."""
    judgement = taken_in(form, survey, invitation, context, Sign.SENT, known)
    if judgement is None or judgement.standing == Standing.CONFIRMED or form.doubt:
        return True
    form.form_errors.append(
        gettext(
            "That was faster than people usually are. Nothing is lost: please press Send once more, so that we know "
            "that it was you."
        )
    )
    return False


def taken_in(
    form: AnswerForm,
    survey: Survey,
    invitation: Invitation | None,
    context: dict[str, Any],
    sign: Sign,
    known: OpenPage | None = None,
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
        receipt_hash=hashed(receipt_of(form)) if survey.is_anonymous else None,
        page_made_at=form.shown.made_at,
        survey_version=form.shown.version,
        is_prefetch=is_prefetch(),
        shown_language=language(),
        chosen_language=chosen() if invitation is not None else "",
        tags=form.ticked if sign == Sign.SENT else (),
        doubt=form.doubt,
    )
    if known is not None:
        if taken := together().take(known, given, utc_now(), settings()):
            return taken
        # Over the connection that it goes on with: whoever held one and waited for another could wait for long.
        if queries.read_decisive(session().connection(), survey.slug) != known.decisive:
            raise Changed
    try:
        judgement = receiving.receive(session(), survey, invitation, given, utc_now(), settings())
    except service.SentTwice:
        # What the other request brought is there now, so that this one finds it and changes it.
        session().rollback()
        judgement = receiving.receive(session(), survey, invitation, given, utc_now(), settings())
    session().commit()
    return judgement


def together() -> Together:
    """Those whose answers come at this moment."""
    return cast(Together, current_app.extensions[TOGETHER])


@bp.record
def prepare(state: BlueprintSetupState) -> None:
    """Give an application its place where answers wait for each other."""
    state.app.extensions[TOGETHER] = Together(state.app.extensions["feedback_loop"][1])


def said(form: AnswerForm) -> Said:
    """What the thanks page needs to know of an answer that was just sent."""
    return Said(
        is_low=bool(form.scale.is_low(form.chosen)),
        has_words=bool(form.words),
        is_reachable=bool(form.email and form.email.data),
    )


def thanks(
    survey: Survey, told: Said, answered_at: datetime, token: str = "", name: str = "", receipt: str = ""
) -> str:
    """The thanks page: words by score, what happens next and by when, and the way back by invitation or receipt."""
    return render_template(
        "responses/thanks.html",
        survey=survey,
        told=told,
        thanks=spoken(thanks_for(survey, told.is_low, language())),
        read_by=read_by(survey, answered_at),
        token=token,
        name=name,
        **receipt_shown(receipt),
    )


def receipt_shown(receipt: str) -> dict[str, str]:
    """What a page needs to know that shows a receipt, or none."""
    link = f"{settings().public_url}{url_for('status.receipt', token=receipt)}" if receipt else ""
    return {"receipt": receipt, "receipt_link": link}


def noticed(
    survey: Survey,
    invitation: Invitation | None,
    purpose: str,
    context: dict[str, Any],
    known: OpenPage | None = None,
) -> Page:
    """What the script of an answering page noticed; answers whether the score counts now."""
    if not limits.count(limits.SIGNS, limits.here(), purpose):
        abort(429)
    form = answer_form(survey, purpose, {})
    sign = Sign.GESTURE if request.form.get("sign") == Sign.GESTURE else Sign.OPENED
    try:
        score = form.chosen
    except ValueError:
        score = None
    if form.shown is None or score is None:
        abort(400)
    # Of an open link nothing is known by which looks could be told apart; where it asks for a proof, Send brings it.
    if known is not None and (sign == Sign.OPENED or guards.asks_proof(survey, known.pressure(utc_now()))):
        return "", 204
    judgement = taken_in(form, survey, invitation, context, sign)
    return {"counts": judgement is not None and judgement.standing == Standing.CONFIRMED}


def is_prefetch() -> bool:
    """Whether a browser or mail program says that it fetches before anybody looks."""
    said = " ".join(request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")).lower()
    return any(word in said for word in ("prefetch", "prerender", "preview"))


def open_page_or_404(slug: str, remembered: bool = False) -> OpenPage:
    """What an open page needs to know of its survey. Its embedded pages may stand where the survey says."""
    name = clean_text(slug).lower()
    try:
        found = together().page(name, remembered) or abort(404)
    except (SQLAlchemyError, TimeoutError):
        if is_embedded():  # the page that says so, and keeps what was typed, has to be seen
            allow("frame-ancestors", together().last_origins(name))
        raise
    if is_embedded():
        allow("frame-ancestors", found.survey.embed_origins)
    return found


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


def open_standing(survey: Survey) -> Availability:
    """Whether a survey takes answers. Asks the database only where that depends on how many there are."""
    now = utc_now()
    return availability(survey, now) if survey.answer_limit is None else queries.availability_of(session(), survey, now)


def standing_for(survey: Survey, earlier: Answer | None) -> Availability:
    """Whether a survey takes the answer of an invited customer: where it is full, it takes a change of one it has."""
    standing = queries.availability_of(session(), survey, utc_now())
    return Availability.OPEN if standing == Availability.FULL and earlier is not None else standing


def closed(survey: Survey, standing: Availability) -> tuple[str, int]:
    """The page of a survey that takes no answers, with the reason: nothing is there yet, or it is gone."""
    opens_at = survey.opens_at
    if opens_at is not None:  # the day by the clock that whoever entered it had in mind
        opens_at = opens_at.astimezone(ZoneInfo(settings().default_time_zone))
    page = render_template("responses/closed.html", survey=survey, standing=standing.value, opens_at=opens_at)
    return page, 404 if standing in NOT_PUBLIC_YET else 410


def answer_form(survey: Survey, purpose: str, shown_first: dict[str, Any]) -> AnswerForm:
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


def earlier_values(survey: Survey, earlier: Answer | None) -> dict[str, Any]:
    """What an invited customer finds filled in: score, redacted comment and tags."""
    values: dict[str, Any] = {"score": asked_score(survey)}
    if earlier is not None:
        values["score"] = values["score"] or SCALES[survey.scale].write(earlier.score)
        values["comment"] = earlier.comment or ""
        values["tag"] = named(earlier.context)
    return values


def given_context(values: MultiDict[str, Any]) -> dict[str, str]:
    """Where the customer comes from, as a link or its form says (`c_page=/help`).

    Names that are too long, and all after the tenth, are left out; values that are too long are cut.
    """
    context: dict[str, str] = {}
    for sent, value in values.items():
        key = sent or ""  # a part of a multipart form can come without a name
        if not key.startswith(CONTEXT_PREFIX):
            continue
        name = clean_text(key.removeprefix(CONTEXT_PREFIX)).strip()
        text = clean_text(value).strip()[:LONGEST_VALUE]
        if 0 < len(name) <= LONGEST_NAME and text and len(context) < MOST_CONTEXT:
            context[name] = text
    return context
