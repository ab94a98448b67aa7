"""Keeps a few of our own processes running side by side and stops them together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

log = logging.getLogger(__name__)

GRACE = 20  # seconds to finish what is being done
TOO_SOON = 15  # seconds; who ends sooner never came up (a taken port takes the web server some seconds to give up)
RESTART_PAUSE = 2  # seconds; a process that dies at once must not spin


def start(arguments: Sequence[str], environ: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    """Start one command of ours. In a session of its own, so that Ctrl-C reaches it once, through us."""
    return subprocess.Popen(  # noqa: S603 (our own program)
        [sys.executable, "-m", "feedback_loop.cli", *arguments],
        start_new_session=True,
        env={**os.environ, **(environ or {})},
    )


def supervise(
    commands: Mapping[str, Sequence[str]],
    environ: Mapping[str, str] | None = None,
    ready: Callable[[], None] | None = None,
) -> int:
    """Run commands until asked to stop. One that dies is started again; one that never came up ends all.

    Args:
        commands: Arguments of each by its name.
        environ: Added to the environment.
        ready: Called once when all have been started.

    Returns:
        0 when stopped by Ctrl-C or SIGTERM, 1 when a process could not be kept running.
    """
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    running = {name: start(arguments, environ) for name, arguments in commands.items()}
    started = dict.fromkeys(running, time.monotonic())
    code = 0
    try:
        if ready:
            ready()
        while not stopping:
            time.sleep(0.2)
            for name, process in running.items():
                if process.poll() is None or stopping:
                    continue
                if time.monotonic() - started[name] < TOO_SOON:
                    log.error("The %s process ended right after its start; see its message above.", name)
                    stopping, code = True, 1
                    break
                log.warning("The %s process died (%s) and is started again.", name, process.returncode)
                time.sleep(RESTART_PAUSE)
                running[name] = start(commands[name], environ)
                started[name] = time.monotonic()
    finally:
        for process in running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + GRACE
        for name, process in running.items():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("The %s process did not stop in %d seconds and is ended.", name, GRACE)
                process.kill()
                process.wait()
    return code
