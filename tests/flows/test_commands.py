"""The command line as an operator uses it, on a folder of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feedback_loop.cli import main


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    for name in ("DATABASE_URL", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path / "data"))
    monkeypatch.setenv("EMBEDDING_MODEL", "toy")

    def call(*arguments: str, fails: bool = False) -> Result:
        result = CliRunner().invoke(main, list(arguments))
        assert (result.exit_code != 0) == fails, result.output
        return result

    return call


def test_every_command_explains_itself(run) -> None:  # type: ignore[no-untyped-def]
    for name, command in main.commands.items():
        text = run(name, "--help").output
        assert len(text) > 100, name
        assert command.help


def test_init_asks_nothing_and_may_be_repeated(run) -> None:  # type: ignore[no-untyped-def]
    first = run("init").output
    assert re.search(r"One-time password: [a-z0-9]{4}(-[a-z0-9]{4}){3}\n", first)
    assert "There is an admin already: admin@localhost" in run("init").output


def test_a_database_that_is_not_prepared_says_what_to_do(run) -> None:  # type: ignore[no-untyped-def]
    for command in ("serve", "worker", "up", "analyse", "refine"):
        assert "Run: feedback-loop init" in run(command, fails=True).output


def test_a_bad_setting_ends_with_a_message(run, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("HOLD_MINUTES", "soon")
    result = run("init", fails=True)
    assert "HOLD_MINUTES is 'soon'" in result.output
    assert result.exc_info is not None
    assert result.exc_info[0] is SystemExit


def test_from_file_to_tables(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("init", "--admin-email", "ada@example.com", "--admin-password", "a long enough password")
    path = tmp_path / "answers.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["external_id", "customer_email", "score", "comment"])
        for number in range(6):
            writer.writerow(
                [f"z{number}", f"p{number}@example.com", "no", f"The zip of my rucksack broke again {number}"]
            )
            writer.writerow([f"r{number}", "", "no", f"Still waiting for the refund since week {number}"])
        writer.writerow(["f", "", "no", "=1+1 is what your calculator shows"])
        writer.writerow(["bad", "", "perhaps", "No such score"])
    said = run("import", str(path), "--survey", "help-centre").output
    assert "There was no survey help-centre; made one on the helpful scale" in said
    assert "13 answers added, 0 were known already, 1 rejected." in said
    assert "answers.rejected.csv" in said
    assert "0 answers added, 13 were known already" in run("import", str(path), "--survey", "help-centre").output
    assert "13 answers analysed." in run("analyse").output
    assert "2 complaints (2 new)" in run("refine").output
    for table, lines in (("answers", 13), ("statements", 13), ("complaints", 2), ("actions", 2)):
        assert f"{lines} {table} written" in run("export", table, str(tmp_path / f"{table}.csv")).output
    with (tmp_path / "statements.csv").open(newline="") as stream:
        rows = {row["answer_external_id"]: row for row in csv.DictReader(stream)}
    assert rows["z0"]["complaint_id"] == rows["z5"]["complaint_id"] != rows["r0"]["complaint_id"]
    assert rows["z0"]["reason"]
    assert rows["f"]["text"] == "'=1+1 is what your calculator shows", "no spreadsheet runs it"
    assert rows["f"]["complaint_id"] == ""


def test_evaluate_prints_one_json_object(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "labelled.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label", "ignored"])
        for number in range(12):
            writer.writerow([f"The zip of my rucksack broke again {number}", "zip", ""])
            writer.writerow([f"Still waiting for the refund since week {number}", "refund", ""])
    figures = json.loads(CliRunner().invoke(main, ["evaluate", str(path)]).stdout)
    assert (figures["texts"], figures["labels"], figures["groups"], figures["ari"]) == (24, 2, 2, 1.0)
    assert {"coverage", "ari_covered", "nmi_covered", "seconds", "peak_mb"} <= set(figures)
    streamed = json.loads(CliRunner().invoke(main, ["evaluate", str(path), "--batches", "3"]).stdout)
    assert len(streamed["kept"]) == 3
    assert all(0 <= share <= 1 for share in streamed["kept"])
    (tmp_path / "wrong.csv").write_text("comment,intent\nx,y\n")
    assert "has no column label and no column text" in run("evaluate", str(tmp_path / "wrong.csv"), fails=True).output


def test_up_runs_both_and_stops_both_on_ctrl_c(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "SECRET_KEY")} | {
        "DATA_FOLDER": str(tmp_path),
        "BIND": f"127.0.0.1:{port}",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "EMBEDDING_MODEL": "toy",
    }
    program = [sys.executable, "-m", "feedback_loop.cli"]
    subprocess.run([*program, "init"], env=environ, check=True, capture_output=True)
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen([*program, "up"], env=environ, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and "looks for work" not in log.read_text():
            time.sleep(0.2)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in", timeout=20) as page:
            assert page.status == 200
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(children) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0, log.read_text()
        for child in children:
            assert not Path(f"/proc/{child}").exists(), log.read_text()
    finally:
        process.kill()
        process.wait()
