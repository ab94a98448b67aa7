"""Backup, restore, move and the doctor as a tired person at night meets them: the next command is always said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from feedback_loop.cli import main
from feedback_loop.commands import console
from feedback_loop.db import make_engine
from feedback_loop.responses.models import Answer
from feedback_loop.store import presence


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    for name in ("DATABASE_URL", "SECRET_KEY", "BACKUP_FOLDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path / "data"))
    monkeypatch.setenv("EMBEDDING_MODEL", "toy")

    def call(*arguments: str, fails: bool = False) -> Result:
        result = CliRunner().invoke(main, list(arguments))
        assert (result.exit_code != 0) == fails, result.output
        return result

    return call


def answers(path: Path) -> int:
    engine = make_engine(f"sqlite:///{path}")
    with engine.connect().execution_options(reads_only=True) as connection:
        count = connection.scalar(select(func.count()).select_from(Answer)) or 0
    engine.dispose()
    return count


def test_a_night_with_backup_restore_and_move(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("init")
    (tmp_path / "a.csv").write_text("external_id,score,comment\n1,no,The zip broke.\n2,no,The zip broke again.\n")
    run("import", str(tmp_path / "a.csv"), "--survey", "help")
    said = run("backup", "--keep", "3").output
    assert "checked" in said
    assert "secret-key apart from the backups" in said
    command = re.search(r"To restore it: feedback-loop (restore .+)", said)
    assert command is not None
    (tmp_path / "b.csv").write_text("external_id,score,comment\n3,no,Later.\n")
    run("import", str(tmp_path / "b.csv"), "--survey", "help")
    database = tmp_path / "data" / "feedback-loop.db"
    assert answers(database) == 3
    presence.announce(f"sqlite:///{database}")
    try:
        assert "Stop feedback-loop up" in run(*command[1].split(), fails=True).output
        assert answers(database) == 3
    finally:
        presence.leave()
    said = run(*command[1].split()).output
    assert "Next: feedback-loop doctor --deep, then start feedback-loop up" in said
    assert answers(database) == 2
    said = run("move-db", "--to", f"sqlite:///{tmp_path / 'moved.db'}").output
    assert f"Next: set DATABASE_URL=sqlite:///{tmp_path / 'moved.db'}" in said
    assert answers(tmp_path / "moved.db") == 2
    assert "is not empty" in run("move-db", "--to", f"sqlite:///{tmp_path / 'moved.db'}", fails=True).output
    assert "must begin with" in run("move-db", "--to", "mysql://x", fails=True).output
    found = json.loads(run("doctor", "--json", fails=True).output)
    assert found["verdict"] == "bad", "no mail server, no worker"
    assert {each["name"]: each["state"] for each in found["checks"]}["schema"] == "ok"
    assert "→ Start it: feedback-loop up" in run("doctor", fails=True).output


def test_a_broken_backup_is_an_error_that_says_what_to_do(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("init")
    (tmp_path / "no.db").write_bytes(b"no backup")
    assert "There is no manifest" in run("restore", str(tmp_path / "no.db"), fails=True).output
    run("backup", str(tmp_path / "mine.db"))
    assert "overwrites nothing" in run("backup", str(tmp_path / "mine.db"), fails=True).output


def test_an_unsafe_sqlite_is_said_at_the_start_and_refused_with_several_web_processes(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    run("init")
    started: list[bool] = []
    monkeypatch.setattr("feedback_loop.worker.run", lambda *_given: started.append(True))
    monkeypatch.setattr("feedback_loop.cli.give_way", lambda: None)
    assert "Warning" not in run("worker").output
    monkeypatch.setattr(console, "sqlite_is_safe", lambda _version: False)
    assert "Warning: SQLite" in run("worker").output
    assert started == [True, True]
    monkeypatch.setenv("WEB_PROCESSES", "2")
    assert "or set WEB_PROCESSES=1" in run("serve", fails=True).output


def test_a_network_file_system_is_an_error_and_no_trace(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"23 22 0:30 / {tmp_path} rw - nfs4 nas:/x rw\n")
    monkeypatch.setattr("feedback_loop.disks.MOUNTS", mounts)
    for command in ("init", "serve", "worker"):
        result = run(command, fails=True)
        assert "network file system (nfs4)" in result.output
        assert result.exc_info is not None
        assert result.exc_info[0] is SystemExit
    assert "Traceback" not in result.output
