from __future__ import annotations

# ruff: noqa: E501
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feedback_loop.analysis.redaction import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to ann.o'neil+x@mail.example.co.uk, please", "Write to [email], please"),
        ("bob (at) example.com has it", "[email] has it"),
        ("Ring +44 20 7946 0958 after six", "Ring [phone] after six"),
        ("Ring me on 020 7946 0958.", "Ring me on [phone]."),
        ("06 12 34 56 78 le soir", "[phone] le soir"),
        ("My card 4111 1111 1111 1111 was eaten", "My card [card] was eaten"),
        ("card 4111-1111-1111-1111 and 5500000000000004", "card [card] and [card]"),
        ("Pay to GB82 WEST 1234 5698 7654 32 today", "Pay to [iban] today"),
        ("an de89 3704 0044 0532 0130 00 bitte", "an [iban] bitte"),
        ("Order 123456 is late", "Order [number] is late"),
        ("Order ORD-2024-00123 and AB123456C", "Order [number] and [id]"),
        ("id 550e8400-e29b-41d4-a716-446655440000 failed", "id [number] failed"),
        ("see https://x.example/reset?token=abc123.", "see [link]."),
        ("example.com/a?mail=1 broke", "[link] broke"),
        ("from 192.168.1.10 and 2001:db8::1", "from [ip] and [ip]"),
        ("SSN 536-90-4399 and NI AB 12 34 56 C", "SSN [id] and NI [id]"),
        ("NHS number 943 476 5919 is wrong", "NHS number [id] is wrong"),
        ("Rente 65 170839 J 008", "Rente [id]"),
        ("Steuer-ID 36 574 261 809 falsch", "Steuer-ID [id] falsch"),
        ("NIR 2 95 10 99 126 111 93", "NIR [id]"),
        ("DNI 54362315-K o NIE X-2482300-W", "DNI [id] o NIE [id]"),
        ("CF RCCMNL83S18D969H", "CF [id]"),
        ("BSN 111222333, nn 85.07.30-033.28", "BSN [id], nn [id]"),
        ("PESEL 44051401359, CPF 390.533.447-05", "PESEL [id], CPF [id]"),
        ("880320-0016 och 211062-5629, 151086 95088, 131052-308T", "[id] och [id], [id], [id]"),
        ("AHV 756.9217.0769.85", "AHV [id]"),
        ("Flat 3, 12 High Street, Leeds LS1 4AP never got it", "[address] never got it"),
        ("at 221B Baker St, London NW1 6XE", "at [address]"),
        ("It went to 1600 Elm Avenue, Austin, TX 78701.", "It went to [address]."),
        ("an Hauptstraße 12a, 10115 Berlin geliefert", "an [address] geliefert"),
        ("ich wohne bahnhofstr. 5", "ich wohne [address]"),
        ("chez moi, 12 rue de la Paix, 75002 Paris", "chez moi, [address]"),
        ("en Calle Mayor 5, 3º B, 28013 Madrid", "en [address]"),
        ("in Via Roma 12, 20121 Milano (MI)", "in [address]"),
        ("op Kerkstraat 14-2, 1017 GA Amsterdam", "op [address]"),
        ("na Rua das Flores 33, 1250-096 Lisboa", "na [address]"),
        ("na ul. Marszałkowska 10/12, 00-590 Warszawa", "na [address]"),
        ("på Storgatan 5, 111 51 Stockholm", "på [address]"),
        ("PO Box 77, Postfach 12 34 56, Postbus 9", "[address], [address], [address]"),
        ("EH1 1YZ, 3512 JE, M5V 2T6 and D02 X285", "[address], [address], [address] and [address]"),
        ("my name is Anna Smith and I wait", "my name is [name] and I wait"),
        ("Ich heiße Sabine Krüger.", "Ich heiße [name]."),
        ("Mijn naam is Jan de Vries en", "Mijn naam is [name] en"),
        ("No reply. Kind regards, John O'Brien", "No reply. Kind regards, [name]"),
        ("Rien.\nCordialement,\nJean-Luc Moreau 06 12 34 56 78", "Rien.\nCordialement,\n[name] [phone]"),
    ],
)
def test_personal_data_becomes_a_placeholder(text: str, expected: str) -> None:
    assert redact(text).text == expected


@pytest.mark.parametrize(
    "text",
    [
        "I waited 3 weeks since 2026 and paid £1,200",
        "It cost 1 200 000 € on 2026-03-04 at 12:30:45",
        "from 01.02.2026 to 5/2/2026",
        "24/7 support, 10/10, 3-5 days, 100%",
        "see https://example.com/help or www.example.com",
        "version 1.2 of the app, and/or the site",
        "sent in 2024 2025 2026",
        "The price went from 99.99 to 149,99 EUR",
        "no data here at all",
        "The store on High Street, the branch in der Hauptstraße, le magasin de la rue de la Paix",
        "5 way split, 2 drive failures, 100 roads, 3 place settings, 4 Wheel Drive does not work",
        "Platz 3, Reihe 12, Parkplatz 2, Umweg 20 km, Hauptstraße 3 Wochen gesperrt, der Weg 3 auch",
        "2 rue fermées, 3 places libres, la calle 5 minutos cerrada, via app 3 tentativi, Corso di cucina 3 serate",
        "iOS 17.4.1, version 120.0.6099.71, M1 8GB, S24 5GB, 1080 HD, 1500 MB left, 1200 EU customers",
        "Level 3 Car Park, Room 5 Park View was noisy, Gate 12 Terminal 5",
        "my name is not on the list, my name is wrong, Mein Name ist falsch",
        "Kind regards from a very unhappy customer",
        "Regards, The Support Team",
        "",
    ],
)
def test_money_dates_and_small_numbers_stay(text: str) -> None:
    assert redact(text).text == text
    assert redact(text).found == ()


def test_a_national_number_is_a_phone_where_its_region_is_known() -> None:
    assert redact("call (650) 253-0000", "us").text == "call [phone]"
    assert redact("call 650-253-0000").text == "call [number]"


def test_found_tells_where_it_stood() -> None:
    text = "mail a@example.org or call +49 30 901820"
    found = redact(text).found
    assert [(item.kind, text[item.start : item.end]) for item in found] == [
        ("email", "a@example.org"),
        ("phone", "+49 30 901820"),
    ]


_PIECES = st.sampled_from(
    ["12", "High Street", ", ", " ", "\n", "Regards,", "John", "Smith", "10115", "Berlin", "Hauptstraße", "my name is", "Via",
     "+44", "7700", "900123", "4111 1111 1111 1111", "a@example.org", "AB 12 34 56 C", "SW1A", "1AA", "£", "3.5", "[address]",
     "[name]", "2024-05-06", "rue de la Paix", "[", "]", "www.example.com/?a=1", "::1", "1.2.3.4", "SSN", "-", "bis", "PO Box"]
)  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(st.lists(_PIECES, max_size=14), st.booleans())
@example(["12", "::1", "1.2.3.4"], False)
def test_whatever_is_redacted_reads_the_same_ever_after(pieces: list[str], apart: bool) -> None:
    text = (" " if apart else "").join(pieces)
    once = redact(text, "GB")
    assert redact(once.text, "GB").found == ()
    assert all(a.end <= b.start for a, b in pairwise(once.found))
    rebuilt, at = "", 0
    for item in once.found:
        rebuilt += text[at : item.start] + f"[{item.kind}]"
        at = item.end
    assert rebuilt + text[at:] == once.text


def test_redacting_twice_changes_nothing() -> None:
    once = redact("a@example.org, 4111 1111 1111 1111, order 1234567, https://e.example/x?y=1").text
    assert redact(once).text == once


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1 ",
        "a@",
        "@",
        "a.",
        "AA00",
        "DE89 3704 0044 0532 0130 01 ",
        "www.",
        "1.1.",
        ":",
        "a-",
        "+1(",
        "£1,",
        "[ at ] ",
        "12 Aa ",
        "1 the A ",
        "rue de la ",
        "1 rue de l'",
        "Via Aa ",
        "Aa Aa 1, ",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaastr 1 ",
        "ul. a. a. ",
        "flat 1, ",
        "BSN ",
        "BSN 111222333 ",
        "536-90-4399 ",
        "AB12 ",
        "my name is Aa ",
        "Regards, Aa ",
        "A.",
        "\n",
    ],
)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    start = time.thread_time()
    redact(text, "GB")
    redact(text[:90_000], "GB")
    # Linear is a second or two, on a busy machine a few more; one quadratic pattern is a minute.
    assert time.thread_time() - start < 15.0


def test_importing_it_is_cheap() -> None:
    code = (
        "import sys, feedback_loop.analysis.redaction, feedback_loop.analysis.splitting, feedback_loop.analysis.kinds;"
        "sys.exit('numpy' in sys.modules or 'sklearn' in sys.modules or 'flask' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
