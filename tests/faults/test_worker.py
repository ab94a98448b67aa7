"""Workers come back by themselves: from a database that was away, a mail server that is down for a day, a clock."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.bell import SCHEMA, Queue, hang, ring
from feedback_loop.jobs.engine import Ear, prepare
from feedback_loop.jobs.models import StepRun
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import drain_outbox
from feedback_loop.pipeline import STEPS, Context
from feedback_loop.settings import Settings
from feedback_loop.worker import look
from tests.factories import Make
from tests.faults.conftest import Fault, kill_connections, no_handles
from tests.smtp import Sink, running

UNDERSTAND = next(step for step in STEPS if step.name == "understand")


def test_a_step_fails_while_the_database_is_away_and_goes_on_when_it_is_back(
    sessions: Sessions, settings: Settings, engine: Engine, make: Make, faults: list[Fault], now: datetime,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    for fault in faults[-2:]:  # on a full disk, what it writes for one answer may still fit in pages that have room
        make.answer("The zip broke. " * 250, analysed_at=None)
        make.session.commit()
        make.session.close()
        context = Context(settings, sessions, lambda: now)
        context.embedder  # noqa: B018 (read before, as by any worker that has worked)
        caplog.clear()
        with fault(engine):
            for _turn in range(4):
                assert look(context, UNDERSTAND) == 0
        failures = [record for record in caplog.records if "“understand” failed" in record.getMessage()]
        assert len(failures) == 1, "told once"
        assert look(context, UNDERSTAND) == 1


def states(sessions: Sessions) -> list[Notification]:
    with reading(sessions) as session:
        return list(session.scalars(select(Notification).order_by(Notification.id)))


def test_after_a_day_without_a_mail_server_each_mail_goes_out_once_and_in_order(
    sessions: Sessions, settings: Settings, make: Make, now: datetime
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = replace(settings, smtp_port=probe.getsockname()[1], smtp_timeout=1)
    owed = [make.notification(event=f"closure:{number}").message_id for number in range(25)]
    make.session.commit()
    moment = now
    while moment < now + timedelta(hours=24):
        drain_outbox(sessions, closed, lambda at=moment: at)  # type: ignore[misc]
        moment += timedelta(hours=1)
    assert {row.state for row in states(sessions)} == {NotificationState.PENDING}
    with running(Sink()) as sink:
        assert drain_outbox(sessions, replace(settings, smtp_port=sink.port), lambda: moment).sent == 25
        assert sink.message_ids == owed, "what waited keeps its order"


def test_nothing_is_given_up_before_72_hours(sessions: Sessions, settings: Settings, make: Make, now: datetime) -> None:
    make.notification()
    make.session.commit()
    with running(Sink(refuse_data="451 4.3.0 try again later")) as sink:
        smtp = replace(settings, smtp_port=sink.port)
        moment = now
        while moment <= now + timedelta(hours=72):
            drain_outbox(sessions, smtp, lambda at=moment: at)  # type: ignore[misc]
            assert states(sessions)[0].state == NotificationState.PENDING, moment
            moment += timedelta(hours=1)
        sink.refuse_data = ""
        drain_outbox(sessions, smtp, lambda: moment + timedelta(hours=8))
        assert len(sink.mails) == 1


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(hours=-1)])
def test_mails_go_out_although_the_clock_jumped_while_one_was_claimed(
    sessions: Sessions, settings: Settings, make: Make, now: datetime, jump: timedelta
) -> None:
    """A worker claimed it and died; the clock was wrong by `jump` then, or is since."""
    from feedback_loop.jobs.claims import claim

    row = make.notification()
    row.next_at = now - timedelta(hours=2)
    make.session.commit()
    with sessions.begin() as session:
        pending = [Notification.state == NotificationState.PENDING]
        assert claim(session, Notification, pending, [Notification.id], 1, now + jump, timedelta(minutes=2))
    with running(Sink()) as sink:
        assert drain_outbox(sessions, replace(settings, smtp_port=sink.port), lambda: now).sent == 1


def test_a_worker_without_handles_goes_on_when_it_has_some_again(
    sessions: Sessions, settings: Settings, engine: Engine, make: Make, now: datetime
) -> None:
    """No step ends the worker, neither one that opens lines to servers nor one that starts a process."""
    for number in range(12):
        make.answer(f"The parcel came {number} days late, and delivery is slow", analysed_at=None)
    make.notification()
    make.session.commit()
    make.session.close()
    steps = {step.name: step for step in STEPS}
    with running(Sink()) as sink:
        context = Context(replace(settings, smtp_port=sink.port), sessions, lambda: now, refines_apart=True)
        assert look(context, UNDERSTAND) == 12
        with no_handles(engine):
            for step in STEPS:
                assert look(context, step) == 0, step.name
        later = Context(context.settings, sessions, lambda: now + timedelta(minutes=3), refines_apart=True)
        assert look(later, steps["send mail"]) == 1
        assert look(later, steps["refine"]) == 1
        assert len(sink.mails) == 1


def test_after_a_restart_of_the_database_a_worker_works_at_its_next_look(
    sessions: Sessions, settings: Settings, engine: Engine, make: Make, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server that restarts")
    context = Context(settings, sessions, lambda: now)
    for number in range(3):
        make.answer(f"The zip broke {number}", analysed_at=None)
        make.session.commit()
        make.session.close()
        kill_connections(engine)
        assert sum(look(context, UNDERSTAND) for _turn in range(2)) == 1
    context.steps.write(sessions)
    with reading(sessions) as session:
        assert session.get_one(StepRun, "understand").failing_since is None


def test_after_a_restart_of_the_database_bells_are_heard_again(
    sessions: Sessions, settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("bells ring on PostgreSQL")
    monkeypatch.setattr("feedback_loop.jobs.engine.AGAIN", 0.2)
    prepare(engine)
    rung = replace(settings, engine="auto")
    hang(sessions, rung)
    heard: list[str] = []
    stop = threading.Event()
    ear = Ear(rung.database_url, [Queue.MAIL], heard.append, stop)
    ear.start()
    try:
        for turn in range(1, 3):
            with sessions.begin() as session:
                ring(session, "send mail")
            end = time.monotonic() + 20
            while len(heard) < turn and time.monotonic() < end:
                time.sleep(0.02)
            assert heard == ["send mail"] * turn
            kill_connections(engine)
            with contextlib.suppress(OperationalError), sessions.begin() as session:
                session.execute(select(1))  # the first who comes finds out that the connections are gone
    finally:
        stop.set()
        ear.join()
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))


def test_refines_are_due_again_after_the_clock_was_set_back(sessions: Sessions, make: Make, now: datetime) -> None:
    """The last one is of tomorrow; waiting for that would be a day without complaints."""
    from feedback_loop.complaints.due import FAILED_PAUSE, decide, refine_is_due
    from feedback_loop.complaints.service.refine import record_failure

    gap = timedelta(minutes=30)
    assert not decide(10, 100, False, timedelta(minutes=1), gap)
    assert decide(10, 100, False, -timedelta(days=1), gap)
    for _ in range(6):
        make.statement()
    make.session.commit()
    ahead = now + timedelta(days=1)
    record_failure(sessions, ahead, ahead, "toy", 1, "It took too much memory.")
    with reading(sessions) as session:
        assert not refine_is_due(session, ahead + FAILED_PAUSE / 2, gap)
        assert refine_is_due(session, now, gap)
