"""What was said but is not repeated enough to be a complaint."""

from flask import render_template

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.models import Role
from feedback_loop.complaints import queries
from feedback_loop.complaints.views.blueprint import bp
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session
from feedback_loop.web.navigation import page_number


@bp.get("/complaints/pool")
@staff(Role.VIEWER)
def pool() -> str:
    """Statements that are in no complaint yet."""
    page = queries.pool(session(), page_number())
    return render_template("complaints/pool.html", page=page, scales=SCALES, refine=queries.last_refine(session()))
