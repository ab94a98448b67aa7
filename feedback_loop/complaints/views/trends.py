"""How often a complaint is said, where it comes from, and what it does to the scores."""

from __future__ import annotations

from flask import abort, redirect, render_template, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.complaints import queries
from feedback_loop.complaints.models import SpikeState
from feedback_loop.complaints.trends import alerts
from feedback_loop.complaints.trends import trends as read_trends
from feedback_loop.complaints.views.blueprint import bp
from feedback_loop.web.database import session


@bp.get("/complaints/<int:number>/trends")
@staff(Role.VIEWER)
def trends(number: int) -> str | Response:
    """Is it said more often, where, and does it matter?"""
    found = queries.complaint_by_number(session(), number) or abort(404, f"There is no complaint C-{number}.")
    survivor = queries.surviving(session(), found)
    if survivor is not found:
        return redirect(url_for(".trends", number=survivor.id), 302)  # a merge may be undone
    history = alerts(session(), found)
    return render_template(
        "complaints/trends.html",
        complaint=found,
        trends=read_trends(session(), found, utc_now()),
        spike=next((alert for alert in history if alert.state == SpikeState.RUNNING), None),
        alerts=history,
    )
