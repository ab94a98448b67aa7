"""Backups: a file that was checked, and beside it a manifest that says what must be in it.

SQLite is written by VACUUM INTO, a snapshot without what was deleted, while everybody goes on reading and writing;
PostgreSQL by pg_dump, of the same snapshot as the counts in the manifest. Neither holds the secret key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from feedback_loop import tokens
from feedback_loop.db import make_engine, sqlite_driver, sqlite_file
from feedback_loop.settings import Settings
from feedback_loop.store import postgres
from feedback_loop.store.pace import GENTLE, STRETCH, Pace, breathing, slowly
from feedback_loop.store.tables import counts, revision

FORMAT = 1
SUFFIX = {"sqlite": ".db", "postgresql": ".dump"}
NAME = re.compile(r"feedback-loop-\d{8}T\d{6}Z\.(db|dump)")
DRAFT = re.compile(r"\.feedback-loop-\d{8}T\d{6}Z\.(db|dump)(\.json)?\.\d+(-journal|-wal|-shm)?")
BROKEN_OFF = timedelta(hours=6)  # without a write
PURPOSE = "backup"
CHUNK = 256 * 1024
OPERATIONS = 1_000  # of SQLite, after which it is asked how far it is

Progress = Callable[[str, float], None]  # what is being done, and the share of it that is done, 0 to 1


class BackupFailed(RuntimeError):
    """No backup was made, or a file is none; the message says why and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What is known of a backup.

    Attributes:
        made_at: The moment whose state it holds, ISO 8601 in UTC.
        program: Version of the program that made it.
        database: `sqlite` or `postgresql`.
        server: Version of SQLite or PostgreSQL.
        revision: Of the schema.
        tables: Rows of each table.
        sha256: Of the file, in hex.
        size: Of the file, in bytes.
        key_check: Tells whether a secret key is the one of then, and nothing else of it.
        format: Of this manifest.
    """

    made_at: str
    program: str
    database: str
    server: str
    revision: str
    tables: dict[str, int]
    sha256: str
    size: int
    key_check: str
    format: int = FORMAT

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made_at)

    def opens_with(self, secret_key: str) -> bool:
        """Whether this is the key under which what it holds was sealed."""
        return self.key_check == key_check(secret_key, self.made_at)


def key_check(secret_key: str, made_at: str) -> str:
    """What a manifest keeps to recognise the key."""
    return tokens.hashed(tokens.derive(secret_key, PURPOSE, made_at))


def manifest_file(backup: Path) -> Path:
    """The manifest beside a backup."""
    return backup.with_name(f"{backup.name}.json")


def back_up(
    settings: Settings,
    target: Path | None,
    now: datetime,
    progress: Progress = lambda _what, _share: None,
    pace: Pace = GENTLE,
) -> Path:
    """Write a backup. It appears whole, checked and on the disk, or not at all.

    Args:
        settings: Which database, and the folder by default.
        target: A folder, or the file to write.
        now: The present moment; it names the file.
        progress: Told how far it is.
        pace: How it gives way to others.

    Returns:
        The file.

    Raises:
        BackupFailed: It could not be written, or is damaged; then the database may be, too.
        ToolFailed: `pg_dump` is missing or failed.
    """
    kind = settings.database_url.partition("://")[0].partition("+")[0]
    made_at = now.astimezone(UTC).replace(microsecond=0)
    target = target or settings.backup_folder
    if target.is_dir() or not target.suffix:
        file = target / f"feedback-loop-{made_at:%Y%m%dT%H%M%SZ}{SUFFIX[kind]}"
    else:
        file = target
    source = sqlite_file(settings.database_url)
    if source is not None and not source.exists():
        raise BackupFailed(
            f"There is no database at {source}. Is DATA_FOLDER the right one? A new one: feedback-loop init"
        )
    if file.exists():
        raise BackupFailed(f"{file} is there already; a backup overwrites nothing. Give another name, or a folder.")
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        forget_broken_off(file.parent, now)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        engine = make_engine(settings.database_url)
        try:
            if kind == "sqlite":
                rows, found, server = from_sqlite(engine, draft, progress, pace)
            else:
                rows, found, server = from_postgres(engine, draft, progress, pace)
        finally:
            engine.dispose()
        progress("Reading it back", 0.9)
        breathe = breathing(pace)

        def seen(share: float) -> None:
            breathe()
            progress("Reading it back", 0.9 + share / 10)

        manifest = Manifest(
            made_at=made_at.isoformat(),
            program=version("feedback-loop"),
            database=kind,
            server=server,
            revision=found,
            tables=rows,
            sha256=sha256(draft, seen),
            size=draft.stat().st_size,
            key_check=key_check(settings.secret_key, made_at.isoformat()),
        )
        write_whole(manifest_file(file), json.dumps(asdict(manifest), indent=1).encode() + b"\n")
        sync(draft)
        draft.replace(file)
        sync(file.parent)
    except OSError as error:
        raise BackupFailed(
            f"The backup could not be written: {error}. Is there space, and may this user write to {file.parent}?"
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
            if not file.exists():  # broken off between the two
                manifest_file(file).unlink(missing_ok=True)
    progress("Done", 1.0)
    return file


def from_sqlite(engine: Engine, draft: Path, progress: Progress, pace: Pace) -> tuple[dict[str, int], str, str]:
    """Write a snapshot of an SQLite database, and check it."""
    source = sqlite_file(str(engine.url))
    assert source is not None
    expected = source.stat().st_size
    driver = sqlite_driver()
    connection = engine.raw_connection()
    try:
        written = 0
        breathe = breathing(pace)

        def look() -> None:
            # Brought to the disk bit by bit, with pauses: those who write answers meanwhile wait for the same disk.
            nonlocal written
            breathe()
            with suppress(OSError):  # SQLite itself says what is wrong
                size = draft.stat().st_size
                if size - written >= STRETCH:
                    written = size
                    sync(draft)
                    time.sleep(pace.pause)
                    progress("Writing", 0.7 * min(1.0, size / max(1, expected)))

        opened: Any = connection.driver_connection
        opened.set_progress_handler(look, OPERATIONS)
        opened.execute("VACUUM INTO ?", (str(draft),))
        opened.set_progress_handler(None, 0)
    except driver.Error as error:
        raise BackupFailed(
            f"SQLite could not write the backup: {error}. Is there space? feedback-loop doctor --deep checks "
            "the database."
        ) from error
    finally:
        connection.close()
    progress("Checking", 0.7)
    return check_sqlite(draft, breathing(pace))


def check_sqlite(file: Path, meanwhile: Callable[[], None] | None = None) -> tuple[dict[str, int], str, str]:
    """Check a file that nobody else has open, and count what it holds.

    Args:
        file: The database.
        meanwhile: Called again and again.

    Returns:
        Rows by table, revision of the schema, version of SQLite.

    Raises:
        BackupFailed: It is damaged.
    """
    driver = sqlite_driver()
    try:
        connection = driver.connect(str(file), isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=DELETE")  # so that the one file is all of it
            connection.set_progress_handler(meanwhile, OPERATIONS)
            said = [row[0] for row in connection.execute("PRAGMA integrity_check(10)")]
        finally:
            connection.close()
    except driver.Error as error:
        said = [str(error)]
    if said != ["ok"]:
        raise BackupFailed(
            f"{file} is damaged: {'; '.join(said)[:500]}. Restore an older backup, or see feedback-loop doctor --deep."
        )
    with reading_file(file) as engine, engine.connect() as opened:
        return counts(opened), revision(opened), driver.sqlite_version


@contextmanager
def reading_file(file: Path) -> Iterator[Engine]:
    """An engine on a file that is only read, and stays as it is."""
    driver = sqlite_driver()
    address = f"{file.resolve().as_uri()}?mode=ro"
    connect = partial(driver.connect, address, uri=True)
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, module=driver)
    try:
        yield engine
    finally:
        engine.dispose()


def from_postgres(engine: Engine, draft: Path, progress: Progress, pace: Pace) -> tuple[dict[str, int], str, str]:
    """Dump a PostgreSQL database, and count in the snapshot that is dumped."""
    server = postgres.server_version(engine)
    program = postgres.tool("pg_dump", server)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        # It rests while the dump is written; some servers end a transaction that does.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        size = connection.scalar(text("SELECT pg_database_size(current_database())")) or 1
        full = str(connection.scalar(text("SHOW server_version")))
        rows, found = counts(connection), revision(connection)
        # Compressed, a dump is about a fifth of the database.
        with draft.open("wb") as file:
            postgres.run(
                [program, "--format=custom", "--no-password", f"--snapshot={snapshot}"],
                postgres.address(engine.url),
                slowly(file, pace, lambda written: progress("Writing", 0.9 * min(1.0, written / (size / 5)))),
            )
    return rows, found, full


def sha256(file: Path, progress: Callable[[float], None] = lambda _share: None) -> str:
    """The SHA-256 of a file, in hex."""
    digest, done, size = hashlib.sha256(), 0, max(1, file.stat().st_size)
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(done / size)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(file: Path, content: bytes) -> None:
    """Write a small file so that it appears whole or not at all, readable by nobody else."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def read_manifest(file: Path) -> Manifest:
    """Read the manifest of a backup.

    Raises:
        BackupFailed: It is not there, or of a newer version of the program.
    """
    path = manifest_file(file)
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found.get("format") != FORMAT:
            raise BackupFailed(f"{path} was written by a newer version of feedback-loop; install that version.")
        return Manifest(**found)
    except FileNotFoundError:
        raise BackupFailed(
            f"There is no manifest {path}, without which nobody knows whether the backup is whole. It is made beside "
            "each backup: copy it to the same folder."
        ) from None
    except (ValueError, TypeError, OSError) as error:
        raise BackupFailed(f"The manifest {path} cannot be read: {error}. Take another backup.") from None


def verify(file: Path, manifest: Manifest, progress: Callable[[float], None] = lambda _share: None) -> None:
    """Compare a backup with its manifest.

    Raises:
        BackupFailed: It is not what was written.
    """
    size = file.stat().st_size
    if size != manifest.size or sha256(file, progress) != manifest.sha256:
        raise BackupFailed(
            f"{file} is not what was written: its size or checksum differs from the manifest ({size:,} bytes, "
            f"{manifest.size:,} were written). It was cut off or changed; take another copy or another backup."
        )


def backups_in(folder: Path) -> list[Path]:
    """The backups in a folder that were named by their moment and have a manifest, the newest first."""
    if not folder.is_dir():
        return []
    found = [each for each in folder.iterdir() if NAME.fullmatch(each.name) and manifest_file(each).exists()]
    return sorted(found, key=lambda each: each.stem, reverse=True)


def forget_broken_off(folder: Path, now: datetime) -> None:
    """Remove what backups left in a folder that were killed while they wrote. One that is at it writes all the time."""
    for each in folder.iterdir():
        if DRAFT.fullmatch(each.name):
            with suppress(OSError):  # gone meanwhile, or another's
                if now.timestamp() - each.stat().st_mtime > BROKEN_OFF.total_seconds():
                    each.unlink()


def forget_older(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest backups of a folder, each with its manifest.

    Returns:
        What was removed.
    """
    old = backups_in(folder)[max(1, keep) :]
    for each in old:
        each.unlink()
        manifest_file(each).unlink(missing_ok=True)
    return old
