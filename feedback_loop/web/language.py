"""In which language a page speaks. Pages for customers speak the reader's; those for staff speak English.

A reader who chooses a language carries it along in the address (`?lang=de`), since customers get no cookie: every link,
form and redirect from one customer page to another repeats it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Flask, current_app, g, has_request_context, request, session
from flask_babel import Babel, refresh

from feedback_loop import languages

CHOICE = "lang"


def is_for_customers(endpoint: str | None) -> bool:
    """Whether customers meet this page. Where there is none, whoever is not signed in may be one."""
    if endpoint is None or endpoint == "static":
        return "_user_id" not in session
    blueprints: Collection[str] = current_app.extensions["customer_blueprints"]
    access = getattr(current_app.view_functions[endpoint], "access", None)
    return endpoint.partition(".")[0] in blueprints and access == "public"


def chosen() -> str:
    """The language that the reader has chosen on the page; empty without a choice."""
    return languages.known(request.args.get(CHOICE, ""))


def speak(*stored: str) -> None:
    """Speak to a reader of whom we know something.

    Args:
        stored: Languages we have on record, the weightiest first; may be empty. What the reader has chosen goes before
            them, what the browser asks for comes after.
    """
    g.language = languages.choose(chosen(), *stored, accepted=request.accept_languages)
    refresh()


def language() -> str:
    """The language of the page."""
    if not has_request_context():
        return languages.SOURCE
    if "language" not in g:
        g.language = languages.SOURCE
        if is_for_customers(request.endpoint):
            g.language = languages.choose(chosen(), accepted=request.accept_languages)
    found: str = g.language
    return found


def same_page_in(code: str) -> str:
    """The address of this page in another language, without what stands before its query."""
    rest = [(name, value) for name, value in request.args.items(multi=True) if name != CHOICE]
    return "?" + urlencode([*rest, (CHOICE, code)])


def keep_choice(endpoint: str, values: dict[str, Any]) -> None:
    """Carry the reader's choice along to other pages for customers."""
    if (
        has_request_context()
        and chosen()
        and endpoint != "static"
        and is_for_customers(request.endpoint)
        and is_for_customers(endpoint)
    ):
        values.setdefault(CHOICE, chosen())


def as_day(value: datetime) -> str:
    """A date in the language of the page."""
    return languages.as_day(value, language())


def as_number(value: int) -> str:
    """A number in the language of the page."""
    return languages.as_number(value, language())


def init_app(app: Flask, customer_blueprints: Collection[str]) -> None:
    """Let the pages of these blueprints that are public speak the language of their readers."""
    app.extensions["customer_blueprints"] = frozenset(customer_blueprints)
    Babel(app, default_locale=languages.SOURCE, locale_selector=language)
    # White space around translated sentences is of the template, not of the text.
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.filters["day"] = as_day
    app.jinja_env.globals.update(
        page_language=language,
        direction=languages.direction,
        languages=languages.LANGUAGES,
        same_page_in=same_page_in,
    )
    app.url_defaults(keep_choice)
