"""Settings, Webhooks: who outside hears what, and what became of it."""

from __future__ import annotations

import json
from datetime import timedelta

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.integrations import queries, service
from feedback_loop.integrations.delivering import written
from feedback_loop.integrations.forms import EndpointForm, EventsForm, ReplayForm
from feedback_loop.integrations.models import Delivery, DeliveryState, Endpoint, EndpointKind
from feedback_loop.integrations.payloads import payload
from feedback_loop.integrations.views.blueprint import Reply, bp
from feedback_loop.outbound import outbound
from feedback_loop.web.database import session, settings
from feedback_loop.web.filters import plural
from feedback_loop.web.navigation import page_number

LOG = {
    DeliveryState.PENDING: "Waiting",
    DeliveryState.FAILED: "Failed",
    DeliveryState.SENT: "Arrived",
    DeliveryState.SKIPPED: "Left out",
}
KINDS = {EndpointKind.WEBHOOK: "Webhook", EndpointKind.SLACK: "Slack", EndpointKind.TEAMS: "Teams"}


def found(endpoint_id: int) -> Endpoint:
    """The endpoint of the address."""
    return session().get(Endpoint, endpoint_id) or abort(404, "There is no such webhook.")


def back_to(endpoint: Endpoint) -> Response:
    """To the page of an endpoint."""
    return redirect(url_for(".webhook", endpoint_id=endpoint.id))


@bp.route("/settings/webhooks", methods=["GET", "POST"])
@staff(Role.ADMIN)
def webhooks() -> Reply:
    """All endpoints; add one, whose secret is shown on the answer to this form only."""
    form = EndpointForm()
    if form.validate_on_submit():
        try:
            endpoint, secret = service.add_endpoint(
                session(), form.name.data, EndpointKind(form.kind.data), form.url.data, form.events.data,
                me(), utc_now(), settings(), outbound(settings()),
            )  # fmt: skip
        except service.Refused as error:
            form.url.errors = [str(error)]
        else:
            session().commit()
            if secret:
                return render_template("integrations/secret.html", endpoint=endpoint, secret=secret, is_new=True)
            flash(f"{endpoint.name} is added. Send a test to see whether it arrives.")
            return back_to(endpoint)
    rows = queries.endpoints(session())
    page = render_template("integrations/webhooks.html", form=form, rows=rows, kinds=KINDS)
    return page, 400 if form.is_submitted() else 200


@bp.route("/settings/webhooks/<int:endpoint_id>", methods=["GET", "POST"])
@staff(Role.ADMIN)
def webhook(endpoint_id: int) -> Reply:
    """One endpoint: whether it hears us, what it hears of, and the log."""
    endpoint = found(endpoint_id)
    form = EventsForm(name=endpoint.name, events=endpoint.events)
    if form.validate_on_submit():
        endpoint.name, endpoint.events = form.name.data, service.known(form.events.data)
        session().commit()
        flash("Saved.")
        return back_to(endpoint)
    asked = request.args.get("state", "")
    state = DeliveryState(asked) if asked in list(DeliveryState) else None
    page = render_template(
        "integrations/webhook.html",
        endpoint=endpoint,
        form=form,
        replay_form=ReplayForm(),
        kinds=KINDS,
        state=state,
        log_tabs=log_tabs(endpoint, state),
        counts=queries.counts(session(), endpoint),
        page=queries.deliveries(session(), endpoint, state, page_number()),
        now=utc_now(),
    )
    return page, 400 if form.is_submitted() else 200


def log_tabs(endpoint: Endpoint, state: DeliveryState | None) -> list[tuple[str, str, bool]]:
    """Ways through the log."""
    return [
        (label, url_for(".webhook", endpoint_id=endpoint.id, state=each.value, _anchor="log"), each == state)
        for each, label in LOG.items()
    ]


@bp.post("/settings/webhooks/<int:endpoint_id>/secret")
@staff(Role.ADMIN)
def webhook_secret(endpoint_id: int) -> Reply:
    """Make a new secret, shown on the answer only."""
    endpoint = found(endpoint_id)
    try:
        secret = service.rotate(endpoint, utc_now(), settings())
    except service.Refused as error:
        flash(str(error), "problem")
        return back_to(endpoint)
    session().commit()
    return render_template("integrations/secret.html", endpoint=endpoint, secret=secret, is_new=False)


@bp.post("/settings/webhooks/<int:endpoint_id>/paused")
@staff(Role.ADMIN)
def webhook_paused(endpoint_id: int) -> Reply:
    """Stop sending there, or go on."""
    endpoint = found(endpoint_id)
    is_paused = request.form.get("paused") == "yes"
    service.set_paused(endpoint, is_paused, utc_now())
    session().commit()
    flash(
        "Nothing is sent there until you turn it on again. What happens meanwhile is kept."
        if is_paused
        else "It is on. What waited is sent now."
    )
    return back_to(endpoint)


@bp.post("/settings/webhooks/<int:endpoint_id>/test")
@staff(Role.ADMIN)
def webhook_test(endpoint_id: int) -> Reply:
    """Send an event that says nothing."""
    endpoint = found(endpoint_id)
    if not endpoint.is_on:
        flash("Turn it on first: nothing is sent there now.", "problem")
        return back_to(endpoint)
    service.try_out(session(), endpoint, utc_now())
    session().commit()
    flash("A test is on its way. It stands in the log; load this page again in a few seconds.")
    return back_to(endpoint)


@bp.post("/settings/webhooks/<int:endpoint_id>/replay")
@staff(Role.ADMIN)
def webhook_replay(endpoint_id: int) -> Reply:
    """Send again what failed."""
    endpoint, form, now = found(endpoint_id), ReplayForm(), utc_now()
    days = int(form.days.data) if form.validate_on_submit() else 1
    count = service.replay_failed(session(), endpoint, now - timedelta(days=days), now)
    session().commit()
    flash(
        f"{plural(count, 'delivery', 'deliveries')} will be sent again." if count else "Nothing has failed since then."
    )
    return back_to(endpoint)


@bp.post("/settings/webhooks/<int:endpoint_id>/delete")
@staff(Role.ADMIN)
def webhook_delete(endpoint_id: int) -> Reply:
    """Take an endpoint away, with its log."""
    endpoint = found(endpoint_id)
    service.remove(session(), endpoint)
    session().commit()
    flash(f"{endpoint.name} is gone and hears nothing more.")
    return redirect(url_for(".webhooks"))


@bp.get("/settings/webhooks/<int:endpoint_id>/deliveries/<int:delivery_id>")
@staff(Role.ADMIN)
def webhook_delivery(endpoint_id: int, delivery_id: int) -> Reply:
    """One delivery: what it says, and what was answered."""
    row = delivery(endpoint_id, delivery_id)
    said = payload(session(), row.type, row.subject_id, row.at, settings())
    shown = ""
    if said is not None:
        _, body = written(said, row.endpoint.kind, [], row.event_id, utc_now())
        shown = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return render_template("integrations/delivery.html", delivery=row, endpoint=row.endpoint, body=shown)


@bp.post("/settings/webhooks/<int:endpoint_id>/deliveries/<int:delivery_id>/replay")
@staff(Role.ADMIN)
def webhook_delivery_replay(endpoint_id: int, delivery_id: int) -> Reply:
    """Send one again."""
    row = delivery(endpoint_id, delivery_id)
    if row.state == DeliveryState.PENDING:
        flash("It has not been sent yet; it goes out by itself.", "problem")
    else:
        service.replay(session(), row, utc_now())
        session().commit()
        flash("It will be sent again, under the same id.")
    return redirect(url_for(".webhook_delivery", endpoint_id=endpoint_id, delivery_id=delivery_id))


def delivery(endpoint_id: int, delivery_id: int) -> Delivery:
    """The delivery of the address."""
    row = session().get(Delivery, delivery_id)
    if row is None or row.endpoint_id != endpoint_id:
        abort(404, "There is no such delivery. The log keeps 30 days.")
    return row
