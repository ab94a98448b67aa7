"""Whom a closing concerns, who of them is told, and why others are not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, cast, func, literal, or_, select, union_all
from sqlalchemy.orm import Session, aliased

from feedback_loop.actions.models import (
    ActionEvent,
    ActionItem,
    Closure,
    NotificationRun,
    Outcome,
    RunPerson,
    RunState,
    Segment,
    Status,
)
from feedback_loop.actions.segments import inside
from feedback_loop.actions.service import goes_on_in
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement
from feedback_loop.notifications.budget import Budget
from feedback_loop.notifications.models import Cause, Notification, NotificationState, Suppression
from feedback_loop.notifications.queries import was_contact
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.settings import Settings

DONE = (Status.CLOSED, Status.VERIFIED)
# What mail servers say for good of a recipient. 554 is left out: it blames the message as often.
DEAD = ("550 %", "551 %", "552 %", "553 %", "556 %")


class Reason(StrEnum):
    """Why somebody whom a closing concerns is not told."""

    UNSUBSCRIBED = "unsubscribed"
    SEGMENT = "outside_segment"
    TOLD = "told_already"
    BOUNCED = "bounced"
    BUDGET = "budget"
    ERASED = "erased"
    DROPPED = "dropped"
    MOVED = "moved"


# These hold whatever anybody says.
FINAL = (Reason.UNSUBSCRIBED, Reason.ERASED)
# These may have passed when somebody looks again.
PASSING = (Reason.TOLD, Reason.BOUNCED, Reason.BUDGET, Reason.MOVED)
REASONS = {
    Reason.UNSUBSCRIBED: "asked for no more mail",
    Reason.SEGMENT: "the change does not hold for what they told of",
    Reason.TOLD: "told already, of the same problem",
    Reason.BOUNCED: "the last mail to them came back",
    Reason.BUDGET: "had as many mails as the contact budget allows",
    Reason.ERASED: "had their words erased",
    Reason.DROPPED: "taken out by one of you",
    Reason.MOVED: "what they said belongs to another complaint by now",
}


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


@dataclass(frozen=True)
class Group:
    """Items whose people are told together: one, those merged into it, and those closed as duplicates of it.

    Attributes:
        is_alone: Whether nothing is said in any complaint but the one's own; statements move when it is merged.
    """

    item_ids: frozenset[int]
    complaint_ids: frozenset[int]
    is_alone: bool = False


@dataclass(frozen=True)
class Said:
    """One thing that a customer said about a problem."""

    statement_id: int
    at: datetime
    position: int = 0
    is_inside: bool = True


@dataclass(frozen=True)
class Telling:
    """An earlier closing that told somebody, and still holds."""

    statement_id: int | None
    at: datetime
    is_of_group: bool


@dataclass(frozen=True)
class Known:
    """What is known of a customer whom a closing concerns."""

    said: Sequence[Said]
    told: Sequence[Telling] = ()
    unsubscribed: bool = False
    bounced: bool = False
    over_budget: bool = False


@dataclass(frozen=True)
class Choice:
    """Whether a customer is told, and whose words are quoted.

    Attributes:
        statement_id: The newest of what they said, inside the segment where they said anything there.
        reason: Why they are not told; None if they are.
    """

    statement_id: int
    reason: Reason | None


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


def choose(person: Known) -> Choice:
    """Decide whether somebody is told.

    Who asked for no mail is not. Then come reasons that lie in what they said, then those that lie in their mail.
    """
    newest = max(person.said, key=lambda each: (each.is_inside, each.at, -each.position, -each.statement_id))
    was_told = any(
        (each.is_of_group or each.statement_id == newest.statement_id) and each.at >= newest.at for each in person.told
    )
    reasons = (
        (Reason.UNSUBSCRIBED, person.unsubscribed),
        (Reason.SEGMENT, not newest.is_inside),
        (Reason.TOLD, was_told),
        (Reason.BOUNCED, person.bounced),
        (Reason.BUDGET, person.over_budget),
    )
    return Choice(newest.statement_id, next((reason for reason, holds in reasons if holds), None))


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


def no_mail() -> ColumnElement[bool]:
    """Whether a customer asked for no mail, or a colleague did for them. Whose mails come back is `bounced`."""
    asked = (Suppression.address == Customer.email, Suppression.cause != Cause.BOUNCED)
    return select(Suppression.id).where(*asked).exists()


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
