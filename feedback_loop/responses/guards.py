"""What stands between a survey's open link and programs: limits, and the proof of work where they are many. A form that
is wrong but honest counts nowhere, and nothing that was typed is lost."""

from __future__ import annotations

from collections.abc import Mapping

from flask import make_response, request
from flask_babel import gettext
from limits import RateLimitItem
from werkzeug.wrappers import Response

from feedback_loop.clock import utc_now
from feedback_loop.db import beside
from feedback_loop.responses.forms import AnswerForm, CustomerForm
from feedback_loop.responses.pressure import LOOK_EVERY, WINDOW, Pressure, is_calm, look
from feedback_loop.surveys.models import Survey
from feedback_loop.web import limits, proofs
from feedback_loop.web.database import session, sessions
from feedback_loop.web.proofs import Proof

UNPROVEN = "Sent without the proof of work that was asked for, as browsers without JavaScript do, and programs."


def asks_proof(survey: Survey, pressed: Pressure) -> bool:
    """Whether the open link of a survey asks this visitor for a proof: in an attack, or where many share a network."""
    return pressed.asks_proof or limits.is_over(limits.answers(), limits.here(), survey.slug)


def is_abuse(form: CustomerForm) -> bool:
    """Whether a form came as no person sends it: not from our page, or with the field filled in that nobody sees."""
    return not form.is_ours or form.was_trapped


def prove(form: AnswerForm) -> Proof:
    """Judge the proof of a form that needs one; says on the form what is wrong with it.

    Without scripts there is none: the answer is taken, but waits for a person who confirms it.
    """
    proof = proofs.check(request.form.get("altcha"), form.page_key)
    if proof == Proof.MISSING:
        form.doubt = UNPROVEN
    elif proof != Proof.GOOD:
        form.form_errors.append(
            gettext(
                "Many answers are coming in just now, and your browser had to show once more that it is one. "
                "Nothing is lost: please press Send once more."
            )
        )
    return proof


def note(survey: Survey, *, taken: bool) -> None:
    """Count what came by an open link, and look now and then whether that is an attack. Commits."""
    counts = {is_taken: f"pressure/{survey.id}/{'taken' if is_taken else 'refused'}" for is_taken in (True, False)}
    number = limits.increase(counts[taken], int(WINDOW.total_seconds()), LOOK_EVERY)
    if taken:
        limits.count(limits.answers(), limits.here(), survey.slug)
    else:
        limits.count(limits.ABUSE, limits.here(), survey.slug)
    if number:
        other = limits.counted(counts[not taken])
        came = (number, other) if taken else (other, number)
        with beside(sessions()) as connection:
            calm = is_calm(connection, survey.id, *came, utc_now())
        if not calm:
            look(session(), survey.id, *came, utc_now())
            session().commit()


def refuse(form: CustomerForm) -> None:
    """Say on a form that too much came; what was typed stays in it."""
    form.form_errors.append(
        gettext(
            "Too much came from your network in a short time. Nothing is lost: please wait a minute, then press Send "
            "again."
        )
    )


def too_many(page: tuple[str, int], limit: RateLimitItem, *who: str) -> Response:
    """The page of a form that was refused, with when to send it again."""
    response = make_response(page[0], 429)
    headers: Mapping[str, str] = limits.retry_after(limit, *who)
    response.headers.update(headers)
    return response
