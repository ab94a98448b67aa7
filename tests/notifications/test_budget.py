"""One budget of mails for each person, over all kinds, however many workers send."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from feedback_loop.db import Sessions
from feedback_loop.notifications.budget import Budget, Contacts, Rank, refusal
from feedback_loop.notifications.hours import Hours
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import Delivery, Owed, drain_outbox, owe
from feedback_loop.settings import Settings
from tests.factories import Make
from tests.smtp import Sink, running

DATA = {
    "question": "Was this helpful?",
    "is_usual": False,
    "scale": "helpful",
    "choices": [["yes", "Yes"], ["no", "No"]],
    "ends": None,
    "why": "You were with us.",
    "until": "2026-11-11T09:30:00+00:00",
    "is_test": False,
    "links": {"answer_url": "/i/{token:invitation:0123abcd}"},
}


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink


@pytest.fixture
def smtp(settings: Settings, sink: Sink) -> Settings:
    return replace(settings, smtp_port=sink.port, smtp_timeout=5, contact_limit=1)


class Ask:
    def __init__(self, make: Make, settings: Settings, now: datetime) -> None:
        self.make, self.settings, self.now = make, settings, now

    def __call__(
        self, address: str, number: int = 1, rank: Rank = Rank.INVITATION, next_at: datetime | None = None,
        hours: Hours | None = None,
    ) -> None:  # fmt: skip
        kind = "reminder" if rank == Rank.REMINDER else "invitation"
        owed = Owed(f"invitation:{number}", address, "Maya", DATA, hours)
        owe(
            self.make.session, kind, f"mailing:{number}", [owed], next_at=next_at or self.now, now=self.now,
            settings=self.settings, rank=rank,
        )  # fmt: skip
        self.make.session.commit()


@pytest.fixture
def ask(make: Make, smtp: Settings, now: datetime) -> Ask:
    return Ask(make, smtp, now)


def told(sessions: Sessions) -> list[tuple[str, str, str]]:
    with sessions() as session:
        return [
            (row.kind, row.state.value, row.reason) for row in session.query(Notification).order_by(Notification.id)
        ]


@pytest.mark.parametrize(
    ("rank", "contacts", "expected"),
    [
        (Rank.INVITATION, Contacts(2), ""),
        (Rank.INVITATION, Contacts(3), "Asked not again: 3 mails in the last 30 days."),
        (Rank.INVITATION, Contacts(2, 1), "Asked not again: 2 mails in the last 30 days and 1 about to be sent."),
        (Rank.INVITATION, Contacts(0, 3), "Asked not again: 3 mails are about to be sent."),
        (Rank.REMINDER, Contacts(3), "Asked not again: 3 mails in the last 30 days."),
        (Rank.OWED, Contacts(30), ""),
        (Rank.TEST, Contacts(30), ""),
    ],
)
def test_the_budget_drops_what_asks_and_never_what_is_owed(rank: Rank, contacts: Contacts, expected: str) -> None:
    assert refusal(rank, contacts, Budget(3, 30)) == expected
    assert refusal(rank, contacts, Budget(0, 30)) == "", "0 is no limit"


def test_who_was_written_to_enough_is_asked_no_more_and_it_says_why(
    ask: Ask, make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    ask("maya@example.com", 1)
    assert drain_outbox(sessions, smtp, lambda: now).sent == 1
    ask("maya@example.com", 2)
    ask("noor@example.com", 3)
    done = drain_outbox(sessions, smtp, lambda: now + timedelta(days=29))
    assert (done.sent, done.skipped) == (1, 1)
    assert told(sessions)[1] == ("invitation", "skipped", "Asked not again: 1 mail in the last 30 days.")


def test_the_budget_forgets_after_its_days(
    ask: Ask, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    ask("maya@example.com", 1)
    drain_outbox(sessions, smtp, lambda: now)
    ask("maya@example.com", 2)
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(days=30, seconds=1)).sent == 1


def test_a_closing_is_always_told_and_pushes_out_what_asks(
    ask: Ask, make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    maya = make.customer("Maya Lind", "maya@example.com")
    ask(maya.email, 1)
    ask(maya.email, 2, Rank.REMINDER)
    for number in (1, 2):
        make.notification(event=f"closure:{number}", customer=maya, next_at=now + timedelta(minutes=10 * number - 10))
    make.session.commit()
    drain_outbox(sessions, smtp, lambda: now)
    drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=10))
    assert Counter((kind, state) for kind, state, _ in told(sessions)) == {
        ("closure", "sent"): 2,
        ("invitation", "skipped"): 1,
        ("reminder", "skipped"): 1,
    }
    assert len(sink.mails) == 2


def test_a_reminder_goes_before_an_invitation_that_was_owed_earlier(
    ask: Ask, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    ask("maya@example.com", 1)
    ask("maya@example.com", 2, Rank.REMINDER)
    drain_outbox(sessions, smtp, lambda: now)
    assert [(kind, state) for kind, state, _ in told(sessions)] == [("invitation", "skipped"), ("reminder", "sent")]


def test_a_reminder_that_is_still_to_come_keeps_its_place(
    ask: Ask, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    ask("maya@example.com", 1)
    ask("maya@example.com", 2, Rank.REMINDER, next_at=now + timedelta(minutes=5))
    drain_outbox(sessions, smtp, lambda: now)
    drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=5))
    assert [(kind, state) for kind, state, _ in told(sessions)] == [("invitation", "skipped"), ("reminder", "sent")]


def test_a_test_is_sent_whatever_the_budget_and_counts_nowhere(
    ask: Ask, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    for number in (1, 2):
        ask("ada@example.com", number, Rank.TEST)
    ask("ada@example.com", 3)
    assert drain_outbox(sessions, smtp, lambda: now).sent == 3


def test_a_mail_that_has_its_place_keeps_it_while_the_server_is_busy(
    ask: Ask, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse["maya@example.com"] = "451 4.3.0 try later"
    ask("maya@example.com", 1)
    assert drain_outbox(sessions, smtp, lambda: now).later == 1
    ask("maya@example.com", 2)
    assert drain_outbox(sessions, smtp, lambda: now).skipped == 1
    sink.refuse.clear()
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=2)).sent == 1


def test_a_mail_that_was_refused_leaves_its_place_to_the_next(
    ask: Ask, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse["maya@example.com"] = "552 5.2.2 mailbox full"
    ask("maya@example.com", 1)
    assert drain_outbox(sessions, smtp, lambda: now).failed == 1
    sink.refuse.clear()
    ask("maya@example.com", 2)
    assert drain_outbox(sessions, smtp, lambda: now).sent == 1


def test_two_workers_at_once_do_not_both_write_to_one_person(
    ask: Ask, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    # 60 people with two invitations each, and a server slow enough that both workers are always in the middle of one.
    sink.delay = 0.005
    for number in range(120):
        ask(f"person{number % 60}@example.com", number, next_at=now - timedelta(seconds=number // 60))
    start = threading.Barrier(2)
    done: list[Delivery] = []

    def work() -> None:
        start.wait()
        done.append(drain_outbox(sessions, smtp, lambda: now))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    per_address = Counter(str(mail["To"]) for mail in sink.mails)
    assert len(per_address) == 60, "everybody is asked"
    assert set(per_address.values()) == {1}, "and once"
    assert sum(each.sent for each in done) == 60
    assert Counter(state for _, state, _ in told(sessions)) == {"sent": 60, "skipped": 60}


def test_two_workers_that_decide_on_one_address_at_the_same_moment_let_one_pass(
    ask: Ask, sessions: Sessions, smtp: Settings, now: datetime
) -> None:
    from feedback_loop.jobs.claims import claim
    from feedback_loop.notifications.delivering import let_through

    for round in range(10):
        address = f"person{round}@example.com"
        for number in (1, 2):
            ask(address, round * 10 + number)
        with sessions.begin() as session:
            due = [Notification.address == address]
            claims = claim(session, Notification, due, [Notification.id], 2, now, timedelta(minutes=1))
            rows = [session.get_one(Notification, each.id) for each in claims]
        start = threading.Barrier(2)
        passed: list[bool] = []

        def decide(place: int) -> None:
            start.wait()  # noqa: B023
            passed.append(let_through(sessions, smtp, claims[place], rows[place], now))  # noqa: B023

        workers = [threading.Thread(target=decide, args=(place,)) for place in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert sorted(passed) == [False, True]


def test_a_mail_that_waited_into_the_quiet_hours_waits_for_the_morning(
    ask: Ask, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    ask("maya@example.com", hours=Hours("UTC", 9, 18))
    evening = now.replace(hour=22)
    assert drain_outbox(sessions, smtp, lambda: evening).sent == 0
    with sessions() as session:
        row = session.query(Notification).one()
        assert (row.state, row.attempts) == (NotificationState.PENDING, 0)
        assert row.next_at == now.replace(hour=9, minute=0) + timedelta(days=1)
    assert drain_outbox(sessions, smtp, lambda: evening + timedelta(hours=11)).sent == 1


def test_several_mails_can_carry_one_link_that_is_stored_nowhere(
    ask: Ask, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    from feedback_loop import tokens
    from tests.smtp import text_of

    ask("maya@example.com", 1)
    ask("noor@example.com", 2, Rank.REMINDER)
    drain_outbox(sessions, smtp, lambda: now)
    token = tokens.derive(smtp.secret_key, "invitation", "0123abcd")
    for mail in sink.mails:
        assert f"http://localhost/i/{token}?score=yes" in text_of(mail)
        assert token not in str(mail["List-Unsubscribe"])
    with sessions() as session:
        assert all(token not in str(vars(row)) for row in session.query(Notification))
