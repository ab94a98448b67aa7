"""What answers on a scale come to, in one figure with its base and its uncertainty. Pure: from counts by score.

Which scale takes which figure, and why: ADR 11.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum

Z = 1.96  # 95 % confidence
LEAST_FOR_MEAN = 10  # answers; the spread of fewer says too little about the mean


class Unit(StrEnum):
    """How a figure is written."""

    SHARE = "share"  # 0 to 1, shown in percent
    POINTS = "points"  # -100 to 100
    MEAN = "mean"  # a score of the scale


@dataclass(frozen=True)
class Metric:
    """What a scale is summed up by.

    Attributes:
        name: For people, such as `CSAT`.
        unit: How its figure is written.
        formula: How it is computed, in words.
        source: Who says so; empty where nobody needs to.
    """

    name: str
    unit: Unit
    formula: str
    source: str


@dataclass(frozen=True)
class Figure:
    """A metric of some answers.

    Attributes:
        metric: Which one.
        value: In its unit.
        base: How many answers with a score it stands on.
        interval: Between which values it lies with 95 % confidence; None where that cannot be said.
        top: The best score there is.
    """

    metric: Metric
    value: float
    base: int
    interval: tuple[float, float] | None
    top: int


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (E. B. Wilson, 1927, JASA 22:209-212); good for few answers, too.

    Args:
        successes: Count, 0 to trials.
        trials: Count, at least 1.
    """
    share, z2 = successes / trials, Z * Z
    centre = share + z2 / (2 * trials)
    spread = Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return max(0.0, (centre - spread) / (1 + z2 / trials)), min(1.0, (centre + spread) / (1 + z2 / trials))


def share(metric: Metric, counts: Mapping[int, int], good: Container[int]) -> Figure | None:
    """The share of good scores; None without a score."""
    base = sum(counts.values())
    if not base:
        return None
    best = sum(count for score, count in counts.items() if score in good)
    return Figure(metric, best / base, base, wilson(best, base), max(counts))


def mean(metric: Metric, counts: Mapping[int, int]) -> Figure | None:
    """The mean score with the interval of the normal distribution, cut at the ends of the scale; None without a score.

    Args:
        metric: Which figure it is.
        counts: Answers by score, with a count for every score of the scale, be it 0.
    """
    base = sum(counts.values())
    if not base:
        return None
    value = sum(score * count for score, count in counts.items()) / base
    if base < LEAST_FOR_MEAN:
        return Figure(metric, value, base, None, max(counts))
    variance = sum(count * (score - value) ** 2 for score, count in counts.items()) / (base - 1)
    spread = Z * math.sqrt(variance / base)
    return Figure(
        metric, value, base, (max(min(counts), value - spread), min(max(counts), value + spread)), max(counts)
    )


def net(metric: Metric, counts: Mapping[int, int], good: Container[int], bad: Container[int]) -> Figure | None:
    """The percentage of good scores less that of bad ones; None without a score.

    Its interval is the adjusted Wald one (B. Rocks, 2016, The American Statistician 70:365-372): as if three people
    more had answered, three quarters of one with a good score and as much with a bad one.
    """
    base = sum(counts.values())
    if not base:
        return None
    best = sum(count for score, count in counts.items() if score in good)
    worst = sum(count for score, count in counts.items() if score in bad)
    likely_good, likely_bad = (best + 0.75) / (base + 3), (worst + 0.75) / (base + 3)
    centre = likely_good - likely_bad
    spread = Z * math.sqrt((likely_good + likely_bad - centre * centre) / (base + 3))
    interval = (100 * max(-1.0, centre - spread), 100 * min(1.0, centre + spread))
    return Figure(metric, 100 * (best - worst) / base, base, interval, max(counts))
