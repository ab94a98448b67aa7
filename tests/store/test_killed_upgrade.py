"""One kill of an upgrade; `bench/migrations.py` makes ten on each kind of database."""

from __future__ import annotations

from pathlib import Path

from bench.migrations import Files, run


def test_an_upgrade_that_is_killed_leaves_the_old_or_the_new_schema(tmp_path: Path) -> None:
    found = run(Files(tmp_path), tmp_path, kills=1, answers=2_000, oldest="0015")
    assert found["old"] + found["new"] == 1
    assert found["half"] == found["failed"] == 0
