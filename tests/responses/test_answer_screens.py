"""The hosted survey page and its thanks."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop.responses.models import Answer, Customer, RawComment
from feedback_loop.responses.raw import unseal
from feedback_loop.settings import PACKAGE, Settings
from feedback_loop.surveys.models import ScaleName, SurveyState
from feedback_loop.surveys.scales import SCALES
from tests.factories import Make


def token_on(page: TestResponse) -> str:
    """The form token of a page."""
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found, "the page has no form"
    return found.group(1)


def send(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    """Open a page and send its form, as a browser without JavaScript does."""
    page = client.get(path)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    return client.post(path.partition("?")[0], data=hidden | {"website": ""} | fields)


def answers(session: Session) -> int:
    session.rollback()
    count = session.scalar(select(func.count()).select_from(Answer)) or 0
    session.rollback()  # lets the database go, so that the next page can write
    return count


@pytest.fixture
def slug(make: Make, session: Session) -> str:
    make.survey("parcels", question="Did your parcel come well?")
    session.commit()
    return "parcels"


def test_shows_question_scores_comment_box_and_privacy(client: FlaskClient, slug: str) -> None:
    page = client.get(f"/s/{slug}")
    assert page.status_code == 200
    for text in ("Did your parcel come well?", "Fernhill Outdoor", "What went wrong?", "destroyed after 30 days"):
        assert text in page.text
    assert page.text.index('value="yes"') < page.text.index('value="no"')
    assert "checked" not in page.text


def test_keeps_itself_out_of_caches_indexes_and_cookies(client: FlaskClient, slug: str) -> None:
    for page in (client.get(f"/s/{slug}"), client.post(f"/s/{slug}"), client.get(f"/s/{slug}/thanks")):
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Robots-Tag"] == "noindex"
        assert page.headers["Referrer-Policy"] == "strict-origin"
        assert "Set-Cookie" not in page.headers
        assert "<script" not in page.text
        assert "style=" not in page.text


def test_a_link_preselects_and_records_nothing(client: FlaskClient, slug: str, session: Session) -> None:
    page = client.get(f"/s/{slug}?score=no")
    assert re.search(r'value="no"[^>]*checked', page.text)
    assert client.head(f"/s/{slug}?score=no").status_code == 200
    assert answers(session) == 0


def test_a_link_with_a_wrong_score_preselects_nothing(client: FlaskClient, slug: str) -> None:
    page = client.get(f"/s/{slug}?score=11")
    assert page.status_code == 200
    assert "checked" not in page.text


def test_words_belong_to_the_movement_that_was_the_last_answer_a_survey_takes(
    client: FlaskClient, make: Make, session: Session
) -> None:
    make.survey("full").answer_limit = 1
    session.commit()
    page = client.get("/s/full?score=no")
    fields = {"form_token": token_on(page), "score": "no"}
    assert client.post("/s/full/signs", data=fields | {"sign": "gesture"}).json == {"counts": True}
    assert client.get("/s/full").status_code == 410
    assert client.post("/s/full", data=fields | {"comment": "It was wet."}).status_code == 303
    assert session.scalars(select(RawComment)).one()


def test_sending_records_score_comment_and_context(
    client: FlaskClient, slug: str, session: Session, settings: Settings
) -> None:
    sent = send(client, f"/s/{slug}?c_page=/help&c_=x&utm=y", score="no", comment=" It was wet. ")
    assert sent.status_code == 303
    assert sent.location == f"/s/{slug}/thanks?low=1&words=1"
    answer = session.scalars(select(Answer)).one()
    assert (answer.score, answer.customer_id, answer.context) == (0, None, {"page": "/help"})
    assert answer.comment is None, "the raw text stays out of answers"
    assert unseal(session.scalars(select(RawComment)).one().sealed, settings.secret_key) == "It was wet."


@pytest.mark.parametrize(("fields", "score"), [({"score": "yes"}, 1), ({"comment": "Dry, thank you."}, None)])
def test_a_score_or_a_comment_is_enough(
    client: FlaskClient, slug: str, session: Session, fields: dict[str, str], score: int | None
) -> None:
    assert send(client, f"/s/{slug}", **fields).status_code == 303
    assert session.scalars(select(Answer)).one().score == score


def test_nothing_said_is_refused(client: FlaskClient, slug: str, session: Session) -> None:
    sent = send(client, f"/s/{slug}?score=yes", comment="   ")
    assert sent.status_code == 400
    assert '<a href="#score">Choose an answer, or write a few words.</a>' in sent.text
    assert "checked" not in sent.text, "what a link preselected is not what was sent"
    assert answers(session) == 0


def test_a_score_off_the_scale_is_refused(client: FlaskClient, slug: str, session: Session) -> None:
    sent = send(client, f"/s/{slug}", score="7", comment="Wet.")
    assert sent.status_code == 400
    assert 'id="score-error">Choose one of the answers.' in sent.text
    assert ">\nWet.</textarea>" in sent.text
    assert answers(session) == 0


def test_a_text_survey_asks_for_words(client: FlaskClient, make: Make, session: Session) -> None:
    make.survey("words", ScaleName.TEXT)
    session.commit()
    assert 'type="radio"' not in client.get("/s/words").text
    assert "Enter a few words." in send(client, "/s/words").text
    assert send(client, "/s/words", score="1", comment="More shops.").status_code == 400
    assert send(client, "/s/words", comment="More shops.").status_code == 303


def test_too_long_a_comment_is_refused_and_kept(client: FlaskClient, slug: str, session: Session) -> None:
    sent = send(client, f"/s/{slug}", score="no", comment="ä" * 4213, email="maya@example.com")
    assert sent.status_code == 400
    assert "Your comment has 4,213 characters; at most 4,000 can be sent. Please shorten it." in sent.text
    assert "ä" * 4213 in sent.text
    assert 'value="maya@example.com"' in sent.text
    assert re.search(r'value="no"[^>]*checked', sent.text)
    assert answers(session) == 0


def test_line_ends_of_browsers_do_not_count_twice(client: FlaskClient, slug: str) -> None:
    assert send(client, f"/s/{slug}", comment="a\r\n" * 1999 + "ab").status_code == 303


def test_an_address_makes_a_customer(client: FlaskClient, slug: str, session: Session) -> None:
    send(client, f"/s/{slug}", score="no", email="Maya@Example.com")
    customer = session.scalars(select(Customer)).one()
    assert customer.email == "maya@example.com"
    assert session.scalars(select(Answer)).one().customer_id == customer.id


@pytest.mark.parametrize("address", ["maya@", "maya example.com", "a@b@example.com", "x" * 300 + "@example.com"])
def test_a_wrong_address_is_refused(client: FlaskClient, slug: str, session: Session, address: str) -> None:
    sent = send(client, f"/s/{slug}", score="no", comment="Wet.", email=address)
    assert sent.status_code == 400
    assert 'id="email-error">Enter a mail address like name@example.com, or leave this empty.' in sent.text
    assert address in sent.text
    assert answers(session) == 0


@pytest.mark.parametrize("token", ["", "forged", "ImFuc3dlcjpvdGhlciI.aQ.x"])
def test_an_aged_or_forged_token_asks_for_one_more_press(
    client: FlaskClient, slug: str, session: Session, token: str
) -> None:
    sent = send(client, f"/s/{slug}?c_page=/help", score="no", comment="Wet.", form_token=token)
    assert sent.status_code == 400
    assert "please press Send once more" in sent.text
    assert answers(session) == 0
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', sent.text))
    assert hidden["c_page"] == "/help"
    again = client.post(f"/s/{slug}", data=hidden | {"score": "no", "comment": "Wet."})
    assert again.status_code == 303
    assert answers(session) == 1


def test_a_token_of_another_survey_does_not_fit(client: FlaskClient, slug: str, make: Make, session: Session) -> None:
    make.survey("other")
    session.commit()
    other = token_on(client.get("/s/other"))
    assert send(client, f"/s/{slug}", score="no", form_token=other).status_code == 400


def test_the_hidden_field_stops_programs_and_costs_people_one_press(
    client: FlaskClient, slug: str, session: Session
) -> None:
    sent = send(client, f"/s/{slug}", score="no", comment="Wet.", website="https://example.com")
    assert sent.status_code == 400
    assert "https://example.com" not in sent.text
    assert ">\nWet.</textarea>" in sent.text
    assert answers(session) == 0


def test_context_is_limited(client: FlaskClient, slug: str, session: Session) -> None:
    query = "&".join([f"c_{'n' * 41}=x", "c_long=" + "v" * 300, *(f"c_k{i}={i}" for i in range(12))])
    send(client, f"/s/{slug}?{query}", score="yes")
    context = session.scalars(select(Answer)).one().context
    assert len(context) == 10
    assert context["long"] == "v" * 200
    assert "n" * 41 not in context


def test_what_is_typed_is_escaped(client: FlaskClient, slug: str) -> None:
    nasty = '"></textarea><script>alert(1)</script>'
    sent = send(client, f"/s/{slug}?c_page=%22%3E%3Cscript%3E", score="9", comment=nasty, email=nasty)
    assert sent.status_code == 400
    assert "<script" not in sent.text


@pytest.mark.parametrize("scale", list(ScaleName))
def test_every_scale_takes_each_of_its_scores(
    client: FlaskClient, make: Make, session: Session, scale: ScaleName
) -> None:
    make.survey("any", scale)
    session.commit()
    shown = re.findall(r'name="score" value="([^"]+)"', client.get("/s/any").text)
    for score in shown:
        assert send(client, "/s/any", score=score).status_code == 303
    assert answers(session) == len(shown)


def test_thanks_say_what_happens_next(client: FlaskClient, slug: str) -> None:
    page = client.get(f"/s/{slug}/thanks?words=1&mail=1")
    assert page.status_code == 200
    assert "Now we know how it went for you" in page.text
    assert "What happens next" in page.text
    assert "we write to you and ask whether that helped" in page.text
    assert "Change my answer" not in page.text


def test_a_closed_survey_says_so(client: FlaskClient, make: Make, session: Session) -> None:
    make.survey("over").state = SurveyState.CLOSED
    session.commit()
    assert client.get("/s/over").status_code == 410
    sent = client.post("/s/over", data={"score": "yes"})
    assert sent.status_code == 410
    assert "This question is closed" in sent.text
    assert answers(session) == 0


@pytest.mark.parametrize("slug", ["nothing", "%00", "a%ED%A0%80b", "x" * 500])
def test_an_unknown_survey_is_not_found(client: FlaskClient, slug: str) -> None:
    assert client.get(f"/s/{slug}").status_code == 404
    assert client.get(f"/s/{slug}/thanks").status_code == 404


def test_the_address_works_however_it_is_typed(client: FlaskClient, slug: str) -> None:
    assert client.get(f"/s/{slug.upper()}").status_code == 200


@pytest.mark.parametrize("scale", list(ScaleName))
def test_the_first_page_weighs_little(client: FlaskClient, make: Make, session: Session, scale: ScaleName) -> None:
    """Page, styles and script together, as they are and before any compression."""
    make.survey("any", scale, tags=["Delivery", "Price", "Packaging", "Size and fit", "Advice", "Returns"])
    session.commit()
    page = client.get(f"/s/any?score={SCALES[scale].choices[0].written if SCALES[scale].choices else ''}")
    parts = re.findall(r'(?:href|src)="/(static/[^"]+)"', page.text)
    assert "static/public.css" in parts
    weight = len(page.data) + sum((PACKAGE / part).stat().st_size for part in parts)
    assert weight < 26_000, weight
