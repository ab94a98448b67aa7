"""Mails: how one is written from its templates, and how it is handed to a mail server or, in the demo, to a folder."""

from feedback_loop.mail.lines import Lines
from feedback_loop.mail.mailbox import MailboxTransport
from feedback_loop.mail.message import (
    ChannelDown,
    InDoubt,
    LineBroken,
    Message,
    NoSuchAddress,
    NotSent,
    Refused,
    Transport,
    TryLater,
    Unreachable,
)
from feedback_loop.mail.smtp import SmtpTransport
from feedback_loop.mail.writing import as_bytes, render
from feedback_loop.settings import Settings

__all__ = [
    "ChannelDown",
    "InDoubt",
    "LineBroken",
    "Lines",
    "MailboxTransport",
    "Message",
    "NoSuchAddress",
    "NotSent",
    "Refused",
    "SmtpTransport",
    "Transport",
    "TryLater",
    "Unreachable",
    "as_bytes",
    "lines",
    "render",
    "transport",
]


def transport(settings: Settings) -> Transport:
    """The transport that the settings name."""
    return MailboxTransport(settings) if settings.mail_transport == "mailbox" else SmtpTransport(settings)


def lines(settings: Settings) -> Lines:
    """Lines to the mail server that stay open while one is not needed for a moment. Close them in the end."""
    return Lines(lambda: transport(settings))
