"""Mails: how one is written from its templates, and how it is handed to a mail server or, in the demo, to a folder."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, parseaddr
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from feedback_loop import languages
from feedback_loop.settings import Settings, resource


@dataclass(frozen=True)
class Message:
    """A mail to one person."""

    address: str
    name: str
    subject: str
    text: str
    html: str
    message_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class NotSent(Exception):
    """A mail was not handed over. The message says why, in the server's words where it gave any."""


class TryLater(NotSent):
    """This mail may pass later."""


class Refused(NotSent):
    """This mail will never pass: the server does not take this recipient or this message."""


class ChannelDown(NotSent):
    """The server takes no more mail of ours just now, and this mail may be why."""


class Unreachable(ChannelDown):
    """The server is not there or does not let us in; no mail is to blame."""


class Transport(Protocol):
    """Hands mails over. Open it with `with` for a batch."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def send(self, message: Message, now: datetime) -> None:
        """Hand one mail over.

        Raises:
            NotSent: One of its three kinds.
        """


@cache
def environment(language: str) -> Environment:
    """Where mail templates come from, and the language in which they speak."""
    made = Environment(
        loader=FileSystemLoader(resource("templates") / "email"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_translations(languages.translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters["day"] = partial(languages.as_day, language=language)
    made.globals.update(language=language, direction=languages.direction(language))
    return made


def render(kind: str, context: Mapping[str, Any], language: str = "") -> tuple[str, str, str]:
    """Write a mail.

    Args:
        kind: Folder under `templates/email`.
        context: What its templates need.
        language: The recipient's; English when it is empty or none of ours.

    Returns:
        Subject on one line, plain text, HTML.
    """
    spoken = environment(languages.choose(language))
    parts = [spoken.get_template(f"{kind}/{name}").render(context) for name in ("subject.txt", "body.txt", "body.html")]
    return " ".join(parts[0].split()), parts[1].strip() + "\n", parts[2]


def as_email(message: Message, sender: str, now: datetime) -> EmailMessage:
    """Put a message in the form in which it travels.

    Args:
        message: What to send.
        sender: `Name <address>`.
        now: Becomes the Date header.

    Raises:
        Refused: No mail can be written to this address.
    """
    email = EmailMessage()
    email["From"] = formataddr(parseaddr(sender))
    try:
        email["To"] = formataddr((" ".join(message.name.split()), message.address))
    except (ValueError, AttributeError, LookupError) as error:
        # The standard library's parser meets odd and non-ASCII addresses with errors of many kinds.
        raise Refused(f"No mail can be written to this address ({type(error).__name__}).") from error
    email["Subject"] = message.subject
    email["Date"] = format_datetime(now)
    if message.message_id:
        email["Message-ID"] = message.message_id
    email["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office notice should answer
    for name, value in message.headers.items():
        email[name] = value
    email.set_content(message.text)
    email.add_alternative(message.html, subtype="html")
    return email


class SmtpTransport:
    """Hands mails to an SMTP server, one connection for a batch."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """End the connection, whatever state it is in."""
        if self.server is not None:
            try:
                self.server.quit()
            except (smtplib.SMTPException, OSError):
                self.server.close()
            self.server = None

    def connected(self) -> smtplib.SMTP:
        """The open connection, made when there is none.

        Raises:
            Unreachable: The server cannot be reached or does not let us in.
        """
        if self.server is not None:
            return self.server
        it = self.settings
        server: smtplib.SMTP
        try:
            if it.smtp_security == "tls":
                server = smtplib.SMTP_SSL(
                    it.smtp_host, it.smtp_port, timeout=it.smtp_timeout, context=ssl.create_default_context()
                )
            else:
                server = smtplib.SMTP(it.smtp_host, it.smtp_port, timeout=it.smtp_timeout)
                if it.smtp_security == "starttls":
                    server.starttls(context=ssl.create_default_context())
            if it.smtp_user:
                server.login(it.smtp_user, it.smtp_password)
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(f"{it.smtp_host}:{it.smtp_port}: {error}") from error
        self.server = server
        return server

    def send(self, message: Message, now: datetime) -> None:
        """Hand one mail over; see `Transport.send`."""
        email = as_email(message, self.settings.mail_from, now)
        server = self.connected()
        try:
            server.send_message(email, parseaddr(self.settings.mail_from)[1], [message.address])
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            raise outcome(code, text, blames_recipient=True) from error
        except smtplib.SMTPSenderRefused as error:
            raise Unreachable(f"{error.smtp_code} {said(error.smtp_error)}") from error
        except smtplib.SMTPDataError as error:
            raise outcome(error.smtp_code, error.smtp_error, blames_recipient=False) from error
        except smtplib.SMTPNotSupportedError as error:
            raise Refused(str(error)) from error
        except (smtplib.SMTPException, OSError) as error:
            # The line broke, perhaps after the server had taken the mail: the repeat carries the same Message-ID.
            self.hang_up()
            raise TryLater(f"The connection broke: {error}") from error


def said(text: bytes | str) -> str:
    """A server's words as text."""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def outcome(code: int, text: bytes | str, *, blames_recipient: bool) -> NotSent:
    """What a server's refusal means.

    4xx means later. After the message, 421 and 5.7.x (policy, authentication) are about us, the sender; at a recipient,
    5.7.x may be that recipient's own rule, so this one mail is tried again later and no other waits for it. Any other
    5xx is final.
    """
    words = f"{code} {said(text)}"[:400]
    about_us = code in {421, 530, 535} or "5.7." in words
    if about_us:
        return TryLater(words) if blames_recipient and code != 421 else ChannelDown(words)
    return TryLater(words) if 400 <= code < 500 else Refused(words)


class MailboxTransport:
    """Writes mails to a folder, one file each: the demo's mailbox. A repeat of a mail overwrites its file."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __enter__(self) -> Self:
        self.settings.mailbox_folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def send(self, message: Message, now: datetime) -> None:
        """Write one mail; see `Transport.send`."""
        stem = "".join(c for c in message.message_id if c.isalnum())[:60]
        path: Path = self.settings.mailbox_folder / f"{stem}.eml"
        draft = path.with_suffix(".part")
        draft.write_bytes(as_email(message, self.settings.mail_from, now).as_bytes())
        draft.replace(path)


def transport(settings: Settings) -> Transport:
    """The transport that the settings name."""
    return MailboxTransport(settings) if settings.mail_transport == "mailbox" else SmtpTransport(settings)
