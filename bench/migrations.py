"""Kills `feedback-loop init` with SIGKILL at random moments while it upgrades an older schema that holds data.

After each kill the database must have the old schema or the new one, whole, with all rows; and running init again must
bring it to the new one. On SQLite and on PostgreSQL.

The older database is made by filling one of this version and taking it back to an older revision.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic import command
from sqlalchemy import insert, text

from feedback_loop.db import alembic_config, make_engine, make_sessions, migrate, sqlite_driver
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.settings import database_url
from feedback_loop.store.tables import counts, revision
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey

OLDEST = "0009"
ANSWERS = 30_000
KILLS = 10
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://127.0.0.1:5432/postgres?connect_timeout=3")
# The command as people run it, which says when it begins to upgrade: loading the program takes longer than that.
INIT = """
from feedback_loop import db
upgrade = db.migrate
def told(*arguments):
    print("begins", flush=True)
    upgrade(*arguments)
    print("ends", flush=True)
db.migrate = told
from feedback_loop.cli import main
main(["init"])
"""


@dataclass(frozen=True)
class State:
    """What a database is: its revision, the text of its schema, and its rows by table."""

    revision: str
    schema: tuple[str, ...]
    rows: dict[str, int] = field(hash=False)


class Place(ABC):
    """Where databases of one kind are made, copied and looked at."""

    kind: str

    @abstractmethod
    def url(self, name: str) -> str:
        """The address of one."""

    @abstractmethod
    def copy(self, source: str, name: str) -> None:
        """Make one like another, in place of any of that name."""

    @abstractmethod
    def schema_sql(self) -> str:
        """What lists the parts of a schema."""

    def look(self, name: str) -> State:
        """What one is."""
        engine = make_engine(self.url(name))
        try:
            with engine.connect().execution_options(reads_only=True) as connection:
                schema = tuple(sorted(str(row[0]) for row in connection.exec_driver_sql(self.schema_sql()) if row[0]))
                return State(revision(connection), schema, counts(connection))
        finally:
            engine.dispose()


class Files(Place):
    """SQLite, in a folder."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, name: str) -> str:
        """The address of one."""
        return f"sqlite:///{self.folder / name}.db"

    def copy(self, source: str, name: str) -> None:
        """Copy the file, after its WAL was written back."""
        for suffix in ("-wal", "-shm"):
            (self.folder / f"{name}.db{suffix}").unlink(missing_ok=True)
        connection = sqlite_driver().connect(str(self.folder / f"{source}.db"))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        shutil.copyfile(self.folder / f"{source}.db", self.folder / f"{name}.db")

    def schema_sql(self) -> str:
        """What lists the parts of a schema."""
        return "SELECT type || ' ' || name || ' ' || sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"


class Databases(Place):
    """PostgreSQL, on the server of the tests."""

    kind = "postgresql"

    def __init__(self) -> None:
        self.prefix = f"feedback_loop_migrations_{os.getpid()}_"
        self.admin = make_engine(database_url(POSTGRES, Path())).execution_options(isolation_level="AUTOCOMMIT")

    def url(self, name: str) -> str:
        """The address of one."""
        return self.admin.url.set(database=self.prefix + name).render_as_string(hide_password=False)

    def copy(self, source: str, name: str) -> None:
        """Make one by the server's own copying."""
        self.run(f"DROP DATABASE IF EXISTS {self.prefix}{name} WITH (FORCE)")
        self.run(f"CREATE DATABASE {self.prefix}{name} TEMPLATE {self.prefix}{source}")

    def run(self, sql: str) -> None:
        """Run a statement about databases. One that was just left may still count as connected."""
        for left in range(20, -1, -1):
            try:
                with self.admin.connect() as connection:
                    connection.execute(text(sql))
                return
            except Exception:
                if not left:
                    raise
                time.sleep(0.25)

    def schema_sql(self) -> str:
        """What lists the parts of a schema."""
        return (
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable "
            "FROM information_schema.columns WHERE table_schema = 'public' "
            "UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' "
            "UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace"
        )


@contextmanager
def databases() -> Iterator[Databases]:
    """A place on the server, empty before and after."""
    place = Databases()
    place.run(f"CREATE DATABASE {place.prefix}old")
    try:
        yield place
    finally:
        for name in ("old", "new", "tried"):
            place.run(f"DROP DATABASE IF EXISTS {place.prefix}{name} WITH (FORCE)")
        place.admin.dispose()


def fill(url: str, answers: int, oldest: str) -> None:
    """Make an older database with data."""
    engine = make_engine(url)
    migrate(engine)
    now = datetime.now(UTC)
    with make_sessions(engine).begin() as session:
        survey_id = add_survey(session, slug="load", name="Load", question="", scale=ScaleName.HELPFUL, now=now).id
    with engine.begin() as connection:
        people = [{"email": f"p{n}@example.com", "name": "", "created_at": now} for n in range(answers // 10)]
        connection.execute(insert(Customer), people)
        for start in range(0, answers, 1000):
            rows = [
                {
                    "survey_id": survey_id, "customer_id": n % (answers // 10) + 1, "score": 0,
                    "comment": f"The parcel {n} never came.", "redactions": [], "context": {"order": n},
                    "answered_at": now - timedelta(minutes=n), "received_at": now, "redacted_at": now,
                }
                for n in range(start, min(start + 1000, answers))
            ]  # fmt: skip
            connection.execute(insert(Answer), rows)
    command.downgrade(alembic_config(engine), oldest)
    engine.dispose()


def init(url: str, folder: Path, kill_after: float | None) -> float:
    """Run `feedback-loop init`, and kill it a while after it began to upgrade.

    Args:
        url: Which database.
        folder: Data folder.
        kill_after: Seconds; None lets it end.

    Returns:
        Seconds the upgrade took, or had taken when it was killed.
    """
    environ = os.environ | {"DATA_FOLDER": str(folder), "DATABASE_URL": url, "SECRET_KEY": "for migrating only " * 3}
    process = subprocess.Popen(
        [sys.executable, "-c", INIT], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line == b"begins\n":
            break
    began = time.monotonic()
    if kill_after is None:
        took = next((time.monotonic() - began for line in process.stdout if line == b"ends\n"), None)
        _, said = process.communicate(timeout=600)
        if process.returncode or took is None:
            raise SystemExit(f"init failed:\n{said.decode()[-2000:]}")
        return took
    try:
        process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    return time.monotonic() - began


def run(place: Place, folder: Path, kills: int, answers: int, oldest: str = OLDEST, seed: int = 1) -> dict[str, int]:
    """Kill and look.

    Returns:
        Counts: `old` and `new`, the schemas that were found after a kill; `half`, those that were neither, or had lost
        rows; `failed`, those that running init again did not bring to the new one.
    """
    fill(place.url("old"), answers, oldest)
    place.copy("old", "new")
    takes = init(place.url("new"), folder, None)
    old, new = place.look("old"), place.look("new")
    assert old.revision == oldest
    assert new.revision != oldest
    found = {"old": 0, "new": 0, "half": 0, "failed": 0}
    moments = random.Random(seed)
    for _ in range(kills):
        place.copy("old", "tried")
        init(place.url("tried"), folder, moments.uniform(0.0, takes))
        tried = place.look("tried")
        is_old = (tried.revision, tried.schema, tried.rows) == (old.revision, old.schema, old.rows)
        is_new = tried.revision == new.revision and tried.schema == new.schema and holds(tried, old)
        found["old" if is_old else "new" if is_new else "half"] += 1
        init(place.url("tried"), folder, None)
        again = place.look("tried")
        found["failed"] += not (again.revision == new.revision and again.schema == new.schema and holds(again, old))
    print(
        f"{place.kind}: {kills} kills within the {takes:.2f} s that {oldest} → {new.revision} takes over {answers:,} "
        f"answers: {found['old']} left the old schema, {found['new']} the new one, {found['half']} neither; "
        f"{found['failed']} could not be upgraded by running init again"
    )
    return found


def holds(state: State, old: State) -> bool:
    """Whether no row of the tables of customers was lost."""
    return all(state.rows.get(name, 0) >= old.rows[name] for name in ("surveys", "customers", "answers"))


def main() -> int:
    """Run it on both; 1 where a schema was half, or stayed so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--answers", type=int, default=ANSWERS)
    parser.add_argument("--from", dest="oldest", default=OLDEST)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="feedback-loop-migrations-") as place, databases() as server:
        folder = Path(place)
        all_found = [
            run(each, folder, options.kills, options.answers, options.oldest) for each in (Files(folder), server)
        ]
    is_met = not any(found["half"] or found["failed"] for found in all_found)
    print(f"bar: old or new, never half, and a second run succeeds: {'met' if is_met else 'NOT MET'}")
    return int(not is_met)


if __name__ == "__main__":
    sys.exit(main())
