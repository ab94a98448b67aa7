"""Which language a reader gets, and how it is kept."""

from __future__ import annotations

import re
from datetime import date

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop.languages import LANGUAGES, as_day, choose, direction, known
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import token_of
from feedback_loop.responses.models import Customer
from feedback_loop.responses.service import remember_language
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName
from tests.factories import Cast, Make, sign_in
from tests.pages import again
from tests.responses.test_answer_screens import send


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("de", "de"), ("DE", "de"), ("de-AT", "de"), ("pt_BR", "pt"), (" ja ", "ja"), ("zh", ""), ("", ""), ("*", ""),
        ("deutsch", ""), ("de\x00", ""), ("-", ""), ("x" * 5000, ""),
    ],
)  # fmt: skip
def test_a_code_means_one_of_our_languages_or_none(code: str, language: str) -> None:
    assert known(code) == language


def test_what_is_known_goes_before_the_browser_in_order_of_weight() -> None:
    accepted = [("it", 1.0), ("fr", 0.5)]
    assert choose("ja", "pl", "nl", accepted=accepted) == "ja"
    assert choose("", "pl", "nl", accepted=accepted) == "pl"
    assert choose("", "", "nl", accepted=accepted) == "nl"
    assert choose("", "", "", accepted=accepted) == "it"
    assert choose("tlh", "", accepted=[("tlh", 1), ("de-CH", 0.1)]) == "de"
    assert choose(accepted=[("de", 0)]) == "en"
    assert choose() == "en"


def test_dates_are_written_as_one_reads_them() -> None:
    day = date(2026, 10, 12)
    assert as_day(day, "en") == "12 October 2026"
    assert as_day(day, "de") == "12. Oktober 2026"
    assert as_day(day, "ja") == "2026年10月12日"


def test_only_arabic_reads_from_right_to_left() -> None:
    assert {language for language in LANGUAGES if direction(language) == "rtl"} == {"ar"}


@pytest.fixture
def slug(make: Make, session: Session) -> str:
    make.survey("parcels", ScaleName.HELPFUL)
    session.commit()
    return "parcels"


def spoken(page: str) -> str:
    found = re.search(r'<html lang="(\w+)" dir="(\w+)">', page)
    assert found
    assert found[2] == direction(found[1])
    return found[1]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"), ("de-CH,de;q=0.9,en;q=0.8", "de"), ("fr;q=0.2,ar;q=0.9", "ar"), ("", "en"), ("*", "en"),
        ("xx,yy;q=0.3", "en"), ("sv,it-IT;q=0.4", "it"), ("de;q=0,nl;q=0.1", "nl"), ("de;q=0", "en"), (";;;,=,q", "en"),
        ("de;q=abc,pl;q=0.5", "pl"), ("JA_jp", "ja"), ("de" * 3000, "en"), ("\xe4,es", "es"),
    ],
)  # fmt: skip
def test_the_browser_is_heard_whatever_it_says(client: FlaskClient, slug: str, header: str, language: str) -> None:
    page = client.get(f"/s/{slug}", headers={"Accept-Language": header})
    assert page.status_code == 200
    assert spoken(page.text) == language


def test_a_choice_goes_before_the_browser_and_is_kept_through_sending(client: FlaskClient, slug: str) -> None:
    german = {"Accept-Language": "de"}
    page = client.get(f"/s/{slug}?lang=ar", headers=german)
    assert spoken(page.text) == "ar"
    assert 'action="/s/parcels?lang=ar"' in page.text
    refused = client.post(f"/s/{slug}?lang=ar", data={"form_token": "old", "score": "yes"}, headers=german)
    assert (refused.status_code, spoken(refused.text)) == (400, "ar")
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert token
    sent = client.post(f"/s/{slug}?lang=ar", data={"form_token": token[1], "score": "yes"}, headers=german)
    assert sent.location == "/s/parcels/thanks?lang=ar"
    assert spoken(client.get(sent.location, headers=german).text) == "ar"
    assert "Set-Cookie" not in sent.headers


@pytest.mark.parametrize("asked", ["", "xx", "../en", "<b>", "%00", "d" * 3000])
def test_a_choice_of_no_language_is_passed_over(client: FlaskClient, slug: str, asked: str) -> None:
    page = client.get(f"/s/{slug}", query_string={"lang": asked}, headers={"Accept-Language": "de"})
    assert spoken(page.text) == "de"
    assert 'action="/s/parcels"' in page.text


def test_each_language_is_a_link_by_its_own_name_that_keeps_the_rest_of_the_address(
    client: FlaskClient, slug: str
) -> None:
    page = client.get(f"/s/{slug}?score=no&c_page=/a&lang=de&_external=1").text
    for code, name in LANGUAGES.items():
        link = f'href="?score=no&amp;c_page=%2Fa&amp;_external=1&amp;lang={code}" lang="{code}" hreflang="{code}"'
        assert re.search(re.escape(link) + f"[^>]*>{name}</a>", page)
    assert page.count('aria-current="true">Deutsch') == 1
    assert "hreflang" not in client.post(f"/s/{slug}").text, "a link away from what was typed would lose it"


def test_an_invitation_speaks_its_own_language_else_that_of_its_customer(
    client: FlaskClient, make: Make, session: Session
) -> None:
    customer = make.customer()
    customer.language = "pl"
    invitation, token = make.invitation(customer=customer)
    session.commit()
    french = {"Accept-Language": "fr"}
    assert spoken(client.get(f"/i/{token}", headers=french).text) == "pl"
    invitation.language = "it"
    session.commit()
    assert spoken(client.get(f"/i/{token}", headers=french).text) == "it"
    assert spoken(client.get(f"/i/{token}?lang=ja", headers=french).text) == "ja"
    assert spoken(client.get("/i/nobody", headers=french).text) == "fr"


def test_an_admin_invites_in_a_language(client: FlaskClient, cast: Cast, slug: str) -> None:
    sign_in(client, cast.ada)
    page = client.post(f"/surveys/{slug}/invitations", data={"email": "yuki@example.com", "language": "ja"})
    found = re.search(r"http://localhost(/i/[^\"]+)", page.text)
    assert found
    assert spoken(page.text) == "en", "pages of staff stay English"
    assert spoken(client.get(found[1]).text) == "ja"
    wrong = client.post(f"/surveys/{slug}/invitations", data={"email": "yuki@example.com", "language": "tlh"})
    assert wrong.status_code == 400


def test_who_answers_is_remembered_in_the_language_shown_unless_one_is_known(
    client: FlaskClient, make: Make, session: Session, slug: str
) -> None:
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "nl"
    send(client, f"/s/{slug}", score="no", email="maya@example.com")
    maya = session.query(Customer).one()
    assert maya.language == "nl"
    session.rollback()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "fr"
    send(client, f"/s/{slug}", score="no", email="maya@example.com")
    again(session, maya)
    assert maya.language == "nl", "anybody can type an address: that changes nothing of what we know"


def test_what_a_customer_chooses_on_a_page_of_their_own_goes_before_what_we_knew(
    client: FlaskClient, make: Make, session: Session
) -> None:
    customer = make.customer()
    customer.language = "nl"
    _, token = make.invitation(customer=customer)
    session.commit()
    page = client.get(f"/i/{token}?lang=ja")
    form_token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert form_token
    sent = client.post(f"/i/{token}?lang=ja", data={"form_token": form_token[1], "score": "yes"})
    assert sent.location == f"/i/{token}/thanks?lang=ja"
    again(session, customer)
    assert customer.language == "ja"


def test_remembering() -> None:
    customer = Customer(language="")
    remember_language(customer, "de")
    assert customer.language == "de"
    remember_language(customer, "fr")
    assert customer.language == "de"
    remember_language(customer, "it", "it")
    assert customer.language == "it"


def test_the_pages_behind_a_mail_speak_the_language_of_its_reader(
    client: FlaskClient, make: Make, cast: Cast, session: Session, settings: Settings
) -> None:
    item = make.raised_item(1, cast.delivery)
    customer = session.query(Customer).one()
    customer.language = "es"
    make.closure(item, cast.omar)
    notification = session.query(Notification).one()
    assert notification.data["language"] == "es"
    session.commit()
    token = token_of(notification, settings)
    german = {"Accept-Language": "de"}
    assert spoken(client.get(f"/f/{token}", headers=german).text) == "es"
    assert spoken(client.get(f"/u/{token}", headers=german).text) == "es"
    page = client.get(f"/u/{token}?lang=ar", headers=german).text
    assert f'action="/u/{token}?lang=ar"' in page
    done = client.post(f"/u/{token}?lang=ar")
    assert done.location == f"/u/{token}?lang=ar"


@pytest.mark.parametrize("table", ["customers", "invitations"])
def test_a_language_is_kept_in_lower_case(make: Make, session: Session, table: str) -> None:
    make.invitation()
    with pytest.raises(IntegrityError):
        session.execute(text(f"UPDATE {table} SET language = 'DE'"))


def test_staff_read_english_whatever_their_browser_asks_for(client: FlaskClient, cast: Cast) -> None:
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de"
    assert spoken(client.get("/sign-in?lang=de").text) == "en"
    sign_in(client, cast.omar)
    for path in ("/", "/surveys/new", "/nothing", "/surveys/nothing?lang=de"):
        assert spoken(client.get(path).text) == "en", path
    refused = client.post("/complaints/1/nothing?lang=de")
    assert spoken(refused.text) == "en"


def test_links_from_pages_of_staff_carry_no_language(client: FlaskClient, cast: Cast, slug: str) -> None:
    sign_in(client, cast.ada)
    assert f"/s/{slug}?lang" not in client.get(f"/surveys/{slug}?lang=de").text


def test_texts_of_an_admin_stay_as_they_are(client: FlaskClient, make: Make, session: Session) -> None:
    make.survey("own", question="Send", thanks="Yes", prompt_low="No")
    session.commit()
    page = client.get("/s/own?lang=de").text
    assert "<h1><bdi>Send</bdi></h1>" in page
    assert "<bdi>No</bdi>" in page
    assert "Was hat Ihnen gefallen" in page, "the usual text beside it is translated"
    assert '<p dir="auto">Yes</p>' in client.get("/s/own/thanks?lang=de").text


def test_an_address_outside_a_request_needs_no_reader(app: Flask) -> None:
    with app.app_context():
        from feedback_loop.web.language import keep_choice, language

        values: dict[str, str] = {}
        keep_choice("responses.survey", values)
        assert (language(), values) == ("en", {})
