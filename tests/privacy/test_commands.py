"""`feedback-loop customer` on the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from feedback_loop.cli import main
from feedback_loop.privacy.models import Asked, DataRequest
from feedback_loop.responses.models import Answer, RawComment
from feedback_loop.responses.raw import seal
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey
from tests.store.conftest import at_home, installed

ADDRESS = "maya@example.com"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation where Maya has said something."""
    for name in ("DATABASE_URL", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path / "data"))
    settings = installed(tmp_path, "")
    with at_home(settings) as make:
        answer = make.answer("Write to [email].", customer=make.customer("Maya Lind", ADDRESS), redactions=["email"])
        sealed = seal("Write to m@x.example.", settings.secret_key, make.now)
        make.session.add(RawComment(answer_id=answer.id, sealed=sealed, expires_at=make.now))
    return settings


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, ["customer", *arguments], input=typed)


def log(home: Settings) -> list[Asked]:
    with at_home(home) as make:
        return list(make.session.scalars(select(DataRequest.kind).order_by(DataRequest.id)))


def answers(home: Settings) -> int:
    with at_home(home) as make:
        return len(make.session.scalars(select(Answer)).all())


def test_all_of_it_is_written_to_a_file_only_its_owner_reads(home: Settings, tmp_path: Path) -> None:
    file = tmp_path / "maya.json"
    done = run("show", ADDRESS, "--json", str(file))
    assert done.exit_code == 0, done.output
    assert "1 answers" in done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = json.loads(file.read_text())["kept"]
    assert kept["answers"][0]["original"] == "Write to m@x.example."
    assert "Write to [email]." in run("show", ADDRESS, "--why", "File 17").output
    assert log(home) == [Asked.ACCESS, Asked.ACCESS]


def test_a_file_that_others_could_read_is_theirs_no_more(home: Settings, tmp_path: Path) -> None:
    file = tmp_path / "maya.json"
    file.write_text("old")
    file.chmod(0o644)
    done = run("show", ADDRESS, "--json", str(file))
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["address"] == ADDRESS


def test_a_file_that_cannot_be_written_is_a_message(home: Settings, tmp_path: Path) -> None:
    done = run("show", ADDRESS, "--json", str(tmp_path / "nowhere" / "maya.json"))
    assert done.exit_code == 1
    assert "cannot be written" in done.output


def test_what_is_printed_is_what_is_kept(home: Settings) -> None:
    said = "Ship it :tada: [red]now[/red] " + "x" * 200
    with at_home(home) as make:
        survey = make.session.scalars(select(Survey)).one()
        make.answer(said, survey, make.customer("Ann", "ann@example.com"))
    done = run("show", "ann@example.com")
    assert json.loads(done.output)["kept"]["answers"][0]["comment"] == said


def test_erasing_asks_first(home: Settings) -> None:
    assert run("erase", ADDRESS, typed="n\n").exit_code != 0
    assert answers(home) == 1
    done = run("erase", ADDRESS, "--yes")
    assert done.exit_code == 0, done.output
    assert "Erased" in done.output
    assert answers(home) == 0
    assert log(home) == [Asked.ERASURE]
    again = run("erase", ADDRESS, "--yes")
    assert again.exit_code == 1
    assert "Nothing is kept about this address." in again.output
