"""What the benches of mails share: a mail server that takes everything and notes it, stores, and real workers."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import databases
from sqlalchemy import func, select

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, make_engine, make_sessions, migrate, reading
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import Owed, owe
from feedback_loop.settings import read_settings

ROOT = Path(__file__).parent.parent
SECRET = "a key for benches only"
# On SQLite a second worker is refused, since it would only wait for the first. Here some run all the same: what holds
# rows together must not depend on that.
WORKER = """
import contextlib
from feedback_loop.jobs import alone
alone.alone = lambda url: contextlib.nullcontext()
from feedback_loop.cli import main
main(["worker"])
"""


class Server(asyncio.Protocol):
    """One connection of a mail server. Each mail is in the file before its sender hears that it was taken."""

    def __init__(self, file: int, delay: float) -> None:
        self.file, self.delay = file, delay
        self.transport: asyncio.Transport
        self.waiting = b""
        self.to = b""
        self.in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer each line, or the end of a mail."""
        self.waiting += data
        while True:
            end = b"\r\n.\r\n" if self.in_data else b"\r\n"
            part, found, rest = self.waiting.partition(end)
            if not found:
                return
            self.waiting = rest
            if self.in_data:
                self.in_data = False
                key = part.partition(b"Message-ID: ")[2].partition(b"\r\n")[0]
                asyncio.get_running_loop().call_later(self.delay, self.take, self.to, key)
                continue
            verb = part[:4].upper()
            if verb == b"RCPT":
                self.to = part.partition(b"<")[2].partition(b">")[0]
            self.in_data = verb == b"DATA"
            self.transport.write(
                b"354 go on\r\n" if self.in_data else b"221 bye\r\n" if verb == b"QUIT" else b"250 OK\r\n"
            )

    def take(self, to: bytes, key: bytes) -> None:
        """Note a mail and say so."""
        os.write(self.file, f"{time.time():.6f} {to.decode()} {key.decode()}\n".encode())
        self.transport.write(b"250 taken\r\n")


async def serve(port: int, path: str, delay: float) -> None:
    """Run the mail server."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    server = await asyncio.get_running_loop().create_server(lambda: Server(file, delay), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


@dataclass(frozen=True)
class Taken:
    """A mail that the server took."""

    at: float
    to: str
    message_id: str


@dataclass
class Run:
    """A store, a mail server and workers.

    Attributes:
        environ: Of the workers.
    """

    sessions: Sessions
    environ: dict[str, str]
    log: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """Start one worker."""
        command = [sys.executable, "-c", WORKER]
        with (self.log.parent / "workers.log").open("ab") as out:
            process = subprocess.Popen(command, env=self.environ, stdout=out, stderr=out, cwd=self.log.parent)
        self.workers.append(process)
        return process

    def stop(self) -> None:
        """Stop all workers."""
        for process in self.workers:
            process.terminate()
        for process in self.workers:
            process.wait(60)
        self.workers.clear()

    def owe(self, count: int, domains: int = 50) -> float:
        """Owe the mails of one closing, in one transaction.

        Returns:
            When it was committed.
        """
        settings = read_settings(self.environ)
        now = utc_now()

        def people() -> Iterator[Owed]:
            for number in range(count):
                data = {
                    "quote": "The parcel came two days late, and nobody told me where it was.",
                    "said_at": now.isoformat(),
                    "statement": "Parcels now carry two labels; the driver scans both.\n\nYou can see where yours is.",
                    "outcome": "fixed",
                    "effective_from": None,
                    "language": ("", "de", "pl")[number % 3],
                    "thread": "item-1",
                    "links": {"yes_url": "/f/{token}?answer=yes", "no_url": "/f/{token}?answer=no"},
                }
                address = f"person{number}@d{number % domains}.example"
                yield Owed(f"customer:{number}", address, f"Person {number}", data)

        with self.sessions.begin() as session:
            owe(session, "closure", "closure:1", people(), next_at=now, now=now, settings=settings)
        return time.time()

    def states(self) -> dict[str, int]:
        """How many messages stand how."""
        with reading(self.sessions) as session:
            rows = session.execute(select(Notification.state, func.count()).group_by(Notification.state)).all()
        return {row.state.value: row[1] for row in rows}

    def taken(self) -> list[Taken]:
        """What the mail server took."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [Taken(float(at), to, key) for at, to, key in (line.split(" ", 2) for line in lines)]

    def wait(self, count: int, seconds: float) -> None:
        """Wait until so many messages are sent.

        Raises:
            TimeoutError: They are not.
        """
        deadline = time.monotonic() + seconds
        while self.states().get("sent", 0) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.states()}; see {self.log.parent}/workers.log")
            time.sleep(0.25)


@contextmanager
def running(database: str, port: int, *, delay: float = 0.0, **settings: str) -> Iterator[Run]:
    """A new store, migrated, and a mail server.

    Args:
        database: `sqlite` or `postgresql`.
        port: Of the mail server.
        delay: Seconds until it says that it took a mail.
        settings: By their names.
    """
    folder = Path(tempfile.mkdtemp(prefix="mails-"))
    with databases.database(database, folder, "mails") as url:
        engine = make_engine(url)
        migrate(engine)
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATA_FOLDER": str(folder),
            "DATABASE_URL": url,
            "SECRET_KEY": SECRET,
            "SMTP_PORT": str(port),
            "SMTP_TIMEOUT": "10",
            "MAIL_FROM": "Fernhill Outdoor <care@fernhill.example>",
            "EMBEDDING_MODEL": "toy",
            **settings,
        }
        log = folder / "taken.txt"
        command = [sys.executable, __file__, str(port), str(log), str(delay)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, env=environ)
        assert server.stdout is not None
        server.stdout.readline()
        run = Run(make_sessions(engine), environ, log)
        try:
            yield run
            run.stop()
            shutil.rmtree(folder)  # kept, with the log of the workers, when something failed
        finally:
            run.stop()
            server.kill()
            server.wait()
            server.stdout.close()
            engine.dispose()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
