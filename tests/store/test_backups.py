"""Backups are whole and checked or not there; restored ones forget neither erasures nor wishes nor what was sent."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from feedback_loop.db import is_current, make_engine, migrate, sqlite_driver, sqlite_file
from feedback_loop.notifications.models import Notification, NotificationState, Suppression
from feedback_loop.reports.status.erasing import erase
from feedback_loop.responses.models import Answer, ErasedAnswer
from feedback_loop.settings import Settings
from feedback_loop.store import postgres
from feedback_loop.store.backups import (
    BackupFailed,
    back_up,
    backups_in,
    forget_older,
    manifest_file,
    read_manifest,
)
from feedback_loop.store.pace import HURRIED
from feedback_loop.store.presence import InUse, alone, announce, leave
from feedback_loop.store.replaying import UNKNOWN, Replayed
from feedback_loop.store.restoring import RestoreFailed, restore
from feedback_loop.surveys.models import Survey
from tests.conftest import NOW
from tests.store.conftest import another_key, at_home, installed, postgres_url

LATER = NOW + timedelta(hours=3)


def fill(settings: Settings) -> None:
    """Two answers of which one will be erased, a complaint, a pending mail."""
    with at_home(settings) as make:
        complaint = make.complaint()
        for name in ("Ann", "Ben"):
            answer = make.answer(f"{name}: the parcel never came.", customer=make.customer(name))
            make.statement(complaint, f"{name}: the parcel never came.", answer=answer)
        make.notification(customer=make.customer("Cyd", "cyd@example.com"))


def kept_answers(settings: Settings) -> set[str]:
    with at_home(settings) as make:
        return {(each.comment or "").partition(":")[0] for each in make.session.scalars(select(Answer))}


def test_a_backup_is_checked_private_and_holds_no_key(home: Settings) -> None:
    fill(home)
    told: list[float] = []
    file = back_up(home, None, NOW, lambda _what, share: told.append(share))
    assert file.parent == home.data_folder / "backups"
    assert {stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    manifest = read_manifest(file)
    assert (manifest.tables["answers"], manifest.tables["notifications"]) == (2, 1)
    assert manifest.revision
    assert manifest.opens_with(home.secret_key)
    assert not manifest.opens_with(another_key(home).secret_key)
    assert home.secret_key.encode() not in file.read_bytes() + manifest_file(file).read_bytes()
    assert told[-1] == 1.0
    assert told == sorted(told)
    with pytest.raises(BackupFailed, match="overwrites nothing"):
        back_up(home, file, NOW)
    assert sorted(each.name for each in file.parent.iterdir()) == [file.name, f"{file.name}.json"]


def test_a_backup_stands_back_for_others_unless_it_is_to_hurry(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(home)
    slept: list[float] = []
    monkeypatch.setattr("feedback_loop.store.backups.time.sleep", slept.append)
    monkeypatch.setattr("feedback_loop.store.pace.SLICE", 0.0)
    hurried = back_up(home, None, NOW, pace=HURRIED)
    assert not any(slept)
    gentle = back_up(home, None, LATER)
    assert any(slept)
    assert read_manifest(hurried).tables == read_manifest(gentle).tables


def test_only_the_newest_are_kept_and_nothing_else_is_removed(file_home: Settings) -> None:
    files = [back_up(file_home, None, NOW + timedelta(days=day)) for day in range(3)]
    other = files[0].parent / f"by-hand{files[0].suffix}"
    shutil.copy(files[0], other)
    assert forget_older(files[0].parent, 2) == [files[0]]
    assert backups_in(files[0].parent) == [files[2], files[1]]
    assert other.exists()
    assert not manifest_file(files[0]).exists()


def test_restored_counts_are_equal_and_what_was_replaced_is_kept(file_home: Settings) -> None:
    fill(file_home)
    file = back_up(file_home, None, NOW)
    with at_home(file_home) as make:
        make.answer("Dan: made after the backup.")
    done = restore(file_home, file, LATER)
    assert kept_answers(file_home) == {"Ann", "Ben"}
    assert done.rows == read_manifest(file).tables
    assert done.aside
    assert done.has_key
    engine = make_engine(file_home.database_url)
    assert is_current(engine)
    engine.dispose()
    path = sqlite_file(file_home.database_url)
    assert path is not None
    kept = sqlite_driver().connect(done.aside)
    assert kept.execute("SELECT count(*) FROM answers").fetchone() == (3,)
    kept.close()
    left = {each.name for each in path.parent.iterdir()} - {"secret-key", "backups", f"{path.name}.in-use"}
    assert left == {path.name, Path(done.aside).name}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_was_erased_stays_erased_who_unsubscribed_gets_no_mail_and_no_mail_goes_out_twice(home: Settings) -> None:
    fill(home)
    file = back_up(home, None, NOW)
    with at_home(home) as make:
        session = make.session
        ann = session.scalars(select(Answer).where(Answer.comment.startswith("Ann"))).one()
        assert erase(session, ann, NOW)
        session.add(Suppression(address="cyd@example.com", reason="asked", created_at=NOW))
        make.sent(session.scalars(select(Notification)).one())
    done = restore(home, file, LATER)
    assert done.rows == read_manifest(file).tables
    assert done.replayed is not None
    assert (done.replayed.erased, done.replayed.suppressed, done.replayed.followed) == (1, 1, 1)
    assert kept_answers(home) == {"Ben"}
    with at_home(home) as make:
        erased = make.session.scalars(select(ErasedAnswer)).one()
        assert erased.erased_at == NOW.replace(hour=0, minute=0), "the day on which it was, not that of the restore"
        assert make.session.scalar(select(Suppression.address)) == "cyd@example.com"
        mail = make.session.scalars(select(Notification)).one()
        assert (mail.state, mail.sent_at) == (NotificationState.SENT, NOW)


@pytest.mark.parametrize("sends", [False, True])
def test_where_nobody_knows_what_was_sent_mails_are_held_unless_told_otherwise(
    file_home: Settings, sends: bool
) -> None:
    fill(file_home)
    file = back_up(file_home, None, NOW)
    done = restore(file_home, file, LATER, without_present=True, send_pending=sends)
    assert done.replayed is None
    assert done.held == (0 if sends else 1)
    with at_home(file_home) as make:
        mail = make.session.scalars(select(Notification)).one()
        assert (mail.state, mail.reason) == (
            (NotificationState.PENDING, "") if sends else (NotificationState.FAILED, UNKNOWN)
        )


def test_a_damaged_database_is_replaced_only_when_that_is_said(file_home: Settings) -> None:
    path = sqlite_file(file_home.database_url)
    assert path is not None
    fill(file_home)
    file = back_up(file_home, None, NOW)
    with path.open("r+b") as stream:
        stream.write(b"no database at all " * 4000)
    before = path.read_bytes()
    with pytest.raises(RestoreFailed, match="--without-present"):
        restore(file_home, file, LATER)
    assert path.read_bytes() == before
    done = restore(file_home, file, LATER, without_present=True)
    assert kept_answers(file_home) == {"Ann", "Ben"}
    assert Path(done.aside).read_bytes() == before


def test_what_a_new_or_older_database_lacks_was_not_erased(file_home: Settings) -> None:
    path = sqlite_file(file_home.database_url)
    assert path is not None
    fill(file_home)
    early = back_up(file_home, None, NOW)
    with at_home(file_home) as make:
        make.answer("Dan: made after the backup.", survey=make.session.scalars(select(Survey)).first())
    late = back_up(file_home, None, NOW + timedelta(hours=1))
    assert restore(file_home, early, LATER).replayed == Replayed()
    # Dan is not in what is replaced now; nobody has erased that answer.
    done = restore(file_home, late, LATER + timedelta(hours=1))
    assert done.replayed is not None
    assert (done.replayed.is_same, done.replayed.erased, done.held) == (False, 0, 1)
    assert kept_answers(file_home) == {"Ann", "Ben", "Dan"}
    path.unlink()
    engine = make_engine(file_home.database_url)
    migrate(engine)  # as `feedback-loop init` does on a new machine
    engine.dispose()
    with at_home(file_home) as make:
        make.session.add(Suppression(address="cyd@example.com", reason="asked", created_at=NOW))
    done = restore(file_home, late, LATER + timedelta(hours=2))
    assert done.replayed is not None
    assert (done.replayed.is_same, done.replayed.erased, done.replayed.suppressed) == (False, 0, 1)
    assert kept_answers(file_home) == {"Ann", "Ben", "Dan"}


def test_onto_a_new_machine(file_home: Settings, tmp_path: Path) -> None:
    path = sqlite_file(file_home.database_url)
    assert path is not None
    fill(file_home)
    file = back_up(file_home, tmp_path / "elsewhere" / "a.db", NOW)
    path.unlink()
    done = restore(file_home, file, LATER)
    assert not done.aside
    assert done.held == 1
    assert kept_answers(file_home) == {"Ann", "Ben"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-100]), "cut off or changed"),
        (lambda file: manifest_file(file).unlink(), "There is no manifest"),
        (lambda file: manifest_file(file).write_text("{"), "cannot be read"),
    ],
)
def test_a_backup_that_was_changed_changes_nothing(
    file_home: Settings, spoil: Callable[[Path], object], message: str
) -> None:
    fill(file_home)
    file = back_up(file_home, None, NOW)
    spoil(file)
    with at_home(file_home) as make:
        make.answer("Dan: made after the backup.")
    with pytest.raises(BackupFailed, match=message):
        restore(file_home, file, LATER)
    assert kept_answers(file_home) == {"Ann", "Ben", "Dan"}


def rewritten(file: Path, **values: object) -> None:
    """Change what a manifest says."""
    manifest_file(file).write_text(json.dumps(json.loads(manifest_file(file).read_text()) | values))


def test_what_a_newer_version_made_and_what_is_of_the_other_kind_is_refused(file_home: Settings) -> None:
    file = back_up(file_home, None, NOW)
    rewritten(file, database="oracle")
    with pytest.raises(RestoreFailed, match="names the same kind"):
        restore(file_home, file, LATER)
    rewritten(file, database=file_home.database_url.partition(":")[0].partition("+")[0], format=2)
    with pytest.raises(BackupFailed, match="newer version"):
        restore(file_home, file, LATER)
    engine = make_engine(file_home.database_url)
    with engine.begin() as connection:
        at = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'next'")
    file = back_up(file_home, None, LATER)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{at}'")
    engine.dispose()
    with pytest.raises(RestoreFailed, match="made by a newer version of feedback-loop"):
        restore(file_home, file, LATER + timedelta(hours=1))


def test_a_backup_of_an_older_schema_is_upgraded(file_home: Settings) -> None:
    from alembic import command

    from feedback_loop.db import alembic_config

    fill(file_home)
    engine = make_engine(file_home.database_url)
    command.downgrade(alembic_config(engine), "0017")
    engine.dispose()
    file = back_up(file_home, None, NOW)
    with pytest.raises(RestoreFailed, match="Run: feedback-loop init"):
        restore(file_home, file, LATER)
    engine = make_engine(file_home.database_url)
    migrate(engine)
    engine.dispose()
    done = restore(file_home, file, LATER)
    assert done.migrated
    assert kept_answers(file_home) == {"Ann", "Ben"}


def test_nothing_is_restored_under_somebody_at_work(home: Settings) -> None:
    file = back_up(home, None, NOW)
    path = sqlite_file(home.database_url)
    if path is None:
        engine = make_engine(home.database_url)
        with engine.connect(), pytest.raises(InUse, match="others are connected"):
            restore(home, file, LATER)
        engine.dispose()
        return
    announce(home.database_url)
    try:
        with pytest.raises(InUse, match="Stop feedback-loop up"):
            restore(home, file, LATER)
    finally:
        leave()
    with alone(home.database_url, "restored"), pytest.raises(InUse, match="just being restored"):
        announce(home.database_url)
    restore(home, file, LATER)


def test_a_server_that_ends_transactions_at_rest_does_not_end_a_backup(tmp_path: Path, postgres_name: str) -> None:
    home = installed(tmp_path, postgres_url(postgres_name))
    fill(home)
    engine = make_engine(home.database_url)
    with engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {postgres_name} SET idle_in_transaction_session_timeout = 100"))
    engine.dispose()
    assert read_manifest(back_up(home, None, NOW)).tables["answers"] == 2


def test_a_program_of_postgresql_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(postgres.ToolFailed, match="postgresql-client"):
        postgres.tool("pg_dump", 15)
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/pg_dump")
    said = subprocess.CompletedProcess([], 0, "pg_dump (PostgreSQL) 13.4\n", "")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_kwargs: said)
    with pytest.raises(postgres.ToolFailed, match=r"13\.4, the server of 15"):
        postgres.tool("pg_dump", 15)
    assert postgres.tool("pg_dump", 13) == "/usr/bin/pg_dump"


def test_a_backup_that_fails_leaves_nothing_behind(file_home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("feedback_loop.store.backups.sync", full)
    with pytest.raises(BackupFailed, match="No space left"):
        back_up(file_home, None, NOW)
    assert list(file_home.backup_folder.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", full)  # while the manifest is written
    monkeypatch.setattr("feedback_loop.store.backups.sync", lambda _path: None)
    with pytest.raises(BackupFailed, match="No space left"):
        back_up(file_home, None, NOW)
    assert list(file_home.backup_folder.iterdir()) == []
    path = sqlite_file(file_home.database_url)
    assert path is not None
    path.unlink()
    with pytest.raises(BackupFailed, match="There is no database at"):
        back_up(file_home, None, NOW)
    assert not path.exists()


def test_what_killed_backups_left_is_removed_by_a_later_one(file_home: Settings) -> None:
    folder = file_home.backup_folder
    folder.mkdir(mode=0o700)
    old, at_work, other = (
        folder / name
        for name in (
            ".feedback-loop-20261012T093000Z.db.4711", ".feedback-loop-20261012T093000Z.db.json.4712", ".by-hand.db.1",
        )
    )  # fmt: skip
    for each in (old, at_work, other):
        each.write_bytes(b"half")
    for each in (old, other):
        os.utime(each, (NOW.timestamp() - 86_400,) * 2)
    os.utime(at_work, (NOW.timestamp() - 60,) * 2)
    back_up(file_home, None, NOW)
    assert not old.exists()
    assert at_work.exists()
    assert other.exists(), "none of ours"
