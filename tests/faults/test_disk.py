"""A disk that is really full, or takes no writes: nothing is called saved that is not, and all goes on afterwards."""

from __future__ import annotations

from datetime import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, select

from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.models import StepRun
from feedback_loop.pipeline import Context
from feedback_loop.responses.models import Answer, RawComment
from feedback_loop.settings import Settings
from feedback_loop.worker import look
from tests.factories import Make
from tests.faults.disks import Disk, disk, engine, prepared  # noqa: F401 (fixtures; `engine` in the place of ours)
from tests.faults.test_saving import COMMENT, kept, target
from tests.faults.test_worker import UNDERSTAND
from tests.pages import fields_of, words
from tests.watching.test_probes import nothing_is_remembered  # noqa: F401 (a fixture)

ENOUGH = 400  # answers of this length fill any room that the files of the database have left


@pytest.fixture
def sessions(engine: Engine) -> Sessions:  # noqa: F811
    """On the small disk."""
    from feedback_loop.db import make_sessions

    return make_sessions(engine)


def count(sessions: Sessions, model: type) -> int:
    with reading(sessions) as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def fresh(client: FlaskClient) -> dict[str, str]:
    return fields_of(client.get("/s/shop").get_data(as_text=True)) | {"score": "no", "comment": COMMENT}


def test_on_a_full_disk_nothing_is_called_saved_that_is_not_and_with_room_it_goes_on(
    client: FlaskClient, sessions: Sessions, make: Make, disk: Disk  # noqa: F811
) -> None:  # fmt: skip
    make.survey("shop")
    make.session.commit()
    assert client.get("/health/ready").status_code == 200
    disk.fill()
    saved = 0
    for _turn in range(ENOUGH):
        refused = client.post("/s/shop", data=fresh(client))
        if refused.status_code == 503:
            break
        assert refused.status_code == 303
        saved += 1
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "30"
    assert kept(refused)["comment"] == COMMENT
    assert count(sessions, Answer) == count(sessions, RawComment) == saved
    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.get_json()["checks"]["disk"] == "takes no writes (No space left on device)"
    disk.empty()
    assert client.post(target(refused), data=kept(refused)).status_code == 303
    assert count(sessions, Answer) == count(sessions, RawComment) == saved + 1
    assert client.get("/health/ready").status_code == 200


def test_a_worker_on_a_full_disk_comes_back_when_there_is_room(
    sessions: Sessions, settings: Settings, make: Make, disk: Disk, now: datetime,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    for number in range(40):
        make.answer(f"The zip number {number} broke. " * 60, analysed_at=None)
    make.session.commit()
    context = Context(settings, sessions, lambda: now)
    context.embedder  # noqa: B018 (read before, as by any worker that has worked)
    disk.fill()
    done = sum(look(context, UNDERSTAND) for _turn in range(4))
    assert done < 40
    context.steps.wrote = -1e9
    context.steps.write(sessions)
    failures = [record for record in caplog.records if "“understand” failed" in record.getMessage()]
    assert len(failures) == 1, "told once"
    disk.empty()
    done += look(context, UNDERSTAND)
    context.steps.write(sessions)
    with reading(sessions) as session:
        assert session.scalar(select(func.count()).where(Answer.analysed_at.is_(None))) == 0
        assert session.scalar(select(func.count()).where(Answer.set_aside_at.is_not(None))) == 0, "none is to blame"
        row = session.get_one(StepRun, "understand")
    assert (row.failing_since, row.failures >= 3) == (None, True)


def test_a_folder_that_takes_no_writes(
    client: FlaskClient, sessions: Sessions, make: Make, disk: Disk, engine: Engine,  # noqa: F811
    settings: Settings, now: datetime,
) -> None:  # fmt: skip
    make.survey("shop")
    make.answer("The zip broke", analysed_at=None, survey=make.survey("other"))
    make.session.commit()
    make.session.close()
    sent, context = fresh(client), Context(settings, sessions, lambda: now)
    engine.dispose()
    disk.remount("ro")
    try:
        refused = client.post("/s/shop", data=sent)
        assert refused.status_code == 503
        assert kept(refused)["comment"] == COMMENT
        assert "Not saved yet" in words(refused)
        assert client.get("/health/live").status_code == 200
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.get_json()["checks"]["disk"]) == (
            503,
            "takes no writes (Read-only file system)",
        )
        assert look(context, UNDERSTAND) == 0
    finally:
        engine.dispose()
        disk.remount("rw")
    assert client.post(target(refused), data=kept(refused)).status_code == 303
    assert look(context, UNDERSTAND) == 3  # redacted one, analysed both
    assert count(sessions, Answer) == 2
