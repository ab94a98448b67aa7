"""Restoring a backup: prepared beside the present database, and swapped with it at the end in one step. The present one
is kept. Broken off at any moment, everything is as it was, and the same command begins anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, ExceptionContext, event, inspect, make_url, text
from sqlalchemy.exc import DatabaseError, OperationalError, ProgrammingError, SQLAlchemyError

from feedback_loop.db import make_engine, make_sessions, migrate, sqlite_driver, sqlite_file
from feedback_loop.settings import Settings
from feedback_loop.store import postgres
from feedback_loop.store.backups import (
    BackupFailed,
    Manifest,
    Progress,
    check_sqlite,
    read_manifest,
    reading_file,
    sync,
    verify,
)
from feedback_loop.store.presence import alone
from feedback_loop.store.replaying import Replayed, hold, replay
from feedback_loop.store.tables import counts, head, is_known, revision

BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database, and belongs to no other one


class RestoreFailed(RuntimeError):
    """Nothing was restored and nothing changed; the message says why and what to do."""


@dataclass
class Restored:
    """What a restore did.

    Attributes:
        manifest: Of the backup.
        aside: Where the database that was replaced is now; empty where there was none.
        replayed: What was done again; None where the present database was not there, or not to be read.
        held: Mails that were kept back, because nobody knows whether they were sent.
        migrated: Whether the backup was of an older schema.
        has_key: Whether the secret key is the one of the backup.
    """

    manifest: Manifest
    aside: str = ""
    replayed: Replayed | None = None
    held: int = 0
    migrated: bool = False
    has_key: bool = True
    rows: dict[str, int] = field(default_factory=dict)


def restore(
    settings: Settings,
    file: Path,
    now: datetime,
    *,
    without_present: bool = False,
    send_pending: bool = False,
    progress: Progress = lambda _what, _share: None,
) -> Restored:
    """Put a backup in the place of the database.

    Args:
        settings: Which database.
        file: The backup; its manifest lies beside it.
        now: The present moment; what is replaced is named by it.
        without_present: Go on although the present database cannot be read.
        send_pending: Send mails that were pending at the time of the backup although nobody knows whether they were
            sent since. Where the present database can be read, it knows, and this means nothing.
        progress: Told how far it is.

    Raises:
        RestoreFailed: Nothing was changed.
        BackupFailed: The backup is damaged or incomplete.
        InUse: Something runs on the database.
        ToolFailed: `pg_restore` is missing or failed.
    """
    kind = settings.database_url.partition("://")[0].partition("+")[0]
    manifest = read_manifest(file)
    if manifest.database != kind:
        raise RestoreFailed(
            f"{file.name} is a backup of {manifest.database}, and DATABASE_URL names {kind}. Restore it where "
            "DATABASE_URL names the same kind of database; feedback-loop move-db then brings it to the other."
        )
    progress("Comparing with the manifest", 0.0)
    verify(file, manifest, lambda share: progress("Comparing with the manifest", share * 0.2))
    with alone(settings.database_url, "restored"):
        run = from_sqlite if kind == "sqlite" else from_postgres
        done = Restored(manifest, has_key=manifest.opens_with(settings.secret_key))
        try:
            run(settings, file, now, done, without_present, send_pending, progress)
        except (OSError, SQLAlchemyError) as error:
            said = str(getattr(error, "orig", None) or error)[:300]
            raise RestoreFailed(
                f"The backup cannot be restored: {said}. Is there space? Nothing was changed; mend what the message "
                "names, then restore again."
            ) from error
    progress("Done", 1.0)
    return done


def prepare(engine: Engine, manifest: Manifest, done: Restored) -> None:
    """Compare what was restored with the manifest, and bring it to the schema of this version."""
    with engine.connect().execution_options(reads_only=True) as connection:
        found, at = counts(connection), revision(connection)
    wrong = [name for name, count in manifest.tables.items() if name in found and found[name] != count]
    if wrong or at != manifest.revision:
        where = ", ".join(wrong) or "its schema"
        raise BackupFailed(f"The backup holds other rows than its manifest says, in {where}; take another backup.")
    if not is_known(engine, at):
        raise RestoreFailed(
            f"The backup was made by a newer version of feedback-loop ({manifest.program}, schema {at}). Install that "
            "version, then restore."
        )
    done.rows = found
    if at != head(engine):
        migrate(engine)
        done.migrated = True


class PresentUnreadable(RuntimeError):
    """The present database cannot be read."""


def tell_apart(context: ExceptionContext) -> None:
    """Let errors of the present database be told from those of the one that is prepared beside it."""
    raise PresentUnreadable(str(context.original_exception)) from context.original_exception


def replay_from(
    settings: Settings,
    present: Engine | None,
    restored: Engine,
    done: Restored,
    now: datetime,
    without_present: bool,
    send_pending: bool,
) -> None:
    """Do again what must not be forgotten; or hold what nobody knows about.

    Raises:
        RestoreFailed: The present database cannot be read.
    """
    if present is not None and not without_present:
        event.listen(present, "handle_error", tell_apart)
        try:
            done.replayed = replay_all(settings, present, restored, now)
        except PresentUnreadable as error:
            raise unreadable(error) from error
    knows = done.replayed is not None and done.replayed.is_same
    if not knows and not send_pending:
        done.held = hold(make_sessions(restored))


def replay_all(settings: Settings, present: Engine, restored: Engine, now: datetime) -> Replayed:
    """See that the present database is of this version, and do again what it knows."""
    with present.connect().execution_options(reads_only=True) as connection:
        at = revision(connection)
    if at != head(restored) and is_known(restored, at):
        raise RestoreFailed(
            "The present database is of an older version. Run: feedback-loop init, then restore again. If it "
            "cannot be upgraded, add --without-present (see docs/operating.md, Backup)."
        )
    return replay(make_sessions(restored), make_sessions(present), now, settings)


def unreadable(error: Exception) -> RestoreFailed:
    """What to say when the present database cannot be read."""
    return RestoreFailed(
        f"The present database cannot be read ({str(error)[:300]}), so nobody knows which answers were erased, who "
        "unsubscribed and which mails were sent after the backup. To restore all the same, run this command again with "
        "--without-present: then answers erased since come back, and mails that were pending are held."
    )


@contextmanager
def disposed(engine: Engine) -> Iterator[Engine]:
    """An engine whose connections are closed at the end."""
    try:
        yield engine
    finally:
        engine.dispose()


# SQLite


def from_sqlite(
    settings: Settings,
    file: Path,
    now: datetime,
    done: Restored,
    without_present: bool,
    send_pending: bool,
    progress: Progress,
) -> None:
    """Prepare a file beside the present one, and swap."""
    database = sqlite_file(settings.database_url)
    assert database is not None
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = database.with_name(f".{database.name}.restoring")
    remove(draft)
    try:
        progress("Copying", 0.2)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        shutil.copyfile(file, draft)
        progress("Checking", 0.4)
        check_sqlite(draft)
        with disposed(make_engine(f"sqlite:///{draft}")) as restored:
            progress("Upgrading its schema", 0.6)
            prepare(restored, done.manifest, done)
            progress("Doing again what must not be forgotten", 0.7)
            has_present = database.exists() and database.stat().st_size > 0
            if has_present and not without_present:
                with reading_file(database) as present:
                    replay_from(settings, present, restored, done, now, without_present, send_pending)
            else:
                replay_from(settings, None, restored, done, now, without_present, send_pending)
        progress("Checking once more", 0.85)
        check_sqlite(draft)
        sync(draft)
        if has_present:
            aside = database.with_name(f"{database.name}.before-{now:%Y%m%dT%H%M%SZ}")
            done.aside = str(aside)
            put_aside(database, aside)
        draft.replace(database)
        sync(database.parent)
    finally:
        remove(draft)


def put_aside(database: Path, aside: Path) -> None:
    """Keep a database under another name, whole, and leave nothing beside its place that belongs to it.

    Its WAL is written back first. Where that fails because it is damaged, the WAL goes along.
    """
    driver = sqlite_driver()
    with suppress(driver.Error):
        connection = driver.connect(str(database), isolation_level=None)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode=DELETE")
        finally:
            connection.close()
    # A second name for the same file: until the new one takes its place there is always a database there.
    os.link(database, aside)
    for suffix in BESIDE:
        beside = database.with_name(database.name + suffix)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + suffix))
    sync(database.parent)


def remove(draft: Path) -> None:
    """Remove what a restore was preparing."""
    for suffix in ("", *BESIDE):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


# PostgreSQL


def from_postgres(
    settings: Settings,
    file: Path,
    now: datetime,
    done: Restored,
    without_present: bool,
    send_pending: bool,
    progress: Progress,
) -> None:
    """Prepare a database beside the present one on its server, and swap the names in one transaction."""
    url = settings.database_url
    name = str(make_url(url).database)
    draft = f"{name[:40]}_restoring"
    with disposed(make_engine(url)) as present:
        try:
            server = postgres.server_version(present)
            is_empty = not inspect(present).get_table_names()
        except OperationalError as error:
            raise RestoreFailed(
                f"PostgreSQL does not answer, or there is no database {name}: {error.orig} Make an empty one "
                f"(createdb {name}), then try again."
            ) from error
    program = postgres.tool("pg_restore", server)
    try:
        postgres.administer(
            url,
            f"DROP DATABASE IF EXISTS {postgres.quoted(draft)}",
            f"CREATE DATABASE {postgres.quoted(draft)} TEMPLATE template0 {same_as(url)}",
        )
    except (ProgrammingError, OperationalError) as error:
        raise RestoreFailed(
            f"No database can be made to restore into: {error.orig} Let an administrator of the server run "
            f"ALTER ROLE {make_url(url).username or 'NAME'} CREATEDB; then try again."
        ) from error
    try:
        beside = postgres.named(url, draft)
        progress("Restoring", 0.2)
        postgres.run([program, "--no-owner", "--no-privileges", "--exit-on-error", str(file.resolve())], beside)
        with disposed(make_engine(beside)) as restored, disposed(make_engine(url)) as present:
            progress("Upgrading its schema", 0.6)
            prepare(restored, done.manifest, done)
            progress("Doing again what must not be forgotten", 0.7)
            replay_from(settings, None if is_empty else present, restored, done, now, without_present, send_pending)
            with restored.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("ANALYZE"))
        aside = f"{name[:40]}_before_{now:%Y%m%dt%H%M%Sz}"
        progress("Swapping", 0.95)
        try:
            postgres.swap(url, name, draft, aside)
        except DatabaseError as error:
            raise RestoreFailed(
                f"The databases could not be swapped: {error.orig} Is something connected again, or does the role not "
                "own the database? Nothing was changed."
            ) from error
        done.aside = aside
    finally:
        with suppress(SQLAlchemyError):
            postgres.administer(url, f"DROP DATABASE IF EXISTS {postgres.quoted(draft)}")


def same_as(url: str) -> str:
    """The encoding and order of a database, for another one that is made like it."""
    with disposed(make_engine(url)) as engine, engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database "
                "WHERE datname = current_database()"
            )
        ).one()
    encoding, collate, ctype = (str(each).replace("'", "''") for each in row)
    return f"ENCODING '{encoding}' LC_COLLATE '{collate}' LC_CTYPE '{ctype}'"
