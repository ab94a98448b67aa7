"""The languages in which customers are spoken to: which there are, which one a reader gets, how dates are written.

Knows no web: mails are written by the worker. `web/language.py` asks for the reader's language on pages. Texts lie in
`translations/<language>/LC_MESSAGES/messages.po`; `tools/catalogues.py` keeps them in step with code and templates.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from functools import cache

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations

from feedback_loop.settings import PACKAGE

SOURCE = "en"  # in which the texts are written in code and templates
LANGUAGES = {
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "pt": "Português",
    "it": "Italiano",
    "nl": "Nederlands",
    "pl": "Polski",
    "ar": "العربية",
    "ja": "日本語",
}
"""Each by its own name, in the order in which readers find them."""
RIGHT_TO_LEFT = frozenset({"ar"})
CATALOGUES = PACKAGE / "translations"


ENGLISH_NAMES = {code: str(Locale(code).get_language_name("en")) for code in LANGUAGES}
"""For sentences of pages that colleagues read."""


def to_translate(text: str) -> str:
    """Mark a text for the catalogues where it stands; it is translated where it is shown."""
    return text


def known(code: str) -> str:
    """The language meant by a code such as `de`, `DE` or `de-AT`; empty when it is none of ours."""
    primary = code.strip().lower().replace("_", "-").partition("-")[0]
    return primary if primary in LANGUAGES else ""


def choose(*codes: str, accepted: Iterable[tuple[str, float]] = ()) -> str:
    """In which language to speak to a reader.

    Args:
        codes: What is known of the reader, the weightiest first; empty ones and languages not ours are passed over.
        accepted: Languages and their weights as the browser names them, the most wanted first; 0 means "not this one".
    """
    wanted = (code for code, weight in accepted if weight > 0)
    return next((language for code in (*codes, *wanted) if (language := known(code))), SOURCE)


def direction(language: str) -> str:
    """`rtl` where one reads from right to left, else `ltr`: the values of the attribute `dir`."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def as_day(value: datetime | date, language: str) -> str:
    """A date as one reads it in a sentence: `12 October 2026`, `12. Oktober 2026`."""
    return format_date(value, "long", locale="en_GB" if language == SOURCE else language)


def as_number(value: int, language: str) -> str:
    """`4,213`, `4.213`."""
    return format_decimal(value, locale=language)


@cache
def translations(language: str) -> NullTranslations:
    """The catalogue of a language; of the source language one that changes nothing."""
    return Translations.load(CATALOGUES, [language])
