from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from feedback_loop.responses.models import Customer
from feedback_loop.responses.queries import invitation_by_token
from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from tests.factories import Cast, Make, sign_in
from tests.pages import again, counted, links, words


def test_no_survey_yet_says_how_to_begin(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ada)
    response = client.get("/surveys")
    assert "No survey yet." in words(response)
    assert "/surveys/new" in links(response)


def test_surveys_show_answers_and_low_scores_with_their_base(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    survey = make.survey("order", ScaleName.CSAT)
    for score in (1, 2, 3, 5):
        make.answer("" if score > 2 else "Late.", survey=survey, score=score)
    make.answer("No score given.", survey=survey, score=None)
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get("/surveys"))
    assert "Satisfaction, 1 to 5 5 3 CSAT 25 % of 4 answers 2 low" in page


@pytest.mark.parametrize(
    ("scale", "scores", "said"),
    [
        (ScaleName.HELPFUL, (1, 0), "Helpful 50 % of 2 answers"),
        (ScaleName.NPS, (0, 0, 9), "NPS −33 from 3 answers"),
        (ScaleName.NPS, (10,), "NPS +100 from 1 answer"),
        (ScaleName.STARS, (4, 5, 5), "Stars 4.7 of 5 from 3 answers"),
        (ScaleName.SMILEYS, (1, 5), "Smileys 50 % of 2 answers"),
        (ScaleName.TEXT, (None,), "no scores"),
    ],
)
def test_each_scale_is_summed_up_by_its_figure(
    client: FlaskClient, cast: Cast, make: Make, session: Session, scale: ScaleName, scores: tuple[int], said: str
) -> None:
    survey = make.survey("order", scale)
    for score in scores:
        make.answer("Late.", survey=survey, score=score)
    session.commit()
    sign_in(client, cast.vera)
    assert said in words(client.get("/surveys"))
    page = words(client.get("/surveys/order"))
    assert (said in page) == (scale != ScaleName.TEXT)
    assert ("Likely between" in page) == (scale not in (ScaleName.TEXT, ScaleName.STARS))


def test_the_list_asks_no_more_for_more_surveys(
    client: FlaskClient, cast: Cast, make: Make, session: Session, engine: Engine
) -> None:
    sign_in(client, cast.vera)
    counts = []
    for _ in range(2):
        for _ in range(4):
            make.answer(survey=make.survey())
        session.commit()
        with counted(engine) as sent:
            client.get("/surveys")
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_a_survey_shows_its_link_and_latest_answers(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    survey = make.survey("order", ScaleName.CSAT)
    make.answer(
        "The parcel came wet.", survey=survey, score=2, customer=make.customer("Maya Lind"), context={"order": "7"}
    )
    make.answer("<b>Late</b>", survey=survey, score=1)
    make.answer(survey=survey, score=1).comment = None
    session.commit()
    sign_in(client, cast.vera)
    response = client.get("/surveys/order")
    page = words(response)
    assert "http://localhost/s/order" in links(response)
    assert re.search(r"The parcel came wet\. 2 of 5 · .* · Maya Lind · order: 7", page)
    assert "The words appear when personal details are blanked out" in page
    assert "&lt;b&gt;Late" in response.get_data(as_text=True)
    assert "Invite one customer" not in page  # viewers only read
    assert client.get("/surveys/none").status_code == 404


def test_a_survey_pages_its_answers(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    survey = make.survey("order")
    for number in range(21):
        make.answer(f"Remark {number}.", survey=survey)
    session.commit()
    sign_in(client, cast.vera)
    first, second = words(client.get("/surveys/order")), words(client.get("/surveys/order?page=2"))
    assert "1–20 of 21 answers" in first
    assert "Remark 20." in first
    assert "Remark 0." in second
    assert client.get("/surveys/order?page=99999999999").status_code == 200


def test_a_survey_is_made_with_texts_that_suit_its_scale(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.ada)
    response = client.post("/surveys/new", data={"name": "Help", "slug": "help", "scale": "helpful"})
    assert response.location == "/surveys/help/edit"
    survey = session.scalars(select(Survey)).one()
    assert survey.question == "Was this helpful?"
    assert survey.thanks


@pytest.mark.parametrize(
    ("slug", "message"),
    [
        ("", "Enter an address."),
        ("Help Centre", "small letters, digits and hyphens"),
        ("new", "is taken by this page"),
        ("taken", "There is a survey taken already."),
    ],
)
def test_a_bad_address_is_refused_and_what_was_typed_stays(
    client: FlaskClient, cast: Cast, make: Make, session: Session, slug: str, message: str
) -> None:
    make.survey("taken")
    session.commit()
    sign_in(client, cast.ada)
    response = client.post("/surveys/new", data={"name": "My survey", "slug": slug, "scale": "nps"})
    assert response.status_code == 400
    assert message in words(response)
    assert 'value="My survey"' in response.get_data(as_text=True)


def test_only_admins_change_surveys(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    make.survey("order")
    session.commit()
    sign_in(client, cast.lena)
    assert client.post("/surveys/order/state", data={"state": "closed"}).status_code == 403
    assert client.post("/surveys/order/invitations", data={"email": "m@example.com"}).status_code == 403


def test_a_survey_is_closed_and_opened_again(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    survey = make.survey("order")
    session.commit()
    sign_in(client, cast.ada)
    client.post("/surveys/order/state", data={"state": "closed"})
    again(session, survey)
    assert survey.state == SurveyState.CLOSED
    assert "This survey is paused." in words(client.get("/surveys/order"))
    client.post("/surveys/order/state", data={"state": "open"})
    again(session, survey)
    assert survey.state == SurveyState.OPEN


def test_an_invitation_link_is_shown_once_and_opens_the_survey(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    survey = make.survey("order")
    session.commit()
    sign_in(client, cast.ada)
    response = client.post("/surveys/order/invitations", data={"email": "Maya@example.com", "name": "Maya Lind"})
    found = re.search(r'value="http://localhost/i/([^"]+)"', response.get_data(as_text=True))
    assert found
    invitation = invitation_by_token(session, found[1])
    assert invitation is not None
    assert invitation.survey_id == survey.id
    assert session.get_one(Customer, invitation.customer_id).email == "maya@example.com"


def test_an_invitation_needs_an_address(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    make.survey("order")
    session.commit()
    sign_in(client, cast.ada)
    response = client.post("/surveys/order/invitations", data={"email": "maya", "name": "Maya"})
    assert response.status_code == 400
    assert "Enter an email address such as maya@example.com." in words(response)
    assert 'value="Maya"' in response.get_data(as_text=True)
