"""Where a text holds a postal address: a street with its number, a post box, a postal code that names a few doors.

A table of how streets are written in English, German, Dutch, the Nordic languages, French, Spanish, Italian,
Portuguese and Polish. A street without a number is a place people complain about and is left alone, and so is a
number with a word that only looks like a street ("Platz 3", "5 way split"). It finds what is written in a usual way;
a house name or an address spread over several sentences it does not find.

Every repetition is bounded, so that the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator


def _words(lines: str) -> frozenset[str]:
    return frozenset(lines.split())


def _any_of(lines: str) -> str:
    """Words as alternatives of a pattern."""
    return "|".join(lines.split())


CAPITALS = "A-Z" + "".join(chr(c) for c in range(0xC0, 0x180) if chr(c).isupper())
"""Capitals of the Latin alphabets, for use in a character class."""

_CAP = rf"[{CAPITALS}][\w'’\-]{{0,24}}"
_NUMBER = r"\d{1,5}(?: ?[A-Za-z](?![\w'’]))?(?: ?[\-–/] ?\d{1,4}[A-Za-z]?(?!\w)){0,2}"
_FREE = r"(?<![\w.,:/#$£€%+\-])"  # what a house number does not follow: half of another number, or an amount
_NO_MORE = r"(?![\w%]|[.,:]\d)"  # and what does not follow it
_STOP = re.compile(r"[.,;:!?)\n]|\Z")

# What comes after a number that counts or measures something: "Umweg 20 km", "via app 3 tentativi".
_UNITS = _any_of(r"""
    euros? eur chf kr zł dollars? franken kronen pfund km m cm mm kg g gb mb x von van of out su sur af av di de\ cada
    h uhr uur std stunden? min minut\w* tage?n? wochen?
    monate? jahre?n? mal sterne? prozent pakete? personen plätze
    dagen weken maanden jaar keer sterren heures? jours? semaines? mois ans? fois étoiles? horas? d[ií]as? semanas?
    meses años veces vezes ore giorn[oi] settiman[ae] mesi ann[oi] volt[ae] tentativi solleciti serate timmar dagar
    veckor timer dage uger tuntia päivää dni godzin\w* tygodni\w* minutes? hours? days? weeks? months? years? times?
    stars?
""").replace("de\\|cada", "de cada")
_UNIT = re.compile(rf"[ \u00a0]?(?:[€$£%°]|(?:{_UNITS})(?![\w'’]))", re.IGNORECASE)

_UK_AREAS = (
    "AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G "
    "GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW "
    "OL OX PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC "
    "WD WF WN WR WS WV YO ZE"
)
# Not "8GB", "2ND": sizes and ordinals that have the shape of a second half.
_UK_CODE = rf"(?:{_any_of(_UK_AREAS)})\d[\dA-Z]? ?(?!1ST|2ND|3RD|\dTH|\d(?:GB|TB|HD|XL))\d[ABD-HJLNP-UW-Z]{{2}}(?!\w)"
_LONG_UK_AREAS = "|".join(area for area in _UK_AREAS.split() if len(area) == 2).lower()
_UK_CODE_SMALL = rf"(?:{_LONG_UK_AREAS})\d[\da-z]? (?!1st|2nd|3rd|\dth|\d(?:gb|tb|hd|xl))\d[abd-hjlnp-uw-z]{{2}}(?!\w)"
_CANADIAN_CODE = r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ \-]?\d[ABCEGHJ-NPRSTV-Z]\d(?!\w)"
_IRISH_CODE = r"(?:D6W|[AC-FHKNPRTV-Y]\d\d) (?=[0-9A-Z]{0,3}[A-Z])(?=[0-9A-Z]{0,3}\d)[0-9AC-FHKNPRTV-Y]{4}(?!\w)"
_DUTCH_CODE = r"[1-9]\d{3} ?(?!S[ADS])[A-Z]{2}(?![\w'’])"
_CODE_FIRST = (
    rf"(?:[A-Z]{{1,2}}-)?(?:\d{{5}}-\d{{3}}|\d{{4}}-\d{{3}}|\d\d-\d{{3}}|\d{{3}} \d\d|{_DUTCH_CODE}|\d{{4,5}})"
    r"(?![\w\-.,]\d|\w)"
)
_US_CODE = r"[A-Z]{2},? \d{5}(?:-\d{4})?(?!\w)"

# Places of two words: "New York", "Bad Homburg", "Frankfurt am Main", "København K", "Oud Zuilen" before a stop.
_FIRST_OF_TWO = _any_of(
    "New Los San Santa Santo São Saint Sankt St\\.? Las? Les? El Den Bad Fort Port Porto Rio Villa Vila Nova Nowy Nowa "
    "North South East West Great Little Upper Lower Oud Nieuw"
)
_PLACE = (
    rf"(?:(?:{_FIRST_OF_TWO}) )?{_CAP}"
    rf"(?: (?:[A-Z](?!\w)|(?:am|an der|a\. ?M\.|sur|upon|on|de|del|do|da) {_CAP}|{_CAP}(?=[.,;:!?\n]|\Z)))?"
)
_IN_TOWN = re.compile(
    rf",?\s{{1,2}}(?:{_PLACE},? ){{0,2}}(?:{_UK_CODE}|{_CANADIAN_CODE}|{_IRISH_CODE})"
    rf"|,?\s{{1,2}}{_PLACE},? (?:{_PLACE},? )?{_US_CODE}"
    rf"|(?: ?[,\-–]? {_PLACE}){{1,3}}(?: ?[\-–/,] ?[A-Z]{{2}})?,? \d{{5}}-\d{{3}}(?!\w)"
    rf"|(?:,?\s{{1,2}}| [\-–] ){_CODE_FIRST},? {_PLACE}(?: \([A-Z]{{2}}\)| ?[\-–/] ?[A-Z]{{2}}(?!\w))?"
    rf"|,\s?{_CODE_FIRST}(?: [^\W\d_]{{3,20}})?"
    rf"|,? (?:[^\W\d_]{{3,20}} ){{1,2}}{_UK_CODE}"
)
_DOOR_BEFORE = re.compile(
    r"(?<!\w)(?:flat|apartment|apt\.?|unit|suite|appartement|wohnung|studio) ?\w{1,4},? "
    r"(?:[\w']{2,20} (?:house|court|lodge), )?$",
    re.IGNORECASE,
)
_DOORS = _any_of("flat apartment apt apto unit suite ap appartement piso puerta int interno scala lgh bte bus lok m")
_DOOR_AFTER = re.compile(
    r",? \d{1,2}\.? ?[ºª°](?: ?(?:[A-H]|dto|dta|esq|izq|dcha|izda|der)(?!\w)\.?)?"
    rf"|,? (?:{_DOORS})\.? ?\d{{1,4}}[A-Za-z]?(?!\w)"
    r"|,? (?:#\d{1,4}|bajo(?!\w)|[1-9]\.? (?:og|sal|tv|th)(?!\w)|(?:hs|I{1,3})(?!\w))"
    r"| \d{1,3}(?=, \d{5} )",
    re.IGNORECASE,
)

# English: number, name, kind of street.
_STREETS = "Street St Road Rd Avenue Ave Lane Ln Crescent Cres Boulevard Blvd Terrace Gardens Gdns Highway Hwy Parkway"
_OR_SOMETHING_ELSE = (
    "Drive Dr Close Court Ct Place Pl Square Sq Way Row Hill Walk Park Green Quay Rise View Parade Circle Cir Trail "
    "Trl Alley Loop Heights Grove Wharf Vale Yard Croft Esplanade Broadway Mews"
)
_ENGLISH = re.compile(
    rf"{_FREE}{_NUMBER},? (?:(?:[NSEW]|[NS][EW])\.? )?"
    rf"(?:(?:St\. |of |the )?(?:{_CAP}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,3}}"
    rf"(?:{_any_of(_STREETS)}|({_any_of(_OR_SOMETHING_ELSE)})|{_any_of(_STREETS.lower())})(?![\w'’])\.?"
    rf"(?: (?:[NS][EW]|[NSEW])(?!\w))?"
    rf"|{_FREE}\d{{1,5}} Broadway(?!\w)"
)
_ENGLISH_SMALL = re.compile(
    rf"{_FREE}\d{{1,4}}[a-z]?,? ((?:[a-z]{{3,15}}(?:'s)? ){{1,2}})"
    r"(?:street|st|road|rd|avenue|ave|lane|crescent|terrace|close|gardens)(?![\w'’])"
)
_LIVES_AT = re.compile(
    r"(?:^|\n|[,:] ?|(?<!\w)(?:at|to|from|is|it's|address|live|lives|says|in|of|outside|near|and|not) )$", re.IGNORECASE
)
_NO_HOUSE = re.compile(
    r"(?<!\w)(?:level|room|gate|floor|row|seat|bus|line|step|page|part|chapter|version|zone|bay|platform|exit|terminal"
    r"|table|route|tram|series|top|the|my|your|all|got|only|with|over|after|under|than|about) $",
    re.IGNORECASE,
)
_NO_STREET_NAME = _words("""
    best more other miles mile different left wrong week weeks day days month months year years hour hours minute
    minutes min mins star stars time times hole way people cars items parts of the off and to in from down along up per
    out busy main roads lanes blocks metres meters km yards feet inch point points pairs sets free good bad big
    wheel click volt series course stop
""")

# German, Dutch, Nordic: the kind of street ends the name, the number follows.
_ENDINGS = _any_of("""
    weg allee platz gasse damm ufer chaussee stieg steig laan plein gracht kade singel dijk steeg dreef plantsoen gata
    gaten veien vegen vejen vej vei gade torget torg gränd stigen backen katu kuja ntie polku allé
""")
_KINDS = _any_of("""
    Straße Strasse Str\\. Weg Allee Platz Gasse Ring Damm Ufer Chaussee Straat Laan Markt gate gata vei veg gade allé
    väg
""")
_COMPOUND = re.compile(
    rf"(?<![\w'’\-])(?:(?:(?:{_CAP}|[1-9]e|van der|van den|van de) ){{0,2}}"
    r"(?:[^\W\d_][\w'’\-]{1,30}?(?:straße|strasse|str\.?|straat|gatan|vägen)"
    rf"|[{CAPITALS}][\w\-]{{2,25}}?(?:{_ENDINGS})"
    rf"|Straße (?:des|der) (?:\d{{1,2}}\. )?{_CAP}|Laan van(?: der?n?)? {_CAP}(?: {_CAP})?)"
    rf"|(?:{_CAP} ){{1,2}}(?:{_KINDS})) ?{_NUMBER}{_NO_MORE}"
)
_KIND_OF_STREET = re.compile(r"[\w\-]+(?=\.? ?\d)")
_NO_STREET = _words("""
    umweg heimweg rückweg hinweg arbeitsweg schulweg radweg gehweg fußweg feldweg onderweg unterweg snelweg autoweg
    keineswegs parkplatz sitzplatz stellplatz stehplatz arbeitsplatz spielplatz campingplatz zeltplatz liegeplatz
    lagerplatz steckplatz speicherplatz fensterplatz gangplatz startplatz sportplatz tennisplatz rastplatz standplatz
    schlafplatz ausbildungsplatz studienplatz schoolplein parkeerplein sackgasse einbahnstraße waschstraße registr
""")
_BEFORE_A_SEAT = _words("""
    der die das den dem mein meinem meinen dein unser unserem ihr ihrem ein einen kein keinen dieser diesem auf am im
    vom zum freier anderer erster letzter jeder
""")

# Any name with a number, where a postal code and a town follow: "Am Alten Markt 5, 14467 Potsdam", "Gran Vía 28, ...".
_BEFORE_CODE = re.compile(
    r"(?<![\w'’\-])(?:(?:Am|An der|An den|An dem|Im|In der|In den|Auf der|Auf dem|Zum|Zur|Unter den|Hinter der"
    r"|Vor dem) )?"
    rf"{_CAP}(?: {_CAP}){{0,2}} {_NUMBER},? (?=(\d{{5}}|\d{{3}} \d\d|\d\d-\d{{3}}|{_DUTCH_CODE}),? [{CAPITALS}]\w)"
)

# French: number, kind of street, name. "place" and the like only before a name with a capital or a postal code.
_LINKS = r"(?:(?:de|du|des|la|le|les|au|aux|à) |[ldLD]['’]){0,3}"
_FRENCH_STREETS = _any_of(
    "rue avenue av\\. boulevard boulvard bd\\.? bld impasse all[ée]e chemin quai faubourg ruelle sentier"
)
_FRENCH = re.compile(
    rf"{_FREE}\d{{1,4}}(?: ?(?:bis|ter|quater)(?!\w)| ?[A-D](?!\w))?,? "
    rf"(?:(?i:{_FRENCH_STREETS}) {_LINKS}(?!ferm|barr|bloqu|plus|en |sont|est )[^\W\d_][\w'’\-]{{2,24}}"
    rf"|(?i:place|route|cours(?! de )|square|passage|résidence|villa|promenade|esplanade) "
    rf"{_LINKS}(?:{_CAP}|[^\W\d_]{{3,24}}(?=,? \d{{5}} [{CAPITALS}])))(?:[ \-]{_LINKS}{_CAP}){{0,3}}"
)

# Spanish, Italian, Portuguese, Polish, Belgian French: kind of street, name, number.
_OF = (
    r"(?:(?:de|del|della|delle|dello|dei|degli|di|da|do|das|dos|du|des|la|las|los|el|e|y|i|ks\.|gen\.|św\.|[a-z]{1,3}\.)"
    r" |(?:dell|[lLdD])['’]){0,3}"
)
_SIGN = r"(?:,? (?:n[.ºo°]{1,2} ?|nr\.? |n[úu]m(?:\.|ero) )?|, ?)"
_KINDS_FIRST = _any_of("""
    calle avenida avda\\.? av\\. plaza pza\\.? paseo ronda camino carretera ctra\\.? travesía glorieta rambla carrer
    viale piazza piazzale vicolo contrada lungotevere lungomare rua travessa praça alameda estrada rodovia beco calçada
    praceta ul\\. ulica ulicy al\\. aleja alei os\\. osiedle pl\\. placu? rue avenue chaussée boulevard
    via corso largo strada borgo salita
""")
_KIND_FIRST = re.compile(
    rf"(?<![\w.])(?:(?i:{_KINDS_FIRST})|C/|C\.|Cl\.|V\.le|P\.zza|C\.so|R\.|Tv\.|Pç\.) ?"
    rf"({_OF}(?:\d{{1,2}} )?{_CAP}(?: {_OF}{_CAP}\.?){{0,4}}){_SIGN}"
    rf"\d{{1,5}}(?:[\-/]\d{{1,4}})?(?: ?/? ?[A-Za-z](?![\w'’]))?{_NO_MORE}"
)
_I_LIVE = (
    r"(?:vivo en(?: la)?|vivo na|vivo in|moro na|resido na|abito in|mieszkam (?:na|przy)|direcci[oó]n(?: es|:)?"
    r"|indirizzo(?: è|:)?|endereço(?: é|:)?|adres:?)"
)
_KIND_FIRST_SMALL = re.compile(
    rf"(?<!\w){_I_LIVE} ((?:{_KINDS_FIRST}) (?:[^\W\d_]{{1,20}}[ ,]{{1,2}}){{1,4}}?"
    rf"(?:n[.ºo°]{{1,2}} ?)?\d{{1,5}}[a-z]?){_NO_MORE}"
)
# "Via Telepass 2 addebiti" is "by way of", unless it is "in Via ..." or no small word follows.
_BY_WAY = ("via ", "corso ", "largo ", "strada ", "borgo ")
_A_NOUN = re.compile(r" [a-zà-ü]{4,}")
_IN_VIA = re.compile(r"(?<!\w)(?:in|a|di|da|al|alla|è|indirizzo|abito) $", re.IGNORECASE)
_NO_VIA = _words("app mail email sms dhl ups fedex gls dpd whatsapp paypal chat web internet telefono pec usb gps bus")

_BOXES = (
    r"p\.? ?o\.? ?box|post office box|postfach|postbus|postboks|postbox|casella postale|bo[îi]te postale|caixa postal"
    r"|apartado (?:de correos|postal)|skr(?:ytka|\.) ?poczt(?:owa|\.)"
)
_BOX = re.compile(
    rf"(?<!\w)(?:(?i:{_BOXES}) ?(?:n[.ºo°]{{1,2}} ?|nr\.? )?\d{{1,5}}(?: \d{{2}}){{0,2}}"
    rf"|(?:BP|B\.P\.|Box|Apartado|CP|C\.P\.) ?\d{{1,5}}(?=,? {_CODE_FIRST} [{CAPITALS}]))(?!\w)"
)
_CODE_ALONE = re.compile(rf"(?<![\w\-])(?:{_UK_CODE}|{_UK_CODE_SMALL}|{_CANADIAN_CODE}|{_IRISH_CODE})")
_DUTCH_CODE_ALONE = re.compile(
    rf"(?<![\w\-.,:/€$£])(?!(?:19|20)\d\d ){_DUTCH_CODE}(?=[.,;:!?)\n]|\Z| [{CAPITALS}]?[a-zß-ž])(?![.,:]\d)"
)
_NO_DUTCH_CODE = _words("""
    EU US UK GB MB KB TB KM CM MM ML KG HD TV OK AM PM PC PS XL CL DL KW HZ MP AH DB IT IN IS ID OR AT TO SO NO MY WE
    DE HE ME IF AN AS BY DO GO OF ON UP DM PT PX QR VR AI
""")
_DIGIT = re.compile(r"\d")


def find_addresses(text: str) -> list[tuple[int, int]]:
    """Where addresses stand: (start, end) in characters, sorted, apart from each other."""
    if not _DIGIT.search(text):
        return []
    apart: list[tuple[int, int]] = []
    for find in (_english, _compound, _romance, _boxes):
        apart += [_wider(text, *span) for span in find(text)]
    apart += _codes(text)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(apart):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _english(text: str) -> Iterator[tuple[int, int]]:
    for match in _ENGLISH.finditer(text):
        name = re.search(r"[^\W\d_]{2,}", match.group())
        if name and name.group() != "The" and name.group().casefold() in _NO_STREET_NAME:
            continue
        before = text[max(0, match.start() - 12) : match.start()]
        # "4 Wheel Drive does not work": no stop behind it, no "at" before it, no town.
        sure = match.group(1) is None or _STOP.match(text, match.end()) or _LIVES_AT.search(before)
        if not _NO_HOUSE.search(before) and (sure or _IN_TOWN.match(text, match.end())):
            yield match.span()
    for match in _ENGLISH_SMALL.finditer(text):
        before = text[max(0, match.start() - 12) : match.start()]
        if not _NO_STREET_NAME.intersection(match.group(1).split()) and _LIVES_AT.search(before):
            yield match.span()


def _compound(text: str) -> Iterator[tuple[int, int]]:
    for match in _COMPOUND.finditer(text):
        words = match.group().casefold().split()
        kind = _KIND_OF_STREET.search(match.group())
        last = kind.group().casefold() if kind else ""
        first_says_the = words[0] in _BEFORE_A_SEAT
        if last in _NO_STREET or _UNIT.match(text, match.end()):
            continue
        if first_says_the and words[1].rstrip(".") == last:
            if last in ("platz", "weg", "ring", "markt"):
                continue  # "Der Platz 3"
            yield match.start() + len(words[0]) + 1, match.end()
        else:
            yield match.span()
    for match in _BEFORE_CODE.finditer(text):
        if not _UNIT.match(text, match.end() + len(match.group(1))):
            yield match.start(), match.start() + len(match.group().rstrip(" ,"))


def _romance(text: str) -> Iterator[tuple[int, int]]:
    for match in _FRENCH.finditer(text):
        yield match.span()
    for match in _KIND_FIRST.finditer(text):
        if match.group(1).split()[0].casefold() in _NO_VIA or _UNIT.match(text, match.end()):
            continue
        way = match.group().casefold().startswith(_BY_WAY) and _A_NOUN.match(text, match.end())
        if not way or _IN_VIA.search(text[max(0, match.start() - 12) : match.start()]):
            yield match.span()
    for match in _KIND_FIRST_SMALL.finditer(text):
        if not _UNIT.match(text, match.end()):
            yield match.span(1)


def _boxes(text: str) -> Iterator[tuple[int, int]]:
    for match in _BOX.finditer(text):
        yield match.span()


def _codes(text: str) -> Iterator[tuple[int, int]]:
    for match in _CODE_ALONE.finditer(text):
        yield match.span()
    for match in _DUTCH_CODE_ALONE.finditer(text):
        if match.group()[-2:] not in _NO_DUTCH_CODE:
            yield match.span()


def _wider(text: str, start: int, end: int) -> tuple[int, int]:
    """The span with its door and its town."""
    before = _DOOR_BEFORE.search(text, max(0, start - 50), start)
    if before:
        start = before.start()
    for pattern in (_DOOR_AFTER, _DOOR_AFTER, _IN_TOWN):
        after = pattern.match(text, end)
        if after:
            end = after.end()
    return start, end
