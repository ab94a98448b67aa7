"""Tags beside the score: what is shown, kept and remembered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.complaints.places import Origin, tags_of
from feedback_loop.responses import confirming, receiving
from feedback_loop.responses.models import Answer, UnconfirmedAnswer
from feedback_loop.responses.tagging import with_tags
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName
from tests.factories import Cast, Make, sign_in
from tests.pages import words
from tests.responses.test_answer_screens import answers, send

TAGS = ["Delivery", "Price", "Size & fit"]


@pytest.fixture
def slug(make: Make, session: Session) -> str:
    make.survey("parcels", ScaleName.CSAT, tags=TAGS, translations={"de": {"tags": {"Delivery": "Lieferung"}}})
    session.commit()
    return "parcels"


def ticked(page: str) -> list[str]:
    return re.findall(r'name="tag" value="([^"]+)" checked', page)


def context(session: Session) -> dict[str, Any]:
    session.rollback()
    found = session.scalars(select(Answer)).one().context
    session.rollback()
    return found


@pytest.mark.parametrize(
    ("before", "known", "marked", "after"),
    [
        ({}, (), (), {}),
        ({"page": "/a"}, TAGS, ("Price",), {"page": "/a", "tags": ["Price"]}),
        ({"tags": "vip, Price"}, (), (), {"tags": "vip, Price"}),
        ({"tags": "vip, Price"}, (), ("Price", "Delivery"), {"tags": ["vip", "Price", "Delivery"]}),
        ({"tags": ["vip", "Price"]}, TAGS, ("Delivery",), {"tags": ["vip", "Delivery"]}),
        ({"tags": ["Price"], "order": "7"}, TAGS, (), {"order": "7"}),
    ],
)
def test_ticked_tags_stand_in_the_context_beside_those_of_a_link(
    before: dict[str, Any], known: Sequence[str], marked: Sequence[str], after: dict[str, Any]
) -> None:
    assert with_tags(before, known, marked) == after


def test_tags_are_shown_in_the_readers_language(client: FlaskClient, slug: str) -> None:
    page = client.get(f"/s/{slug}?lang=de").text
    assert 'value="Delivery"><span><bdi>Lieferung</bdi>' in page
    assert 'value="Size &amp; fit"><span><bdi>Size &amp; fit</bdi>' in page
    assert 'name="tag"' in client.get(f"/s/{slug}/embed").text


def test_a_survey_without_tags_asks_for_none(client: FlaskClient, make: Make, session: Session) -> None:
    make.survey("plain")
    session.commit()
    assert "What is it about?" not in client.get("/s/plain").text


@pytest.mark.parametrize("path", ["/s/parcels", "/s/parcels/embed"])
def test_ticked_tags_are_kept_for_trends_in_the_surveys_language(
    client: FlaskClient, slug: str, session: Session, path: str
) -> None:
    sent = send(client, f"{path}?c_page=/help&c_tags=vip&lang=de", score="2", tag=["Price", "Delivery"])  # type: ignore[arg-type]
    assert sent.status_code == 303
    assert context(session) == {"page": "/help", "tags": ["vip", "Delivery", "Price"]}
    assert tags_of(Origin("de", context(session))) == ["vip", "Delivery", "Price"]


def test_a_tag_that_was_taken_off_meanwhile_is_dropped_and_the_answer_is_not(
    client: FlaskClient, slug: str, session: Session
) -> None:
    assert send(client, f"/s/{slug}", score="2", tag=["Weather", "Price"]).status_code == 303  # type: ignore[arg-type]
    assert context(session) == {"tags": ["Price"]}


def test_tags_come_back_with_a_form_that_was_not_right(client: FlaskClient, slug: str, session: Session) -> None:
    sent = send(client, f"/s/{slug}", score="2", email="maya@", tag=["Price"])  # type: ignore[arg-type]
    assert sent.status_code == 400
    assert ticked(sent.text) == ["Price"]
    alone = send(client, f"/s/{slug}", tag=["Price"])  # type: ignore[arg-type]
    assert alone.status_code == 400
    assert ticked(alone.text) == ["Price"]
    assert answers(session) == 0


def test_an_invited_customer_changes_the_tags(client: FlaskClient, slug: str, make: Make, session: Session) -> None:
    survey = make.survey("order", ScaleName.CSAT, tags=TAGS)
    invitation, token = make.invitation(survey)
    invitation.context = {"order": "A-17", "tags": "vip"}
    session.commit()
    send(client, f"/i/{token}", score="2", tag=["Price"])  # type: ignore[arg-type]
    assert context(session) == {"order": "A-17", "tags": ["vip", "Price"]}
    assert ticked(client.get(f"/i/{token}").text) == ["Price"]
    send(client, f"/i/{token}", score="4", tag=["Delivery"])  # type: ignore[arg-type]
    assert context(session) == {"order": "A-17", "tags": ["vip", "Delivery"]}
    send(client, f"/i/{token}", score="4")
    assert context(session) == {"order": "A-17", "tags": ["vip"]}


def test_tags_of_an_answer_kept_apart_count_once_it_does(
    client: FlaskClient, slug: str, cast: Cast, session: Session, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from feedback_loop.clock import utc_now

    monkeypatch.setattr(confirming, "SENT_AFTER", timedelta(hours=1))
    sent = send(client, f"/s/{slug}", score="2", tag=["Price"])  # type: ignore[arg-type]
    assert sent.status_code == 400
    assert ticked(sent.text) == ["Price"]
    row = session.scalars(select(UnconfirmedAnswer)).one()
    receiving.confirm(session, row, cast.lena, utc_now(), settings)
    session.commit()
    assert context(session) == {"tags": ["Price"]}


def test_colleagues_read_tags_as_words(client: FlaskClient, slug: str, cast: Cast) -> None:
    send(client, f"/s/{slug}", score="2", tag=["Price", "Delivery"])  # type: ignore[arg-type]
    sign_in(client, cast.vera)
    assert "tags: Delivery, Price" in words(client.get(f"/surveys/{slug}"))
