"""Is a comment a problem, plain praise, or no answer at all?

Only problems are grouped: "n/a", "ok" and "great" would otherwise form the largest groups of all. The rules are word
lists in English, German, French, Spanish, Italian, Dutch and Portuguese; whatever they do not clearly recognise is a
problem, since a praise among problems costs a glance and a lost problem costs a customer.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from feedback_loop.analysis.phrases import (
    IRONY_PRONE,
    NON_ANSWERS,
    NOT_A_PROBLEM,
    PLAIN_WORDS,
    PRAISE,
    TROUBLE,
)


class Kind(StrEnum):
    """What a comment is, as far as grouping is concerned."""

    PROBLEM = "problem"
    PRAISE = "praise"
    NON_ANSWER = "non_answer"


_LONGEST_NON_ANSWER = 8  # words
_LONGEST_PRAISE = 14  # words
_LONGEST_HAPPY_PRAISE = 30  # words of a praise that comes with a good score
_WORDS_FOR_ONE_PRAISE = 15  # of such a praise: words that one praising word vouches for
_WORDS_TO_NAME = 6  # words from which such a praise may name things we do not know
_LONGEST_ANGRY_PRAISE = 6  # words of a praise that comes with a low score
_READ = 400  # characters; nothing longer is a non-answer or plain praise

_PLACEHOLDER = re.compile(r"\[[a-z]{2,8}\]")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SCORE = re.compile(
    r"\d{1,3}(?:[.,]\d{1,2})?\s*(?:(?:/|out of|von|sur|de|di|su|van|uit|em)\s*\d{1,3})?\s*"
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
_HAPPY = frozenset("👍👌🙏❤♥🧡💛💚💙💜😀😃😄😁😊🙂😍🥰😘🤩🥳🎉⭐🌟✨💯👏🙌💪🤗😎☺")
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
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("`", "'")
    bare = _PLACEHOLDER.sub(" ", plain)
    words = [_without_accents(word) for word in _WORD.findall(bare)]
    if not words:
        return _wordless(bare, low_score)
    if _is_non_answer(bare.strip(), words):
        return Kind.NON_ANSWER
    if "?" in plain or "¿" in plain or _UNHAPPY.search(plain):
        return Kind.PROBLEM
    return Kind.PRAISE if _is_praise(words, low_score) else Kind.PROBLEM


def _wordless(text: str, low_score: bool | None) -> Kind:
    happy = any(character in _HAPPY for character in text) or bool(re.search(r"[:;]-?\)|<3|:-?d", text))
    if happy and low_score is not True and not _UNHAPPY.search(text):
        return Kind.PRAISE
    return Kind.NON_ANSWER


def _is_non_answer(text: str, words: list[str]) -> bool:
    if len(words) > _LONGEST_NON_ANSWER:
        return False
    if _SCORE.fullmatch(text.strip(" .,!;:*★☆")) or _made_of(words, NON_ANSWERS):
        return True
    return all(_is_mash(word) for word in words)


def _is_mash(word: str) -> bool:
    """Fingers on the keyboard, not a word: "xxxx", "asdfgh", "lalala", "sdkfjh"."""
    if len(word) < 3 or not word.isascii():
        return len(word) == 1
    if _REPEATED.fullmatch(word) or len(set(word)) == 1:
        return True
    if len(word) >= 4 and any(word in row or word[::-1] in row for row in _ROWS):
        return True
    if not word.isalpha() or len(word) < 5:
        return False
    doubled = len(word) >= 6 and word[: len(word) // 2] * 2 == word
    home_row = len(word) >= 6 and set(word) <= set("asdfghjkl") and bool(re.search(r"[sdfghjkl]{4}", word))
    return doubled or home_row or not any(letter in _VOWELS for letter in word)


def _made_of(words: list[str], phrases: frozenset[tuple[str, ...]]) -> bool:
    """Whether the words are nothing but a row of these phrases."""
    reachable = {0}
    for start in range(len(words)):
        if start in reachable:
            reachable |= {end for end in range(start + 1, len(words) + 1) if tuple(words[start:end]) in phrases}
    return len(words) in reachable


def _is_praise(words: list[str], low_score: bool | None) -> bool:
    rest = _without(words, NOT_A_PROBLEM)
    good = len(words) - len(rest)
    if len(words) > {True: _LONGEST_ANGRY_PRAISE, False: _LONGEST_HAPPY_PRAISE, None: _LONGEST_PRAISE}[low_score]:
        return False
    if any(word in TROUBLE or word.isdigit() or word.endswith("n't") for word in rest):
        return False
    praised = _without(rest, PRAISE)
    good += len(rest) - len(praised)
    if not good:
        return False
    unknown = sum(1 for word in praised if word not in PLAIN_WORDS)
    if low_score:
        return unknown == 0 and not any(word in IRONY_PRONE for word in words)
    if low_score is False and len(words) >= _WORDS_TO_NAME:
        # A good score vouches for it: what is praised may be named at length, as long as nothing sounds like trouble.
        return good * _WORDS_FOR_ONE_PRAISE >= len(words)
    return unknown <= len(words) // 6  # one word in six may be a name or a thing that is praised


def _without(words: list[str], phrases: frozenset[tuple[str, ...]]) -> list[str]:
    """The words that belong to none of these phrases; longer phrases first."""
    rest: list[str] = []
    position = 0
    while position < len(words):
        for length in range(min(5, len(words) - position), 0, -1):
            if tuple(words[position : position + length]) in phrases:
                position += length
                break
        else:
            rest.append(words[position])
            position += 1
    return rest


def _without_accents(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
