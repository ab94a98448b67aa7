"""For whom a change holds: everybody, or those of one page, tag, release or language. Pure."""

from __future__ import annotations

from typing import Any

from feedback_loop.actions.models import Segment
from feedback_loop.complaints.places import LANGUAGES, Origin, pages_of, tags_of, values_of
from feedback_loop.languages import LANGUAGES as OWN_NAMES

RELEASE = ("release", "version")


def inside(segment: Segment, value: str, context: dict[str, Any], language: str | None) -> bool:
    """Whether an experience is of those for whom a change holds. Capital and small letters are alike.

    Args:
        segment: What tells them apart.
        value: Which page, tag, release or language; a page without what follows `?`, a language by its code, its
            English name or its own.
        context: Of the answer that tells of the experience.
        language: In which it was told, as a code; None where it cannot be told.
    """
    wanted = value.strip().casefold()
    if segment == Segment.ALL:
        return True
    if segment == Segment.LANGUAGE:
        code = (language or "").casefold()
        names = (code, LANGUAGES.get(code, "").casefold(), OWN_NAMES.get(code, "").casefold())
        return bool(code and wanted) and wanted in names
    origin = Origin(language, context)
    if segment == Segment.PAGE:
        found = pages_of(origin)
        wanted = wanted.partition("#")[0].partition("?")[0].strip()
    elif segment == Segment.TAG:
        found = tags_of(origin)
    else:
        found = [str(each).strip() for each in values_of(context, RELEASE)]
    return any(each.casefold() == wanted for each in found)


def in_words(segment: Segment, value: str) -> str:
    """For whom it holds, such as `the page /checkout`."""
    if segment == Segment.ALL:
        return "everybody"
    if segment == Segment.LANGUAGE:
        return f"the language {LANGUAGES.get(value.strip().casefold(), value)}"
    return f"the {segment.value} {value}"
