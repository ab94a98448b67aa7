"""The doctor: settings, machine, database, work and backups, one check after the other. It changes nothing."""

from __future__ import annotations

import ipaddress
import os
import platform
import re
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from urllib.parse import urlsplit

from feedback_loop.clock import utc_now
from feedback_loop.db import sqlite_file
from feedback_loop.disks import file_system_of, is_network
from feedback_loop.settings import SettingError, Settings, load_config, read_settings
from feedback_loop.store.backups import backups_in, manifest_file, read_manifest
from feedback_loop.store.check import Check, ago, bad, looked, ok, warn
from feedback_loop.store.health import look_at_database

LITTLE = 1_000_000_000  # bytes of free space below which it is worth a look
TOO_LITTLE = 200_000_000
BACKUP_AGE = timedelta(hours=36)
PATIENCE = 5  # seconds for the mail server to take a connection


def examine(
    deep: bool, say: Callable[[str], None] = lambda _what: None, environ: Mapping[str, str] | None = None
) -> list[Check]:
    """Look at everything.

    Args:
        deep: Also read the whole database, and load the embedding model.
        say: Told what is being looked at.
        environ: The settings; the process's own environment by default.
    """
    environ = dict(os.environ if environ is None else environ)
    found = [*looked("Python", python)]
    settings, checks = settings_of(environ)
    found += checks
    if settings is None:
        return found
    database = sqlite_file(settings.database_url)
    parts: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("secret key", lambda: secret_key(settings, environ)),
        ("site", lambda: site(settings)),
        ("disk", lambda: disk(settings, database)),
        ("files", lambda: permissions(database)),
        ("database", lambda: look_at_database(settings, database, deep, say)),
        ("mail server", lambda: mail_server(settings)),
        ("backups", lambda: backups(settings)),
    ]
    if deep:
        parts.append(("embedding model", lambda: embedding(settings)))
    for name, look in parts:
        say(f"Looking at {name}")
        found += looked(name, look)
    return found


def python() -> Iterator[Check]:
    """Versions of Python and of what is installed."""
    missing = []
    for line in requires("feedback-loop") or ():
        name = re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0]
        try:
            version(name)
        except PackageNotFoundError:
            if ";" not in line:  # those are for other systems, or extras
                missing.append(name)
    said = f"Python {platform.python_version()}, feedback-loop {version('feedback-loop')}"
    said += f", SQLAlchemy {version('sqlalchemy')}, Flask {version('flask')}, {platform.system()} {platform.machine()}"
    if missing:
        todo = "Install the lock file: pip install --no-deps --require-hashes -r requirements.lock"
        yield bad("Python", f"{said}; not installed: {', '.join(missing)}", todo)
    else:
        yield ok("Python", said)


def settings_of(environ: dict[str, str]) -> tuple[Settings | None, list[Check]]:
    """The settings, and what is wrong with each. Makes no secret key where there is none."""
    folder = Path(environ.get("DATA_FOLDER", "").strip() or "data").expanduser()
    has_key = bool(environ.get("SECRET_KEY", "").strip())
    if not has_key:
        try:
            has_key = bool((folder / "secret-key").read_bytes())
        except FileNotFoundError:
            pass
        except OSError as error:
            todo = "Run the doctor as the user that feedback-loop runs as, or set DATA_FOLDER to the right folder."
            return None, [bad("secret key", f"cannot be read: {error}", todo)]
    base = {"DATA_FOLDER": str(folder), "SECRET_KEY": environ.get("SECRET_KEY", "") if has_key else "none yet"}
    if not base["SECRET_KEY"]:
        base.pop("SECRET_KEY")
    given = {name: environ[name] for name in load_config().SETTINGS if environ.get(name, "").strip()}
    problems = []
    for name, value in given.items():
        try:
            read_settings({**base, name: value})
        except (SettingError, OSError) as error:
            problems.append(bad("settings", str(error), f"Set {name} to a value that can be used."))
    try:
        settings = read_settings({**given, **base})
    except (SettingError, OSError) as error:
        return None, problems or [bad("settings", str(error), "Mend it, then run the doctor again.")]
    said = (
        f"{len(given)} given, {len(load_config().SETTINGS) - len(given)} left as they are; data in {folder.resolve()}"
    )
    checks = [ok("settings", said)]
    if not has_key:
        todo = "Run: feedback-loop init. If this installation had a key, put it back first."
        checks.append(bad("secret key", f"there is none in {folder}", todo))
    return settings, checks


def secret_key(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Where the key is kept, and who may read it. Whether it opens what is stored is asked of the database."""
    path = settings.data_folder / "secret-key"
    if environ.get("SECRET_KEY", "").strip():
        if len(settings.secret_key) < 32:
            todo = (
                "Use one of at least 32 random characters. A new key opens nothing that was stored under the old one."
            )
            yield warn("secret key", f"from SECRET_KEY, {len(settings.secret_key)} characters", todo)
        else:
            yield ok("secret key", "from SECRET_KEY")
        return
    if not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield bad("secret key", f"others may read {path} ({mode:o})", f"Run: chmod 600 {path}")
    elif len(settings.secret_key) < 32:
        yield bad(
            "secret key", f"{path} holds {len(settings.secret_key)} characters", "Put the key back that was there."
        )
    else:
        yield ok("secret key", f"{path}, readable by its owner only")


def is_loopback(host: str) -> bool:
    """Whether a name of a host means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def site(settings: Settings) -> Iterator[Check]:
    """Whether people reach the site over https, as browsers and mail programs want it."""
    parts = urlsplit(settings.public_url)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        yield ok("site", settings.public_url)
    else:
        todo = "Put a reverse proxy with TLS in front and set PUBLIC_URL to its https address."
        yield bad("site", f"{settings.public_url} is not encrypted: passwords and answers can be read on the way", todo)


def disk(settings: Settings, database: Path | None) -> Iterator[Check]:
    """Free space, and what the files lie on."""
    folder = database.parent if database else settings.data_folder
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    size = database.stat().st_size if database and database.exists() else 0
    said = f"{free / 1e9:,.1f} GB free" + (f", the database has {size / 1e9:,.2f} GB" if database else "")
    if free < TOO_LITTLE:
        yield bad("disk", said, "Make space: without it no answer can be taken.")
    elif free < max(LITTLE, size):
        yield warn("disk", said, "Make space: a backup or an upgrade may need as much again as the database has.")
    else:
        yield ok("disk", said)
    kind = file_system_of(folder)
    if database and is_network(kind):
        todo = "Move DATA_FOLDER to a disk of this machine, or use PostgreSQL."
        yield bad("file system", f"{folder} lies on a network file system ({kind})", todo)
    else:
        yield ok("file system", kind or "not known on this system")


def permissions(database: Path | None) -> Iterator[Check]:
    """Whether others may read the database."""
    if database is None or not database.exists():
        return
    mode = stat.S_IMODE(database.stat().st_mode)
    if mode & 0o077:
        yield warn("files", f"others may read {database} ({mode:o})", f"Run: chmod 600 {database}*")
    else:
        yield ok("files", "the database is readable by its owner only")


def mail_server(settings: Settings) -> Iterator[Check]:
    """Whether the mail server takes a connection; no mail is sent."""
    if settings.mail_transport != "smtp":
        todo = "Set MAIL_TRANSPORT=smtp and SMTP_HOST when customers are to get mail."
        yield warn("mail server", f"mails are only written to {settings.mailbox_folder}", todo)
        return
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        socket.create_connection((settings.smtp_host, settings.smtp_port), timeout=PATIENCE).close()
    except OSError as error:
        todo = "Look at SMTP_HOST and SMTP_PORT, and whether the mail server runs. Mails wait until it does."
        yield bad("mail server", f"{where} takes no connection: {error}", todo)
    else:
        yield ok("mail server", f"{where} takes connections")


def backups(settings: Settings) -> Iterator[Check]:
    """How old the newest backup is."""
    found = backups_in(settings.backup_folder)
    todo = "Run: feedback-loop backup --keep 14 (daily, from cron or a timer)."
    if not found:
        yield warn("backups", f"there is none in {settings.backup_folder}", todo)
        return
    newest = found[0]
    age = utc_now() - read_manifest(newest).moment
    said = f"{len(found)} in {settings.backup_folder}, the newest {ago(age)} old"
    open_files = [each for each in found if (each.stat().st_mode | manifest_file(each).stat().st_mode) & 0o077]
    if age > BACKUP_AGE:
        yield warn("backups", said, todo)
    elif open_files:
        yield warn("backups", f"{said}; others may read {open_files[0]}", f"Run: chmod -R go= {settings.backup_folder}")
    else:
        yield ok("backups", said)


def embedding(settings: Settings) -> Iterator[Check]:
    """Whether the embedding model loads and works."""
    from feedback_loop.analysis.embedding.loading import load_embedder

    embedder = load_embedder(settings.embedding_model)
    vector = embedder.encode(["The parcel never came."])[0]
    yield ok("embedding model", f"{embedder.name}, {len(vector)} dimensions")
