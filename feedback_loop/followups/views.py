"""The page behind the links of the mails about a closing: did this fix it? A GET never records anything."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import public
from feedback_loop.actions.models import Closure
from feedback_loop.clock import utc_now
from feedback_loop.followups.forms import FollowUpForm
from feedback_loop.followups.models import Fixed, FollowUp
from feedback_loop.followups.queries import answer_of, customer_of, was_put_back
from feedback_loop.followups.service import closure_of, record
from feedback_loop.notifications import queries
from feedback_loop.notifications.models import Notification
from feedback_loop.responses.guards import is_abuse, refuse, too_many
from feedback_loop.responses.service import remember_language
from feedback_loop.web import limits
from feedback_loop.web.database import session, settings
from feedback_loop.web.language import chosen, language, speak
from feedback_loop.web.security import keep_private

bp = Blueprint("followups", __name__)
bp.after_request(keep_private)

Page = str | Response | tuple[str, int]


@bp.route("/f/<token>", methods=["GET", "POST"])
@public
def follow_up(token: str) -> Page:
    """Their own words, what was said to be done, and the question."""
    notification, closure = asked_about(token)
    if notification is None or closure is None:
        return render_template("followups/unknown.html"), 404
    if closure.withdrawn_at is not None:
        return render_template("followups/withdrawn.html", name=notification.name), 410
    earlier = answer_of(session(), notification)
    form = follow_up_form(notification, closure, earlier)
    over = request.method == "POST" and limits.is_over(limits.LINK, notification.token_hash)
    if over:
        refuse(form)
    elif request.method == "POST" and form.validate():
        limits.count(limits.LINK, notification.token_hash)
        follow_up = record(session(), notification, form.fixed, form.words, utc_now(), settings())
        remember_language(follow_up.customer, language(), chosen())
        session().commit()
        return redirect(url_for(".thanks", token=token), 303)
    elif request.method == "POST" and is_abuse(form):
        limits.count(limits.LINK, notification.token_hash)
    page = render_template(
        "followups/ask.html",
        form=form,
        action=url_for(".follow_up", token=token),
        notification=notification,
        said_at=datetime.fromisoformat(notification.data["said_at"]) if notification.data["said_at"] else None,
        closure=closure,
        is_decision=form.is_decision,
        effective_on=closure.effective_at if closure.effective_at > utc_now() else None,
        earlier=earlier,
    )
    shown = page, 400 if form.errors else 200
    return too_many(shown, limits.LINK, notification.token_hash) if over else shown


@bp.route("/f/<token>/thanks")
@public
def thanks(token: str) -> Page:
    """Thanks, and what follows from a yes or a no."""
    notification, closure = asked_about(token)
    if notification is None or closure is None:
        return render_template("followups/unknown.html"), 404
    answer = answer_of(session(), notification)
    if answer is None:
        return redirect(url_for(".follow_up", token=token), 303)
    return render_template(
        "followups/thanks.html",
        answer=answer,
        is_decision=not closure.asks_whether_fixed,
        is_put_back=was_put_back(session(), closure),
        name=notification.name,
        token=token,
    )


def asked_about(token: str) -> tuple[Notification | None, Closure | None]:
    """The notification of a link and the closing it asks about, in the language of whom it was sent to."""
    notification = queries.by_token(session(), token)
    if notification is None:
        return None, None
    customer = customer_of(session(), notification)
    speak(customer.language if customer else "", notification.data.get("language", ""))
    return notification, closure_of(session(), notification)


def follow_up_form(notification: Notification, closure: Closure, earlier: FollowUp | None) -> FollowUpForm:
    """The form as sent; or, shown for the first time, with the answer of the link or the earlier one chosen."""
    posted = request.method == "POST"
    answer = request.args.get("answer", "")
    if answer not in list(Fixed):
        answer = earlier.fixed.value if earlier else ""
    return FollowUpForm(
        request.form if posted else None,
        is_decision=not closure.asks_whether_fixed,
        purpose=f"follow-up:{notification.token_hash}",
        comment_limit=settings().comment_limit,
        # With these beside sent data, a choice that was not made would look made.
        data=None if posted else {"answer": answer, "comment": earlier.comment if earlier else ""},
    )
