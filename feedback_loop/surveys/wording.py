"""The texts of a survey: the usual ones, those an admin wrote, and both in the language of whoever reads them.

A *wording* is everything an admin can edit and customers read, as a plain mapping: of the published survey, of its
draft, or of a version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from feedback_loop.languages import ENGLISH_NAMES, LANGUAGES
from feedback_loop.surveys.models import ScaleName, Survey
from feedback_loop.surveys.scales import SCALES, THANKS, USUAL

TEXTS = ("question", "prompt_low", "prompt_high", "thanks", "thanks_low")
"""What an admin writes and may translate."""
EDITED = (*TEXTS, "language", "translations", "tags", "scale", "reply_days")
"""What a draft may hold and a publication makes count."""
NAMES = {
    "question": "question",
    "prompt_low": "question after a low score",
    "prompt_high": "question after a high score",
    "thanks": "thanks",
    "thanks_low": "thanks after a low score",
    "language": "language",
    "translations": "translations",
    "tags": "tags",
    "scale": "scale",
    "reply_days": "days until somebody reads it",
}
"""For colleagues."""
MOST_TAGS = 12
LONGEST_TAG = 40


def usual(name: str, scale: ScaleName) -> str:
    """The text we suggest where an admin writes none; empty where there is none."""
    of = SCALES[scale]
    texts = {"question": of.question, "prompt_low": of.prompt_low, "prompt_high": of.prompt_high, "thanks": THANKS}
    return texts.get(name, "")


def text_in(survey: Survey, name: str, language: str) -> str:
    """One text of a survey in a language: as an admin translated it, else in the survey's own language.

    Args:
        name: One of `TEXTS`.
        language: A code of `feedback_loop.languages`.
    """
    translated: Mapping[str, Any] = survey.translations.get(language) or {}
    own: str = getattr(survey, name)
    return str(translated.get(name) or own)


def question_of(wording: Mapping[str, Any], language: str) -> str:
    """The question of a wording in a language: as it was translated, else in the survey's own language."""
    return str((wording["translations"].get(language) or {}).get("question") or wording["question"])


def tags_in(survey: Survey, language: str) -> list[tuple[str, str]]:
    """The tags of a survey: each as it is stored, and as a reader of this language reads it."""
    translated: Mapping[str, str] = (survey.translations.get(language) or {}).get("tags") or {}
    return [(tag, translated.get(tag) or tag) for tag in survey.tags]


def translated_questions(survey: Survey) -> dict[str, str]:
    """The question as an admin translated it, by language."""
    return {code: texts["question"] for code, texts in survey.translations.items() if texts.get("question")}


def worded(survey: Survey) -> dict[str, Any]:
    """The published wording, as a version keeps it."""
    return {name: getattr(survey, name) for name in EDITED} | {"scale": survey.scale.value}


def drafted(survey: Survey) -> dict[str, Any]:
    """The wording that a publication would make count: what was changed, over what is published."""
    return worded(survey) | (survey.draft or {})


def fingerprint(survey: Survey) -> str:
    """A few letters that change with the version and the draft: who saves says from which they started."""
    known = json.dumps([survey.version, survey.published_at is None, drafted(survey)], sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def missing(wording: Mapping[str, Any], language: str) -> list[str]:
    """What a reader of a language would not read in it, in words for colleagues. Usual texts are ours to translate.

    Args:
        wording: Of a survey, a draft or a version.
        language: A code of `feedback_loop.languages`.
    """
    if language == wording["language"]:
        return []
    texts: Mapping[str, Any] = wording["translations"].get(language) or {}
    tags: Mapping[str, str] = texts.get("tags") or {}
    return [
        *(NAMES[n] for n in TEXTS if wording[n] and wording[n] not in USUAL and not texts.get(n)),
        *(f"tag “{tag}”" for tag in wording["tags"] if not tags.get(tag)),
    ]


def gaps(wording: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is missing, by language; only languages in which something is."""
    return {code: found for code in LANGUAGES if (found := missing(wording, code))}


def read_tags(text: str) -> list[str]:
    """Read tags, one a line; empty lines and repetitions are passed over.

    Raises:
        ValueError: There are too many, or one is too long; the message says what to do.
    """
    tags = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if len(tags) > MOST_TAGS:
        raise ValueError(f"Enter at most {MOST_TAGS} tags; these are {len(tags)}.")
    for tag in tags:
        if len(tag) > LONGEST_TAG:
            raise ValueError(f"Shorten “{tag[:LONGEST_TAG]}…” to at most {LONGEST_TAG} characters.")
    return tags


def tidied(wording: Mapping[str, Any]) -> dict[str, Any]:
    """A wording with the usual texts where nothing was written, and without translations of what is not there."""
    scale = ScaleName(wording["scale"])
    tidy = {**wording, **{name: wording[name] or usual(name, scale) for name in TEXTS}}
    # Whoever left the usual question of a scale alone means the usual one of another scale, too.
    if wording["question"] in USUAL:
        tidy["question"] = usual("question", scale)
    kept: dict[str, dict[str, Any]] = {}
    for code, texts in wording["translations"].items():
        tags = {tag: texts["tags"][tag] for tag in wording["tags"] if (texts.get("tags") or {}).get(tag)}
        said = {name: texts[name] for name in TEXTS if texts.get(name)} | ({"tags": tags} if tags else {})
        if said and code != wording["language"]:
            kept[code] = said
    return tidy | {"translations": kept}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What one wording says otherwise than another: the name of each text, and how it read before and after."""
    found = [
        (NAMES[name].capitalize(), shown(before.get(name)), shown(after.get(name)))
        for name in EDITED
        if name != "translations" and shown(before.get(name)) != shown(after.get(name))
    ]
    old, new = before.get("translations") or {}, after.get("translations") or {}
    for code, language in ENGLISH_NAMES.items():
        was, now = old.get(code) or {}, new.get(code) or {}
        found += [
            (f"{language}: {NAMES[name]}", shown(was.get(name)), shown(now.get(name)))
            for name in (*TEXTS, "tags")
            if shown(was.get(name)) != shown(now.get(name))
        ]
    return found


def shown(value: Any) -> str:
    """A part of a wording as one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{own} = {other}" for own, other in sorted(value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(value)
    return "" if value is None else str(value)
