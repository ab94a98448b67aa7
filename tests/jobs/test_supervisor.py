"""Web and worker are kept running side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

import pytest

from feedback_loop import supervisor


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short times, and the handlers of signals as they were."""
    monkeypatch.setattr(supervisor, "TOO_SOON", 0.5)
    monkeypatch.setattr(supervisor, "RESTART_PAUSE", 0.1)
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    yield
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)


def lives(seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])


def test_one_that_came_up_once_is_started_again_however_soon_it_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Sequence[str]] = []

    def start(arguments: Sequence[str], _environ: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
        started.append(arguments)
        if len(started) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return lives(1.5 if len(started) == 1 else 0)

    monkeypatch.setattr(supervisor, "start", start)
    assert supervisor.supervise({"worker": ["worker"]}) == 0
    assert started == [["worker"]] * 4


def test_one_that_never_came_up_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[subprocess.Popen[bytes]] = []

    def start(arguments: Sequence[str], _environ: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
        processes.append(lives(60 if arguments == ["serve"] else 0))
        return processes[-1]

    monkeypatch.setattr(supervisor, "start", start)
    assert supervisor.supervise({"web": ["serve"], "worker": ["worker"]}) == 1
    assert all(process.poll() is not None for process in processes)
