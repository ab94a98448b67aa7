"""What a mail is, and what may become of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True)
class Message:
    """A mail to one person.

    Attributes:
        headers: Beside those that every mail has.
        envelope: Where the mail comes back to; the address of MAIL_FROM when empty.
        reply_to: Where an answer goes; to MAIL_FROM when empty.
        thread: Message id, of no mail, under which mail programs gather this mail with others; may be empty.
    """

    address: str
    name: str
    subject: str
    text: str
    html: str
    message_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    envelope: str = ""
    reply_to: str = ""
    thread: str = ""


class NotSent(Exception):
    """A mail was not handed over. The message says why, in the server's words where it gave any."""


class TryLater(NotSent):
    """This mail may pass later."""


class LineBroken(TryLater):
    """The line broke before the server can have taken the mail."""


class InDoubt(LineBroken):
    """Nobody knows whether the server took the mail: the line broke after its last byte, before the answer."""


class Refused(NotSent):
    """This mail will never pass: the server does not take this recipient or this message."""


class NoSuchAddress(Refused):
    """The server says that the address does not exist."""


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
            NotSent: One of its kinds.
        """
