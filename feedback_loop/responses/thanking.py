"""What the thanks page says by what was answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import EARLIER_THANKS, THANKS, THANKS_LOW
from feedback_loop.surveys.wording import text_in


@dataclass(frozen=True)
class Said:
    """Of an answer, what decides about the thanks.

    Attributes:
        is_low: Its score calls for help.
        has_words: There is a comment, not only a score.
        is_reachable: We can write to whoever gave it.
    """

    is_low: bool = False
    has_words: bool = False
    is_reachable: bool = False

    @classmethod
    def from_hints(cls, hints: Mapping[str, str]) -> Said:
        """Read what `hints` wrote; anything else means no."""
        return cls(*(hints.get(name) == "1" for name in ("low", "words", "mail")))

    @property
    def hints(self) -> dict[str, str]:
        """The same for the address of a page: it tells nobody who answered, or what."""
        found = {"low": self.is_low, "words": self.has_words, "mail": self.is_reachable}
        return {name: "1" for name, holds in found.items() if holds}


def read_by(survey: Survey, answered_at: datetime) -> datetime | None:
    """By when a person reads an answer; None where nothing is promised."""
    return answered_at + timedelta(days=survey.reply_days) if survey.reply_days else None


def thanks_for(survey: Survey, is_low: bool, language: str) -> str:
    """The thanks of a survey by score, as its reader reads it; a usual one in English, marked for the catalogues.

    After a low score the text for low scores, where there is one. The usual text has a twin for low scores; what an
    admin wrote stands for both until they write another.
    """
    own = (text_in(survey, "thanks_low", language) if is_low else "") or text_in(survey, "thanks", language)
    if own in (THANKS, EARLIER_THANKS):
        return THANKS_LOW if is_low else THANKS
    return own
