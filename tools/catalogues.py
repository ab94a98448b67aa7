"""Keep the catalogues of customer texts in step with code and templates.

    .venv/bin/python tools/catalogues.py

extracts every marked text, brings each `feedback_loop/translations/<language>/LC_MESSAGES/messages.po` up to date (what
is new stands there untranslated, what is gone is removed) and compiles it to the `messages.mo` beside it. Both are
committed, so that a wheel and a checkout hold all they need; tests hold them equal. After a merge that quarrels about a
`.mo`, run it again.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from feedback_loop.languages import CATALOGUES, LANGUAGES, SOURCE

ROOT = Path(__file__).parents[1]
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "to_translate": None,
}
SOURCES: tuple[tuple[str, list[tuple[str, str]], dict[str, str]], ...] = (
    ("feedback_loop", [("**.py", "python")], {}),
    ("templates", [("**.html", "jinja2"), ("**.txt", "jinja2")], {"trimmed": "true", "silent": "false"}),
)
TARGETS = [language for language in LANGUAGES if language != SOURCE]
MADE = datetime(2026, 1, 1, tzinfo=UTC)  # the same in each run, so that only texts make a difference


def extract() -> Catalog:
    """Everything marked for translation, with the files in which it stands."""
    found = Catalog(project="feedback-loop", charset="utf-8", creation_date=MADE, revision_date=MADE, fuzzy=False)
    for folder, methods, options in SOURCES:
        chosen = {pattern: options for pattern, _ in methods}
        texts = extract_from_dir(ROOT / folder, methods, chosen, keywords=KEYWORDS)
        for name, _line, message, _comments, _context in texts:
            found.add(message, locations=[(f"{folder}/{name}", 0)])
    return found


def po_file(language: str) -> Path:
    """Where the texts of a language are written by people."""
    return CATALOGUES / language / "LC_MESSAGES" / "messages.po"


def read(language: str) -> Catalog:
    """The catalogue of a language, empty when it has no file yet."""
    path = po_file(language)
    if not path.exists():
        return Catalog(language, project="feedback-loop", charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def compiled(catalogue: Catalog) -> bytes:
    """A catalogue as programs read it."""
    stream = io.BytesIO()
    write_mo(stream, catalogue)
    return stream.getvalue()


def update(language: str, texts: Catalog) -> int:
    """Bring a language up to date and compile it.

    Returns:
        How many of its texts wait for a translation.
    """
    catalogue = read(language)
    catalogue.update(texts, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.creation_date = catalogue.revision_date = MADE
    catalogue.version = catalogue.msgid_bugs_address = catalogue.last_translator = catalogue.language_team = ""
    catalogue.header_comment = f"# Customer texts in {LANGUAGES[language]}. See tools/catalogues.py."
    path = po_file(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalogue, width=120, include_lineno=False, sort_by_file=True)
    path.with_suffix(".mo").write_bytes(compiled(catalogue))
    return sum(1 for message in read(language) if message.id and not is_translated(message))


def is_translated(message: Message) -> bool:
    """Whether a text has its translation, in every plural form that the language has."""
    forms = [message.string] if isinstance(message.string, str) else message.string or [""]
    return all(forms)


def main() -> int:
    """Update every language; ends with 1 while texts wait for a translation."""
    texts = extract()
    waiting = {language: update(language, texts) for language in TARGETS}
    for language, count in waiting.items():
        print(f"{language}: {len(texts)} texts" + (f", {count} not translated yet" if count else ""))
    return 1 if any(waiting.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
