"""The pages on which customers answer, by a public link or by an invitation of their own; and those on which staff
with the right to it read an original, as nothing outside this domain may. A GET never records."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import public, staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.accounts.queries import raw_right_changes
from feedback_loop.clock import utc_now
from feedback_loop.db import clean_text
from feedback_loop.responses import queries, service
from feedback_loop.responses.forms import AnswerForm, OriginalForm
from feedback_loop.responses.models import Answer, Invitation
from feedback_loop.responses.raw import RawTextUnreadable
from feedback_loop.surveys.models import Survey, SurveyState
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session, settings
from feedback_loop.web.navigation import page_number
from feedback_loop.web.security import allow, keep_private

bp = Blueprint("responses", __name__)
bp.after_request(keep_private)

Page = str | Response | tuple[str, int]

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
    if request.method == "POST" and form.validate():
        now = utc_now()
        customer = service.find_customer(session(), form.email.data, "", now) if form.email.data else None
        service.record_answer(
            session(),
            survey,
            score=form.chosen,
            comment=form.words,
            customer=customer,
            invitation=None,
            context=context,
            external_id=None,
            answered_at=now,
            now=now,
            settings=settings(),
        )
        session().commit()
        return redirect(url_for(here(".survey_thanks"), slug=survey.slug), 303)
    return page(form, action=url_for(here(".survey"), slug=survey.slug), context=context)


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
    survey, now = invitation.survey, utc_now()
    if survey.state == SurveyState.CLOSED:
        return closed(survey)
    if invitation.expires_at is not None and invitation.expires_at <= now:
        return render_template("responses/expired.html", invitation=invitation), 410
    earlier = queries.answer_to(session(), invitation)
    form = answer_form(survey, f"invitation:{invitation.token_hash}", earlier_values(survey, earlier))
    del form.email  # we know the address
    context = given_context(request.form if request.method == "POST" else request.args)
    if request.method == "POST" and form.validate():
        service.record_answer(
            session(),
            survey,
            score=form.chosen,
            comment=form.words,
            customer=invitation.customer,
            invitation=invitation,
            context=context | invitation.context,
            external_id=None,
            answered_at=now,
            now=now,
            settings=settings(),
        )
        session().commit()
        return redirect(url_for(".invitation_thanks", token=token), 303)
    return page(
        form, action=url_for(".invitation", token=token), context=context, invitation=invitation, earlier=earlier
    )


@bp.route("/i/<token>/thanks")
@public
def invitation_thanks(token: str) -> Page:
    """Thanks, what happens next, and the way back to change the answer."""
    invitation = queries.invitation_by_token(session(), token)
    if invitation is None:
        return render_template("responses/unknown.html"), 404
    if queries.answer_to(session(), invitation) is None:
        return redirect(url_for(".invitation", token=token), 303)
    return render_template(
        "responses/thanks.html", survey=invitation.survey, token=token, name=invitation.customer.name
    )


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


def survey_or_404(slug: str) -> Survey:
    """The survey of an address, however its letters were typed. Its embedded pages may stand where the survey says."""
    survey = queries.survey_by_slug(session(), clean_text(slug).lower())
    if survey is None:
        abort(404)
    if is_embedded():
        allow("frame-ancestors", survey.embed_origins)
    return survey


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
    invitation: Invitation | None = None,
    earlier: Answer | None = None,
) -> tuple[str, int]:
    """The answering page; 400 when the form came back with errors."""
    page = render_template(
        "responses/answer.html",
        form=form,
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
