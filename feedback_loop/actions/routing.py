"""Which team a new action item goes to: a pure decision with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A routing rule, in the order in which rules are asked."""

    team_id: int
    team: str
    keyword: str
    survey_id: int | None
    survey: str


@dataclass(frozen=True)
class Evidence:
    """What is known of a complaint when it is routed.

    Attributes:
        name: Its name.
        keywords: Its keywords.
        texts: Some of its statements, the most telling first.
        survey_shares: Share of its statements by survey id, 0 to 1.
    """

    name: str
    keywords: Sequence[str]
    texts: Sequence[str]
    survey_shares: dict[int, float]


@dataclass(frozen=True)
class Route:
    """Where an item goes, and why."""

    team_id: int
    reason: str


def mentions(text: str, keyword: str) -> bool:
    """Whether a word of the text begins with the keyword: “refund” finds “Refunds”, “app” does not find “happened”."""
    return re.search(rf"(?<!\w){re.escape(keyword.casefold())}", text.casefold()) is not None


def route(evidence: Evidence, rules: Sequence[Rule], default_team_id: int, default_team: str) -> Route:
    """Take the first rule that fits, else the default team.

    A keyword fits when a word of the name or the keywords begins with it, or of at least a third of the statements
    shown. A survey fits when more than half of the statements came from it. A rule that names both needs both.
    """
    for rule in rules:
        reasons = []
        if rule.keyword:
            named = any(mentions(text, rule.keyword) for text in (evidence.name, *evidence.keywords))
            said = sum(mentions(text, rule.keyword) for text in evidence.texts)
            if not named and (not evidence.texts or said * 3 < len(evidence.texts)):
                continue
            where = "its name" if named else f"{said} of {len(evidence.texts)} statements"
            reasons.append(f"“{rule.keyword}” stands in {where}")
        if rule.survey_id is not None:
            share = evidence.survey_shares.get(rule.survey_id, 0.0)
            if share <= 0.5:
                continue
            reasons.append(f"{share:.0%} of the statements came from {rule.survey}")
        return Route(rule.team_id, f"To {rule.team}, because {' and '.join(reasons)}.")
    return Route(default_team_id, f"To {default_team}, the default team: no rule fits.")
