"""The question in a frame on a page of the company, and who may put it there."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey, SurveyState
from feedback_loop.surveys.service import allow_embedding
from tests.factories import Make
from tests.pages import words
from tests.responses.test_answer_screens import send

ALLOWED = ["https://www.fernhill.example", "http://localhost:3000"]


@pytest.fixture
def survey(make: Make, session: Session) -> Survey:
    survey = make.survey("parcels", question="Did your parcel come well?")
    allow_embedding(session, survey, ALLOWED)
    session.commit()
    return survey


def policy(headers: dict[str, str]) -> dict[str, str]:
    return dict(line.strip().split(" ", 1) for line in headers["Content-Security-Policy"].split(";"))  # type: ignore[misc]


def test_the_embedded_pages_may_stand_in_frames_of_the_allowed_pages_only(client: FlaskClient, survey: Survey) -> None:
    pages = [
        client.get("/s/parcels/embed"),
        send(client, "/s/parcels/embed", score=""),
        send(client, "/s/parcels/embed", score="yes"),
        client.get("/s/parcels/embed/thanks"),
    ]
    assert [page.status_code for page in pages] == [200, 400, 303, 200]
    for page in pages:
        assert policy(page.headers)["frame-ancestors"] == " ".join(ALLOWED)
        assert "X-Frame-Options" not in page.headers
        assert "Set-Cookie" not in page.headers
        assert page.headers["Cache-Control"] == "no-store"
        assert policy(page.headers)["default-src"] == "'none'"
        assert policy(page.headers)["style-src"] == policy(page.headers)["script-src"] == "'self'"


@pytest.mark.parametrize("path", ["/s/parcels", "/s/parcels/thanks", "/s/none/embed", "/sign-in", "/i/unknown"])
def test_no_other_page_may_stand_in_a_frame(client: FlaskClient, survey: Survey, path: str) -> None:
    page = client.get(path)
    assert policy(page.headers)["frame-ancestors"] == "'none'"
    assert page.headers["X-Frame-Options"] == "DENY"


def test_without_allowed_pages_it_may_stand_in_no_frame(client: FlaskClient, survey: Survey, session: Session) -> None:
    allow_embedding(session, survey, [])
    session.commit()
    page = client.get("/s/parcels/embed")
    assert page.status_code == 200
    assert policy(page.headers)["frame-ancestors"] == "'none'"
    assert page.headers["X-Frame-Options"] == "DENY"


def test_it_shows_the_question_and_nothing_around_it(client: FlaskClient, survey: Survey) -> None:
    page = client.get("/s/parcels/embed?score=no")
    assert "Did your parcel come well?" in words(page)
    assert "<header" not in page.text
    assert "Skip to the content" not in page.text
    assert 'value="no"' in page.text.partition("checked")[0]
    assert "style=" not in page.text
    assert "You can close this page" not in client.get("/s/parcels/embed/thanks").text
    assert "You can close this page" in client.get("/s/parcels/thanks").text


def test_an_answer_is_recorded_with_its_context_and_thanked_for_in_the_frame(
    client: FlaskClient, survey: Survey, session: Session
) -> None:
    sent = send(client, "/s/parcels/embed?c_page=/help", score="no", comment="It was wet.")
    assert sent.location == "/s/parcels/embed/thanks?low=1&words=1"
    answer = session.scalars(select(Answer)).one()
    assert (answer.score, answer.context) == (0, {"page": "/help"})


def test_what_was_not_right_is_said_in_the_frame_and_nothing_typed_is_lost(client: FlaskClient, survey: Survey) -> None:
    sent = send(client, "/s/parcels/embed", score="no", comment="Wet.", email="maya@")
    assert sent.status_code == 400
    assert 'action="/s/parcels/embed"' in sent.text
    assert "Wet.</textarea>" in sent.text
    assert "<header" not in sent.text


def test_a_closed_survey_says_so_in_the_frame(client: FlaskClient, survey: Survey, session: Session) -> None:
    survey.state = SurveyState.CLOSED
    session.commit()
    page = client.get("/s/parcels/embed")
    assert page.status_code == 410
    assert policy(page.headers)["frame-ancestors"] == " ".join(ALLOWED)
    assert "<header" not in page.text
