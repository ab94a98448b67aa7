"""Named reads of service levels."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ServiceLevel


def levels(session: Session) -> Sequence[ServiceLevel]:
    """All service levels: the default first, then by name; archived ones last."""
    return session.scalars(
        select(ServiceLevel).order_by(
            ServiceLevel.archived_at.is_not(None), ServiceLevel.is_default.desc(), ServiceLevel.name
        )
    ).all()


def service_levels(session: Session, beside: ServiceLevel | None = None) -> Sequence[ServiceLevel]:
    """The service levels that can be chosen, by name, and one that may be archived."""
    rows = session.scalars(select(ServiceLevel).where(ServiceLevel.archived_at.is_(None)).order_by(ServiceLevel.name))
    return [*rows, *([beside] if beside is not None and beside.archived_at is not None else [])]
