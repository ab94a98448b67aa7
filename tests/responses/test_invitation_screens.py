"""The answering page of an invited customer."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, SurveyState
from tests.factories import Make
from tests.responses.test_answer_screens import answers, send


@pytest.fixture
def path(make: Make, session: Session) -> str:
    """The link of Maya's invitation."""
    invitation, token = make.invitation(make.survey("order", ScaleName.CSAT), make.customer("Maya Lind"))
    invitation.context = {"order": "A-17"}
    session.commit()
    return f"/i/{token}"


def test_greets_by_name_and_asks_for_no_address(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert "Hello Maya Lind," in page.text
    assert 'name="email"' not in page.text


def test_a_customer_without_a_name_is_greeted(client: FlaskClient, make: Make, session: Session) -> None:
    customer = make.customer()
    customer.name = ""
    _, token = make.invitation(customer=customer)
    session.commit()
    assert "Hello," in client.get(f"/i/{token}").text


def test_a_get_records_nothing(client: FlaskClient, path: str, session: Session) -> None:
    assert re.search(r'value="4"[^>]*checked', client.get(f"{path}?score=4").text)
    assert answers(session) == 0


def test_sending_records_for_the_customer(client: FlaskClient, path: str, session: Session) -> None:
    sent = send(client, f"{path}?c_page=/done&c_order=forged", score="2", comment="Late.")
    assert (sent.status_code, sent.location) == (303, f"{path}/thanks")
    answer = session.scalars(select(Answer)).one()
    assert answer.score == 2
    assert answer.customer_id == session.scalars(select(Customer.id)).one()
    assert answer.context == {"page": "/done", "order": "A-17"}, "what the invitation says counts"
    thanks = client.get(sent.location)
    assert "Thank you, Maya Lind." in thanks.text
    assert f'href="{path}">Change my answer' in thanks.text


def test_answering_again_changes_the_answer(client: FlaskClient, path: str, session: Session) -> None:
    send(client, path, score="2", comment="Late.")
    page = client.get(path)
    assert "You can change your answer here" in page.text
    assert re.search(r'value="2"[^>]*checked', page.text)
    send(client, path, score="5")
    assert answers(session) == 1
    answer = session.scalars(select(Answer)).one()
    assert (answer.score, answer.revision) == (5, 2)


def test_an_earlier_comment_shows_only_redacted(
    client: FlaskClient, path: str, sessions: Sessions, settings: Settings
) -> None:
    send(client, path, score="2", comment="Late. Call +44 20 7946 0958.")
    page = client.get(path)
    assert "Late." not in page.text
    assert "That comment is not shown" in page.text
    redact_pending(sessions, settings, utc_now())
    page = client.get(path)
    assert "Late." in page.text
    assert "7946" not in page.text
    assert "That comment is not shown" not in page.text


def test_errors_keep_what_was_typed(client: FlaskClient, path: str, session: Session) -> None:
    sent = send(client, path, score="9", comment="Late.")
    assert sent.status_code == 400
    assert "Late." in sent.text
    assert "Hello Maya Lind," in sent.text
    assert answers(session) == 0


def test_a_token_of_another_invitation_does_not_fit(
    client: FlaskClient, path: str, make: Make, session: Session
) -> None:
    _, other = make.invitation()
    session.commit()
    found = re.search(r'name="form_token" value="([^"]+)"', client.get(f"/i/{other}").text)
    assert found
    assert send(client, path, score="2", form_token=found.group(1)).status_code == 400


def test_thanks_before_an_answer_leads_to_the_question(client: FlaskClient, path: str) -> None:
    assert client.get(f"{path}/thanks").location == path


@pytest.mark.parametrize("token", ["nothing", "%00", "x" * 400, "a%ED%A0%80b"])
def test_an_unknown_link_is_explained(client: FlaskClient, token: str) -> None:
    for page in (client.get(f"/i/{token}"), client.post(f"/i/{token}"), client.get(f"/i/{token}/thanks")):
        assert page.status_code == 404
        assert "Open the mail again" in page.text


def test_an_expired_link_says_until_when_it_was_good(client: FlaskClient, make: Make, session: Session) -> None:
    invitation, token = make.invitation()
    invitation.expires_at = utc_now() - timedelta(days=1)
    session.commit()
    for page in (client.get(f"/i/{token}"), client.post(f"/i/{token}", data={"score": "yes"})):
        assert page.status_code == 410
        assert "This link has run out" in page.text
    assert answers(session) == 0


def test_a_closed_survey_takes_no_answers(client: FlaskClient, make: Make, session: Session) -> None:
    survey = make.survey()
    _, token = make.invitation(survey)
    survey.state = SurveyState.CLOSED
    session.commit()
    assert client.post(f"/i/{token}", data={"score": "yes"}).status_code == 410
    assert answers(session) == 0


@pytest.mark.parametrize(
    ("days", "words"), [(0, "as soon as that is done"), (1, "after 1 day."), (30, "after 30 days.")]
)
def test_says_when_the_original_is_destroyed(
    path: str, sessions: Sessions, settings: Settings, days: int, words: str
) -> None:
    from feedback_loop.app import create_app

    page = create_app(replace(settings, raw_text_days=days), sessions).test_client().get(path)
    assert words in page.text
