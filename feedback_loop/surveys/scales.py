"""The scales a question can be asked on, a class each: which scores there are, how they are written, what they are
asked with, which count as low, and by which figure they are summed up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from feedback_loop.languages import to_translate as _
from feedback_loop.surveys.metrics import Figure, Metric, Unit, mean, net, share
from feedback_loop.surveys.models import ScaleName

PROMPT_LOW = _("What went wrong?")
PROMPT_HIGH = _("What did you like, and what could be better?")
THANKS = _("Now we know how it went for you: what should stay as it is, and what could be better.")
THANKS_LOW = _("We are sorry that it was not better for you. Now we know, and can look for what went wrong.")
EARLIER_THANKS = (
    "A person reads what you wrote. When several people meet the same problem, a team takes it on, "
    "and everybody who left an address hears what was done about it."
)
"""The usual thanks until 2026. Surveys that were made with it are thanked with the usual words of today."""


class Tone(StrEnum):
    """What a score says of an experience. Shown by a colour once it is chosen, never by colour alone."""

    LOW = "low"
    MIDDLE = "middle"
    HIGH = "high"


@dataclass(frozen=True)
class Choice:
    """One score a customer can choose."""

    score: int
    written: str  # as files, links and forms write it: "yes", "4"
    label: str  # as a person reads it, in English; marked for the catalogues
    emoji: str = ""  # beside the label in mails, which show no drawings


class Scale(ABC):
    """A scale of scores.

    Attributes:
        name: Its name in the database.
        title: Its name for people.
        question: Usually asked on it.
        choices: Every score, lowest first; empty on the text-only scale.
        low_up_to: Scores up to this one call for help, so the low prompt is asked.
        high_from: Scores from this one on are good news.
        ends: What the lowest and the highest score mean, in words; empty where each choice has its own word.
            Marked for the catalogues.
        prompt_low: Usually asked after a low score.
        prompt_high: Usually asked after another.
        metric: What answers are summed up by; None where there is nothing to count.
    """

    name: ClassVar[ScaleName]
    title: ClassVar[str]
    question: ClassVar[str]
    choices: ClassVar[tuple[Choice, ...]]
    low_up_to: ClassVar[int]
    high_from: ClassVar[int]
    ends: ClassVar[tuple[str, str] | None] = None
    prompt_low: ClassVar[str] = PROMPT_LOW
    prompt_high: ClassVar[str] = PROMPT_HIGH
    metric: ClassVar[Metric | None] = None

    @abstractmethod
    def figure(self, counts: Mapping[int, int]) -> Figure | None:
        """The metric of some answers; None without a score.

        Args:
            counts: Answers by score, with a count for every score of the scale, be it 0.
        """

    def parse(self, text: str) -> int | None:
        """Read a score as the scale writes it.

        Args:
            text: For example `yes` or `4`; empty for no score.

        Raises:
            ValueError: Not a score of this scale; the message names those that are.
        """
        text = text.strip().lower()
        if not text:
            return None
        for choice in self.choices:
            if text == choice.written:
                return choice.score
        if not self.choices:
            raise ValueError("this survey takes no score")
        raise ValueError(f"score {text[:20]!r} is not on the scale; use {self.range}")

    @property
    def shown(self) -> tuple[Choice, ...]:
        """The scores in reading order: lowest first, but "Yes" before "No"."""
        return self.choices[::-1] if len(self.choices) == 2 else self.choices

    @property
    def range(self) -> str:
        """The scores in words, such as `yes or no` or `1 to 5`."""
        if not self.choices:
            return "no score"
        first, last = self.choices[0].written, self.choices[-1].written
        return f"{last} or {first}" if len(self.choices) == 2 else f"{first} to {last}"

    def write(self, score: int | None) -> str:
        """Write a score as `parse` reads it."""
        return next((choice.written for choice in self.choices if choice.score == score), "")

    def is_low(self, score: int | None) -> bool | None:
        """Whether a score calls for help; None without a score."""
        return None if score is None else score <= self.low_up_to

    def tone(self, score: int) -> Tone:
        """What a score says of the experience."""
        if score <= self.low_up_to:
            return Tone.LOW
        return Tone.HIGH if score >= self.high_from else Tone.MIDDLE


def numbers(low: int, high: int, labels: tuple[str, ...] = (), emoji: str = "") -> tuple[Choice, ...]:
    """Choices that are written as numbers."""
    return tuple(
        Choice(
            score,
            str(score),
            labels[score - low] if labels else str(score),
            emoji[score - low] if emoji else "",
        )
        for score in range(low, high + 1)
    )


SATISFACTION = (_("Very dissatisfied"), _("Dissatisfied"), _("Neither"), _("Satisfied"), _("Very satisfied"))
TOP_TWO = "Farris, Bendle, Pfeifer, Reibstein: Marketing Metrics, 2010, chapter 2"


class Helpful(Scale):
    """Yes or no."""

    name = ScaleName.HELPFUL
    title = "Helpful, yes or no"
    question = _("Was this helpful?")
    choices = (Choice(0, "no", _("No")), Choice(1, "yes", _("Yes")))
    low_up_to, high_from = 0, 1
    metric: ClassVar[Metric] = Metric("Helpful", Unit.SHARE, "The share of “Yes”.", "")

    def figure(self, counts: Mapping[int, int]) -> Figure | None:
        """The share of yes."""
        return share(self.metric, counts, {1})


class Csat(Scale):
    """Satisfaction in words."""

    name = ScaleName.CSAT
    title = "Satisfaction, 1 to 5"
    question = _("How satisfied are you?")
    choices = numbers(1, 5, SATISFACTION)
    low_up_to, high_from = 2, 4
    metric: ClassVar[Metric] = Metric("CSAT", Unit.SHARE, "The share of the two best scores, 4 and 5.", TOP_TWO)

    def figure(self, counts: Mapping[int, int]) -> Figure | None:
        """The share of the two best."""
        return share(self.metric, counts, {4, 5})


class Ces(Scale):
    """Effort: how easy it was."""

    name = ScaleName.CES
    title = "Ease, 1 to 7"
    question = _("How easy was it to get done what you came for?")
    choices = numbers(1, 7)
    low_up_to, high_from = 3, 5
    ends = (_("Very difficult"), _("Very easy"))
    prompt_low = _("What made it difficult?")
    metric: ClassVar[Metric] = Metric(
        "CES",
        Unit.SHARE,
        "The share of those who found it easy at least somewhat, 5 to 7.",
        "Dixon, Toman, DeLisi: The Effortless Experience, 2013",
    )

    def figure(self, counts: Mapping[int, int]) -> Figure | None:
        """The share of those who found it easy."""
        return share(self.metric, counts, {5, 6, 7})


class Nps(Scale):
    """How likely one is to recommend."""

    name = ScaleName.NPS
    title = "Recommendation, 0 to 10"
    question = _("How likely are you to recommend us to a friend or colleague?")
    choices = numbers(0, 10)
    low_up_to, high_from = 6, 9
    ends = (_("Not at all likely"), _("Extremely likely"))
    prompt_low = _("What should we do better?")
    metric: ClassVar[Metric] = Metric(
        "NPS",
        Unit.POINTS,
        "The percentage of 9 and 10 (promoters) less that of 0 to 6 (detractors).",
        "F. F. Reichheld: The One Number You Need to Grow, Harvard Business Review, December 2003",
    )

    def figure(self, counts: Mapping[int, int]) -> Figure | None:
        """Promoters less detractors."""
        return net(self.metric, counts, good={9, 10}, bad=range(7))


class Stars(Scale):
    """One to five stars."""

    name = ScaleName.STARS
    title = "Stars, 1 to 5"
    question = _("How would you rate your experience?")
    choices = numbers(1, 5, (_("1 star"), _("2 stars"), _("3 stars"), _("4 stars"), _("5 stars")))
    low_up_to, high_from = 2, 4
    metric: ClassVar[Metric] = Metric("Stars", Unit.MEAN, "The mean of all scores.", "")

    def figure(self, counts: Mapping[int, int]) -> Figure | None:
        """The mean."""
        return mean(self.metric, counts)


class Smileys(Scale):
    """Five faces, from very dissatisfied to very satisfied."""

    name = ScaleName.SMILEYS
    title = "Smileys, 1 to 5"
    question = _("How satisfied are you?")
    choices = numbers(1, 5, SATISFACTION, "😠😞😐😊😀")
    low_up_to, high_from = 2, 4
    metric: ClassVar[Metric] = Metric("Smileys", Unit.SHARE, "The share of the two happiest faces.", TOP_TWO)

    def figure(self, counts: Mapping[int, int]) -> Figure | None:
        """The share of the two happiest."""
        return share(self.metric, counts, {4, 5})


class Text(Scale):
    """No score: the words are the answer."""

    name = ScaleName.TEXT
    title = "Words only"
    question = _("What should we do better?")
    choices = ()
    low_up_to, high_from = 0, 0

    def figure(self, counts: Mapping[int, int]) -> Figure | None:
        """None: words are not counted."""
        return None


SCALES: dict[ScaleName, Scale] = {
    scale.name: scale for scale in (Helpful(), Csat(), Ces(), Nps(), Stars(), Smileys(), Text())
}
USUAL = frozenset(
    {
        *(text for scale in SCALES.values() for text in (scale.question, scale.prompt_low, scale.prompt_high)),
        THANKS,
        THANKS_LOW,
        EARLIER_THANKS,
    }
)
"""Texts of ours, which customers read in their language. What an admin wrote stays as it is."""
