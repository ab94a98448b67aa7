"""IMAP that ends: a server that sends byte by byte, or lines for ever, holds a look into the mailbox no longer than its
time."""

from __future__ import annotations

import imaplib
import io
from collections.abc import Callable
from typing import Any

from feedback_loop.mail.smtp import Answers

LONGEST_LINE = 1_000_000  # bytes, as in the library


class Hurried(imaplib.IMAP4):
    """Waits for a server only as long as is left of a time for everything.

    Args:
        left: Seconds that are left; never zero.
    """

    def __init__(self, host: str, port: int, *, left: Callable[[], float], **names: Any) -> None:
        self.left = left
        self._heard: tuple[Any, io.BufferedReader] | None = None  # the connection, and what it says
        super().__init__(host, port, timeout=left(), **names)

    @property
    def _answers(self) -> io.BufferedReader:
        if self._heard is None or self._heard[0] is not self.sock:  # encrypted by now, perhaps
            self._heard = (self.sock, io.BufferedReader(Answers(self.sock, self.left)))
        return self._heard[1]

    def read(self, size: int) -> bytes:
        """So many bytes."""
        return self._answers.read(size)

    def readline(self) -> bytes:
        """One line."""
        line = self._answers.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise self.error(f"got more than {LONGEST_LINE} bytes")
        return line

    def send(self, data: Any) -> None:
        """Write a command."""
        self.sock.settimeout(self.left())
        super().send(data)


class HurriedTls(Hurried, imaplib.IMAP4_SSL):
    """The same, encrypted from the first byte on."""
