"""Looks into the mailbox to which mails come back, over IMAP."""

from __future__ import annotations

import imaplib
import logging
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Protocol, Self

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from feedback_loop.db import Sessions, reading
from feedback_loop.inbound.imap import Hurried, HurriedTls
from feedback_loop.inbound.mime import LONGEST
from feedback_loop.inbound.models import InboundPoll, Way
from feedback_loop.inbound.service import forget_mails, set_aside
from feedback_loop.inbound.taking import take
from feedback_loop.jobs.claims import WORKER, give_back, prolonged, take_lease
from feedback_loop.mail.smtp import LEAST
from feedback_loop.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT = 30  # seconds without a byte
A_LOOK = 240  # seconds, after which no further mail is begun
LONGEST_LOOK = 300  # seconds, whatever the server does
RIGHT = "mailbox"  # to look: two at a time would take each other for dead
LEASE, PROLONGED_EVERY = timedelta(minutes=2), timedelta(seconds=30)
MOST = 500  # mails of one look; the rest waits a minute
MOST_DEATHS = 3  # of workers, at one mail
DIED = "The worker ended, or was ended, each time it took this mail. Mark it as unread in the mailbox to try again."
KEYWORD = "FeedbackLoop"  # marks what was taken, beside \Seen, on servers that keep words of one's own
# What the library raises on servers that break off, or say what is no IMAP.
ODD = (imaplib.IMAP4.error, OSError, ValueError, IndexError, TypeError, MemoryError, OverflowError)
Clock = Callable[[], datetime]


class Unreachable(Exception):
    """The mailbox cannot be read; the message says why."""


class Mailbox(Protocol):
    """A mailbox, open while it is used with `with`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def waiting(self) -> list[str]:
        """Which mails nobody has seen yet, the oldest first."""

    def mail(self, uid: str) -> bytes:
        """The beginning of a mail; empty where it is gone."""

    def done(self, uid: str) -> None:
        """Mark a mail as taken. It stays where it is."""


class ImapMailbox:
    """A folder on an IMAP server. Nothing in it is ever deleted or moved."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server: imaplib.IMAP4 | None = None
        self.deadline = 0.0

    def left(self) -> float:
        """Seconds to wait for the server; never zero, which would mean no limit."""
        return max(LEAST, min(TIMEOUT, self.deadline - time.monotonic()))

    def __enter__(self) -> Self:
        it = self.settings
        self.deadline = time.monotonic() + LONGEST_LOOK
        try:
            self.server = self._connected()
            self.server.login(it.imap_user, it.imap_password)
            self._ok(self.server.select(quoted(it.imap_folder)), f"the folder {it.imap_folder} cannot be opened")
        except ODD as error:
            self.hang_up()
            raise Unreachable(f"{it.imap_host}:{it.imap_port}: {plain(error)}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()

    def _connected(self) -> imaplib.IMAP4:
        it = self.settings
        if it.imap_security == "tls":
            return HurriedTls(it.imap_host, it.imap_port, left=self.left, ssl_context=ssl.create_default_context())
        server = Hurried(it.imap_host, it.imap_port, left=self.left)
        if it.imap_security == "starttls":
            server.starttls(ssl.create_default_context())
        return server

    def hang_up(self) -> None:
        """End the connection, whatever state it is in."""
        server, self.server = self.server, None
        if server is not None:
            try:
                server.logout()
            except ODD:
                with suppress(OSError):
                    server.shutdown()  # a connection that broke is not closed by saying goodbye

    def _ok(self, answer: tuple[str, Any], otherwise: str) -> Any:
        state, data = answer
        if state != "OK":
            raise imaplib.IMAP4.error(otherwise)
        return data

    def _ask(self, command: str, *arguments: str) -> Any:
        assert self.server is not None  # used within `with`
        try:
            return self._ok(self.server.uid(command, *arguments), f"{command} was refused")
        except ODD as error:
            it = self.settings
            raise Unreachable(f"{it.imap_host}:{it.imap_port}: {plain(error)}") from error

    def waiting(self) -> list[str]:
        """See `Mailbox`."""
        data = self._ask("SEARCH", "UNSEEN")
        return [each.decode() for lot in data if lot for each in lot.split() if each.isdigit()]

    def mail(self, uid: str) -> bytes:
        """See `Mailbox`. Read without being marked, and never more than is looked at."""
        data = self._ask("FETCH", uid, f"(BODY.PEEK[]<0.{LONGEST}>)")
        return next((bytes(each[1]) for each in data if isinstance(each, tuple) and len(each) > 1), b"")

    def done(self, uid: str) -> None:
        """See `Mailbox`."""
        self._ask("STORE", uid, "+FLAGS.SILENT", "(\\Seen)")
        try:
            self._ask("STORE", uid, "+FLAGS.SILENT", f"({KEYWORD})")
        except Unreachable:
            log.debug("The mail server keeps no words of one's own at mails.")


def quoted(folder: str) -> str:
    """The name of a folder as IMAP wants it."""
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def plain(error: Exception) -> str:
    """An error of the library in words; some are the bytes of the server."""
    text = str(error)
    return re.sub(r"^b(['\"])(.*)\1$", r"\2", text)[:200] or type(error).__name__


def look_into_mailbox(
    sessions: Sessions,
    settings: Settings,
    clock: Clock,
    stop: Callable[[], bool] = lambda: False,
    opened: Callable[[Settings], Mailbox] = ImapMailbox,
) -> int:
    """Take in what nobody has seen yet, and forget what came in long ago. Nothing is open to the database while the
    mail server is asked.

    Each mail is handled in a transaction of its own and marked after it, so that one that is met twice changes nothing
    the second time. One that cannot be handled is set aside with its reason and holds up none.

    Args:
        sessions: Maker of sessions.
        settings: For the mailbox; without a host nothing is looked into.
        clock: Called for the present moment.
        stop: Asked before each mail whether to leave the rest for later.
        opened: Opens the mailbox.

    Returns:
        How many mails were taken.
    """
    with sessions.begin() as session:
        forget_mails(session, clock())
        if not settings.imap_host or not take_lease(session, RIGHT, clock(), LEASE, WORKER):
            return 0
    count = 0
    try:
        with prolonged(sessions, RIGHT, clock, LEASE, PROLONGED_EVERY):
            for _ in taken(sessions, settings, clock, stop, opened):
                count += 1
        record(sessions, count, "", clock())
    except Unreachable as error:
        log.warning("The mailbox of mails that come back cannot be read; it is tried again in a minute.")
        record(sessions, count, str(error)[:300], clock())
    except Exception:
        with suppress(SQLAlchemyError, TimeoutError):  # which may be what failed
            live_on(sessions, clock())
        raise
    finally:
        with suppress(SQLAlchemyError, TimeoutError), sessions.begin() as session:
            give_back(session, RIGHT, WORKER)
    return count


def taken(
    sessions: Sessions,
    settings: Settings,
    clock: Clock,
    stop: Callable[[], bool],
    opened: Callable[[Settings], Mailbox],
) -> Iterator[None]:
    """Take in mails one after the other."""
    until = time.monotonic() + A_LOOK
    with reading(sessions) as session:
        poll = session.get(InboundPoll, 1)
        # One that the server did not give, or at which something else failed, holds up none behind it.
        failed_at = poll.at_uid if poll is not None and not poll.worker else ""
    with opened(settings) as mailbox:
        waiting = mailbox.waiting()
        behind = waiting.index(failed_at) + 1 if failed_at in waiting else 0
        for uid in [*waiting[behind:], *waiting[:behind]][:MOST]:
            if stop() or time.monotonic() >= until:
                return
            if begin(sessions, uid, clock()) >= MOST_DEATHS:
                log.error("A mail in the mailbox is set aside: the worker ended each time it took it.")
                with sessions.begin() as session:
                    set_aside(session, f"mailbox:{uid}", Way.MAILBOX, DIED, clock())
            elif raw := mailbox.mail(uid):
                take(sessions, settings, raw, Way.MAILBOX, clock())
                yield
            mailbox.done(uid)


def begin(sessions: Sessions, uid: str, now: datetime) -> int:
    """Write down which mail is being taken, for whoever comes next where this worker ends meanwhile.

    Returns:
        How many workers have ended while they took it.
    """
    with sessions.begin() as session:
        poll = of_mailbox(session, now)
        if poll.at_uid != uid:
            poll.at_uid, poll.deaths = uid, 0
        elif poll.worker not in ("", WORKER):
            poll.deaths += 1
        poll.worker = WORKER
        return poll.deaths


def of_mailbox(session: Session, now: datetime) -> InboundPoll:
    """The row that says how the mailbox is."""
    poll = session.get(InboundPoll, 1)
    if poll is None:
        poll = InboundPoll(id=1, polled_at=now, at_uid="", worker="", deaths=0)
        session.add(poll)
    return poll


def record(sessions: Sessions, count: int, failure: str, now: datetime) -> None:
    """Write down how the mailbox was found."""
    with sessions.begin() as session:
        poll = of_mailbox(session, now)
        poll.polled_at, poll.taken, poll.failure = now, count, failure
        if not failure:
            poll.found_at = now
            poll.at_uid, poll.worker, poll.deaths = "", "", 0
        elif poll.worker == WORKER:
            poll.worker, poll.deaths = "", 0


def live_on(sessions: Sessions, now: datetime) -> None:
    """Write down that this worker has not ended, whatever failed at the mail that it was taking."""
    with sessions.begin() as session:
        poll = of_mailbox(session, now)
        if poll.worker == WORKER:
            poll.worker, poll.deaths = "", 0
