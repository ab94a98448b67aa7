"""The pages on which somebody who answered sees what became of it: by their invitation, or by their receipt."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import public
from feedback_loop.clock import utc_now
from feedback_loop.reports.status import queries
from feedback_loop.reports.status.erasing import erase
from feedback_loop.reports.status.forms import AddressForm, EraseForm
from feedback_loop.reports.status.stages import show
from feedback_loop.responses import receipts
from feedback_loop.responses.anonymity import kept_time
from feedback_loop.responses.models import Answer, Invitation, UnconfirmedAnswer
from feedback_loop.responses.queries import answer_to, invitation_by_token
from feedback_loop.responses.service import remember_language
from feedback_loop.surveys.queries import wording_of
from feedback_loop.surveys.scales import SCALES
from feedback_loop.surveys.views import spoken
from feedback_loop.surveys.wording import question_of
from feedback_loop.web.database import session, settings
from feedback_loop.web.language import language, speak
from feedback_loop.web.security import keep_private

bp = Blueprint("status", __name__)
bp.after_request(keep_private)

Page = str | Response | tuple[str, int]


@bp.get("/i/<token>/status")
@public
def invited(token: str) -> Page:
    """What became of the answer of an invited customer."""
    invitation = invitation_by_token(session(), token)
    if invitation is None:
        return unknown()
    speak_to(invitation)
    answer = answer_to(session(), invitation)
    if answer is None:
        return redirect(url_for("responses.invitation", token=token), 303)
    return status_page(answer, token=token, name=invitation.customer.name)


@bp.route("/i/<token>/erase", methods=["GET", "POST"])
@public
def erase_invited(token: str) -> Page:
    """Ask an invited customer, then erase the answer. The customer stays, with the right to hear no more."""
    invitation = invitation_by_token(session(), token)
    if invitation is None:
        return unknown()
    speak_to(invitation)
    answer = answer_to(session(), invitation)
    if answer is None:
        return redirect(url_for("responses.invitation", token=token), 303)
    return erasing(answer, url_for(".erase_invited", token=token), url_for(".invited", token=token))


@bp.get("/r/<token>")
@public
def receipt(token: str) -> Page:
    """What became of the answer that a receipt is for."""
    answer = receipts.answer_by_receipt(session(), token)
    if answer is None:
        waiting = receipts.waiting_by_receipt(session(), token)
        return render_template("status/waiting.html", token=token) if waiting else without_answer(token)
    return status_page(answer, receipt=token, form=address_form(token))


@bp.post("/r/<token>/address")
@public
def leave_address(token: str) -> Page:
    """Leave an address, to hear what was done."""
    answer = receipts.answer_by_receipt(session(), token)
    if answer is None:
        return without_answer(token)
    form = address_form(token)
    if answer.customer_id is None:
        if not form.validate():
            return status_page(answer, receipt=token, form=form), 400
        now = kept_time(answer.survey, utc_now())
        customer = receipts.leave_address(session(), answer, form.email.data, now)
        remember_language(customer, language())
        session().commit()
    return redirect(url_for(".receipt", token=token), 303)


@bp.route("/r/<token>/erase", methods=["GET", "POST"])
@public
def erase_receipt(token: str) -> Page:
    """Ask, then erase the answer that a receipt is for."""
    answer = receipts.answer_by_receipt(session(), token) or receipts.waiting_by_receipt(session(), token)
    if answer is None:
        return without_answer(token)
    return erasing(answer, url_for(".erase_receipt", token=token), url_for(".receipt", token=token))


def status_page(
    answer: Answer, *, token: str = "", name: str = "", receipt: str = "", form: AddressForm | None = None
) -> str:
    """What was said, what became of it, and what its author can do."""
    now, hold = utc_now(), timedelta(minutes=settings().hold_minutes)
    shown = [show(problem, now, hold) for problem in queries.problems(session(), answer)]
    scale = SCALES[answer.survey.scale]
    follow_ups = {
        each.closing_id: queries.follow_up_token(session(), each.closing_id, answer.customer_id, settings())
        for each in shown
        if each.closing_id is not None
    }
    return render_template(
        "status/status.html",
        answer=answer,
        survey=answer.survey,
        question=spoken(question_of(wording_of(session(), answer.survey, answer.survey_version), language())),
        scale=scale,
        choice=next((each for each in scale.choices if each.score == answer.score), None),
        problems=shown,
        follow_ups=follow_ups,
        token=token,
        receipt=receipt,
        name=name,
        **({"form": form} if form else {}),
    )


def erasing(answer: Answer | UnconfirmedAnswer, action: str, back: str) -> Page:
    """The question whether to erase an answer, and the deed."""
    form = EraseForm(request.form if request.method == "POST" else None, purpose=f"erase:{answer.id}")
    if request.method == "POST" and form.validate():
        if isinstance(answer, Answer):
            erase(session(), answer, utc_now())
        else:
            receipts.erase_waiting(session(), answer, utc_now())
        session().commit()
        return render_template("status/erased.html", just_now=True)
    page = render_template("status/erase.html", answer=answer, form=form, action=action, back=back)
    return page, 400 if form.errors else 200


def address_form(token: str) -> AddressForm:
    """The form for an address, as sent or empty."""
    posted = request.form if request.method == "POST" else None
    return AddressForm(posted, purpose=f"address:{token}")


def without_answer(token: str) -> Page:
    """The page of a receipt whose answer was erased, or of a link that is none of ours."""
    if receipts.was_erased(session(), token):
        return render_template("status/erased.html", just_now=False), 410
    return unknown()


def unknown() -> Page:
    """The page of a link that is none of ours."""
    return render_template("status/unknown.html"), 404


def speak_to(invitation: Invitation) -> None:
    """Speak in the language of an invitation, or of the customer who has it."""
    speak(invitation.language, invitation.customer.language)
