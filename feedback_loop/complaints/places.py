"""Where answers come from: counts by page, tag and language. Pure; the contexts come from `trends`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

PLACES = 8  # of each kind
PAGE, TAGS = ("page",), ("tags", "tag")
LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean",
    "lt": "Lithuanian", "lv": "Latvian", "nb": "Norwegian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian",
    "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A survey, page, tag or language that answers came from.

    Attributes:
        name: Empty where an answer says none.
        said: Answers from there that raised the complaint.
        heard: All answers with a comment from there.
        slug: Of a survey.
    """

    name: str
    said: int
    heard: int
    slug: str = ""


@dataclass(frozen=True)
class Places:
    """Where a complaint comes from, by one kind of place.

    Attributes:
        rows: The places with most answers that raised it, most first.
        more: How many further places there are.
        said: Answers that raised it and were looked at.
        heard: Answers with a comment that were looked at.
        is_sample: Whether these are the newest ones only, so that the two do not cover the same time.
    """

    rows: Sequence[Place]
    more: int
    said: int
    heard: int
    is_sample: bool

    @property
    def is_known(self) -> bool:
        """Whether any answer says where it comes from."""
        return any(row.name for row in self.rows)


@dataclass(frozen=True)
class Origin:
    """Where one answer came from."""

    language: str | None
    context: dict[str, Any]


def by_place(
    ours: Sequence[Origin], everybody: Sequence[Origin], names: Callable[[Origin], Iterable[str]], is_sample: bool
) -> Places:
    """Count answers by place; one that names several counts for each, one that names none for none."""
    said = Counter(name for origin in ours for name in set(names(origin)) or {""})
    heard = Counter(name for origin in everybody for name in set(names(origin)) or {""})
    rows = sorted(said, key=lambda name: (name == "", -said[name], name))
    named = [name for name in rows if name]
    shown = named[:PLACES] + [name for name in rows if not name]
    return Places(
        [Place(name, said[name], heard[name]) for name in shown],
        len(named[PLACES:]),
        len(ours),
        len(everybody),
        is_sample,
    )


def values_of(context: dict[str, Any], keys: Sequence[str]) -> list[Any]:
    """What a context says under some keys, in capital or small letters."""
    return [value for key, value in context.items() if value and (key in keys or key.strip().casefold() in keys)]


def pages_of(origin: Origin) -> list[str]:
    """The page an answer came from, without what follows `?` or `#`, which differs from visit to visit."""
    for value in values_of(origin.context, PAGE):
        page = str(value).partition("#")[0].partition("?")[0].strip()
        return [page[:200]] if page else []
    return []


def tags_of(origin: Origin) -> list[str]:
    """The tags of an answer, from a list or from a text with commas."""
    tags: list[str] = []
    for value in values_of(origin.context, TAGS):
        parts = value if isinstance(value, list) else str(value).replace(";", ",").split(",")
        tags += [str(part).strip()[:80] for part in parts if part is not None]
    return [tag for tag in dict.fromkeys(tags) if tag]


def languages_of(origin: Origin) -> list[str]:
    """The language of an answer by its English name, or its code where we know no name."""
    return [LANGUAGES.get(origin.language, origin.language)] if origin.language else []
