"""A look at a statement to customers: jargon, blame, promises without a date, long sentences. Pure; advice only.

English and German; what is written in another language is looked at for numbers, length and loudness only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_SENTENCE = 25  # words
# A number with a full stop is a day in German ("3. Dezember"), not the end of a sentence.
END = re.compile(r"(?<=[.!?…])(?<!\s\d\.)(?<!\s\d\d\.)\s+|\n+")
# What colleagues say, and what customers understand.
JARGON = {
    "tickets?": "what you told us",
    "backlog": "the day on which you will do it, or that you will not",
    "root cause": "the reason",
    "deploy(?:ed|ment|ing|s)?": "since when it works",
    "regressions?": "that it had worked before, and broke again",
    "hotfix(?:es)?": "what you changed",
    "bug ?fix(?:es)?": "what you changed",
    "work-?arounds?": "what they can do until then",
    "roll(?:ed)? back|rollback": "that it is again as it was before",
    "edge cases?": "when it happens",
    "escalat(?:ed|ion|e|ing)": "who looks at it now",
    "stakeholders?": "who is meant",
    "sprints?": "the day",
    "roadmap": "the day, or that there is none yet",
    "end users?": "you",
    "back-?end|front-?end": "what they see of it",
    "known issue": "that you know of it, and since when",
    "as designed": "why it is so",
    "störungsticket|vorgangsnummer": "was Sie uns geschrieben haben",
    "ursachenanalyse": "woran es lag",
    "ausgerollt|deployt|deployment": "seit wann es geht",
    "behebung": "was Sie geändert haben",
    "eskaliert|eskalation": "wer sich nun darum kümmert",
    "bekanntes problem": "dass Sie es kennen, und seit wann",
    "systemseitig|seitens": "wer es getan hat",
}
BLAME = (
    "you should have", "you could have", "you failed to", "you forgot", "you did not", "you didn't", "had you",
    "user error", "your fault", "your mistake", "incorrect use", "improper use", "misuse",
    "as already mentioned", "as previously stated", "as stated in", "you must have", "hätten sie",
    "sie haben vergessen",
    "sie haben nicht", "bedienungsfehler", "anwenderfehler", "benutzerfehler", "ihr fehler", "wie bereits erwähnt",
    "unsachgemäß", "selbst verschuldet",
)  # fmt: skip
CANNED = (
    "your feedback is important", "we value your feedback", "any inconvenience", "we strive to", "valued customer",
    "we take this very seriously", "rest assured", "ihr feedback ist uns wichtig", "etwaige unannehmlichkeiten",
    "mögliche unannehmlichkeiten", "nehmen wir sehr ernst", "wir sind stets bemüht",
)  # fmt: skip
PROMISES = (
    "soon", "shortly", "in the near future", "in due course", "as soon as possible", "asap", "will be", "we will",
    "we'll", "we are going to", "we plan to", "we intend to", "upcoming", "next version", "next release", "bald",
    "demnächst", "in kürze", "zeitnah", "so schnell wie möglich", "zukünftig", "wird behoben", "werden wir",
    "wir werden",
    "nächsten version", "wir planen",
)  # fmt: skip
MONTHS = (
    "jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|märz|apr(?:il)?|may|mai|june?|juni|july?|juli|aug(?:ust)?|"
    "sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?"
)
DATE = re.compile(
    rf"\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?(?:{MONTHS})\b|\b(?:{MONTHS})\.?\s+\d{{1,2}}\b|\b\d{{4}}-\d\d-\d\d\b|"
    r"\b\d{1,2}[./]\s?\d{1,2}[./]|"
    r"\b(?:today|tomorrow|tonight|heute|(?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch)\b",
    re.IGNORECASE,
)
NUMBERED = re.compile(r"(?<![\w-])(?:[A-Z]{1,10}-\d+|#\d+)\b")
LOUD = re.compile(r"\b[^\W\d_]*[A-ZÄÖÜ]{5,}\b|!\s*!|!.*!", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """Something that could be said better.

    Attributes:
        kind: What it is: jargon, number, blame, canned, promise, long, loud.
        words: What stands there.
        advice: What to write instead.
    """

    kind: str
    words: str
    advice: str


def look(text: str) -> list[Finding]:
    """What could be said better in a statement to customers, in the order in which it stands there.

    Args:
        text: As it was typed.
    """
    places = sorted(_found(text), key=lambda each: each[0])
    findings: list[Finding] = []
    for _, finding in places:
        if finding not in findings:
            findings.append(finding)
    return findings


def _found(text: str) -> Iterator[tuple[int, Finding]]:
    for term, instead in JARGON.items():
        for found in re.finditer(rf"\b(?:{term})\b", text, re.IGNORECASE):
            yield found.start(), Finding("jargon", found.group(), f"A word of ours. Say {instead}.")
    for found in NUMBERED.finditer(text):
        yield found.start(), Finding("number", found.group(), "A number of ours. Say what it is about.")
    for found in _phrases(BLAME, text):
        advice = "Sounds like blame. Say what you could have made clearer."
        yield found.start(), Finding("blame", found.group(), advice)
    for found in _phrases(CANNED, text):
        yield (
            found.start(),
            Finding("canned", found.group(), "Everybody has read this before. Say what it meant to them."),
        )
    loud = LOUD.search(text)
    if loud is not None:
        advice = "Reads like shouting. Small letters and one full stop are enough."
        yield loud.start(), Finding("loud", loud.group()[:40], advice)
    for begin, sentence in _sentences(text):
        words = sentence.split()
        if len(words) > LONGEST_SENTENCE:
            start = " ".join(words[:5]) + " …"
            advice = f"A sentence of {len(words)} words. Make two of it."
            yield begin, Finding("long", start, advice)
        if not DATE.search(sentence):
            for found in _phrases(PROMISES, sentence):
                advice = "A promise without a date. Say by which day, or leave it out."
                yield begin + found.start(), Finding("promise", found.group(), advice)
                break


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    begin = 0
    for end in END.finditer(text):
        yield begin, text[begin : end.start()]
        begin = end.end()
    yield begin, text[begin:]


def _phrases(phrases: tuple[str, ...], text: str) -> Iterator[re.Match[str]]:
    words = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))
    return re.finditer(rf"\b(?:{words})\b", text.replace("’", "'"), re.IGNORECASE)
