"""Did a person give this answer? Decided from what is known about one look at one link, with the reason in words.

Mail filters open every link, run the page's scripts and stay for seconds, often from the same addresses and with the
same names as browsers. What they do not do is press buttons and move: that is what counts here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from feedback_loop.responses.models import Sign

SENT_AFTER = timedelta(seconds=1)  # nobody reads a question and presses Send in less
GESTURE_AFTER = timedelta(seconds=1)
SECONDS_TOGETHER = timedelta(seconds=10)  # links opened within this were opened by the same visitor
TRAPPED_WITHIN = timedelta(seconds=30)  # a filter is done with one mail by then; a reader may come a minute later
TRAPPED = "A link that people do not see was followed in the same mail."
SENT_SCORES = 3  # different scores sent within seconds that no person sends


class Standing(StrEnum):
    """What an answer is worth."""

    CONFIRMED = "confirmed"
    PROVISIONAL = "provisional"
    SUSPECT = "suspect"


@dataclass(frozen=True)
class Seen:
    """An earlier sign from the same link."""

    sign: Sign
    score: int | None
    at: datetime


@dataclass(frozen=True)
class Evidence:
    """What is known about one sign.

    Attributes:
        sign: What happened: the page was opened by a browser that runs scripts, a person moved on it, or pressed Send.
        score: The score it stands for.
        now: When.
        page_age: Since the page was made.
        earlier: Signs from the same link before.
        trapped_at: When the link that only programs follow was last opened.
        is_prefetch: Whether the browser said that it fetched ahead of the reader.
        takes_gestures: Whether the survey lets a movement count.
        doubt: What spoke for a program before the answer was looked at; empty if nothing did.
    """

    sign: Sign
    score: int | None
    now: datetime
    page_age: timedelta
    earlier: Sequence[Seen] = ()
    trapped_at: datetime | None = None
    is_prefetch: bool = False
    takes_gestures: bool = True
    doubt: str = ""


@dataclass(frozen=True)
class Judgement:
    """What the sign is worth, and why."""

    standing: Standing
    reason: str


def judge(evidence: Evidence) -> Judgement:
    """Decide whether a sign counts.

    Pressing Send counts, unless it comes faster than people are or with several different scores at once. A movement
    counts where the survey allows it and nothing speaks for a program. Opening a page never counts.
    """
    doubt = doubt_of(evidence)
    if doubt:
        return Judgement(Standing.SUSPECT, doubt)
    if evidence.sign == Sign.SENT:
        return Judgement(Standing.CONFIRMED, "Send was pressed.")
    if evidence.sign == Sign.OPENED:
        return Judgement(Standing.PROVISIONAL, "The link was opened; nobody has pressed Send.")
    if evidence.takes_gestures:
        return Judgement(Standing.CONFIRMED, "Somebody moved on the open page.")
    return Judgement(Standing.PROVISIONAL, "Somebody moved on the open page, but did not press Send.")


def doubt_of(evidence: Evidence) -> str:
    """What speaks for a program, in words; empty if nothing does."""
    sign, age = evidence.sign, evidence.page_age
    if evidence.doubt:
        return evidence.doubt
    if evidence.is_prefetch:
        return "Fetched ahead by a browser or a mail program, before anybody looked."
    least = {Sign.SENT: SENT_AFTER, Sign.GESTURE: GESTURE_AFTER}.get(sign)
    if least is not None and age < least:
        return f"Came {max(age, timedelta()).total_seconds():.1f} seconds after the page was made."
    recent = [each for each in evidence.earlier if evidence.now - each.at <= SECONDS_TOGETHER]
    others = {each.score for each in recent if sign != Sign.SENT or each.sign == Sign.SENT} - {evidence.score}
    if len(others) >= (SENT_SCORES - 1 if sign == Sign.SENT else 1):
        return f"{len(others) + 1} different scores came from this link within seconds."
    trapped = evidence.trapped_at is not None and abs(evidence.now - evidence.trapped_at) <= TRAPPED_WITHIN
    return TRAPPED if trapped and sign != Sign.SENT else ""
