"""Facts for monitoring, read from rows: the same whichever process is asked, and there when no worker runs.

Every query walks an index that holds only what waits, and stops at `CAP`: a depth of `CAP` means "that many or more".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, literal_column, make_url, select, text, union_all
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionItem
from feedback_loop.complaints.models import Complaint, Refine, RefineState, Search
from feedback_loop.db import Sessions, reading
from feedback_loop.integrations.models import (
    Delivery,
    Endpoint,
    IssueState,
    TrackerComment,
    TrackerIssue,
)
from feedback_loop.jobs.models import Lease, StepRun, Tick
from feedback_loop.notifications.models import Notification
from feedback_loop.responses.models import Answer
from feedback_loop.responses.originals import expired
from feedback_loop.responses.waiting import to_analyse, to_redact

CAP = 10_000
REMEMBER = 5.0  # seconds for which the facts hold
OVERDUE = timedelta(minutes=10)  # after the end of a lease; the longest pass that prolongs none is shorter
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Fact:
    """One number.

    Attributes:
        name: Of the metric, without `feedback_loop_`.
        meaning: In a sentence.
        value: The number.
        labels: What of the metric it is.
    """

    name: str
    meaning: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Queue:
    """Rows of one kind that wait.

    Attributes:
        name: What for.
        model: Their table.
        waits: Which wait, all of them now due.
        since: Column that says since when one is due.
        orders: Which is the oldest; else the least of `since` among the first `CAP`.
    """

    name: str
    model: Any
    waits: list[ColumnElement[bool]]
    since: Any
    oldest: list[ColumnElement[bool]] = field(default_factory=list)


def queues(now: datetime) -> list[Queue]:
    """All that waits for workers. Answers of anonymous surveys, whose ids are negative, say no time of day."""
    return [
        Queue("redact", Answer, to_redact(), Answer.received_at, [Answer.id > 0]),
        Queue("analyse", Answer, to_analyse(), Answer.redacted_at, [Answer.id > 0]),
        Queue(
            "mail",
            Notification,
            [Notification.state == literal_column("'pending'"), Notification.next_at <= now],
            Notification.next_at,
        ),
        Queue(
            "webhook",
            Delivery,
            [
                Delivery.endpoint_id.in_(
                    select(Endpoint.id).where(Endpoint.paused_at.is_(None), Endpoint.disabled_at.is_(None))
                ),
                Delivery.state == literal_column("'pending'"),
                Delivery.next_at <= now,
            ],
            Delivery.next_at,
        ),
        Queue(
            "tracker_issue",
            TrackerIssue,
            [TrackerIssue.state == IssueState.PENDING, TrackerIssue.next_at <= now],
            TrackerIssue.next_at,
        ),
        Queue(
            "tracker_comment",
            TrackerComment,
            [TrackerComment.state == IssueState.PENDING, TrackerComment.next_at <= now],
            TrackerComment.next_at,
        ),
        Queue("search", Search, [Search.state == literal_column("'waiting'")], Search.made_at),
    ]


def of_queue(queue: Queue, now: datetime) -> Select[Any]:
    """Name, depth, overdue leases and moment of the oldest of one queue; all are asked in one statement."""
    first = select(queue.since.label("since"), queue.model.claimed_until.label("claimed"))
    rows = first.where(*queue.waits).limit(CAP).subquery()
    told = first.where(*queue.waits, *queue.oldest).limit(CAP).subquery()
    return select(
        literal_column(f"'{queue.name}'").label("name"),
        func.count().label("depth"),
        func.count().filter(rows.c.claimed < now - OVERDUE).label("overdue"),
        select(func.min(told.c.since)).scalar_subquery().label("since"),
    ).select_from(rows)


def of_queues(session: Session, now: datetime) -> Iterator[Fact]:
    """Depth, age and overdue leases of each queue."""
    for name, depth, overdue, since in session.execute(union_all(*(of_queue(queue, now) for queue in queues(now)))):
        age = max((now - since).total_seconds(), 0.0) if since else 0.0
        labels = {"queue": name}
        yield Fact("queue_depth", f"Rows that wait and are due; {CAP} means that many or more.", depth, labels)
        yield Fact("queue_oldest_seconds", "Since when the oldest of them is due; 0 when none is.", age, labels)
        yield Fact("queue_overdue_leases", "Rows whose worker let its lease run out.", overdue, labels)


def capped(key: Any, *where: ColumnElement[bool]) -> ScalarSelect[int]:
    """How many rows; at most `CAP`."""
    return select(func.count()).select_from(select(key).where(*where).limit(CAP).subquery()).scalar_subquery()


def of_outcomes(session: Session, now: datetime) -> Iterator[Fact]:
    """What became of mails and answers, what is kept too long."""
    about = f"at most {CAP}."
    sent, failed, aside = session.execute(
        select(
            capped(Notification.id, Notification.sent_at > now - DAY),
            capped(Notification.id, Notification.state == literal_column("'failed'")),
            capped(Answer.id, Answer.set_aside_at.is_not(None)),
        )
    ).one()
    yield Fact("mails_sent_last_day", f"Mails sent in the last 24 hours; {about}", sent)
    yield Fact("mails_failed", f"Mails that failed for good and that nobody decided on; {about}", failed)
    yield Fact("answers_set_aside", f"Answers that no worker tries any more; {about}", aside)
    late = expired(session, now - timedelta(hours=2), CAP)
    yield Fact("raw_texts_overdue", f"Originals two hours beyond their time; {about}", late)
    endpoints = session.scalars(select(Endpoint)).all()
    yield Fact("endpoints_disabled", "Webhooks that the program has turned off.",
               sum(each.disabled_at is not None for each in endpoints))  # fmt: skip
    yield Fact("endpoints_failing", "Webhooks that are left alone for a while.",
               sum(each.failing_since is not None for each in endpoints))  # fmt: skip


def of_steps(session: Session, now: datetime) -> Iterator[Fact]:
    """How the steps of the workers fare."""
    newest = select(func.max(Tick.due_at)).where(Tick.job == StepRun.name).scalar_subquery()
    for row, tick in session.execute(select(StepRun, newest).order_by(StepRun.name)):
        labels = {"step": row.name}
        if row.ended_at is not None:
            age = (now - row.ended_at).total_seconds()
            yield Fact("step_last_run_seconds", "Since when the step last ended, by any worker.", age, labels)
        yield Fact("step_duration_seconds", "How long its last run took.", row.seconds, labels)
        yield Fact("step_runs_total", "Runs, by all workers.", row.runs, labels)
        yield Fact("step_failures_total", "Runs that failed.", row.failures, labels)
        yield Fact("step_failing", "Whether its last run failed.", row.failing_since is not None, labels)
        if tick is not None:
            age = (now - tick).total_seconds()
            yield Fact("tick_age_seconds", "Age of its newest due moment that a worker took.", age, labels)
    old = session.scalar(
        select(func.count()).select_from(Lease).where(Lease.until < now - OVERDUE, Lease.until > now - DAY)
    )
    yield Fact("rights_run_out", "Named rights that nobody gave back, of the last day.", old or 0)


def of_loop(session: Session, now: datetime) -> Iterator[Fact]:
    """How far the loop is: complaints, action items, and the last refine."""
    for state, count in session.execute(select(Complaint.state, func.count()).group_by(Complaint.state)):
        yield Fact("complaints", "Complaints by state.", count, {"state": state.value})
    for status, count in session.execute(select(ActionItem.status, func.count()).group_by(ActionItem.status)):
        yield Fact("action_items", "Action items by status.", count, {"status": status.value})
    last = session.scalar(select(Refine).where(Refine.state == RefineState.DONE).order_by(Refine.id.desc()).limit(1))
    if last is not None:
        took = (last.finished_at - last.started_at).total_seconds()
        age = (now - last.finished_at).total_seconds()
        yield Fact("refine_age_seconds", "Since when the last refine is done.", age)
        yield Fact("refine_duration_seconds", "How long it took.", took)
        yield Fact("refine_statements", "Statements that it compared.", last.statements)
        yield Fact("refine_complaints", "Complaints that it kept.", last.complaints)
        if last.coverage is not None:
            yield Fact("refine_pool_share", "Share of statements that belong to no complaint.", 1 - last.coverage)


def of_database(session: Session, url: str) -> Iterator[Fact]:
    """How large the database is."""
    name = make_url(url).database or ""
    if make_url(url).get_backend_name() == "sqlite":
        for metric, path in (("database_bytes", Path(name)), ("wal_bytes", Path(f"{name}-wal"))):
            size = path.stat().st_size if path.is_file() else 0
            yield Fact(metric, "Bytes of the database, or of its write-ahead log.", size)
    else:
        size = session.scalar(text("SELECT pg_database_size(current_database())")) or 0
        yield Fact("database_bytes", "Bytes of the database, or of its write-ahead log.", size)


def read(session: Session, url: str, now: datetime) -> list[Fact]:
    """All facts, as of now."""
    return [
        *of_queues(session, now),
        *of_outcomes(session, now),
        *of_steps(session, now),
        *of_loop(session, now),
        *of_database(session, url),
    ]


class Facts:
    """The facts, read again only after some seconds however many ask."""

    def __init__(self, sessions: Sessions, url: str, clock: Callable[[], datetime]) -> None:
        self.sessions, self.url, self.clock = sessions, url, clock
        self.lock = threading.Lock()
        self.known: tuple[float, list[Fact]] | None = None

    def now(self) -> list[Fact]:
        """The facts.

        Raises:
            SQLAlchemyError: The database does not answer.
        """
        with self.lock:
            if self.known is None or time.monotonic() - self.known[0] > REMEMBER:
                with reading(self.sessions) as session:
                    found = read(session, self.url, self.clock())
                self.known = time.monotonic(), found  # from its end on, however long it took
            return self.known[1]
