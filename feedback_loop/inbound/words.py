"""What a person wrote in their answer to a mail, without what they quote and without their signature. Pure."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence

from mailparser_reply.constants import MAIL_LANGUAGES
from mailparser_reply.parser import EmailMessage

from feedback_loop.languages import LANGUAGES

LONGEST = 10_000  # characters that are looked at: the newest words stand first
LONGEST_LINE = 300  # patterns of the library take the square of a line and more
MOST_LINES = 400
FOLD = "\ue000\n\ue000"  # where a line was broken for the library's sake
SPOKEN = [each for each in LANGUAGES if each in MAIL_LANGUAGES]
CLOSING_LINE = 40  # characters of the first line of a signature; a sentence that begins with "Thanks," is longer
CLOSING = 600
# What mail programs put before what they quote, in whatever language: who wrote it, by address, and when.
INTRODUCTION = re.compile(r"@(?=.*\d{1,2}[:.h]\d{2}|.*\d{4})|(?:\d{1,2}[:.h]\d{2}|\d{4}).*@")
ENDS = re.compile(r"[:：][\s\u200e\u200f\u202a-\u202e\u2066-\u2069*]*$")
LONGEST_INTRODUCTION = 3  # lines
HEADER_LINE = re.compile(r"[*\s]*[^\s:：][^:：]{0,24}[:：]")
SEPARATOR = re.compile(r"[-_=]{5,}(?:[^-_=]+[-_=]{5,})?")
HEADERS = 3  # lines in a row that make the head of a quoted mail
STOPS = frozenset(
    """stop|stop it|stop all|unsubscribe|unsubscribe me|please unsubscribe|please unsubscribe me|remove me|opt out
    |stopp|abmelden|abbestellen|bitte abmelden|austragen|bitte austragen|désabonner|me désabonner|se désabonner
    |désinscription|me désinscrire|désinscrire|arrêt|baja|darme de baja|dar de baja|cancelar suscripción|desuscribir
    |descadastrar|cancelar inscrição|cancelar subscrição|cancellami|disiscrivimi|disiscriviti|annulla iscrizione
    |afmelden|uitschrijven|wypisz|wypisz mnie|rezygnuję z subskrypcji|إلغاء الاشتراك|الغاء الاشتراك|توقف
    |配信停止|配信停止希望|登録解除|停止""".replace("\n    ", "").split("|")
)

log = logging.getLogger(__name__)


def is_stop(text: str) -> bool:
    """Whether a text as a whole asks for no more mail. One word among others may mean anything."""
    if len(text) > 60:
        return False
    plain = unicodedata.normalize("NFC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]", " ", plain).split()) in STOPS


def own_words(text: str, language: str = "", ours: Sequence[str] = ()) -> str:
    """A person's own words.

    Args:
        text: Of their mail.
        language: In which the mail was written that they answer.
        ours: Addresses of ours, as in the head of a mail that is quoted.

    Returns:
        The words; all of them where nothing tells which are their own, and none where only quotes are there.
    """
    lines = text.replace("\ue000", "").replace("\r\n", "\n").splitlines()[:MOST_LINES]
    lines = before_quotes(lines, [each.lower() for each in ours if each])
    folded = "\n".join(FOLD.join(broken(line.strip())) for line in lines)[:LONGEST]
    folded = re.sub(r"\n{3,}", "\n\n", folded).strip()
    own = [language, *SPOKEN] if language in SPOKEN else SPOKEN
    try:
        said = latest(folded, list(dict.fromkeys(own)))
    except Exception as error:  # the library meets texts that nobody foresaw; a customer's words must not be lost
        log.warning("Quotes could not be told from words in a reply: %s.", type(error).__name__)
        said = folded
    kept = [line for line in said.splitlines() if not line.startswith((">", "|"))]
    said = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    return said.replace(FOLD, " ").replace("\ue000", "")


def before_quotes(lines: list[str], ours: list[str]) -> list[str]:
    """Lines without those that introduce what is quoted, and without what follows them where the person wrote above.

    The library knows how programs say it in some languages. This knows none, and goes by what all of them say.
    """
    kept: list[str] = []
    at = 0
    while at < len(lines):
        length = introduction(lines[at:]) or head(lines[at : at + 8], ours)
        while length and kept and (not kept[-1].strip() or SEPARATOR.fullmatch(kept[-1].strip()[:LONGEST_LINE])):
            kept.pop()
        if length and any(line.strip() and not line.lstrip().startswith(">") for line in kept):
            return kept
        if not length:
            kept.append(lines[at])
        at += length or 1
    return kept


def introduction(lines: list[str]) -> int:
    """Over how many lines these begin by saying who wrote what follows, and when."""
    for count in range(1, min(LONGEST_INTRODUCTION, len(lines)) + 1):
        if not lines[count - 1].strip():
            return 0
        text = " ".join(lines[:count])
        if len(text) > LONGEST_LINE:
            return 0
        if ENDS.search(text) and INTRODUCTION.search(text):
            return count
    return 0


def head(lines: list[str], ours: list[str]) -> int:
    """Over how many lines these begin as the head of a mail of ours does."""
    count = next((at for at, line in enumerate(lines) if not HEADER_LINE.match(line[:LONGEST_LINE])), len(lines))
    found = "\n".join(line[:LONGEST_LINE] for line in lines[:count]).lower()
    return count if count >= HEADERS and any(each in found for each in ours) else 0


def broken(line: str) -> list[str]:
    """A line in pieces that are short enough, at spaces where there are any."""
    pieces = []
    while len(line) > LONGEST_LINE:
        at = line.rfind(" ", 1, LONGEST_LINE)
        at = at if at > 0 else LONGEST_LINE
        pieces.append(line[:at])
        line = line[at:].lstrip(" ")
    return [*pieces, line]


def latest(text: str, languages: list[str]) -> str:
    """The newest of the mails that stand one above the other, without a signature that is one."""
    found = EmailMessage(text=text, languages=languages, keep_hyphen_lists=True).read()
    replies = [each for each in found.replies if each.content]
    if not replies:
        return ""
    said = str(replies[0].full_body)
    signature = replies[0].signatures or ""
    first = signature.partition("\n")[0]
    if signature and len(first) <= CLOSING_LINE and len(signature) <= CLOSING and said != signature:
        said = said.replace(signature, "")
    return said
