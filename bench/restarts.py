"""Kills a PostgreSQL server and starts it again, five times, while answers come in and mails go out.

Makes a server of its own (initdb in a temporary folder), never touches another one. Prints what was acknowledged and
what is there at the end, and how long after a start the last failing page came. Ends with 1 where an answer was lost, a
mail was not sent, or a page failed later than 30 seconds after a start. Mails that a worker had just claimed when the
server died come back when their leases end, so the last ones take some minutes.

    PYTHONPATH=.:bench python bench/restarts.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from aiosmtpd.controller import Controller
from serving import SECRET, serving
from sqlalchemy import func, select

from feedback_loop.db import Sessions, make_engine, make_sessions, migrate
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import Owed, owe
from feedback_loop.responses.models import Answer, Guard
from feedback_loop.responses.pressure import set_guard
from feedback_loop.settings import read_settings
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey
from feedback_loop.tokens import draw, hashed
from feedback_loop.web.forms import signer_with

RECOVERED_IN = 30.0  # seconds
STANDSTILL = 600.0  # seconds without a mail after which the rest is taken to be stuck; leases run out sooner
TELL_EVERY = 20.0  # seconds
CLIENTS = 10
WORDS = "The parcel stood in the rain for two days."


class Server:
    """A PostgreSQL server in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.binaries = max(Path("/usr/lib/postgresql").glob("*/bin"))
        self.folder, self.port = folder / "pg", port

    def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs, as the user it refuses to do without."""
        command = [str(self.binaries / program), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def make(self) -> None:
        """Make its files, and start it."""
        self.folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            subprocess.run(["chown", "postgres", str(self.folder)], check=True)
        self.run("initdb", "-D", str(self.folder), "-A", "trust", "-U", "root", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self.run("pg_ctl", "-D", str(self.folder), "-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """End it as a power cut would."""
        self.run("pg_ctl", "-D", str(self.folder), "-m", "immediate", "stop")


class NoRedirect(HTTPRedirectHandler):
    """Where an answer leads is not looked at."""

    def redirect_request(self, *_args: object) -> None:
        """Follow nothing."""


@dataclass
class Load:
    """Answers that are sent at a rate, and what came of each.

    Attributes:
        acknowledged: Their external page keys, of those whose page said thanks.
        failures: Moments, monotonic, at which one was not taken, and what came instead.
    """

    site: str
    rate: float
    version: int | None
    acknowledged: list[str] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self) -> None:
        """One client: sends, and sends again under the same page what was not taken, as people do."""
        opener = build_opener(NoRedirect)
        pause = CLIENTS / self.rate
        due = time.monotonic()
        while not self.stop.is_set():
            due = max(due + pause, time.monotonic() - 5)
            time.sleep(max(0.0, due - time.monotonic()))
            key = draw()
            made = int(datetime.now(UTC).timestamp()) - 60
            token = signer_with(SECRET).dumps(["answer:bench", key, made * 1000, self.version])
            body = urlencode({"form_token": token, "website": "", **self.fields(key)}).encode()
            while not self.stop.is_set():
                said = self.post(opener, body)
                if said == "303":
                    with self.lock:
                        self.acknowledged.append(key)
                    break
                with self.lock:
                    self.failures.append((time.monotonic(), said))
                time.sleep(0.5)

    def fields(self, key: str) -> dict[str, str]:
        """What one client fills in."""
        return {"score": "no", "comment": f"{WORDS} {key[:6]}"}

    def post(self, opener: object, body: bytes) -> str:
        """Send once; what came of it."""
        try:
            opener.open(Request(f"{self.site}/s/bench", body), timeout=60)  # type: ignore[attr-defined]
        except HTTPError as error:
            return str(error.code)
        except (URLError, ConnectionError, TimeoutError, OSError) as error:
            return type(error).__name__
        return "200"


@dataclass
class Sink:
    """Takes mails and notes which."""

    taken: Counter[str] = field(default_factory=Counter)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Take one."""
        for line in envelope.content.split(b"\r\n"):
            if line.lower().startswith(b"message-id:"):
                self.taken[line.partition(b":")[2].strip().decode()] += 1
                break
        return "250 OK"


def prepare(url: str, mails: int) -> int | None:
    """Make the database, a survey, and mails that are owed; the version of the survey's texts."""
    settings = read_settings({"SECRET_KEY": SECRET, "DATABASE_URL": url})
    engine = make_engine(settings.database_url)
    migrate(engine)
    now = datetime.now(UTC)
    with make_sessions(engine).begin() as session:
        survey = add_survey(session, slug="bench", name="Bench", question="", scale=ScaleName.HELPFUL, now=now)
        set_guard(session, survey, Guard.OFF)
        data = {
            "quote": WORDS, "said_at": now.isoformat(), "statement": "Parcels now carry two labels.",
            "outcome": "fixed", "links": {"yes_url": "/f/{token}?answer=yes", "no_url": "/f/{token}?answer=no"},
        }  # fmt: skip
        messages = (Owed(f"customer:{n}", f"c{n}@example.com", "", data) for n in range(mails))
        owe(session, "closure", "closure:1", messages, next_at=now, now=now, settings=settings)
        session.flush()
        version = survey.version
    engine.dispose()
    return version


@contextmanager
def working(folder: Path, url: str, port: int, count: int = 1) -> Iterator[None]:
    """Run workers meanwhile; what they log goes to `worker.log`."""
    environ = os.environ | {
        "DATA_FOLDER": str(folder), "DATABASE_URL": url, "SECRET_KEY": SECRET, "SMTP_PORT": str(port),
        "SMTP_TIMEOUT": "10", "EMBEDDING_MODEL": "toy", "LOG_FORMAT": "json", "CONTACT_LIMIT": "0",
        "REFINE_MINUTES": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "feedback_loop.cli", "worker"]
    with (folder / "worker.log").open("ab") as log:
        processes = [subprocess.Popen(command, env=environ, stdout=log, stderr=log) for _ in range(count)]
    try:
        yield
    finally:
        for each in processes:
            each.terminate()
        for each in processes:
            each.wait(60)


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=50, help="answers a second")
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--every", type=float, default=20, help="seconds between two restarts")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--port", type=int, default=25_432)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Server(folder, given.port)
        server.make()
        try:
            ok = play(given, folder, server)
        finally:
            server.stop()
    sys.exit(0 if ok else 1)


def wait_for_mails(sessions: Sessions, mails: int) -> None:
    """Until all are sent, or none has been for long."""
    left, moved, told = mails, time.monotonic(), 0.0
    while left and time.monotonic() - moved < STANDSTILL:
        time.sleep(2)
        with sessions() as session:
            waits = Notification.state != NotificationState.SENT
            now_left = session.scalar(select(func.count()).where(waits)) or 0
        if now_left < left:
            left, moved = now_left, time.monotonic()
        if time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            print(f"{left:,} mails left", flush=True)


def play(given: argparse.Namespace, folder: Path, server: Server) -> bool:
    """The run itself; whether it held."""
    url = f"postgresql://root@127.0.0.1:{given.port}/postgres"
    version = prepare(url, given.mails)
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=given.port + 1)
    controller.start()
    starts, stops = list[float](), list[float]()
    engine = make_engine(read_settings({"SECRET_KEY": SECRET, "DATABASE_URL": url}).database_url)
    sessions = make_sessions(engine)
    try:
        with serving(folder, url) as site, working(folder, url, given.port + 1, given.workers):
            load = Load(site, given.rate, version)
            clients = [threading.Thread(target=load.send) for _ in range(CLIENTS)]
            for each in clients:
                each.start()
            for number in range(given.restarts):
                time.sleep(given.every)
                stops.append(time.monotonic())
                server.stop()
                server.start()
                starts.append(time.monotonic())
                print(f"restart {number + 1}: {len(load.acknowledged):,} answers acknowledged", flush=True)
            time.sleep(RECOVERED_IN + 15)
            load.stop.set()
            for each in clients:
                each.join()
            wait_for_mails(sessions, given.mails)
        with sessions() as session:
            there = set(session.scalars(select(Answer.page_key)))
            states = dict(session.execute(select(Notification.state, func.count()).group_by(Notification.state)).all())
            owed = set(session.scalars(select(Notification.message_id)))
    finally:
        controller.stop()
        engine.dispose()
    lost = {hashed(key) for key in load.acknowledged} - there
    # What failed while the server was away comes of that, not of the start before.
    after = [at - start for at, _ in load.failures for start, stop in zip(starts, [*stops[1:], inf], strict=True)
             if start <= at < stop]  # fmt: skip
    repeated = sum(sink.taken.values()) - len(sink.taken)
    print(f"answers: {len(load.acknowledged):,} acknowledged, {len(there):,} there, {len(lost)} lost")
    print(f"failures: {len(load.failures):,} {dict(Counter(said for _, said in load.failures))}, the last one "
          f"{max(after, default=0.0):.1f} s after a start")  # fmt: skip
    print(f"mails: { {state.value: count for state, count in states.items()} }, {len(owed - set(sink.taken))} never "
          f"arrived, {repeated} twice")  # fmt: skip
    is_sent = states.get(NotificationState.SENT) == given.mails and not owed - set(sink.taken)
    holds = not lost and max(after, default=0.0) <= RECOVERED_IN and is_sent
    print("held" if holds else "DID NOT HOLD")
    return holds


if __name__ == "__main__":
    main()
