"""Verbs on surveys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.surveys.models import ScaleName, Survey, SurveyLogo, SurveyState, SurveyVersion
from feedback_loop.surveys.origins import MOST_ORIGINS, read_origin
from feedback_loop.surveys.theme import Logo, check_accent
from feedback_loop.surveys.wording import EDITED, drafted, fingerprint, tidied, usual, worded

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
DRAFT_GONE = "There is nothing to publish: the draft says what is published already."


class Refused(ValueError):
    """Something is not done; says why."""


class ChangedMeanwhile(Refused):
    """Somebody else changed the survey since the page was opened."""

    def __init__(self) -> None:
        super().__init__(
            "Somebody else changed this survey while you had it open, so nothing was saved. What you typed is still "
            "here. Open the editor in a second tab to see theirs, then save again to replace it with yours."
        )


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
    is_anonymous: bool = False,
    is_published: bool = True,
) -> Survey:
    """Add a survey. Empty texts get good ones for the scale.

    Args:
        is_anonymous: Whether it keeps nothing about who answers. Settled for good: people were promised that.
        is_published: Whether it takes answers at once; otherwise it is a draft until it is published.

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
        question=question or usual("question", scale),
        scale=scale,
        prompt_low=prompt_low or usual("prompt_low", scale),
        prompt_high=prompt_high or usual("prompt_high", scale),
        thanks=thanks or usual("thanks", scale),
        state=SurveyState.OPEN,
        is_anonymous=is_anonymous,
        created_at=now,
    )
    session.add(survey)
    session.flush()
    if is_published:
        note_version(session, survey, None, now)
    return survey


def note_version(session: Session, survey: Survey, by: User | None, now: datetime) -> None:
    """Keep the wording that customers read from now on."""
    survey.published_at = survey.published_at or now
    session.add(
        SurveyVersion(
            survey_id=survey.id,
            number=survey.version,
            wording=worded(survey),
            published_at=now,
            published_by_id=by.id if by else None,
        )
    )
    session.flush()


def lock(session: Session, survey: Survey, seen: str) -> None:
    """Read a survey anew and hold it.

    Args:
        seen: Its fingerprint when the page was opened.

    Raises:
        ChangedMeanwhile: It is another one now.
    """
    session.refresh(survey, with_for_update=True)
    if fingerprint(survey) != seen:
        raise ChangedMeanwhile


def save_draft(session: Session, survey: Survey, wording: Mapping[str, Any], seen: str, *, has_answers: bool) -> None:
    """Keep what an admin changed. Customers read it once it is published; of a survey never published, never before.

    Args:
        wording: All of `EDITED`, as typed.
        seen: The fingerprint that the page was opened with.
        has_answers: Whether anybody has answered.

    Raises:
        ChangedMeanwhile: Somebody else saved or published since.
        Refused: The scale was changed, and there are answers.
    """
    lock(session, survey, seen)
    tidy = {name: tidied(wording)[name] for name in EDITED}
    may_use_scale(survey, tidy, has_answers=has_answers)
    survey.draft = tidy if tidy != worded(survey) else None
    session.flush()


def may_use_scale(survey: Survey, wording: Mapping[str, Any], *, has_answers: bool) -> None:
    """Refuse another scale where there are answers.

    Raises:
        Refused: There are.
    """
    if has_answers and wording["scale"] != survey.scale.value:
        raise Refused(
            "The scale stays: answers on two scales could not be counted together. Make a new survey to ask on another."
        )


def discard_draft(session: Session, survey: Survey, seen: str) -> None:
    """Throw away what was changed and not published.

    Raises:
        ChangedMeanwhile: Somebody else saved or published since.
    """
    lock(session, survey, seen)
    survey.draft = None
    session.flush()


def publish(session: Session, survey: Survey, seen: str, by: User, now: datetime, *, has_answers: bool) -> int:
    """Let customers read the draft from now on. Answers given before keep the version that they saw.

    Args:
        seen: The fingerprint that the page was opened with.
        by: Who publishes.
        has_answers: Whether anybody has answered.

    Returns:
        The number of the version.

    Raises:
        ChangedMeanwhile: Somebody else saved or published since.
        Refused: It says what is published already, or asks on another scale although there are answers.
    """
    lock(session, survey, seen)
    is_first = survey.published_at is None
    if survey.draft is None and not is_first:
        raise Refused(DRAFT_GONE)
    wording = drafted(survey)
    may_use_scale(survey, wording, has_answers=has_answers)
    for name in EDITED:
        setattr(survey, name, ScaleName(wording[name]) if name == "scale" else wording[name])
    survey.draft = None
    survey.version += 0 if is_first else 1
    note_version(session, survey, by, now)
    return survey.version


def schedule(
    session: Session,
    survey: Survey,
    opens_at: datetime | None,
    closes_at: datetime | None,
    answer_limit: int | None,
) -> None:
    """Say from when until when a survey takes answers, and how many.

    Raises:
        Refused: It would end before it opens, or take none.
    """
    if opens_at and closes_at and closes_at <= opens_at:
        raise Refused("Enter an end that comes after the beginning.")
    if answer_limit is not None and answer_limit < 1:
        raise Refused("Enter a limit of at least 1, or leave it empty for none.")
    survey.opens_at, survey.closes_at, survey.answer_limit = opens_at, closes_at, answer_limit
    session.flush()


def archive(session: Session, survey: Survey, now: datetime | None) -> None:
    """Put a survey away, or with None bring it back. Its answers stay; its links say that it is closed."""
    survey.archived_at = now
    session.flush()


def dress(session: Session, survey: Survey, accent: str, logo: Logo | None, *, without_logo: bool = False) -> None:
    """Give the pages of a survey a colour and a picture.

    Args:
        accent: `#rrggbb`; empty for the usual one.
        logo: Takes the place of the one it has; None leaves it.
        without_logo: Take the one it has away.

    Raises:
        TooFaint: White text on the colour could not be read.
        ValueError: It is no colour.
    """
    survey.accent = check_accent(accent)
    kept = session.get(SurveyLogo, survey.id)
    if kept is not None and (without_logo or logo is not None):
        session.delete(kept)
        survey.logo_digest = ""
        session.flush()
    if logo is not None:
        session.add(SurveyLogo(survey_id=survey.id, media_type=logo.media_type, data=logo.data))
        survey.logo_digest = logo.digest
    session.flush()


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
