"""The counts that complaints carry, so that lists need no counting."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from feedback_loop.complaints.models import Complaint, Statement
from feedback_loop.responses.models import Answer

CHUNK = 500


def count_again(session: Session, complaint_ids: Iterable[int]) -> None:
    """Count the statements and people of some complaints, and when these were first and last heard of."""
    wanted = sorted(complaint_ids)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        # Workers that touch the same complaint count one after the other, so that each sees what the other wrote. Not a
        # full lock: statements being inserted hold a key share of their complaint.
        locked = select(Complaint.id).where(Complaint.id.in_(chunk)).order_by(Complaint.id)
        session.execute(locked.with_for_update(key_share=True)).all()
        counts = {
            row.complaint_id: row
            for row in session.execute(
                select(
                    Statement.complaint_id,
                    func.count().label("statements"),
                    func.count(Answer.customer_id.distinct()).label("people"),
                    func.sum(case((Answer.customer_id.is_(None), 1), else_=0)).label("anonymous"),
                    func.min(Statement.said_at).label("first"),
                    func.max(Statement.said_at).label("last"),
                )
                .join(Answer, Answer.id == Statement.answer_id)
                .where(Statement.complaint_id.in_(chunk))
                .group_by(Statement.complaint_id)
            )
        }
        values = []
        for complaint_id in chunk:
            row = counts.get(complaint_id)
            values.append(
                {
                    "id": complaint_id,
                    "statement_count": row.statements if row else 0,
                    "people_count": row.people if row else 0,
                    "anonymous_count": row.anonymous if row else 0,
                    "first_said_at": row.first if row else None,
                    "last_said_at": row.last if row else None,
                }
            )
        session.execute(update(Complaint), values)
