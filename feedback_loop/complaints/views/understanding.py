"""How complaints are found: the runs that look at everything anew, and the map of what they found."""

from __future__ import annotations

from flask import abort, render_template
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.models import Role
from feedback_loop.complaints import evidence
from feedback_loop.complaints.map import LINE, draw
from feedback_loop.complaints.views.blueprint import bp
from feedback_loop.web.database import session
from feedback_loop.web.navigation import page_number

Reply = str | tuple[str, int] | Response


@bp.get("/complaints/refines")
@staff(Role.VIEWER)
def refines() -> Reply:
    """All refines, the newest first."""
    return render_template("complaints/refines.html", page=evidence.refines(session(), page_number()))


@bp.get("/complaints/refines/<int:refine_id>")
@staff(Role.VIEWER)
def refine(refine_id: int) -> Reply:
    """What one refine found and changed."""
    found = evidence.refine_by_id(session(), refine_id) or abort(404, "There is no such refine.")
    return render_template(
        "complaints/refine.html", refine=found, complaints=evidence.named_in(session(), found.changes)
    )


@bp.get("/complaints/map")
@staff(Role.VIEWER)
def map() -> Reply:
    """Which complaints say similar things?"""
    return render_template("complaints/map.html", marks=draw(evidence.spots(session())), line_height=LINE)
