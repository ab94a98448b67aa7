"""Cuts the power of the web server a hundred times while it takes answers, and looks whether any acknowledged answer is
lost.

The power cut is simulated (`powercut_shim.c`): of each file of the database, what was not synced is lost. The real web
server is loaded with the shim and takes answers over HTTP from a few clients; at a random moment all its processes are
killed with SIGKILL. What was durable takes the place of the database, is checked, and the server starts on it again.
Every answer that was answered by a redirect must be there.

The control is the same with `PRAGMA synchronous=NORMAL`, which the product never has: it must lose some, or the test
could not find what it looks for.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from feedback_loop.db import make_engine, make_sessions, migrate, sqlite_driver
from feedback_loop.responses.models import Guard
from feedback_loop.responses.pressure import set_guard
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey
from feedback_loop.tokens import draw, hashed
from feedback_loop.web.forms import signer_with

HERE = Path(__file__).parent
SECRET = "a key for cutting the power only"
CLIENTS = 4
LONGEST = 1.5  # seconds from the first answer of a round to the cut
CONTROL_CUTS = 5
PATIENCE = 60  # seconds until a server that does not answer counts as broken
FILES = ("", "-wal", "-journal")


@dataclass
class Found:
    """What some cuts brought.

    Attributes:
        cuts: How many there were.
        taken: The keys of the pages whose answers were acknowledged.
        lost: Of these, those that were not there after a cut.
        damaged: Cuts after which the database was not whole.
        refused: Answers that were not taken, by status; those cut off are none.
        seconds: How long it took.
    """

    cuts: int = 0
    taken: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    damaged: int = 0
    refused: list[int] = field(default_factory=list)
    seconds: float = 0.0


def compiled(folder: Path) -> Path:
    """The shim, made from its source."""
    library = folder / "powercut_shim.so"
    compiler = os.environ.get("CC", "cc")
    command = [
        compiler,
        "-O2",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(HERE / "powercut_shim.c"),
        "-ldl",
        "-lpthread",
    ]
    subprocess.run(command, check=True)
    return library


def prepare(database: Path) -> None:
    """A database with an open survey."""
    engine = make_engine(f"sqlite:///{database}")
    migrate(engine)
    with make_sessions(engine).begin() as session:
        now = datetime.now(UTC)
        survey = add_survey(session, slug="load", name="Load", question="", scale=ScaleName.HELPFUL, now=now)
        set_guard(session, survey, Guard.OFF)  # clients that answer without end are an attack, and would be asked
    engine.dispose()


class Server:
    """The web server on a disk that loses what was not synced."""

    def __init__(self, database: Path, library: Path, synchronous: str) -> None:
        for suffix in FILES:
            file = beside(database, suffix)
            beside(database, f"{suffix}.durable").unlink(missing_ok=True)
            if file.exists():
                shutil.copyfile(file, beside(database, f"{suffix}.durable"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        environ = os.environ | {
            "LD_PRELOAD": str(library),
            "POWERCUT_DATABASE": str(database),
            "POWERCUT_SYNCHRONOUS": synchronous,
            "PYTHONPATH": str(HERE.parent),
            "DATA_FOLDER": str(database.parent),
            "DATABASE_URL": f"sqlite:///{database}",
            "SECRET_KEY": SECRET,
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "BIND": f"127.0.0.1:{self.port}",
            "ANSWERS_PER_MINUTE": "100000",
            "RATE_LIMIT_STORAGE": "off",
        }
        self.log = database.with_name("serve.log")
        command = [sys.executable, str(HERE / "powercut_serve.py")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
        self.wait()

    def wait(self) -> None:
        """Until it takes connections."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.kill()
                    raise SystemExit(f"The server did not start:\n{self.log.read_text()[-3000:]}") from None
                time.sleep(0.02)

    def kill(self) -> None:
        """Cut the power of all its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def beside(database: Path, suffix: str) -> Path:
    """A file that belongs to the database."""
    return database.with_name(database.name + suffix)


def answer(port: int, over: threading.Event, begun: threading.Event, found: Found, lock: threading.Lock) -> None:
    """Send one answer after the other, and note what was acknowledged, until the power is cut."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not over.is_set():
        identifier = draw()
        made = int((time.time() - 10) * 1000)  # who sends within a second is asked to press Send once more
        token = str(signer_with(SECRET).dumps(["answer:load", identifier, made]))
        fields = {"score": "yes", "comment": "The parcel never came.", "email": "", "website": "", "form_token": token}
        try:
            line.request("POST", "/s/load", urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})
            response = line.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            if over.is_set():
                break
            line.close()  # the server was not there yet, or is there no more
            continue
        with lock:
            if response.status == 303:
                found.taken.add(hashed(identifier))
                begun.set()
            else:
                found.refused.append(response.status)
    line.close()


def cut(database: Path, library: Path, synchronous: str, after: float, found: Found) -> None:
    """Start the server, cut its power a while after its first answer, and look at what is left."""
    server = Server(database, library, synchronous)
    over, begun, lock = threading.Event(), threading.Event(), threading.Lock()
    clients = [
        threading.Thread(target=answer, args=(server.port, over, begun, found, lock), daemon=True)
        for _ in range(CLIENTS)
    ]
    for each in clients:
        each.start()
    has_begun = begun.wait(PATIENCE)
    time.sleep(after)
    server.kill()
    over.set()
    for each in clients:
        each.join()
    if not has_begun:
        raise SystemExit(f"No answer was taken; {sorted(set(found.refused))}:\n{server.log.read_text()[-3000:]}")
    for suffix in FILES:
        durable = beside(database, f"{suffix}.durable")
        if durable.exists():
            durable.replace(beside(database, suffix))
        else:
            beside(database, suffix).unlink(missing_ok=True)
    beside(database, "-shm").unlink(missing_ok=True)
    look(database, found)
    found.cuts += 1


def look(database: Path, found: Found) -> None:
    """Open what is left, as the next start would, and look whether it is whole and all is there."""
    driver = sqlite_driver()
    connection = driver.connect(str(database), isolation_level=None)
    try:
        whole = [row[0] for row in connection.execute("PRAGMA integrity_check")] == ["ok"]
        there = {row[0] for row in connection.execute("SELECT page_key FROM answers")}
    except driver.DatabaseError:
        whole, there = False, set()
    finally:
        connection.close()
    found.damaged += not whole
    found.lost |= found.taken - there


def run(folder: Path, cuts: int, synchronous: str = "", seed: int = 1, longest: float = LONGEST) -> Found:
    """Cut the power again and again, each time of a server that goes on with what was left.

    Args:
        folder: For everything.
        cuts: How many.
        synchronous: Another `PRAGMA synchronous` than the product's, for the control.
        seed: Of the moments.
        longest: Seconds from the first answer to the cut, at most.
    """
    folder.mkdir(parents=True, exist_ok=True)
    database, library = folder / "feedback-loop.db", compiled(folder)
    prepare(database)
    found, moments = Found(), random.Random(seed)
    began = time.monotonic()
    for _ in range(cuts):
        cut(database, library, synchronous, moments.uniform(0.0, longest), found)
    found.seconds = time.monotonic() - began
    return found


def main() -> int:
    """Run it; 1 where an acknowledged answer was lost, or the control lost none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="feedback-loop-powercut-") as place:
        full = run(Path(place) / "full", options.cuts, seed=options.seed)
        weak = run(Path(place) / "normal", CONTROL_CUTS, "NORMAL", options.seed)
    for name, found in (("as the product is (FULL)", full), ("control (NORMAL)", weak)):
        print(
            f"{name}: {found.cuts} power cuts, {len(found.taken):,} answers acknowledged, {len(found.lost):,} lost, "
            f"database damaged {found.damaged} times, {len(found.refused)} answers refused, {found.seconds:.0f} s"
        )
    print(f"bar: 0 lost, 0 damaged: {'met' if not full.lost and not full.damaged else 'NOT MET'}")
    print(f"the control loses some: {'yes' if weak.lost else 'NO, so this test proves nothing'}")
    return int(bool(full.lost or full.damaged or not weak.lost))


if __name__ == "__main__":
    sys.exit(main())
