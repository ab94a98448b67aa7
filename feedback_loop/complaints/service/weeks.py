"""Counts how often complaints were said lately, for the pages that look for those that grow: counted at each request,
it was most of what they took."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from feedback_loop.complaints.models import Complaint, ComplaintState, Weeks
from feedback_loop.complaints.queries import WEEK, said_lately


def count_weeks(session: Session, now: datetime) -> int:
    """Count anew the last two weeks of all active complaints that were said in them.

    Returns:
        Of how many complaints.
    """
    counted = select(Complaint.id, *said_lately(now)).where(
        Complaint.state == ComplaintState.ACTIVE, Complaint.last_said_at > now - 2 * WEEK
    )
    rows = [{"complaint_id": id, "recent": recent, "before": before} for id, recent, before in session.execute(counted)]
    session.execute(delete(Weeks))
    if rows:
        session.execute(insert(Weeks), rows)
    return len(rows)
