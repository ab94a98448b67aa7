"""A handful of power cuts; `bench/powercut.py` makes a hundred."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from bench.powercut import run
from tests.conftest import IN_CI

needs_compiler = pytest.mark.skipif(
    not IN_CI and (shutil.which("cc") is None or sys.platform != "linux"), reason="no C compiler, or not Linux"
)


@needs_compiler
def test_no_acknowledged_answer_is_lost_when_the_power_is_cut(tmp_path: Path) -> None:
    found = run(tmp_path / "full", 2, longest=0.3)
    assert len(found.taken) > 10
    assert (found.lost, found.damaged, found.refused) == (set(), 0, [])
    weak = run(tmp_path / "weak", 1, "NORMAL", longest=0.3)
    assert weak.lost, "with less durability some must be lost, or this could find nothing"
