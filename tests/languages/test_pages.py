"""Each page and each mail in each language: nothing English is left over."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete
from sqlalchemy.orm import Session

from feedback_loop import mail
from feedback_loop.actions.models import Outcome, Status
from feedback_loop.app import create_app
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.languages import LANGUAGES, direction, translations
from feedback_loop.mail import as_bytes
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import compose, token_of
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, SurveyState
from feedback_loop.tokens import hashed
from tests.factories import Cast, Make
from tests.languages.test_catalogues import forms
from tests.responses.test_answer_screens import token_on
from tools.catalogues import TARGETS, extract, read

# What a customer reads does not depend on the database.
one_database = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def fragments(text: str) -> list[str]:
    """A text without its placeholders and marks: the pieces long enough to know again."""
    return [piece.strip() for piece in re.split(r"%\(\w+\)s|</?\w+>", text) if len(piece.strip()) > 1]


def left_over(page: str, language: str) -> list[str]:
    """English texts of the catalogue that a page in another language still shows."""
    found = []
    for message in read(language):
        originals = [message.id] if isinstance(message.id, str) else list(message.id)
        translated = " ".join(forms(message))
        for piece in (piece for original in originals for piece in fragments(original)):
            # "No" is a word of Portuguese, too, but never one that stands alone.
            alone = r"(?!\s*\w)" if len(piece) < 4 else r"(?!\w)"
            if piece not in translated and re.search(rf"(?<!\w){re.escape(piece)}{alone}", page):
                found.append(piece)
    return found


def visible(markup: str) -> str:
    """What a page shows, its title included, with ¦ between elements; the choice of a language left out."""
    body = re.sub(r"<style.*?</style>|<details.*?</details>", " ", markup, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ¦ ", body)))


def check(markup: str, language: str) -> None:
    assert f'<html lang="{language}" dir="{direction(language)}">' in markup
    assert left_over(visible(markup), language) == []


def test_something_english_is_noticed() -> None:
    assert left_over("Bitte warten. Send again", "de")
    assert not left_over("Noch einmal senden", "de")
    assert left_over("Sim ¦ No ¦ Conte", "pt")
    assert not left_over("No seu caso", "pt")
    assert "Hello" in " ".join(left_over("Hello Maya,", "ja"))


@one_database
@pytest.mark.parametrize("language", TARGETS)
def test_the_pages_on_which_one_answers(
    client: FlaskClient, make: Make, session: Session, now: datetime, language: str
) -> None:
    for scale in ScaleName:
        make.survey(scale.value, scale)
    make.survey("closed").state = SurveyState.CLOSED
    make.survey("draft", is_published=False)
    make.survey("early").opens_at = utc_now() + timedelta(days=900)
    full = make.survey("full")
    full.answer_limit = 1
    make.answer(survey=full)
    _, token = make.invitation(make.survey("invited", ScaleName.CSAT))
    expired, late = make.invitation(make.survey("late"))
    expired.expires_at = now - timedelta(days=900)
    session.commit()
    lang = {"lang": language}

    for scale in ScaleName:
        page = client.get(f"/s/{scale.value}", query_string=lang)
        assert page.status_code == 200
        check(page.text, language)
        assert len(page.data) < 16_000, "the page stays small: no catalogue travels to the browser"
    nothing = client.post("/s/nps", query_string=lang, data={"website": "x", "email": "x", "comment": " "})
    much = client.post("/s/nps", query_string=lang, data={"score": "77", "comment": "ß" * 5000, "form_token": "x"})
    words = client.post("/s/text", query_string=lang, data={"form_token": "x"})
    for page in (nothing, much, words):
        assert page.status_code == 400
        check(page.text, language)
    for path, status in (
        ("/s/nps/thanks", 200), ("/s/closed", 410), ("/s/draft", 404), ("/s/early", 404), ("/s/full", 410),
        (f"/i/{late}", 410), ("/i/nobody", 404), (f"/i/{token}", 200),
    ):  # fmt: skip
        page = client.get(path, query_string=lang)
        assert page.status_code == status
        check(page.text, language)

    fields = {"form_token": token_on(client.get(f"/i/{token}")), "score": "2", "comment": "ß"}
    assert client.post(f"/i/{token}", query_string=lang, data=fields).status_code == 303
    for path in (f"/i/{token}", f"/i/{token}/thanks"):
        check(client.get(path, query_string=lang).text, language)
    answer = session.query(Answer).filter(Answer.invitation_id.is_not(None)).one()
    answer.redacted_at, answer.comment = now, "ß"
    session.commit()
    check(client.get(f"/i/{token}", query_string=lang).text, language)


@one_database
@pytest.mark.parametrize("days", [0, 1, 2, 7])
@pytest.mark.parametrize("language", TARGETS)
def test_how_long_the_original_is_kept(
    settings: Settings, sessions: Sessions, make: Make, session: Session, language: str, days: int
) -> None:
    make.survey("kept")
    session.commit()
    app = create_app(replace(settings, raw_text_days=days), sessions)
    check(app.test_client().get(f"/s/kept?lang={language}").text, language)


@one_database
@pytest.mark.parametrize("outcome", [each for each in Outcome if each != Outcome.DUPLICATE])  # nobody is told of it
@pytest.mark.parametrize("language", TARGETS)
def test_the_mail_of_a_closing_and_the_pages_behind_it(
    client: FlaskClient, make: Make, cast: Cast, session: Session, settings: Settings, language: str, outcome: Outcome
) -> None:
    item = make.raised_item(1, cast.delivery)
    closure = make.closure(item, cast.omar, outcome, statement="§ 7")
    notification = session.query(Notification).one()
    notification.data = {**notification.data, "language": language, "quote": "ß"}
    session.commit()

    written = compose(notification, settings)
    assert f'<html lang="{language}" dir="{direction(language)}">' in written.html
    for part in (written.subject, written.text, visible(written.html)):
        assert left_over(part, language) == []
    assert written.subject != compose_in_english(notification, settings).subject

    path, lang = f"/f/{token_of(notification, settings)}", {"lang": language}
    check(client.get(path, query_string=lang).text, language)
    refused = client.post(path, query_string=lang, data={"answer": "maybe"})
    assert refused.status_code == 400
    check(refused.text, language)
    is_decision = not closure.asks_whether_fixed
    for answer, comment in (("yes", ""), ("no", "ß") if is_decision else ("no", ""), ("no", "ß"), ("not_since", "")):
        if is_decision and answer == "not_since":
            continue
        form_token = token_on(client.get(path, query_string=lang))
        data = {"form_token": form_token, "answer": answer, "comment": comment}
        assert client.post(path, query_string=lang, data=data).status_code == 303
        check(client.get(path + "/thanks", query_string=lang).text, language)
        check(client.get(path, query_string=lang).text, language)
    closure.withdrawn_at = closure.closed_at
    session.commit()
    withdrawn = client.get(path, query_string=lang)
    assert withdrawn.status_code == 410
    check(withdrawn.text, language)


def compose_in_english(notification: Notification, settings: Settings) -> mail.Message:
    draft = Notification(
        kind=notification.kind, address="a@example.com", name="", message_id=notification.message_id,
        data={**notification.data, "language": "en"},
    )  # fmt: skip
    return compose(draft, settings)


@one_database
@pytest.mark.parametrize("language", TARGETS)
def test_the_pages_on_which_one_asks_for_no_more_mail(
    client: FlaskClient, make: Make, session: Session, settings: Settings, language: str
) -> None:
    notification = make.notification()
    session.commit()
    path, lang = f"/u/{token_of(notification, settings)}", {"lang": language}
    check(client.get(path, query_string=lang).text, language)
    assert client.post(path, query_string=lang).status_code == 303
    check(client.get(path, query_string=lang).text, language)
    check(client.get("/u/nobody", query_string=lang).text, language)


@one_database
@pytest.mark.parametrize("language", TARGETS)
def test_receipts_and_what_became_of_it(
    client: FlaskClient, make: Make, session: Session, now: datetime, language: str
) -> None:
    lang = {"lang": language}
    survey = make.survey("quiet", ScaleName.NPS, is_anonymous=True, question="ß")
    omar, early = make.user("Omar"), now - timedelta(days=3)
    complaint = make.complaint()
    for _ in range(4):
        make.statement(complaint, "ß")
    invitation, token = make.invitation(make.survey("invited", ScaleName.CSAT, question="ß"))
    answer = make.answer("ß", survey, said_at=early, score=3, receipt_hash=hashed("one"))
    invited = make.answer(
        "ß", invitation.survey, invitation.customer, said_at=early, score=2, invitation_id=invitation.id
    )
    for each in (answer, invited):
        make.statement(complaint, "ß", each)
    item = make.item(complaint)
    session.commit()
    paths = ("/r/one", f"/i/{token}/status", f"/i/{token}/thanks")

    def look() -> None:
        for path in paths:
            page = client.get(path, query_string=lang)
            assert page.status_code == 200
            check(page.text, language)

    look()
    item.status = Status.IN_PROGRESS
    answer.comment = None
    session.commit()
    look()
    answer.comment = "ß"
    closure = make.closure(item, omar, statement="ß")
    session.commit()
    look()
    for status, outcome, position in ((Status.REOPENED, Outcome.FIXED, 0), (Status.CLOSED, Outcome.DECLINED, 1)):
        item.status, closure.outcome = status, outcome
        if position:
            session.execute(delete(Notification))
            other = make.complaint()
            make.statement(other, "ß", answer, position=1)
        session.commit()
        look()
    item.status, closure.outcome = Status.CLOSED, Outcome.FIXED
    session.commit()
    look()
    form = {"form_token": token_on(client.get("/r/one")), "email": "x"}
    check(client.post("/r/one/address", query_string=lang, data=form).text, language)
    client.post("/r/one/address", query_string=lang, data=form | {"email": "x@example.com"})
    look()
    check(client.get("/s/quiet", query_string=lang).text, language)
    fields = {"form_token": token_on(client.get("/s/quiet")), "score": "2"}
    check(client.post("/s/quiet", query_string=lang, data=fields).text, language)
    check(client.get("/r/nobody", query_string=lang).text, language)
    asked = client.get("/r/one/erase", query_string=lang)
    check(asked.text, language)
    check(client.post("/r/one/erase", query_string=lang, data={"form_token": token_on(asked)}).text, language)
    check(client.get("/r/one", query_string=lang).text, language)


@one_database
@pytest.mark.parametrize("language", TARGETS)
def test_errors_that_customers_meet(
    app: Flask, make: Make, session: Session, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    from feedback_loop.responses import together

    make.survey("parcels")
    session.commit()
    client, lang = app.test_client(), {"lang": language}
    check(client.get("/nothing", query_string=lang).text, language)
    check(client.get("/s/nothing", query_string=lang).text, language)
    check(client.put("/s/parcels", query_string=lang).text, language)
    large = client.post("/s/parcels", query_string=lang, data={"comment": "x" * 1_200_000})
    assert large.status_code == 413
    check(large.text, language)
    for error, status in ((OperationalError("", {}, Exception("locked")), 503), (RuntimeError("no"), 500)):

        def break_off(*_args: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(together, "open_page", break_off)
        page = client.get("/s/parcels", query_string=lang)
        assert page.status_code == status
        check(page.text, language)


GERMAN = """\
Guten Tag Maya Lind,

am 12. Oktober 2026 haben Sie uns geschrieben:

> The parcel never came.

Das haben wir getan:

Parcels now carry two labels.

Ist das Problem damit behoben?

Ja, es ist behoben: http://localhost/f/TOKEN?answer=yes

Nein, noch nicht: http://localhost/f/TOKEN?answer=no

Das können nur Sie sagen. Wenn es nicht behoben ist, möchten wir wissen, was noch nicht stimmt.
Erst wenn Sie auf der Seite, die sich öffnet, auf „Senden“ drücken, wird etwas gesendet.

Danke, dass Sie es uns gesagt haben.
Fernhill Outdoor

--\x20
Sie erhalten diese E-Mail, weil Sie uns davon berichtet haben und wir dafür Ihre Adresse haben.
Keine E-Mails mehr zu meinem Feedback: http://localhost/u/TOKEN
"""

JAPANESE = """\
Maya Lind様

2026年10月12日に、次のご意見をいただきました。

> The parcel never came.

次のように対応いたしました。

Parcels now carry two labels.

これで解決しましたか？

はい、解決しました: http://localhost/f/TOKEN?answer=yes

いいえ、まだです: http://localhost/f/TOKEN?answer=no

解決したかどうかは、お客様にしかわかりません。解決していない場合は、まだ残っている問題をお聞かせください。
開いたページで「送信」を押すまで、何も送信されません。

お知らせいただき、ありがとうございました。
Fernhill Outdoor

--\x20
このメールは、この件についてご意見をいただき、ご連絡先としてアドレスをお預かりしている方にお送りしています。
ご意見に関するメールの配信を停止する: http://localhost/u/TOKEN
"""


@one_database
@pytest.mark.parametrize(
    ("language", "subject", "body"),
    [
        ("de", "Was wir auf Ihren Hinweis hin getan haben", GERMAN),
        ("ja", "お寄せいただいたご意見への対応", JAPANESE),
    ],
)
def test_a_closing_mail_as_it_travels(
    make: Make, settings: Settings, now: datetime, language: str, subject: str, body: str
) -> None:
    from email import message_from_bytes, policy

    row = make.notification()
    row.data = {**row.data, "language": language}
    sent = as_bytes(compose(row, settings, "TOKEN"), settings.mail_from, now)
    header = re.search(rb"^Subject: (.*(?:\r?\n[ \t].*)*)", sent, flags=re.MULTILINE)
    assert header
    assert header[1].isascii()
    arrived = message_from_bytes(sent, policy=policy.default)
    assert arrived["Subject"] == subject
    text = arrived.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == body


def test_an_arabic_mail_reads_from_right_to_left(make: Make, settings: Settings) -> None:
    row = make.notification()
    row.data = {**row.data, "language": "ar"}
    written = compose(row, settings).html
    assert written.count('dir="rtl"') == 2
    assert "border-right:4px" in written
    assert "border-left:4px" not in written


@pytest.mark.parametrize("language", ["", "xx", "en-GB"])
def test_a_mail_to_whom_we_know_no_language_of_is_english(make: Make, settings: Settings, language: str) -> None:
    row = make.notification()
    row.data = {**row.data, "language": language}
    assert compose(row, settings).text.startswith("Hello Maya Lind,\n\nOn 12 October 2026 you told us:\n\n> The")


def test_every_text_is_seen_by_one_of_these_tests_in_each_language() -> None:
    """Guards the guards: a catalogue that cannot be loaded would leave all pages English and alike."""
    ids = [message.id for message in extract() if isinstance(message.id, str) and len(message.id) > 20]
    for language in LANGUAGES:
        same = [id for id in ids if translations(language).ugettext(id) == id]
        assert (same == ids) if language == "en" else (same == [])
