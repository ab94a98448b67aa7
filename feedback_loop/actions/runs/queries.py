"""Named reads of notification runs: who is told, who is not and why, and what has become of each mail."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, and_, cast, func, literal, or_, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.audience.choosing import PASSING, REASONS, Reason
from feedback_loop.actions.audience.groups import group
from feedback_loop.actions.audience.raisers import Raiser
from feedback_loop.actions.closing.service import KIND
from feedback_loop.actions.models import ActionItem, Closure, NotificationRun, RunPerson, RunState
from feedback_loop.actions.runs.people import those_told
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.surveys.models import Survey
from feedback_loop.web.paging import Page, offset

PEOPLE_A_PAGE = 50
WAITING_SHOWN = 50
UNDONE = "The run was taken back to review before this was sent."  # the reason of what was owed until then
# What the list of people can be narrowed to, beside the reasons.
SHOWN = {
    "told": "Will be told",
    "left": "Left out",
    "sent": "Told",
    "waiting": "Waiting",
    "failed": "Failed",
    "back": "Came back",
}


@dataclass(frozen=True)
class Review:
    """Who gets what, in numbers.

    Attributes:
        told: Customers who will be, or were to be told.
        left: Reasons why others are not, with how many, the largest first.
        with_receipt: Answers of people without an address who hold a receipt: they see the statement there.
        without: Answers of people who left neither.
        newcomers: Customers who raised it since the run was prepared.
    """

    told: int
    left: Sequence[tuple[Reason, int]]
    with_receipt: int
    without: int
    newcomers: int

    @property
    def not_told(self) -> int:
        """How many people with an address are left out."""
        return sum(count for _, count in self.left)

    @property
    def may_have_passed(self) -> int:
        """How many are left out for what may hold no longer when somebody looks again."""
        return sum(count for reason, count in self.left if reason in PASSING)


@dataclass(frozen=True)
class Progress:
    """How many mails of a released run stand where.

    Attributes:
        skipped: Not sent after all: they have unsubscribed since, or the closing was taken back.
        back: Sent, and came back.
    """

    sent: int
    waiting: int
    failed: int
    skipped: int
    back: int = 0

    @property
    def all(self) -> int:
        """How many there are."""
        return self.sent + self.waiting + self.failed + self.skipped + self.back


@dataclass(frozen=True)
class Person:
    """One row of the list of people."""

    customer: Customer
    person: RunPerson
    said: str
    mail: Notification | None

    @property
    def reason(self) -> str:
        """Why they are not told, in words; empty if they are."""
        return REASONS[Reason(self.person.reason)] if self.person.reason else ""


def run_of_item(session: Session, item: ActionItem, number: int | None = None) -> NotificationRun | None:
    """The run of an item's newest closing, or of the one with this number, with all that its page says of it.

    None where that closing has none: a duplicate's people are told with those of the other complaint.
    """
    newest = select(func.max(Closure.number)).where(Closure.action_item_id == item.id).scalar_subquery()
    query = (
        select(NotificationRun)
        .join(Closure, Closure.id == NotificationRun.closure_id)
        .where(Closure.action_item_id == item.id, Closure.number == (newest if number is None else number))
        .options(
            joinedload(NotificationRun.closure),
            joinedload(NotificationRun.prepared_by),
            joinedload(NotificationRun.released_by),
            joinedload(NotificationRun.approved_by),
            joinedload(NotificationRun.undone_by),
        )
    )
    return session.scalar(query)


def standing(run: NotificationRun, now: datetime, progress: Progress) -> RunState:
    """Where a run stands at this moment; the worker writes it down a little later."""
    if run.state == RunState.HELD and run.starts_at is not None and run.starts_at <= now:
        return RunState.SENDING if progress.waiting else RunState.DONE
    if run.state == RunState.SENDING and not progress.waiting:
        return RunState.DONE
    return run.state


def review(session: Session, run: NotificationRun) -> Review:
    """Who gets what, in numbers."""
    counts = session.execute(
        select(RunPerson.is_told, RunPerson.reason, func.count())
        .where(RunPerson.run_id == run.id)
        .group_by(RunPerson.is_told, RunPerson.reason)
    ).all()
    left = sorted(((Reason(reason), count) for told, reason, count in counts if not told), key=lambda each: -each[1])
    of = group(session, run.closure.action_item)
    of_group = Statement.complaint_id.in_(of.complaint_ids)
    nameless = select(func.count(Statement.answer_id.distinct())).where(of_group, Statement.customer_id.is_(None))
    # Only who answered an anonymous survey holds a receipt; other answers need not be looked at.
    hold_receipts = nameless.join(Answer, Answer.id == Statement.answer_id).where(
        Answer.receipt_hash.is_not(None), Statement.survey_id.in_(select(Survey.id).where(Survey.is_anonymous))
    )
    with_receipt = session.scalar(hold_receipts) or 0
    # What is said in one complaint alone is not counted again: the complaint carries the count.
    anonymous = run.closure.action_item.complaint.anonymous_count if of.is_alone else session.scalar(nameless) or 0
    newcomers = 0
    if run.state == RunState.REVIEW:
        present = select(RunPerson.customer_id).where(RunPerson.run_id == run.id)
        newcomers = (
            session.scalar(
                select(func.count(Statement.customer_id.distinct())).where(
                    of_group, Statement.customer_id.is_not(None), Statement.customer_id.not_in(present)
                )
            )
            or 0
        )
    return Review(
        sum(count for told, _, count in counts if told), left, with_receipt, max(0, anonymous - with_receipt), newcomers
    )


def progress(session: Session, run: NotificationRun) -> Progress:
    """How far the mails of a run are. What was undone, of people who were then left out, is none of them."""
    counts = dict(
        session.execute(
            select(Notification.state, func.count())
            .where(Notification.event == run.closure.event, Notification.reason != UNDONE)
            .group_by(Notification.state)
        ).all()
    )
    return Progress(
        counts.get(NotificationState.SENT, 0),
        counts.get(NotificationState.PENDING, 0),
        counts.get(NotificationState.FAILED, 0),
        counts.get(NotificationState.SKIPPED, 0),
        counts.get(NotificationState.BOUNCED, 0),
    )


def its_mail(run: NotificationRun) -> ColumnElement[bool]:
    """What joins somebody of a run with their mail."""
    return and_(
        Notification.recipient == literal("customer:") + cast(RunPerson.customer_id, String),
        Notification.event == run.closure.event,
        Notification.kind == KIND,
    )


def people(session: Session, run: NotificationRun, which: str, text: str, page: int) -> Page[Person]:
    """A page of those whom a run concerns, those who are told first.

    Args:
        which: A key of `SHOWN`, a reason, or empty for all.
        text: Found in their name or address; empty for all.
    """
    conditions: list[ColumnElement[bool]] = [RunPerson.run_id == run.id]
    mailed = {
        "sent": NotificationState.SENT,
        "waiting": NotificationState.PENDING,
        "failed": NotificationState.FAILED,
        "back": NotificationState.BOUNCED,
    }.get(which)
    if mailed is not None:
        conditions.append(Notification.state == mailed)
    elif which in ("told", "left"):
        conditions.append(RunPerson.is_told == (which == "told"))
    elif which:
        conditions.append(RunPerson.reason == which)
    if text:
        conditions.append(
            or_(Customer.name.icontains(text, autoescape=True), Customer.email.icontains(text.lower(), autoescape=True))
        )
    rows = (
        select(Customer, RunPerson, Statement.text, Notification)
        .select_from(RunPerson)
        .join(Customer, Customer.id == RunPerson.customer_id)
        .outerjoin(Statement, Statement.id == RunPerson.statement_id)
        .outerjoin(Notification, its_mail(run))
        .where(*conditions)
    )
    count = select(func.count()).select_from(RunPerson)
    if text:
        count = count.join(Customer, Customer.id == RunPerson.customer_id)
    if mailed is not None:
        count = count.join(Notification, its_mail(run))
    total = session.scalar(count.where(*conditions)) or 0
    found = session.execute(
        rows.order_by(RunPerson.is_told.desc(), RunPerson.customer_id)
        .offset(offset(page, PEOPLE_A_PAGE))
        .limit(PEOPLE_A_PAGE)
    ).all()
    shown = [Person(customer, person, said or "", mail) for customer, person, said, mail in found]
    return Page(shown, page, PEOPLE_A_PAGE, total)


def row_of(session: Session, run: NotificationRun, customer_id: int) -> Person | None:
    """Somebody of a run, with what was said and what became of the mail; None where they are not in it."""
    row = session.execute(
        select(Customer, RunPerson, Statement.text, Notification)
        .select_from(RunPerson)
        .join(Customer, Customer.id == RunPerson.customer_id)
        .outerjoin(Statement, Statement.id == RunPerson.statement_id)
        .outerjoin(Notification, its_mail(run))
        .where(RunPerson.run_id == run.id, RunPerson.customer_id == customer_id)
    ).first()
    return Person(row[0], row[1], row[2] or "", row[3]) if row else None


def one_person(session: Session, run: NotificationRun, customer_id: int) -> Raiser | None:
    """Somebody of a run, with the words their mail quotes; None where they are not in it."""
    return next(those_told(session, run, [customer_id]), None)


def some_person(session: Session, run: NotificationRun, told: int, *, at_random: bool) -> Raiser | None:
    """One of those who are told: the first, or any."""
    if not told:
        return None
    place = random.randrange(told) if at_random else 0  # noqa: S311 (nothing hangs on it)
    found = session.scalar(
        select(RunPerson.customer_id)
        .where(RunPerson.run_id == run.id, RunPerson.is_told)
        .order_by(RunPerson.customer_id)
        .offset(place)
        .limit(1)
    )
    return one_person(session, run, found) if found is not None else None


def waiting(session: Session, team_id: int | None = None) -> Sequence[NotificationRun]:
    """Runs that wait for somebody: for review, or for a second person's approval; those that wait longest first.

    Args:
        team_id: Only those of items of this team.
    """
    query = (
        select(NotificationRun)
        .join(Closure, Closure.id == NotificationRun.closure_id)
        .join(ActionItem, ActionItem.id == Closure.action_item_id)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(
            NotificationRun.state.in_([RunState.REVIEW, RunState.APPROVAL]),
            Complaint.state == ComplaintState.ACTIVE,  # others are not released
        )
        .options(
            joinedload(NotificationRun.closure).joinedload(Closure.action_item).joinedload(ActionItem.complaint),
            joinedload(NotificationRun.closure).joinedload(Closure.action_item).joinedload(ActionItem.owner),
        )
        .order_by(NotificationRun.prepared_at, NotificationRun.id)
        .limit(WAITING_SHOWN)
    )
    return session.scalars(query if team_id is None else query.where(ActionItem.team_id == team_id)).all()
