"""procrastinate in a worker: hears bells and looks at once. Its tables hold nothing that would be missed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, make_url, text

from feedback_loop.jobs.bell import BELLS, SCHEMA, TASK, Queue

if TYPE_CHECKING:
    from procrastinate import App

log = logging.getLogger(__name__)

AGAIN = 10.0  # seconds until a broken engine is started again
STALLED = 60.0  # seconds without a heartbeat after which a worker counts as dead
SWEEP = 30.0  # seconds between two looks for what dead workers left


def prepare(engine: Engine) -> bool:
    """Make the engine's tables in a schema of their own, or make them anew where another release made them or something
    of them is missing: no work is in them. Safe to repeat.

    Returns:
        Whether anything was made.
    """
    from procrastinate.schema import SchemaManager

    sql = SchemaManager.get_schema()
    made_by = f"procrastinate {hashlib.sha256(sql.encode()).hexdigest()[:16]}"
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(7421)"))  # of two that prepare, the second finds it done
        found = connection.scalar(
            text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :name"),
            {"name": SCHEMA},
        )
        tables = connection.scalar(
            text("SELECT count(*) FROM pg_tables WHERE schemaname = :name AND tablename LIKE 'procrastinate%'"),
            {"name": SCHEMA},
        )
        if found == made_by and tables == sql.count("CREATE TABLE "):
            return False
        connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
        raw: Any = connection.connection.driver_connection
        raw.execute(sql)
        connection.execute(text(f"COMMENT ON SCHEMA {SCHEMA} IS '{made_by}'"))
    return True


class Ear:
    """Hears the bells of some queues, in a thread of its own, until it is told to stop.

    Whatever goes wrong with the engine is logged once and tried again; looks by the clock go on meanwhile.

    Args:
        url: Of the database.
        queues: Whose bells to hear.
        look: Called with the name of a step, in threads of this ear.
        stop: Set when it is to end.
    """

    def __init__(self, url: str, queues: Iterable[Queue], look: Callable[[str], None], stop: threading.Event) -> None:
        self.url, self.queues, self.stop = url, sorted(queues), stop
        self.look = look
        # One that looks and one that asks it to look once more, for each step.
        self.places = 2 * sum(queue in self.queues for queue in BELLS.values())
        self.thread = threading.Thread(target=self.run, name="hears bells", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self.thread.start()

    def join(self) -> None:
        """Wait until all that was heard is done; `stop` must be set."""
        self.thread.join()

    def run(self) -> None:
        """Listen, again and again."""
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # it reports each job
        complained = False
        while not self.stop.is_set():
            try:
                asyncio.run(self.listen())
                complained = False
            except Exception as error:
                if not complained:
                    cause = error.__cause__ or error
                    log.warning("The engine is not to be had; the clock goes on looking. (%s)", str(cause).strip())
                complained = True
            self.stop.wait(AGAIN)

    def app(self) -> App:
        """procrastinate with the one task there is."""
        from procrastinate import App, PsycopgConnector

        async def prefer_schema(connection: Any) -> None:
            await connection.execute(f"SET search_path TO {SCHEMA}")
            if not connection.autocommit:
                await connection.commit()

        address = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        app = App(
            connector=PsycopgConnector(conninfo=address, configure=prefer_schema, min_size=1, max_size=4, timeout=10.0)
        )
        app.task(name=TASK)(self.wake)
        return app

    def wake(self, step: str) -> None:
        """The task."""
        self.look(step)

    async def listen(self) -> None:
        """Listen until told to stop.

        Raises:
            Exception: What broke it.
        """
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(self.places + 2, thread_name_prefix="heard"))
        app = self.app()
        async with app.open_async():
            tasks = [
                asyncio.create_task(
                    app.run_worker_async(
                        queues=list(self.queues), concurrency=self.places, install_signal_handlers=False,
                        delete_jobs="always", listen_notify=True,
                    )
                ),
                asyncio.create_task(self.sweep(app)),
                asyncio.create_task(self.wait_for_stop()),
            ]  # fmt: skip
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await task

    async def wait_for_stop(self) -> None:
        """Until it is to end."""
        while not self.stop.is_set():
            await asyncio.sleep(0.25)

    async def sweep(self, app: App) -> None:
        """Throw away, now and then, bells that a dead worker was just following, and the entries of dead workers. What
        they were about, the leases of rows bring back."""
        while True:
            await sweep_once(app)
            await asyncio.sleep(SWEEP)


async def sweep_once(app: App) -> int:
    """See `Ear.sweep`.

    Returns:
        How many bells were thrown away.
    """
    from procrastinate.jobs import Status

    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED))
    for job in stalled:
        assert job.id is not None
        await app.job_manager.finish_job_by_id_async(job.id, Status.FAILED, delete_job=True)
    await app.job_manager.prune_stalled_workers(STALLED)
    return len(stalled)
