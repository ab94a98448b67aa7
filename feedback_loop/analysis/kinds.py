"""Is a comment a problem, plain praise, or no answer at all?

Only problems are grouped: "n/a", "ok" and "great" would otherwise form the largest groups of all. The rules are word
lists in English, German, French, Spanish, Italian, Dutch and Portuguese; whatever they do not clearly recognise is a
problem, since a praise among problems costs a glance and a lost problem costs a customer.
"""

from __future__ import annotations

import functools
import re
from enum import StrEnum

from feedback_loop.analysis.phrases import (
    IRONY_PRONE,
    NON_ANSWERS,
    NOT_A_PROBLEM,
    NOT_PRAISE,
    TAILS,
    TROUBLE,
    TROUBLE_UNLESS_HAPPY,
    plain,
)
from feedback_loop.analysis.praise import HARMLESS, IDIOMS, PLAIN, PRAISES

Phrases = frozenset[tuple[str, ...]]

_GOOD = IDIOMS | NOT_A_PROBLEM


class Kind(StrEnum):
    """What a comment is, as far as grouping is concerned."""

    PROBLEM = "problem"
    PRAISE = "praise"
    NON_ANSWER = "non_answer"


_LONGEST_NON_ANSWER = 10  # words
_LONGEST_PRAISE = {True: 6, None: 16, False: 40}  # words, by whether the score is low
_LONGEST_PHRASE = 8  # words
_WORDS_FOR_ONE_PRAISE = 15  # of a clause with a good score: words that one praising word vouches for
_UNKNOWN_WITH_PRAISE = 8  # of a clause with no score: words for each that may be unknown
_UNKNOWN_IN_STORY = 4  # of a clause without praise, beside praise and with a good score
_READ = 400  # characters; nothing longer is a non-answer or plain praise

_PLACEHOLDER = re.compile(r"\[[a-z]{2,8}\]")
_CLAUSE = re.compile(r"[.,;:!\n()…•|]+|\s[-–—]+\s")
_ASKS = frozenset(("is", "are", "was", "were", "am", "do", "does"))  # a question where they come first
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SCORE = re.compile(
    r"(?:\d{1,3}(?:[.,]\d{1,2})?|zero|one|two|three|four|five|ten)\s*(?:(?:/|out of|von|sur|de|di|su|van|uit|em)"
    r"\s*(?:\d{1,3}|five|ten))?\s*"
    r"(?:%|stars?|sterne?|sterren|étoiles?|etoiles?|estrellas?|stelle|estrelas?|points?|punkte|punten|puntos|punti|pontos)?"
)
_REPEATED = re.compile(r"(.{1,4}?)\1{2,}.{0,3}")
_ROWS = (
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "qsdfghjklm",
    "zxcvbnm",
    "yxcvbnm",
    "wxcvbn",
    "1234567890",
)
_VOWELS = frozenset("aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüý")
_UNHAPPY = re.compile(r"[👎😡😠🤬😤😞😔😢😭🙁☹😕😒🙄💩🤮😩😫😖😣]|:-?\(|:'\(|>:-?\(")


def classify(text: str, low_score: bool | None) -> Kind:
    """Tell problems from praise and from what is no answer.

    Args:
        text: the comment, after redaction.
        low_score: True where the customer's score is in the unhappy part of its scale, False where it is not,
            None where there is no score. With a low score praise is hardly believed: it is often irony
            ("great, third time this week").

    Returns:
        ``PROBLEM`` whenever in doubt, and for every question.
    """
    if len(text) > _READ:
        return Kind.PROBLEM
    bare = _PLACEHOLDER.sub(" ", plain(text))
    words = _WORD.findall(bare)
    if not words or _is_non_answer(bare.strip(), words):
        return Kind.NON_ANSWER
    if "?" in text or "¿" in text or _UNHAPPY.search(text.lower()):
        return Kind.PROBLEM
    return Kind.PRAISE if _is_praise(bare, words, low_score) else Kind.PROBLEM


def _is_non_answer(text: str, words: list[str]) -> bool:
    if len(words) > _LONGEST_NON_ANSWER:
        return False
    if _SCORE.fullmatch(text.strip(" .,!;:*★☆")) or _made_of(words, NON_ANSWERS):
        return True
    for cut in range(len(words) - 1, 0, -1):  # "no comment at this time"
        if _made_of(words[cut:], TAILS) and _made_of(words[:cut], NON_ANSWERS):
            return True
    return all(_is_mash(word) for word in words) or (
        all(len(word) > 2 and _in_a_row(word) for word in words) and _is_mash("".join(words))
    )


def _in_a_row(word: str) -> bool:
    """Whether these are keys that lie beside each other."""
    return any(word in row or word[::-1] in row for row in _ROWS)


def _is_mash(word: str) -> bool:
    """Fingers on the keyboard, not a word: "xxxx", "asdfgh", "lalala", "sdkfjh"."""
    if len(word) < 3 or not word.isascii():
        return len(word) == 1
    if _REPEATED.fullmatch(word) or len(set(word)) == 1:
        return True
    if len(word) >= 4 and _in_a_row(word):
        return True
    if not word.isalpha() or len(word) < 5:
        return False
    doubled = len(word) >= 6 and word[: len(word) // 2] * 2 == word
    home_row = len(word) >= 6 and set(word) <= set("asdfghjkl") and bool(re.search(r"[sdfghjkl]{4}", word))
    return doubled or home_row or not any(letter in _VOWELS for letter in word)


def _made_of(words: list[str], phrases: Phrases) -> bool:
    """Whether the words are nothing but a row of these phrases."""
    reachable, begins = {0}, _first_words(phrases)
    if words[0] not in begins:
        return False
    for start, word in enumerate(words):
        if start in reachable and word in begins:
            reachable |= {end for end in range(start + 1, len(words) + 1) if tuple(words[start:end]) in phrases}
    return len(words) in reachable


def _is_praise(text: str, words: list[str], low_score: bool | None) -> bool:
    """Whether every clause praises, or says nothing that we do not know beside one that does."""
    if len(words) > _LONGEST_PRAISE[low_score]:
        return False
    if words[0] in _ASKS and not any(tuple(words[:length]) in IDIOMS for length in range(2, _LONGEST_PHRASE + 1)):
        return False
    praised = 0
    for clause in _CLAUSE.split(text):
        found = _WORD.findall(clause)
        if not found:
            continue
        rest = _without(found, _GOOD)
        if _any_of(rest, NOT_PRAISE):
            return False
        good = len(found) - len(rest)
        rest = _without(rest, HARMLESS)
        rest, before = _without(rest, PRAISES), len(rest)
        good += before - len(rest)
        if any(_is_trouble(word, low_score) for word in rest):
            return False
        unknown = sum(1 for word in rest if word not in PLAIN and not word.isdigit())
        if unknown > _may_be_unknown(len(found), good, low_score):
            return False
        praised += good
    return praised > 0 and not (low_score and any(word in IRONY_PRONE for word in words))


def _may_be_unknown(length: int, good: int, low_score: bool | None) -> int:
    """How many words of a clause we need not know, of so many words with so many that praise."""
    if low_score:
        return 0
    if low_score is None:
        return length // _UNKNOWN_WITH_PRAISE if good else 0
    return length if good * _WORDS_FOR_ONE_PRAISE >= length else length // _UNKNOWN_IN_STORY


def _is_trouble(word: str, low_score: bool | None) -> bool:
    if low_score is False:
        return word not in TROUBLE_UNLESS_HAPPY and (word in TROUBLE or word.endswith("n't"))
    return word in TROUBLE or word.endswith("n't") or word.isdigit()


def _any_of(words: list[str], phrases: Phrases) -> bool:
    return len(_without(words, phrases)) < len(words)


def _without(words: list[str], phrases: Phrases) -> list[str]:
    """The words that belong to none of these phrases; longer phrases first."""
    rest: list[str] = []
    position, begins = 0, _first_words(phrases)
    while position < len(words):
        if words[position] not in begins:
            rest.append(words[position])
            position += 1
            continue
        for length in range(min(_LONGEST_PHRASE, len(words) - position), 0, -1):
            if tuple(words[position : position + length]) in phrases:
                position += length
                break
        else:
            rest.append(words[position])
            position += 1
    return rest


@functools.cache
def _first_words(phrases: Phrases) -> frozenset[str]:
    """The words that these phrases begin with: most words of a text begin none."""
    return frozenset(phrase[0] for phrase in phrases)
