"""The loop as one table: which step picks up what, and how often it looks.

No step calls the next. Each leaves rows in a state, and the step that is due for that state finds them at its next
look; a job that got lost therefore loses no work. Reading `STEPS` from top to bottom is reading the loop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, select

from feedback_loop.accounts.once import forget_requests
from feedback_loop.actions.service import open_missing
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.complaints.service.searching import due, forget_searches
from feedback_loop.complaints.service.spikes import look_for_spikes
from feedback_loop.complaints.spikes import LOOK
from feedback_loop.db import Sessions, reading
from feedback_loop.followups.service import draw_due_verdict, due_for_verdict
from feedback_loop.jobs.claims import forget_ticks
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import drain_outbox
from feedback_loop.responses.mailings.asking import ask_due
from feedback_loop.responses.mailings.service import forget_rejects
from feedback_loop.responses.models import Answer
from feedback_loop.responses.receiving import forget_unconfirmed
from feedback_loop.responses.service import destroy_expired, redact_pending
from feedback_loop.settings import Settings

if TYPE_CHECKING:
    from feedback_loop.analysis.embedding import Embedder
    from feedback_loop.complaints.models import Refine
    from feedback_loop.complaints.service.analyse import LastExemplars


log = logging.getLogger(__name__)


@dataclass
class Context:
    """What a step works with."""

    settings: Settings
    sessions: Sessions
    clock: Callable[[], datetime] = utc_now
    stop: threading.Event = field(default_factory=threading.Event)  # set when the worker is to end

    @cached_property
    def embedder(self) -> Embedder:
        """The embedding model, loaded when the first step needs it."""
        from feedback_loop.analysis.embedding import load_embedder

        return load_embedder(self.settings.embedding_model)

    @cached_property
    def exemplars(self) -> LastExemplars:
        """The exemplars as last read, which few passes find changed."""
        from feedback_loop.complaints.service.analyse import LastExemplars

        return LastExemplars()

    @property
    def loaded_model(self) -> str | None:
        """Name of the embedding model if a step has needed it already."""
        embedder: Embedder | None = self.__dict__.get("embedder")
        return embedder.name if embedder is not None else None

    def any(self, *where: ColumnElement[bool]) -> bool:
        """Whether a row is waiting; asked without disturbing writers."""
        with reading(self.sessions) as session:
            return session.scalar(select(1).where(*where).limit(1)) is not None


def redact(context: Context) -> int:
    """Blank out personal details in new answers."""
    count = 0
    while not context.stop.is_set() and context.any(Answer.redacted_at.is_(None)):
        done = redact_pending(context.sessions, context.settings, context.clock())
        if not done:
            break  # the rest is claimed by another worker
        count += done
    return count


def analyse(context: Context, progress: Callable[[int], None] | None = None) -> int:
    """Turn redacted answers into statements and assign these to known complaints."""
    from feedback_loop.complaints.service.analyse import analyse_pending

    count = 0
    waiting = (Answer.redacted_at.is_not(None), Answer.analysed_at.is_(None))
    while not context.stop.is_set() and context.any(*waiting):
        done = analyse_pending(context.sessions, context.embedder, context.clock, last=context.exemplars)
        if not done:
            break
        count += done
        if progress:
            progress(done)
    return count


def open_items(context: Context) -> int:
    """Open an action item for each new complaint and route it."""
    count = 0
    while True:
        with context.sessions.begin() as session:
            done = open_missing(session, context.clock())
        count += done
        if not done:
            return count


def understand(context: Context) -> int:
    """From new answers to assigned statements."""
    return redact(context) + analyse(context)


def refine_now(context: Context, seed: int = 1, progress: Callable[[str, float], None] | None = None) -> Refine | None:
    """Refine, then give new complaints their action items."""
    from feedback_loop.complaints.service.refine import refine

    run = refine(context.sessions, context.embedder, context.clock, seed, progress)
    open_items(context)
    return run


def refine_when_due(context: Context) -> int:
    """Find new complaints once enough is new."""
    from feedback_loop.complaints.due import refine_is_due

    gap = timedelta(minutes=context.settings.refine_minutes)
    with reading(context.sessions) as session:
        due = refine_is_due(session, context.clock(), gap, context.loaded_model)
    if not due:
        return 0
    from feedback_loop.complaints.service.refine import RefineRunning

    try:
        return 1 if refine_now(context) else 0
    except RefineRunning:
        return 0


def ask(context: Context) -> int:
    """Owe the next mails of mailings: invitations, and reminders to those who have not answered."""
    return ask_due(context.sessions, context.settings, context.clock())


def send_mail(context: Context) -> int:
    """Send what is owed."""
    due = (Notification.state == NotificationState.PENDING, Notification.next_at <= context.clock())
    if not context.any(*due):
        return 0
    done = drain_outbox(context.sessions, context.settings, context.clock, stop=context.stop.is_set)
    if done.channel_down:
        log.warning("No mail can be sent just now; everything waits. %s", done.channel_down)
    return done.sent


def spikes(context: Context) -> int:
    """Raise, renew and end alerts of complaints that are said unusually often."""
    with context.sessions.begin() as session:
        return look_for_spikes(session, context.clock())


def search(context: Context) -> int:
    """Answer those who search."""
    count = 0
    while not context.stop.is_set() and context.any(*due(context.clock())):
        from feedback_loop.complaints.service.find import answer_searches

        done = answer_searches(context.sessions, context.embedder, context.clock)
        if not done:
            break
        count += done
    return count


def verdicts(context: Context) -> int:
    """Draw the verdicts whose time is over."""
    with reading(context.sessions) as session:
        due = due_for_verdict(session, context.clock(), context.settings)
    for closure_id in due:
        with context.sessions.begin() as session:
            draw_due_verdict(session, closure_id, context.clock(), context.settings)
    return len(due)


def count(context: Context) -> int:
    """Count what complaints carry from nothing, a few at a time, so that no mistake lasts."""
    with reading(context.sessions) as session:
        ids = session.scalars(select(Complaint.id).where(Complaint.statement_count > 0)).all()
    for id in ids:
        with context.sessions.begin() as session:
            count_again(session, [id])
    return len(ids)


def tidy(context: Context) -> int:
    """Destroy raw texts whose time is over, and forget old ticks, searches, requests and what was never confirmed."""
    with context.sessions.begin() as session:
        forget_unconfirmed(session, context.clock())
        forget_ticks(session, context.clock() - timedelta(days=2))
        forget_searches(session, context.clock())
        forget_rejects(session, context.clock())
        forget_requests(session, context.clock())
        return destroy_expired(session, context.clock())


@dataclass(frozen=True)
class Step:
    """One step of the loop.

    Attributes:
        name: For logs.
        run: Does all that is due and returns how much that was.
        every: How often it looks.
        once: Whether one process on behalf of all looks at each due moment. Steps that claim their rows need not.
    """

    name: str
    run: Callable[[Context], int]
    every: timedelta
    once: bool = False


STEPS = (
    Step("understand", understand, timedelta(seconds=2)),
    Step("refine", refine_when_due, timedelta(seconds=20), once=True),
    Step("open items", open_items, timedelta(seconds=20), once=True),
    Step("spikes", spikes, LOOK, once=True),
    Step("search", search, timedelta(seconds=1)),
    Step("ask", ask, timedelta(seconds=5)),
    Step("send mail", send_mail, timedelta(seconds=2)),
    Step("verdicts", verdicts, timedelta(minutes=1), once=True),
    Step("tidy", tidy, timedelta(hours=1), once=True),
    Step("count", count, timedelta(days=1), once=True),
)
