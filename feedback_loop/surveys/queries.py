"""Named reads of surveys."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.surveys.models import Survey, SurveyState


def surveys(session: Session) -> Sequence[Survey]:
    """All surveys: those that are open first, by name."""
    return session.scalars(select(Survey).order_by(Survey.state == SurveyState.CLOSED, Survey.name, Survey.id)).all()


def by_slug(session: Session, slug: str) -> Survey | None:
    """The survey of this address, or None."""
    return session.scalar(select(Survey).where(Survey.slug == slug))
