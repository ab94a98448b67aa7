"""Numbers by which money and people are reached: IBANs, payment cards, telephones."""

from __future__ import annotations

import re
from collections.abc import Iterator

_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]){11,32}", re.IGNORECASE)
# Lengths by country from the SWIFT IBAN registry; python-stdnum checks structure and checksum afterwards.
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FO GL NL SD FK", "19": "MK SI", "20": "AT BA EE KZ LT LU XK MN",
        "21": "CH CR HR LI LV", "22": "BG BH DE GB GE IE ME RS VA", "23": "AE IL TL IQ GI OM SO",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG DZ", "25": "LY PT ST",
        "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM", "28": "AL AZ CY DO GT HU LB PL SV BY NI",
        "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


def find_ibans(text: str) -> Iterator[tuple[int, int]]:
    """Where a text holds IBANs."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match.group()[:2].upper())
        if length is None:
            continue
        characters = [i for i in range(match.start(), match.end()) if text[i].isalnum()]
        if len(characters) < length:
            continue
        end = characters[length - 1] + 1
        if end < len(text) and text[end].isalnum():
            continue
        if _is_iban("".join(text[i] for i in characters[:length])):
            yield match.start(), end


def _is_iban(number: str) -> bool:
    number = number.upper()
    if int("".join(str(int(c, 36)) for c in number[4:] + number[:4])) % 97 != 1:
        return False
    from stdnum import iban

    return bool(iban.is_valid(number, check_country=False))


def card_in(span: str) -> tuple[int, int] | None:
    """Where in a span of digit groups a payment card number stands: 13 to 19 digits, Luhn, whole groups."""
    groups = list(re.finditer(r"\d+", span))
    for first, start in enumerate(groups):
        if start.group()[0] not in "23456":
            continue
        digits = ""
        for group in groups[first:]:
            if len(group.group()) < 3:
                break
            digits += group.group()
            if len(digits) > 19:
                break
            if len(digits) >= 13 and _luhn(digits):
                return start.start(), group.end()
    return None


def _luhn(digits: str) -> bool:
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character)
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def phone_in(span: str, region: str | None) -> tuple[int, int] | None:
    """Where in a span of digits a telephone number stands.

    Args:
        region: two-letter country by whose rules national numbers are read; None for international ones alone.
    """
    from phonenumbers import PhoneNumberMatcher

    for match in PhoneNumberMatcher(span, region):
        return match.start, match.end
    digits = sum(c.isdigit() for c in span)
    if span.lstrip("(").startswith(("0", "+")) and 9 <= digits <= 15:
        end = len(span)
        return 0, end
    return None
