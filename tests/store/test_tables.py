"""Backups, restores and moves are about every table that migrations make, whatever else a process has loaded."""

from __future__ import annotations

import json
import subprocess
import sys

from sqlalchemy import inspect

from feedback_loop.db import make_engine
from feedback_loop.settings import Settings

ASK = "import json; from feedback_loop.store.tables import tables; print(json.dumps([each.name for each in tables()]))"


def test_no_table_is_left_out(file_home: Settings) -> None:
    # In a process of its own, as commands are: the tests have loaded everything long ago.
    said = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout
    engine = make_engine(file_home.database_url)
    there = set(inspect(engine).get_table_names()) - {"alembic_version"}
    engine.dispose()
    assert set(json.loads(said)) == there
