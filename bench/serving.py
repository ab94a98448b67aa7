"""The web server as the product runs it, on a free port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

SECRET = "a key for measuring only"
SERVE = ("-m", "feedback_loop.cli", "serve")
PATIENCE = 60  # seconds until a server that does not answer counts as broken


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, database_url: str, command: tuple[str, ...] = SERVE) -> Iterator[str]:
    """Run the server meanwhile.

    Args:
        folder: Its data folder; what it logs goes to `serve.log` there.
        database_url: Its database, prepared.
        command: What Python is to run.

    Returns:
        The address of the site.
    """
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    environ = os.environ | {
        "DATA_FOLDER": str(folder),
        "DATABASE_URL": database_url,
        "SECRET_KEY": SECRET,
        "PUBLIC_URL": site,
        "BIND": f"127.0.0.1:{port}",
        "ANSWERS_PER_MINUTE": "100000",  # all of the load comes from one address
    }
    log = folder / "serve.log"
    with log.open("ab") as written:
        process = subprocess.Popen([sys.executable, *command], env=environ, stdout=written, stderr=written)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                urlopen(f"{site}/static/public.css", timeout=5).close()
                break
            except (URLError, ConnectionError, TimeoutError):
                if process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"The server did not start:\n{log.read_text()}")
                time.sleep(0.1)
        yield site
    finally:
        process.terminate()
        process.wait(30)
