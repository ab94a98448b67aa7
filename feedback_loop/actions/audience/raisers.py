"""Who raised a complaint, with their words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from feedback_loop.actions.audience.groups import group
from feedback_loop.actions.models import ActionItem
from feedback_loop.complaints.models import Statement
from feedback_loop.notifications.models import Suppression
from feedback_loop.responses.models import Customer


@dataclass(frozen=True)
class Raiser:
    """A customer who raised a complaint, with the latest thing they said about it.

    `quote` is empty and `said_at` None for somebody who was added by hand.
    """

    customer_id: int
    address: str
    name: str
    language: str
    quote: str
    said_at: datetime | None


def one_raiser(session: Session, item: ActionItem) -> Raiser | None:
    """One of those who would be told, with the latest thing they said; None where nobody would.

    It is whoever said it last: there an index ends, however much was said before.
    """
    mute = (
        select(Suppression.id)
        .join(Customer, Customer.email == Suppression.address)
        .where(Customer.id == Statement.customer_id)
        .exists()
    )
    newest = (Statement.said_at.desc(), Statement.position, Statement.id)
    last = union_all(
        *(
            select(
                select(Statement.id)
                .where(Statement.complaint_id == complaint_id, Statement.customer_id.is_not(None), ~mute)
                .order_by(*newest)
                .limit(1)
                .scalar_subquery()
            )
            for complaint_id in sorted(group(session, item).complaint_ids)
        )
    )
    row = session.execute(
        select(Customer.id, Customer.email, Customer.name, Customer.language, Statement.text, Statement.said_at)
        .join(Statement, Statement.customer_id == Customer.id)
        .where(Statement.id.in_(last))
        .order_by(*newest)
        .limit(1)
    ).first()
    return Raiser(row.id, row.email, row.name, row.language, row.text, row.said_at) if row else None
