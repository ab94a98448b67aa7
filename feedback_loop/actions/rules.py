"""Verbs on routing rules."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Team
from feedback_loop.actions.models import RoutingRule
from feedback_loop.surveys.models import Survey


def add_rule(session: Session, keyword: str, survey: Survey | None, team: Team) -> RoutingRule:
    """Add a rule behind all others.

    Raises:
        ValueError: It asks for nothing.
    """
    if not keyword and survey is None:
        raise ValueError("Enter a word, or choose a survey, or both.")
    last = session.scalar(select(func.max(RoutingRule.position)))
    rule = RoutingRule(position=0 if last is None else last + 1, keyword=keyword, survey=survey, team=team)
    session.add(rule)
    session.flush()
    return rule


def move_rule(session: Session, rule: RoutingRule, step: int) -> None:
    """Let a rule be asked earlier (-1) or later (1). At the ends nothing changes."""
    order = list(session.scalars(select(RoutingRule).order_by(RoutingRule.position, RoutingRule.id)))
    place = order.index(rule)
    target = place + step
    if 0 <= target < len(order):
        order[place], order[target] = order[target], order[place]
    for position, each in enumerate(order):
        each.position = position


def delete_rule(session: Session, rule: RoutingRule) -> None:
    """Take a rule away. Items it has routed stay where they are."""
    session.delete(rule)
