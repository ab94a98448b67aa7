"""Items whose people are told together."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session, aliased

from feedback_loop.actions.models import ActionItem, Closure, Outcome, Status
from feedback_loop.actions.service import goes_on_in
from feedback_loop.complaints.models import Complaint, ComplaintState

DONE = (Status.CLOSED, Status.VERIFIED)


@dataclass(frozen=True)
class Group:
    """Items whose people are told together: one, those merged into it, and those closed as duplicates of it.

    Attributes:
        is_alone: Whether nothing is said in any complaint but the one's own; statements move when it is merged.
    """

    item_ids: frozenset[int]
    complaint_ids: frozenset[int]
    is_alone: bool = False


def group(session: Session, item: ActionItem) -> Group:
    """The items whose people are told when this one is closed."""
    complaints, items = {item.complaint_id}, {item.id}
    new_complaints, new_items = set(complaints), set(items)
    is_alone = True
    while new_complaints or new_items:
        duplicates = (
            select(Closure.action_item_id)
            .where(Closure.duplicate_of_id.in_(new_items), Closure.outcome == Outcome.DUPLICATE, holds())
            .scalar_subquery()
        )
        rows = session.execute(
            select(Complaint.id, Complaint.statement_count, ActionItem.id.label("item_id"))
            .outerjoin(ActionItem, ActionItem.complaint_id == Complaint.id)
            .where(
                or_(
                    and_(Complaint.merged_into_id.in_(new_complaints), Complaint.state == ComplaintState.MERGED),
                    and_(ActionItem.id.in_(duplicates), ActionItem.status.in_(DONE)),
                )
            )
        ).all()
        new_complaints = {row.id for row in rows} - complaints
        new_items = {row.item_id for row in rows if row.item_id} - items
        is_alone = is_alone and not any(row.statement_count for row in rows if row.id in new_complaints)
        complaints |= new_complaints
        items |= new_items
    return Group(frozenset(items), frozenset(complaints), is_alone)


def around(session: Session, item: ActionItem) -> Group:
    """All items about the same problem: the group of the item at which the work goes on."""
    found = group(session, goes_on_in(session, item))
    return Group(found.item_ids | {item.id}, found.complaint_ids | {item.complaint_id})


def holds() -> ColumnElement[bool]:
    """Whether a closing is the newest of its item and was not taken back."""
    later = aliased(Closure)
    newer = select(later.id).where(later.action_item_id == Closure.action_item_id, later.number > Closure.number)
    return Closure.withdrawn_at.is_(None) & ~newer.exists()
