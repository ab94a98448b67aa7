"""Named reads of routing rules."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.routing.models import RoutingRule


def rules(session: Session) -> Sequence[RoutingRule]:
    """All routing rules with drafts, in the order in which they are asked."""
    return session.scalars(
        select(RoutingRule)
        .options(
            joinedload(RoutingRule.team),
            joinedload(RoutingRule.survey),
            joinedload(RoutingRule.owner),
            joinedload(RoutingRule.service_level),
        )
        .order_by(RoutingRule.position, RoutingRule.id)
    ).all()
