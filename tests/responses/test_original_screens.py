"""The page on which an original is read, the link that leads there, and the log."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.service import set_reads_raw
from feedback_loop.app import create_app
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.responses.models import Answer, RawComment, RawReading
from feedback_loop.responses.originals import read_raw
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.responses.service import record_answer
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.pages import links, words

TYPED = "My number is <b>+44 20 7946 0123</b>."
NUMBER = "7946"
WHY = "She asks to be called back."


@pytest.fixture
def answer(make: Make, cast: Cast, sessions: Sessions, settings: Settings) -> Answer:
    """An answer with a number blanked out, now; Lena has the right."""
    now = utc_now()
    answer_id = record_answer(
        make.session, make.survey("order"), score=0, comment=TYPED, customer=make.customer("Maya Lind"),
        invitation=None, context={}, external_id=None, answered_at=now, now=now, settings=settings,
    )  # fmt: skip
    answer = make.session.get_one(Answer, answer_id)
    make.answer("It came late.", survey=answer.survey)
    set_reads_raw(make.session, cast.lena, True, cast.ada, now)
    make.session.commit()
    redact_pending(sessions, settings, now)
    return answer


@pytest.fixture
def path(answer: Answer) -> str:
    return f"/answers/{answer.id}/original"


def logged(session: Session) -> list[str]:
    why = list(session.scalars(select(RawReading.why).order_by(RawReading.id)))
    session.rollback()
    return why


def test_the_link_stands_only_where_something_was_blanked_out(client: FlaskClient, cast: Cast, path: str) -> None:
    sign_in(client, cast.lena)
    response = client.get("/surveys/order")
    assert [link for link in links(response) if link.startswith("/answers/")] == [path]
    assert NUMBER not in response.text


def test_who_has_not_the_right_sees_no_link(app: Flask, cast: Cast, answer: Answer) -> None:
    for user in (cast.vera, cast.ada):
        client = app.test_client()
        sign_in(client, user)
        assert "/answers/" not in client.get("/surveys/order").text


def test_no_link_is_left_when_the_text_is_destroyed(
    client: FlaskClient, cast: Cast, session: Session, path: str
) -> None:
    session.execute(update(RawComment).values(expires_at=utc_now() - timedelta(seconds=1)))
    session.commit()
    sign_in(client, cast.lena)
    assert "/answers/" not in client.get("/surveys/order").text


def test_the_page_asks_why_and_says_what_is_logged_and_until_when_the_text_is_kept(
    client: FlaskClient, cast: Cast, session: Session, path: str, answer: Answer
) -> None:
    sign_in(client, cast.lena)
    response = client.get(path)
    page = words(response)
    assert "by Maya Lind" in page
    assert "[phone]" in page
    raw = session.get_one(RawComment, answer.id)
    session.rollback()
    assert f"kept encrypted until {raw.expires_at.day} {raw.expires_at:%b %Y}" in page
    assert "your name, the time, the answer and your reason are logged for good" in page
    assert NUMBER not in response.text
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert logged(session) == [], "opening the page reads nothing"


def test_the_text_is_shown_on_the_answer_to_the_form_only(
    client: FlaskClient, cast: Cast, session: Session, path: str
) -> None:
    sign_in(client, cast.lena)
    response = client.post(path, data={"why": WHY})
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert TYPED in words(response)
    assert "<b>+44" not in response.text
    assert f": {WHY}" in words(response)
    assert logged(session) == [WHY]
    assert NUMBER not in client.get(path).text
    assert NUMBER not in client.get("/surveys/order").text


@pytest.mark.parametrize(
    ("why", "message"), [(" ", "Enter why you need to read the original."), ("x" * 1001, "at most 1,000 characters")]
)
def test_a_bad_reason_is_refused(
    client: FlaskClient, cast: Cast, session: Session, path: str, why: str, message: str
) -> None:
    sign_in(client, cast.lena)
    response = client.post(path, data={"why": why})
    assert response.status_code == 400
    assert message in words(response)
    assert NUMBER not in response.text
    assert logged(session) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_whoever_has_not_the_right_is_told_who_can_give_it(
    app: Flask, cast: Cast, session: Session, path: str, method: str
) -> None:
    for user in (cast.vera, cast.ada):
        client = app.test_client()
        sign_in(client, user)
        response = client.open(path, method=method, data={"why": WHY})
        assert response.status_code == 403
        assert "An admin can give it to you under Settings, People." in words(response)
        assert NUMBER not in response.text
    assert logged(session) == []


def test_a_stranger_is_sent_to_the_sign_in(client: FlaskClient, session: Session, path: str) -> None:
    response = client.post(path, data={"why": WHY})
    assert response.status_code == 302
    assert response.location.startswith("/sign-in")
    assert logged(session) == []


def test_the_right_ends_at_once_when_it_is_taken_away(
    app: Flask, client: FlaskClient, cast: Cast, session: Session, path: str
) -> None:
    sign_in(client, cast.lena)
    admin = app.test_client()
    sign_in(admin, cast.ada)
    admin.post(f"/settings/people/{cast.lena.id}/originals", data={"given": "no"})
    assert client.post(path, data={"why": WHY}).status_code == 403
    assert logged(session) == []


def test_the_form_needs_its_token_though_the_public_pages_of_this_domain_need_none(
    app: Flask, client: FlaskClient, cast: Cast, session: Session, path: str
) -> None:
    sign_in(client, cast.lena)
    app.config["WTF_CSRF_ENABLED"] = True
    for stolen in ({}, {"csrf_token": "made up"}):
        response = client.post(path, data={"why": WHY} | stolen)
        assert response.status_code == 400
        assert "had been open for too long" in words(response)
        assert NUMBER not in response.text
    assert logged(session) == []
    token = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"', client.get(path).text)
    assert token
    assert NUMBER in client.post(path, data={"why": WHY, "csrf_token": token[1]}).text
    assert logged(session) == [WHY]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_destroyed_text_says_since_when(
    client: FlaskClient, cast: Cast, session: Session, path: str, answer: Answer, method: str
) -> None:
    long_ago = utc_now() - timedelta(days=31)
    session.execute(update(Answer).values(answered_at=long_ago, received_at=long_ago, redacted_at=long_ago))
    session.execute(update(RawComment).values(expires_at=long_ago + timedelta(days=30)))
    session.commit()
    sign_in(client, cast.lena)
    response = client.open(path, method=method, data={"why": WHY})
    assert response.status_code == 410
    over = long_ago + timedelta(days=30)
    assert f"The original was destroyed on {over.day} {over:%b %Y}." in words(response)
    assert "Why do you need" not in words(response)
    assert logged(session) == []


def test_a_text_sealed_with_another_key_says_so(
    sessions: Sessions, settings: Settings, cast: Cast, session: Session, path: str
) -> None:
    app = create_app(replace(settings, secret_key="another"), sessions)
    app.config.update(WTF_CSRF_ENABLED=False)
    client = app.test_client()
    sign_in(client, cast.lena)
    response = client.post(path, data={"why": WHY})
    assert response.status_code == 409
    assert "stored under another SECRET_KEY; restore that key to read it." in words(response)
    assert logged(session) == []


def test_nothing_blanked_out_leaves_nothing_to_read(client: FlaskClient, cast: Cast, answer: Answer) -> None:
    sign_in(client, cast.lena)
    response = client.get(f"/answers/{answer.id + 1}/original")
    assert response.status_code == 409
    assert "Nothing was blanked out of this answer" in words(response)
    assert client.get("/answers/999999/original").status_code == 404


def test_the_log_is_for_admins(app: Flask, cast: Cast) -> None:
    for user in (cast.lena, cast.omar, cast.vera):
        client = app.test_client()
        sign_in(client, user)
        assert client.get("/settings/raw-readings").status_code == 403


def test_the_log_says_who_read_which_answer_when_and_why_the_newest_first(
    client: FlaskClient, cast: Cast, make: Make, session: Session, settings: Settings, answer: Answer
) -> None:
    sign_in(client, cast.ada)
    empty = words(client.get("/settings/raw-readings"))
    assert "Nobody has read an original yet." in empty
    assert "Ada gave it to Lena" in empty
    session.refresh(answer)
    now = utc_now()
    for number in range(51):
        read_raw(session, answer, cast.lena, f"Reason <{number}>.", now, settings)
    session.commit()
    response = client.get("/settings/raw-readings")
    page = words(response)
    assert re.search(rf"Lena {now.day} {now:%b %Y}, .* UTC No\. {answer.id} of .* to Order Reason <50>\.", page)
    assert page.index("Reason <50>.") < page.index("Reason <1>.")
    assert "1–50 of 51 readings" in page
    assert "Reason &lt;50&gt;." in response.text
    assert NUMBER not in response.text
    assert "Reason <0>." in words(client.get("/settings/raw-readings?page=2"))
    assert "Nobody has read an original on this page." in words(client.get("/settings/raw-readings?page=9"))
