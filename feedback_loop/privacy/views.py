"""Settings: what is kept about a customer, to be shown, handed over and erased. The address is in no link, so that no
log holds it."""

from __future__ import annotations

import json

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.privacy import queries, service
from feedback_loop.privacy.forms import EraseForm, LookForm
from feedback_loop.privacy.queries import Rows
from feedback_loop.web.database import session, settings
from feedback_loop.web.navigation import page_number

bp = Blueprint("privacy", __name__)

Reply = str | tuple[str, int] | Response


def shown(form: LookForm, *, originals: bool) -> dict[str, Rows]:
    """What is kept about the address of a form; that somebody looked is written down first."""
    found = service.show(session(), form.address.data, me(), form.why.data, utc_now(), settings(), originals=originals)
    session().commit()
    return found


@bp.route("/settings/customer", methods=["GET", "POST"])
@staff(Role.ADMIN)
def customer() -> Reply:
    """Enter an address; see what is kept about it."""
    form = LookForm()
    found = shown(form, originals=False) if form.validate_on_submit() else None
    page = render_template(
        "privacy/customer.html",
        form=form,
        found=found,
        log=queries.requests(session(), page_number()),
    )
    return page, 400 if form.errors else 200


@bp.post("/settings/customer/file")
@staff(Role.ADMIN)
def customer_file() -> Reply:
    """The same as a file, with originals where this person may read them."""
    form = LookForm()
    if not form.validate_on_submit():
        return redirect(url_for(".customer"))
    text = json.dumps({"address": form.address.data, "kept": shown(form, originals=True)}, ensure_ascii=False, indent=2)
    name = {"Content-Disposition": 'attachment; filename="customer.json"', "Cache-Control": "no-store"}
    return Response(text, mimetype="application/json", headers=name)


@bp.post("/settings/customer/erase")
@staff(Role.ADMIN)
def erase() -> Reply:
    """Say what erasing does, ask, and do it."""
    form = EraseForm()
    if not request.form.get("asked"):
        if not LookForm().validate():
            return redirect(url_for(".customer"))
        return render_template("privacy/erase.html", form=form)
    if not form.validate_on_submit():
        return render_template("privacy/erase.html", form=form), 400
    try:
        service.erase_person(session(), form.address.data, me(), form.why.data, utc_now(), settings())
    except service.Refused as error:
        flash(str(error))
    else:
        session().commit()
        flash("Erased. What was kept about this address is gone.")
    return redirect(url_for(".customer"))
