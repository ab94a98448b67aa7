"""Bells: heard at once, and missed by nobody who does not hear them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from feedback_loop.app import create_app
from feedback_loop.complaints.service.searching import ask
from feedback_loop.db import Sessions, make_sessions
from feedback_loop.jobs.bell import SCHEMA, Queue, hang, is_rung, ring
from feedback_loop.jobs.engine import Ear, prepare, sweep_once
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import Owed, owe
from feedback_loop.pipeline import Context
from feedback_loop.responses.importing import Row, insert_rows
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName
from feedback_loop.worker import Desk
from tests.factories import Make
from tests.responses.test_together import page_of, send

WAITING = text("SELECT queueing_lock FROM engine.procrastinate_jobs WHERE status = 'todo' ORDER BY 1")


@pytest.fixture
def rung(settings: Settings, engine: Engine) -> Iterator[Settings]:
    """Settings with bells, on a database that has the engine."""
    if engine.dialect.name != "postgresql":
        pytest.skip("bells ring on PostgreSQL")
    drop(engine)
    prepare(engine)
    yield replace(settings, engine="auto")
    drop(engine)


@pytest.fixture
def ringing(sessions: Sessions, rung: Settings) -> Sessions:
    """Sessions that ring."""
    hang(sessions, rung)
    return sessions


def drop(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))


def waiting(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(WAITING))


def listeners(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT count(*) FROM engine.procrastinate_workers")) or 0


def wait_until(true: Any, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(true())


def test_sqlite_and_whoever_wants_the_clock_alone_have_no_bells(settings: Settings) -> None:
    on_postgres = replace(settings, database_url="postgresql+psycopg://localhost/some")
    assert not is_rung(replace(on_postgres, engine="clock"))
    assert is_rung(replace(on_postgres, engine="auto"))
    assert not is_rung(replace(settings, engine="auto", database_url="sqlite:///some.db"))


def test_ringing_where_there_are_no_bells_does_nothing(sessions: Sessions, settings: Settings) -> None:
    hang(sessions, replace(settings, engine="clock"))
    with sessions.begin() as session:
        ring(session, "send mail")


def test_a_bell_is_rung_if_and_only_if_its_transaction_is_committed(ringing: Sessions, engine: Engine) -> None:
    with ringing() as session:
        session.execute(text("SELECT 1"))
        ring(session, "send mail")
        session.rollback()
        session.commit()
    assert waiting(engine) == []
    with ringing.begin() as session:
        ring(session, "send mail")
        with session.begin_nested():
            pass
        assert waiting(engine) == [], "the end of a savepoint is no end"
    assert waiting(engine) == ["send mail"]


def test_one_bell_of_a_step_is_open_at_a_time(ringing: Sessions, engine: Engine) -> None:
    for _ in range(3):
        with ringing.begin() as session:
            ring(session, "send mail")
            ring(session, "call out")
    assert waiting(engine) == ["call out", "send mail"]


def test_who_rings_waits_for_nobody_who_rings(ringing: Sessions, engine: Engine) -> None:
    with ringing() as slow:
        # Another is between ringing and committing.
        slow.execute(text("SELECT pg_advisory_xact_lock(7421, hashtext('send mail'))"))
        with ringing.begin() as session:
            session.execute(text("SET LOCAL statement_timeout = '3s'"))
            ring(session, "send mail")
    assert waiting(engine) == [], "the next look finds it"


def test_answers_ring_once_a_second(ringing: Sessions, engine: Engine) -> None:
    rang: list[Any] = []

    def note(*arguments: Any) -> None:
        rang.extend(["rang"] * ("pg_try_advisory" in arguments[2]))

    event.listen(engine, "before_cursor_execute", note)
    for _ in range(5):
        with ringing.begin() as session:
            ring(session, "understand")
    event.remove(engine, "before_cursor_execute", note)
    assert rang == ["rang"]
    assert waiting(engine) == ["understand"]


def test_the_transaction_that_rings_keeps_its_schema(ringing: Sessions) -> None:
    seen: list[str] = []
    read = text("SELECT current_setting('search_path')")

    def note(session: Session) -> None:
        seen.append(session.connection().scalar(read) or "")

    for _ in range(2):  # the first rings, the second finds it rung
        with ringing() as session:
            event.listen(session, "before_commit", note)
            seen.append(session.scalar(read) or "")
            ring(session, "send mail")
            session.commit()
    assert len(set(seen)) == 1


def test_a_broken_engine_fails_no_transaction(
    ringing: Sessions, engine: Engine, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    make.notification()
    make.session.commit()
    drop(engine)
    with caplog.at_level(logging.WARNING), ringing.begin() as session:
        session.execute(text("UPDATE notifications SET reason = 'kept'"))
        ring(session, "send mail")
    with ringing() as session:
        assert session.query(Notification.reason).scalar() == "kept"
    assert "feedback-loop init" in caplog.text
    caplog.clear()
    with ringing.begin() as session:
        ring(session, "send mail")
    assert not caplog.text, "it is not tried and told each time"


def test_who_locks_the_tables_of_the_engine_holds_nobody_up(
    ringing: Sessions, engine: Engine, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    make.notification()
    make.session.commit()
    # As an upgrade does that makes them anew, VACUUM FULL, or whoever looks into them with psql.
    with engine.connect() as upgrade, caplog.at_level(logging.WARNING):
        upgrade.execute(text("LOCK TABLE engine.procrastinate_jobs IN ACCESS EXCLUSIVE MODE"))
        with ringing.begin() as session:
            session.execute(text("SET LOCAL statement_timeout = '5s'"))  # instead of waiting for ever
            session.execute(text("UPDATE notifications SET reason = 'kept'"))
            ring(session, "send mail")
    with ringing() as session:
        assert session.query(Notification.reason).scalar() == "kept"
    assert "lock timeout" in caplog.text


def test_a_transaction_that_rings_keeps_its_own_patience(ringing: Sessions) -> None:
    seen: list[str] = []
    for _ in range(2):  # the first rings, the second finds it rung
        with ringing() as session:
            session.execute(text("SET LOCAL lock_timeout = '7s'"))
            ring(session, "send mail")
            # Runs after the bell, still in the transaction.
            event.listen(
                session.connection(),
                "commit",
                lambda connection: seen.append(connection.exec_driver_sql("SHOW lock_timeout").scalar() or ""),
            )
            session.commit()
    assert seen == ["7s", "7s"]


def test_losing_the_engine_loses_no_work(ringing: Sessions, rung: Settings, engine: Engine, make: Make) -> None:
    with ringing.begin() as session:
        ring(session, "send mail")
    make.notification()
    make.session.commit()
    drop(engine)
    Desk(Context(replace(rung, mail_transport="mailbox"), ringing)).look("send mail")  # as the clock does
    with ringing() as session:
        assert session.query(Notification.state).scalar() == NotificationState.SENT
    assert prepare(engine), "init brings it back"
    assert not prepare(engine), "and leaves it alone where it is whole"
    others = make_sessions(engine)
    hang(others, rung)
    with others.begin() as session:
        ring(session, "send mail")
    assert waiting(engine) == ["send mail"]


def test_half_an_engine_and_one_of_another_release_are_made_anew(rung: Settings, engine: Engine) -> None:
    for damage in (
        "DROP TABLE engine.procrastinate_events CASCADE",
        "COMMENT ON SCHEMA engine IS 'procrastinate of another release'",
    ):
        with engine.begin() as connection:
            connection.execute(text(damage))
        assert prepare(engine)
        assert not prepare(engine)


def test_a_worker_is_told_at_once_and_listens_again_when_the_engine_is_back(
    ringing: Sessions, rung: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback_loop.jobs.engine.AGAIN", 0.2)
    heard: list[str] = []
    stop = threading.Event()
    ear = Ear(rung.database_url, [Queue.MAIL], heard.append, stop)
    ear.start()
    try:
        with ringing.begin() as session:
            ring(session, "send mail")
            ring(session, "understand")
        assert wait_until(lambda: heard == ["send mail"])
        assert wait_until(lambda: waiting(engine) == ["understand"]), "bells of other queues are for others"
        drop(engine)
        prepare(engine)
        with ringing.begin() as session:
            ring(session, "send mail")
        assert wait_until(lambda: heard == ["send mail", "send mail"], 20), "it listens again"
    finally:
        stop.set()
        ear.join()


def test_bells_that_dead_workers_followed_are_swept(ringing: Sessions, rung: Settings, engine: Engine) -> None:
    with ringing.begin() as session:
        ring(session, "send mail")
        ring(session, "call out")
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL search_path TO engine"))
        old = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '5 min') RETURNING id"
        worker = connection.scalar(text(old))
        take = text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :id WHERE queueing_lock = :lock")
        connection.execute(take, {"id": worker, "lock": "send mail"})
        connection.execute(take, {"id": None, "lock": "call out"})  # the entry of its worker is gone already

    async def sweep() -> int:
        app = Ear(rung.database_url, [Queue.MAIL], lambda _name: None, threading.Event()).app()
        async with app.open_async():
            return await sweep_once(app)

    assert asyncio.run(sweep()) == 2
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM engine.procrastinate_jobs")) == 0
    assert listeners(engine) == 0


def test_a_search_rings(ringing: Sessions, engine: Engine, make: Make) -> None:
    user = make.user()
    make.session.commit()
    with ringing.begin() as session:
        ask(session, "parcels that come late", user, make.now)
    assert waiting(engine) == ["search"]


def test_mail_that_is_owed_at_once_rings_and_mail_for_later_does_not(
    ringing: Sessions, rung: Settings, engine: Engine, now: Any
) -> None:
    owed = Owed("customer:1", "maya@example.com", "Maya", {})
    for wait, found in ((timedelta(minutes=10), []), (timedelta(), ["send mail"])):
        with ringing.begin() as session:
            owe(session, "closed", f"closure:{wait}", [owed], next_at=now + wait, now=now, settings=rung)
        assert waiting(engine) == found


def test_answers_from_a_page_and_from_a_file_ring(
    ringing: Sessions, rung: Settings, engine: Engine, make: Make, now: Any
) -> None:
    survey = make.survey("checkout", ScaleName.HELPFUL)
    make.session.commit()
    app = create_app(rung, make_sessions(engine))  # with bells of its own
    assert send(app, page_of(app))[0] < 400
    assert waiting(engine) == ["understand"]
    drop(engine)
    prepare(engine)
    row = Row(external_id="", email="", name="", score=0, comment="It came late", answered_at=now, context={})
    with ringing.begin() as session:
        insert_rows(session, rung, survey, [row], now)
    assert waiting(engine) == ["understand"]
