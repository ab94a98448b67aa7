"""How steps fare is kept, told once, and survives a database that is away and a clock that jumps."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from feedback_loop.db import Sessions, reading
from feedback_loop.jobs import steps as module
from feedback_loop.jobs.claims import take_tick
from feedback_loop.jobs.models import StepRun, Tick
from feedback_loop.jobs.steps import Steps
from feedback_loop.pipeline import Context, Step
from feedback_loop.settings import Settings
from feedback_loop.worker import WatchedClock, look

EVERY = timedelta(seconds=5)


def row(sessions: Sessions) -> StepRun:
    with reading(sessions) as session:
        return session.scalars(select(StepRun)).one()


def test_a_step_that_fails_and_works_again_is_told_once_each(
    sessions: Sessions, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    steps, fails = Steps(), True
    caplog.set_level(logging.INFO)
    for _turn in range(5):
        with steps.observed(sessions, "rate", EVERY, lambda: now):
            raise ZeroDivisionError
    steps.write(sessions)
    failed = row(sessions)
    assert (failed.runs, failed.failures, failed.failures_in_a_row) == (5, 5, 5)
    assert (failed.error, failed.failing_since, failed.worked_at) == ("ZeroDivisionError", now, None)
    for _turn in range(2):
        with steps.observed(sessions, "rate", EVERY, lambda: now + EVERY):
            fails = False
    steps.write(sessions)
    works = row(sessions)
    assert (works.runs, works.failures, works.failures_in_a_row, works.failing_since) == (7, 5, 0, None)
    assert (works.failed_at, works.worked_at) == (now, now + EVERY)
    assert not fails
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"], "no flood"


def test_a_step_that_goes_on_failing_is_told_now_and_then(
    sessions: Sessions, now: datetime, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMIND_EVERY", -1.0)
    steps = Steps()
    for _turn in range(3):
        with steps.observed(sessions, "rate", EVERY, lambda: now):
            raise ZeroDivisionError
    assert "failed 3 times in a row" in caplog.messages[-1]
    assert caplog.records[-1].exc_info is None, "its trace was told the first time"


def test_two_workers_add_up(sessions: Sessions, now: datetime) -> None:
    for steps in (Steps(), Steps()):
        with steps.observed(sessions, "rate", EVERY, lambda: now):
            pass
        steps.write(sessions)
        steps.write(sessions)
    assert row(sessions).runs == 2


def test_what_could_not_be_written_is_written_later(
    sessions: Sessions, now: datetime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    steps = Steps()

    def away(*_args: object) -> None:
        raise OperationalError("INSERT", {}, Exception("gone"))

    with monkeypatch.context() as broken:
        broken.setattr(module, "add", away)
        for _turn in range(3):
            with steps.observed(sessions, "rate", EVERY, lambda: now):
                pass
            steps.write(sessions)
    assert len(caplog.records) == 1
    steps.write(sessions)
    assert row(sessions).runs == 3


def test_a_look_that_another_worker_has_is_not_counted(sessions: Sessions, settings: Settings, now: datetime) -> None:
    done: list[int] = []
    step = Step("rate", lambda _context: done.append(1) or 1, EVERY, once=True)
    for context in (Context(settings, sessions, lambda: now), Context(settings, sessions, lambda: now)):
        look(context, step)
        context.steps.write(sessions)
    assert done == [1]
    assert row(sessions).runs == 1


def test_a_clock_that_is_set_back_freezes_no_step(sessions: Sessions, settings: Settings, now: datetime) -> None:
    moments = [now - timedelta(minutes=minute) for minute in (0, 1, 2)]
    with sessions.begin() as session:
        for ahead in range(-3600, 1, 5):
            take_tick(session, "rate", now + timedelta(seconds=ahead), EVERY)
    runs: list[datetime] = []
    step = Step("rate", lambda _context: runs.append(now) or 1, EVERY, once=True)
    back = now - timedelta(hours=1)
    for second in (0, 0, 5, 10):
        look(Context(settings, sessions, lambda at=back + timedelta(seconds=second): at), step)  # type: ignore[misc]
    assert len(runs) == 3
    assert moments
    with reading(sessions) as session:
        assert session.scalar(select(Tick.due_at).order_by(Tick.due_at.desc()).limit(1)) == back + 2 * EVERY


def test_clocks_of_two_machines_that_differ_a_little_take_no_tick_from_each_other(
    sessions: Sessions, now: datetime
) -> None:
    with sessions.begin() as session:
        assert take_tick(session, "rate", now + timedelta(seconds=60), EVERY)
        assert take_tick(session, "rate", now, EVERY)
        assert not take_tick(session, "rate", now + timedelta(seconds=60), EVERY)


def test_a_worker_notices_that_its_clock_was_set_back(now: datetime) -> None:
    wall, since = [now], [100.0]
    watched = WatchedClock(lambda: wall[0], lambda: since[0])

    def pass_by(wall_seconds: float, seconds: float) -> bool:
        wall[0] += timedelta(seconds=wall_seconds)
        since[0] += seconds
        return watched.went_back()

    assert not pass_by(1, 1)
    assert pass_by(-3600, 1)
    assert not pass_by(1, 1), "said once"
    assert not pass_by(86_400, 1), "ahead, the scheduler goes on by itself"
