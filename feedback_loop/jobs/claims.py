"""One way to claim rows, on both databases and with any number of workers."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from feedback_loop.db import Sessions, insert_missing
from feedback_loop.jobs.models import Lease, Tick
from feedback_loop.logs import note_claims

log = logging.getLogger(__name__)

SKEW = timedelta(minutes=5)  # by which clocks of machines differ at most; a later moment is of a clock since set back
WORKER = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Claim:
    """A row that is ours until the lease ends, as long as its fence is still this one."""

    id: int
    fence: int


def claim(
    session: Session,
    model: Any,
    where: Sequence[ColumnElement[bool]],
    order_by: Sequence[Any],
    limit: int,
    now: datetime,
    lease: timedelta,
    values: Mapping[str, Any] | None = None,
) -> list[Claim]:
    """Claim rows of a table with the `Leased` columns. Commit before the slow work begins.

    A row whose worker died is claimed again once its lease has run out, or where that lies farther away than any lease
    does: it was claimed by a clock that ran ahead, and nobody could say when it would be free. On PostgreSQL, rows that
    another worker is just claiming are passed over; on SQLite there is one writer at a time, which gives the same.

    Args:
        session: A session that writes.
        model: The mapped class.
        where: What makes a row due.
        order_by: Which of them come first.
        limit: At most so many rows.
        now: The present moment.
        lease: How long they are ours.
        values: Written to the rows beside it.

    Returns:
        The claimed rows, in the order asked for.
    """
    due = (
        select(model.id)
        .where(
            *where,
            or_(model.claimed_until.is_(None), model.claimed_until < now, model.claimed_until > now + lease + SKEW),
        )
        .order_by(*order_by)
        .limit(limit)
    )
    if session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True)
    ids = list(session.scalars(due))
    if not ids:
        return []
    rows = session.execute(
        update(model)
        .where(model.id.in_(ids))
        .values(claimed_until=now + lease, attempts=model.attempts + 1, fence=model.fence + 1, **(values or {}))
        .returning(model.id, model.fence)
        .execution_options(synchronize_session=False)
    ).all()
    fences = {row.id: row.fence for row in rows}
    note_claims(model.__tablename__, ids)
    return [Claim(id, fences[id]) for id in ids]


def still_ours(session: Session, model: Any, claim: Claim, values: dict[str, Any]) -> bool:
    """Write to a claimed row and let it go, unless somebody else has claimed it since.

    Returns:
        Whether the row was still ours; if not, nothing was written.
    """
    result = session.execute(
        update(model)
        .where(model.id == claim.id, model.fence == claim.fence)
        .values(claimed_until=None, **values)
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def all_still_ours(session: Session, model: Any, claims: Sequence[Claim]) -> set[int]:
    """Which of many claimed rows are still ours, locked until the transaction ends; for writing them in one go.

    Returns:
        Their ids. Write `claimed_until=None` with the rest to let them go.
    """
    fences = {each.id: each.fence for each in claims}
    rows = session.execute(select(model.id, model.fence).where(model.id.in_(fences)).with_for_update())
    return {row.id for row in rows if fences[row.id] == row.fence}


def take_lease(session: Session, name: str, now: datetime, lease: timedelta, holder: str = WORKER) -> bool:
    """Take or prolong a named right. Commit to make it hold.

    Returns:
        Whether it is ours until `now + lease`.
    """
    result = session.execute(
        update(Lease)
        .where(Lease.name == name, or_(Lease.until < now, Lease.holder == holder, Lease.until > now + lease + SKEW))
        .values(holder=holder, until=now + lease)
    )
    if result.rowcount:  # type: ignore[attr-defined]
        return True
    try:
        with session.begin_nested():
            session.execute(insert(Lease).values(name=name, holder=holder, until=now + lease))
    except IntegrityError:
        return False
    return True


def queue(session: Session, name: str) -> None:
    """Wait until no other transaction holds this name, and hold it until this one ends.

    Short writes that must not interleave queue here; on SQLite, writers do so anyway.
    """
    insert_missing(session, Lease, [{"name": name, "holder": "", "until": datetime(1970, 1, 1, tzinfo=UTC)}])
    session.execute(select(Lease.name).where(Lease.name == name).with_for_update()).all()


@contextmanager
def prolonged(
    sessions: Sessions, name: str, clock: Callable[[], datetime], lease: timedelta, every: timedelta
) -> Iterator[None]:
    """Keep a named right while slow work goes on, by prolonging it now and then in a thread of its own.

    A process that dies stops prolonging, and the right is free when the lease ends.
    """
    done = threading.Event()

    def prolong() -> None:
        while not done.wait(every.total_seconds()):
            try:
                with sessions.begin() as session:
                    take_lease(session, name, clock(), lease)
            except (SQLAlchemyError, TimeoutError):
                log.exception("The right “%s” could not be prolonged.", name)

    thread = threading.Thread(target=prolong, name=f"prolongs {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def give_back(session: Session, name: str, holder: str = WORKER) -> None:
    """Let a named right go before its time."""
    session.execute(delete(Lease).where(Lease.name == name, Lease.holder == holder))


def take_tick(session: Session, job: str, due_at: datetime, every: timedelta | None = None) -> bool:
    """Take one due moment of a scheduled job.

    Moments that lie well ahead were taken by a clock that has been set back since. They are forgotten, or the job would
    rest until that time comes again.

    Args:
        job: Its name.
        due_at: The moment.
        every: The time between two of its moments, for a job whose moments are those of the clock.

    Returns:
        Whether this process is the one that runs it.
    """
    if was_set_back(session, job, due_at, every):
        session.execute(delete(Tick).where(Tick.job == job, Tick.due_at >= due_at))
    # Not by an error: with many clocks most insert in vain, and PostgreSQL would log each of them.
    add = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    taken = add(Tick).values(job=job, due_at=due_at).on_conflict_do_nothing().returning(Tick.job)
    return session.scalar(taken) is not None


def is_taken(session: Session, job: str, due_at: datetime, every: timedelta | None = None) -> bool:
    """Whether somebody has taken a due moment; see `take_tick`. Asked first, most clocks need not write to find out,
    which on SQLite makes them queue."""
    if session.scalar(select(1).where(Tick.job == job, Tick.due_at == due_at)) is None:
        return False
    return not was_set_back(session, job, due_at, every)


def was_set_back(session: Session, job: str, due_at: datetime, every: timedelta | None) -> bool:
    """Whether moments were taken that lie so far ahead that the clock must have been set back since."""
    if every is None:
        return False
    newest = session.scalar(select(func.max(Tick.due_at)).where(Tick.job == job))
    return newest is not None and newest > due_at + max(every, SKEW)


def forget_ticks(session: Session, before: datetime) -> None:
    """Remove ticks that no clock will offer again."""
    session.execute(delete(Tick).where(Tick.due_at < before))
