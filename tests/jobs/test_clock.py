"""Clocks of several workers, and the desk at which one worker looks after its steps."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from feedback_loop import cli
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, make_engine, make_sessions
from feedback_loop.jobs.alone import AnotherWorker, alone
from feedback_loop.jobs.bell import BELLS, Queue
from feedback_loop.jobs.claims import claim
from feedback_loop.jobs.sharedclock import SharedClock
from feedback_loop.notifications.models import Notification
from feedback_loop.pipeline import STEPS, Context, Step
from feedback_loop.settings import Settings
from feedback_loop.worker import Desk, DueMoments, due_moment, start_clock
from tests.factories import Make

SECOND = timedelta(seconds=1)


def context_of(sessions: Sessions, settings: Settings, clock: Callable[[], Any] = utc_now) -> Context:
    return Context(settings, sessions, clock)


@pytest.fixture
def clocks() -> Iterator[list[Any]]:
    """Clocks that are stopped at the end."""
    started: list[Any] = []
    yield started
    for each in started:
        if each.running:
            each.shutdown(wait=True)


def test_clocks_of_several_workers_run_each_due_moment_once(
    sessions: Sessions, settings: Settings, clocks: list[Any]
) -> None:
    ran: list[Any] = []
    asked = threading.local()  # by the time a step runs, the next moment may have begun

    def clock() -> Any:
        asked.now = utc_now()
        return asked.now

    step = Step("count up", lambda _context: ran.append(due_moment(asked.now, SECOND)) or 0, SECOND, once=True)
    for _ in range(3):
        clocks.append(start_clock(Desk(context_of(sessions, settings, clock), steps=[step])))
    end = time.monotonic() + 30
    while len(ran) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    for each in clocks:
        each.shutdown(wait=True)
    assert len(ran) >= 3
    assert set(Counter(ran).values()) == {1}


def test_a_clock_fires_at_each_due_moment_once_however_late_it_was(now: Any) -> None:
    every = DueMoments(timedelta(seconds=20))
    first = every.get_next_fire_time(None, now + SECOND)
    assert first == now + timedelta(seconds=20)
    late = first + timedelta(seconds=19)
    assert every.get_next_fire_time(first, late) == now + timedelta(seconds=40)


def test_a_due_moment_whose_worker_died_is_made_up_for_by_the_next(
    sessions: Sessions, settings: Settings, now: Any
) -> None:
    ran: list[Any] = []

    def die(_context: Context) -> int:
        raise SystemExit

    dying = Desk(context_of(sessions, settings, lambda: now), steps=[Step("count up", die, SECOND, once=True)])
    with pytest.raises(SystemExit):
        dying.look("count up")
    step = Step("count up", lambda _context: ran.append(1) or 1, SECOND, once=True)
    Desk(context_of(sessions, settings, lambda: now), steps=[step]).look("count up")
    assert not ran, "the moment is taken"
    Desk(context_of(sessions, settings, lambda: now + SECOND), steps=[step]).look("count up")
    assert ran


@pytest.mark.parametrize("wrong_by", [timedelta(minutes=-7), timedelta(minutes=7), timedelta(days=3)])
def test_a_machine_whose_clock_is_wrong_runs_nothing_twice_and_takes_nobodys_rows(
    sessions: Sessions, settings: Settings, make: Make, caplog: pytest.LogCaptureFixture, wrong_by: timedelta
) -> None:
    if make.session.get_bind().dialect.name != "postgresql":
        pytest.skip("one machine is all that SQLite takes")
    ran: list[str] = []
    hour = timedelta(hours=1)
    names = ("right", "wrong", "right as well", "right", "wrong")
    clocks = {name: SharedClock(sessions) for name in names}
    clocks["wrong"] = SharedClock(sessions, lambda: utc_now() + wrong_by)
    for each in clocks.values():
        each.compare()
    assert abs(clocks["wrong"]() - utc_now()) < 2 * SECOND
    assert clocks["right"].ahead == timedelta(), "what is near stays as it is"
    assert caplog.text.count("set their clocks by NTP") == 1
    for name in names:
        step = Step("count up", lambda _context, name=name: ran.append(name) or 1, hour, once=True)
        Desk(context_of(sessions, settings, clocks[name]), steps=[step]).look("count up")
    assert ran == ["right"]
    make.notification()
    make.session.commit()
    where, lease = [Notification.state == "pending"], timedelta(minutes=10)
    for name, count in (("right", 1), ("wrong", 0)):
        with sessions.begin() as session:
            assert len(claim(session, Notification, where, [Notification.id], 5, clocks[name](), lease)) == count


def test_a_scheduler_wakes_at_the_moments_of_the_clock_that_all_go_by(now: Any) -> None:
    every = DueMoments(timedelta(seconds=20), lambda: timedelta(seconds=-7))  # our clock is 7 s before the server's
    first = every.get_next_fire_time(None, now)
    assert first == now + timedelta(seconds=7)
    assert every.get_next_fire_time(first, first) == now + timedelta(seconds=27)


def test_a_server_that_does_not_answer_leaves_the_clock_as_it_is(tmp_path: Path) -> None:
    nowhere = make_sessions(make_engine("postgresql+psycopg://root@127.0.0.1:1/none?connect_timeout=1"))
    clock = SharedClock(nowhere)
    clock.compare()
    assert clock.ahead == timedelta()


def test_a_worker_looks_only_after_its_queues(sessions: Sessions, settings: Settings) -> None:
    mail = Desk(context_of(sessions, settings), [Queue.MAIL])
    rest = Desk(context_of(sessions, settings), [Queue.ANALYSIS, Queue.DEFAULT])
    assert set(mail.steps) == {"send mail"}
    assert {*mail.steps, *rest.steps} == {step.name for step in STEPS}
    assert not set(mail.steps) & set(rest.steps)
    mail.hear("understand")  # not ours: passed over


def test_steps_that_have_a_bell_are_of_its_queue_and_for_every_worker() -> None:
    steps = {step.name: step for step in STEPS}
    for name, queue in BELLS.items():
        assert steps[name].queue == queue
        assert not steps[name].once, "a bell must not use up a due moment"


def test_slow_analysis_keeps_no_mail_waiting(sessions: Sessions, settings: Settings) -> None:
    at_work, go_on, sent = threading.Event(), threading.Event(), threading.Event()

    def analyse(_context: Context) -> int:
        at_work.set()
        go_on.wait(10)
        return 0

    steps = [
        Step("analyse", analyse, SECOND, queue=Queue.ANALYSIS),
        Step("search", lambda _context: 0, SECOND, queue=Queue.ANALYSIS),
        Step("refine", lambda _context: 0, SECOND, queue=Queue.ANALYSIS, is_apart=True),
        Step("send", lambda _context: sent.set() or 0, SECOND, queue=Queue.MAIL),
    ]
    desk = Desk(context_of(sessions, settings), concurrency=1, steps=steps)
    threads = [threading.Thread(target=desk.look, args=(name,)) for name in ("analyse", "search")]
    threads[0].start()
    assert at_work.wait(5)
    threads[1].start()
    desk.look("send")
    assert sent.is_set()
    desk.look("refine")  # what is in a process of its own takes no place
    assert threads[1].is_alive(), "one step of the queue at a time"
    desk.context.stop.set()
    threads[1].join(5)
    assert not threads[1].is_alive(), "whoever waits for a place gives up when the worker ends"
    go_on.set()
    threads[0].join(5)


def test_who_is_rung_while_at_work_looks_once_more(sessions: Sessions, settings: Settings) -> None:
    looks: list[int] = []
    at_work, go_on = threading.Event(), threading.Event()

    def work(_context: Context) -> int:
        looks.append(1)
        at_work.set()
        go_on.wait(10)
        return 0

    desk = Desk(context_of(sessions, settings), steps=[Step("work", work, SECOND)])
    thread = threading.Thread(target=desk.look, args=("work",))
    thread.start()
    assert at_work.wait(5)
    desk.look("work")  # a look by the clock is not needed twice
    desk.hear("work")
    desk.hear("work")
    go_on.set()
    thread.join(5)
    assert len(looks) == 2


def test_sqlite_takes_one_worker(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'some.db'}"
    with alone(url):
        with pytest.raises(AnotherWorker, match="SQLite takes one"), alone(url):
            pass
        with alone("postgresql+psycopg://localhost/some"):
            pass
    with alone(url):
        pass


def test_a_second_worker_on_sqlite_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr(cli, "give_way", lambda: None)
    monkeypatch.setattr(cli, "log_to_terminal", lambda: None)
    assert CliRunner().invoke(cli.main, ["init"]).exit_code == 0
    with alone(f"sqlite:///{tmp_path / 'feedback-loop.db'}"):
        result = CliRunner().invoke(cli.main, ["worker", "--queue", "mail"])
    assert result.exit_code == 1
