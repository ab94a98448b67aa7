"""Has it come back? A pure decision over how often a complaint is said before and after its closing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from feedback_loop.actions.models import Outcome

WINDOW = timedelta(days=28)  # so far back a relapse is looked for; longer would thin out one that begins late
LEAST = 3  # answers that say it again
LEAST_PEOPLE = 2  # one person alone is no relapse
CHANCE = 0.05
# How often it may still be said, against before. Of what is called fixed, half as often is no longer the noise that is
# left of old links, late readers and statements that are placed wrongly; of what is partly fixed, as often as before.
TOLERATED = {Outcome.FIXED: 0.5, Outcome.PARTLY_FIXED: 1.0}


@dataclass(frozen=True)
class Rate:
    """How often it was said: in so many of so many answers with a comment."""

    said: int
    answers: int

    @property
    def share(self) -> float:
        """Of the answers; 0.0 where there were none."""
        return self.said / self.answers if self.answers else 0.0


@dataclass(frozen=True)
class Decision:
    """Whether it came back, and why or why not, in words."""

    came_back: bool
    reason: str


def tail(successes: int, trials: int, share: float) -> float:
    """The chance of so many successes or more: the upper tail of a binomial distribution.

    Args:
        successes: Count, 0 to trials.
        trials: Count.
        share: The chance of one, 0 to 1.
    """
    if successes <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    logs = [
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(share)
        + (trials - k) * math.log1p(-share)
        for k in range(successes, trials + 1)
    ]
    top = max(logs)
    return min(1.0, math.exp(top) * math.fsum(math.exp(each - top) for each in logs))


def chance(before: Rate, after: Rate, tolerated: float) -> float:
    """How likely so many say it again if they do so at most at the tolerated share of the rate before.

    The exact conditional test of two rates (J. Przyborowski, H. Wilenski, 1940, Biometrika 31:313-323): of all that
    was said, so much falls on the time after as its answers, weighed by what is tolerated, are of all answers. It
    knows that both rates are estimates, so few answers never raise an alarm.
    """
    weight = tolerated * after.answers
    if not before.answers:
        return 0.0  # nothing is known of before, so the least volume decides alone
    return tail(after.said, before.said + after.said, weight / (weight + before.answers))


def decide(before: Rate, after: Rate, people: int, outcome: Outcome) -> Decision:
    """Whether a complaint that was closed as fixed has come back.

    Three things are needed: at least three answers say it again, from at least two people; and they say it more often,
    per answer, than the tolerated part of how often it was said before, by more than chance explains (5 %).

    Args:
        before: In the 90 days before the closing.
        after: By experiences after the fix took effect, of the last 28 days, where it applies.
        people: Those who say it again; each anonymous answer counts as one.
        outcome: How it was closed.
    """
    now = f"{after.said:,} of {after.answers:,} answers say it again ({percent(after.share)})"
    then = f"before the closing {before.said:,} of {before.answers:,} did ({percent(before.share)})"
    tolerated = TOLERATED.get(outcome)
    if tolerated is None:
        return Decision(False, "Nothing was changed, so nothing can come back.")
    if after.said < LEAST or people < LEAST_PEOPLE:
        needed = f"a relapse takes {LEAST} from {LEAST_PEOPLE} people"
        return Decision(False, f"{now}; {needed}.")
    if chance(before, after, tolerated) < CHANCE:
        return Decision(True, f"{now}, {people:,} people; {then}.")
    return Decision(False, f"{now}; {then}. That is not yet more than {bound(tolerated)} with 95 % confidence.")


def bound(tolerated: float) -> str:
    """`half as often as before`."""
    return "as often as before" if tolerated == 1 else "half as often as before"


def percent(share: float) -> str:
    """`4.2 %`, `0.03 %`: two digits, however small."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
