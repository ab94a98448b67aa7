"""The form in which mails travel: readable by every server and program, in every language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import cast

import pytest

from feedback_loop.db import Sessions
from feedback_loop.languages import LANGUAGES
from feedback_loop.mail import Message, as_bytes
from feedback_loop.notifications import envelope
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import compose, drain_outbox
from feedback_loop.settings import Settings
from tests.factories import Make
from tests.smtp import Sink, running

LONG = {
    "ar": "المستودعاتوالتوصيلاتالمتأخرة" * 40,
    "ja": "荷物が届きませんでした。" * 120,
    "pl": "Dziewięćdziesięciokilkuletnimi " + "konstantynopolitańczykowianeczka" * 40,
    "en": "Donaudampfschifffahrt" * 80 + "\n.\n..\nFrom here\n" + "a" * 2000,
}


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink


def parsed(data: bytes) -> EmailMessage:
    return cast(EmailMessage, message_from_bytes(data, policy=policy.default))


@pytest.mark.parametrize("language", LONG)
def test_seven_bits_and_short_lines_whatever_is_said(
    make: Make, settings: Settings, now: datetime, language: str
) -> None:
    row = make.notification(name="Łucja “Żółć” Wójcik-Konstantynopolitańczykowianeczkówna, Ärztin " * 2)
    row.data = {**row.data, "language": language, "statement": LONG[language], "quote": LONG[language]}
    data = as_bytes(compose(row, settings), settings.mail_from, now)
    assert data.isascii()
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert max(len(line) for line in data.split(b"\r\n")) <= 120
    mail = parsed(data)
    assert not mail.defects
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]  # type: ignore[attr-defined]
    for part in mail.iter_parts():  # type: ignore[attr-defined]
        text = part.get_content()
        assert part.get_content_charset() == "utf-8"
        for word in LONG[language].split("\n"):
            assert word in text
    # The parser that mail["To"] uses puts spaces between encoded words, where none are.
    raw = next(value for name, value in mail.raw_items() if name == "To")
    assert str(make_header(decode_header(raw))) == f"{' '.join(row.name.split())} <{row.address}>"


def test_mails_over_the_wire_are_what_was_written(
    make: Make, sessions: Sessions, settings: Settings, sink: Sink, now: datetime
) -> None:
    row = make.notification()
    row.data = {**row.data, "statement": LONG["en"]}
    make.session.commit()
    assert drain_outbox(sessions, replace(settings, smtp_port=sink.port), lambda: now).sent == 1
    assert sink.raw == [as_bytes(compose(row, settings), settings.mail_from, now)]


def test_mails_of_one_item_to_one_person_are_one_thread(make: Make, settings: Settings, now: datetime) -> None:
    customer = make.customer()
    rows = [make.notification(f"closure:{number}", customer) for number in range(2)]
    for row in rows:
        row.data = {**row.data, "thread": "item-12"}
    mails = [parsed(as_bytes(compose(row, settings), settings.mail_from, now)) for row in rows]
    thread = f"<item-12.customer-{customer.id}@fernhill.example>"
    assert {mail["References"] for mail in mails} == {mail["In-Reply-To"] for mail in mails} == {thread}
    assert len({mail["Message-ID"] for mail in mails}) == 2
    assert parsed(as_bytes(compose(make.notification(), settings), settings.mail_from, now))["References"] is None


def test_the_envelope_says_which_mail_comes_back_and_replies_find_it(
    make: Make, sessions: Sessions, settings: Settings, sink: Sink, now: datetime
) -> None:
    row = make.notification()
    make.session.commit()
    smtp = replace(
        settings,
        smtp_port=sink.port,
        inbound_address="loop@fernhill.example",
        idempotency_header="Resend-Idempotency-Key",
    )
    assert drain_outbox(sessions, smtp, lambda: now).sent == 1
    back = envelope.sender(smtp, row.id)
    assert envelope.read(smtp, back) == row.id
    assert sink.envelopes == [(back, row.address)]
    assert sink.mails[0]["Reply-To"] == back
    assert sink.mails[0]["Resend-Idempotency-Key"] == row.message_id[1:].partition("@")[0]


def test_without_a_mailbox_of_ours_mails_come_back_to_their_sender(
    make: Make, sessions: Sessions, settings: Settings, sink: Sink, now: datetime
) -> None:
    make.notification()
    make.session.commit()
    drain_outbox(sessions, replace(settings, smtp_port=sink.port), lambda: now)
    assert sink.envelopes[0][0] == "care@fernhill.example"
    assert sink.mails[0]["Reply-To"] is None


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_styles_lie_in_the_elements_and_what_asks_for_dark_colours_in_the_head(
    make: Make, settings: Settings, language: str
) -> None:
    row = make.notification()
    row.data = {**row.data, "language": language}
    html = compose(row, settings).html
    head, _, body = html.partition("</head>")
    assert "prefers-color-scheme: dark" in head
    assert '<meta name="color-scheme" content="light dark">' in head
    assert "max-width" not in head
    assert "<style" not in body
    assert "background-color:#0b5e51" in body
    side = "left" if language == "ar" else "right"
    assert f"margin-{side}:8px" in body


def test_a_header_cannot_be_broken_out_of(settings: Settings, now: datetime) -> None:
    message = Message("a@example.com", "A\r\nBcc: b@example.com", "S", "text", "<p>", "<k@x.example>")
    mail = parsed(as_bytes(message, settings.mail_from, now))
    assert mail["Bcc"] is None
    assert mail["To"].addresses[0].addr_spec == "a@example.com"


def test_a_preview_has_no_envelope_of_its_own(settings: Settings) -> None:
    draft = Notification(
        kind="sorry", address="a@example.com", name="", data={"quote": "", "said_at": None}, message_id="<p@x>"
    )
    assert compose(draft, replace(settings, inbound_address="loop@x.example"), "preview").envelope == ""


@pytest.mark.parametrize("language", ["en", "ar"])
def test_what_people_call_themselves_changes_no_header_and_no_page(
    make: Make, settings: Settings, now: datetime, language: str
) -> None:
    bad = 'Maya\r\nBcc: all@example.com\r\n\r\n<script>x</script> "\u202e<b>\x07\u2028'
    odd = replace(settings, company_name=bad)
    row = make.notification(name=bad)
    row.data = {**row.data, "language": language, "quote": bad, "statement": bad}
    question = make.notification("closure:2", name=bad, kind="invitation")
    question.data = {
        "language": language, "question": bad, "why": bad, "choices": [["1", "No"], ["2", "Yes"]], "scale": "yes_no",
        "ends": [], "is_test": False, "is_usual": False, "until": now.isoformat(), "accent": "",
        "links": {"answer_url": "/i/{token}"},
    }  # fmt: skip
    for each in (row, question):
        mail = parsed(as_bytes(compose(each, odd), settings.mail_from, now))
        assert mail["Bcc"] is None
        assert len(mail.get_all("To", [])) == len(mail.get_all("Subject", [])) == 1
        assert mail["To"].addresses[-1].addr_spec == each.address
        assert mail["List-Unsubscribe"].startswith("<http://localhost/u/")
        html = mail.get_body(("html",))
        assert html is not None
        assert "<script>" not in html.get_content()
        assert "<b>" not in html.get_content()


@pytest.mark.parametrize("kind", ["invitation", "reminder"])
def test_words_of_a_scale_are_words_whatever_signs_they_hold(
    make: Make, settings: Settings, now: datetime, kind: str
) -> None:
    row = make.notification(kind=kind)
    words = ["100 % sure", "%(x)s <b>bold</b> & {{ y }}"]
    row.data = {
        "question": "Is 50 % <i>enough</i>?", "is_usual": True, "choices": [["1", words[0]], ["2", words[1]]],
        "scale": "csat", "ends": words, "why": "You bought a tent.", "until": now.isoformat(), "is_test": False,
        "links": {"answer_url": "/i/{token}"},
    }  # fmt: skip
    mail = parsed(as_bytes(compose(row, settings), settings.mail_from, now))
    text, html = (part.get_content() for part in mail.iter_parts())  # type: ignore[attr-defined]
    assert "Is 50 % <i>enough</i>?" in mail["Subject"]
    for word in words:
        assert word in text
    assert "<b>" not in html
    assert "<i>" not in html
    assert "100 % sure" in html
