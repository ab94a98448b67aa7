"""What is owed is sent once, over real SMTP, whatever the mail server says meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from feedback_loop import mail
from feedback_loop.db import Sessions
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.queries import by_token
from feedback_loop.notifications.service import cancel, drain_outbox, token_of
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.settings import Settings
from tests.factories import Make
from tests.smtp import Sink, running, text_of


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink


@pytest.fixture
def smtp(settings: Settings, sink: Sink) -> Settings:
    return replace(settings, smtp_port=sink.port, smtp_timeout=5)


def states(sessions: Sessions) -> list[tuple[str, str]]:
    with sessions() as session:
        return [(row.state.value, row.reason) for row in session.query(Notification).order_by(Notification.id)]


def test_a_mail_names_the_person_and_quotes_their_own_words(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    row = make.notification(customer=make.customer("Maya Lind"))
    make.session.commit()
    assert drain_outbox(sessions, smtp, lambda: now).sent == 1
    (mail,) = sink.mails
    assert "Maya" in text_of(mail)
    assert "The parcel never came." in text_of(mail)
    assert "Parcels now carry two labels." in text_of(mail)
    assert f"http://localhost/f/{token_of(row, smtp)}?answer=yes" in text_of(mail)
    assert mail["Message-ID"] == row.message_id
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe"] == f"<http://localhost/u/{token_of(row, smtp)}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_the_token_is_stored_only_as_its_hash(make: Make, smtp: Settings) -> None:
    row = make.notification()
    token = token_of(row, smtp)
    assert token not in str(vars(row))
    assert by_token(make.session, token) is row
    assert by_token(make.session, token[:-1] + ("y" if token.endswith("x") else "x")) is None


def test_nothing_is_sent_twice(make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime) -> None:
    for number in range(45):
        make.notification(event=f"closure:{number}")
    make.session.commit()
    assert drain_outbox(sessions, smtp, lambda: now).sent == 45
    assert drain_outbox(sessions, smtp, lambda: now).sent == 0
    assert len(set(sink.message_ids)) == len(sink.mails) == 45


def test_nothing_is_sent_before_its_time(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    make.notification(next_at=now + timedelta(minutes=10))
    make.session.commit()
    assert drain_outbox(sessions, smtp, lambda: now).sent == 0
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=11)).sent == 1


def test_who_asked_for_no_mail_gets_none_even_if_owed_before(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    customer = make.customer("Maya Lind", "maya@example.com")
    make.notification(customer=customer)
    suppress(make.session, "Maya@Example.com", "by link", now)
    suppress(make.session, "maya@example.com", "by link", now)
    make.session.commit()
    assert drain_outbox(sessions, smtp, lambda: now).skipped == 1
    assert sink.mails == []
    assert states(sessions) == [("skipped", "This person asked for no more mail.")]


def test_an_address_that_does_not_exist_fails_for_good_and_stops_nobody_else(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse["gone@example.com"] = "550 5.1.1 no such user"
    make.notification(event="closure:1", customer=make.customer("Gone", "gone@example.com"))
    make.notification(event="closure:2")
    make.session.commit()
    done = drain_outbox(sessions, smtp, lambda: now)
    assert (done.failed, done.sent) == (1, 1)
    assert states(sessions)[0] == ("failed", "550 5.1.1 no such user")


def test_later_means_later_with_growing_pauses_and_an_end(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse["busy@example.com"] = "451 4.3.0 try later"
    row = make.notification(customer=make.customer("Busy", "busy@example.com"))
    make.session.commit()
    moments = []
    moment = now
    while True:
        assert drain_outbox(sessions, smtp, lambda at=moment: at).sent == 0
        make.session.expire_all()
        if row.state == NotificationState.FAILED:
            break
        moments.append((row.next_at - moment).total_seconds() / 60)
        moment = row.next_at
        make.session.commit()
    for waited, minutes in zip(moments[:5], [1, 5, 15, 30, 60], strict=True):
        assert 0.8 * minutes <= waited <= 1.2 * minutes
    assert moment - now > timedelta(hours=72)
    assert row.reason.startswith("Given up after 72 hours: 451")


@pytest.mark.parametrize("reply", ["421 4.3.2 closing", "550 5.7.1 sender not allowed"])
def test_a_server_that_refuses_us_fails_nobody_and_the_next_are_tried_later(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime, reply: str
) -> None:
    sink.refuse_data = reply
    for number in range(3):
        make.notification(event=f"closure:{number}")
    make.session.commit()
    assert drain_outbox(sessions, smtp, lambda: now).channel_down
    with sessions() as session:
        rows = session.query(Notification).order_by(Notification.id).all()
        assert {row.state for row in rows} == {NotificationState.PENDING}
        assert [row.attempts for row in rows] == [1, 0, 0], "only the mail that was refused is charged"
    sink.refuse_data = ""
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=2)).sent == 3


def test_one_recipient_whom_the_server_does_not_like_holds_up_nobody(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    sink.refuse["bob@example.com"] = "554 5.7.1 recipient address rejected: access denied"
    make.notification(event="closure:0", customer=make.customer("Bob", "bob@example.com"))
    for number in range(1, 30):
        make.notification(event=f"closure:{number}")
    make.session.commit()
    assert drain_outbox(sessions, smtp, lambda: now).sent == 29


@pytest.mark.parametrize("address", ["jürgen@example.com", "~\x7fb=+@[!.de"])
def test_an_address_that_no_mail_can_carry_holds_up_nobody(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime, address: str
) -> None:
    make.notification(event="closure:0", customer=make.customer("Odd", address))
    make.notification(event="closure:1")
    make.session.commit()
    done = drain_outbox(sessions, smtp, lambda: now)
    assert (done.sent, done.failed) == (1, 1)
    assert states(sessions)[0][1].startswith("No mail can be written to this address")


def test_a_worker_with_another_key_sends_no_dead_links(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    make.notification()
    make.session.commit()
    done = drain_outbox(sessions, replace(smtp, secret_key="another"), lambda: now)
    assert (done.sent, sink.mails) == (0, [])
    assert "SECRET_KEY" in done.channel_down
    assert drain_outbox(sessions, smtp, lambda: now + timedelta(minutes=2)).sent == 1


def test_a_server_that_is_not_there_loses_nothing(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    make.notification()
    make.session.commit()
    nobody = replace(settings, smtp_port=9, smtp_timeout=2)
    assert drain_outbox(sessions, nobody, lambda: now).channel_down
    assert states(sessions)[0][0] == "pending"


def test_what_is_taken_back_or_unwanted_while_a_batch_is_being_sent_is_not_sent(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    for number in range(4):
        make.notification(event="closure:7", customer=make.customer(f"Person {number}", f"p{number}@example.com"))
    make.notification(event="closure:8", customer=make.customer("Noor", "noor@example.com"))
    make.session.commit()

    class Interrupted(mail.SmtpTransport):
        def send(self, message: mail.Message, moment: datetime) -> None:
            super().send(message, moment)
            with sessions.begin() as session:
                cancel(session, "closure:7", "taken back")
                suppress(session, "noor@example.com", "by link", now)

    drain_outbox(sessions, smtp, lambda: now, Interrupted(smtp))
    assert len(sink.mails) == 1
    assert [state for state, _ in states(sessions)] == ["sent", "skipped", "skipped", "skipped", "skipped"]


def test_a_worker_that_is_to_stop_leaves_the_rest_to_others_at_once(
    make: Make, sessions: Sessions, smtp: Settings, sink: Sink, now: datetime
) -> None:
    for number in range(5):
        make.notification(event=f"closure:{number}")
    make.session.commit()
    drain_outbox(sessions, smtp, lambda: now, stop=lambda: len(sink.mails) >= 2)
    assert len(sink.mails) == 2
    assert drain_outbox(sessions, smtp, lambda: now).sent == 3, "nothing stayed claimed"


def test_a_person_gets_one_message_for_one_event(make: Make) -> None:
    from sqlalchemy.exc import IntegrityError

    customer = make.customer()
    make.notification(event="closure:1", customer=customer)
    with pytest.raises(IntegrityError):
        make.notification(event="closure:1", customer=customer)


def test_the_demo_mailbox_keeps_one_file_for_a_mail_sent_twice(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    from feedback_loop.mail import MailboxTransport
    from feedback_loop.notifications.service import compose

    row = make.notification()
    with MailboxTransport(settings) as mailbox:
        for moment in itertools.repeat(now, 2):
            mailbox.send(compose(row, settings), moment)
    assert len(list(settings.mailbox_folder.glob("*.eml"))) == 1
