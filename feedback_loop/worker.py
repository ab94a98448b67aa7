"""The background process: the clock that looks for work. Any number may run on one PostgreSQL; one on SQLite."""

from __future__ import annotations

import logging
import signal
from datetime import UTC, datetime, timedelta
from types import FrameType

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from feedback_loop.jobs.claims import take_tick
from feedback_loop.pipeline import STEPS, Context, Step

log = logging.getLogger(__name__)


def due_moment(now: datetime, every: timedelta) -> datetime:
    """The moment, the same for all clocks, to which a look at `now` belongs."""
    seconds = int(every.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


def look(context: Context, step: Step) -> int:
    """Run one step if this process is the one to run it now. A failure is written down and tried again at the next
    look."""
    try:
        if step.once:
            with context.sessions.begin() as session:
                if not take_tick(session, step.name, due_moment(context.clock(), step.every)):
                    return 0
        count = step.run(context)
    except Exception:
        log.exception("The step “%s” failed; it is tried again in %s.", step.name, step.every)
        return 0
    if count:
        log.info("%s: %d", step.name, count)
    return count


def start_clock(context: Context) -> BackgroundScheduler:
    """Start looking, each step in a thread of its own. The scheduler keeps only time: no job is stored in it."""
    # Its notices of looks that are skipped because the last one is still busy are what is meant to happen.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(len(STEPS))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 300},
        timezone=UTC,
    )
    for step in STEPS:
        scheduler.add_job(
            look,
            IntervalTrigger(seconds=int(step.every.total_seconds()), timezone=UTC),
            args=(context, step),
            id=step.name,
            next_run_time=context.clock(),
        )
    scheduler.start()
    return scheduler


def run(context: Context) -> None:
    """Work until SIGINT or SIGTERM, then finish what is being done and stop."""

    def asked(_number: int, _frame: FrameType | None) -> None:
        context.stop.set()

    signal.signal(signal.SIGINT, asked)
    signal.signal(signal.SIGTERM, asked)
    scheduler = start_clock(context)
    log.info("The worker looks for work in %s.", context.settings.database_url.partition("://")[0])
    while not context.stop.wait(1):
        pass
    log.info("The worker stops when the steps it is in are done.")
    scheduler.shutdown(wait=True)
