"""Limits and proofs of work on the pages of customers: programs meet them, honest people do not."""

from __future__ import annotations

import base64
import html
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from altcha.v1 import Challenge, solve_challenge
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.clock import utc_now
from feedback_loop.responses import confirming, guards, pressure
from feedback_loop.responses.models import Answer, Guard, SurveyPressure, UnconfirmedAnswer
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey
from feedback_loop.web import proofs
from tests.factories import Cast, Make, sign_in


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Counted in memory on SQLite, in the database on PostgreSQL, as an installation does by itself."""
    database = settings.database_url
    return replace(
        settings,
        rate_limit_storage=database if database.startswith("postgresql") else "memory://",
        answers_per_minute=5,
    )


@pytest.fixture
def survey(make: Make) -> Survey:
    survey = make.survey("checkout", ScaleName.CSAT)
    make.session.commit()
    return survey


@pytest.fixture(autouse=True)
def easy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "HARDNESS", 50)


def opened(client: FlaskClient, address: str = "/s/checkout", **environ: Any) -> tuple[dict[str, str], str]:
    """The hidden fields of a page, and the page."""
    text = client.get(address, **environ).get_data(as_text=True)
    fields = {"form_token": re.search(r'name="form_token" value="([^"]+)"', text)[1]}  # type: ignore[index]
    if 'name="altcha"' in text:
        fields["altcha"] = ""
    return fields, text


def solved(text: str) -> str:
    """What the script of a page sends as its proof."""
    asked = json.loads(html.unescape(re.search(r'data-challenge="([^"]+)"', text)[1]))  # type: ignore[index]
    challenge = Challenge(asked["algorithm"], asked["challenge"], asked["maxNumber"], asked["salt"], asked["signature"])
    solution = solve_challenge(challenge)
    assert solution is not None
    payload = {name: asked[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return base64.b64encode(json.dumps(payload | {"number": solution.number}).encode()).decode()


def guard(session: Session, survey: Survey, guard: Guard = Guard.ON) -> None:
    pressure.set_guard(session, survey, guard)
    session.commit()


def count(session: Session, model: type[Any] = Answer) -> int:
    session.rollback()
    found = session.scalar(select(func.count()).select_from(model)) or 0
    session.rollback()
    return found


def test_a_hundred_wrong_forms_use_up_nothing(client: FlaskClient, survey: Survey, session: Session) -> None:
    fields, _ = opened(client)
    for _ in range(100):
        assert client.post("/s/checkout", data=fields | {"score": "77"}).status_code == 400
    assert client.post("/s/checkout", data=fields | {"score": "2"}).status_code == 303
    assert count(session) == 1


def test_what_no_person_sends_is_limited_and_keeps_what_was_typed(
    client: FlaskClient, survey: Survey, session: Session
) -> None:
    guard(session, survey, Guard.OFF)
    fields, _ = opened(client)
    for _ in range(30):
        assert client.post("/s/checkout", data={"form_token": "forged", "score": "2"}).status_code == 400
    refused = client.post("/s/checkout", data=fields | {"score": "2", "comment": "The lift was stuck again."})
    text = refused.get_data(as_text=True)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert "The lift was stuck again." in text
    assert "Too much came from your network" in text
    assert re.search(r'value="2"[^>]* checked', text)
    other = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    assert client.post("/s/checkout", data=fields | {"score": "2"}, **other).status_code == 303
    assert count(session) == 1


def test_a_filled_in_hidden_field_and_haste_count_as_abuse(
    client: FlaskClient, survey: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(15):
        fields, _ = opened(client)
        assert client.post("/s/checkout", data=fields | {"score": "2", "website": "x"}).status_code == 400
    monkeypatch.setattr(confirming, "SENT_AFTER", timedelta(seconds=60))
    for _ in range(15):
        fields, _ = opened(client)
        assert client.post("/s/checkout", data=fields | {"score": "2"}).status_code == 400
    assert client.post("/s/checkout", data=fields | {"score": "2"}).status_code == 429


def test_a_full_hall_is_asked_for_proofs_and_never_refused(
    client: FlaskClient, survey: Survey, session: Session
) -> None:
    for number in range(40):
        fields, text = opened(client)
        assert ("altcha" in fields) == (number >= 5), "the sixth in a minute is the first that is asked"
        if "altcha" in fields:
            fields["altcha"] = solved(text)
        assert client.post("/s/checkout", data=fields | {"score": "4"}).status_code == 303
    assert count(session) == 40


def test_without_scripts_the_answer_waits_for_a_person(client: FlaskClient, survey: Survey, session: Session) -> None:
    guard(session, survey)
    fields, text = opened(client)
    assert "<noscript>" in text
    sent = client.post("/s/checkout", data=fields | {"score": "2", "comment": "Closed early."})
    assert sent.headers["Location"].endswith("/s/checkout/kept")
    assert "before it counts" in client.get("/s/checkout/kept").get_data(as_text=True)
    assert count(session) == 0
    row = session.scalars(select(UnconfirmedAnswer)).one()
    assert row.reason == guards.UNPROVEN


def test_a_page_opened_before_the_attack_comes_back_with_a_challenge(
    client: FlaskClient, survey: Survey, session: Session
) -> None:
    fields, _ = opened(client)
    guard(session, survey)
    back = client.post("/s/checkout", data=fields | {"score": "2", "comment": "Closed early."})
    text = back.get_data(as_text=True)
    assert back.status_code == 400
    assert "Closed early." in text
    assert client.post("/s/checkout", data=fields | {"score": "2", "altcha": solved(text)}).status_code == 303
    assert count(session) == 1


def test_a_proof_fits_one_page_and_so_one_answer(client: FlaskClient, survey: Survey, session: Session) -> None:
    guard(session, survey)
    fields, text = opened(client)
    proof = solved(text)
    for score in ("1", "5"):
        assert client.post("/s/checkout", data=fields | {"score": score, "altcha": proof}).status_code == 303
    other, _ = opened(client)
    assert client.post("/s/checkout", data=other | {"score": "1", "altcha": proof}).status_code == 400
    assert count(session) == 1


@pytest.mark.parametrize("proof", ["forged", "e30=", "W10=", "bnVsbA==", "MQ==", "é"])
def test_forged_proofs_are_refused(client: FlaskClient, survey: Survey, session: Session, proof: str) -> None:
    guard(session, survey)
    fields, _ = opened(client)
    assert client.post("/s/checkout", data=fields | {"score": "1", "altcha": proof}).status_code == 400
    assert count(session) == 0


def test_a_proof_with_another_number_or_expiry_is_refused(
    client: FlaskClient, survey: Survey, session: Session
) -> None:
    guard(session, survey)
    fields, text = opened(client)
    good = json.loads(base64.b64decode(solved(text)))
    later = re.sub(r"expires=\d+", "expires=9999999999", good["salt"])
    for changed in ({"number": good["number"] + 1}, {"salt": later}, {"signature": "0" * 64}, {"salt": 3}):
        sent = base64.b64encode(json.dumps(good | changed).encode()).decode()
        assert client.post("/s/checkout", data=fields | {"score": "1", "altcha": sent}).status_code == 400
    assert count(session) == 0


def test_an_expired_proof_is_refused_with_a_new_challenge(
    client: FlaskClient, survey: Survey, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard(session, survey)
    monkeypatch.setattr(proofs, "AGE", timedelta(seconds=-5))
    fields, text = opened(client)
    monkeypatch.setattr(proofs, "AGE", timedelta(hours=1))
    back = client.post("/s/checkout", data=fields | {"score": "1", "altcha": solved(text)})
    assert back.status_code == 400
    again = fields | {"score": "1", "altcha": solved(back.get_data(as_text=True))}
    assert client.post("/s/checkout", data=again).status_code == 303


def test_invitations_never_ask_for_a_proof(client: FlaskClient, survey: Survey, session: Session, make: Make) -> None:
    _, token = make.invitation(session.get_one(Survey, survey.id))
    guard(session, survey)
    fields, text = opened(client, f"/i/{token}")
    assert "altcha" not in text
    assert client.post(f"/i/{token}", data=fields | {"score": "1"}).status_code == 303
    assert count(session) == 1


def test_one_invitation_can_be_changed_only_so_often(
    client: FlaskClient, survey: Survey, session: Session, make: Make
) -> None:
    _, token = make.invitation(session.get_one(Survey, survey.id))
    session.commit()
    fields, _ = opened(client, f"/i/{token}")
    codes = [client.post(f"/i/{token}", data=fields | {"score": "1"}).status_code for _ in range(31)]
    assert codes == [303] * 30 + [429]


def test_an_attack_is_noticed_shown_and_ends(
    client: FlaskClient, survey: Survey, session: Session, make: Make, cast: Cast, app: Flask
) -> None:
    for number in range(30):
        network = {"environ_base": {"REMOTE_ADDR": f"192.0.2.{number}"}}
        client.post("/s/checkout", data={"form_token": "x"}, **network)
    assert "altcha" in opened(client)[0]
    sign_in(client, cast.ada)
    page = client.get("/surveys/checkout").get_data(as_text=True)
    assert "Under attack" in page
    assert "30 forms in 5 minutes came as no person sends them." in page
    assert client.post("/surveys/checkout/guard", data={"guard": "off"}).status_code == 302
    assert "altcha" not in opened(client)[0]
    guard(session, survey, Guard.AUTOMATIC)
    row = session.scalars(select(SurveyPressure)).one()
    row.until = utc_now() - timedelta(seconds=1)
    session.commit()
    assert "altcha" not in opened(client)[0]


def test_only_admins_turn_the_guard(client: FlaskClient, survey: Survey, cast: Cast) -> None:
    sign_in(client, cast.lena)
    assert client.post("/surveys/checkout/guard", data={"guard": "off"}).status_code == 403
    assert "Never ask for proof" not in client.get("/surveys/checkout").get_data(as_text=True)


def test_movements_on_a_score_link_do_not_count_while_a_proof_is_asked_for(
    client: FlaskClient, survey: Survey, session: Session
) -> None:
    guard(session, survey)
    fields, _ = opened(client, "/s/checkout?score=1")
    sign = client.post("/s/checkout/signs", data=fields | {"score": "1", "sign": "gesture"})
    assert sign.status_code == 204
    assert count(session) == 0


def test_unsubscribing_is_never_refused(client: FlaskClient, make: Make, session: Session) -> None:
    from feedback_loop.notifications.service import token_of

    notification = make.notification()
    session.commit()
    token = token_of(notification, make.settings)
    for _ in range(40):
        assert client.post(f"/u/{token}").status_code == 303
