"""The demo's mailbox: a folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from feedback_loop.mail.message import Message
from feedback_loop.mail.writing import as_bytes
from feedback_loop.settings import Settings


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
        draft.write_bytes(as_bytes(message, self.settings.mail_from, now))
        draft.replace(path)
