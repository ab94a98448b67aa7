"""What decides who is told of a closing, looked up for everybody whom it concerns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, cast, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from feedback_loop.actions.audience.choosing import Known, Said, Telling
from feedback_loop.actions.audience.groups import DONE, Group, holds
from feedback_loop.actions.audience.segments import inside
from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, NotificationRun, RunPerson, RunState, Segment
from feedback_loop.complaints.models import Statement
from feedback_loop.notifications.budget import Budget
from feedback_loop.notifications.models import Cause, Notification, NotificationState, Suppression
from feedback_loop.notifications.queries import was_contact
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.settings import Settings

# What mail servers say for good of a recipient. 554 is left out: it blames the message as often.
DEAD = ("550 %", "551 %", "552 %", "553 %", "556 %")


@dataclass(frozen=True)
class Facts:
    """What is known of all customers whom a closing concerns, by customer."""

    said: Mapping[int, Sequence[Said]]
    told: Mapping[int, Sequence[Telling]] = field(default_factory=dict)
    unsubscribed: frozenset[int] = frozenset()
    bounced: frozenset[int] = frozenset()
    over_budget: frozenset[int] = frozenset()

    def of(self, customer_id: int) -> Known:
        """What is known of one."""
        return Known(
            self.said[customer_id],
            self.told.get(customer_id, ()),
            customer_id in self.unsubscribed,
            customer_id in self.bounced,
            customer_id in self.over_budget,
        )


def no_mail() -> ColumnElement[bool]:
    """Whether a customer asked for no mail, or a colleague did for them. Whose mails come back is `bounced`."""
    asked = (Suppression.address == Customer.email, Suppression.cause != Cause.BOUNCED)
    return select(Suppression.id).where(*asked).exists()


def facts(
    session: Session,
    closure: Closure,
    of: Group,
    now: datetime,
    settings: Settings,
    leave_out: Select[Any] | None = None,
) -> Facts:
    """Look up what decides who is told of a closing.

    Args:
        leave_out: Customers who are not asked for.
    """
    concerned = select(Statement.customer_id).where(
        Statement.complaint_id.in_(of.complaint_ids), Statement.customer_id.is_not(None)
    )
    if leave_out is not None:
        concerned = concerned.where(Statement.customer_id.not_in(leave_out))
    said = said_by(session, concerned, closure.segment, closure.segment_value)
    if not said:
        return Facts({})
    ids = concerned.distinct()
    return Facts(
        said,
        told_before(session, closure, of, ids),
        frozenset(session.scalars(select(Customer.id).where(Customer.id.in_(ids), no_mail()))),
        frozenset(session.scalars(select(Customer.id).where(Customer.id.in_(ids), bounced()))),
        over_budget(session, ids, now, settings),
    )


def said_by(session: Session, concerned: Select[Any], segment: Segment, value: str) -> dict[int, list[Said]]:
    """What customers said, by customer."""
    columns: list[Any] = [Statement.customer_id, Statement.id, Statement.said_at, Statement.position]
    query = concerned.with_only_columns(*columns)
    if segment != Segment.ALL:
        query = (
            query.add_columns(Answer.context, Statement.language, Customer.language.label("spoken"))
            .join(Answer, Answer.id == Statement.answer_id)
            .join(Customer, Customer.id == Statement.customer_id)
        )
    found: dict[int, list[Said]] = defaultdict(list)
    for customer_id, statement_id, at, position, *rest in session.execute(query):
        is_inside = True
        if rest:
            context, language, spoken = rest
            is_inside = inside(segment, value, context or {}, language or spoken)
        found[customer_id].append(Said(statement_id, at, position, is_inside))
    return found


def bounced() -> ColumnElement[bool]:
    """Whether a mail server refused a customer's address for good, and has taken no mail for it since."""
    later = aliased(Notification)
    since = select(later.id).where(
        later.address == Notification.address,
        later.state == NotificationState.SENT,
        later.sent_at > Notification.created_at,
    )
    refused = and_(
        Notification.state == NotificationState.FAILED, or_(*(Notification.reason.like(each) for each in DEAD))
    )
    stopped = (Suppression.address == Customer.email, Suppression.cause == Cause.BOUNCED)
    return or_(
        select(Notification.id).where(Notification.address == Customer.email, refused, ~since.exists()).exists(),
        select(Suppression.id).where(*stopped).exists(),
    )


def told_before(session: Session, closure: Closure, of: Group, ids: Select[Any]) -> dict[int, list[Telling]]:
    """Closings of other items that told somebody and hold, by customer.

    Once customers have said that this item is not fixed, everybody is to hear of the next try: only closings after that
    count. One of which they said so themselves does not count either.
    """
    last_reopened = session.scalar(
        select(func.max(ActionEvent.at)).where(
            ActionEvent.action_item_id == closure.action_item_id,
            ActionEvent.kind == "reopened",
            ActionEvent.by_id.is_(None),  # a person who takes a closing back begins no new round
        )
    )
    query = (
        select(RunPerson.customer_id, RunPerson.statement_id, Closure.id, Closure.closed_at, Closure.action_item_id)
        .join(NotificationRun, NotificationRun.id == RunPerson.run_id)
        .join(Closure, Closure.id == NotificationRun.closure_id)
        .join(ActionItem, ActionItem.id == Closure.action_item_id)
        .join(
            Notification,
            and_(
                Notification.recipient == literal("customer:") + cast(RunPerson.customer_id, String),
                Notification.event == literal("closure:") + cast(Closure.id, String),
                Notification.state.in_([NotificationState.SENT, NotificationState.PENDING]),
            ),
        )
        .where(
            RunPerson.customer_id.in_(ids),
            RunPerson.is_told,
            NotificationRun.state.in_([RunState.HELD, RunState.SENDING, RunState.DONE]),
            Closure.action_item_id != closure.action_item_id,
            ActionItem.status.in_(DONE),
            holds(),
        )
    )
    if last_reopened is not None:
        query = query.where(Closure.closed_at > last_reopened)
    rows = session.execute(query).all()
    in_vain = not_fixed(session, {row.action_item_id for row in rows})
    found: dict[int, list[Telling]] = defaultdict(list)
    for row in rows:
        if row.id in in_vain:
            continue
        found[row.customer_id].append(Telling(row.statement_id, row.closed_at, row.action_item_id in of.item_ids))
    return found


def not_fixed(session: Session, item_ids: Collection[int]) -> set[int]:
    """Closings of some items of which customers said that they fixed nothing."""
    if not item_ids:
        return set()
    events = select(ActionEvent.data).where(ActionEvent.action_item_id.in_(item_ids), ActionEvent.kind == "not_fixed")
    return {data["closure_id"] for data in session.scalars(events) if "closure_id" in data}


def over_budget(session: Session, ids: Select[Any], now: datetime, settings: Settings) -> frozenset[int]:
    """Customers who had as many mails as one address gets; nobody unless closings are to respect that."""
    budget = Budget(settings.contact_limit, settings.contact_days)
    if not (settings.closings_in_budget and budget.limit):
        return frozenset()
    rows: Iterable[int] = session.scalars(
        select(Customer.id)
        .join(Notification, Notification.address == Customer.email)
        .where(
            Customer.id.in_(ids),
            Notification.sent_at > now - timedelta(days=budget.days),
            was_contact(budget, now),
        )
        .group_by(Customer.id)
        .having(func.count() >= budget.limit)
    )
    return frozenset(rows)
