"""Numbers by which a state knows a person or a firm: social security, tax, health and population registers.

Shapes are written here, check digits and dates are judged by python-stdnum. Such numbers are long and would be replaced
as ``[number]`` anyway; here they get their own label, and those written in short groups or with letters go whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

_CUE = re.compile(
    r"(?<!\w)(?:social security|ssn|itin|taxpayer|tax (?:id|number|no)|nhs|national insurance|ni (?:number|no)|nino"
    r"|identity (?:number|card)|id (?:number|card)|national id|steuer-?(?:id|nummer|identifikationsnummer)|idnr|ust-?id"
    r"|umsatzsteuer-?id|rentenversicherung\w{0,10}|sozialversicherung\w{0,10}|svnr|ahv|versichertennummer"
    r"|s[ée]curit[ée] sociale|nir|num[ée]ro fiscal|siret|siren|num[ée]ro national|registre national|niss|dni|nie|nif"
    r"|cif|cuit|curp|rfc|rut|c[ée]dula|codice fiscale|cf|c\.f\.|partita iva|p\.? ?iva|bsn|burgerservicenummer"
    r"|sofinummer|rijksregister\w{0,10}|insz"
    r"|btw|cart[ãa]o de cidad[ãa]o|contribuinte|cpf|cnpj|pesel|nip|regon|dow[óo]d\w{0,8}"
    r"|personnummer|organisationsnummer|orgnr|f[øo]dselsnummer|cpr(?:-?nummer)?|hetu|henkilötunnus|pps|ppsn"
    r"|rodn[ée] č[ií]slo|cnp|oib|jmbg|egn|tckn|kimlik|aadhaar|tfn|vat|mwst|tva)(?!\w)",
    re.IGNORECASE,
)
_CUE_WITHIN = 40  # characters before a number
_AFTER_CUE = re.compile(r"(?<![\w.,])\d(?:[ .\-/]?\d){6,17}(?!\w|[.,]\d)")
_MOST_JUDGED = 500  # candidates per text; what is beyond is left to the search for long numbers

# Shape; modules of stdnum of which one must agree (none: the shape is telling enough); must the name stand before it?
_RULES: tuple[tuple[re.Pattern[str], tuple[str, ...], bool], ...] = tuple(
    (re.compile(rf"(?<![\w])(?:{shape})(?!\w|[\-.,]\d)", re.IGNORECASE), tuple(modules.split()), cue)
    for shape, modules, cue in (
        # written in groups or with letters
        (r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PQR-TW-Z][A-CEGHJ-NPQ-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]", "", False),
        (r"\d\d ?(?:0[1-9]|[1-9]\d)(?:0[1-9]|1[0-2])\d\d ?[A-Z] ?\d{3}", "", False),  # German pension insurance
        (r"\d{3}-\d\d-\d{4}", "us.ssn us.itin", False),
        (r"\d{3} \d\d \d{4}", "us.ssn us.itin", True),
        (r"[1-37-8] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d", "fr.nir", False),
        (r"\d\d?\.?\d{3}\.?\d{3}[ \-]?[A-Z]", "es.dni", False),
        (r"[XYZ][ \-]?\d{7}[ \-]?[A-Z]", "es.nie", False),
        (r"[A-HJNPQRSUVW]-?\d{7}-?[0-9A-J]", "es.cif", False),
        (r"[A-Z]{3} ?[A-Z]{3} ?\d\d[A-EHLMPRST]\d\d ?[A-Z]\d{3}[A-Z]", "it.codicefiscale", False),
        (r"\d{8} ?\d ?[A-Z]{2}\d", "pt.cc", False),
        (r"(?:\d\d)?\d{6}[\-+]\d{4}", "se.personnummer dk.cpr is_.kennitala", False),
        (r"\d{6} \d{5}", "no.fodselsnummer", False),
        (r"\d{6}[\-+A]\d{3}[0-9A-Y]", "fi.hetu", False),
        (r"\d\d\.\d\d\.\d\d[\- ]\d{3}[.\- ]\d\d", "be.nn be.bis", False),
        (r"756\.?\d{4}\.?\d{4}\.?\d\d", "ch.ssn", False),
        (r"\d{4} \d{6}", "at.vnr", False),
        (r"\d{7}[A-W][A-IW]?", "ie.pps", False),
        (r"\d{3}\.\d{3}\.\d{3}-\d\d", "br.cpf", False),
        (r"\d\d\.\d{3}\.\d{3}/\d{4}-\d\d", "br.cnpj", False),
        (r"\d{6}/\d{3,4}", "cz.rc", False),
        (r"\d{4}\.\d\d\.\d{3}", "nl.bsn", False),
        (r"\d\d \d{3} \d{3} \d{3}", "de.idnr", False),
        (r"\d{3}-\d{3}-\d\d-\d\d|\d{3}-\d\d-\d\d-\d{3}", "pl.nip", False),
        (r"\d{6}-\d{7}", "kr.rrn", False),
        (r"\d{17}[\dX]", "cn.ric", False),
        (r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d", "mx.curp", False),
        (r"[A-Z]{5}\d{4}[A-Z]", "in_.pan", False),
        (r"\d{1,2}\.\d{3}\.\d{3}-[\dK]", "cl.rut", False),
        (r"\d{4}[ \-]\d{4}[ \-]\d{4}", "in_.aadhaar", True),
        (r"\d{3}[ \-]\d{3}[ \-]\d{4}", "gb.nhs", True),
        (r"(?:AT ?U|BE ?|BG ?|CY ?|CZ ?|DE ?|DK ?|EE ?|EL ?|ES ?|FI ?|FR ?|HR ?|HU ?|IE ?|IT ?|LT ?|LU ?|LV ?|MT ?|NL ?"
         r"|PL ?|PT ?|RO ?|SE ?|SI ?|SK ?)[0-9A-Z]{7,12}", "eu.vat", False),
    )
)  # fmt: skip


def find_ids(text: str) -> Iterator[tuple[int, int]]:
    """Where such numbers stand: (start, end) in characters. Spans may overlap."""
    cues = [match.end() for match in _CUE.finditer(text)]
    judged = 0
    for pattern, modules, needs_cue in _RULES:
        for match in pattern.finditer(text):
            if not any(c.isdigit() for c in match.group()) or (needs_cue and not _follows(match.start(), cues)):
                continue
            judged += 1
            if judged > _MOST_JUDGED:
                break
            if not modules or any(_agrees(module, match.group()) for module in modules):
                yield match.span()
    for cue in cues:
        number = _AFTER_CUE.search(text, cue, cue + _CUE_WITHIN + 20)
        if number and number.start() - cue <= _CUE_WITHIN:
            yield number.span()


def _follows(start: int, cues: list[int]) -> bool:
    before = bisect_right(cues, start)
    return before > 0 and start - cues[before - 1] <= _CUE_WITHIN


@cache
def _module(name: str) -> Any:
    return import_module(f"stdnum.{name}")


def _agrees(name: str, number: str) -> bool:
    return bool(_module(name).is_valid(number))
