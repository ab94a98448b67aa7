"""The counts that complaints carry, so that lists need no counting.

Whoever changes the place of statements says which (`Change`), and only what these touch is counted: the work grows with
what is new, not with what is stored. `count_again` counts from nothing; it runs once a day over all, and where so much
has changed that it is cheaper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, case, func, select, tuple_, update
from sqlalchemy.orm import Session

from feedback_loop.complaints.models import Complaint, Statement

CHUNK = 500
MANY = 5_000  # changes from which counting everything anew is cheaper


@dataclass(frozen=True)
class Change:
    """A statement that is written: the complaint it was in and the one it is in, None for none.

    Attributes:
        customer_id: Who said it, needed where the statement is gone; otherwise read from the database.
    """

    statement_id: int
    was: int | None
    now: int | None
    is_gone: bool = False
    customer_id: int | None = None


def lock(session: Session, complaint_ids: Sequence[int]) -> None:
    """Workers that touch the same complaint count one after the other, so that each sees what the other wrote.

    Not a full lock: statements being inserted hold a key share of their complaint.
    """
    locked = select(Complaint.id).where(Complaint.id.in_(complaint_ids)).order_by(Complaint.id)
    session.execute(locked.with_for_update(key_share=True)).all()


def count_changes(session: Session, changes: Iterable[Change]) -> None:
    """Bring the counts of complaints in line with statements that have just been written.

    Args:
        changes: All of them, after they were flushed.
    """
    changes = [each for each in chained(changes) if each.was != each.now]
    touched = sorted({id for each in changes for id in (each.was, each.now) if id is not None})
    if not touched:
        return
    if len(changes) > MANY:
        count_again(session, touched)
        return
    for start in range(0, len(touched), CHUNK):
        lock(session, touched[start : start + CHUNK])
    customers: dict[int, int | None] = {}
    stands: dict[int, int | None] = {}
    alive = [each.statement_id for each in changes if not each.is_gone]
    for start in range(0, len(alive), CHUNK):
        for key, complaint_id, customer_id in session.execute(
            select(Statement.id, Statement.complaint_id, Statement.customer_id).where(
                Statement.id.in_(alive[start : start + CHUNK])
            )
        ):
            customers[key], stands[key] = customer_id, complaint_id
    # One that is gone or stands elsewhere was written by somebody else, who counts it.
    changes = [each for each in changes if each.is_gone or stands.get(each.statement_id, -1) == each.now]
    statements: Counter[int] = Counter()
    anonymous: Counter[int] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    for each in changes:
        customer = each.customer_id if each.is_gone else customers[each.statement_id]
        for id, step in ((each.was, -1), (each.now, 1)):
            if id is None:
                continue
            statements[id] += step
            if customer is None:
                anonymous[id] += step
            else:
                pairs[id, customer] += step
    people = count_people(session, pairs)
    table = Complaint.__table__
    session.connection().execute(
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("key"))
        .values(
            statement_count=table.c.statement_count + bindparam("statements"),
            people_count=table.c.people_count + bindparam("people"),
            anonymous_count=table.c.anonymous_count + bindparam("anonymous"),
        ),
        [{"key": id, "statements": statements[id], "people": people[id], "anonymous": anonymous[id]} for id in touched],
    )
    date_again(session, touched)


def date_again(session: Session, complaint_ids: Iterable[int]) -> None:
    """Look up when complaints were first and last heard of: the two ends of a stretch of an index."""
    first = select(func.min(Statement.said_at)).where(Statement.complaint_id == Complaint.id).scalar_subquery()
    last = select(func.max(Statement.said_at)).where(Statement.complaint_id == Complaint.id).scalar_subquery()
    session.execute(
        update(Complaint)
        .where(Complaint.id.in_(complaint_ids))
        .values(first_said_at=first, last_said_at=last)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()


def chained(changes: Iterable[Change]) -> list[Change]:
    """One change for each statement: from where it was at first to where it is in the end."""
    first: dict[tuple[int, bool], Change] = {}
    for each in changes:
        key = each.statement_id, each.is_gone
        before = first.get(key)
        first[key] = each if before is None else replace(each, was=before.was)
    return list(first.values())


def count_people(session: Session, pairs: Counter[tuple[int, int]]) -> Counter[int]:
    """By how many customers each complaint has grown or shrunk.

    Args:
        pairs: By complaint and customer, how many statements more or fewer there are since the change.
    """
    people: Counter[int] = Counter()
    wanted = sorted((customer, complaint) for complaint, customer in pairs)
    now: dict[tuple[int, int], int] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = session.execute(
            select(Statement.complaint_id, Statement.customer_id, func.count())
            # In the order of the index: SQLite would otherwise go through all statements of each complaint.
            .where(tuple_(Statement.customer_id, Statement.complaint_id).in_(wanted[start : start + CHUNK]))
            .group_by(Statement.customer_id, Statement.complaint_id)
        )
        now.update(((complaint_id or 0, customer_id or 0), count) for complaint_id, customer_id, count in rows)
    for key, step in pairs.items():
        after = now.get(key, 0)
        people[key[0]] += (after > 0) - (after - step > 0)
    return people


def count_again(session: Session, complaint_ids: Iterable[int]) -> None:
    """Count the statements and people of some complaints from nothing, and when these were first and last heard of."""
    wanted = sorted(complaint_ids)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        lock(session, chunk)
        counts = {
            row.complaint_id: row
            for row in session.execute(
                select(
                    Statement.complaint_id,
                    func.count().label("statements"),
                    func.count(Statement.customer_id.distinct()).label("people"),
                    func.sum(case((Statement.customer_id.is_(None), 1), else_=0)).label("anonymous"),
                    func.min(Statement.said_at).label("first"),
                    func.max(Statement.said_at).label("last"),
                )
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
