"""The scales a question can be asked on: which scores there are, how they are written, which count as low."""

from __future__ import annotations

from dataclasses import dataclass

from feedback_loop.languages import to_translate as _
from feedback_loop.surveys.models import ScaleName


@dataclass(frozen=True)
class Choice:
    """One score a customer can choose."""

    score: int
    written: str  # as files, links and forms write it: "yes", "4"
    label: str  # as a person reads it, in English; marked for the catalogues


@dataclass(frozen=True)
class Scale:
    """A scale of scores.

    Attributes:
        name: Its name in the database.
        title: Its name for people.
        choices: Every score, lowest first; empty on the text-only scale.
        low_up_to: Scores up to this one call for help, so the low prompt is asked.
        ends: What the lowest and the highest score mean, in words; empty where each choice has its own word.
            Marked for the catalogues.
    """

    name: ScaleName
    title: str
    choices: tuple[Choice, ...]
    low_up_to: int
    ends: tuple[str, str] | None = None

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


def numbers(low: int, high: int, labels: tuple[str, ...] = ()) -> tuple[Choice, ...]:
    """Choices that are written as numbers."""
    return tuple(
        Choice(score, str(score), labels[score - low] if labels else str(score)) for score in range(low, high + 1)
    )


SCALES: dict[ScaleName, Scale] = {
    scale.name: scale
    for scale in (
        Scale(ScaleName.HELPFUL, "Helpful, yes or no", (Choice(0, "no", _("No")), Choice(1, "yes", _("Yes"))), 0),
        Scale(
            ScaleName.CSAT,
            "Satisfaction, 1 to 5",
            numbers(
                1, 5, (_("Very dissatisfied"), _("Dissatisfied"), _("Neither"), _("Satisfied"), _("Very satisfied"))
            ),
            2,
        ),
        Scale(ScaleName.CES, "Ease, 1 to 7", numbers(1, 7), 3, (_("Very difficult"), _("Very easy"))),
        Scale(
            ScaleName.NPS, "Recommendation, 0 to 10", numbers(0, 10), 6, (_("Not at all likely"), _("Extremely likely"))
        ),
        Scale(
            ScaleName.STARS,
            "Stars, 1 to 5",
            numbers(1, 5, (_("1 star"), _("2 stars"), _("3 stars"), _("4 stars"), _("5 stars"))),
            2,
        ),
        Scale(ScaleName.TEXT, "Words only", (), 0),
    )
}
