"""How mails come in: by the mailbox, by the webhook, by a pipe."""

from __future__ import annotations

import contextlib
import io
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from feedback_loop.app import create_app
from feedback_loop.cli import main
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.inbound import polling, taking
from feedback_loop.inbound.hook import views
from feedback_loop.inbound.mime import LONGEST
from feedback_loop.inbound.models import InboundMail, InboundPoll
from feedback_loop.inbound.polling import DIED, MOST_DEATHS, look_into_mailbox
from feedback_loop.inbound.reading import Kind
from feedback_loop.inbound.service import secret
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.settings import SettingError, Settings, read_settings
from tests.factories import Make
from tests.inbound import mails
from tests.inbound.servers import Folder, running

Back = Callable[[Notification], str]


@pytest.fixture
def sent(make: Make) -> Notification:
    """A mail of ours. Committed."""
    row = make.sent(make.notification("demo:1"))
    row.attempts = 1
    make.session.commit()
    return row


@pytest.fixture
def folder() -> Iterator[Folder]:
    with running(Folder()) as folder:
        yield folder


@pytest.fixture
def imap(settings: Settings, folder: Folder) -> Settings:
    return replace(
        settings, imap_host="127.0.0.1", imap_port=folder.port, imap_user="loop@fernhill.example",
        imap_password="right", imap_security="none", imap_folder="INBOX",
    )  # fmt: skip


def state_of(session: Session, row: Notification) -> NotificationState:
    session.refresh(row)
    session.commit()
    return row.state


def kinds(session: Session) -> list[Kind]:
    found = list(session.scalars(select(InboundMail.kind).order_by(InboundMail.id)))
    session.commit()
    return found


def test_the_mailbox_is_emptied_once_and_nothing_in_it_is_deleted(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime
) -> None:
    to = back(sent)
    make.session.commit()
    folder.put(mails.reply(to, "Thank you, it works now."))
    folder.put(b"\xff\xfe\x00 no mail at all")
    folder.put(mails.dsn(to))
    assert look_into_mailbox(sessions, imap, lambda: now) == 3
    assert kinds(make.session) == [Kind.REPLY, Kind.UNCLEAR, Kind.BOUNCE]
    assert state_of(make.session, sent) == NotificationState.BOUNCED
    assert folder.flags == {uid: {"\\Seen", "FeedbackLoop"} for uid in (1, 2, 3)}
    assert len(folder.mails) == 3
    assert look_into_mailbox(sessions, imap, lambda: now + timedelta(minutes=1)) == 0
    poll = make.session.get_one(InboundPoll, 1)
    assert (poll.polled_at, poll.taken, poll.failure) == (now + timedelta(minutes=1), 0, "")


def test_a_mail_that_was_taken_and_not_marked_changes_nothing_the_second_time(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime
) -> None:
    folder.put(mails.reply(back(sent)))
    make.session.commit()
    look_into_mailbox(sessions, imap, lambda: now)
    folder.flags.clear()
    look_into_mailbox(sessions, imap, lambda: now)
    assert kinds(make.session) == [Kind.REPLY]


def test_a_mail_that_cannot_be_handled_holds_up_none_behind_it(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    to = back(sent)
    make.session.commit()
    folder.put(mails.reply(to, "poison"))
    folder.put(mails.dsn(to))
    handle = taking.handle

    def picky(session: Session, own: Settings, found: object, words: str, *rest: object) -> object:
        if words == "poison":
            raise ValueError("no")
        return handle(session, own, found, words, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(taking, "handle", picky)
    assert look_into_mailbox(sessions, imap, lambda: now) == 2
    assert kinds(make.session) == [Kind.UNCLEAR, Kind.BOUNCE]


def test_a_mail_at_which_the_process_dies_is_set_aside_and_those_behind_it_are_taken(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    to = back(sent)
    make.session.commit()
    folder.put(mails.reply(to, "poison"))
    folder.put(mails.dsn(to))
    take = polling.take

    class Killed(BaseException):
        """What no worker catches."""

    def dying(sessions: Sessions, settings: Settings, raw: bytes, *rest: Any) -> Any:
        if b"poison" in raw:
            raise Killed
        return take(sessions, settings, raw, *rest)

    monkeypatch.setattr(polling, "take", dying)
    for number in range(MOST_DEATHS):
        monkeypatch.setattr(polling, "WORKER", f"host:{number}")
        with pytest.raises(Killed):
            look_into_mailbox(sessions, imap, lambda: now)
    monkeypatch.setattr(polling, "WORKER", "host:9")
    assert look_into_mailbox(sessions, imap, lambda: now) == 1
    found = make.session.scalars(select(InboundMail).order_by(InboundMail.id)).all()
    assert [(each.kind, each.reason == DIED) for each in found] == [(Kind.UNCLEAR, True), (Kind.BOUNCE, False)]
    assert "\\Seen" in folder.flags[1]


def test_a_worker_that_lives_is_not_taken_for_dead_at_a_mail(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder.put(mails.reply(back(sent)))
    make.session.commit()

    def away(*_: object) -> None:
        raise OperationalError("select", {}, Exception("gone"))

    with monkeypatch.context() as patch:
        patch.setattr(polling, "take", away)
        for _look in range(MOST_DEATHS + 1):
            with pytest.raises(OperationalError):
                look_into_mailbox(sessions, imap, lambda: now)
    assert look_into_mailbox(sessions, imap, lambda: now) == 1
    assert kinds(make.session) == [Kind.REPLY]


def test_mails_that_the_server_does_not_give_hold_up_none_behind_them(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime
) -> None:
    make.session.commit()
    for number in range(3):
        folder.put(mails.reply(back(sent), f"Words {number}."))
    folder.refuses = {1, 3}
    assert look_into_mailbox(sessions, imap, lambda: now) == 0
    assert "refused" in make.session.get_one(InboundPoll, 1).failure
    make.session.commit()
    assert look_into_mailbox(sessions, imap, lambda: now) == 1, "it begins behind the first"
    folder.put(mails.reply(back(sent), "Words of another."))
    assert look_into_mailbox(sessions, imap, lambda: now) == 1, "and behind the third"
    folder.refuses = set()
    assert look_into_mailbox(sessions, imap, lambda: now) == 2
    assert all("\\Seen" in folder.flags[uid] for uid in folder.mails)


def test_workers_that_look_at_the_same_time_do_not_take_each_other_for_dead(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder.put(mails.reply(back(sent)))
    make.session.commit()
    take, count = polling.take, []

    def slowly(*arguments: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(polling, "take", take)
            for number in range(MOST_DEATHS):
                patch.setattr(polling, "WORKER", f"other:{number}")
                count.append(look_into_mailbox(sessions, imap, lambda: now))
        return take(*arguments)

    monkeypatch.setattr(polling, "take", slowly)
    assert look_into_mailbox(sessions, imap, lambda: now) == 1
    assert count == [0] * MOST_DEATHS
    assert kinds(make.session) == [Kind.REPLY]


def test_workers_at_which_the_database_fails_by_turns_blame_no_mail(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder.put(mails.reply(back(sent)))
    make.session.commit()

    def away(*_: object) -> None:
        raise OperationalError("select", {}, Exception("gone"))

    for number in range(MOST_DEATHS + 1):
        with monkeypatch.context() as patch, pytest.raises(OperationalError):
            patch.setattr(polling, "take", away)
            patch.setattr(polling, "WORKER", f"host:{number}")
            look_into_mailbox(sessions, imap, lambda: now)
    assert look_into_mailbox(sessions, imap, lambda: now) == 1
    assert kinds(make.session) == [Kind.REPLY]


def test_a_mailbox_that_is_away_meanwhile_does_not_hide_at_which_mail_workers_end(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder.put(mails.reply(back(sent)))
    make.session.commit()

    class Killed(BaseException):
        """What no worker catches."""

    def dying(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(polling, "take", dying)
    for number in range(MOST_DEATHS):
        monkeypatch.setattr(polling, "WORKER", f"host:{number}")
        with pytest.raises(Killed):
            look_into_mailbox(sessions, imap, lambda: now)
        monkeypatch.setattr(polling, "WORKER", f"other:{number}")
        look_into_mailbox(sessions, replace(imap, imap_password="wrong"), lambda: now)
    assert look_into_mailbox(sessions, imap, lambda: now) == 0
    assert kinds(make.session) == [Kind.UNCLEAR]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"imap_password": "wrong"}, "wrong password"),
        ({"imap_folder": "Else"}, "the folder Else cannot be opened"),
        ({"imap_port": 1}, "Connection refused"),
    ],
)
def test_a_mailbox_that_cannot_be_read_says_why(
    make: Make, sessions: Sessions, imap: Settings, now: datetime, change: dict[str, object], said: str
) -> None:
    make.session.commit()
    assert look_into_mailbox(sessions, replace(imap, **change), lambda: now) == 0  # type: ignore[arg-type]
    poll = make.session.get_one(InboundPoll, 1)
    assert said in poll.failure
    assert poll.found_at is None


def test_a_connection_that_ends_keeps_what_was_taken_and_takes_the_rest_next_time(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime
) -> None:
    to = back(sent)
    make.session.commit()
    folder.put(mails.reply(to))
    folder.put(mails.dsn(to))
    folder.breaks_at, folder.keeps_words = 2, False
    assert look_into_mailbox(sessions, imap, lambda: now) == 1
    folder.breaks_at = 0
    assert look_into_mailbox(sessions, imap, lambda: now) == 1
    assert kinds(make.session) == [Kind.REPLY, Kind.BOUNCE]


def test_without_a_host_nothing_is_looked_into(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    make.session.commit()

    def never(_: Settings) -> None:
        raise AssertionError

    assert look_into_mailbox(sessions, settings, lambda: now, opened=never) == 0  # type: ignore[arg-type]
    assert make.session.get(InboundPoll, 1) is None


def test_a_mailbox_needs_who_may_read_it(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="INBOUND_IMAP_USER"):
        read_settings({"DATA_FOLDER": str(tmp_path), "INBOUND_IMAP_HOST": "imap.example"})
    found = read_settings(
        {"DATA_FOLDER": str(tmp_path), "INBOUND_IMAP_HOST": "imap.example", "INBOUND_IMAP_PASSWORD": "x",
         "INBOUND_ADDRESS": "loop@example.com", "INBOUND_IMAP_SECURITY": "starttls"}
    )  # fmt: skip
    assert (found.imap_user, found.imap_port) == ("loop@example.com", 143)


def shown(settings: Settings) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret(settings)}"}


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}, {"Authorization": "Bearer ÿ"}]
)
def test_without_the_secret_nothing_comes_in(client: FlaskClient, session: Session, header: dict[str, str]) -> None:
    answer = client.post("/inbound/mail", data=mails.dsn("x@example.com"), headers=header)
    assert (answer.status_code, answer.get_data()) == (401, b"")
    assert kinds(session) == []


def test_the_webhook_takes_mails_whole_or_as_a_field(
    client: FlaskClient, make: Make, sent: Notification, settings: Settings, back: Back
) -> None:
    to, head = back(sent), shown(settings)
    make.session.commit()
    raw = mails.reply(to, message_id="<w1@example.com>")
    assert client.post("/inbound/mail", data=raw, content_type="message/rfc822", headers=head).get_data() == b"reply\n"
    again = client.post("/inbound/mail", data=raw, content_type="message/rfc822", headers=head)
    assert (again.status_code, kinds(make.session)) == (200, [Kind.REPLY])
    file = {"message": (io.BytesIO(mails.reply(to, message_id="<w2@example.com>")), "mail.eml")}
    assert client.post("/inbound/mail", data=file, headers=head).get_data() == b"reply\n"
    text = mails.reply("hidden@fernhill.example", message_id="<w3@example.com>", in_reply_to="").decode()
    assert client.post("/inbound/mail", data={"body-mime": text, "recipient": to}, headers=head).status_code == 200
    named = mails.reply("hidden@fernhill.example", message_id="<w4@example.com>", in_reply_to="")
    client.post(f"/inbound/mail?recipient={to.replace('+', '%2B')}", data=named, headers=head)
    assert kinds(make.session) == [Kind.REPLY] * 4


def test_the_webhook_answers_ok_to_what_it_does_not_understand_so_that_nobody_sends_it_for_ever(
    client: FlaskClient, session: Session, settings: Settings
) -> None:
    answer = client.post("/inbound/mail", data=b"\x00\xff", content_type="message/rfc822", headers=shown(settings))
    assert (answer.status_code, answer.get_data()) == (200, b"unclear\n")
    foreign = client.post("/inbound/mail", data=mails.dsn("loop+1.0123456789abcdef@fernhill.example"),
                          headers=shown(settings))  # fmt: skip
    assert (foreign.status_code, kinds(session)) == (200, [Kind.UNCLEAR, Kind.UNCLEAR])
    assert client.post("/inbound/mail", data=b"", headers=shown(settings)).status_code == 400


def test_of_a_large_mail_the_beginning_is_read_and_one_that_is_too_large_is_refused(
    client: FlaskClient, make: Make, sent: Notification, settings: Settings, back: Back
) -> None:
    raw = mails.reply(back(sent), quote="") + b"x\r\n" * (10 * LONGEST // 3)
    make.session.commit()
    answer = client.post("/inbound/mail", data=raw, content_type="message/rfc822", headers=shown(settings))
    assert answer.get_data() == b"reply\n"
    too_large = client.post("/inbound/mail", data=raw * 2, content_type="message/rfc822", headers=shown(settings))
    assert too_large.status_code == 413


def test_the_webhook_asks_to_try_again_while_the_database_is_away(
    client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("select", {}, Exception("gone"))

    monkeypatch.setattr(views, "take", away)
    answer = client.post("/inbound/mail", data=b"From: x\n\n", headers=shown(settings))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


def test_secrets_that_are_none_are_counted(settings: Settings, sessions: Sessions) -> None:
    app: Flask = create_app(replace(settings, rate_limit_storage="memory://"), sessions)
    client = app.test_client()
    codes = [client.post("/inbound/mail", headers={"Authorization": "Bearer no"}).status_code for _ in range(22)]
    assert codes == [401] * 20 + [429] * 2
    assert client.post("/inbound/mail", data=b"x", headers=shown(settings)).status_code == 429


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_mail_server_can_pipe_mails_and_is_told_to_try_again(
    make: Make, sent: Notification, settings: Settings, back: Back, tmp_path: Path
) -> None:
    to = back(sent)
    sent.sent_at = utc_now()  # the command asks the clock
    make.session.commit()
    own = {
        "DATA_FOLDER": str(settings.data_folder),
        "DATABASE_URL": settings.database_url, "SECRET_KEY": settings.secret_key,
        "INBOUND_ADDRESS": settings.inbound_address,
    }  # fmt: skip

    def run(*arguments: str, stdin: bytes = b"", **more: str) -> Result:
        return CliRunner().invoke(main, ["inbound", *arguments], input=stdin, env=own | more)

    piped = run("read", "-", stdin=mails.dsn(to))
    assert (piped.exit_code, piped.stdout[:12]) == (0, "bounce: 5.1."), piped.stderr
    assert state_of(make.session, sent) == NotificationState.BOUNCED
    away = run("read", "-", stdin=b"From: x\n\n", DATABASE_URL=f"sqlite:///{tmp_path / 'none' / 'x.db'}")
    assert away.exit_code == 75
    assert secret(settings) in run("secret").stdout
    none = run("check")
    assert (none.exit_code, "INBOUND_IMAP_HOST is not set" in none.stderr) == (1, True)
    with running(Folder()) as folder:
        folder.put(mails.dsn(to))
        where = {
            "INBOUND_IMAP_HOST": "127.0.0.1", "INBOUND_IMAP_PORT": str(folder.port), "INBOUND_IMAP_SECURITY": "none",
            "INBOUND_IMAP_PASSWORD": "right",
        }  # fmt: skip
        found = run("check", **where)
        assert "is open. 1 mail waits to be taken." in found.stdout, found.stderr
        wrong = run("check", **where | {"INBOUND_IMAP_PASSWORD": "wrong"})
        assert (wrong.exit_code, "wrong password" in wrong.stderr) == (1, True)
    assert make.session.scalar(select(func.count()).select_from(InboundMail)) == 1


ODD_ANSWERS = {
    "no greeting": b"\x00\xff garbage\r\n",
    "a literal without end": b"* OK here\r\n* CAPABILITY {99999999999999999999}\r\n",
    "endless numbers": b"* OK here\r\n" + b"* SEARCH \xff\xfe x' 12)(\r\n" * 5,
    "a line without end": b"* OK here\r\n* " + b"x" * 2_000_000,
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", [*ODD_ANSWERS, "silence"])
def test_a_server_that_speaks_no_imap_or_not_at_all_is_noted_and_holds_up_nothing(
    make: Make, sessions: Sessions, imap: Settings, now: datetime, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.session.commit()
    monkeypatch.setattr(polling, "TIMEOUT", 0.5)

    class Odd(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.sendall(ODD_ANSWERS.get(name, b""))
                time.sleep(1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Odd) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        begun = time.monotonic()
        where = replace(imap, imap_port=server.server_address[1])
        assert look_into_mailbox(sessions, where, lambda: now) == 0
        assert time.monotonic() - begun < 5
        server.shutdown()
        thread.join()
    poll = make.session.get_one(InboundPoll, 1)
    assert poll.failure.startswith("127.0.0.1:")
    assert poll.found_at is None


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("begin", [b"", b"* OK here\r\n"])
@pytest.mark.parametrize("drop", [b"x", b"* OK still at it\r\n"])
def test_a_server_that_drips_holds_a_look_no_longer_than_its_time(
    make: Make, sessions: Sessions, imap: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch, begin: bytes,
    drop: bytes,
) -> None:  # fmt: skip
    make.session.commit()
    monkeypatch.setattr(polling, "LONGEST_LOOK", 1)

    class Dripping(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.sendall(begin)
                for _ in range(80):
                    self.request.sendall(drop)
                    time.sleep(0.1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        begun = time.monotonic()
        assert look_into_mailbox(sessions, replace(imap, imap_port=server.server_address[1]), lambda: now) == 0
        assert time.monotonic() - begun < 5, "the server drips for eight seconds"
        server.shutdown()
        thread.join()
    assert "timed out" in make.session.get_one(InboundPoll, 1).failure


def test_a_look_that_takes_long_leaves_the_rest_for_the_next(
    make: Make, sent: Notification, sessions: Sessions, imap: Settings, folder: Folder, back: Back, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    to = back(sent)
    make.session.commit()
    folder.put(mails.reply(to))
    folder.put(mails.dsn(to))
    take = polling.take

    def slow(*arguments: Any) -> Any:
        monkeypatch.setattr(polling, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + polling.A_LOOK))
        return take(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(polling, "take", slow)
        assert look_into_mailbox(sessions, imap, lambda: now) == 1
    assert make.session.get_one(InboundPoll, 1).failure == ""
    make.session.commit()
    assert look_into_mailbox(sessions, imap, lambda: now) == 1
