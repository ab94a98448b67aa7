"""Processes with many threads keep few heaps."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other systems keep their heaps otherwise")
HEAP = 64 * 1024 * 1024  # what glibc reserves for each
PROGRAM = f"""
import sys, threading, time
from pathlib import Path
from feedback_loop.memory import keep_together
if sys.argv[1] == "together":
    assert keep_together()
ready, done = threading.Barrier(25), threading.Event()
def work():
    kept = [bytearray(2_000) for _ in range(100)]
    ready.wait()
    done.wait()
for _ in range(24):
    threading.Thread(target=work).start()
ready.wait()
starts = [int(line.split("-")[0], 16) for line in Path("/proc/self/maps").read_text().splitlines()
          if len(line.split()) == 5]
print(sum(start % {HEAP} == 0 for start in starts))
done.set()
"""


GAPS = """
from pathlib import Path
from feedback_loop.memory import give_back, keep_together
keep_together()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
kept = [bytearray(2_000) for _ in range(50_000)]
kept = kept[::100]
before = resident()
assert give_back()
print(resident() / before)
"""


def run(program: str, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True,
                          cwd=Path(__file__).parents[2]).stdout  # fmt: skip


@needs_glibc
def test_what_is_free_between_what_is_in_use_is_given_back() -> None:
    assert float(run(GAPS)) < 0.6


@needs_glibc
def test_dozens_of_threads_share_their_heaps() -> None:
    found = [int(run(PROGRAM, how)) for how in ("together", "each")]
    assert found[0] <= 2 < found[1]
