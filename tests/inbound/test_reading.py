"""What a mail that came in is, by mails of every kind."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feedback_loop.inbound.mime import DEEPEST, LONGEST, MOST_PARTS, parse, shown
from feedback_loop.inbound.reading import Kind, read
from feedback_loop.inbound.words import STOPS, is_stop, own_words
from tests.inbound import mails

TO = "loop+7.0123456789abcdef@fernhill.example"


def kind(raw: bytes) -> Kind:
    return read(raw).kind


@pytest.mark.parametrize(
    ("status", "action", "diagnostic", "expected", "is_address"),
    [
        ("5.1.1", "failed", "smtp; 550 5.1.1 no such person", Kind.BOUNCE, True),
        ("5.0.0", "failed", "smtp; 550 5.1.1 no such person", Kind.BOUNCE, True),
        ("", "failed", "smtp; 550 Unknown user", Kind.BOUNCE, True),
        ("5.2.1", "failed", "", Kind.BOUNCE, True),
        ("5.7.1", "failed", "smtp; 554 5.7.1 rejected by policy", Kind.BOUNCE, False),
        ("5.3.4", "failed", "smtp; 552 5.3.4 too big", Kind.BOUNCE, False),
        ("5.2.2", "failed", "smtp; 552 5.2.2 mailbox full", Kind.DELAY, False),
        ("5.0.0", "failed", "smtp; 552 5.2.2 mailbox full", Kind.DELAY, False),
        ("5.4.4", "failed", "dns; host not found", Kind.DELAY, False),
        ("4.4.7", "failed", "smtp; 421 4.4.7 expired", Kind.DELAY, False),
        ("4.4.1", "delayed", "", Kind.NEWS, False),
        ("2.0.0", "delivered", "", Kind.NEWS, False),
        ("2.0.0", "relayed", "", Kind.NEWS, False),
    ],
)
def test_a_report_says_whether_a_mail_came_back_for_good(
    status: str, action: str, diagnostic: str, expected: Kind, is_address: bool
) -> None:
    found = read(mails.dsn(TO, status, action, diagnostic))
    assert found.kind == expected
    assert found.report is not None
    assert found.report.is_address is is_address
    assert TO in found.addresses
    assert found.message_ids == (mails.OUR_ID,)


def test_a_report_of_several_recipients_of_whom_one_has_it_is_no_bounce() -> None:
    raw = mails.dsn(TO).replace(b"Status: 5.1.1\r\n", b"Status: 5.1.1\r\n\r\nAction: delivered\r\nStatus: 2.0.0\r\n", 1)
    assert kind(raw) == Kind.NEWS


def test_a_report_needs_to_bring_nothing_back() -> None:
    found = read(mails.dsn(TO, returned=""))
    assert (found.kind, found.message_ids) == (Kind.BOUNCE, ())
    assert TO in found.addresses


def test_a_report_whose_parts_are_encoded_is_read() -> None:
    raw = mails.dsn(TO)
    before, _, rest = raw.partition(b"Content-Type: message/delivery-status\r\n\r\n")
    status, _, after = rest.partition(b"\r\n--b1")
    encoded = base64.encodebytes(status).replace(b"\n", b"\r\n")
    head = b"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert kind(before + head + encoded + b"\r\n--b1" + after) == Kind.BOUNCE


def test_a_report_of_exchange_is_read() -> None:
    found = read(mails.exchange(TO))
    assert found.kind == Kind.BOUNCE
    assert found.report is not None
    assert found.report.status == "5.1.10"
    assert found.message_ids == (mails.OUR_ID,)


def test_servers_that_write_no_report_are_read_by_the_code_in_their_first_words() -> None:
    for raw in (mails.qmail(TO), mails.exim(TO)):
        found = read(raw)
        assert (found.kind, found.is_guess) == (Kind.BOUNCE, True)
        assert TO in found.addresses
    assert kind(mails.qmail(TO, "452 4.2.2 mailbox full")) == Kind.DELAY
    assert kind(mails.qmail(TO, "no reason at all")) == Kind.UNCLEAR
    late = mails.exim(TO).replace(b"Mail delivery failed: returning message to sender", b"Warning: delayed 24 hours")
    assert kind(late) == Kind.NEWS


def test_reports_of_spam_are_complaints_and_other_reports_are_none() -> None:
    found = read(mails.arf(TO))
    assert (found.kind, found.message_ids) == (Kind.COMPLAINT, (mails.OUR_ID,))
    assert kind(mails.arf(TO, "not-spam")) == Kind.NEWS
    assert kind(mails.arf(TO, "auth-failure")) == Kind.NEWS


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied\n",
        "Auto-Submitted: auto-generated; owner=x\n",
        "X-Auto-Response-Suppress: All\n",
        "Precedence: bulk\n",
        "precedence: JUNK\n",
        "List-Id: <all.example.com>\n",
        "X-Autoreply: yes\n",
        "Return-Path: <>\n",
    ],
)
def test_what_programs_write_is_an_auto_reply(headers: str) -> None:
    assert kind(mails.reply(TO, "I am away.", headers=headers)) == Kind.AUTO_REPLY


@pytest.mark.parametrize(
    "subject",
    [
        "Out of Office: back on Monday",
        "Automatische Antwort: Ihre Nachricht",
        "=?utf-8?Q?R=C3=A9ponse_automatique_:_absente?=",
        "=?UTF-8?B?6Ieq5YuV5b+c562U?=",
    ],
)
def test_a_notice_of_absence_that_says_so_in_its_subject_only_is_one(subject: str) -> None:
    assert kind(mails.reply(TO, "Back soon.", subject=subject)) == Kind.AUTO_REPLY


def test_a_person_who_answers_is_a_reply() -> None:
    found = read(mails.reply(TO, headers="Auto-Submitted: no\nX-Auto-Response-Suppress: None\n"))
    assert (found.kind, found.sender) == (Kind.REPLY, "maya@example.com")
    assert own_words(found.words) == "It still fails."
    about_absence = read(mails.reply(TO, subject="Re: your out of office hours"))
    assert about_absence.kind == Kind.REPLY


def test_words_come_out_of_encodings_and_pictures_are_counted() -> None:
    found = read(mails.gmail(TO, "Größe 42 fehlt noch immer – schade!", attachment=b"\xff\xd8" * 500))
    assert (found.kind, found.attachments) == (Kind.REPLY, 1)
    assert own_words(found.words, "de") == "Größe 42 fehlt noch immer – schade!"


def test_words_of_a_mail_that_is_html_only_come_without_what_it_quotes() -> None:
    page = (
        "<html><head><style>p {color: red}</style></head><body><!-- x < y --><p>It is 5 &lt; 6 &amp; <b>late</b></p>"
        "<p>again.</p><blockquote type=cite><p>Two labels.</p></blockquote></body></html>"
    )
    raw = f"From: a@example.com\nTo: {TO}\nContent-Type: text/html; charset=utf-8\n\n{page}".encode()
    assert own_words(read(raw).words) == "It is 5 < 6 & late\n\nagain."
    outlook = '<div>Still broken</div><div id="divRplyFwdMsg">From: us</div>'
    assert shown(outlook).strip() == "Still broken"


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Geht nicht.\n\nAm 12.10.2026 um 09:30 schrieb Fernhill <a@b.example>:\n> Zwei", "de", "Geht nicht."),
        ("Non va.\n\nIl giorno lun 12 ott 2026 alle ore 09:30 F <a@b.example> ha scritto:\n> D", "it", "Non va."),
        ("It fails.\n\nThanks,\nMaya\n", "", "It fails."),
        ("Hello,\nThanks, but it fails each time I try it on my phone.", "", "Hello,\nThanks, but it fails each time "
         "I try it on my phone."),
        ("It lacks\n- size 42\n- a zip", "", "It lacks\n- size 42\n- a zip"),
        ("> Two labels.\n\nMine had none.", "", "Mine had none."),
        ("It fails.\n\nSent from my iPhone", "", "It fails."),
        ("> only\n> quotes", "", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_the_words_of_a_person_stay_without_quotes_and_signature(text: str, language: str, expected: str) -> None:
    assert own_words(text, language) == expected


def test_a_long_line_keeps_all_its_words() -> None:
    text = "word " * 1000
    assert own_words(text) == text.strip()


def test_only_a_whole_text_asks_for_no_more_mail() -> None:
    assert all(is_stop(f" {each.upper()}! ") for each in STOPS)
    assert not is_stop("Stop sending parcels without labels.")
    assert not is_stop("")


def test_limits_hold_on_parts_depth_and_length() -> None:
    deep = parse(mails.nested(600))
    depth = 0
    while deep.parts:
        deep, depth = deep.parts[0], depth + 1
    assert depth == DEEPEST
    assert len(list(parse(mails.wide(5000)).walk())) == MOST_PARTS + 1
    huge = mails.reply(TO, "It still fails.", quote="") + b"x" * (10 * LONGEST)
    found = read(huge)
    assert found.kind == Kind.REPLY
    assert len(found.words) <= LONGEST


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\n", b"no headers at all", b"\x00\xff\xfe", b": : :\n\n", b"From: \xff\xff\nTo: \xc3\x28\n\n\xff",
        b"Content-Type: multipart/mixed\n\nno boundary", b"Content-Type: multipart/mixed; boundary=\n\n--\n",
        b"Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\n--x--",
        b"Subject: =?utf-8?B?////?=\nFrom: =?x?Q?=zz?= <a@b>\n\n",
        b"Content-Type: text/plain; charset=idna\nFrom: a@b.c\n\n" + b"a." * 50_000,
        b"Content-Type: text/plain; charset=hex\nFrom: a@b.c\n\nzz",
        b"Content-Type: text/plain; charset=utf-7\nFrom: a@b.c\nSubject: =?utf-7?Q?+2AA-?=\n\n+2AA- words +2AD/-",
        b"Content-Transfer-Encoding: base64\nFrom: a@b.c\n\nabc!d=====x",
        b"From: a@b.c\n" + b"X: y\n" * 30_000 + b"\nwords", b"From: a@b.c\nReferences: " + b"<a@b> " * 50_000,
    ],
)  # fmt: skip
def test_a_broken_mail_is_read_as_far_as_it_goes(raw: bytes) -> None:
    found = read(raw)
    (own_words(found.words) + found.subject).encode()
    assert len(found.key) == 64
    assert found.why


HEADERS = st.sampled_from(
    ["From", "To", "Subject", "Content-Type", "Auto-Submitted", "Return-Path", "Content-Transfer-Encoding", "Status",
     "Action", "Message-ID", "References", "Diagnostic-Code"]
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["multipart/report; boundary=x", "message/delivery-status", "message/rfc822", "message/feedback-report",
         "text/html; charset=utf-7", "base64", "quoted-printable", "5.1.1", "failed", "<>", "MAILER-DAEMON@x"]
    ),
)  # fmt: skip
LINES = st.one_of(
    st.tuples(HEADERS, VALUES).map(": ".join), st.sampled_from(["", "--x", "--x--", "> quoted", "On x wrote:", "<p>"]),
    st.text(max_size=40),
)  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=2000), st.lists(LINES, max_size=40).map("\n".join).map(lambda each: each.encode(
    "utf-8", "surrogatepass"))))  # fmt: skip
@example(b"From: x\nContent-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/rfc822\n\n--x")
def test_nothing_that_comes_in_is_too_odd_to_be_read(raw: bytes) -> None:
    found = read(raw)
    found.why.encode()
    found.subject.encode()
    own_words(found.words).encode()


def test_one_of_several_recipients_behind_an_address_does_not_end_it() -> None:
    raw = mails.dsn(TO).replace(
        b"Action: failed",
        b"Action: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; 552 5.2.2 full\r\n\r\n"
        b"Final-Recipient: rfc822; ivo@example.com\r\nAction: failed",
    )
    report = read(raw).report
    assert report is not None
    assert (report.for_good, report.is_address) == (True, False)
    gone = read(raw.replace(b"5.2.2", b"5.1.1")).report
    assert gone is not None
    assert gone.is_address


SAID = "Still broken.\nMine came without a label: at 9:30, and maya@example.com is me."
US = "Fernhill Outdoor <care@fernhill.example>"


@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize(
    ("language", "introduction"),
    [
        ("en", f"On Mon, Oct 12, 2026 at 9:30 AM {US}\nwrote:"),
        ("en", f"-----Original Message-----\nFrom: {US}\nSent: Monday, 12 October 2026 09:30\nTo: Maya\nSubject: It"),
        ("de", f"Am Mo., 12. Okt. 2026 um 09:30 Uhr schrieb {US}:"),
        ("de", f"________________________________\nVon: {US}\nGesendet: Montag, 12. Oktober 2026 09:30\nAn: Maya\n"
         "Betreff: Es"),
        ("fr", f"Le lun. 12 oct. 2026 à 09:30, {US} a écrit :"),
        ("fr", f"De : {US}\nEnvoyé : lundi 12 octobre 2026 09:30\nÀ : Maya\nObjet : Cela"),
        ("es", "El lun, 12 oct 2026 a las 9:30, Fernhill Outdoor (<care@fernhill.example>) escribió:"),
        ("es", f"De: {US}\nEnviado: lunes, 12 de octubre de 2026 9:30\nPara: Maya\nAsunto: Esto"),
        ("pt", f"Em seg., 12 de out. de 2026 às 09:30, {US} escreveu:"),
        ("pt", f"{US} escreveu (segunda, 12/10/2026\nà(s) 09:30):"),
        ("pt", f"De: {US}\nEnviada em: segunda-feira, 12 de outubro de 2026 09:30\nPara: Maya\nAssunto: Isto"),
        ("it", f"Il giorno lun 12 ott 2026 alle ore 09:30 {US} ha\nscritto:"),
        ("it", f"Da: {US}\nInviato: lunedì 12 ottobre 2026 09:30\nA: Maya\nOggetto: Questo"),
        ("nl", f"Op ma 12 okt 2026 om 09:30 schreef {US}:"),
        ("nl", f"Van: {US}\nVerzonden: maandag 12 oktober 2026 09:30\nAan: Maya\nOnderwerp: Dit"),
        ("pl", f"pon., 12 paź 2026 o 09:30 {US} napisał(a):"),
        ("pl", f"Od: {US}\nWysłane: poniedziałek, 12 października 2026 09:30\nDo: Maya\nTemat: To"),
        ("ar", "في الاثنين، 12 أكتوبر 2026 في 9:30 ص تمت كتابة ما يلي بواسطة \u202aFernhill Outdoor\u202c\u200f "
         "<\u202acare@fernhill.example\u202c\u200f>:"),
        ("ar", f"من: {US}\nتاريخ الإرسال: 12 أكتوبر 2026 09:30\nإلى: Maya\nالموضوع: ما حدث"),
        ("ja", f"2026年10月12日(月) 9:30 {US}:"),
        ("ja", f"差出人: {US}\n送信日時: 2026年10月12日 9:30\n宛先: Maya\n件名: これ"),
    ],
)  # fmt: skip
def test_quotes_are_left_out_in_every_language_that_mails_are_written_in(
    language: str, introduction: str, is_marked: bool
) -> None:
    ours = ["Hello Maya,", "", "Parcels now carry two labels.", "", "No more mail: https://fernhill.example/u/SECRET"]
    quote = "\n".join(f"> {line}" if is_marked else line for line in ours)
    found = own_words(f"{SAID}\n\n{introduction}\n\n{quote}\n", language, ["care@fernhill.example"])
    assert found == SAID
    below = own_words(f"{introduction}\n> Two labels.\n\n{SAID}\n", language, ["care@fernhill.example"])
    assert below == SAID
