"""What the doctor looks at in the database: how it is set up, whether it is whole, and whether work gets done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from feedback_loop.clock import utc_now
from feedback_loop.db import make_engine, make_sessions, reading, sqlite_driver, sqlite_is_safe
from feedback_loop.jobs.models import Tick
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import token_of
from feedback_loop.responses import health as raw_texts
from feedback_loop.settings import Settings
from feedback_loop.store.check import Check, ago, bad, looked, ok, warn
from feedback_loop.store.invariants import broken
from feedback_loop.store.tables import head, is_known, revision
from feedback_loop.tokens import hashed

OLDEST_POSTGRES = 13
POOL = 15  # connections that one process opens at most
WORKER_AWAY = timedelta(minutes=2)
MAIL_LATE, MAIL_STUCK = timedelta(minutes=15), timedelta(hours=4)
RAW_GRACE = timedelta(hours=3)  # the worker looks every hour
SKEW = timedelta(seconds=5)
FULL = 2  # as PRAGMA synchronous says it


def look_at_database(settings: Settings, file: Path | None, deep: bool, say: Callable[[str], None]) -> Iterator[Check]:
    """Everything about the database, as far as it can be reached."""
    if file is not None and not file.exists():
        yield bad("database", f"there is none at {file}", "Run: feedback-loop init")
        return
    engine = make_engine(settings.database_url)
    try:
        try:
            with engine.connect().execution_options(reads_only=True) as connection:
                at = revision(connection)
        except SQLAlchemyError as error:
            todo = (
                "Look at DATABASE_URL and whether the server runs; see docs/operating.md, Backup, for a damaged file."
            )
            yield bad("database", f"cannot be read: {str(getattr(error, 'orig', error))[:300]}", todo)
            return
        yield ok("database", engine.url.render_as_string())
        look = sqlite_setup if engine.dialect.name == "sqlite" else postgres_setup
        yield from looked("database setup", lambda: look(engine, settings))
        if at != head(engine):
            if at and not is_known(engine, at):
                todo = "Install the version that made it; an older one cannot work with it."
                yield bad("schema", f"revision {at} is of a newer version of feedback-loop", todo)
            else:
                yield bad("schema", f"revision {at or 'none'}, {head(engine)} is needed", "Run: feedback-loop init")
            return
        yield ok("schema", f"revision {at}")
        say("Checking the pages of the database")
        yield from looked("integrity", lambda: integrity(engine, deep))
        sessions = make_sessions(engine)
        now = utc_now()
        looks: list[tuple[str, Callable[[Session], Iterator[Check]]]] = [
            ("key and data", lambda session: key_fits(session, settings)),
            ("worker", lambda session: worker(session, now)),
            ("outbox", lambda session: outbox(session, now)),
            ("originals", lambda session: originals(session, now)),
        ]
        if deep:
            looks.append(("invariants", lambda session: invariants(session, now)))
        for name, check in looks:
            say(f"Looking at {name}")
            with reading(sessions) as session:  # one each: on PostgreSQL an error ends a transaction
                yield from looked(name, partial(check, session))
    finally:
        engine.dispose()


def sqlite_setup(engine: Engine, settings: Settings) -> Iterator[Check]:
    """Version of SQLite, and how a fresh connection is set up."""
    driver = sqlite_driver()
    said = f"SQLite {driver.sqlite_version} ({driver.__name__.partition('.')[0]})"
    if sqlite_is_safe(driver.sqlite_version_info):
        yield ok("SQLite", said)
    else:
        todo = "Install pysqlite3 (pip install pysqlite3), or a Python with SQLite 3.51.3 or newer; or use PostgreSQL."
        yield bad("SQLite", f"{said} can damage the database when two processes write at the same instant", todo)
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        found = {}
        for name in ("journal_mode", "synchronous", "foreign_keys", "mmap_size"):
            cursor.execute(f"PRAGMA {name}")
            found[name] = (cursor.fetchone() or (None,))[0]
        cursor.close()
    finally:
        connection.close()
    said = f"journal {found['journal_mode']}, synchronous {found['synchronous']}, mmap {found['mmap_size']}"
    wanted = {"journal_mode": "wal", "synchronous": FULL, "foreign_keys": 1, "mmap_size": 0}
    wrong = [name for name, value in wanted.items() if found[name] != value]
    if wrong:
        todo = "Answers could be lost at a power cut. Is the folder on a disk that can share memory, and writable?"
        yield bad("durability", f"{said}: {', '.join(wrong)} is not as it should be", todo)
    else:
        yield ok("durability", f"{said} (FULL): what was answered survives a power cut")
    if settings.web_processes > 1:
        yield warn("processes", f"WEB_PROCESSES is {settings.web_processes}", "Set it to 1 with SQLite.")


def postgres_setup(engine: Engine, settings: Settings) -> Iterator[Check]:
    """Version, encoding, connections and clock of the server."""
    with engine.connect() as connection:

        def ask(sql: str) -> str:
            return str(connection.scalar(text(sql)))

        number, full = int(ask("SHOW server_version_num")) // 10_000, ask("SHOW server_version")
        if number < OLDEST_POSTGRES:
            yield bad("PostgreSQL", full, f"Upgrade the server to {OLDEST_POSTGRES} or newer.")
        else:
            yield ok("PostgreSQL", full)
        encoding = ask("SHOW server_encoding")
        if encoding != "UTF8":
            yield bad(
                "encoding", encoding, "Make a database with ENCODING 'UTF8' and move to it: feedback-loop move-db."
            )
        else:
            yield ok("encoding", encoding)
        durable = {name: ask(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")}
        if durable["fsync"] == "on" and durable["synchronous_commit"] != "off" and durable["full_page_writes"] == "on":
            yield ok("durability", "fsync and synchronous_commit are on: what was answered survives a power cut")
        else:
            said = ", ".join(f"{name} {value}" for name, value in durable.items())
            yield bad("durability", said, "Turn them on: answers are lost, or the database damaged, at a power cut.")
        most = int(ask("SHOW max_connections")) - int(ask("SHOW superuser_reserved_connections"))
        need = (settings.web_processes + 1) * POOL + settings.web_processes * 3
        said = f"{most} allowed, web and one worker may open {need}"
        if most < need:
            yield warn("connections", said, f"Set max_connections to {need + 20} or more, or fewer WEB_PROCESSES.")
        else:
            yield ok("connections", said)
        yield clock(connection)


def clock(connection: Connection) -> Check:
    """How far the clocks of the server and of this machine are apart, and that moments come back with their zone."""
    before = utc_now()
    there: datetime | None = connection.scalar(text("SELECT clock_timestamp()"))
    here = before + (utc_now() - before) / 2
    if there is None or there.tzinfo is None:
        return bad("clock", "moments come without a time zone", "Use the driver psycopg 3 (postgresql://).")
    skew = abs(there - here)
    said = (
        f"{skew.total_seconds():.1f} s between the server's clock and ours; {connection.scalar(text('SHOW timezone'))}"
    )
    if skew > SKEW:
        return warn("clock", said, "Let both set their clocks by NTP: leases and due moments depend on them.")
    return ok("clock", said)


def integrity(engine: Engine, deep: bool) -> Iterator[Check]:
    """Whether SQLite finds its pages whole. PostgreSQL has no such look from outside."""
    if engine.dialect.name != "sqlite":
        return
    with engine.connect().execution_options(reads_only=True) as connection:
        name = "integrity_check" if deep else "quick_check"
        found = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA {name}(5)")]
        if found != ["ok"]:
            todo = "Stop feedback-loop, keep the file, and restore the newest backup: feedback-loop restore FILE"
            yield bad("integrity", "; ".join(found)[:300], todo)
            return
        yield ok("integrity", f"{name} ok")
        if deep:
            lost = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(5)
            if lost:
                said = ", ".join(f"{row[0]} {row[1]} → {row[2]}" for row in lost)
                yield bad(
                    "references", f"rows refer to others that are not there: {said}", "Restore the newest backup."
                )
            else:
                yield ok("references", "foreign_key_check ok")


def key_fits(session: Session, settings: Settings) -> Iterator[Check]:
    """Whether the secret key is the one under which links were made and raw texts stored."""
    mail = session.scalar(select(Notification).order_by(Notification.id.desc()).limit(1))
    links = None if mail is None else hashed(token_of(mail, settings)) == mail.token_hash
    texts = raw_texts.opens(session, settings.secret_key)
    if links is False or texts is False:
        todo = "Put the old key back: SECRET_KEY, or the file secret-key in DATA_FOLDER."
        yield bad("key and data", "this secret key is not the one under which links and originals were stored", todo)
    elif links is None and texts is None:
        yield ok("key and data", "nothing is stored under the key yet")
    else:
        yield ok("key and data", "the secret key opens what is stored")


def worker(session: Session, now: datetime) -> Iterator[Check]:
    """When a worker last looked for work."""
    last = session.scalar(select(func.max(Tick.due_at)))
    todo = "Start it: feedback-loop up, or feedback-loop worker. Without it no mail goes out and nothing is analysed."
    if last is None:
        yield warn("worker", "no worker has looked for work yet", todo)
    elif now - last > WORKER_AWAY:
        yield bad("worker", f"last looked for work {ago(now - last)} ago", todo)
    else:
        yield ok("worker", f"looked for work {ago(now - last)} ago")


def outbox(session: Session, now: datetime) -> Iterator[Check]:
    """How long the oldest mail that is due has waited."""
    due = (Notification.state == NotificationState.PENDING, Notification.next_at <= now)
    count, oldest = session.execute(select(func.count(), func.min(Notification.next_at)).where(*due)).one()
    if not count:
        yield ok("outbox", "no mail is due")
        return
    age = now - oldest
    said = f"{count:,} mails are due, the oldest for {ago(age)}"
    todo = "Is the worker running, and does the mail server take mail? The log of the worker says why it waits."
    if age > MAIL_STUCK:
        yield bad("outbox", said, todo)
    elif age > MAIL_LATE:
        yield warn("outbox", said, todo)
    else:
        yield ok("outbox", said)


def originals(session: Session, now: datetime) -> Iterator[Check]:
    """Whether raw texts are destroyed when their time is over."""
    late = raw_texts.overdue(session, now, RAW_GRACE)
    if late:
        todo = "Is the worker running? It destroys them every hour; its log names comments it could not redact."
        yield warn("originals", f"{late:,} are kept beyond their time", todo)
    else:
        yield ok("originals", "none is kept beyond its time")


def invariants(session: Session, now: datetime) -> Iterator[Check]:
    """What must hold of the rows."""
    for name, said, todo in broken(session, now):
        yield (bad(name, said, todo) if todo else ok(name, said))
