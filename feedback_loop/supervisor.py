"""Keeps a few of our own processes running side by side and stops them together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger(__name__)

GRACE = 20  # seconds to finish what is being done
TOO_SOON = 15  # seconds; who ends sooner never came up (a taken port takes the web server some seconds to give up)
RESTART_PAUSE = 2.0  # seconds; a process that dies at once must not spin
LONGEST_PAUSE = 60.0  # seconds; it doubles up to this while the process dies again and again


def start(arguments: Sequence[str], environ: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    """Start one command of ours. In a session of its own, so that Ctrl-C reaches it once, through us."""
    return subprocess.Popen(  # noqa: S603 (our own program)
        [sys.executable, "-m", "feedback_loop.cli", *arguments],
        start_new_session=True,
        env={**os.environ, **(environ or {})},
    )


@dataclass
class Kept:
    """A process that is kept running.

    Attributes:
        command: Its arguments.
        began: When it was last started, by the monotonic clock.
        came_up: Whether it once ran for longer than `TOO_SOON`.
        pause: Seconds until it is started again when it dies next.
        again_at: When it is to be started again; None while it runs.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] | None
    process: subprocess.Popen[bytes] = field(init=False)
    began: float = field(init=False)
    came_up: bool = False
    pause: float = RESTART_PAUSE
    again_at: float | None = None

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start it."""
        self.process, self.began = start(self.command, self.environ), time.monotonic()
        self.again_at = None

    def look(self, now: float) -> bool:
        """See whether it runs, and start it again when it is time to.

        Returns:
            Whether there is hope: it is False of one that never came up.
        """
        if self.process.poll() is None:
            if now - self.began >= TOO_SOON:
                self.came_up, self.pause = True, RESTART_PAUSE
            return True
        if self.again_at is not None:
            if now >= self.again_at:
                self.begin()
            return True
        if not self.came_up and now - self.began < TOO_SOON:
            log.error("The %s process ended right after its start; see its message above.", self.name)
            return False
        log.warning(
            "The %s process died (%s) and is started again in %d s.", self.name, self.process.returncode, self.pause
        )
        self.again_at, self.pause = now + self.pause, min(2 * self.pause, LONGEST_PAUSE)
        return True


def supervise(
    commands: Mapping[str, Sequence[str]],
    environ: Mapping[str, str] | None = None,
    ready: Callable[[], None] | None = None,
) -> int:
    """Run commands until asked to stop. One that dies is started again, and again while it dies at once, as it does as
    long as the database is away; one that never came up ends all.

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
    kept = [Kept(name, command, environ) for name, command in commands.items()]
    code = 0
    try:
        if ready:
            ready()
        while not stopping and not code:
            time.sleep(0.2)
            for each in kept:
                if not stopping and not each.look(time.monotonic()):
                    code = 1
                    break
    finally:
        end_all(kept)
    return code


def end_all(kept: Sequence[Kept]) -> None:
    """Let all processes finish what they are at, and end those that take too long."""
    for each in kept:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
    end = time.monotonic() + GRACE
    for each in kept:
        try:
            each.process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("The %s process did not stop in %d seconds and is ended.", each.name, GRACE)
            each.process.kill()
            each.process.wait()
