"""Hands mails to an SMTP server, one step of the protocol after the other, so that each failure is told from the
others."""

from __future__ import annotations

import io
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import parseaddr
from types import TracebackType
from typing import Any, Self

from feedback_loop.mail.message import (
    ChannelDown,
    InDoubt,
    LineBroken,
    Message,
    NoSuchAddress,
    NotSent,
    Refused,
    TryLater,
    Unreachable,
)
from feedback_loop.mail.writing import as_bytes
from feedback_loop.settings import Settings

A_LINE = 100  # mails, after which a line is made anew: servers count them
GOODBYE = 2.0  # seconds
LEAST = 0.01  # seconds; none would mean no limit
ASKED_AFTER = 1.0  # seconds of rest, after which a line is asked whether it is still there
READY = 354
CLOSING = 421
SIGN_IN = range(530, 540)
ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})\b")
# RFC 3463: bad mailbox, bad system, bad syntax, moved; RFC 7505: takes no mail. 5.1.7 and 5.1.8 are about the sender.
NO_SUCH = {(1, 1), (1, 2), (1, 3), (1, 6), (1, 10)}
BAD_SENDER = {(1, 7), (1, 8)}
OF_SIZE = {(3, 4), (2, 3)}  # larger than the server, or than this mailbox, takes
TOO_LARGE = 552
POLICY = 7


class Answers(io.RawIOBase):
    """What a server says, byte by byte if it likes, until the time for it is over: a limit on each wait alone would be
    none on all of them.

    Args:
        sock: The connection.
        left: Seconds that are left.
    """

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        super().__init__()
        self.sock = sock
        self.left = left

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is, or wait for it as long as is left."""
        left = self.left()
        if left <= LEAST:
            raise TimeoutError("timed out")
        self.sock.settimeout(left)
        return self.sock.recv_into(buffer)


class Hurried(smtplib.SMTP):
    """Waits for each answer only as long as is left of a time for many: a server that answers each step just in time
    must not hold a mail for longer than it is ours.

    Args:
        left: Seconds that are left; never zero.
    """

    def __init__(self, host: str, port: int, *, left: Callable[[], float], **names: Any) -> None:
        self.left = left
        super().__init__(host, port, timeout=left(), **names)

    def getreply(self) -> tuple[int, bytes]:
        """Read one answer."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(Answers(self.sock, self.left))
        return super().getreply()

    def send(self, s: Any) -> None:
        """Write a command or a mail."""
        if self.sock is not None:
            self.sock.settimeout(self.left())
        super().send(s)


class HurriedTls(Hurried, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte on."""


class SmtpTransport:
    """Hands mails to an SMTP server over one connection, made when it is first needed.

    Attributes:
        saw: Called with each step and what came of it, such as ("TLS", "TLSv1.3").
    """

    def __init__(self, settings: Settings, saw: Callable[[str, str], None] = lambda step, what: None) -> None:
        self.settings = settings
        self.saw = saw
        self.server: smtplib.SMTP | None = None
        self.mails = 0
        self.used = 0.0
        self.deadline = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()

    def __del__(self) -> None:
        self.hang_up(politely=False)  # whoever forgets a transport must not leave a line open

    def hang_up(self, politely: bool = True) -> None:
        """End the connection, whatever state it is in."""
        server, self.server = self.server, None
        if server is None:
            return
        try:
            if politely:
                self.deadline = time.monotonic() + GOODBYE
                server.quit()
        except (smtplib.SMTPException, OSError):
            pass
        finally:
            server.close()

    def left(self) -> float:
        """Seconds left for what is being done; never zero, which would mean no limit."""
        return max(LEAST, self.deadline - time.monotonic())

    def connected(self) -> smtplib.SMTP:
        """The open connection, made when there is none that answers.

        Raises:
            Unreachable: The server cannot be reached or does not let us in.
        """
        if self.server is not None and (self.mails >= A_LINE or not self.is_there()):
            self.hang_up()
        if self.server is None:
            self.server = self.connect()
            self.mails = 0
        return self.server

    def is_there(self) -> bool:
        """Whether the server still answers on a connection that rested."""
        assert self.server is not None
        if time.monotonic() - self.used < ASKED_AFTER:
            return True
        try:
            return self.server.noop()[0] < 300
        except (smtplib.SMTPException, OSError):
            return False

    def connect(self) -> smtplib.SMTP:
        """Reach the server and be let in.

        Raises:
            Unreachable: It cannot be reached or does not let us in.
        """
        it = self.settings
        server: smtplib.SMTP | None = None
        try:
            if it.smtp_security == "tls":
                server = HurriedTls(it.smtp_host, it.smtp_port, left=self.left, context=ssl.create_default_context())
            else:
                server = Hurried(it.smtp_host, it.smtp_port, left=self.left)
            self.saw("Connected", f"{it.smtp_host}:{it.smtp_port}")
            if it.smtp_security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if isinstance(server.sock, ssl.SSLSocket):
                cipher = server.sock.cipher()
                self.saw("Encrypted", f"{server.sock.version()}, {cipher[0] if cipher else ''}")
            else:
                self.saw("Not encrypted", "SMTP_SECURITY is none")
            if it.smtp_user:
                server.login(it.smtp_user, it.smtp_password)
                self.saw("Signed in", f"as {it.smtp_user}")
            else:
                server.ehlo_or_helo_if_needed()
        except (smtplib.SMTPException, OSError) as error:
            if server is not None:
                server.close()
            raise Unreachable(f"{it.smtp_host}:{it.smtp_port}: {explained(error)}") from error
        return server

    def send(self, message: Message, now: datetime) -> None:
        """Hand one mail over; see `Transport.send`.

        It takes at most twice SMTP_TIMEOUT: once until the mail is out, once until the server has said what became of
        it.
        """
        data = as_bytes(message, self.settings.mail_from, now)
        self.deadline = time.monotonic() + self.settings.smtp_timeout
        server = self.connected()
        sender = message.envelope or parseaddr(self.settings.mail_from)[1]
        try:
            self.hand_over(server, sender, message.address, data)
        except NotSent as error:
            if isinstance(error, (ChannelDown, InDoubt)):
                self.hang_up(politely=not isinstance(error, InDoubt))
            else:
                self.reset(server)
            raise
        except (smtplib.SMTPException, OSError) as error:
            self.hang_up(politely=False)
            raise LineBroken(f"The connection broke: {explained(error)}") from error
        except BaseException:
            self.hang_up(politely=False)  # in the middle of a mail: the next one must not begin there
            raise
        self.mails += 1
        self.used = time.monotonic()

    def hand_over(self, server: smtplib.SMTP, sender: str, recipient: str, data: bytes) -> None:
        """The four steps of a mail.

        Raises:
            NotSent: The server says no, or nobody knows what it says.
            SMTPException, OSError: The line broke before the server can have taken the mail.
        """
        body = stuffed(data)
        code, text = server.mail(sender, [f"size={len(body)}"] if server.has_extn("size") else [])
        if code != 250:
            raise refused_sender(code, text)
        self.saw("Sender", f"{sender}: {words(code, text)}")
        code, text = server.rcpt(recipient)
        if code not in (250, 251):
            raise refused_recipient(code, text)
        self.saw("Recipient", words(code, text))
        code, text = server.docmd("DATA")
        if code != READY:
            raise refused_mail(code, text)
        server.send(body)  # if this fails the last bytes, which make it a mail, have not left
        self.deadline = time.monotonic() + self.settings.smtp_timeout
        try:
            code, text = server.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise InDoubt(f"The connection broke before the server answered: {explained(error)}") from error
        if code < 0:
            raise InDoubt("The server answered with what is no answer.")
        if code != 250:
            raise refused_mail(code, text)
        self.saw("Handed over", words(code, text))

    def reset(self, server: smtplib.SMTP) -> None:
        """Begin anew on the same connection, or let it go."""
        try:
            server.rset()
            self.used = time.monotonic()
        except (smtplib.SMTPException, OSError):
            self.hang_up(politely=False)


def stuffed(data: bytes) -> bytes:
    """A mail as it goes over the line, with its end (RFC 5321, 4.5.2). Its lines end with CRLF already."""
    body = data.replace(b"\r\n.", b"\r\n..")
    return body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n")


def explained(error: Exception) -> str:
    """An error of a connection in words."""
    if isinstance(error, smtplib.SMTPResponseException):
        return words(error.smtp_code, error.smtp_error)
    return str(error) or type(error).__name__


def words(code: int, text: bytes | str) -> str:
    """A server's answer as text that both databases take."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {said}".replace("\x00", "")[:400]


def enhanced(text: bytes | str) -> tuple[int, int] | None:
    """Subject and detail of the code that a server put before its words (RFC 3463), or None."""
    found = ENHANCED.match(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
    return (int(found[2]), int(found[3])) if found else None


def refused_sender(code: int, text: bytes | str) -> NotSent:
    """What it means that a server refuses at the sender: whoever we are, we may not send, and no mail is to blame;
    unless it is too large, which is said here as well."""
    said = words(code, text)
    if code == TOO_LARGE or (code >= 500 and enhanced(text) in OF_SIZE):
        return Refused(said)
    return Unreachable(said)


def refused_recipient(code: int, text: bytes | str) -> NotSent:
    """What it means that a server refuses a recipient.

    Policy (5.7.x) may be that recipient's own, so this one mail is tried again later and no other waits for it.
    """
    said, detail = words(code, text), enhanced(text)
    if code == CLOSING or code < 0:
        return ChannelDown(said)
    if code in SIGN_IN:
        return Unreachable(said)
    if detail in BAD_SENDER:  # by all recipients, or by this one alone
        return ChannelDown(said)
    if 400 <= code < 500 or (detail and detail[0] == POLICY):
        return TryLater(said)
    return NoSuchAddress(said) if detail in NO_SUCH else Refused(said)


def refused_mail(code: int, text: bytes | str) -> NotSent:
    """What it means that a server refuses a mail: policy (5.7.x) is about us, the sender, or about this mail."""
    said, detail = words(code, text), enhanced(text)
    if code == CLOSING or code < 0 or code in SIGN_IN or (code >= 500 and detail and detail[0] == POLICY):
        return ChannelDown(said)
    return TryLater(said) if 400 <= code < 500 else Refused(said)
