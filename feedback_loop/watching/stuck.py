"""What does not go on by itself, kind by kind: found by an index, tried again or given up by a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, or_, select, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.integrations.models import (
    Delivery,
    DeliveryState,
    Endpoint,
    IssueState,
    Tracker,
    TrackerComment,
    TrackerIssue,
)
from feedback_loop.jobs.claims import SKEW
from feedback_loop.jobs.models import StepRun
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses import waiting
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey
from feedback_loop.watching.models import StuckDecision

SHOWN = 20  # rows of each kind
COUNTED = 1_000  # beyond that it says "1,000 or more"
AT_ONCE = 1_000  # rows that one press of a button changes
LONG = timedelta(hours=6)  # of trying a mail
NOT_RUNNING = timedelta(minutes=2)  # without a step of any worker
LATE = 3  # times its interval, and NOT_RUNNING, until a single step counts as not looking
DECISIONS_SHOWN = 10
NO_WORKER, SOMETHING = "No worker is running", "Something is stuck"


class Refused(ValueError):
    """It cannot be done; the message says why."""


@dataclass(frozen=True)
class Stuck:
    """One thing that is stuck.

    Attributes:
        id: Of its row.
        what: For people; without words or addresses of customers.
        since: Since when.
        tried: How often.
        why: In words.
    """

    id: int
    what: str
    since: datetime
    tried: int
    why: str


@dataclass(frozen=True)
class Kind:
    """One kind of thing that may be stuck.

    Attributes:
        name: In addresses.
        key: Column of their ids.
        title: Over its list.
        discarding: What giving one up means.
        ids: Query of the ids of all.
        described: Query of what is shown, to be narrowed by ids.
        retry, discard: Change the rows of some ids.
    """

    name: str
    key: Any
    title: str
    discarding: str
    ids: Callable[[datetime], Any]
    described: Callable[[Session, Sequence[int]], list[Stuck]]
    retry: Callable[[Session, Sequence[int], datetime], int]
    discard: Callable[[Session, Sequence[int], str, datetime], int]


@dataclass(frozen=True)
class Listed:
    """A kind with the first of its rows, and how many there are; at most `COUNTED`."""

    kind: Kind
    rows: list[Stuck]
    count: int

    @property
    def more(self) -> bool:
        """Whether there are as many as were counted, or more."""
        return self.count >= COUNTED


def changed(session: Session, model: Any, ids: Sequence[int], where: ColumnElement[bool], **values: Any) -> int:
    """Change rows that are still as they were when somebody looked."""
    return session.execute(  # type: ignore[attr-defined, no-any-return]
        update(model).where(model.id.in_(ids), where).values(**values).execution_options(synchronize_session=False)
    ).rowcount


def answers(session: Session, ids: Sequence[int]) -> list[Stuck]:
    """Answers that were set aside."""
    rows = session.execute(
        select(Answer.id, Answer.set_aside_at, Answer.attempts, Answer.trouble, Answer.redacted_at, Survey.name)
        .join(Survey, Survey.id == Answer.survey_id)
        .where(Answer.id.in_(ids))
    ).all()
    return [
        Stuck(
            row.id,
            f"Answer to {row.name}, {'to be analysed' if row.redacted_at else 'to be redacted'}",
            row.set_aside_at,
            row.attempts,
            row.trouble or waiting.DIED,
        )
        for row in rows
        if row.set_aside_at is not None
    ]


def mails(session: Session, ids: Sequence[int]) -> list[Stuck]:
    """Mails that failed or are long in trying. Whose they are is left out: this is a page of operators."""
    rows = session.execute(
        select(
            Notification.id, Notification.kind, Notification.created_at, Notification.attempts, Notification.reason
        ).where(Notification.id.in_(ids))
    ).all()
    return [
        Stuck(row.id, f"Mail “{row.kind.replace('_', ' ')}”", row.created_at, row.attempts, row.reason) for row in rows
    ]


def deliveries(session: Session, ids: Sequence[int]) -> list[Stuck]:
    """Events that did not arrive at an endpoint."""
    rows = session.execute(
        select(Delivery.id, Delivery.type, Delivery.created_at, Delivery.attempts, Delivery.reason, Endpoint.name)
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(Delivery.id.in_(ids))
    ).all()
    return [Stuck(row.id, f"{row.type} for {row.name}", row.created_at, row.attempts, row.reason) for row in rows]


def issues(session: Session, ids: Sequence[int]) -> list[Stuck]:
    """Issues that could not be made."""
    rows = session.execute(
        select(
            TrackerIssue.id, TrackerIssue.created_at, TrackerIssue.attempts, TrackerIssue.reason,
            TrackerIssue.action_item_id, Tracker.name,
        )
        .join(Tracker, Tracker.id == TrackerIssue.tracker_id)
        .where(TrackerIssue.id.in_(ids))
    ).all()  # fmt: skip
    return [
        Stuck(row.id, f"Issue in {row.name} for action item {row.action_item_id}", row.created_at, row.attempts,
              row.reason)
        for row in rows
    ]  # fmt: skip


def comments(session: Session, ids: Sequence[int]) -> list[Stuck]:
    """Comments that an issue was to get."""
    rows = session.execute(
        select(
            TrackerComment.id, TrackerComment.created_at, TrackerComment.attempts, TrackerComment.reason,
            TrackerIssue.external_id, Tracker.name,
        )
        .join(TrackerIssue, TrackerIssue.id == TrackerComment.issue_id)
        .join(Tracker, Tracker.id == TrackerIssue.tracker_id)
        .where(TrackerComment.id.in_(ids))
    ).all()  # fmt: skip
    return [
        Stuck(row.id, f"Comment on {row.external_id} in {row.name}", row.created_at, row.attempts, row.reason)
        for row in rows
    ]


# Written out, not bound: SQLite takes an index of some rows only where it reads which.
FAILED_MAIL = Notification.state == literal_column("'failed'")
PENDING_MAIL = Notification.state == literal_column("'pending'")
TRIED_MAIL = PENDING_MAIL & (Notification.attempts > literal_column("0"))
FAILED_DELIVERY = Delivery.state == DeliveryState.FAILED
FAILED_ISSUE = (TrackerIssue.state == IssueState.FAILED) & (TrackerIssue.external_id == "")
FAILED_COMMENT = TrackerComment.state == IssueState.FAILED
ANEW: dict[str, Any] = {"reason": "", "claimed_until": None}
DISCARDED = "Given up by a colleague: {}"


def nobody_is_at(now: datetime) -> ColumnElement[bool]:
    """Mails that no worker is sending at this moment: what it does with one could not be told any more."""
    return or_(Notification.claimed_until.is_(None), Notification.claimed_until < now)


def send_again(session: Session, ids: Sequence[int], now: datetime) -> int:
    """Mails under the Message-ID that they had; their time for trying begins anew. Not what its author has erased."""
    kept = FAILED_MAIL & Notification.data["is_erased"].as_string().is_(None)
    return changed(
        session, Notification, ids, kept, **ANEW, state=NotificationState.PENDING, attempts=0, deaths=0,
        created_at=now, next_at=now, fence=Notification.fence + 1,
    )  # fmt: skip


def skip_mails(session: Session, ids: Sequence[int], why: str, now: datetime) -> int:
    """Send these no more."""
    waiting = (FAILED_MAIL | PENDING_MAIL) & nobody_is_at(now)
    return changed(
        session, Notification, ids, waiting, state=NotificationState.SKIPPED,
        reason=DISCARDED.format(why)[:500], fence=Notification.fence + 1, claimed_until=None,
    )  # fmt: skip


def give_up_issues(session: Session, ids: Sequence[int], why: str, now: datetime) -> int:
    """Nobody is to make these any more; their item says so."""
    return changed(
        session, TrackerIssue, ids, FAILED_ISSUE, reason=DISCARDED.format(why)[:500], changed_at=now, is_open=False
    )


def long_tried(now: datetime) -> ColumnElement[bool]:
    """Mails that have been tried for hours."""
    return TRIED_MAIL & (Notification.created_at < now - LONG)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "answers",
            Answer.id,
            "Answers that were set aside",
            "An answer whose words could not be read loses them for good; its score counts. One that could not be "
            "analysed keeps its words and belongs to no complaint.",
            lambda _now: select(Answer.id).where(Answer.set_aside_at.is_not(None)).order_by(Answer.set_aside_at),
            answers,
            waiting.try_again,
            lambda session, ids, _why, now: waiting.leave_out(session, ids, now),
        ),
        Kind(
            "mails",
            Notification.id,
            "Mails that failed",
            "It is not sent. Whoever it was for does not hear of it.",
            lambda _now: select(Notification.id).where(FAILED_MAIL).order_by(Notification.id.desc()),
            mails,
            send_again,
            skip_mails,
        ),
        Kind(
            "tried-mails",
            Notification.id,
            "Mails that have been tried for more than six hours",
            "It is not sent. Whoever it was for does not hear of it.",
            lambda now: select(Notification.id).where(long_tried(now)).order_by(Notification.created_at),
            mails,
            lambda session, ids, now: changed(
                session, Notification, ids, PENDING_MAIL & nobody_is_at(now), next_at=now, claimed_until=None,
                fence=Notification.fence + 1,
            ),
            skip_mails,
        ),
        Kind(
            "webhooks",
            Delivery.id,
            "Events that did not arrive",
            "The other system does not hear of it.",
            lambda _now: select(Delivery.id)
            .where(Delivery.endpoint_id.in_(select(Endpoint.id)), FAILED_DELIVERY)
            .order_by(Delivery.id.desc()),
            deliveries,
            lambda session, ids, now: changed(
                session, Delivery, ids, FAILED_DELIVERY, **ANEW, state=DeliveryState.PENDING, attempts=0,
                created_at=now, next_at=now, fence=Delivery.fence + 1,
            ),
            lambda session, ids, why, _now: changed(
                session, Delivery, ids, FAILED_DELIVERY, state=DeliveryState.SKIPPED,
                reason=DISCARDED.format(why)[:500], claimed_until=None,
            ),
        ),
        Kind(
            "issues",
            TrackerIssue.id,
            "Issues that could not be made",
            "No issue is made. The action item stays as it is.",
            lambda _now: select(TrackerIssue.id)
            .where(FAILED_ISSUE, TrackerIssue.is_open)
            .order_by(TrackerIssue.id.desc()),
            issues,
            # Attempts are kept: whoever tries again looks first whether it was made after all.
            lambda session, ids, now: changed(
                session, TrackerIssue, ids, FAILED_ISSUE, **ANEW, state=IssueState.PENDING, next_at=now, changed_at=now
            ),
            give_up_issues,
        ),
        Kind(
            "comments",
            TrackerComment.id,
            "Comments that trackers did not take",
            "The issue is not told.",
            lambda _now: select(TrackerComment.id).where(FAILED_COMMENT).order_by(TrackerComment.id.desc()),
            comments,
            lambda session, ids, now: changed(
                session, TrackerComment, ids, FAILED_COMMENT, **ANEW, state=IssueState.PENDING, next_at=now
            ),
            lambda session, ids, why, _now: changed(
                session, TrackerComment, ids, FAILED_COMMENT, state=IssueState.DONE, next_at=None,
                reason=DISCARDED.format(why)[:500], claimed_until=None,
            ),
        ),
    )
}  # fmt: skip


def listed(session: Session, kind: Kind, now: datetime) -> Listed:
    """The first rows of a kind."""
    query = kind.ids(now)
    ids = list(session.scalars(query.limit(SHOWN)))
    count = len(ids)
    if count == SHOWN:
        count = session.scalar(select(func.count()).select_from(query.limit(COUNTED).subquery())) or 0
    place = {id: number for number, id in enumerate(ids)}
    rows = sorted(kind.described(session, ids), key=lambda row: place[row.id]) if ids else []
    return Listed(kind, rows, count)


def everything(session: Session, now: datetime) -> list[Listed]:
    """All kinds of which something is stuck."""
    return [found for kind in present(session, now) if (found := listed(session, kind, now)).count]


def present(session: Session, now: datetime) -> list[Kind]:
    """The kinds of which something is stuck, asked in one statement: mostly there is none."""
    kinds = list(KINDS.values())
    found = session.execute(select(*(kind.ids(now).exists() for kind in kinds))).one()
    return [kind for kind, is_there in zip(kinds, found, strict=True) if is_there]


def notice(session: Session, now: datetime) -> str:
    """What to tell on other pages: that no worker runs, or that something is stuck; empty where all is well."""
    found = steps(session, now)
    if not found.is_running:
        return NO_WORKER
    if found.failing or present(session, now):
        return SOMETHING
    return ""


@dataclass(frozen=True)
class StepState:
    """How the steps of the workers fare.

    Attributes:
        is_running: Whether any worker has ended a step lately.
        last: When one last did; None if never.
        failing: Steps whose last run failed.
        late: Steps that have not looked for long although workers run.
    """

    is_running: bool
    last: datetime | None
    failing: list[StepRun]
    late: list[StepRun]


def steps(session: Session, now: datetime) -> StepState:
    """How the steps of the workers fare."""
    rows = session.scalars(select(StepRun).order_by(StepRun.name)).all()
    # What lies ahead was written by a clock that has been set back since, and says nothing of today.
    last = max((row.ended_at for row in rows if row.ended_at and row.ended_at <= now + SKEW), default=None)
    is_running = last is not None and now - last < NOT_RUNNING
    failing = [row for row in rows if row.failing_since is not None]
    late = [
        row
        for row in rows
        if is_running
        and row.ended_at
        and now - row.ended_at > LATE * timedelta(seconds=row.every_seconds) + NOT_RUNNING
    ]
    return StepState(is_running, last, failing, late)


def decide(session: Session, kind: Kind, verb: str, row_id: int | None, why: str, by: User, now: datetime) -> int:
    """Have stuck rows tried again, or give them up; and write down who did.

    Args:
        verb: `retry` or `discard`.
        row_id: The one; all of the kind by default, at most `AT_ONCE`.
        why: The reason; needed to give up.

    Returns:
        How many rows that were.

    Raises:
        Refused: There is no reason, or nothing is stuck any more.
    """
    why = why.strip()
    if verb == "discard" and not why:
        raise Refused("Say why it is given up.")
    query = kind.ids(now)
    if row_id is not None:
        query = query.where(kind.key == row_id)
    ids = list(session.scalars(query.limit(AT_ONCE)))
    count = 0
    if ids:
        count = kind.retry(session, ids, now) if verb == "retry" else kind.discard(session, ids, why, now)
    if not ids:
        raise Refused("It is not stuck any more.")
    if not count:
        raise Refused("Nothing is changed: it is being tried at this moment, or its author has erased it.")
    session.add(
        StuckDecision(at=now, by_id=by.id, kind=kind.name, verb=verb, row_id=row_id, count=count, why=why[:300])
    )
    return count


def decisions(session: Session) -> Sequence[StuckDecision]:
    """What people decided lately."""
    return session.scalars(select(StuckDecision).order_by(StuckDecision.id.desc()).limit(DECISIONS_SHOWN)).all()
