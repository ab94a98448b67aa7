"""Mails that cannot be written, servers that drip, clocks that jump: what is behind them goes out."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from feedback_loop import mail
from feedback_loop.db import Sessions, reading
from feedback_loop.notifications import breaker, composing, delivering
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import drain_outbox
from feedback_loop.settings import Settings
from tests.factories import Make
from tests.smtp import Sink, running


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink


@pytest.fixture
def smtp(settings: Settings, sink: Sink) -> Settings:
    return replace(settings, smtp_port=sink.port, smtp_timeout=5)


def rows(sessions: Sessions) -> list[Notification]:
    with reading(sessions) as session:
        return list(session.scalars(select(Notification).order_by(Notification.id)))


def without_statement(row: Notification) -> None:
    row.data = {each: value for each, value in row.data.items() if each != "statement"}


def with_half_a_letter(row: Notification) -> None:
    row.data = {**row.data, "statement": "It is \ud83d broken."}


def with_a_header_in_the_address(row: Notification) -> None:
    row.address = "maya@example.com\r\nBcc: all@example.com"


def with_hours_of_nowhere(row: Notification) -> None:
    row.data = {**row.data, "hours": ["Nowhere/Town", 9, 18, 127]}


def with_hours_that_never_open(row: Notification) -> None:
    row.data = {**row.data, "hours": ["Europe/Berlin", 9, 18, 0]}


def with_a_moment_that_is_none(row: Notification) -> None:
    row.data = {**row.data, "said_at": "yesterday"}


@pytest.mark.parametrize(
    "poison",
    [
        without_statement, with_half_a_letter, with_a_header_in_the_address, with_hours_of_nowhere,
        with_hours_that_never_open, with_a_moment_that_is_none,
    ],
)  # fmt: skip
def test_a_mail_that_cannot_be_written_is_set_aside_with_its_reason_and_those_behind_it_go_out(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime, poison: Callable[[Notification], None]
) -> None:
    first = make.notification("closure:0")
    poison(first)
    for number in range(1, 4):
        make.notification(f"closure:{number}")
    make.session.commit()
    done = drain_outbox(sessions, smtp, lambda: now)
    assert (done.failed, done.sent, done.later) == (1, 3, 0)
    found = rows(sessions)[0]
    assert found.state == NotificationState.FAILED
    assert found.reason.startswith(("It could not be written: ", "No mail can be written "))
    assert "Bcc" not in found.reason
    assert found.claimed_until is None
    assert all(each["Bcc"] is None for each in sink.mails)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_says_nothing_of_a_mail_is_tried_again(
    make: Make, sessions: Sessions, smtp: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.notification()
    make.session.commit()

    def no_handles(*_: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(composing.mail, "render", no_handles)
        assert drain_outbox(sessions, smtp, lambda: now).failed == 0
    row = rows(sessions)[0]
    assert (row.state, row.attempts) == (NotificationState.PENDING, 1)
    assert "Too many open files" in row.reason
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=2)).sent == 1


def test_a_mail_of_a_kind_that_this_worker_does_not_know_waits_for_one_that_does(
    make: Make, sessions: Sessions, smtp: Settings, now: datetime
) -> None:
    """While an installation is brought up to date, workers of two releases run beside each other."""
    make.notification("closure:0", kind="of_the_next_release")
    make.notification("closure:1")
    make.session.commit()
    assert drain_outbox(sessions, smtp, lambda: now).sent == 1
    assert rows(sessions)[0].state == NotificationState.PENDING


def test_an_unforeseen_error_within_a_mail_leaves_no_half_conversation_to_the_next(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        make.notification(f"closure:{number}")
    make.session.commit()
    right = mail.smtp.words  # type: ignore[attr-defined]
    calls = iter(range(100))

    def once(code: int, text: Any) -> str:
        if next(calls) == 0:
            raise RuntimeError("within the conversation")
        return str(right(code, text))

    monkeypatch.setattr(mail.smtp, "words", once)  # type: ignore[attr-defined]
    done = drain_outbox(sessions, smtp, lambda: now)
    assert (done.sent, done.later, done.channel_down) == (1, 1, "")
    assert sink.greeted == 2


def test_a_server_that_finds_one_mail_too_large_does_not_stop_the_others(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    first = make.notification("closure:0")
    make.notification("closure:1")
    make.session.commit()
    inbound = replace(smtp, inbound_address="loop@fernhill.example")

    async def picky(server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if f"+{first.id}." in address:
            return "552 5.3.4 message size exceeds fixed limit"
        envelope.mail_from = address
        return "250 OK"

    sink.handle_MAIL = picky  # type: ignore[method-assign]
    done = drain_outbox(sessions, inbound, lambda: now)
    assert (done.failed, done.sent, done.channel_down) == (1, 1, "")


def test_one_recipient_for_whom_a_server_dislikes_the_sender_does_not_stop_the_others_for_ever(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse["p0@example.com"] = "550 5.1.8 sender domain does not exist"
    for number in range(3):
        make.notification(f"closure:{number}", make.customer(f"P {number}", f"p{number}@example.com"))
    make.session.commit()
    assert drain_outbox(sessions, smtp, lambda: now).channel_down
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(seconds=61)).sent >= 1


class Dripping(socketserver.StreamRequestHandler):
    """Answers a byte at a time, each well within a time limit of its own, and takes mails."""

    def handle(self) -> None:
        drips = False
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            word = line[:4].upper()
            if word in (b"EHLO", b"MAIL", b"RCPT", b"RSET"):
                self.wfile.write(b"250 OK\r\n")
            elif word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                drips = True
            elif drips and line == b".\r\n":
                try:
                    for _ in range(100):
                        self.wfile.write(b"250-still at it\r\n")
                        time.sleep(0.1)
                    self.wfile.write(b"250 OK\r\n")
                except OSError:
                    return


@contextmanager
def dripping() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_server_that_drips_its_answer_holds_a_mail_no_longer_than_its_time(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    make.notification()
    make.session.commit()
    with dripping() as port:
        begun = time.monotonic()
        done = drain_outbox(sessions, replace(settings, smtp_port=port, smtp_timeout=1), lambda: now)
        assert time.monotonic() - begun < 5, "the answer alone would take ten seconds"
    assert done.later == 1
    (row,) = rows(sessions)
    assert (row.state, row.doubtful) == (NotificationState.PENDING, 1)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_thread_that_fails_keeps_none_waiting_for_the_domain_it_was_at(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.delay = 0.1
    for number in range(6):
        make.notification(f"closure:{number}", make.customer(f"P {number}", f"p{number}@big.example"))
    make.session.commit()

    def away(*_: object) -> None:
        raise OperationalError("update", {}, Exception("gone"))

    many = replace(smtp, smtp_connections=3, mails_per_domain=1)
    with monkeypatch.context() as patch:
        patch.setattr(delivering, "record_sent", away)
        begun = time.monotonic()
        with pytest.raises(OperationalError):
            drain_outbox(sessions, many, lambda: now)
        assert time.monotonic() - begun < 10
    assert len(sink.mails) == 1, "at most one for each connection is out without a note"
    drain_outbox(sessions, many, lambda: now + timedelta(seconds=31))
    assert {row.state for row in rows(sessions)} == {NotificationState.SENT}
    assert len(sink.mails) == 7


def test_who_waits_for_a_domain_begins_no_mail_when_it_is_too_late() -> None:
    from feedback_loop.jobs.claims import Claim
    from feedback_loop.notifications.batch import Batch

    batch = Batch([Claim(1, 1), Claim(2, 1)], {1: "big.example", 2: "big.example"}, 1)
    until = time.monotonic() + 0.2
    assert batch.take(until) == Claim(1, 1)
    assert batch.take(until) is None, "it waits for the first, which is not done in time"
    assert time.monotonic() >= until
    assert batch.rest == [Claim(2, 1)]


def test_mails_that_were_put_off_by_a_clock_that_ran_ahead_do_not_wait_for_it(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse_data = "451 4.3.0 try again later"
    make.notification("closure:0")
    hours = make.notification("closure:1")
    hours.data = {**hours.data, "hours": ["Europe/Berlin", 0, 24, 127]}
    planned = make.notification("closure:2", next_at=now + timedelta(days=40))
    make.session.commit()
    ahead = now + timedelta(days=30)
    drain_outbox(sessions, smtp, lambda: ahead)
    sink.refuse_data = ""
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=1)).sent == 2
    assert rows(sessions)[2].next_at == planned.next_at


def test_a_mail_that_waits_for_monday_is_not_taken_for_one_of_a_clock_that_ran_ahead(
    make: Make, sessions: Sessions, smtp: Settings, now: datetime
) -> None:
    row = make.notification(attempts=1, next_at=now + timedelta(days=3))
    row.data = {**row.data, "hours": ["Europe/Berlin", 0, 24, 127]}
    make.session.commit()
    drain_outbox(sessions, smtp, lambda: now)
    assert rows(sessions)[0].next_at == now + timedelta(days=3)


def test_a_channel_that_rests_by_a_clock_that_ran_ahead_is_tried(
    make: Make, sessions: Sessions, smtp: Settings, now: datetime
) -> None:
    make.notification()
    make.session.commit()
    with sessions.begin() as session:
        breaker.failed(session, "gone", now + timedelta(days=300), tried=True)
    assert drain_outbox(sessions, smtp, lambda: now).sent == 1


def test_a_mail_that_waited_for_days_is_not_given_up_when_it_is_asked_to_come_again(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse["grey@example.com"] = "451 4.7.1 greylisted, come again in a minute"
    make.notification(customer=make.customer("Grey", "grey@example.com"))
    make.session.commit()
    late = now + timedelta(hours=100)
    assert drain_outbox(sessions, smtp, lambda: late).failed == 0
    sink.refuse.clear()
    assert drain_outbox(sessions, smtp, lambda: late + timedelta(minutes=2)).sent == 1
