"""Prints how many answers a second are taken, with 16 clients, on SQLite with full durability and on PostgreSQL.

Beside it, in turns on the same machine: a bare Flask view that does one INSERT of an equal row under the same server
and durability, and how often a second the disk takes an fdatasync. Then the same while a refine runs in a process of
its own.

The load is answers only: the tokens of the pages they come from are made beforehand with the product's own key, as if
16 people had opened the page a while ago. No worker runs beside, but in the last part the refine.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
from databases import POSTGRES, database
from flask import Flask
from scale import CUSTOMERS, NOISE, fill
from serving import SECRET, SERVE, serving
from sqlalchemy import Engine, func, insert, select, text
from sqlalchemy.exc import OperationalError

from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.analysis.embedding.loading import load_embedder
from feedback_loop.complaints.models import Complaint
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.db import make_engine, make_sessions, migrate
from feedback_loop.responses.models import Answer, Customer, Guard
from feedback_loop.responses.pressure import set_guard
from feedback_loop.settings import database_url
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey
from feedback_loop.tokens import draw, hashed
from feedback_loop.web.forms import signer

CLIENTS = 16
TURNS = 6
STATEMENTS = 20_000
DIMENSIONS = 384
KINDS = 80
FASTEST = 1_500  # answers a second that are prepared for; who is faster runs out of them, and the run says so
WORDS = "The parcel stood in the rain for two days, and nobody at the depot could say where it was."


@dataclass
class Found:
    """What some turns brought.

    Attributes:
        seconds: How long they took together.
        times: Of each answer that was taken, in milliseconds.
        errors: Answers that were not taken, by what came instead.
    """

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds

    def share(self, percent: int) -> float:
        """The time under which this share of the answers stayed."""
        return statistics.quantiles(self.times, n=100)[percent - 1]

    def __str__(self) -> str:
        return (
            f"{self.rate:7.1f} a second, p50 {self.share(50):6.1f} ms, p99 {self.share(99):6.1f} ms, "
            f"{len(self.times):,} taken, {len(self.errors)} errors {sorted(set(self.errors))[:3] or ''}"
        )


def requests(site: str, path: str, fields: list[dict[str, str]]) -> list[bytes]:
    """POSTs as they go over the line."""
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(site).netloc}\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n"
    bodies = (urlencode(each).encode() for each in fields)
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


def answers(site: str, count: int) -> list[bytes]:
    """Answers to the product's page, each from a page of its own."""
    app = Flask(__name__)
    app.secret_key = SECRET
    made = int((time.time() - 10) * 1000)  # who sends within a second is asked to press Send once more
    with app.app_context():
        tokens = [signer().dumps(["answer:load", draw(), made]) for _ in range(count)]
    common = {"score": "yes", "comment": WORDS, "email": "", "website": ""}
    return requests(site, "/s/load", [common | {"form_token": str(token)} for token in tokens])


def bare(site: str, count: int) -> list[bytes]:
    """The same words for the bare view."""
    return requests(site, "/answer", [{"comment": WORDS, "page_key": hashed(draw())} for _ in range(count)])


def turn(site: str, prepared: list[bytes], seconds: float, found: Found) -> None:
    """Let all clients send what is prepared, each over a connection it keeps, until the time is over."""
    lock = threading.Lock()
    end = time.perf_counter() + seconds

    def client() -> None:
        line = Line(site)
        times, errors = [], []
        while time.perf_counter() < end:
            with lock:
                if not prepared:
                    errors.append("ran out of what was prepared")
                    break
                request = prepared.pop()
            began = time.perf_counter()
            try:
                status = line.send(request)
            except OSError as error:
                errors.append(str(error))
                line = Line(site)
                continue
            if status == 303:
                times.append((time.perf_counter() - began) * 1000)
            else:
                errors.append(str(status))
        line.socket.close()
        with lock:
            found.times += times
            found.errors += errors

    began = time.perf_counter()
    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    found.seconds += time.perf_counter() - began


class Line:
    """A connection that is kept; no more of HTTP than the measurement needs, so that clients leave the cores alone."""

    def __init__(self, site: str) -> None:
        parts = urlsplit(site)
        self.address = (parts.hostname, parts.port)
        self.socket = socket.create_connection(self.address, timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: bytes) -> int:
        """Send and read the whole answer; its status."""
        self.socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(headers.get(b"content-length", b"0")):
            body += self._more()
        if headers.get(b"connection") == b"close":
            self.socket.close()
            self.__init__(f"http://{self.address[0]}:{self.address[1]}")  # type: ignore[misc]
        return int(head.split(b" ", 2)[1])

    def _more(self) -> bytes:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


def syncs(folder: Path, seconds: float) -> float:
    """How often a second the disk of this folder takes a page and an fdatasync."""
    page = b"x" * 4096
    count = 0
    with (folder / "sync").open("wb") as stream:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            stream.write(page)
            stream.flush()
            os.fdatasync(stream.fileno())
            count += 1
    return count / seconds


def prepare(engine: Engine, statements: int) -> None:
    """Make a survey, and statements of noise around some centres, which a refine has to look at."""
    migrate(engine)
    now = datetime.now(UTC)
    with make_sessions(engine).begin() as session:
        survey = add_survey(session, slug="load", name="Load", question="", scale=ScaleName.HELPFUL, now=now)
        set_guard(session, survey, Guard.OFF)  # 16 clients that answer without end are an attack, and would be asked
    if not statements:
        return
    random = np.random.default_rng(1)
    centres = unit(random.normal(size=(KINDS, DIMENSIONS)))
    texts = [f"Complaint of kind {kind}" for kind in range(KINDS)]
    homes = random.integers(0, KINDS, size=statements)
    vectors = unit(centres[homes] + NOISE * unit(random.normal(size=(statements, DIMENSIONS))))
    customers: list[dict[str, Any]] = [
        {"email": f"c{n}@example.com", "name": "", "created_at": now} for n in range(CUSTOMERS)
    ]
    known = [{"name": name, "keywords": [], "created_at": now, "neighbours": []} for name in texts]
    with engine.begin() as connection:
        connection.execute(insert(Customer), customers)
        connection.execute(insert(Complaint), known)
        model = load_embedder("minilm").name
        fill(connection, 1, 0, homes.tolist(), vectors, texts, list(range(1, KINDS + 1)), {}, model)
        if engine.dialect.name == "postgresql":  # it numbers on from where it left off, whatever was given since
            for table in ("answers", "vectors", "statements"):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {statements})"))
    with make_sessions(engine).begin() as session:
        count_again(session, range(1, KINDS + 1))


@contextmanager
def refining(url: str, folder: Path) -> Iterator[list[int]]:
    """Refine again and again meanwhile, each time in a process of its own; yields their exit codes."""
    environ = os.environ | {"DATA_FOLDER": str(folder), "DATABASE_URL": url, "SECRET_KEY": SECRET}
    over = threading.Event()
    codes: list[int] = []

    def again() -> None:
        while not over.is_set():
            with (folder / "refine.log").open("ab") as log:
                command = [sys.executable, "-m", "feedback_loop.cli", "refine"]
                process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
            while process.poll() is None and not over.wait(0.1):
                pass
            if process.poll() is None:
                process.terminate()
                process.wait()
            else:
                codes.append(process.returncode)

    thread = threading.Thread(target=again)
    thread.start()
    yield codes
    over.set()
    thread.join()


def measure(kind: str, seconds: float) -> dict[str, bool]:
    """Measure on one database; the bars and whether they are met."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="feedback-loop-answers-")))
        urls = [stack.enter_context(database(kind, folder, name)) for name in ("product", "bare")]
        for url, statements in zip(urls, (STATEMENTS, 0), strict=True):
            engine = make_engine(url)
            prepare(engine, statements)
            engine.dispose()
        product = stack.enter_context(serving(folder, urls[0], SERVE))
        plain = stack.enter_context(serving(folder, urls[1], (str(Path(__file__).with_name("bare.py")),)))
        ours, theirs, meanwhile = Found(), Found(), Found()
        each = seconds / TURNS
        count = int(each * FASTEST) + CLIENTS
        for _ in range(TURNS):
            turn(plain, bare(plain, count), each, theirs)
            turn(product, answers(product, count), each, ours)
        prepared = answers(product, int(seconds * FASTEST))
        with refining(urls[0], folder) as codes:
            time.sleep(2)
            turn(product, prepared, seconds, meanwhile)
        print(f"{kind}: fdatasync {syncs(folder, min(seconds, 5)):.0f} a second on the disk of temporary files")
        for name, found in (("bare", theirs), ("answers", ours), ("answers while a refine runs", meanwhile)):
            print(f"  {name:28} {found}")
        refined = f"  {len(codes)} refines were finished meanwhile"
        print(refined, f"with {codes}: {(folder / 'refine.log').read_text()[-2000:]}" if any(codes) else "", flush=True)
        engine = make_engine(urls[0])
        with engine.connect() as connection:
            stored = connection.scalar(select(func.count()).select_from(Answer)) or 0
        engine.dispose()
    taken = len(ours.times) + len(meanwhile.times)
    share, busy = ours.rate / theirs.rate, meanwhile.rate / theirs.rate
    slow, slower = ours.share(99) / theirs.share(99), meanwhile.share(99) / theirs.share(99)
    return {
        f"{kind}: {share:.0%} of the bare view, of at least 60 %": share >= 0.60,
        f"{kind}: p99 {slow:.1f} times that of the bare view, of at most 4": slow <= 4,
        f"{kind}: {len(ours.errors)} errors, of at most 0": not ours.errors,
        f"{kind}: {busy:.0%} of the bare view while a refine runs, of at least 45 %": busy >= 0.45,
        f"{kind}: p99 {slower:.1f} times that of the bare view while a refine runs, of at most 4": slower <= 4,
        f"{kind}: {len(meanwhile.errors)} errors while a refine runs, of at most 0": not meanwhile.errors,
        f"{kind}: {stored - STATEMENTS:,} rows for {taken:,} answers that were taken": stored - STATEMENTS == taken,
    }


def main() -> None:
    """Measure and print; ends with 1 if a bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each of the three, on each database")
    seconds = parser.parse_args().seconds
    bars = measure("sqlite", seconds)
    try:
        make_engine(database_url(POSTGRES, Path())).connect().close()
    except OperationalError:
        print(f"PostgreSQL: not measured, none answers at {POSTGRES}")
    else:
        bars |= measure("postgresql", seconds)
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
