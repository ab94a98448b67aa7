"""How a backup gives way to those who write answers meanwhile: short slices of work, with rests between them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedWriter

STRETCH = 512 * 1024  # bytes that a backup brings to the disk at once
SLICE = 0.002  # seconds of work between two breaths


@dataclass(frozen=True)
class Pace:
    """How a backup gives way to those who write answers.

    Attributes:
        breath: Seconds for which it stands back after each slice of work.
        pause: Seconds for which it leaves the disk alone after each stretch.
    """

    breath: float
    pause: float


GENTLE = Pace(breath=0.0005, pause=0.02)
HURRIED = Pace(breath=0.0, pause=0.0)


def breathing(pace: Pace) -> Callable[[], None]:
    """What a backup calls again and again while it works, to stand back for a moment after each slice. The machine lets
    a program run for several milliseconds, however low its priority, while those who write answers wait for a
    processor; so a backup works in shorter slices."""
    began = time.perf_counter()

    def breathe() -> None:
        nonlocal began
        if time.perf_counter() - began >= SLICE:
            time.sleep(pace.breath)
            began = time.perf_counter()

    return breathe


def slowly(file: BufferedWriter, pace: Pace, progress: Callable[[int], None]) -> Callable[[bytes], None]:
    """What takes the bits of a dump, each a slice of work for `pg_dump`, which waits meanwhile."""
    written = synced = 0

    def take(bit: bytes) -> None:
        nonlocal written, synced
        file.write(bit)
        written += len(bit)
        time.sleep(pace.breath)
        if written - synced >= STRETCH:
            synced = written
            file.flush()
            os.fsync(file.fileno())
            time.sleep(pace.pause)
            progress(written)

    return take
