"""Who is told when an action item closes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionItem
from feedback_loop.complaints.models import Statement
from feedback_loop.notifications.models import Suppression
from feedback_loop.responses.models import Answer, Customer


@dataclass(frozen=True)
class Audience:
    """Counts of people.

    Attributes:
        told: Customers who get a mail.
        anonymous: Statements of people we have no address of.
        suppressed: Customers who asked for no mail.
    """

    told: int
    anonymous: int
    suppressed: int


@dataclass(frozen=True)
class Raiser:
    """A customer who raised a complaint, with the latest thing they said about it."""

    customer_id: int
    address: str
    name: str
    language: str
    quote: str
    said_at: datetime


def no_mail() -> ColumnElement[bool]:
    """Whether a customer asked for no mail."""
    return select(Suppression.id).where(Suppression.address == Customer.email).exists()


def audience(session: Session, item: ActionItem) -> Audience:
    """How many people a closing would tell, and how many not."""
    known = (
        select(Answer.customer_id)
        .join(Statement, Statement.answer_id == Answer.id)
        .where(Statement.complaint_id == item.complaint_id, Answer.customer_id.is_not(None))
        .distinct()
        .subquery()
    )
    people = select(func.count()).select_from(known).join(Customer, Customer.id == known.c.customer_id)
    suppressed = session.scalar(people.where(no_mail())) or 0
    everybody = session.scalar(people) or 0
    anonymous = session.scalar(
        select(func.count(Statement.answer_id.distinct()))
        .join(Answer, Answer.id == Statement.answer_id)
        .where(Statement.complaint_id == item.complaint_id, Answer.customer_id.is_(None))
    )
    return Audience(everybody - suppressed, anonymous or 0, suppressed)


def raisers(session: Session, item: ActionItem, limit: int | None = None) -> Iterator[Raiser]:
    """Everybody who raised the complaint of an item and may be written to, once each.

    Args:
        item: The action item.
        limit: At most so many; all by default.
    """
    latest = func.row_number().over(
        partition_by=Answer.customer_id, order_by=(Statement.said_at.desc(), Statement.position, Statement.id)
    )
    ranked = (
        select(Answer.customer_id, Statement.text, Statement.said_at, latest.label("place"))
        .join(Answer, Answer.id == Statement.answer_id)
        .where(Statement.complaint_id == item.complaint_id, Answer.customer_id.is_not(None))
        .subquery()
    )
    rows = session.execute(
        select(Customer.id, Customer.email, Customer.name, Customer.language, ranked.c.text, ranked.c.said_at)
        .join(ranked, ranked.c.customer_id == Customer.id)
        .where(ranked.c.place == 1, ~no_mail())
        .order_by(Customer.id)
        .limit(limit)
    )
    for row in rows:
        yield Raiser(row.id, row.email, row.name, row.language, row.text, row.said_at)
