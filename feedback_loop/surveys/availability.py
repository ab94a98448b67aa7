"""Whether a survey takes answers, and if not, why. Decided here for every way in which an answer can come."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from feedback_loop.surveys.models import Survey, SurveyState


class Availability(StrEnum):
    """Where a survey stands for those who want to answer it."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    OPEN = "open"
    PAUSED = "paused"
    ENDED = "ended"
    FULL = "full"
    ARCHIVED = "archived"


NOT_PUBLIC_YET = (Availability.DRAFT, Availability.SCHEDULED)

STANDINGS = {
    Availability.DRAFT: "Draft",
    Availability.SCHEDULED: "Opens later",
    Availability.OPEN: "Open",
    Availability.PAUSED: "Paused",
    Availability.ENDED: "Ended",
    Availability.FULL: "Full",
    Availability.ARCHIVED: "Archived",
}
"""For lists of staff."""

REASONS = {
    Availability.DRAFT: "This survey is a draft. Publish it first.",
    Availability.SCHEDULED: "This survey is not open yet. Wait for its day, or change it in the editor.",
    Availability.PAUSED: "This survey is paused. Open it again first.",
    Availability.ENDED: "This survey has ended. Give it a later day in the editor first.",
    Availability.FULL: "This survey has as many answers as it takes. Raise its limit in the editor first.",
    Availability.ARCHIVED: "This survey is archived. Bring it back first.",
}
"""Why nobody can be asked, and what to do about it."""


def availability(survey: Survey, now: datetime, is_full: bool = False) -> Availability:
    """Decide whether a survey takes answers. What a person did goes before what a clock or a count did.

    Args:
        survey: Its state, dates and times only.
        now: The present moment.
        is_full: Whether it has as many answers as its limit allows.
    """
    if survey.archived_at is not None:
        return Availability.ARCHIVED
    if survey.published_at is None:
        return Availability.DRAFT
    if survey.state == SurveyState.CLOSED:
        return Availability.PAUSED
    if survey.closes_at is not None and survey.closes_at <= now:
        return Availability.ENDED
    if survey.opens_at is not None and survey.opens_at > now:
        return Availability.SCHEDULED
    return Availability.FULL if is_full else Availability.OPEN
