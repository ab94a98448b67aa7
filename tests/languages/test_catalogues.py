"""Every text that customers read stands in every catalogue, translated; nothing in their templates stands outside."""

from __future__ import annotations

import gettext
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages import Message
from jinja2 import Environment, nodes

from feedback_loop.languages import CATALOGUES, LANGUAGES, SOURCE
from feedback_loop.web.errors import MESSAGES
from tools.catalogues import TARGETS, compiled, extract, is_translated, po_file, read

ROOT = Path(__file__).parents[2]
RUN_IT = "run: .venv/bin/python tools/catalogues.py"
NOT_PAGES_OF_CUSTOMERS = {
    "responses/original.html",
    "responses/readings.html",
    "responses/unconfirmed.html",
    "errors/403.html",
}
PAGES = sorted(
    str(path.relative_to(ROOT / "templates"))
    for pattern in (
        "responses/*.html", "followups/*.html", "unsubscribe/*.html", "errors/*.html", "layouts/public.html",
        "email/*/*.html", "email/*/*.txt",
    )
    for path in (ROOT / "templates").glob(pattern)
    if str(path.relative_to(ROOT / "templates")) not in NOT_PAGES_OF_CUSTOMERS
    if not path.parent.name.startswith("staff_")  # mails to colleagues are English
)  # fmt: skip


def forms(message: Message) -> list[str]:
    """The translations of a text: one, or one for each plural form."""
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


@pytest.mark.parametrize("language", TARGETS)
def test_a_catalogue_holds_exactly_the_texts_of_the_product_and_translates_each(language: str) -> None:
    wanted = {message.id for message in extract() if message.id}
    found = {message.id: message for message in read(language) if message.id}
    assert wanted == set(found), f"{language} is not in step with code and templates; {RUN_IT}"
    assert [id for id, message in found.items() if not is_translated(message)] == []
    assert [id for id, message in found.items() if message.fuzzy] == []
    assert not read(language).obsolete


@pytest.mark.parametrize("language", TARGETS)
def test_translations_keep_placeholders_marks_and_ends(language: str) -> None:
    for message in read(language):
        if not message.id:
            continue
        originals = [message.id] if isinstance(message.id, str) else list(message.id)
        for text in forms(message):
            for pattern in (r"%\(\w+\)s", r"</?\w+>"):
                # A form may say "a day" or "3 days" where its language does, as English does in either of its two.
                assert sorted(re.findall(pattern, text)) in [sorted(re.findall(pattern, each)) for each in originals], (
                    text
                )
            assert not re.search(r"%(?!\(\w+\)s)", text), f"a lone % breaks the page: {text}"
            assert text == text.strip()
            if originals[0].endswith("?") and language != "ja":  # there a question may be a polite request
                assert text.endswith(("?", "؟")), text


@pytest.mark.parametrize("language", TARGETS)
def test_every_plural_form_of_the_language_is_written(language: str) -> None:
    catalogue = read(language)
    expected = {"pl": 3, "ar": 6, "ja": 1}.get(language, 2)
    assert catalogue.num_plurals == expected
    plurals = [message for message in catalogue if message.id and not isinstance(message.id, str)]
    assert plurals
    assert {len(forms(message)) for message in plurals} == {expected}


@pytest.mark.parametrize(
    ("language", "days", "words"),
    [
        ("en", 1, "after 1 day."), ("en", 30, "after 30 days."), ("pl", 1, "po 1 dniu"), ("pl", 22, "po 22 dniach"),
        ("ar", 2, "بعد يومين"), ("ar", 5, "بعد 5 أيام"), ("ar", 30, "بعد 30 يومًا"), ("ar", 100, "بعد 100 يوم."),
        ("ja", 30, "30日後"), ("fr", 1, "après 1 jour."),
    ],
)  # fmt: skip
def test_numbers_take_their_plural(language: str, days: int, words: str) -> None:
    from feedback_loop.languages import translations

    (one, many) = next(m.id for m in extract() if isinstance(m.id, tuple) and "destroyed after" in m.id[0])
    assert words in translations(language).ungettext(one, many, days) % {"days": days}


@pytest.mark.parametrize("language", TARGETS)
def test_what_programs_read_is_what_people_wrote(language: str) -> None:
    def texts(file: io.BufferedIOBase) -> dict[object, str]:
        catalogue: dict[object, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[arg-type, attr-defined]
        return {id: text for id, text in catalogue.items() if id}

    with po_file(language).with_suffix(".mo").open("rb") as file:
        assert texts(file) == texts(io.BytesIO(compiled(read(language)))), f"messages.mo is out of date; {RUN_IT}"


def test_there_is_a_catalogue_for_each_language_and_none_besides() -> None:
    assert {path.name for path in CATALOGUES.iterdir()} == set(LANGUAGES) - {SOURCE}


def test_texts_for_errors_that_customers_meet_are_marked() -> None:
    marked = {message.id for message in extract()}
    assert [code for code, text in MESSAGES.items() if text not in marked] == [403]


class Visible(HTMLParser):
    """The words that a person sees or hears on a page."""

    HUMAN = frozenset({"alt", "title", "placeholder", "aria-label", "label"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in self.HUMAN]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def printed(node: nodes.Node) -> Iterator[str]:
    """Literal texts that an expression puts on the page, other than by way of a catalogue."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, nodes.CondExpr):
        yield from printed(node.expr1)
        if node.expr2 is not None:
            yield from printed(node.expr2)
    elif isinstance(node, nodes.Concat):
        for part in node.nodes:
            yield from printed(part)
    elif isinstance(node, nodes.BinExpr):
        yield from printed(node.left)
        yield from printed(node.right)
    elif isinstance(node, nodes.Filter) and node.node is not None:
        yield from printed(node.node)
    elif isinstance(node, nodes.Call):
        name = node.node.name if isinstance(node.node, nodes.Name) else ""
        if name not in {"_", "gettext", "ngettext"}:
            # Names of fields and ids are passed about; sentences and labels are what has a space or a capital.
            yield from (text for each in node.args for text in printed(each) if re.search(r"^[A-Z]|\w \w", text))


def outside(source: str, name: str) -> list[str]:
    """Words of a template that stand outside gettext."""
    environment = Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True, autoescape=True)
    tree = environment.parse(source)
    flat, literal = [], []
    for output in tree.find_all((nodes.Output, nodes.Assign)):
        for part in output.nodes if isinstance(output, nodes.Output) else [output.node]:
            if isinstance(part, nodes.TemplateData):
                flat.append(part.data)
            else:
                literal += printed(part)
    if name.endswith(".html"):
        page = Visible()
        page.feed("".join(flat))
        page.close()
        flat = page.found
    # What an expression prints into a tag (an id, a class, a side) is no word for people.
    shown = [*flat, *(text for text in literal if re.search(r"[A-Z]\w|\w \w", text))]
    return [text.strip() for text in shown if re.search(r"[^\W\d_]{2}", text)]


@pytest.mark.parametrize("name", PAGES)
def test_no_words_of_a_template_for_customers_stand_outside_the_catalogues(name: str) -> None:
    assert outside((ROOT / "templates" / name).read_text(), name) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        "<p>{{ 'Send again' if a else _('Send') }}</p>",
        "<img alt='A star'>",
        "{% macro button(label) %}{{ label }}{% endmacro %}{{ button('Yes, I can') }}",
        "{% set question = 'Is it so?' %}{{ question }}",
        "{% if a %}{{ 'settled' ~ ' for now' }}{% endif %}",
    ],
)
def test_words_outside_the_catalogues_are_found(source: str) -> None:
    assert outside(source, "page.html")


def test_words_inside_the_catalogues_are_not_reported() -> None:
    source = "<p class='{{ 'low' if a }}'>{% trans %}Hello{% endtrans %} {{ _('you') }} 4 = {{ b('ids-error') }}</p>"
    assert outside(source, "page.html") == []
