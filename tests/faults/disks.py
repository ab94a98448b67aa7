"""Real small disks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from feedback_loop.db import make_engine, migrate
from tests.conftest import IN_CI

MB = 1024 * 1024


class Disk:
    """A file system of its own, in memory.

    Args:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filler = folder / "filler"

    def fill(self) -> None:
        """Leave no byte."""
        with self.filler.open("wb", buffering=0) as file:
            size = MB
            while size:
                try:
                    size = size if file.write(b"\0" * size) else 0
                except OSError:
                    size //= 2

    def empty(self) -> None:
        """Make room again."""
        self.filler.unlink()

    def remount(self, how: str) -> None:
        """Mount it `ro` or `rw`; nobody may have a file of it open for writing."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True)


@contextmanager
def mounted(folder: Path, megabytes: int = 8) -> Iterator[Disk]:
    """A disk at a new folder. Where mounting is not allowed the test is skipped, but not as root in CI."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    program = shutil.which(command[0])
    done = subprocess.run(command, check=False, capture_output=True, text=True) if program else None
    if done is None or done.returncode:
        why = f"a disk of its own cannot be mounted here: {done.stderr.strip() if done else 'there is no mount'}"
        if IN_CI and os.geteuid() == 0:
            pytest.fail(why)
        pytest.skip(why)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared SQLite file, small and closed, to be copied."""
    path = tmp_path_factory.mktemp("prepared") / "data.db"
    engine = make_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """8 MB."""
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def engine(disk: Disk, prepared: Path) -> Iterator[Engine]:
    """A database on that disk, for all that tests make with one."""
    path = disk.folder / "data.db"
    shutil.copy(prepared, path)
    engine = make_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()
