"""What commands share: the terminal, errors a user can mend, the database."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from feedback_loop import logs
from feedback_loop.db import Sessions, is_current, make_engine, make_sessions, sqlite_driver, sqlite_is_safe
from feedback_loop.jobs.bell import hang
from feedback_loop.settings import SettingError, Settings, read_settings
from feedback_loop.store import presence

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(message: str) -> NoReturn:
    """End with a message that says what to do."""
    err.print(f"[red]Error:[/red] {message}", markup=True)
    sys.exit(1)


def log_to_terminal(settings: Settings | None = None) -> None:
    """Write what long-running commands do to standard error, in the format that the settings name."""
    logs.configure(settings)


def settings_or_fail() -> Settings:
    """The settings; a bad one ends the command with its message."""
    try:
        return read_settings()
    except SettingError as error:
        fail(str(error))


def open_database(settings: Settings) -> Sessions:
    """Sessions on the database; ends the command when it cannot be reached or is not prepared. As long as the command
    runs, nobody replaces the database."""
    from sqlalchemy.exc import SQLAlchemyError

    engine = make_engine(settings.database_url)
    try:
        presence.announce(settings.database_url)
    except presence.InUse as error:
        fail(str(error))
    try:
        current = is_current(engine)
    except SQLAlchemyError as error:
        fail(f"The database does not answer: {getattr(error, 'orig', error)}. Check DATABASE_URL.")
    if not current:
        fail("The database is not prepared for this version. Run: feedback-loop init")
    sessions = make_sessions(engine)
    hang(sessions, settings)
    return sessions


def warn_of_sqlite(settings: Settings) -> None:
    """Say so when this SQLite can damage a database that two processes write; refuse where several web processes would.

    Web and worker are two already, so with such a version the risk is there, if small; see ADR 21.
    """
    if not settings.database_url.startswith("sqlite") or sqlite_is_safe(sqlite_driver().sqlite_version_info):
        return
    said = (
        f"SQLite {sqlite_driver().sqlite_version} can damage the database when two processes write at the same instant"
    )
    todo = "Install pysqlite3 or a Python with SQLite 3.51.3 or newer, or use PostgreSQL"
    if settings.web_processes > 1:
        fail(f"{said}, and WEB_PROCESSES is {settings.web_processes}. {todo}; or set WEB_PROCESSES=1.")
    err.print(f"[yellow]Warning:[/yellow] {said}. {todo}.")


def give_way() -> None:
    """Let this process have what others leave of the machine: whoever waits for a page goes before."""
    os.nice(19)


def bar(*columns: Any) -> Progress:
    """A progress bar that keeps out of the way of what is printed."""
    return Progress(TextColumn("{task.description}"), BarColumn(), *columns, TimeElapsedColumn(), console=err)


def mendable() -> tuple[type[Exception], ...]:
    """Errors whose message says what to do. Looked up only when one is raised: their modules load arrays."""
    from feedback_loop.analysis.embedding.embedder import EmbedderUnavailable
    from feedback_loop.complaints.service.writing import Overtaken

    return (EmbedderUnavailable, Overtaken)


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the errors a user can mend into messages, and Ctrl-C into an exit without a trace."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            err.print("Stopped.")
            sys.exit(130)
        except SettingError as error:
            fail(str(error))
        except RuntimeError as error:
            if not isinstance(error, mendable()):
                raise
            fail(str(error))
        finally:
            presence.leave()

    return run
