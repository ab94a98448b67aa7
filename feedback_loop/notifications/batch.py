"""Mails that were claimed together, which some threads share; and what may become of each."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from feedback_loop.jobs.claims import Claim

MOST = 20  # mails for each connection
SECONDS = 5  # that a batch is to last
BREAKS = 3  # lines that break in a row, after which the server counts as not to be had


class Fate(StrEnum):
    """What became of one mail that was to be sent."""

    SENT = "sent"
    LATER = "later"
    BROKEN = "broken"  # later, too: the line broke
    FAILED = "failed"
    SKIPPED = "skipped"
    SET_ASIDE = "set aside"  # failed, too: no mail could be made of it
    WAITS = "waits"  # for its hour, or for whoever holds it now: nobody spoke with the server


SPOKE = {Fate.SENT, Fate.LATER, Fate.FAILED}  # with the server, which answered


def fitting(done: int, seconds: float, lines: int) -> int:
    """How many mails to claim for each line, after some: what is claimed by one worker is there for no other, so where
    mails take long it is few.

    Args:
        done: Mails of the last batch that met their fate.
        seconds: What they took.
        lines: Over how many lines at once.
    """
    each = seconds * min(lines, done) / done if done else SECONDS
    return max(1, min(MOST, int(SECONDS / max(each, SECONDS / MOST))))


class Batch:
    """Claimed mails that some threads share.

    Args:
        claims: The mails.
        domains: Of each, where that matters.
        per_domain: At most so many on their way at once.
        breaks: Lines that broke in a row before.
    """

    def __init__(self, claims: Sequence[Claim], domains: dict[int, str], per_domain: int, breaks: int = 0) -> None:
        self.rest = list(claims)
        self.fates: list[Fate] = []
        self.down = ""
        self.breaks = breaks
        self._is_abandoned = False
        self._domains = domains
        self._per_domain = per_domain
        self._on_their_way: Counter[str] = Counter()
        self._changed = threading.Condition()

    def take(self, until: float) -> Claim | None:
        """The next mail to a domain that has not too many on their way; waits for one. None when there is none left, or
        the rest is to be left.

        Args:
            until: By the monotonic clock: when it is too late for a mail to begin.
        """
        with self._changed:
            while self.rest and not self.is_to_be_left and time.monotonic() < until:
                for place, each in enumerate(self.rest):
                    domain = self._domains.get(each.id)
                    if domain is None or self._on_their_way[domain] < self._per_domain:
                        if domain is not None:
                            self._on_their_way[domain] += 1
                        return self.rest.pop(place)
                self._changed.wait(max(0.0, until - time.monotonic()))
        return None

    @property
    def is_to_be_left(self) -> bool:
        """Whether no further mail of it is to be tried now."""
        return bool(self.down) or self._is_abandoned or self.breaks >= BREAKS

    def abandon(self) -> None:
        """A thread has failed: the others must not wait for what it had on its way."""
        with self._changed:
            self._is_abandoned = True
            self._changed.notify_all()

    def done(self, each: Claim, fate: Fate) -> None:
        """A mail has met its fate."""
        with self._changed:
            self.fates.append(fate)
            if fate == Fate.BROKEN:
                self.breaks += 1
            elif fate in SPOKE:
                self.breaks = 0
            self._leave(each)

    def give_back(self, each: Claim) -> None:
        """A mail was not tried after all."""
        with self._changed:
            self.rest.append(each)
            self._leave(each)

    def halt(self, reason: str) -> None:
        """The channel is down: the rest is to be left."""
        with self._changed:
            self.down = self.down or reason
            self._changed.notify_all()

    def _leave(self, each: Claim) -> None:
        domain = self._domains.get(each.id)
        if domain is not None:
            self._on_their_way[domain] -= 1
        self._changed.notify_all()
