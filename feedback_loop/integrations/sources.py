"""Finds what has happened. A state is the event (ADR 2): whoever does something announces nothing, rows are looked
through.

A cursor says how far a table has been looked through by id. Two transactions may take ids in one order and commit in
the other, so the last ids before the cursor are looked at again each time; what is owed already is not owed twice. Rows
that are written to later are found by the moment of that writing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionEvent, NotificationRun, RunState
from feedback_loop.clock import day_of
from feedback_loop.complaints.models import Complaint, Spike
from feedback_loop.db import insert_missing
from feedback_loop.followups.models import FollowUp, Verdict
from feedback_loop.integrations.catalogue import HISTORY
from feedback_loop.integrations.models import Cursor
from feedback_loop.responses.models import Answer

OVERLAP = 500  # ids before the cursor that are looked at again
BATCH = 500
RECENT = timedelta(minutes=30)  # longer than any transaction: what is older has been found
RELEASES = timedelta(days=7)  # a run is sent at most so long after it was released
REDACTED_BY = timedelta(hours=1)  # an answer that cannot be redacted holds up those behind it no longer
DAYS_BACK = 7  # over which answers to anonymous surveys are announced after the worker stood still
SETTLED = timedelta(hours=1)  # after the end of a day, so that its last answers are redacted
ANONYMOUS = "anonymous answers"


@dataclass(frozen=True)
class Happened:
    """Something that happened.

    Attributes:
        type: One of the catalogue.
        subject_id: The row it is about.
        at: When.
        key: What makes it this one event, and no other.
    """

    type: str
    subject_id: int
    at: datetime
    key: str

    @property
    def event_id(self) -> str:
        """Its name outside: the same each time, without a full stop, as signatures want it."""
        return f"evt_{self.key}"


@dataclass(frozen=True)
class ById:
    """A table whose rows are events when they are written.

    Attributes:
        table: Its mapped class.
        at: The column that says when.
        type: Of the event, or the column by which `types` names it.
        types: Values of that column, and what they are called outside.
        ready: Rows from which on it is too early to look.
    """

    name: str
    table: Any
    at: Any
    type: Any
    types: dict[str, str] | None = None
    ready: Callable[[Session, datetime], ColumnElement[bool] | None] = lambda _session, _now: None

    def newest(self, session: Session) -> int:
        """The newest row."""
        return session.scalar(select(func.max(self.table.id))) or 0

    def find(self, session: Session, last: int, now: datetime) -> tuple[list[Happened], int, bool]:
        """Look on from a cursor.

        Returns:
            What happened, where the cursor stands now, and whether there may be more.
        """
        kind = self.type if self.types else self.table.id
        where = [self.table.id > max(0, last - OVERLAP)]
        if (ready := self.ready(session, now)) is not None:
            where.append(ready)
        rows = session.execute(
            select(self.table.id, self.at, kind).where(*where).order_by(self.table.id).limit(OVERLAP + BATCH)
        ).all()
        found = []
        for id, at, value in rows:
            name = self.types.get(value) if self.types else self.type
            is_known = id <= last and at < now - RECENT  # no transaction took so long to commit
            if name and not is_known:
                found.append(Happened(name, id, at, f"{self.name}-{id}"))
        newest = max([last, *(row[0] for row in rows)])
        return found, newest, len(rows) == OVERLAP + BATCH and newest > last


def redacted(session: Session, now: datetime) -> ColumnElement[bool]:
    """Answers before the first that is still to be redacted; they are redacted in the order of their ids, nearly."""
    first = session.scalar(
        select(func.min(Answer.id)).where(
            Answer.redacted_at.is_(None), Answer.id > 0, Answer.received_at > now - REDACTED_BY
        )
    )
    return (
        Answer.redacted_at.is_not(None) if first is None else and_(Answer.id < first, Answer.redacted_at.is_not(None))
    )


BY_ID = (
    ById("answer", Answer, Answer.received_at, "answer.received", ready=redacted),
    ById("complaint", Complaint, Complaint.created_at, "complaint.created"),
    ById("history", ActionEvent, ActionEvent.at, ActionEvent.kind, HISTORY),
    ById("spike", Spike, Spike.started_at, "spike.started"),
)


def by_moment(session: Session, now: datetime) -> list[Happened]:
    """What is found by when it was written, over the last half an hour; of runs and anonymous answers, over days."""
    found = []
    rows = session.execute(select(FollowUp.id, FollowUp.answered_at).where(FollowUp.answered_at > now - RECENT))
    for id, at in rows:
        found.append(Happened("follow_up.answered", id, at, f"follow-up-{id}-{int(at.timestamp())}"))
    for id, at in session.execute(select(Verdict.id, Verdict.decided_at).where(Verdict.decided_at > now - RECENT)):
        found.append(Happened("verdict.drawn", id, at, f"verdict-{id}-{int(at.timestamp())}"))
    runs = session.execute(
        select(NotificationRun.id, NotificationRun.state, NotificationRun.released_at).where(
            NotificationRun.state.in_([RunState.HELD, RunState.SENDING, RunState.DONE]),
            NotificationRun.starts_at > now - RELEASES,
            NotificationRun.released_at.is_not(None),
        )
    )
    for run in runs:
        released = run.released_at or now
        found.append(Happened("run.released", run.id, released, f"run-{run.id}-released"))
        if run.state == RunState.DONE:
            found.append(Happened("run.sent", run.id, released, f"run-{run.id}-sent"))
    return found


def anonymous(session: Session, now: datetime) -> list[Happened]:
    """Answers to anonymous surveys, once their day is well over and in the order of their random ids.

    Their moment and their place among others could lead to a person (ADR 12), and the moment at which an event is
    owed would be one as well. The cursor counts days here.
    """
    cursor = session.get(Cursor, ANONYMOUS, with_for_update=True)
    until = day_of(now - SETTLED)
    if cursor is None or cursor.last_id >= until.toordinal():
        return []
    begin = max(until - timedelta(days=DAYS_BACK), datetime.fromordinal(cursor.last_id).replace(tzinfo=UTC))
    cursor.last_id = until.toordinal()
    rows = session.execute(
        select(Answer.id, Answer.answered_at)
        .where(
            Answer.answered_at >= begin,
            Answer.answered_at < until,
            Answer.id < 0,
            Answer.redacted_at.is_not(None),
        )
        .order_by(Answer.id)
    )
    return [Happened("answer.received", id, at, f"answer-{-id}a") for id, at in rows]


def start(session: Session, now: datetime) -> None:
    """Begin to look, from here on; what has been looked at goes on from there."""
    rows = [{"name": each.name, "last_id": each.newest(session)} for each in BY_ID]
    rows.append({"name": ANONYMOUS, "last_id": day_of(now).toordinal()})
    insert_missing(session, Cursor, rows)


def forward(session: Session, now: datetime) -> None:
    """Pass over what nobody asks for."""
    for each in BY_ID:
        if (cursor := session.get(Cursor, each.name)) is not None:
            cursor.last_id = max(cursor.last_id, each.newest(session))
    if (cursor := session.get(Cursor, ANONYMOUS)) is not None:
        cursor.last_id = day_of(now - SETTLED).toordinal()


def look(session: Session, now: datetime, types: Sequence[str]) -> tuple[list[Happened], bool]:
    """Find what has happened since the last look, and move the cursors.

    Args:
        types: That somebody asks for.

    Returns:
        What happened, and whether there may be more.
    """
    found: list[Happened] = []
    is_more = False
    for each in BY_ID:
        cursor = session.get(Cursor, each.name, with_for_update=True)
        if cursor is None:
            continue
        happened, cursor.last_id, goes_on = each.find(session, cursor.last_id, now)
        found += happened
        is_more = is_more or goes_on
    found += by_moment(session, now)
    found += anonymous(session, now)
    return [each for each in found if each.type in types], is_more
