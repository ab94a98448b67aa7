"""How far the people of a closing are, and until when they can answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from feedback_loop.actions.models import Closure
from feedback_loop.settings import Settings


@dataclass(frozen=True)
class Standing:
    """How far the people of a closing are.

    Attributes:
        told: Those who got the mail that tells them.
        asked: Those of them who were asked whether it is fixed, by that mail or a later one.
        owed: Those of them who are still to be asked; nobody once the complaint was dismissed.
        failed: Those whom the mail that tells them did not reach; it may be sent again.
        waiting: Mails that tell or ask and have not gone out yet.
        told_at: When the last one was told.
        asked_at: When the last one was asked.
        is_under_way: Whether a run still decides who is told.
    """

    told: int
    asked: int
    owed: int
    failed: int
    waiting: int
    told_at: datetime | None
    asked_at: datetime | None
    is_under_way: bool

    @property
    def is_settled(self) -> bool:
        """Whether everybody who is to be told, or asked by now, was."""
        return not self.waiting and not self.is_under_way


def asked_from(closure: Closure, known: Standing, settings: Settings) -> datetime:
    """When the question comes, or came, for the last of those who were told."""
    told_at = known.told_at or closure.closed_at + timedelta(minutes=settings.hold_minutes)
    if closure.ask_at is not None:
        return max(closure.ask_at, told_at)
    return max(closure.effective_at, told_at) + timedelta(days=settings.follow_up_after_days)


def deadline(closure: Closure, known: Standing, settings: Settings) -> datetime | None:
    """When the time to answer is over: days after the last one was asked, or will be.

    None while some wait for their mail, and where every mail failed. While somebody is still to be asked it says what
    is to be expected; see `is_over`.
    """
    if not known.is_settled or (known.failed and not known.told):
        return None
    expected = asked_from(closure, known, settings)
    last = max(known.asked_at or expected, expected) if known.owed else known.asked_at or expected
    return last + timedelta(days=settings.follow_up_days)


def is_over(closure: Closure, known: Standing, now: datetime, settings: Settings) -> bool:
    """Whether the time to answer is over: never before everybody who is to be asked was, however late that is."""
    until = deadline(closure, known, settings)
    return until is not None and not known.owed and now >= until
