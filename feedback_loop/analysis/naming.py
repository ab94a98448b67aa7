"""Names that people can read, taken from what customers wrote.

The name is the best clause of the most central statements: short, rich in the words that set the group apart
(c-TF-IDF, Grootendorst 2022), free of greetings and placeholders.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Sequence
from dataclasses import dataclass

from feedback_loop.analysis.words import FILLERS, LEADS_ON, STOP_WORDS

LONGEST_NAME = 60
_MOST_WORDS = 8
_FEWEST_WORDS = 3
_STATEMENTS_READ = 15
_LONGEST_READ = 1_000  # characters per statement; what comes later is rarely the point

_PLACEHOLDER = re.compile(r"\[[a-z ]{1,20}\]")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[.!?;:…。！？]+(?=\s|$)|[\n\r|•()\"“”«»]+|\s[-–—]+\s|,\s+")
_WORD = re.compile(r"[^\W_]+(?:['’\-&/][^\W_]+)*")

_FILLERS_BY_WORD: dict[str, list[tuple[str, ...]]] = {}
for _filler in FILLERS:
    _FILLERS_BY_WORD.setdefault(_filler[0], []).append(_filler)


@dataclass(frozen=True)
class Name:
    """What a group is called: a phrase of up to 60 characters, and the words that set it apart, best first."""

    phrase: str
    keywords: tuple[str, ...]


def name_group(texts: Sequence[str], keywords: Sequence[str], taken: Container[str] = ()) -> Name:
    """Name a group.

    Args:
        texts: statements of the group, most central first; about fifteen are enough.
        keywords: words or word pairs that set the group apart, best first; may be empty.
        taken: names in use. They are compared as they are and casefolded.

    Returns:
        A phrase not in ``taken``: a first capital, no closing punctuation, no placeholder, never only stop words
        unless the texts hold nothing else; and the cleaned keywords.
    """
    useful = tuple(dict.fromkeys(word for word in (k.strip() for k in keywords) if _says_something(word)))
    weights: dict[str, float] = {}
    for place, keyword in enumerate(useful[:10]):
        for word in _WORD.findall(keyword.casefold()):
            weights[word] = max(weights.get(word, 0.0), 1.0 / (1.0 + 0.35 * place))
    ranked: dict[str, float] = {}
    for place, text in enumerate(texts[:_STATEMENTS_READ]):
        for clause, cut in _clauses(text):
            value = _value(clause, weights) - 0.04 * place - (0.5 if cut else 0.0)
            phrase = _phrase(clause)
            if phrase and value > ranked.get(phrase, float("-inf")):
                ranked[phrase] = value
    for phrase in sorted(ranked, key=lambda p: (-ranked[p], p)):
        if not _in_use(phrase, taken):
            return Name(phrase, useful)
    best = max(ranked, key=lambda p: (ranked[p], p)) if ranked else ""
    return Name(_make_distinct(best, useful, texts, taken), useful)


def _clauses(text: str) -> list[tuple[list[str], bool]]:
    """The clauses of a statement as lists of words without filler at their edges; True where one was cut short."""
    clean = _LINK.sub(" ", _PLACEHOLDER.sub(" … ", unicodedata.normalize("NFC", text[:_LONGEST_READ])))
    clauses: list[tuple[list[str], bool]] = []
    for piece in _CLAUSE_END.split(clean.replace(" … ", ". ")):
        words = _WORD.findall(piece or "")
        words = _without_filler(words)
        if not words:
            continue
        cut = len(words) > _MOST_WORDS
        clauses.append((_trim(words[:_MOST_WORDS]) if cut else _grounded(words), cut))
    return clauses


def _without_filler(words: list[str]) -> list[str]:
    plain = [word.casefold().replace("’", "'") for word in words]
    start = 0
    moved = bool(words)
    while moved:
        moved = False
        for filler in _FILLERS_BY_WORD.get(plain[start], ()):  # longest first
            if tuple(plain[start : start + len(filler)]) == filler and start + len(filler) < len(plain):
                start += len(filler)
                moved = True
                break
    return words[start:]


def _grounded(words: list[str]) -> list[str]:
    """A whole clause without a last word that leads on to something: what followed was a quotation or a placeholder."""
    end = len(words)
    while end > 1 and words[end - 1].casefold() in LEADS_ON:
        end -= 1
    return words[:end]


def _trim(words: list[str]) -> list[str]:
    """Do not end in the air: drop stop words from a cut end."""
    end = len(words)
    while end > 1 and words[end - 1].casefold() in STOP_WORDS:
        end -= 1
    return words[:end]


def _value(words: list[str], weights: dict[str, float]) -> float:
    plain = [word.casefold() for word in words]
    told = {word for word in plain if word not in STOP_WORDS}
    if not told:
        return -10.0
    value = sum(weights.get(word, 0.0) for word in told)
    if len(words) < _FEWEST_WORDS:
        value -= 1.0 * (_FEWEST_WORDS - len(words))
    value += 0.5 * len(told) / len(words)  # dense clauses read better
    if any(character.isdigit() for word in words for character in word):
        value -= 0.4  # a name should not carry one customer's amount or date
    return value


def _phrase(words: list[str]) -> str:
    phrase = " ".join(words)
    while len(phrase) > LONGEST_NAME and len(words) > 1:
        words = _trim(words[:-1])
        phrase = " ".join(words)
    phrase = phrase[:LONGEST_NAME].strip()
    if not _says_something(phrase):
        return ""
    if phrase.isupper() and len(phrase) > 4:
        phrase = phrase.lower()
    return phrase[:1].upper() + phrase[1:]


def _make_distinct(best: str, keywords: Sequence[str], texts: Sequence[str], taken: Container[str]) -> str:
    """A name from what is left: keywords, then the best phrase with a keyword, then with a number."""
    from_keywords = _phrase(_WORD.findall(" ".join(keywords[:3])))
    if from_keywords and not _in_use(from_keywords, taken) and not best:
        return from_keywords
    fallback = next((p for p in (_phrase(_WORD.findall(text)[:_MOST_WORDS]) for text in texts) if p), "")
    words = [w for text in texts for w in _WORD.findall(_PLACEHOLDER.sub(" ", text))]
    base = best or from_keywords or fallback or " ".join(words[:_MOST_WORDS])[:LONGEST_NAME].strip().capitalize()
    base = base or "Unnamed complaint"
    for keyword in keywords:
        candidate = _fit(base, f" ({keyword})")
        if keyword.casefold() not in base.casefold() and not _in_use(candidate, taken):
            return candidate
    if not _in_use(base, taken):
        return base
    number = 2
    while _in_use(candidate := _fit(base, f" ({number})"), taken):
        number += 1
    return candidate


def _fit(base: str, ending: str) -> str:
    room = LONGEST_NAME - len(ending)
    if len(base) > room:
        base = base[: room + 1].rpartition(" ")[0] or base[:room]
    return base.rstrip() + ending


def _in_use(phrase: str, taken: Container[str]) -> bool:
    return phrase in taken or phrase.casefold() in taken


def _says_something(text: str) -> bool:
    return any(
        word.casefold() not in STOP_WORDS and any(c.isalpha() for c in word)
        for word in _WORD.findall(_PLACEHOLDER.sub(" ", text))
    )
