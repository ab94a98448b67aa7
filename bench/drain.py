"""How much faster two workers drain what waits for analysis than one, on PostgreSQL.

    python bench/drain.py FOLDER_OF_BANKING77 [--answers 6000] [--turns 3]

Each worker is a process of its own that embeds on one thread, so that one takes one core. They redact, split, embed
and assign the same answers, in turns: one worker, two workers, one, two. The clock runs from the moment all are ready
until no answer waits. On a database of PostgreSQL made for it and dropped again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from databases import database
from sqlalchemy import Engine, func, select, text
from thresholds import banking77

from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Statement
from feedback_loop.db import make_engine, make_sessions, migrate, reading
from feedback_loop.pipeline import Context, understand
from feedback_loop.responses.importing import Row, insert_rows
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings, read_settings
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey

BAR = 1.7
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://127.0.0.1:5432/postgres?connect_timeout=3")
RESET = (
    "DELETE FROM statements",
    "DELETE FROM vectors",
    "UPDATE answers SET comment = NULL, redacted_at = NULL, analysed_at = NULL, claimed_until = NULL",
    "DELETE FROM leases",
    "VACUUM ANALYZE",
)


def settings_of(url: str) -> Settings:
    """One thread for each worker."""
    return read_settings({"SECRET_KEY": "bench", "DATABASE_URL": url, "EMBEDDING_THREADS": "1", "ENGINE": "clock"})


def work(url: str) -> None:
    """Be one of the workers: load the model, wait for a line, work until nothing waits."""
    context = Context(settings_of(url), make_sessions(make_engine(url)))
    context.embedder.encode(["warm up"])
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    waiting = (Answer.redacted_at.is_(None) | Answer.analysed_at.is_(None),)
    while context.any(*waiting):
        if not understand(context):
            time.sleep(0.02)
    print(time.process_time() - began, flush=True)


def fill(engine: Engine, texts: list[str]) -> None:
    """Answers that wait, as an import leaves them."""
    now = utc_now()
    with make_sessions(engine).begin() as session:
        survey = add_survey(session, slug="texts", name="Texts", question="", scale=ScaleName.TEXT, now=now)
        rows = [
            Row(external_id="", email="", name="", score=None, comment=each, answered_at=now, context={})
            for each in texts
        ]
        insert_rows(session, settings_of(engine.url.render_as_string(hide_password=False)), survey, rows, now)


def drain(engine: Engine, workers: int) -> float:
    """Seconds that so many workers take."""
    url = engine.url.render_as_string(hide_password=False)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for each in RESET:
            connection.execute(text(each))
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--work", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(workers)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    spent = [float((process.stdout and process.stdout.readline()) or 0) for process in processes]
    taken = time.perf_counter() - began
    for process in processes:
        process.wait()
    with reading(make_sessions(engine)) as session:
        left = session.scalar(select(func.count()).where(Answer.analysed_at.is_(None)))
        made = session.scalar(select(func.count(func.distinct(Statement.answer_id))))
    print(
        f"  {workers}: {taken:6.1f} s, of a core {', '.join(f'{each:.1f}' for each in spent)} s; {left} left, "
        f"{made:,} answers with statements"
    )
    return taken


def sizes(engine: Engine, answers: int) -> None:
    """Print what an answer takes of the disk, indexes included, by table."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM FULL"))
        found = connection.execute(
            text(
                "SELECT relname, pg_total_relation_size(oid) AS size FROM pg_class WHERE relkind = 'r' "
                "AND relnamespace = 'public'::regnamespace AND reltuples >= :answers ORDER BY relname"
            ),
            {"answers": answers // 2},
        )
        parts = {row.relname: row.size / answers for row in found}
        statements = connection.scalar(text("SELECT count(*) FROM statements")) / answers
    print(
        f"bytes an answer, by table: {', '.join(f'{name} {size:,.0f}' for name, size in parts.items())}; together "
        f"{sum(parts.values()):,.0f}, with {statements:.2f} statements"
    )


def main() -> None:
    """Measure, and say whether the bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--answers", type=int, default=6000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--work", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    if options.folder is None:
        parser.error("give the folder of Banking77")
    texts = banking77(options.folder)[0][: options.answers]
    with database("postgresql", options.folder, "drain") as url:
        engine = make_engine(url)
        migrate(engine)
        fill(engine, texts)
        print(f"{len(texts):,} answers, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the beginning")
        times: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(options.turns):
            for workers, found in times.items():
                found.append(drain(engine, workers))
        sizes(engine, len(texts))
        engine.dispose()
    one, two = (statistics.median(each) for each in times.values())
    print(
        f"one worker {len(texts) / one:.0f} answers a second, two {len(texts) / two:.0f}: {one / two:.2f} times "
        f"(bar {BAR}; pairs {', '.join(f'{a / b:.2f}' for a, b in zip(*times.values(), strict=True))})"
    )
    sys.exit(0 if one / two >= BAR else 1)


if __name__ == "__main__":
    main()
