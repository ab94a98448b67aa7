"""A real SMTP server on loopback that keeps what it takes, and can be told to refuse."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.controller import Controller


@dataclass
class Sink:
    """What arrived, and what to answer."""

    mails: list[EmailMessage] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)  # address to the reply at RCPT
    refuse_sender: str = ""
    refuse_data: str = ""
    break_at: str = ""  # RCPT or DATA: the line breaks there, after the mail was taken in the latter case
    envelopes: list[tuple[str, str]] = field(default_factory=list)  # sender and recipient
    raw: list[bytes] = field(default_factory=list)
    greeted: int = 0
    at_once: Counter[str] = field(default_factory=Counter)  # mails by domain
    most_at_once: Counter[str] = field(default_factory=Counter)
    delay: float = 0.0
    port: int = 0

    async def handle_EHLO(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.greeted += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.refuse_sender:
            return self.refuse_sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.break_at == "RCPT":
            server.transport.abort()
            return ""
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.refuse_data:
            return self.refuse_data
        domain = envelope.rcpt_tos[0].rpartition("@")[2]
        self.at_once[domain] += 1
        self.most_at_once[domain] = max(self.most_at_once[domain], self.at_once[domain])
        if self.delay:
            await asyncio.sleep(self.delay)
        self.at_once[domain] -= 1
        self.mails.append(cast(EmailMessage, message_from_bytes(envelope.content, policy=policy.default)))
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos[0]))
        self.raw.append(envelope.original_content)
        if self.break_at == "DATA":
            server.transport.abort()
        return "250 OK"

    @property
    def message_ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for mail in self.mails]

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if address in str(mail["To"])]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return cast(str, body.get_content())


@contextmanager
def running(sink: Sink) -> Iterator[Sink]:
    """Run the server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        sink.port = probe.getsockname()[1]
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()
