"""The people of a notification run: who is told with which words, and whether that still holds when it goes out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Select, or_, select, true, update
from sqlalchemy.orm import Session

from feedback_loop.actions.audience.choosing import Known, Reason, choose
from feedback_loop.actions.audience.facts import no_mail, said_by, told_before
from feedback_loop.actions.audience.groups import Group, around, group
from feedback_loop.actions.audience.raisers import Raiser
from feedback_loop.actions.models import NotificationRun, RunPerson, RunState
from feedback_loop.complaints.models import Statement
from feedback_loop.responses.models import Customer

CHUNK = 1000


def those_told(session: Session, run: NotificationRun, only: Collection[int] = ()) -> Iterator[Raiser]:
    """Everybody a run tells, with the words their mail quotes; read a thousand at a time.

    Args:
        only: Customers asked for, told or not; all who are told by default.
    """
    last: int | None = None
    while True:
        rows = session.execute(
            select(Customer.id, Customer.email, Customer.name, Customer.language, Statement.text, Statement.said_at)
            .select_from(RunPerson)
            .join(Customer, Customer.id == RunPerson.customer_id)
            .outerjoin(Statement, Statement.id == RunPerson.statement_id)
            .where(
                RunPerson.run_id == run.id,
                RunPerson.customer_id > last if last is not None else true(),
                RunPerson.customer_id.in_(only) if only else RunPerson.is_told,
            )
            .order_by(RunPerson.customer_id)
            .limit(CHUNK)
        ).all()
        for row in rows:
            yield Raiser(row.id, row.email, row.name, row.language, row.text or "", row.said_at)
        if len(rows) < CHUNK:
            return
        last = rows[-1].id


def weigh_again(session: Session, run: NotificationRun) -> None:
    """Before a run goes out: leave out whom nobody may write to, or need not write to, since it was prepared.

    Whom somebody added by hand is told all the same, unless they asked for no mail. Lock the items around the run's
    first, so that of two runs about one problem the second sees whom the first tells.
    """
    leave_out_unsubscribed(session, run)
    follow_moved(session, run)
    told = told_elsewhere(session, run, chosen(run))
    for ids in chunks(told):
        session.execute(
            update(RunPerson)
            .where(RunPerson.run_id == run.id, RunPerson.customer_id.in_(ids))
            .values(is_told=False, reason=Reason.TOLD.value)
            .execution_options(synchronize_session="fetch")
        )


def chosen(run: NotificationRun) -> Select[Any]:
    """The customers whom a run tells because of what they said, not because somebody added them."""
    return select(RunPerson.customer_id).where(
        RunPerson.run_id == run.id, RunPerson.is_told, RunPerson.by_hand.is_(False)
    )


def told_elsewhere(session: Session, run: NotificationRun, ids: Select[Any]) -> list[int]:
    """Those of some customers who are told of the same problem by the closing of another item."""
    of = around(session, run.closure.action_item)
    told = told_before(session, run.closure, of, ids)
    if not told:
        return []
    said = said_by(session, who_said(of).where(Statement.customer_id.in_(ids)), *applies_to(run))
    return [
        customer_id
        for customer_id, tellings in told.items()
        if customer_id in said and choose(Known(said[customer_id], tellings)).reason == Reason.TOLD
    ]


def follow_moved(session: Session, run: NotificationRun) -> None:
    """Quote other words where those that were to be quoted belong to another complaint by now, or are gone.

    Who said nothing else of the problem is not told.
    """
    of = group(session, run.closure.action_item)
    gone = chosen(run).outerjoin(Statement, Statement.id == RunPerson.statement_id).where(
        or_(Statement.complaint_id.is_(None), Statement.complaint_id.not_in(of.complaint_ids))
    )  # fmt: skip
    for ids in chunks(session.scalars(gone).all()):
        said = said_by(session, who_said(of).where(Statement.customer_id.in_(ids)), *applies_to(run))
        rows = session.scalars(select(RunPerson).where(RunPerson.run_id == run.id, RunPerson.customer_id.in_(ids)))
        for person in rows:
            if person.customer_id not in said:
                person.is_told, person.reason = False, Reason.MOVED.value
                continue
            choice = choose(Known(said[person.customer_id]))
            person.statement_id = choice.statement_id
            person.is_told, person.reason = choice.reason is None, choice.reason.value if choice.reason else ""
    session.flush()


def who_said(of: Group) -> Select[Any]:
    """Customers who said something of a group's complaints, as `said_by` asks for them."""
    return select(Statement.customer_id).where(
        Statement.complaint_id.in_(of.complaint_ids), Statement.customer_id.is_not(None)
    )


def applies_to(run: NotificationRun) -> tuple[Any, str]:
    """For whom the change holds of which a run tells."""
    return run.closure.segment, run.closure.segment_value


def chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """A thousand at a time."""
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def forget_words(session: Session, customer_id: int, statement_ids: Collection[int]) -> None:
    """Before statements are erased: runs quote what else the person said of the same problem, or tell them nothing."""
    rows = session.scalars(
        select(RunPerson).where(RunPerson.customer_id == customer_id, RunPerson.statement_id.in_(statement_ids))
    ).all()
    for row in rows:
        run = session.get_one(NotificationRun, row.run_id)
        other = session.scalar(
            select(Statement.id)
            .where(
                Statement.customer_id == customer_id,
                Statement.complaint_id.in_(around(session, run.closure.action_item).complaint_ids),
                Statement.id.not_in(statement_ids),
            )
            .order_by(Statement.said_at.desc(), Statement.position, Statement.id)
            .limit(1)
        )
        row.statement_id = other
        is_out = run.state in (RunState.SENDING, RunState.DONE)
        if other is None and row.is_told and not is_out:
            row.is_told, row.reason = False, Reason.ERASED.value
    session.flush()


def leave_out_unsubscribed(session: Session, run: NotificationRun) -> None:
    """Leave out who has asked for no more mail since the run was prepared."""
    session.execute(
        update(RunPerson)
        .where(
            RunPerson.run_id == run.id,
            RunPerson.is_told,
            RunPerson.customer_id.in_(select(Customer.id).where(no_mail())),
        )
        .values(is_told=False, reason=Reason.UNSUBSCRIBED.value)
        .execution_options(synchronize_session="fetch")
    )
