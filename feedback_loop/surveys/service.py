"""Verbs on surveys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.languages import to_translate
from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from feedback_loop.surveys.origins import MOST_ORIGINS, read_origin

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
QUESTIONS = {
    ScaleName.HELPFUL: to_translate("Was this helpful?"),
    ScaleName.CSAT: to_translate("How satisfied are you?"),
    ScaleName.CES: to_translate("How easy was it to get done what you came for?"),
    ScaleName.NPS: to_translate("How likely are you to recommend us to a friend or colleague?"),
    ScaleName.STARS: to_translate("How would you rate your experience?"),
    ScaleName.TEXT: to_translate("What should we do better?"),
}
PROMPT_LOW = to_translate("What went wrong?")
PROMPT_HIGH = to_translate("What did you like, and what could be better?")
THANKS = to_translate(
    "A person reads what you wrote. When several people meet the same problem, a team takes it on, "
    "and everybody who left an address hears what was done about it."
)
USUAL = frozenset({*QUESTIONS.values(), PROMPT_LOW, PROMPT_HIGH, THANKS})
"""Texts of ours, which customers read in their language. What an admin wrote stays as it is."""


def add_survey(
    session: Session,
    *,
    slug: str,
    name: str,
    question: str,
    scale: ScaleName,
    now: datetime,
    prompt_low: str = "",
    prompt_high: str = "",
    thanks: str = "",
) -> Survey:
    """Add a survey that is open at once. Empty texts get good ones for the scale.

    Raises:
        ValueError: The slug is taken or cannot be part of an address.
    """
    if len(slug) > 80 or not SLUG.fullmatch(slug):
        raise ValueError(f"{slug[:80]!r} cannot be part of an address; use small letters, digits and single hyphens.")
    if session.scalar(select(Survey.id).where(Survey.slug == slug)):
        raise ValueError(f"There is a survey {slug} already.")
    survey = Survey(
        slug=slug,
        name=name or slug,
        question=question or QUESTIONS[scale],
        scale=scale,
        prompt_low=prompt_low or PROMPT_LOW,
        prompt_high=prompt_high or PROMPT_HIGH,
        thanks=thanks or THANKS,
        state=SurveyState.OPEN,
        created_at=now,
    )
    session.add(survey)
    session.flush()
    return survey


def allow_embedding(session: Session, survey: Survey, origins: Iterable[str]) -> None:
    """Say on whose pages a survey may stand in a frame; on all others, browsers refuse to show it.

    Args:
        origins: For example `https://www.example.com`. They take the place of the earlier ones; none means nowhere.

    Raises:
        ValueError: One cannot be used, or there are too many; the message says what to enter.
    """
    read = list(dict.fromkeys(read_origin(each) for each in origins))
    if len(read) > MOST_ORIGINS:
        raise ValueError(f"Enter at most {MOST_ORIGINS} addresses.")
    survey.embed_origins = read
    session.flush()
