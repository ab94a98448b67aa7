"""What a mail server may say, and what each of it means for the mail, the address and the channel."""

from __future__ import annotations

import io
import logging
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from feedback_loop import logs, mail
from feedback_loop.db import Sessions
from feedback_loop.mail.smtp import refused_mail, refused_recipient
from feedback_loop.notifications import batch, breaker, delivering
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.models import Cause, Channel, Notification, NotificationState, Scope, Suppression
from feedback_loop.notifications.service import drain_outbox, suppress
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
    with sessions() as session:
        return list(session.scalars(select(Notification).order_by(Notification.id)))


def channel(sessions: Sessions) -> Channel | None:
    with sessions() as session:
        return session.get(Channel, breaker.MAIL)


def owe_some(make: Make, count: int, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        make.notification(f"closure:{number}", make.customer(f"Person {number}", f"p{number}@example.com"))
    make.session.commit()


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (550, "5.1.1 no such user", mail.NoSuchAddress),
        (550, "5.1.2 no such domain", mail.NoSuchAddress),
        (556, "5.1.10 domain takes no mail", mail.NoSuchAddress),
        (550, "5.1.0 rejected", mail.Refused),
        (550, "no such user", mail.Refused),  # words are no code
        (550, "5.1.8 sender domain does not exist", mail.ChannelDown),
        (550, "5.7.1 access denied", mail.TryLater),
        (552, "5.2.2 mailbox full", mail.Refused),
        (450, "4.1.1 greylisted", mail.TryLater),
        (421, "4.3.2 closing", mail.ChannelDown),
        (530, "5.7.0 authentication required", mail.Unreachable),
    ],
)
def test_what_a_refused_recipient_means(code: int, text: str, expected: type[mail.NotSent]) -> None:
    assert type(refused_recipient(code, text)) is expected


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (550, "5.7.515 not authenticated", mail.ChannelDown),
        (535, "5.7.8 bad credentials", mail.ChannelDown),
        (421, "4.7.0 too many", mail.ChannelDown),
        (451, "4.7.1 try later", mail.TryLater),
        (554, "5.6.0 bad content", mail.Refused),
        (550, "5.1.1 no such user", mail.Refused),
    ],
)
def test_what_a_refused_mail_means(code: int, text: str, expected: type[mail.NotSent]) -> None:
    assert type(refused_mail(code, text)) is expected


def test_an_address_that_does_not_exist_is_never_written_to_again_not_even_for_work(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse["p0@example.com"] = "550 5.1.1 no such user"
    owe_some(make, 1)
    digest = make.notification("digest:9", make.customer("Same", "other@example.com"))
    digest.address, digest.rank = "P0@example.com", Rank.STAFF
    digest.kind, digest.data = "staff_test", {"links": {"page_url": "/settings/mail"}}
    make.session.commit()
    sink.refuse["P0@example.com"] = "451 never reached"
    done = drain_outbox(sessions, smtp, lambda: now)
    assert (done.failed, done.later) == (1, 1), "a colleague's mail goes first"
    done = drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=2))
    assert (done.failed, done.skipped) == (0, 1)
    with sessions() as session:
        row = session.scalars(select(Suppression)).one()
    assert (row.address, row.scope, row.cause) == ("p0@example.com", Scope.EVERYTHING, Cause.BOUNCED)
    assert row.reason == "The mail server says: 550 5.1.1 no such user"
    assert rows(sessions)[1].reason == "Mails to this address come back."
    assert channel(sessions) is None or not channel(sessions).failures  # type: ignore[union-attr]


def test_what_was_suppressed_for_less_becomes_suppressed_for_all(make: Make, now: datetime) -> None:
    suppress(make.session, "a@example.com", "by link", now)
    suppress(make.session, "A@example.com", "bounced", now, scope=Scope.EVERYTHING, cause=Cause.BOUNCED)
    row = make.session.scalars(select(Suppression)).one()
    assert (row.scope, row.cause, row.reason) == (Scope.EVERYTHING, Cause.ASKED, "by link"), "a wish outlives the rest"


def test_a_line_that_breaks_before_the_mail_is_out_leaves_no_doubt(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.break_at = "RCPT"
    owe_some(make, 1)
    assert drain_outbox(sessions, smtp, lambda: now).later == 1
    (row,) = rows(sessions)
    assert (row.state, row.doubtful, row.attempts) == (NotificationState.PENDING, 0, 1)
    assert row.reason.startswith("The connection broke:")


def test_a_line_that_breaks_after_it_leaves_a_doubt_that_is_counted_and_repeated_under_the_same_id(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.break_at = "DATA"
    owe_some(make, 1)
    assert drain_outbox(sessions, smtp, lambda: now).later == 1
    (row,) = rows(sessions)
    assert (row.state, row.doubtful) == (NotificationState.PENDING, 1)
    assert row.reason.startswith("The connection broke before the server answered:")
    sink.break_at = ""
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=2)).sent == 1
    assert sink.message_ids == [row.message_id] * 2


def test_lines_that_break_one_after_the_other_rest_the_channel_before_all_are_in_doubt(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.break_at = "DATA"
    owe_some(make, 30)
    assert drain_outbox(sessions, smtp, lambda: now).channel_down
    assert sum(row.doubtful for row in rows(sessions)) == 3


def test_a_channel_that_is_down_blames_nobody_pauses_longer_each_time_and_closes_on_success(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse_sender = "550 5.7.1 you may not send"
    owe_some(make, 3)
    moment = now
    pauses = []
    for _ in range(5):
        assert drain_outbox(sessions, smtp, lambda at=moment: at).channel_down
        row = channel(sessions)
        assert row is not None
        assert row.next_at is not None
        assert (row.down_since, row.reason) == (now, "550 5.7.1 you may not send")
        pauses.append((row.next_at - moment).total_seconds() / 60)
        greeted = sink.greeted
        assert not drain_outbox(sessions, smtp, lambda at=moment: at).channel_down, "it rests"
        assert sink.greeted == greeted
        moment = row.next_at
    assert pauses == [1, 2, 5, 10, 10]
    assert [(row.state.value, row.attempts, row.reason) for row in rows(sessions)] == [("pending", 0, "")] * 3
    sink.refuse_sender = ""
    assert drain_outbox(sessions, smtp, lambda: moment).sent == 3
    row = channel(sessions)
    assert row is not None
    assert (row.failures, row.down_since, row.next_at, row.reason) == (0, None, None, "")
    assert row.sent_at == moment


def test_one_mail_tries_whether_the_channel_works_again(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    owe_some(make, 3)
    with sessions.begin() as session:
        breaker.failed(session, "gone", now, tried=False)
        breaker.failed(session, "gone too", now, tried=False)  # on its way when the first was seen
    later = now + timedelta(minutes=1)
    with sessions.begin() as session:
        assert session.get_one(Channel, breaker.MAIL).failures == 1
        assert breaker.gate(session, now, timedelta(minutes=1)) == breaker.Gate.SHUT
        assert breaker.gate(session, later, timedelta(minutes=1)) == breaker.Gate.ONE
        assert breaker.gate(session, later, timedelta(minutes=1)) == breaker.Gate.SHUT, "the other worker waits"
        # Whoever was to try died: when its time is over, another tries.
        assert breaker.gate(session, later + timedelta(minutes=1), timedelta(minutes=1)) == breaker.Gate.ONE
        breaker.try_now(session, now)
    assert drain_outbox(sessions, smtp, lambda: now).sent == 3


def test_a_mail_that_its_own_words_make_a_server_refuse_does_not_keep_the_others_from_trying(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    owe_some(make, 4)
    sink.refuse_data = "550 5.7.1 looks like spam"
    drain_outbox(sessions, smtp, lambda: now)
    sink.refuse_data = ""
    sink.refuse["p0@example.com"] = "550 5.7.0 never"  # were it the first again, it would be in the way
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=1)).sent == 3


class Slow(mail.MailboxTransport):
    """Takes its time by a clock of its own, and notes how many mails are claimed while it has one."""

    def __init__(self, settings: Settings, sessions: Sessions, patch: pytest.MonkeyPatch, seconds: list[float]) -> None:
        super().__init__(settings)
        self.sessions = sessions
        self.seconds = seconds  # for each mail; the last for all further ones
        self.at = 0.0
        self.sent: list[str] = []
        self.held: list[int] = []
        for module in (batch, delivering):
            patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.at))

    def send(self, message: mail.Message, moment: datetime) -> None:
        with self.sessions() as session:
            held = session.scalars(select(Notification.id).where(Notification.claimed_until.is_not(None)))
            self.held.append(len(held.all()))
        self.at += self.seconds[min(len(self.sent), len(self.seconds) - 1)]
        self.sent.append(message.message_id)


def test_a_mail_that_would_outlive_its_lease_is_left_for_the_next_batch(
    make: Make, sessions: Sessions, smtp: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe_some(make, 7)
    # 30 seconds of lease, of which a mail may need 10.
    slow = Slow(smtp, sessions, monkeypatch, [0, 19, 2, 0])
    assert drain_outbox(sessions, replace(smtp, smtp_timeout=5), lambda: now, slow).sent == 7
    assert len(set(slow.sent)) == 7
    assert slow.held[:3] == [1, 6, 5]
    assert slow.held[3] == 1, "the rest was left, and claimed anew"
    assert [row.attempts for row in rows(sessions)] == [1] * 7, "waiting in a batch is no attempt"


def test_where_mails_take_long_a_worker_claims_few_and_leaves_others_some(
    make: Make, sessions: Sessions, smtp: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe_some(make, 6)
    slow = Slow(smtp, sessions, monkeypatch, [10])
    assert drain_outbox(sessions, smtp, lambda: now, slow).sent == 6
    assert slow.held == [1] * 6


def test_where_mails_take_little_a_worker_soon_claims_many(
    make: Make, sessions: Sessions, smtp: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe_some(make, 50)
    slow = Slow(smtp, sessions, monkeypatch, [3, 0.01])
    assert drain_outbox(sessions, smtp, lambda: now, slow).sent == 50
    assert slow.held[:4] == [1, 1, 20, 19], "after one that took long, one; and then as many as it may"


def test_several_lines_share_a_batch_and_no_domain_gets_too_many_at_once(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.delay = 0.02
    for number in range(24):
        domain = "big.example" if number < 18 else f"d{number}.example"
        make.notification(f"closure:{number}", make.customer(f"P {number}", f"p{number}@{domain}"))
    make.session.commit()
    many = replace(smtp, smtp_connections=4, mails_per_domain=2)
    assert drain_outbox(sessions, many, lambda: now).sent == 24
    assert len(set(sink.message_ids)) == len(sink.mails) == 24
    assert sink.most_at_once["big.example"] == 2
    assert sink.greeted > 2


def test_a_worker_that_dies_between_the_answer_and_the_note_repeats_one_mail_under_its_id(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    owe_some(make, 5)

    class Killed(BaseException):
        """What no worker catches."""

    class Dying(mail.SmtpTransport):
        def send(self, message: mail.Message, moment: datetime) -> None:
            super().send(message, moment)
            if len(sink.mails) == 3:
                raise Killed

    with pytest.raises(Killed):
        drain_outbox(sessions, smtp, lambda: now, Dying(smtp))
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(seconds=29)).sent == 0, "they are still the dead one's"
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(seconds=31)).sent == 3
    arrived = Counter(sink.message_ids)
    assert sorted(arrived.values()) == [1, 1, 1, 1, 2]
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(hours=1)).sent == 0


def test_lines_stay_open_for_the_next_drain_and_are_let_go_when_they_rest(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    lines = mail.lines(smtp)
    for number in range(2):
        owe_some(make, 2, begin=2 * number)
        assert drain_outbox(sessions, smtp, lambda: now, lines=lines).sent == 2
    assert sink.greeted == 1
    lines.tidy()
    assert len(lines.resting) == 1
    lines.tidy(rest=0)
    assert lines.resting == []
    owe_some(make, 1, begin=9)
    assert drain_outbox(sessions, smtp, lambda: now, lines=lines).sent == 1
    assert sink.greeted == 2
    lines.close()


def test_a_line_that_the_server_closed_while_it_rested_is_made_anew_and_costs_no_attempt(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    lines = mail.lines(smtp)
    owe_some(make, 1)
    drain_outbox(sessions, smtp, lambda: now, lines=lines)
    channel = lines.resting[0][0]
    assert isinstance(channel, mail.SmtpTransport)
    assert channel.server is not None
    assert channel.server.sock is not None
    channel.server.sock.shutdown(socket.SHUT_RDWR)
    channel.used -= 10  # seconds of rest
    owe_some(make, 1, begin=1)
    assert drain_outbox(sessions, smtp, lambda: now, lines=lines).sent == 1
    assert [row.attempts for row in rows(sessions)] == [1, 1]
    lines.close()


def test_what_a_server_says_of_an_address_stands_at_the_mail_and_in_no_log(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    stream = io.StringIO()
    handler = logs.configure(replace(smtp, log_format="json"), stream)
    try:
        owe_some(make, 4)
        sink.refuse["p0@example.com"] = "550 5.1.1 <p0@example.com>: unknown"
        sink.refuse["p1@example.com"] = "451 4.7.1 <p1@example.com>: greylisted"
        sink.refuse["p2@example.com"] = "421 4.7.0 <p2@example.com>: closing"
        rows_before = rows(sessions)
        with sessions.begin() as session:
            session.get_one(Notification, rows_before[3].id).data = {"quote": "secret words of p3@example.com"}
        drain_outbox(sessions, smtp, lambda: now)
        drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=3))
    finally:
        logging.getLogger().removeHandler(handler)
    assert "p0@example.com" in rows(sessions)[0].reason
    assert "could not be written" in stream.getvalue()
    assert "example.com" not in stream.getvalue()
    assert "secret words" not in stream.getvalue()


@pytest.mark.parametrize("code", ["450 4.2.0", "550 5.1.1", "421 4.3.2"])
def test_what_no_database_takes_in_the_words_of_a_server_holds_up_nothing(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime, code: str
) -> None:
    for number in range(2):
        make.notification(f"closure:{number}", make.customer(f"Person {number}", f"p{number}@example.com"))
    make.session.commit()
    sink.refuse["p0@example.com"] = f"{code} Not \x00now"
    drain_outbox(sessions, smtp, lambda: now)
    drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=2))
    found = make.session.scalars(select(Notification).order_by(Notification.id)).all()
    assert f"{code} Not now" in found[0].reason
    assert found[1].state == NotificationState.SENT
