"""Names that people can read, taken from what customers wrote.

The name is the best clause of the most central statements: short, rich in the words that set the group apart
(c-TF-IDF, Grootendorst 2022) and in words that many of the statements share, free of greetings and placeholders. A
whole sentence that states the problem is better than a question, a question better than half a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Sequence
from dataclasses import dataclass

from feedback_loop.analysis.words import (
    ASKING,
    CONJUNCTIONS,
    FILLERS,
    FIRST_PERSON,
    INVERTED,
    LEADS_ON,
    POINTS_BACK,
    PREPOSITIONS,
    STOP_WORDS,
    SUBORDINATE,
    TRAILERS,
    WHYS,
)

LONGEST_NAME = 60
_MOST_WORDS = 8
_FEWEST_WORDS = 3
_STATEMENTS_READ = 15
_LONGEST_READ = 1_000  # characters per statement; what comes later is rarely the point

# What a clause loses, next to the weight of a keyword (1 for the first, 0.2 for the tenth).
_PART = 0.25  # part of a sentence
_HALF = 0.7  # one side of "and" or "because": the other side often holds the point
_BESIDE_A_GAP = 1.3  # beside a quotation or something redacted: the sentence does not end there
_QUOTED = 1.5  # what a page or a person said
_CUT_BEFORE = 0.8  # ends before a preposition
_CUT = 1.8  # ends where the eighth word ends

_PLACEHOLDER = re.compile(r"\[[a-z ]{1,20}\]")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_SINGLE_QUOTED = re.compile(r"(?<!\w)['‘]([^'‘’\n]{1,80})['’](?!\w)")
_SENTENCE_END = re.compile(r"[.!?;…。！？]+(?=\s|$)|[\n\r|•]+")
_CLAUSE_END = re.compile(r"([\"“”„«»\x00])|:(?=\s|$)|[()]+|\s[-–—]+\s|,\s+")  # a quotation or placeholder is told apart
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
    read = texts[:_STATEMENTS_READ]
    shared = _shares(read)
    ranked: dict[str, float] = {}
    for place, text in enumerate(read):
        for clause in _clauses(text):
            phrase = _phrase(clause.words)
            value = _value(clause, weights, shared) - 0.04 * place
            if phrase and value > ranked.get(phrase, float("-inf")):
                ranked[phrase] = value
    for phrase in sorted(ranked, key=lambda p: (-ranked[p], p)):
        if not _in_use(phrase, taken):
            return Name(phrase, useful)
    best = max(ranked, key=lambda p: (ranked[p], p)) if ranked else ""
    return Name(_make_distinct(best, useful, texts, taken), useful)


@dataclass(frozen=True)
class _Clause:
    """Words that may become a name, and what is wrong with them (0 for a whole sentence)."""

    words: list[str]
    flaw: float


def _clauses(text: str) -> list[_Clause]:
    """The clauses of a statement without filler at their edges."""
    clean = _LINK.sub(" ", _PLACEHOLDER.sub(" \x00 ", unicodedata.normalize("NFC", text[:_LONGEST_READ])))
    clean = _SINGLE_QUOTED.sub(r'"\1"', clean)
    clauses: list[_Clause] = []
    for sentence in _SENTENCE_END.split(clean):
        quoted = False
        pieces = _CLAUSE_END.split(sentence)  # pieces, and between them a quotation mark, a gap or None
        spoken, between = pieces[::2], [None, *pieces[1::2], None]
        whole = sum(1 for piece in spoken if piece and _WORD.search(piece)) == 1
        for place, piece in enumerate(spoken):
            before, after = between[place], between[place + 1]
            flaw = _QUOTED if quoted else _BESIDE_A_GAP if before or after else 0.0 if whole else _PART
            clauses += _readings(_WORD.findall(piece or ""), flaw)
            quoted ^= bool(after) and after != "\x00"
    return clauses


def _readings(found: list[str], flaw: float) -> list[_Clause]:
    """A clause as it is; where it is long, also its halves at a conjunction and what a cut leaves of it."""
    words = _without_filler(found)
    if not words:
        return []
    if len(words) <= _MOST_WORDS:
        return [_Clause(_grounded(words), flaw)]
    clauses = []
    for place in range(_FEWEST_WORDS, len(words) - _FEWEST_WORDS):
        if words[place].casefold() in CONJUNCTIONS:
            halves = (_trim(words[:place]), _grounded(_without_filler(words[place + 1 :])))
            clauses += [_Clause(half, flaw + _HALF) for half in halves if len(half) <= _MOST_WORDS]
    for place in range(_MOST_WORDS, _FEWEST_WORDS, -1):
        if words[place].casefold() in PREPOSITIONS:
            clauses.append(_Clause(_trim(words[:place]), flaw + _CUT_BEFORE))
            break
    return [*clauses, _Clause(_trim(words[:_MOST_WORDS]), flaw + _CUT)]


def _shares(texts: Sequence[str]) -> dict[str, float]:
    """The share of the texts in which each word stands."""
    counts: dict[str, int] = {}
    for text in texts:
        for word in {word.casefold() for word in _WORD.findall(text[:_LONGEST_READ])}:
            counts[word] = counts.get(word, 0) + 1
    return {word: count / len(texts) for word, count in counts.items()}


def _without_filler(words: list[str]) -> list[str]:
    plain = [word.casefold().replace("’", "'") for word in words]
    start, end = 0, len(words)
    moved = bool(words)
    while moved:
        moved = False
        for filler in _FILLERS_BY_WORD.get(plain[start], ()):  # longest first
            after = start + len(filler)
            if tuple(plain[start:after]) == filler and after < len(plain):
                if filler[-1] in WHYS and plain[after] in INVERTED:
                    return words[after - 1 :]  # "why is my card declined" reads better whole
                if filler == ("so",) and plain[after] in ("much", "many", "far", "long"):
                    return words[start:]
                start = after
                moved = True
                break
    while end - start > _FEWEST_WORDS and plain[end - 1] in TRAILERS:
        end -= 1
    return words[start:end]


def _grounded(words: list[str]) -> list[str]:
    """A whole clause without a last word that leads on to something: what followed was a quotation or a placeholder."""
    end = len(words)
    while end > 1 and words[end - 1].casefold() in LEADS_ON:
        end -= 1
    return words[:end]


def _trim(words: list[str]) -> list[str]:
    """Do not end in the air: drop stop words from a cut end."""
    end = len(words)
    while end > 1 and words[end - 1].casefold() in STOP_WORDS | TRAILERS:
        end -= 1
    return words[:end]


def _value(clause: _Clause, weights: dict[str, float], shared: dict[str, float]) -> float:
    words = clause.words
    plain = [word.casefold().replace("’", "'") for word in words]
    told = {word for word in plain if word not in STOP_WORDS}
    if not told:
        return -10.0
    value = sum(weights.get(word, 0.0) for word in told) - clause.flaw
    value += 1.2 * sum(shared.get(word, 0.0) for word in told) / len(told)  # what only one of them says is no name
    if len(words) < _FEWEST_WORDS:
        value -= 1.0 * (_FEWEST_WORDS - len(words))
    value += 0.5 * len(told) / len(words)  # dense clauses read better
    if any(character.isdigit() for word in words for character in word):
        value -= 0.8  # a name should not carry one customer's amount or date
    if all(word.isupper() for word in words):
        value -= 0.3  # shouted
    if plain[0] in SUBORDINATE or plain[0].startswith("qu'"):
        value -= 1.2  # "when I pay": the point comes after
    elif plain[0] in INVERTED:
        value -= 0.9  # "is my card": a question that lost its mark
    elif plain[0] in ASKING or plain[0] in WHYS or plain[0] in PREPOSITIONS or plain[0] == "in":
        value -= 0.4
    if len(set(plain)) < len(plain) - 1:
        value -= 1.0  # "bot bot bot"
    if plain[0] in FIRST_PERSON:
        value -= 0.25  # a story
    if plain[0] in POINTS_BACK or plain[-1] in POINTS_BACK:
        value -= 0.6  # "it never works": what does not?
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
