"""Connections come back after the end of a server; a file is private, durable, and on a disk of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import OperationalError

from feedback_loop import db, disks
from feedback_loop.settings import SettingError


def test_a_connection_that_has_rested_is_asked_before_it_is_used(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("a file does not go away")
    own = db.make_engine(engine.url.render_as_string(hide_password=False))
    with own.connect() as first, own.connect() as second:
        pids = [each.execute(text("SELECT pg_backend_pid()")).scalar_one() for each in (first, second)]
    with engine.connect() as connection:
        for pid in pids:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    monkeypatch.setattr(db, "PING_AFTER", 0.0)
    for _ in range(3):
        with own.connect() as connection:
            assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() not in pids
    own.dispose()


MOUNTS = r"""22 27 0:21 / / rw - ext4 /dev/vda rw
23 22 0:30 / /srv/share rw - nfs4 nas:/share rw
24 22 0:31 / /srv/my\040share rw - cifs //nas/share rw
25 23 0:32 / /srv/share/local rw - xfs /dev/sdb rw
26 22 0:33 / /mnt/s rw - fuse.sshfs host: rw
27 22 0:34 / /mnt/layers rw - fuse.fuse-overlayfs none rw
"""


@pytest.mark.parametrize(
    ("folder", "kind", "refused"),
    [
        ("/home/app/data", "ext4", False),
        ("/srv/shared", "ext4", False),
        ("/srv/share/data", "nfs4", True),
        ("/srv/my share", "cifs", True),
        ("/srv/share/local/data", "xfs", False),
        ("/mnt/s/data", "fuse.sshfs", True),
        ("/mnt/layers/data", "fuse.fuse-overlayfs", False),
    ],
)
def test_a_network_file_system_is_told_from_a_disk(folder: str, kind: str, refused: bool) -> None:
    assert disks.file_system(Path(folder), MOUNTS) == kind
    assert disks.is_network(kind) is refused


def test_no_database_is_made_on_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 27 0:21 / / rw - ext4 /dev/vda rw\n23 22 0:30 / {tmp_path}/share rw - nfs nas:/x rw\n")
    monkeypatch.setattr(disks, "MOUNTS", mounts)
    with pytest.raises(SettingError, match=r"network file system .nfs.*Set DATA_FOLDER to a folder on a disk"):
        db.make_engine(f"sqlite:///{tmp_path}/share/a.db")
    assert not (tmp_path / "share").exists()
    db.make_engine(f"sqlite:///{tmp_path}/here/a.db").dispose()
    monkeypatch.setattr(disks, "MOUNTS", tmp_path / "none")  # as on macOS
    db.make_engine(f"sqlite:///{tmp_path}/share/a.db").dispose()


def test_a_database_and_what_is_beside_it_are_private(tmp_path: Path) -> None:
    engine = db.make_engine(f"sqlite:///{tmp_path}/data/a.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
        modes = {each.name: each.stat().st_mode & 0o777 for each in (tmp_path / "data").iterdir()}
    engine.dispose()
    assert modes == dict.fromkeys(("a.db", "a.db-wal", "a.db-shm"), 0o600)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_each_connection_is_durable_and_maps_no_memory(tmp_path: Path) -> None:
    engine = db.make_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as first, engine.connect().execution_options(reads_only=True) as second:
        for connection in (first, second):
            found = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "mmap_size", "secure_delete")
            ]
            assert found == ["wal", 2, 1, 0, 1]
    engine.dispose()


def test_a_grown_wal_is_cut_unless_somebody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "WAL_GROWN", 100_000)
    engine = db.make_engine(f"sqlite:///{tmp_path / 'a.db'}")
    sessions, wal = db.make_sessions(engine), tmp_path / "a.db-wal"
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
    assert db.checkpoint(sessions) == 0, "it is small"
    with db.reading(sessions) as reader:
        reader.execute(text("SELECT count(*) FROM t")).all()
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO t VALUES (randomblob(300000))"))
        assert db.checkpoint(sessions) == 0
        assert wal.stat().st_size > 300_000
    assert db.checkpoint(sessions) == 1
    assert wal.stat().st_size == 0
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == db.BUSY_MS
    engine.dispose()


@pytest.mark.parametrize(
    ("version", "safe"),
    [((3, 51, 3), True), ((3, 53, 0), True), ((3, 51, 2), False), ((3, 40, 1), False), ((3, 44, 6), True),
     ((3, 44, 5), False), ((3, 50, 7), True), ((3, 50, 6), False), ((4, 0, 0), True)],
)  # fmt: skip
def test_versions_of_sqlite_with_the_bug_are_known(version: tuple[int, ...], safe: bool) -> None:
    assert db.sqlite_is_safe(version) is safe


def test_an_upgrade_that_breaks_off_leaves_the_schema_from_which_it_began(tmp_path: Path) -> None:
    engine = db.make_engine(f"sqlite:///{tmp_path / 'a.db'}")
    db.migrate(engine, "0015")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE counted_days (x)"))  # which 0017 is about to make
    with pytest.raises(OperationalError, match="already exists"):
        db.migrate(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0015"
        assert "endpoints" not in inspect(connection).get_table_names(), "0016 is undone, too"
        connection.execute(text("DROP TABLE counted_days"))
        connection.commit()
    db.migrate(engine)
    assert db.is_current(engine)
    engine.dispose()
