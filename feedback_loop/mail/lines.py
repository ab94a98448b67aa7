"""Open lines to the mail server, kept for a while when a drain is over: the next mail needs no new greeting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from feedback_loop.mail.message import Transport

REST = 30.0  # seconds a line stays open unused


@dataclass
class Lines:
    """Transports, each used by one thread at a time. The one that was used last is taken first, so that those beyond
    what is needed come to rest and are let go.

    Attributes:
        make: Makes a transport.
    """

    make: Callable[[], Transport]
    resting: list[tuple[Transport, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def line(self) -> Iterator[Transport]:
        """A transport for this thread alone. It is hung up when what is done with it fails."""
        with self.lock:
            found = self.resting.pop()[0] if self.resting else None
        transport = found or self.make().__enter__()
        try:
            yield transport
        except BaseException:
            transport.__exit__(None, None, None)
            raise
        with self.lock:
            self.resting.append((transport, time.monotonic()))

    def tidy(self, rest: float = REST) -> None:
        """Hang up lines that have rested for so many seconds."""
        now = time.monotonic()
        with self.lock:
            old = [transport for transport, since in self.resting if now - since >= rest]
            self.resting = [(transport, since) for transport, since in self.resting if now - since < rest]
        for transport in old:
            transport.__exit__(None, None, None)

    def close(self) -> None:
        """Hang up all that rest."""
        self.tidy(0)
