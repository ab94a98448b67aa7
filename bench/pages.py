"""Prints how long the main pages take, and how many queries they make, at 10,000 answers and at 1,000,000.

On SQLite and, where a server answers, on PostgreSQL. Each page is asked for in this process, signed in, once to warm
up and then seven times, in turns at both sizes, so that what else the machine does strikes both. Times are of the
whole request without the network; beside them the time of a core that this process took, small and large, which tells
what a busy machine added. Statements that only begin a transaction are no queries.

A new page is a line in `PAGES`. The stores stand in a folder of their own (`--keep FOLDER`) until the schema or the
day changes; without one they are made and thrown away.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from databases import POSTGRES
from flask import Flask
from flask.testing import FlaskClient
from pages_store.build import build
from pages_store.sizes import LISTED, SECRET
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from feedback_loop import tokens
from feedback_loop.app import create_app
from feedback_loop.db import Sessions, make_engine, make_sessions, migrate, reading
from feedback_loop.notifications.service import PURPOSE
from feedback_loop.reports.exports import TABLES, lines
from feedback_loop.settings import database_url, read_settings

SIZES = (10_000, 1_000_000)
RUNS = 7
MOST_MS, MOST_QUERIES, MOST_RATIO = 300.0, 20, 1.5
# Below this many milliseconds at the large size the ratio is noise: building the page takes longer than reading it.
JUDGED_FROM_MS = 25.0
LEAD, OWNER, ADMIN, NOBODY, PROGRAM = 1, 2, 3, 0, -1


@dataclass(frozen=True)
class Page:
    """What is asked for.

    Attributes:
        name: As the table prints it.
        path: With its arguments.
        who: The number of a person, or a customer or program that signs in to nothing.
        status: That the page must have.
    """

    name: str
    path: str
    who: int = LEAD
    status: int = 200


TOLD = tokens.derive(SECRET, PURPOSE, "bench0")
# Complaint 1 and item 1 are the biggest (7 % of the statements), 2 the biggest that is closed, 3 has a history of 2,000
# entries, 900 is one like most.
PAGES = (
    Page("home, lead", "/"),
    Page("home, owner", "/", OWNER),
    Page("complaints", "/complaints"),
    Page("complaints, page 30", "/complaints?page=30"),
    Page("complaints, growing", "/complaints?growing=1&sort=growing"),
    Page("complaints, last said", "/complaints?sort=newest"),
    Page("complaints, of a survey", "/complaints?survey=3"),
    Page("complaints, of a team and status", "/complaints?team=2&status=in_progress"),
    Page("complaints, by name", "/complaints?q=refund"),
    Page("complaint, the biggest", "/complaints/1"),
    Page("complaint, like most", "/complaints/900"),
    Page("its statements, newest", "/complaints/1?tab=newest"),
    Page("its statements, borderline", "/complaints/1?tab=borderline"),
    Page("its statements, page 20", "/complaints/1?tab=newest&page=20"),
    Page("trends, the biggest", "/complaints/1/trends"),
    Page("trends, like most", "/complaints/900/trends"),
    Page("map", "/complaints/map"),
    Page("pool", "/complaints/pool"),
    Page("pool, page 20", "/complaints/pool?page=20"),
    Page("refines", "/complaints/refines"),
    Page("refine", "/complaints/refines/500"),
    Page("search", "/complaints/search"),
    Page("searched", "/complaints/search/60"),
    Page("corrections", "/complaints/corrections"),
    Page("draft of corrections", "/complaints/draft"),
    Page("correct statements", "/complaints/statements/correct?ids=1&ids=2&ids=3&ids=5"),
    Page("items", "/actions"),
    Page("items, mine", "/actions?scope=mine", OWNER),
    Page("items, team's", "/actions?scope=team", OWNER),
    Page("items, overdue", "/actions?overdue=1"),
    Page("items, any, page 30", "/actions?status=any&page=30"),
    Page("item, the biggest", "/actions/1"),
    Page("item, the biggest closed", "/actions/2"),
    Page("item, long history", "/actions/3"),
    Page("item, like most", "/actions/900"),
    Page("close", "/actions/1/close"),
    Page("run", "/actions/2/run"),
    Page("triage", "/triage"),
    Page("reopen", "/actions/2/reopen"),
    Page("notifications", "/actions/2/notifications"),
    Page("notifications, page 100", "/actions/2/notifications?page=100"),
    Page("routing", "/settings/routing"),
    Page("teams", "/settings/teams"),
    Page("service levels", "/settings/levels"),
    Page("webhooks", "/settings/webhooks", ADMIN),
    Page("webhook and its deliveries", "/settings/webhooks/1", ADMIN),
    Page("people", "/settings/people", ADMIN),
    Page("API keys", "/settings/api-keys", ADMIN),
    Page("raw readings", "/settings/raw-readings", ADMIN),
    Page("surveys", "/surveys"),
    Page("surveys, archived", "/surveys?archived=yes"),
    Page("survey and its answers", "/surveys/order", ADMIN),
    Page("answers, page 500", "/surveys/order?page=500"),
    Page("survey, edit", "/surveys/order/edit", ADMIN),
    Page("survey, versions", "/surveys/order/versions"),
    Page("survey, share", "/surveys/order/share"),
    Page("unconfirmed answers", "/surveys/order/unconfirmed"),
    Page("original of an answer", "/answers/{redacted}/original", ADMIN),
    Page("mailings", "/surveys/order/mailings"),
    Page("mailing, sent", "/surveys/order/mailings/1"),
    Page("mailing, to be reviewed", "/surveys/order/mailings/2"),
    Page("mailing's people", "/surveys/order/mailings/1/people"),
    Page("mailing's people, by name", "/surveys/order/mailings/1/people?q=c77"),
    Page("API: surveys", "/api/v1/surveys", PROGRAM),
    Page("API: answers", "/api/v1/answers?limit=100", PROGRAM),
    Page("API: answers of a survey", "/api/v1/answers?survey=words&limit=100", PROGRAM),
    Page("API: answers of late", "/api/v1/answers?survey=order&limit=100&since={recently}", PROGRAM),
    Page("customer: open page", "/s/order", NOBODY),
    Page("customer: page with a limit", "/s/limited", NOBODY),
    Page("customer: invitation", f"/i/mailed-{LISTED - 1}", NOBODY),
    Page("customer: status", "/i/invitation-1/status", NOBODY),
    Page("customer: receipt", "/r/receipt-1", NOBODY),
    Page("customer: erase", "/i/invitation-1/erase", NOBODY),
    Page("customer: follow-up", f"/f/{TOLD}", NOBODY),
    Page("customer: unsubscribe", f"/u/{TOLD}", NOBODY),
)


@dataclass
class Taken:
    """What one page took at one size."""

    queries: int = 0
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    fault: str = ""

    @property
    def median(self) -> float:
        """In milliseconds."""
        return statistics.median(self.times)

    @property
    def own(self) -> float:
        """Milliseconds of a core that this process took; what a PostgreSQL server takes is not in it."""
        return statistics.median(self.cpu)


class Site:
    """The application over one store, and how many statements it has sent."""

    def __init__(self, engine: Engine, folder: Path, count: int) -> None:
        url = engine.url.render_as_string(hide_password=False)
        environ = {"SECRET_KEY": SECRET, "DATABASE_URL": url, "DATA_FOLDER": str(folder)}
        self.sessions: Sessions = make_sessions(engine)
        self.app: Flask = create_app(read_settings(environ), self.sessions)
        self.statements: list[str] = []
        # One of the newest answers of which the original is kept.
        self.fillers = {"redacted": count - 49, "recently": f"{datetime.now(UTC):%Y-%m-%d}T00:00:00Z"}
        self.clients: dict[int, FlaskClient] = {}
        event.listen(engine, "before_cursor_execute", self.note)

    def note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        """Keep a statement."""
        if not statement.startswith("BEGIN"):
            self.statements.append(statement)

    def client(self, who: int) -> FlaskClient:
        """Somebody's browser, signed in if it is a person's."""
        if who not in self.clients:
            self.clients[who] = self.app.test_client()
            if who > 0:
                with self.clients[who].session_transaction() as kept:
                    kept["_user_id"] = f"{who}:0"
        return self.clients[who]

    def ask(self, page: Page) -> None:
        """Ask for a page once.

        Raises:
            RuntimeError: It is not the one that was meant.
        """
        headers = {"Authorization": "Bearer reads"} if page.who == PROGRAM else {}
        response = self.client(page.who).get(page.path.format(**self.fillers), headers=headers)
        response.get_data()
        if response.status_code != page.status:
            raise RuntimeError(f"{response.status_code} {response.headers.get('Location', '')}")

    def begin_export(self, table: str) -> None:
        """Read the first line of an export."""
        with reading(self.sessions) as session:
            rows = lines(session, table)
            next(rows)
            next(rows)
            rows.close()  # type: ignore[attr-defined]

    def take(self, taken: Taken, work: Callable[[], None], counts: bool) -> None:
        """Do something and note how long it took."""
        self.statements.clear()
        began, cpu = time.perf_counter(), time.process_time()
        try:
            work()
        except RuntimeError as error:
            taken.fault = str(error)
        if counts:
            taken.times.append((time.perf_counter() - began) * 1000)
            taken.cpu.append((time.process_time() - cpu) * 1000)
        taken.queries = max(taken.queries, len(self.statements))


@contextmanager
def store(kind: str, count: int, keep: Path | None, temporary: Path) -> Iterator[Engine]:
    """A filled database."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    name = f"pages_{count}"
    if kind == "sqlite":
        path = (keep or temporary) / f"{name}.db"
        mark = path.with_suffix(".made")
        url = f"sqlite:///{path}"
        if not (keep and mark.exists() and mark.read_text() == f"{now:%Y-%m-%d}"):
            for each in path.parent.glob(f"{name}.*"):
                each.unlink()
            build(url, count, now)
            mark.write_text(f"{now:%Y-%m-%d}")
        engine = make_engine(url)
        migrate(engine)
        yield engine
        engine.dispose()
        return
    admin = make_engine(database_url(POSTGRES, Path())).execution_options(isolation_level="AUTOCOMMIT")
    own = f"feedback_loop_bench_{name}_{now:%Y%m%d}"
    with admin.connect() as connection:
        is_there = connection.scalar(text("SELECT count(*) FROM pg_database WHERE datname = :own"), {"own": own})
        mark = (keep or temporary) / f"{own}.made"
        url = admin.url.set(database=own).render_as_string(hide_password=False)
        if not (keep and is_there and mark.exists()):
            connection.execute(text(f"DROP DATABASE IF EXISTS {own} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {own}"))
            build(url, count, now)
            mark.touch()
    engine = make_engine(url)
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()
        if not keep:
            with admin.connect() as connection:
                connection.execute(text(f"DROP DATABASE IF EXISTS {own} WITH (FORCE)"))
        admin.dispose()


def measure(kind: str, sizes: tuple[int, int], keep: Path | None, only: str, runs: int) -> dict[str, bool]:
    """Measure on one kind of database, print the table; the bars and whether they are met."""
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="feedback-loop-pages-")))
        began = time.perf_counter()
        sites = [Site(stack.enter_context(store(kind, size, keep, temporary)), temporary, size) for size in sizes]
        gc.collect()
        gc.freeze()  # as the web server does once a process has begun
        print(f"{kind}: stores stand after {time.perf_counter() - began:.0f} s", flush=True)
        heads = ("queries", "small", "worst", "large", "worst", "ratio", "cpu", "cpu")
        print(f"  {'page':36}" + "".join(f"{head:>9}" for head in heads), flush=True)
        missed: dict[str, list[str]] = {"ms": [], "queries": [], "ratio": []}
        exports = {f"export of {table}, first line": table for table in TABLES}
        for name in (*(page.name for page in PAGES), *exports):
            if only not in name:
                continue
            page = next((each for each in PAGES if each.name == name), None)
            taken = [Taken(), Taken()]
            for run in range(runs + 1):
                for site, each in zip(sites, taken, strict=True):
                    work = partial(site.ask, page) if page else partial(site.begin_export, exports[name])
                    site.take(each, work, counts=run > 0)
            report(name, taken, missed)
    bars = {
        "ms": f"every page <= {MOST_MS:.0f} ms at {sizes[1]:,} answers",
        "queries": f"every page <= {MOST_QUERIES} queries",
        "ratio": f"every page <= {MOST_RATIO} times its time at {sizes[0]:,} (judged from {JUDGED_FROM_MS:.0f} ms)",
    }
    return {
        f"{kind}: {bars[bar]}{': not ' + ', '.join(names) if names else ''}": not names for bar, names in missed.items()
    }


def report(name: str, taken: list[Taken], missed: dict[str, list[str]]) -> None:
    """Print a line of the table, and note what is missed."""
    small, large = taken
    queries = max(small.queries, large.queries)
    ratio = large.median / small.median
    faults = [
        bar
        for bar, is_missed in (
            ("ms", bool(large.fault or small.fault) or large.median > MOST_MS),
            ("queries", queries > MOST_QUERIES),
            ("ratio", large.median > JUDGED_FROM_MS and ratio > MOST_RATIO),
        )
        if is_missed
    ]
    for bar in faults:
        missed[bar].append(name)
    print(
        f"  {name:36} {queries:8} {small.median:8.1f} {max(small.times):8.1f} {large.median:8.1f} "
        f"{max(large.times):8.1f} {ratio:8.2f} {small.own:8.1f} {large.own:8.1f} {large.fault or small.fault} "
        + ("NOT MET: " + ", ".join(faults) if faults else ""),
        flush=True,
    )


def main() -> None:
    """Measure and print; ends with 1 if a bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder in which the stores stay for another run of the same day")
    parser.add_argument("--only", default="", help="pages whose name holds this")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="one kind; both by default")
    parser.add_argument("--runs", type=int, default=RUNS, help="after the one that warms up")
    parser.add_argument("--large", type=int, default=SIZES[1], help="answers of the large store")
    asked = parser.parse_args()
    sizes = (SIZES[0], asked.large)
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    bars: dict[str, bool] = {}
    if asked.database != "postgresql":
        bars |= measure("sqlite", sizes, asked.keep, asked.only, asked.runs)
    try:
        make_engine(database_url(POSTGRES, Path())).connect().close()
    except OperationalError:
        print(f"PostgreSQL: not measured, none answers at {POSTGRES}")
    else:
        if asked.database != "sqlite":
            bars |= measure("postgresql", sizes, asked.keep, asked.only, asked.runs)
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
