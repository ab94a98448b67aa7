"""What is kept of an answer to an anonymous survey. Whatever could lead from it to a person is dropped before anything
is written; see ADR 12."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from feedback_loop.clock import day_of
from feedback_loop.surveys.models import Survey

KEPT_CONTEXT = ("page", "tags")
FEWEST = 5  # answers from which on staff see where anonymous ones came from

REFUSAL = (
    "This survey is anonymous: an invitation would say who answers, so there are none. "
    "Put its link, which is the same for everybody, into a mail or on a page."
)


def kept_time(survey: Survey, moment: datetime) -> datetime:
    """The time that is stored: for an anonymous survey only the day."""
    return day_of(moment) if survey.is_anonymous else moment


def kept_context(survey: Survey, context: Mapping[str, Any]) -> dict[str, Any]:
    """Where an answer came from: for an anonymous survey the page, without what follows its address, and the tags."""
    if not survey.is_anonymous:
        return dict(context)
    kept = {name: context[name] for name in KEPT_CONTEXT if name in context}
    if isinstance(kept.get("page"), str):
        kept["page"] = kept["page"].partition("#")[0].partition("?")[0]
    return {name: value for name, value in kept.items() if value}


def new_id(survey: Survey) -> dict[str, int]:
    """The id of a new answer, where it must not say in which order answers came; otherwise the database counts.

    Below zero, so that on SQLite the ids of other answers go on growing from where they are.
    """
    return {"id": -1 - secrets.randbelow(2**52)} if survey.is_anonymous else {}
