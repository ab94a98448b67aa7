"""Settings, Mail: whether mails go out."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.notifications import breaker
from feedback_loop.notifications.channel import queries, service
from feedback_loop.notifications.standing import standing
from feedback_loop.web.database import session, settings

bp = Blueprint("channel", __name__)


@bp.get("/settings/mail")
@staff(Role.ADMIN)
def mail() -> str:
    """How the mail channel and the outbox are."""
    now = utc_now()
    test = queries.last_test(session(), f"user:{me().id}")
    outbox = queries.outbox(session(), now)
    return render_template(
        "notifications/mail.html",
        channel=queries.channel(session()),
        outbox=outbox,
        is_late=outbox.due.oldest is not None and now - outbox.due.oldest > queries.OVERDUE,
        test=test,
        test_stands=standing(test, now) if test else None,
        now=now,
        me=me(),
        it=settings(),
    )


@bp.post("/settings/mail/test")
@staff(Role.ADMIN)
def mail_test() -> Response:
    """Send a test to whoever asks."""
    service.owe_test(session(), f"user:{me().id}", me().email, me().name, utc_now(), settings())
    session().commit()
    flash("A test is on its way to you. What became of it is shown below.")
    return redirect(url_for(".mail"))


@bp.post("/settings/mail/try")
@staff(Role.ADMIN)
def mail_try() -> Response:
    """End the pause of a channel that is down."""
    breaker.try_now(session(), utc_now())
    session().commit()
    flash("The next mail tries whether the mail server takes it, within a few seconds.")
    return redirect(url_for(".mail"))
