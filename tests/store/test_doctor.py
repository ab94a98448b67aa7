"""The doctor finds what is wrong, says what to do, and changes nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from feedback_loop.clock import utc_now
from feedback_loop.db import make_engine
from feedback_loop.jobs.models import Tick
from feedback_loop.responses.models import Answer
from feedback_loop.responses.service import record_answer
from feedback_loop.settings import SettingError, Settings, read_settings
from feedback_loop.store import doctor, health
from feedback_loop.store.backups import back_up
from feedback_loop.store.check import Check
from tests.conftest import NOW
from tests.store.conftest import at_home


@pytest.fixture
def environ(file_home: Settings) -> Iterator[dict[str, str]]:
    """The environment of an installation with SQLite that is well."""
    with well(file_home) as environ:
        yield environ


@pytest.fixture
def any_environ(home: Settings) -> Iterator[dict[str, str]]:
    """The same, of both kinds."""
    with well(home) as environ:
        yield environ


@contextmanager
def well(home: Settings) -> Iterator[dict[str, str]]:
    """The environment of an installation that is well: a worker has just looked, a mail server listens, a backup is
    there."""
    with at_home(home) as make:
        make.session.add(Tick(job="find events", due_at=utc_now()))
        make.statement(make.complaint(statement_count=0), customer=make.customer())
        make.notification(next_at=utc_now() + timedelta(hours=1))
        record_answer(
            make.session, make.survey(), score=0, comment="Raw", customer=None, invitation=None, context={},
            external_id=None, answered_at=utc_now(), now=utc_now(), settings=home,
        )  # fmt: skip
    back_up(home, None, utc_now())
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield {
            "DATA_FOLDER": str(home.data_folder),
            "DATABASE_URL": home.database_url,
            "SMTP_PORT": str(server.getsockname()[1]),
            "EMBEDDING_MODEL": "toy",
        }


def by_name(found: list[Check]) -> dict[str, Check]:
    """The last check of each name that is worst."""
    order = ["ok", "warn", "bad"]
    result: dict[str, Check] = {}
    for each in found:
        if each.name not in result or order.index(each.state) >= order.index(result[each.name].state):
            result[each.name] = each
    return result


def test_all_is_well_with_an_installation_that_is(any_environ: dict[str, str]) -> None:
    found = doctor.examine(True, environ=any_environ)
    assert [each for each in found if each.state != "ok"] == []
    assert len(found) >= 20
    assert {"durability", "schema", "key and data", "backups", "counts", "embedding model"} <= {e.name for e in found}


def test_what_is_wrong_is_found_and_named(environ: dict[str, str], file_home: Settings) -> None:
    with at_home(file_home) as make:
        session = make.session
        session.execute(text("DELETE FROM ticks"))
        session.add(Tick(job="find events", due_at=utc_now() - timedelta(hours=1)))
        session.execute(text("UPDATE complaints SET people_count = 7"))
        make.notification(customer=make.customer("Late"), next_at=utc_now() - timedelta(hours=5))
        session.add(
            Answer(
                survey_id=make.survey("another").id, comment="", context={}, answered_at=NOW, received_at=NOW,
                claimed_until=utc_now() - timedelta(days=1),
            )
        )  # fmt: skip
    for each in file_home.backup_folder.iterdir():
        each.unlink()
    environ |= {"SECRET_KEY": "short", "PUBLIC_URL": "http://feedback.example.com", "SMTP_PORT": "1"}
    found = by_name(doctor.examine(True, environ=environ))
    wrong = {name: each.state for name, each in found.items() if each.state != "ok"}
    assert wrong == {
        "secret key": "warn", "site": "bad", "mail server": "bad", "backups": "warn", "worker": "bad",
        "outbox": "bad", "key and data": "bad", "leases": "bad", "counts": "bad",
    }  # fmt: skip
    assert all(each.todo for each in found.values() if each.state != "ok")
    assert "feedback-loop up" in found["worker"].todo
    assert "feedback-loop backup" in found["backups"].todo


def test_bad_settings_are_all_named_and_nothing_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    found = doctor.examine(False, environ={"DATA_FOLDER": str(folder), "HOLD_MINUTES": "soon", "SMTP_PORT": "0"})
    assert [each.state for each in found] == ["ok", "bad", "bad"]
    assert "SMTP_PORT" in found[1].said
    assert "HOLD_MINUTES" in found[2].said
    found = doctor.examine(False, environ={"DATA_FOLDER": str(folder)})
    assert by_name(found)["secret key"].state == "bad"
    assert "Run: feedback-loop init" in by_name(found)["database"].todo
    assert not folder.exists()


def test_a_key_that_cannot_be_read_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "secret-key").mkdir()  # not even an administrator reads that
    found = doctor.examine(False, environ={"DATA_FOLDER": str(tmp_path), "HOLD_MINUTES": "5"})
    assert [(each.name, each.state) for each in found] == [("Python", "ok"), ("secret key", "bad")]
    assert "as the user that feedback-loop runs as" in found[1].todo
    with pytest.raises(SettingError, match="as the user that feedback-loop runs as"):
        read_settings({"DATA_FOLDER": str(tmp_path)})
    (tmp_path / "secret-key").rmdir()
    (tmp_path / "secret-key").touch()
    with pytest.raises(SettingError, match="Put the key back"):
        read_settings({"DATA_FOLDER": str(tmp_path)})
    assert (tmp_path / "secret-key").read_bytes() == b"", "none is drawn in its place"


def test_files_that_others_may_read_and_a_damaged_database(environ: dict[str, str], file_home: Settings) -> None:
    path = file_home.data_folder / "feedback-loop.db"
    path.chmod(0o644)
    (file_home.data_folder / "secret-key").chmod(0o640)
    found = by_name(doctor.examine(False, environ=environ))
    assert (found["files"].state, found["secret key"].state) == ("warn", "bad")
    assert f"chmod 600 {file_home.data_folder / 'secret-key'}" in found["secret key"].todo
    with path.open("r+b") as stream:
        stream.seek(4096 * 20)
        stream.write(os.urandom(4096 * 40))
    found = by_name(doctor.examine(False, environ=environ))
    assert "bad" in {found.get(name, Check(name, "ok", "")).state for name in ("integrity", "database", "schema")}


def test_an_unsafe_sqlite_an_older_schema_and_too_many_connections(
    any_environ: dict[str, str], home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "sqlite_is_safe", lambda _version: False)
    engine = make_engine(home.database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    found = by_name(doctor.examine(False, environ=any_environ))
    assert found["schema"].todo == "Run: feedback-loop init"
    if home.database_url.startswith("sqlite"):
        assert found["SQLite"].state == "bad"
        assert "pysqlite3" in found["SQLite"].todo
    with_more = replace(home, web_processes=60)
    if not home.database_url.startswith("sqlite"):
        engine = make_engine(home.database_url)
        states = {each.name: each.state for each in health.postgres_setup(engine, with_more)}
        engine.dispose()
        assert states["connections"] == "warn"
