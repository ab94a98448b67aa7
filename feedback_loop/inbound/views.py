"""Settings: addresses that get no mail, how mails come in, and replies that belong to no item."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.csvcells import safe
from feedback_loop.db import clean_text, reading
from feedback_loop.inbound import queries, service
from feedback_loop.inbound.bounces import closure_about, mailing_of
from feedback_loop.inbound.erasing import ERASED_REPLY
from feedback_loop.inbound.forms import CAUSES, SCOPES, LiftForm, NoMailForm
from feedback_loop.inbound.models import InboundMail
from feedback_loop.inbound.queries import COUNTED, Wanted
from feedback_loop.inbound.reading import Kind
from feedback_loop.notifications.models import Cause, Notification, Scope, Suppression
from feedback_loop.web.database import session, sessions, settings

bp = Blueprint("inbound", __name__)

Reply = str | tuple[str, int] | Response
KINDS = {
    Kind.BOUNCE: "Came back for good",
    Kind.DELAY: "Came back for now",
    Kind.COMPLAINT: "Marked as spam",
    Kind.REPLY: "Replies of people",
    Kind.STOP: "Replies that only say stop",
    Kind.AUTO_REPLY: "Automatic replies",
    Kind.NEWS: "Reports that change nothing",
    Kind.UNCLEAR: "Not understood",
}
MAILS = {
    "closure": "a closing", "follow_up": "“did this fix it?”", "sorry": "an apology", "invitation": "an invitation",
    "reminder": "a reminder",
}  # fmt: skip


def asked_for() -> Wanted:
    """Which addresses the page's own address asks for."""
    text = clean_text(request.args.get("q", "")).strip()[:100]
    cause, scope = request.args.get("cause", ""), request.args.get("scope", "")
    return Wanted(text, Cause(cause) if cause in list(Cause) else None, Scope(scope) if scope in list(Scope) else None)


def place() -> tuple[datetime, int] | None:
    """After which row the page begins; None at the beginning, or where the address says nothing sensible."""
    at, _, number = request.args.get("after", "").partition("~")
    try:
        moment = datetime.fromisoformat(at.replace(" ", "+"))
        id = int(number)
    except ValueError:
        return None
    return (moment, id) if moment.tzinfo is not None and 0 < id < 2**63 else None


def list_page(form: NoMailForm) -> str:
    """The list of addresses, with a form to add one."""
    wanted, after = asked_for(), place()
    rows, last = queries.no_mail_to(session(), wanted, after)
    count = queries.count_no_mail(session(), wanted)
    return render_template(
        "inbound/no_mail.html",
        form=form,
        rows=rows,
        next_after=f"{last.created_at.isoformat()}~{last.id}" if last else None,
        is_first=after is None,
        count=count,
        is_more=count == COUNTED,
        wanted=wanted,
        causes=CAUSES,
        scopes=SCOPES,
        mails={row.id: mail_of(row.notification) for row in rows if row.notification},
        lifts=queries.lifts(session()),
    )


def mail_of(row: Notification) -> tuple[str, str]:
    """Which mail it was, in words, and the page about it where there is one."""
    name = MAILS.get(row.kind, "a mail")
    closure = closure_about(session(), row)
    if closure is not None:
        return name, url_for("reports.item", item_id=closure.action_item_id)
    mailing = mailing_of(session(), row)
    if mailing is not None:
        return f"{name} of {mailing.name}", url_for("mailings.mailing", slug=mailing.survey.slug, mailing_id=mailing.id)
    return name, ""


@bp.route("/settings/no-mail", methods=["GET", "POST"])
@staff(Role.LEAD)
def no_mail() -> Reply:
    """Addresses that get no mail; add one."""
    form = NoMailForm()
    if form.validate_on_submit():
        try:
            service.add(session(), form.address.data, Scope(form.scope.data), form.reason.data, me(), utc_now())
        except service.Refused as error:
            form.address.errors = [str(error)]
        else:
            session().commit()
            flash("No more mail goes to this address.")
            return redirect(url_for(".no_mail"))
    return list_page(form), 400 if form.is_submitted() else 200


@bp.get("/settings/no-mail.csv")
@staff(Role.LEAD)
def no_mail_file() -> Response:
    """The list as it is filtered, as a file."""
    wanted, source = asked_for(), sessions()

    def lines() -> Iterator[str]:
        yield line(["address", "since", "cause", "scope", "reason"])
        with reading(source) as own:
            for row in queries.all_no_mail(own, wanted):
                yield line([row.address, row.created_at, row.cause.value, row.scope.value, row.reason])

    return Response(
        lines(), mimetype="text/csv", headers={"Content-Disposition": 'attachment; filename="no-mail-to.csv"'}
    )


def line(cells: list[object]) -> str:
    """A line of a file."""
    out = io.StringIO()
    csv.writer(out).writerow([safe(cell) for cell in cells])
    return out.getvalue()


@bp.route("/settings/no-mail/<int:suppression_id>/lift", methods=["GET", "POST"])
@staff(Role.LEAD)
def no_mail_lift(suppression_id: int) -> Reply:
    """Ask whether an address may be written to again, and why."""
    row = session().get(Suppression, suppression_id)
    if row is None:
        if request.method == "POST":
            flash("Somebody else was first: mails go to this address again.")
            return redirect(url_for(".no_mail"))
        abort(404, "This address is not in the list any more.")
    form = LiftForm()
    if form.validate_on_submit():
        service.lift(session(), row.id, form.why.data, me(), utc_now())
        session().commit()
        flash("Mails go to this address again.")
        return redirect(url_for(".no_mail"))
    page = render_template("inbound/lift.html", form=form, row=row, causes=CAUSES, scopes=SCOPES)
    return page, 400 if form.is_submitted() else 200


@bp.get("/settings/inbound")
@staff(Role.LEAD)
def health() -> Reply:
    """How mails come in: the last ones, by kind, and what was not understood."""
    return render_template(
        "inbound/health.html",
        health=queries.health(session(), utc_now()),
        kinds=KINDS,
        secret=service.secret(settings()) if me().role.includes(Role.ADMIN) else "",
        waiting=queries.open_replies(session()),
    )


@bp.get("/settings/replies")
@staff(Role.LEAD)
def replies() -> Reply:
    """Replies that belong to no item."""
    is_open = request.args.get("show") != "done"
    before = request.args.get("before", type=int)
    rows, next_before = queries.replies(session(), before if before and 0 < before < 2**63 else None, is_open=is_open)
    return render_template(
        "inbound/replies.html",
        rows=rows,
        next_before=next_before,
        is_first=not before,
        is_open=is_open,
        erased=ERASED_REPLY,
        mails={row.id: mail_of(row.notification) for row in rows if row.notification},
    )


@bp.post("/settings/replies/<int:mail_id>/done")
@staff(Role.LEAD)
def reply_done(mail_id: int) -> Reply:
    """Be done with a reply."""
    row = session().get(InboundMail, mail_id)
    if row is None or row.kind != Kind.REPLY:
        abort(404, "There is no such reply.")
    if service.be_done(session(), mail_id, me(), utc_now()):
        session().commit()
        flash("Done. It stands among those that are done.")
    return redirect(url_for(".replies"))
