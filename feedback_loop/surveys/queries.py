"""Named reads of surveys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.surveys.models import Survey, SurveyLogo, SurveyState, SurveyVersion
from feedback_loop.surveys.wording import worded


def surveys(session: Session) -> Sequence[Survey]:
    """All surveys that are not archived: those that are open first, by name."""
    return session.scalars(
        select(Survey)
        .where(Survey.archived_at.is_(None))
        .order_by(Survey.state == SurveyState.CLOSED, Survey.name, Survey.id)
    ).all()


def archived(session: Session) -> int:
    """How many surveys are archived."""
    return session.scalar(select(func.count()).select_from(Survey).where(Survey.archived_at.is_not(None))) or 0


def by_slug(session: Session, slug: str) -> Survey | None:
    """The survey of this address, or None."""
    return session.scalar(select(Survey).where(Survey.slug == slug))


def logo(session: Session, survey: Survey) -> SurveyLogo | None:
    """The logo of a survey, or None."""
    return session.get(SurveyLogo, survey.id)


def versions(session: Session, survey: Survey) -> Sequence[tuple[SurveyVersion, str]]:
    """The versions of a survey, the newest first, each with the name of who published it; empty where nobody did."""
    rows = session.execute(
        select(SurveyVersion, func.coalesce(User.name, ""))
        .outerjoin(User, User.id == SurveyVersion.published_by_id)
        .where(SurveyVersion.survey_id == survey.id)
        .order_by(SurveyVersion.number.desc())
    )
    return [(version, name) for version, name in rows]


def wording_of(session: Session, survey: Survey, number: int | None) -> dict[str, Any]:
    """What customers read who had a version before them; what is published now where that is not known."""
    found = session.scalar(
        select(SurveyVersion.wording).where(SurveyVersion.survey_id == survey.id, SurveyVersion.number == number)
    )
    return found or worded(survey)


def questions_of(session: Session, survey: Survey, numbers: Collection[int | None]) -> dict[int, str]:
    """How the question read in some versions, without the one that customers read now."""
    earlier = {number for number in numbers if number is not None and number != survey.version}
    if not earlier:
        return {}
    rows = session.execute(
        select(SurveyVersion.number, SurveyVersion.wording).where(
            SurveyVersion.survey_id == survey.id, SurveyVersion.number.in_(earlier)
        )
    )
    return {number: str(wording["question"]) for number, wording in rows}
