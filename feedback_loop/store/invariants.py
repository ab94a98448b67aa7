"""What must hold of the rows, whatever happened: crashes, restores, moves. `doctor --deep` and benchmarks ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session, aliased

from feedback_loop.complaints.models import Complaint, Statement
from feedback_loop.db import Base
from feedback_loop.jobs.models import Leased
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey

SAMPLE = 500
LONGEST_LEASE = timedelta(minutes=30)  # all of ours are shorter
RESTORE = "Restore the newest backup, and please report this."
RECOUNT = "The worker counts again once a day. If it is still so tomorrow, please report it."


def broken(session: Session, now: datetime) -> Iterator[tuple[str, str, str]]:
    """Look at each thing that must hold.

    Yields:
        Its name, what was found, and what to do; the last is empty where it holds.
    """
    yield verdict("answers", count_lost(session), "answers without a survey", RESTORE)
    yield verdict("mails", count_twice(session), "mails that are there twice for one person, event and kind", RESTORE)
    unmarked = (Notification.state == NotificationState.SENT, Notification.sent_at.is_(None))
    yield verdict("sent mails", count(session, *unmarked), "mails sent without a time", RESTORE)
    old = sum(count_forgotten(session, model, now) for model in leased_tables())
    yield verdict("leases", old, "rows claimed long ago by a worker that never came back", "Start a worker.")
    wrong = miscounted(session)
    what = f"complaints with wrong counts among the {SAMPLE} heard of last"
    yield verdict("counts", len(wrong), f"{what} [{', '.join(map(str, wrong[:5]))}]", RECOUNT)


def verdict(name: str, found: int, of_what: str, todo: str) -> tuple[str, str, str]:
    """One line."""
    return (name, f"{found:,} {of_what}", todo) if found else (name, f"no {of_what.partition(' [')[0]}", "")


def count(session: Session, *where: object) -> int:
    """How many messages."""
    return session.scalar(select(func.count()).select_from(Notification).where(*where)) or 0  # type: ignore[arg-type]


def count_lost(session: Session) -> int:
    """Answers whose survey is not there."""
    lost = select(func.count()).select_from(Answer).outerjoin(Survey, Survey.id == Answer.survey_id)
    return session.scalar(lost.where(Survey.id.is_(None))) or 0


def count_twice(session: Session) -> int:
    """Messages beyond the first for one person, event and kind."""
    first = aliased(Notification)
    same = (
        first.recipient == Notification.recipient,
        first.event == Notification.event,
        first.kind == Notification.kind,
        first.id < Notification.id,
    )
    return count(session, select(first.id).where(*same).exists())


def leased_tables() -> list[type[Leased]]:
    """The tables whose rows workers claim."""
    return [each.class_ for each in Base.registry.mappers if issubclass(each.class_, Leased)]


def count_forgotten(session: Session, model: type[Leased], now: datetime) -> int:
    """Rows whose lease ran out long ago; a worker would have claimed them again."""
    table = inspect(model).local_table
    late = model.claimed_until < now - 2 * LONGEST_LEASE
    return session.scalar(select(func.count()).select_from(table).where(late)) or 0


def miscounted(session: Session) -> list[int]:
    """Complaints, of those last heard of, that carry other counts than their statements give."""
    sample = (
        select(Complaint.id, Complaint.statement_count, Complaint.people_count, Complaint.anonymous_count)
        .order_by(Complaint.last_said_at.desc(), Complaint.id.desc())
        .limit(SAMPLE)
    )
    carried = {row.id: tuple(row[1:]) for row in session.execute(sample)}
    counted = {
        row[0]: tuple(row[1:])
        for row in session.execute(
            select(
                Statement.complaint_id,
                func.count(),
                func.count(Statement.customer_id.distinct()),
                func.count() - func.count(Statement.customer_id),
            )
            .where(Statement.complaint_id.in_(carried))
            .group_by(Statement.complaint_id)
        )
    }
    return sorted(id for id, found in carried.items() if counted.get(id, (0, 0, 0)) != found)
