"""The background process: the clock that looks for work, and the bell that is heard beside it. Any number may run on
one PostgreSQL; one on SQLite."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from feedback_loop.db import reading
from feedback_loop.jobs.bell import Queue, is_rung
from feedback_loop.jobs.claims import is_taken, take_tick
from feedback_loop.jobs.sharedclock import SharedClock
from feedback_loop.memory import give_back
from feedback_loop.pipeline import STEPS, Context, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from feedback_loop.jobs.engine import Ear

log = logging.getLogger(__name__)

COMPARE = 60  # seconds between two looks at the clock of the database server
GIVE_BACK = 60  # seconds between two times that free memory is given back
SET_BACK = timedelta(seconds=5)  # from which on; clocks that follow a time server are moved by less


def due_moment(now: datetime, every: timedelta) -> datetime:
    """The moment, the same for all clocks, to which a look at `now` belongs."""
    seconds = int(every.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


class DueMoments(BaseTrigger):  # type: ignore[misc]
    """Fires at the due moments themselves. A clock that fired at any other point between two would now and then offer
    one twice and the next one never: a look that comes a little late falls behind the moment after its own.

    Args:
        every: Between two moments.
        ahead: How far the clock that all go by is ahead of this machine's, by which the scheduler waits.
    """

    def __init__(self, every: timedelta, ahead: Callable[[], timedelta] = timedelta) -> None:
        self.every, self.ahead = every, ahead

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next moment after the last one."""
        ahead = self.ahead()
        return due_moment((previous_fire_time or now) + ahead, self.every) + self.every - ahead


def look(context: Context, step: Step) -> int:
    """Run one step if this process is the one to run it now. A failure is written down and tried again at the next
    look."""
    count = 0
    with context.steps.observed(context.sessions, step.name, step.every, context.clock) as run:
        if step.once:
            moment = due_moment(context.clock(), step.every)
            with reading(context.sessions) as session:
                if is_taken(session, step.name, moment, step.every):
                    run.is_others = True
                    return 0
            with context.sessions.begin() as session:
                if not take_tick(session, step.name, moment, step.every):
                    run.is_others = True
                    return 0
        count = step.run(context)
        if count:
            log.info("%s: %d", step.name, count)
    return count


class Desk:
    """The steps that one worker looks after, each at most once at a time.

    Args:
        context: What they work with.
        queues: Whose steps; those of all queues by default.
        concurrency: How many steps of one queue may be at work at once; all of them by default. No queue takes places
            of another, so analysis never keeps mail waiting.
        steps: Of which table.
    """

    def __init__(
        self,
        context: Context,
        queues: Iterable[Queue] = (),
        concurrency: int | None = None,
        steps: Iterable[Step] = STEPS,
    ) -> None:
        self.context = context
        self.queues = frozenset(queues) or frozenset(Queue)
        self.steps = {step.name: step for step in steps if step.queue in self.queues}
        places = concurrency or max(1, len(self.steps))
        self._places = {queue: threading.BoundedSemaphore(places) for queue in Queue}
        self._busy = {name: threading.Lock() for name in self.steps}
        self._asked = {name: threading.Event() for name in self.steps}

    def look(self, name: str, is_rung: bool = False) -> None:
        """Look at a step, unless this process is just doing so.

        Args:
            name: Of the step.
            is_rung: Whether there is new work: one that is at it then looks once more when it is done.
        """
        step, asked = self.steps[name], self._asked[name]
        if is_rung:
            asked.set()
        while self._busy[name].acquire(blocking=False):
            try:
                asked.clear()
                with self._place(step) as is_there:
                    if is_there:
                        look(self.context, step)
            finally:
                self._busy[name].release()
            if not asked.is_set() or self.context.stop.is_set():
                return

    def hear(self, name: str) -> None:
        """Look because the bell rang. One of a step that this release does not know any more is passed over."""
        if name in self.steps:
            self.look(name, is_rung=True)

    @contextmanager
    def _place(self, step: Step) -> Iterator[bool]:
        """Wait for a place of the queue; False when the worker is to end before there is one."""
        if step.is_apart:
            yield True
            return
        places = self._places[step.queue]
        while not places.acquire(timeout=0.5):
            if self.context.stop.is_set():
                yield False
                return
        try:
            yield True
        finally:
            places.release()


def ahead_of(clock: Callable[[], datetime]) -> timedelta:
    """How far a clock is ahead of this machine's."""
    return clock.ahead if isinstance(clock, SharedClock) else timedelta()


def start_clock(desk: Desk) -> BackgroundScheduler:
    """Start looking, each step in a thread of its own. The scheduler keeps only time: no job is stored in it."""
    # Its notices of looks that are skipped because the last one is still busy are what is meant to happen.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(2 * max(1, len(desk.steps)))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 300},
        timezone=UTC,
    )
    clock = desk.context.clock
    if isinstance(clock, SharedClock):
        compare = IntervalTrigger(seconds=COMPARE, timezone=UTC)
        scheduler.add_job(clock.compare, compare, id="compares clocks")
    scheduler.add_job(give_back, IntervalTrigger(seconds=GIVE_BACK, timezone=UTC), id="gives memory back")
    for step in desk.steps.values():
        scheduler.add_job(desk.look, args=(step.name,), id=f"{step.name}, at the start")
        every = IntervalTrigger(seconds=int(step.every.total_seconds()), timezone=UTC)
        trigger = DueMoments(step.every, lambda: ahead_of(clock)) if step.once else every
        scheduler.add_job(desk.look, trigger, args=(step.name,), id=step.name)
    scheduler.start()
    return scheduler


def start_ear(desk: Desk) -> Ear | None:
    """Start listening for bells, where this installation has any."""
    settings = desk.context.settings
    if not is_rung(settings):
        return None
    from feedback_loop.jobs.engine import Ear

    ear = Ear(settings.database_url, desk.queues, desk.hear, desk.context.stop)
    ear.start()
    return ear


class WatchedClock:
    """Notices that the clock was set back: the scheduler would wait until it is again as late as it was."""

    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.monotonic = clock, monotonic
        self.last = clock(), monotonic()

    def went_back(self) -> bool:
        """Whether it was, since this was last asked."""
        (before, began), self.last = self.last, (self.clock(), self.monotonic())
        passed = timedelta(seconds=self.last[1] - began)
        return self.last[0] < before + passed - SET_BACK


def run(context: Context, queues: Iterable[Queue] = (), concurrency: int | None = None) -> None:
    """Work until SIGINT or SIGTERM, then finish what is being done and stop. See `Desk` for the arguments."""

    def asked(_number: int, _frame: FrameType | None) -> None:
        context.stop.set()

    signal.signal(signal.SIGINT, asked)
    signal.signal(signal.SIGTERM, asked)
    own = context.clock
    context.clock = shared = SharedClock(context.sessions, own)
    shared.compare()
    desk = Desk(context, queues, concurrency)
    context.steps.forget_unknown(context.sessions, [step.name for step in STEPS])
    scheduler, ear = start_clock(desk), start_ear(desk)
    log.info(
        "The worker looks for work of the queues %s in %s%s.", ", ".join(sorted(desk.queues)),
        context.settings.database_url.partition("://")[0], "" if ear is None else ", and is told of it",
    )  # fmt: skip
    watched = WatchedClock(own)
    while not context.stop.wait(1):
        if watched.went_back():
            log.warning("The clock of this machine was set back; all steps look again now.")
            shared.compare()
            for job in scheduler.get_jobs():
                job.modify(next_run_time=own())
    log.info("The worker stops when the steps it is in are done.")
    scheduler.shutdown(wait=True)
    if ear is not None:
        ear.join()
    context.steps.write(context.sessions)
