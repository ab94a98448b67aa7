"""Personal data out of free text, before anything else sees it.

Found are mail addresses, links that carry more than a page, IP addresses, IBANs (ISO 13616), payment cards (Luhn,
ISO/IEC 7812) and phone numbers (libphonenumber; these three in :mod:`.numbers`), numbers of people and firms in
registers (:mod:`.identifiers`), postal addresses (:mod:`.addresses`), names that customers give themselves
(:mod:`.signatures`) and every other long number.
Each becomes a placeholder that people can read. Money, dates, years, versions and small numbers stay, since complaints
need them. This lessens what is known of a person and never removes all: a name in the middle of a sentence, a house
name or a job only one person has are not found. ``bench/redaction.py`` measures how much is.

Every step is linear in the length of the text: repetitions are bounded or do not overlap, look-ups by country and
checksums run on spans of bounded length.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from feedback_loop.analysis.addresses import find_addresses
from feedback_loop.analysis.identifiers import find_ids
from feedback_loop.analysis.numbers import card_in, find_ibans, phone_in
from feedback_loop.analysis.signatures import find_names

EMAIL = "email"
PHONE = "phone"
CARD = "card"
IBAN = "iban"
NUMBER = "number"
LINK = "link"
IP = "ip"
ID = "id"
ADDRESS = "address"
NAME = "name"
KINDS = (EMAIL, PHONE, CARD, IBAN, NUMBER, LINK, IP, ID, ADDRESS, NAME)


@dataclass(frozen=True)
class Found:
    """One thing that was replaced: its kind (one of :data:`KINDS`) and where it stood in the original text.

    ``start`` and ``end`` count characters of the original; ``end`` is exclusive.
    """

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Redaction:
    """The text with placeholders, and what was found, in order of appearance."""

    text: str
    found: tuple[Found, ...]


def redact(text: str, region: str | None = None) -> Redaction:
    """Replace personal data by placeholders such as ``[email]`` or ``[phone]``.

    Args:
        text: what a customer wrote.
        region: two-letter country (``GB``) by whose rules national phone numbers are read. Without it, only
            international numbers (``+44 ...``) and those that begin with a zero are called phone numbers;
            others are still replaced, as numbers.

    Returns:
        The readable text without the data. Applied to its own result it changes nothing. In a text of more than
        100,000 characters every link, address and stretch of four digits or more goes, whatever it may be.
    """
    redacted, found = text, tuple[Found, ...]()
    for _ in range(_MOST_PASSES):  # what stood beside something replaced may read differently now
        done = _once(redacted, region)
        if not done.found:
            break
        found = _merged(found, done.found)
        redacted = done.text
    return Redaction(redacted, found)


def _once(text: str, region: str | None) -> Redaction:
    if len(text) > _LONGEST_READ:
        return _blunt(text)
    search = _Search(text, region)
    search.names()
    if not _WORTH_A_LOOK.search(text):
        return _with_placeholders(text, search.found)
    search.links()
    search.emails()
    search.keep_versions()
    search.ips()
    if _DIGIT.search(text):
        if len(_DIGIT.findall(text)) >= _FEWEST_DIGITS_OF_AN_ID:
            search.ibans()
            search.ids()
        search.addresses()
        search.keep_dates_and_money()
        search.phones_and_cards()
        search.codes()
        search.numbers()
    return _with_placeholders(text, search.found)


def _merged(before: tuple[Found, ...], after: tuple[Found, ...]) -> tuple[Found, ...]:
    """What two passes found, all counted in the text of the first; the second read what the first left."""
    shifts = [(0, 0)]  # from this place in the text with placeholders, so many characters are missing
    grown = 0
    for item in before:
        grown += item.end - item.start - len(item.kind) - 2
        shifts.append((item.end - grown, grown))
    places = [place for place, _ in shifts]
    moved = [
        Found(item.kind, *(at + shifts[bisect_right(places, at) - 1][1] for at in (item.start, item.end)))
        for item in after
    ]
    return tuple(sorted((*before, *moved), key=lambda item: item.start))


def _with_placeholders(text: str, spans: list[Found]) -> Redaction:
    found = tuple(sorted(spans, key=lambda item: item.start))
    pieces: list[str] = []
    position = 0
    for item in found:
        pieces += (text[position : item.start], f"[{item.kind}]")
        position = item.end
    pieces.append(text[position:])
    return Redaction("".join(pieces), found)


_WORTH_A_LOOK = re.compile(r"\d|@|[\[(] ?at ?[\])]|://|www\.|[./]\w*[/?]|::", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_TOKEN = re.compile(r"\S+")
_SCHEME = re.compile(r"(?:https?|ftp)://|www\.", re.IGNORECASE)
_HOST_AND_PATH = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}(?::\d{1,5})?[/?#]", re.IGNORECASE)
_AT = re.compile(r"@|(?<=\w) ?[\[(] ?(?:at|AT) ?[\])] ?")
_DOMAIN = re.compile(r"[^\W_](?:[\w-]{0,62})(?:\.[\w-]{1,63}){1,8}")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9a-f:]{6,45}(?![\w:])", re.IGNORECASE)
_DATE = re.compile(
    r"(?<![\w])(?:"
    r"(?:19|20)\d\d([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|[12]\d|3[01])\2(?:(?:19|20)\d\d|\d\d)"
    r")(?:T?\d\d:\d\d(?::\d\d)?)?(?!\w|[-/]\d)"
)
_TIME = re.compile(r"(?<![\w:])\d{1,2}:\d\d(?::\d\d)?(?![\w:])")
_CURRENCY = (
    r"(?:[$€£¥₹₺₽₩₴₪₫฿]|\b(?:usd|eur|gbp|chf|jpy|inr|pln|sek|nok|dkk|czk|huf|cad|aud|nzd|brl|mxn|zar|rs|kr|euros?"
    r"|dollars?|pounds?|quid|francs?|francos?|pesos?|reais|rupees?|yen)\b)"
)
_AMOUNT = r"\d{1,3}(?:[ .,'’\u00a0\u202f]\d{3}){1,3}(?:[.,]\d{1,2})?|\d{1,9}(?:[.,]\d{1,2})?"
_MONEY = re.compile(
    rf"{_CURRENCY} ?(?:{_AMOUNT})(?!\w|[ .,]?\d)|(?<![\w.,])(?<!\d[ \-])(?:{_AMOUNT}) ?{_CURRENCY}", re.IGNORECASE
)
_CURRENCY_SIGN = re.compile(_CURRENCY, re.IGNORECASE)
_DIGITS = re.compile(r"[+(]{0,2}\d+(?:[ .\-/()\u00a0\u2011]{1,3}\d+)*")
_CODE = re.compile(r"(?<!\w)\w[\w\-/.]{5,}")
_VERSION = re.compile(
    r"(?<!\w)(?:v|ver|version|versión|versione|versie|versão|build|release|firmware|update|chrome|firefox|safari|edge|opera"
    r"|ios|ipados|macos|android|windows|app)\.? ?\d{1,4}(?:\.\d{1,6}){1,4}(?!\w|\.\d)",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d")

_PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(KINDS)})\]")

_MOST_PASSES = 4
_LONGEST_READ = 100_000  # characters; no customer writes more, and a longer text gets the blunt treatment
_LONGEST_LABELLED = 40  # a longer run of digits is no card or phone number; it is replaced as a number all the same
_MOST_PHONES = 200  # candidates per text that libphonenumber sees; what is beyond is replaced as a number
_FEWEST_DIGITS_OF_AN_ID = 4
_SHORTEST_NUMBER = 6  # digits in a row
_SHORTEST_GROUPED = 9  # digits, when written in groups
_TAKEN = "\x00"


class _Search:
    """One pass over one text: finds, and blanks out what is settled so that no later step sees it."""

    def __init__(self, text: str, region: str | None) -> None:
        self.text = text
        self.region = region.upper() if region else None
        self.found: list[Found] = []
        self._open = list(text)
        for match in _PLACEHOLDER.finditer(text):
            self._keep(*match.span())

    def links(self) -> None:
        for token in _TOKEN.finditer(self.text):
            word = token.group()
            if "." not in word and "/" not in word:
                continue
            scheme = _SCHEME.search(word)
            if scheme:
                start = scheme.start()
            else:
                lead = len(word) - len(word.lstrip("([{<\"'“‘«"))
                host = _HOST_AND_PATH.match(word, lead)
                if not host or not any(c.isalpha() for c in host.group()):
                    continue
                start = lead
            link = word[start:].rstrip(".,;:!?)]}>\"'”’»")
            if _is_private_link(link):
                self._take(LINK, token.start() + start, token.start() + start + len(link))
            elif scheme:
                self._keep(token.start() + start, token.start() + start + len(link))

    def names(self) -> None:
        self._take_all(NAME, find_names(self._rest()))

    def ids(self) -> None:
        self._take_all(ID, find_ids(self._rest()))

    def addresses(self) -> None:
        self._take_all(ADDRESS, find_addresses(self._rest()))

    def emails(self) -> None:
        text = self._rest()
        last = 0
        for at in _AT.finditer(text):
            domain = _DOMAIN.match(text, at.end())
            if domain is None:
                continue
            start = at.start()
            while start > max(last, at.start() - 64) and (text[start - 1].isalnum() or text[start - 1] in "._%+-'"):
                start -= 1
            last = domain.end() - len(domain.group()) + len(domain.group().rstrip("-_"))
            if start < at.start() and not domain.group().rpartition(".")[2].isdigit():
                self._take(EMAIL, start, last)

    def ips(self) -> None:
        for match in _IPV4.finditer(self._rest()):
            if all(int(part) <= 255 for part in match.group().split(".")):
                self._take(IP, *match.span())
        for match in _IPV6.finditer(self._rest()):  # read anew: one may end within the other
            if match.group().count(":") < 2 or not any(c.isalnum() for c in match.group()):
                continue
            try:
                ipaddress.IPv6Address(match.group())
            except ValueError:
                continue
            self._take(IP, *match.span())

    def ibans(self) -> None:
        self._take_all(IBAN, find_ibans(self._rest()))

    def keep_versions(self) -> None:
        for match in _VERSION.finditer(self._rest()):
            self._keep(*match.span())

    def keep_dates_and_money(self) -> None:
        patterns = [_DATE]
        if ":" in self.text:
            patterns.append(_TIME)
        if _CURRENCY_SIGN.search(self.text):
            patterns.append(_MONEY)
        for pattern in patterns:
            for match in pattern.finditer(self._rest()):
                self._keep(*match.span())

    def phones_and_cards(self) -> None:
        text = self._rest()
        candidates = 0
        for match in _DIGITS.finditer(text):
            span = match.group()
            digits = sum(c.isdigit() for c in span)
            if digits < 7 or len(span) > _LONGEST_LABELLED:
                continue
            if digits >= 12:
                card = card_in(span)
                if card is not None:
                    self._take(CARD, match.start() + card[0], match.start() + card[1])
                    continue
            if _only_years(span) or candidates >= _MOST_PHONES:
                continue
            candidates += 1
            phone = phone_in(span, self.region)
            if phone is not None:
                self._take(PHONE, match.start() + phone[0], match.start() + phone[1])

    def codes(self) -> None:
        """Letters and digits mixed: AB123456, ORD-24-0012-77, a UUID."""
        for match in _CODE.finditer(self._rest()):
            word = match.group().rstrip("-/.")
            digits = sum(c.isdigit() for c in word)
            if digits >= _SHORTEST_NUMBER and any(c.isalpha() for c in word) and not _only_years(word):
                self._take(NUMBER, match.start(), match.start() + len(word))

    def numbers(self) -> None:
        for match in _DIGITS.finditer(self._rest()):
            groups = re.findall(r"\d+", match.group())
            digits = sum(map(len, groups))
            long_run = any(len(group) >= _SHORTEST_NUMBER for group in groups)
            grouped = digits >= _SHORTEST_GROUPED and digits >= 2 * len(groups) and not _only_years(match.group())
            if long_run or grouped:
                self._take(NUMBER, *match.span())

    def _take_all(self, kind: str, spans: Iterable[tuple[int, int]]) -> None:
        """Take spans that may overlap: the longest of those that begin first."""
        last = 0
        for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            if start >= last:
                self._take(kind, start, end)
                last = end

    def _take(self, kind: str, start: int, end: int) -> None:
        self.found.append(Found(kind, start, end))
        self._keep(start, end)

    def _keep(self, start: int, end: int) -> None:
        self._open[start:end] = _TAKEN * (end - start)

    def _rest(self) -> str:
        return "".join(self._open)


_DIGITS_BLUNT = re.compile(r"\d(?:[ .,:;/()\-]?\d){3,}")


def _blunt(text: str) -> Redaction:
    found: list[Found] = []
    digits = _DIGITS_BLUNT.finditer(text)
    number = next(digits, None)
    for token in _TOKEN.finditer(text):
        if "@" not in token.group() and "://" not in token.group() and "www." not in token.group():
            continue
        while number is not None and number.end() <= token.start():
            found.append(Found(NUMBER, *number.span()))
            number = next(digits, None)
        start = token.start()
        while number is not None and number.start() < token.end():
            start = min(start, number.start())
            number = next(digits, None)
        found.append(Found(EMAIL if "@" in token.group() else LINK, start, token.end()))
    while number is not None:
        found.append(Found(NUMBER, *number.span()))
        number = next(digits, None)
    return _with_placeholders(text, found)


def _is_private_link(link: str) -> bool:
    """A bare site or a short readable page is no secret; a query, a fragment, a login or an id is."""
    rest = link.partition("://")[2] or link
    host, _, path = rest.partition("/")
    if any(sign in rest for sign in "?#@=&%;"):
        return True
    if len(path) > 40 or sum(c.isdigit() for c in path) >= 4:
        return True
    if any(len(part) >= 20 and "-" not in part for part in path.split("/")):
        return True
    return bool(re.fullmatch(r"[\d.:]+", host))


def _only_years(text: str) -> bool:
    groups = re.findall(r"\d+", text)
    return bool(groups) and all(_YEAR.fullmatch(group) for group in groups)
