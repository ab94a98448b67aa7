"""Is it fixed? A pure decision over what customers said."""

from __future__ import annotations

import math
from dataclasses import dataclass

from feedback_loop.followups.models import VerdictKind

Z = 1.96  # 95 % confidence
NO_SHARE = 1 / 3  # more than every third person saying no is a bad verdict
FEW = 20  # so many people asked per "no" that is needed to reopen
MOST_NOES = 5
HALF = 1 / 2


@dataclass(frozen=True)
class Tally:
    """What came back from one closing. Counts of people.

    Attributes:
        asked: Those who were told of it, or are about to be, and so are asked sooner or later.
        yes: Told and say that it is fixed.
        no: Told and say that it is not.
        not_since: Told and have not run into it since; they can tell neither.
    """

    asked: int
    yes: int
    no: int
    not_since: int = 0

    @property
    def answered(self) -> int:
        """How many said yes or no."""
        return self.yes + self.no

    @property
    def replied(self) -> int:
        """How many said anything."""
        return self.answered + self.not_since


@dataclass(frozen=True)
class Share:
    """A share with the ends of its 95 % interval, each 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Decision:
    """The verdict, or None while it is too early, with its reason in words."""

    kind: VerdictKind | None
    reason: str


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (E. B. Wilson, 1927, JASA 22:209-212).

    Args:
        successes: Count, 0 to trials.
        trials: Count; 0 gives the whole range, 0.0 to 1.0.
    """
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + Z * Z / (2 * trials)
    spread = Z * math.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials))
    scale = 1 + Z * Z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def wilson_lower(successes: int, trials: int) -> float:
    """The lower end of `wilson`."""
    return wilson(successes, trials)[0]


def share_of_yes(tally: Tally) -> Share | None:
    """The share of yes among those who said yes or no; None while nobody did."""
    if not tally.answered:
        return None
    return Share(tally.yes / tally.answered, *wilson(tally.yes, tally.answered))


def noes_needed(asked: int) -> int:
    """How many must say no before it counts: one among up to 20 people asked, one more for each 20, at most 5."""
    return max(1, min(MOST_NOES, math.ceil(asked / FEW)))


def said(tally: Tally) -> str:
    """What came back, in words, with its base."""
    since = f"; {tally.not_since} had not run into it since" if tally.not_since else ""
    return f"{tally.yes} of {tally.answered} who answered said it is fixed ({tally.asked} were asked{since})"


def decide(tally: Tally, is_over: bool, is_asked: bool = True) -> Decision:
    """Draw the verdict over a closing.

    Not fixed as soon as enough people said no and they are more than a third of those who answered. Verified as soon
    as the share of yes is above one half with 95 % confidence, or everybody asked has replied and at least half of them
    could tell, or time is over, at least half of those asked said yes or no, and at least two thirds of them yes. A few
    yes among many who are silent never verify. Who has not run into it since counts as neither yes nor no.

    Before anybody was asked only those write who are not content. Their noes then have to be more than a third of all
    who were told, and nothing verifies.

    Args:
        tally: Who was asked and what they said.
        is_over: Whether the time to answer is over.
        is_asked: Whether anybody was asked yet.
    """
    if not is_asked and not is_over:
        return decide_early(tally)
    words = said(tally)
    if tally.no >= noes_needed(tally.asked) and tally.no > tally.answered * NO_SHARE:
        return Decision(VerdictKind.NOT_FIXED, f"Not fixed: {words}.")
    half_could_tell = tally.answered >= tally.asked * HALF
    everybody = tally.asked > 0 and tally.replied >= tally.asked and half_could_tell
    if tally.answered and (everybody or wilson_lower(tally.yes, tally.answered) > HALF):
        return Decision(VerdictKind.VERIFIED, f"Verified: {words}.")
    if not is_over:
        return Decision(None, f"Too early to tell: {words}.")
    if tally.answered and half_could_tell and tally.no <= tally.answered * NO_SHARE:
        return Decision(VerdictKind.VERIFIED, f"Verified when the time to answer was over: {words}.")
    return Decision(VerdictKind.UNVERIFIED, f"Unverified: too few answers to tell; {words}.")


def decide_early(tally: Tally) -> Decision:
    """Draw the verdict before anybody was asked; see `decide`."""
    if tally.no >= noes_needed(tally.asked) and tally.no > tally.asked * NO_SHARE:
        told = f"{tally.no} of {tally.asked} who were told said so before anybody was asked"
        return Decision(VerdictKind.NOT_FIXED, f"Not fixed: {told}.")
    return Decision(None, f"Nobody was asked yet: {said(tally)}.")


def needs_second_look(tally: Tally) -> bool:
    """Whether enough people disagree with a closing that changes nothing for a lead to look at it once more.

    As many as it takes to reopen one that is not fixed. Shares tell nothing here: only those write who disagree.
    """
    return tally.no >= noes_needed(tally.asked)
