"""PostgreSQL's own programs, and databases beside ours on the same server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine, make_url, text

from feedback_loop.db import make_engine

BIT = 4096  # bytes; the least that a pipe can hold
WHERE = "Install PostgreSQL's client programs (Debian: apt install postgresql-client)"


class ToolFailed(RuntimeError):
    """A program of PostgreSQL is missing, too old, or failed; the message says what to do."""


def server_version(engine: Engine) -> int:
    """The major version of the server."""
    with engine.connect() as connection:
        return int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000


def tool(name: str, server: int) -> str:
    """Find a program that can work with a server.

    Args:
        name: `pg_dump` or `pg_restore`.
        server: Major version of the server; an older program refuses to dump it.

    Raises:
        ToolFailed: There is none, or it is older.
    """
    path = shutil.which(name)
    if path is None:
        raise ToolFailed(f"{name} is not installed on this machine. {WHERE}, version {server} or newer.")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = re.search(r"\d+", said)
    if found is None or int(found[0]) < server:
        raise ToolFailed(f"{name} is of version {said.strip() or 'unknown'}, the server of {server}. {WHERE}-{server}.")
    return path


def run(command: Sequence[str], url: str, take: Callable[[bytes], object] | None = None) -> None:
    """Run a program of PostgreSQL on a database. The password goes by the environment, where other users cannot see it.

    Args:
        command: Program and arguments; the database is added.
        url: Address of the database.
        take: Given what the program writes to its standard output, bit by bit; the program waits while it is at it,
            and cannot run ahead.

    Raises:
        ToolFailed: It ended with an error; carries its words.
    """
    engine = make_engine(url)
    _, found = engine.dialect.create_connect_args(make_url(url))
    engine.dispose()
    password = found.pop("password", None)
    # Settings of ours for the driver that libpq knows as well; what it does not know, it refuses.
    conninfo = make_conninfo("", **{key: value for key, value in found.items() if key != "context"})
    environ = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    with TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603
            [*command, f"--dbname={conninfo}"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if take else None,
            stderr=said,
            bufsize=0,
            pipesize=BIT,
        )
        try:
            if take is not None:
                assert process.stdout is not None
                with process.stdout as stream:
                    while chunk := stream.read(BIT):
                        take(chunk)
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode:
            said.seek(0)
            words = said.read().decode(errors="replace").strip()
            raise ToolFailed(f"{Path(command[0]).name} failed: {words[-1500:]}")


def named(url: str, database: str) -> str:
    """The address of another database on the same server."""
    return address(make_url(url).set(database=database))


def address(url: URL) -> str:
    """An address with its password."""
    return url.render_as_string(hide_password=False)


def quoted(name: str) -> str:
    """The name of a database as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def beside(url: str) -> Engine:
    """An engine on the database of the server that is there for administering it."""
    return make_engine(named(url, "postgres" if make_url(url).database != "postgres" else "template1"))


def administer(url: str, *statements: str) -> None:
    """Run statements about databases that cannot be part of a transaction."""
    engine = beside(url).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def swap(url: str, name: str, draft: str, aside: str) -> None:
    """Give a database's name to another one, and another name to it, in one transaction. PostgreSQL refuses while
    anybody is connected to either."""
    engine = beside(url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(aside)}")
            connection.exec_driver_sql(f"ALTER DATABASE {quoted(draft)} RENAME TO {quoted(name)}")
    finally:
        engine.dispose()
