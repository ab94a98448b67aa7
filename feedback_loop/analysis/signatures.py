"""Names that customers give themselves: "my name is Anna Smith", and the name under a letter.

Only after such words, and only words with a capital: a name is a word like any other, and a guess would take products,
towns and streets away from the complaint. Names of others, and names without such words, are not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from feedback_loop.analysis.addresses import CAPITALS

_WORD = rf"[{CAPITALS}][^\W\d_A-Z]{{1,24}}"
_PART = rf"(?:[{CAPITALS}]\.|(?:[OD]['’]|Mc|Mac)?{_WORD}(?:[\-'’][{CAPITALS}]?[^\W\d_]{{1,24}}){{0,2}})"
_BETWEEN = (
    r"(?:van der |van den |van de |van |von der |von |zu |de la |del |de |da |dos |das |do |di |du |le |la |y |e )?"
)
_NAME = rf"(?:(?:Mr|Mrs|Ms|Dr|Prof|Herr|Frau|Sr|Sra)\.? )?{_PART}(?: {_BETWEEN}{_PART}){{0,3}}"

_INTRODUCTION = re.compile(
    r"(?<!\w)(?i:my name is|my name['’]s|my full name is|i am called|mein name ist|mein name lautet|ich hei(?:ß|ss)e"
    r"|je m['’]appelle|mon nom est|je me nomme|me llamo|mi nombre es|mi chiamo|il mio nome è|mijn naam is|ik heet"
    r"|(?:o )?meu nome é|chamo-me|me chamo|nazywam si[ęe]|mam na imi[ęe]|jag heter|mitt namn är|jeg hedder|mit navn er"
    r"|jeg heter|mitt navn er|nimeni on),? "
    rf"({_NAME})"
)
_CLOSING = re.compile(
    r"(?<!\w)(?:(?i:(?:kind(?:est)? |best |warm )?regards|best wishes|(?:yours )?(?:sincerely|faithfully|truly)"
    r"|(?:mit )?(?:freundliche[nmr]?|viele[nr]?|liebe[nr]?|beste[nr]?|herzliche[nr]?|schöne[nr]?) gr(?:ü|ue)(?:ß|ss)en?"
    r"|mfg|lg|vg|hochachtungsvoll|(?:bien )?cordialement|(?:meilleures )?salutations(?: distinguées)?|bien à vous"
    r"|(?:un )?(?:cordial )?saludos?(?: cordial(?:es)?)?|atentamente|(?:cordiali |distinti )?saluti"
    r"|(?:met )?vriendelijke groet(?:en|jes)?|groet(?:en|jes)?|mvg|hoogachtend|atenciosamente"
    r"|(?:com os melhores )?cumprimentos|abraços?|pozdrawiam|z poważaniem|(?:med )?vänliga? hälsning(?:ar)?"
    r"|(?:med )?ven(?:n)?lig hilsen"
    r"|hilsen|hälsningar|mvh|ystävällisin terveisin|terveisin)[,.!]?\s{1,3}"
    r"|(?i:thanks|thank you|many thanks|cheers|danke|merci|gracias|grazie|bedankt|obrigad[oa])[,.!]? ?\n\s{0,2})"
    rf"({_NAME})(?=[ .,!]{{0,3}}(?:\Z|\n|\x00|[+(\d]))"
)
# Signed so by those who do not give a name, and nouns that follow "mein Name ist".
_NO_NAME = frozenset(
    word
    for line in (
        "a an the your team customer customers client kunde kundin kunden cliente klant unhappy angry disappointed",
        "very once ex former loyal frustrated anonymous anonym enttäuschter not no wrong missing spelled",
        "on falsch programm please bitte thanks i we it this he she they support service everyone all",
    )
    for word in line.split()
)


def find_names(text: str) -> Iterator[tuple[int, int]]:
    """Where such names stand: (start, end) in characters."""
    for pattern in (_INTRODUCTION, _CLOSING):
        for match in pattern.finditer(text):
            name = match.group(1)
            if not _NO_NAME.intersection(name.casefold().replace(".", "").split()):
                yield match.start(1), match.start(1) + len(name.rstrip("."))
