"""Is it fixed? A pure decision over what customers said."""

from __future__ import annotations

import math
from dataclasses import dataclass

from feedback_loop.followups.models import VerdictKind

Z = 1.96  # 95 % confidence
NO_SHARE = 1 / 3  # more than every third person saying no is a bad verdict
FEW = 20  # so many people asked per "no" that is needed to reopen
MOST_NOES = 5


@dataclass(frozen=True)
class Tally:
    """What came back from one closing. Counts of people."""

    asked: int
    yes: int
    no: int

    @property
    def answered(self) -> int:
        """How many said yes or no."""
        return self.yes + self.no


@dataclass(frozen=True)
class Decision:
    """The verdict, or None while it is too early, with its reason in words."""

    kind: VerdictKind | None
    reason: str


def wilson_lower(successes: int, trials: int) -> float:
    """Lower end of the 95 % Wilson score interval of a share (E. B. Wilson, 1927, JASA 22:209-212).

    Args:
        successes: Count, 0 to trials.
        trials: Count; 0 gives 0.0.
    """
    if trials == 0:
        return 0.0
    share = successes / trials
    centre = share + Z * Z / (2 * trials)
    spread = Z * math.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials))
    return (centre - spread) / (1 + Z * Z / trials)


def noes_needed(asked: int) -> int:
    """How many must say no before a closing is reopened: one among up to 20 people asked, one more for each 20, at
    most 5."""
    return max(1, min(MOST_NOES, math.ceil(asked / FEW)))


def decide(tally: Tally, is_over: bool) -> Decision:
    """Draw the verdict over a closing.

    Not fixed as soon as enough people said no and they are more than a third of those who answered. Verified as soon
    as the share of yes is above one half with 95 % confidence, or everybody asked has answered, or time is over with at
    least two thirds of yes. A few early yes alone never verify.

    Args:
        tally: Who was asked and what they said.
        is_over: Whether the time to answer is over.
    """
    said = f"{tally.yes} of {tally.answered} who answered said it is fixed ({tally.asked} were asked)"
    needed = noes_needed(tally.asked)
    if tally.no >= needed and tally.no > tally.answered * NO_SHARE:
        return Decision(VerdictKind.NOT_FIXED, f"Not fixed: {said}.")
    everybody = tally.asked > 0 and tally.answered >= tally.asked
    if tally.answered and (everybody or wilson_lower(tally.yes, tally.answered) > 0.5):
        return Decision(VerdictKind.VERIFIED, f"Verified: {said}.")
    if not is_over:
        return Decision(None, f"Too early to tell: {said}.")
    if tally.answered and tally.no <= tally.answered * NO_SHARE and tally.yes >= noes_needed(tally.asked):
        return Decision(VerdictKind.VERIFIED, f"Verified when the time to answer was over: {said}.")
    return Decision(VerdictKind.UNVERIFIED, f"Unverified: too few answers to tell; {said}.")
