"""How many people a closing would concern, before there is a run."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.audience.groups import group
from feedback_loop.actions.models import ActionItem
from feedback_loop.complaints.models import Statement
from feedback_loop.notifications.models import Suppression
from feedback_loop.responses.models import Customer


@dataclass(frozen=True)
class Audience:
    """Counts of people.

    Attributes:
        told: Customers who may be written to.
        anonymous: Answers of people we have no address of.
        suppressed: Customers who get no mail: they asked for none, or their mails come back.
    """

    told: int
    anonymous: int
    suppressed: int


def suppressed() -> ColumnElement[bool]:
    """Whether a customer gets no mail, for whatever reason; asked from the addresses that get none: they are few,
    customers may be many."""
    return Customer.email.in_(select(Suppression.address))


def audience(session: Session, item: ActionItem) -> Audience:
    """How many people a closing would concern: those who may be written to, and those who may not.

    What is said in one complaint alone is not counted again: the complaint carries the counts.
    """
    of = group(session, item)
    of_group = Statement.complaint_id.in_(of.complaint_ids)
    raised = select(Statement.id).where(Statement.customer_id == Customer.id, of_group)
    out = select(func.count()).select_from(Customer).where(suppressed(), raised.exists()).scalar_subquery()
    if of.is_alone:
        everybody, anonymous = item.complaint.people_count, item.complaint.anonymous_count
        left_out = session.scalar(select(out)) or 0
    else:
        people = select(func.count(Statement.customer_id.distinct())).where(of_group).scalar_subquery()
        nameless = (
            select(func.count(Statement.answer_id.distinct()))
            .where(of_group, Statement.customer_id.is_(None))
            .scalar_subquery()
        )
        everybody, anonymous, left_out = session.execute(select(people, nameless, out)).one()
    return Audience(everybody - left_out, anonymous, left_out)
