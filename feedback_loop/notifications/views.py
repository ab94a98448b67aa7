"""The page on which a person asks for no more mail."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import public
from feedback_loop.clock import utc_now
from feedback_loop.notifications import queries
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.web import limits
from feedback_loop.web.database import session
from feedback_loop.web.language import speak
from feedback_loop.web.security import keep_private

bp = Blueprint("notifications", __name__)
bp.after_request(keep_private)

ONE_CLICK = "One-Click"  # RFC 8058: what a mail program's own unsubscribe button sends


@bp.route("/u/<token>", methods=["GET", "POST"])
@public
def unsubscribe(token: str) -> str | Response | tuple[str, int]:
    """Ask for no more mail, and say so once it is done.

    A POST needs no form token: only the person's own mail holds this address, and stopping mail must never fail because
    a page lay open too long.
    """
    notification = queries.by_token(session(), token)
    if notification is None:
        return render_template("unsubscribe/unknown.html"), 404
    speak(notification.data.get("language", ""))
    if request.method == "POST":
        # Counted by link: mail programs press the button of many people from one network. Whoever presses it over and
        # over is long unsubscribed, so nothing is refused; it is only not written down again.
        if limits.count(limits.LINK, notification.token_hash):
            suppress(
                session(), notification.address, "Unsubscribed by a link in a mail.", utc_now(), because_of=notification
            )
            session().commit()
        if request.form.get("List-Unsubscribe") == ONE_CLICK:  # mail programs follow no redirect
            return render_template("unsubscribe/done.html", address=masked(notification.address))
        return redirect(url_for(".unsubscribe", token=token), 303)
    done = queries.suppressed(session(), [notification.address.lower()])
    template = "unsubscribe/done.html" if done else "unsubscribe/ask.html"
    return render_template(template, token=token, address=masked(notification.address))


def masked(address: str) -> str:
    """An address as its owner knows it again, and nobody else the mail was forwarded to learns it: `m…@example.com`."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}"
