"""Pages about statements and complaints alone.

Pages of complaints stand in `reports`: they show what is being done, which a later step knows.
"""

from __future__ import annotations

from flask import Blueprint, render_template

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.models import Role
from feedback_loop.complaints import queries
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session
from feedback_loop.web.navigation import page_number

bp = Blueprint("complaints", __name__)


@bp.get("/complaints/pool")
@staff(Role.VIEWER)
def pool() -> str:
    """Statements that are in no complaint yet."""
    page = queries.pool(session(), page_number())
    return render_template("complaints/pool.html", page=page, scales=SCALES, refine=queries.last_refine(session()))
