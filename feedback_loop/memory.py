"""How the processes that run for long ask the system for memory."""

from __future__ import annotations

import contextlib
import ctypes

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of malloc.h of glibc
ARENAS = 2
GIVEN_BACK_FROM = 1024 * 1024  # bytes


def keep_together() -> bool:
    """Have threads share their heaps, and give large blocks back as soon as they are free.

    glibc gives each thread a heap of its own, and keeps more and more of what large blocks leave free. With dozens of
    threads, each of which now and then reads much, that is hundreds of megabytes after some hours in which nothing is
    kept: what bench/soak.py sees growing. Call it before threads are started. Nothing where there is no glibc.

    Returns:
        Whether the system took it.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(M_ARENA_MAX, ARENAS) and mallopt(M_MMAP_THRESHOLD, GIVEN_BACK_FROM))
    return False


def give_back() -> bool:
    """Give the system what is free, also between blocks that are in use. Takes some milliseconds.

    Each refine and each batch leaves such gaps, of other sizes than the next one needs, so that a worker would grow for
    hours.

    Returns:
        Whether there was something to give.
    """
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).malloc_trim(0))
    return False
