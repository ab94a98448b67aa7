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
from feedback_loop.actions.colleagues.mails import tell_colleagues
from feedback_loop.actions.colleagues.reminding import remind
from feedback_loop.actions.levels.rating import rate_open_items
from feedback_loop.actions.levels.service import ensure_level
from feedback_loop.actions.models import ActionItem, NotificationRun, RunState, ServiceLevel
from feedback_loop.actions.routing.learning import read_examples, unread
from feedback_loop.actions.routing.opening import open_missing
from feedback_loop.actions.runs.service import settle
from feedback_loop.actions.triage.service import wake_growing
from feedback_loop.analysis.embedding.loading import thresholds_of
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.complaints.service.searching import due, forget_searches
from feedback_loop.complaints.service.spikes import look_for_spikes
from feedback_loop.complaints.service.weeks import count_weeks
from feedback_loop.complaints.spikes import LOOK
from feedback_loop.db import Sessions, checkpoint, reading
from feedback_loop.followups.asking import apologise_due
from feedback_loop.followups.asking import ask_due as ask_whether_fixed
from feedback_loop.followups.recurring import look_for_relapses
from feedback_loop.followups.service import draw_due_verdict, due_for_verdict
from feedback_loop.inbound.polling import look_into_mailbox
from feedback_loop.integrations.delivering import deliver_due
from feedback_loop.integrations.service import forget_deliveries, owe_events
from feedback_loop.integrations.trackers.work import Work, serve
from feedback_loop.jobs.bell import Queue
from feedback_loop.jobs.claims import forget_ticks
from feedback_loop.jobs.steps import Steps
from feedback_loop.mail import Lines, lines
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import drain_outbox
from feedback_loop.outbound import Outbound, outbound
from feedback_loop.responses.counting import count_days
from feedback_loop.responses.mailings.asking import ask_due
from feedback_loop.responses.mailings.service import forget_rejects
from feedback_loop.responses.originals import destroy_expired
from feedback_loop.responses.receipts import forget_pages
from feedback_loop.responses.receiving import forget_unconfirmed
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.responses.waiting import to_analyse, to_redact
from feedback_loop.settings import Settings

if TYPE_CHECKING:
    from feedback_loop.analysis.embedding.embedder import Embedder
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
    refines_apart: bool = False  # in a process of its own, as workers do
    steps: Steps = field(default_factory=Steps)

    @cached_property
    def embedder(self) -> Embedder:
        """The embedding model, loaded when the first step needs it."""
        from feedback_loop.analysis.embedding.loading import load_embedder

        return load_embedder(self.settings.embedding_model, self.settings.embedding_threads)

    @cached_property
    def mail_lines(self) -> Lines:
        """Lines to the mail server, which stay open for a while."""
        return lines(self.settings)

    @cached_property
    def outbound(self) -> Outbound:
        """What makes requests to other systems."""
        return outbound(self.settings)

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
    while not context.stop.is_set() and context.any(*to_redact()):
        done = redact_pending(context.sessions, context.settings, context.clock())
        if not done:
            break  # the rest is claimed by another worker
        count += done
    return count


def analyse(context: Context, progress: Callable[[int], None] | None = None) -> int:
    """Turn redacted answers into statements and assign these to known complaints."""
    from feedback_loop.complaints.service.analyse import analyse_pending

    count = 0
    while not context.stop.is_set() and context.any(*to_analyse()):
        done = analyse_pending(
            context.sessions, context.embedder, context.clock, last=context.exemplars, stop=context.stop.is_set
        )
        if not done:
            break
        count += done
        if progress:
            progress(done)
    return count


def open_items(context: Context) -> int:
    """Open an action item for each new complaint and route it."""
    count, like = 0, thresholds_of(context.settings.embedding_model).like
    while True:
        with context.sessions.begin() as session:
            done = open_missing(session, context.clock(), like=like)
        count += done
        if not done:
            return count


def learn_rules(context: Context) -> int:
    """Read the examples of routing rules that are new, or that another model has read."""
    with reading(context.sessions) as session:
        due = unread(session, context.loaded_model)
    return read_examples(context.sessions, context.embedder, due) if due else 0


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
    from feedback_loop.complaints.service.apart import refine_apart
    from feedback_loop.complaints.service.refine import RefineRunning
    from feedback_loop.jobs.child import ChildFailed

    try:
        if not context.refines_apart:
            return 1 if refine_now(context) else 0
        if not refine_apart(context.sessions, context.settings, context.clock, context.stop.is_set):
            return 0
    except RefineRunning:
        return 0
    except ChildFailed as error:
        log.error("The refine failed and changed nothing; it is tried again later. %s", error)
        return 0
    open_items(context)
    return 1


def ask(context: Context) -> int:
    """Owe the next mails of mailings: invitations, and reminders to those who have not answered."""
    return ask_due(context.sessions, context.settings, context.clock())


def send_mail(context: Context) -> int:
    """Send what is owed."""
    due = (Notification.state == NotificationState.PENDING, Notification.next_at <= context.clock())
    context.mail_lines.tidy()
    if not context.any(*due):
        return 0
    done = drain_outbox(
        context.sessions, context.settings, context.clock, stop=context.stop.is_set, lines=context.mail_lines
    )
    if done.channel_down:
        log.warning("No mail can be sent just now; everything waits. %s", done.channel_down)
    return done.sent


def settle_runs(context: Context) -> int:
    """Move notification runs on: those whose hold is over, and those that have told everybody."""
    if not context.any(NotificationRun.state.in_([RunState.HELD, RunState.SENDING])):
        return 0
    with context.sessions.begin() as session:
        return settle(session, context.clock())


def spikes(context: Context) -> int:
    """Raise, renew and end alerts of complaints that are said unusually often."""
    with context.sessions.begin() as session:
        return look_for_spikes(session, context.clock())


def count_lately(context: Context) -> int:
    """Count how often complaints were said in the last two weeks."""
    with context.sessions.begin() as session:
        return count_weeks(session, context.clock())


def wake(context: Context) -> int:
    """Take what is snoozed and grows back into triage."""
    if not context.any(ActionItem.snoozed_until > context.clock()):
        return 0
    with context.sessions.begin() as session:
        return wake_growing(session, context.clock())


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


def rate(context: Context) -> int:
    """Keep priority and due date of open items up to date."""
    now = context.clock()
    if not context.any(ServiceLevel.is_default.is_(True)):
        with context.sessions.begin() as session:
            ensure_level(session, context.settings.default_time_zone, now)
    return rate_open_items(context.sessions, context.settings.priority_thresholds, now)


def remind_colleagues(context: Context) -> int:
    """Note for colleagues what is due, late, or came back too often."""
    return remind(context.sessions, context.clock())


def tell(context: Context) -> int:
    """Owe colleagues what is urgent, and their digests."""
    return tell_colleagues(context.sessions, context.settings, context.clock())


def verdicts(context: Context) -> int:
    """Draw the verdicts whose time is over."""
    with reading(context.sessions) as session:
        due = due_for_verdict(session, context.clock(), context.settings)
    for closure_id in due:
        with context.sessions.begin() as session:
            draw_due_verdict(session, closure_id, context.clock(), context.settings)
    return len(due)


def find_events(context: Context) -> int:
    """Owe other systems what has happened."""
    count = 0
    while not context.stop.is_set():
        with context.sessions.begin() as session:
            done, is_more = owe_events(session, context.clock())
        count += done
        if not is_more:
            break
    return count


def call_out(context: Context) -> int:
    """Send other systems what is owed to them."""
    return deliver_due(context.sessions, context.settings, context.clock, context.outbound, context.stop.is_set)


def trackers(context: Context) -> int:
    """Make issues in trackers, look at them, and comment on them."""
    call = context.outbound.request
    return serve(Work(context.sessions, context.settings, context.clock, call, context.stop.is_set))


def follow_ups(context: Context) -> int:
    """Ask those who were told of a fix whether it helped, and apologise where it did not."""
    now = context.clock()
    return ask_whether_fixed(context.sessions, context.settings, now) + apologise_due(
        context.sessions, context.settings, now
    )


def recurrence(context: Context) -> int:
    """Open again what came back after it was closed as fixed."""
    return look_for_relapses(context.sessions, context.clock())


def take_mails(context: Context) -> int:
    """Take in mails that came back and replies, from the mailbox if there is one."""
    return look_into_mailbox(context.sessions, context.settings, context.clock, context.stop.is_set)


def count(context: Context) -> int:
    """Count what complaints carry from nothing, a few at a time, so that no mistake lasts."""
    with reading(context.sessions) as session:
        ids = session.scalars(select(Complaint.id).where(Complaint.statement_count > 0)).all()
    for id in ids:
        with context.sessions.begin() as session:
            count_again(session, [id])
    return len(ids)


def count_answers(context: Context) -> int:
    """Count the answers of days that are over, for the pages that show sums."""
    return count_days(context.sessions, context.clock())


def tidy(context: Context) -> int:
    """Destroy raw texts whose time is over, and forget old ticks, searches, requests, what was never confirmed
    and the pages of anonymous answers."""
    with context.sessions.begin() as session:
        forget_unconfirmed(session, context.clock())
        forget_pages(session, context.clock())
        forget_ticks(session, context.clock() - timedelta(days=2))
        forget_searches(session, context.clock())
        forget_rejects(session, context.clock())
        forget_requests(session, context.clock())
        forget_deliveries(session, context.clock())
        return destroy_expired(session, context.clock())


@dataclass(frozen=True)
class Step:
    """One step of the loop.

    Attributes:
        name: For logs.
        run: Does all that is due and returns how much that was.
        every: How often it looks.
        once: Whether one process on behalf of all looks at each due moment. Steps that claim their rows need not.
        queue: By which workers can be told apart.
        is_apart: Whether its work is in a process of its own, so that it takes no place of its queue.
    """

    name: str
    run: Callable[[Context], int]
    every: timedelta
    once: bool = False
    queue: Queue = Queue.DEFAULT
    is_apart: bool = False


STEPS = (
    Step("understand", understand, timedelta(seconds=2), queue=Queue.ANALYSIS),
    Step("refine", refine_when_due, timedelta(seconds=20), once=True, queue=Queue.ANALYSIS, is_apart=True),
    Step("learn rules", learn_rules, timedelta(seconds=3), queue=Queue.ANALYSIS),
    Step("open items", open_items, timedelta(seconds=20), once=True),
    Step("rate", rate, timedelta(minutes=2), once=True),
    Step("remind", remind_colleagues, timedelta(minutes=5), once=True),
    Step("tell colleagues", tell, timedelta(minutes=1), once=True),
    Step("spikes", spikes, LOOK, once=True),
    Step("count weeks", count_lately, timedelta(minutes=5), once=True),
    Step("wake", wake, timedelta(minutes=1), once=True),
    Step("search", search, timedelta(seconds=1), queue=Queue.ANALYSIS),
    Step("ask", ask, timedelta(seconds=5)),
    Step("send mail", send_mail, timedelta(seconds=2), queue=Queue.MAIL),
    Step("take mails", take_mails, timedelta(minutes=1), once=True),
    Step("settle runs", settle_runs, timedelta(seconds=10), once=True),
    Step("verdicts", verdicts, timedelta(minutes=1), once=True),
    Step("follow-ups", follow_ups, timedelta(minutes=1), once=True),
    Step("recurrence", recurrence, timedelta(minutes=5), once=True),
    Step("find events", find_events, timedelta(seconds=5), once=True),
    Step("call out", call_out, timedelta(seconds=2)),
    Step("trackers", trackers, timedelta(seconds=5)),
    Step("checkpoint", lambda context: checkpoint(context.sessions), timedelta(seconds=30)),
    Step("tidy", tidy, timedelta(hours=1), once=True),
    Step("count answers", count_answers, timedelta(minutes=5), once=True),
    Step("count", count, timedelta(days=1), once=True, queue=Queue.ANALYSIS),
)
