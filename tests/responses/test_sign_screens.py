"""Score links: what opening, moving and sending do, and what staff see of answers that do not count."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from werkzeug.test import TestResponse

from feedback_loop.db import Sessions
from feedback_loop.pipeline import Context, tidy
from feedback_loop.responses import confirming
from feedback_loop.responses.models import Answer, AnswerVersion, Sign, UnconfirmedAnswer, UnconfirmedState
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey
from feedback_loop.web import forms
from tests.factories import Cast, Make, sign_in
from tests.pages import words
from tests.responses.test_answer_screens import answers, send, token_on


@pytest.fixture
def survey(make: Make) -> Survey:
    return make.survey("order", ScaleName.CSAT)


@pytest.fixture
def path(make: Make, survey: Survey, session: Session) -> str:
    """The link of Maya's invitation."""
    _, token = make.invitation(survey, make.customer("Maya Lind"))
    session.commit()
    return f"/i/{token}"


def look(client: FlaskClient, path: str, score: str, sign: str, **headers: str) -> TestResponse:
    """Open a score link and say what a browser's script would say."""
    token = token_on(client.get(f"{path}?score={score}"))
    values = {"form_token": token, "score": score, "sign": sign, "c_page": "/mail"}
    return client.post(f"{path}/signs", data=values, headers=headers)


def only(session: Session, query: Any) -> Any:
    """The one row that a query finds. Lets the database go, so that the next page can write."""
    session.rollback()
    found = session.scalars(query).unique().one()
    session.expunge_all()
    session.rollback()
    return found


def apart(session: Session) -> list[tuple[UnconfirmedState, int | None]]:
    session.rollback()
    rows = session.execute(
        select(UnconfirmedAnswer.state, UnconfirmedAnswer.score).order_by(UnconfirmedAnswer.id)
    ).all()
    session.rollback()  # lets the database go, so that the next page can write
    return [(state, score) for state, score in rows]


def test_opening_a_score_link_counts_nowhere(client: FlaskClient, path: str, session: Session) -> None:
    assert look(client, path, "4", "opened").json == {"counts": False}
    assert look(client, path, "4", "opened").json == {"counts": False}
    assert answers(session) == 0
    assert apart(session) == [(UnconfirmedState.PROVISIONAL, 4)], "the same look twice is kept once"


def test_moving_on_the_page_makes_the_score_count(client: FlaskClient, path: str, session: Session) -> None:
    look(client, path, "4", "opened")
    assert look(client, path, "4", "gesture").json == {"counts": True}
    answer = only(session, select(Answer).options(joinedload(Answer.customer)))
    assert (answer.score, answer.sign, answer.context) == (4, Sign.GESTURE, {"page": "/mail"})
    assert apart(session) == [(UnconfirmedState.OVERTAKEN, 4)]


def test_a_survey_may_ask_for_send(client: FlaskClient, path: str, survey: Survey, session: Session) -> None:
    survey.takes_gestures = False
    session.commit()
    assert look(client, path, "4", "gesture").json == {"counts": False}
    assert answers(session) == 0
    assert send(client, f"{path}?score=4", score="4").status_code == 303
    assert answers(session) == 1


def test_movements_change_no_answer_that_was_sent(client: FlaskClient, path: str, session: Session) -> None:
    send(client, f"{path}?score=2", score="2", comment="Two weeks late.")
    for sign in ("opened", "gesture"):
        assert look(client, path, "5", sign).json == {"counts": False}
    session.rollback()
    assert only(session, select(Answer.score)) == 2
    assert apart(session) == []


def test_a_filter_that_opens_every_score_gives_nothing_but_suspects(
    client: FlaskClient, path: str, session: Session
) -> None:
    for score in "12345":
        look(client, path, score, "opened")
    assert answers(session) == 0
    assert {state for state, _ in apart(session)} == {UnconfirmedState.SUSPECT}
    assert look(client, path, "3", "gesture").json == {"counts": False}
    assert send(client, f"{path}?score=3", score="3").status_code == 303, "a person behind that filter still answers"
    assert answers(session) == 1
    assert {state for state, _ in apart(session)} == {UnconfirmedState.OVERTAKEN}


def test_the_hidden_link_turns_what_was_opened_suspect(client: FlaskClient, path: str, session: Session) -> None:
    look(client, path, "4", "opened")
    assert "nothing to do here" in client.get(f"{path}/contents").text
    assert apart(session) == [(UnconfirmedState.SUSPECT, 4)]
    assert look(client, path, "4", "gesture").json == {"counts": False}
    assert client.get("/i/nobody/contents").status_code == 404


def test_a_page_fetched_ahead_gives_no_answer(client: FlaskClient, path: str, session: Session) -> None:
    assert look(client, path, "4", "gesture", **{"Sec-Purpose": "prefetch;prerender"}).json == {"counts": False}
    assert apart(session) == [(UnconfirmedState.SUSPECT, 4)]


def test_a_form_sent_at_once_is_kept_and_asked_for_again(
    client: FlaskClient, path: str, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirming, "SENT_AFTER", timedelta(hours=1))
    page = send(client, f"{path}?score=2", score="2", comment="Call me at +44 20 7946 0958, it leaks.")
    assert page.status_code == 400
    assert "press Send once more" in page.text
    assert "it leaks" in page.text, "nothing typed is lost"
    assert answers(session) == 0
    assert apart(session) == [(UnconfirmedState.SUSPECT, 2)]
    monkeypatch.setattr(confirming, "SENT_AFTER", timedelta())
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    again = client.post(path, data=hidden | {"website": "", "score": "2", "comment": "It leaks."})
    assert again.status_code == 303
    assert answers(session) == 1


@pytest.mark.parametrize("score", ["", "abc", "9", "4.5"])
def test_a_score_that_is_not_on_the_scale_is_refused(
    client: FlaskClient, path: str, session: Session, score: str
) -> None:
    for link in (path, "/s/order"):
        token = token_on(client.get(f"{link}?score=4"))
        values = {"form_token": token, "score": score, "sign": "gesture"}
        assert client.post(f"{link}/signs", data=values).status_code == 400
    assert (answers(session), apart(session)) == (0, [])


def test_a_page_that_lay_open_for_days_is_still_one_answer(
    client: FlaskClient, survey: Survey, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.commit()
    token = token_on(client.get("/s/order?score=4"))
    client.post("/s/order/signs", data={"form_token": token, "score": "4", "sign": "gesture"})
    with monkeypatch.context() as days_later:
        days_later.setattr(forms, "FORM_TOKEN_AGE", timedelta(hours=-1))
        late = client.post("/s/order", data={"form_token": token, "score": "4", "comment": "Late.", "website": ""})
    assert late.status_code == 400
    values = {"form_token": token_on(late), "score": "4", "comment": "Late.", "website": ""}
    assert client.post("/s/order", data=values).status_code == 303
    assert answers(session) == 1


def test_an_address_that_is_corrected_on_the_same_page_takes_the_place_of_the_wrong_one(
    client: FlaskClient, survey: Survey, session: Session
) -> None:
    session.commit()
    values = {"form_token": token_on(client.get("/s/order")), "score": "2", "comment": "Late.", "website": ""}
    for email in ("wrong@example.com", "right@example.com"):
        assert client.post("/s/order", data=values | {"email": email}).status_code == 303
    answer = only(session, select(Answer).options(joinedload(Answer.customer)))
    assert (answer.customer.email, answer.revision) == ("right@example.com", 2)


def test_a_movement_and_send_at_the_same_moment_lose_no_words(
    app: Flask, client: FlaskClient, survey: Survey, session: Session
) -> None:
    session.commit()
    for _ in range(3):
        values = {"form_token": token_on(client.get("/s/order?score=2")), "score": "2"}
        sent = values | {"comment": "These words matter.", "website": "", "email": ""}
        with ThreadPoolExecutor(2) as pool:
            moved = pool.submit(app.test_client().post, "/s/order/signs", data=values | {"sign": "gesture"})
            send = pool.submit(app.test_client().post, "/s/order", data=sent)
            assert (moved.result().status_code, send.result().status_code) == (200, 303)
    session.rollback()
    assert set(session.scalars(select(Answer.sign))) == {Sign.SENT}
    assert answers(session) == 3


@pytest.mark.parametrize("values", [{}, {"score": "9"}, {"score": "4"}, {"score": "4", "form_token": "forged"}])
def test_signs_without_a_page_of_ours_are_refused(
    client: FlaskClient, path: str, session: Session, values: dict[str, str]
) -> None:
    assert client.post(f"{path}/signs", data=values | {"sign": "gesture"}).status_code == 400
    assert client.post("/s/order/signs", data=values | {"sign": "gesture"}).status_code == 400
    assert client.post("/i/nobody/signs", data=values).status_code == 404
    assert (answers(session), apart(session)) == (0, [])


def test_the_page_of_another_link_gives_no_sign(
    client: FlaskClient, path: str, make: Make, survey: Survey, session: Session
) -> None:
    _, other = make.invitation(survey)
    session.commit()
    values = {"form_token": token_on(client.get(f"/i/{other}?score=4")), "score": "4", "sign": "gesture"}
    assert client.post(f"{path}/signs", data=values).status_code == 400
    assert answers(session) == 0


def test_the_page_says_signs_where_it_was_opened_in_another_language(
    client: FlaskClient, path: str, survey: Survey, session: Session
) -> None:
    assert f'data-signs="{path}/signs?lang=de"' in client.get(f"{path}?score=4&lang=de").text
    assert 'data-signs="/s/order/signs?lang=de"' in client.get("/s/order?score=4&lang=de").text
    assert "data-signs" not in client.get(path).text, "a link without a score"
    survey.takes_gestures = False
    session.commit()
    assert "data-signs" not in client.get("/s/order?score=4").text


def test_moving_on_the_page_of_an_open_link_counts_once(client: FlaskClient, survey: Survey, session: Session) -> None:
    session.commit()
    page = client.get("/s/order?score=5&c_ticket=88")
    values = {"form_token": token_on(page), "score": "5", "c_ticket": "88"}
    assert client.post("/s/order/signs", data=values | {"sign": "opened"}).status_code == 204
    for _ in range(2):
        client.post("/s/order/signs", data=values | {"sign": "gesture"})
    sent = client.post("/s/order", data=values | {"website": "", "comment": "Quick.", "email": "Maya@Example.com"})
    assert sent.status_code == 303
    answer = only(session, select(Answer).options(joinedload(Answer.customer)))
    assert (answer.score, answer.sign, answer.revision, answer.context) == (5, Sign.SENT, 2, {"ticket": "88"})
    assert answer.customer is not None
    assert answer.customer.email == "maya@example.com"


def test_pressing_send_twice_is_one_answer(app: Flask, client: FlaskClient, survey: Survey, session: Session) -> None:
    session.commit()
    values = {
        "form_token": token_on(client.get("/s/order")),
        "score": "2",
        "website": "",
        "comment": "Late.",
        "email": "",
    }
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda _: app.test_client().post("/s/order", data=values).status_code, range(8)))
    assert sent == [303] * 8
    assert answers(session) == 1


def test_what_was_said_before_is_kept_and_redacted(
    client: FlaskClient, path: str, session: Session, sessions: Sessions, settings: Settings, cast: Cast
) -> None:
    send(client, path, score="2", comment="Ring +44 20 7946 0958, it is late.")
    send(client, path, score="3", comment="It came, dented.")
    version = only(session, select(AnswerVersion))
    assert (version.revision, version.score, version.sign) == (1, 2, Sign.SENT)
    assert version.comment == "Ring [phone], it is late."
    session.rollback()
    redact_pending(sessions, settings, version.replaced_at)
    sign_in(client, cast.vera)
    page = words(client.get("/surveys/order"))
    assert "It came, dented." in page
    assert "Ring [phone], it is late." in page


class TestNotCounted:
    """The page of answers that do not count."""

    @pytest.fixture
    def suspect(self, client: FlaskClient, path: str, session: Session, monkeypatch: pytest.MonkeyPatch) -> int:
        monkeypatch.setattr(confirming, "SENT_AFTER", timedelta(hours=1))
        send(client, f"{path}?score=2", score="2", comment="My number is +44 20 7946 0958. It leaks.")
        monkeypatch.setattr(confirming, "SENT_AFTER", timedelta())
        return int(only(session, select(UnconfirmedAnswer.id)))

    def test_the_survey_leads_there_and_says_how_many(self, client: FlaskClient, cast: Cast, suspect: int) -> None:
        sign_in(client, cast.vera)
        page = client.get("/surveys/order")
        assert "1 answer is not counted" in words(page)
        assert "/surveys/order/unconfirmed" in page.text

    def test_it_shows_why_and_no_personal_details(self, client: FlaskClient, cast: Cast, suspect: int) -> None:
        sign_in(client, cast.vera)
        page = words(client.get("/surveys/order/unconfirmed"))
        assert "Suspect. Came 0." in page
        assert "My number is [phone]. It leaks." in page
        assert "7946" not in page
        assert "A person gave it" not in page, "a viewer decides nothing"

    def test_a_lead_lets_it_count(self, client: FlaskClient, cast: Cast, suspect: int, session: Session) -> None:
        sign_in(client, cast.lena)
        client.post(f"/surveys/order/unconfirmed/{suspect}", data={"verdict": "confirm"})
        answer = only(session, select(Answer).options(joinedload(Answer.customer)))
        assert (answer.score, answer.sign) == (2, Sign.PERSON)
        assert answer.customer is not None
        row = only(session, select(UnconfirmedAnswer))
        assert (row.state, row.settled_by_id, row.sealed) == (UnconfirmedState.CONFIRMED, cast.lena.id, None)
        session.rollback()
        page = client.post(f"/surveys/order/unconfirmed/{suspect}", data={"verdict": "confirm"}, follow_redirects=True)
        assert "settled meanwhile" in page.text
        assert answers(session) == 1

    def test_a_lead_puts_it_away(self, client: FlaskClient, cast: Cast, suspect: int, session: Session) -> None:
        sign_in(client, cast.lena)
        page = client.post(f"/surveys/order/unconfirmed/{suspect}", data={"verdict": "dismiss"}, follow_redirects=True)
        assert "Nothing waits here." in page.text
        assert answers(session) == 0
        row = only(session, select(UnconfirmedAnswer))
        assert (row.state, row.sealed) == (UnconfirmedState.DISMISSED, None)

    def test_a_later_answer_is_not_replaced_by_an_older_one(
        self, client: FlaskClient, cast: Cast, path: str, session: Session
    ) -> None:
        look(client, path, "1", "opened")
        id = only(session, select(UnconfirmedAnswer.id))
        send(client, path, score="5")
        sign_in(client, cast.lena)
        client.post(f"/surveys/order/unconfirmed/{id}", data={"verdict": "confirm"})
        assert only(session, select(Answer.score)) == 5

    def test_owners_and_viewers_decide_nothing(self, client: FlaskClient, cast: Cast, suspect: int) -> None:
        for person in (cast.omar, cast.vera):
            sign_in(client, person)
            sent = client.post(f"/surveys/order/unconfirmed/{suspect}", data={"verdict": "confirm"})
            assert sent.status_code == 403
            client.post("/sign-out")

    def test_it_is_forgotten_when_its_time_is_over(
        self, suspect: int, session: Session, sessions: Sessions, settings: Settings
    ) -> None:
        end = only(session, select(UnconfirmedAnswer.expires_at))
        tidy(Context(settings, sessions, lambda: end - timedelta(seconds=1)))
        assert len(apart(session)) == 1
        tidy(Context(settings, sessions, lambda: end))
        assert apart(session) == []


def test_an_admin_says_whether_movements_count(
    client: FlaskClient, cast: Cast, survey: Survey, session: Session
) -> None:
    session.commit()
    sign_in(client, cast.ada)
    page = client.post("/surveys/order/gestures", data={"takes": "no"}, follow_redirects=True)
    assert "counts only when Send is pressed" in words(page)
    assert only(session, select(Survey.takes_gestures)) is False
    client.post("/sign-out")
    sign_in(client, cast.lena)
    assert client.post("/surveys/order/gestures", data={"takes": "yes"}).status_code == 403
