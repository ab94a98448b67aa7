"""The ready texts that put a survey into mails, on pages and on paper; and whose pages may show it."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

import pytest
import segno
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from feedback_loop.surveys.service import allow_embedding
from feedback_loop.surveys.snippets import HELP_DESKS
from tests.factories import Cast, Make, sign_in
from tests.pages import again, links, words

TICKET = re.compile(r"\{\{ticket\.id\}\}|\{%conversation\.number%\}|\{\{conversation\.id\}\}|\{ticket\}")


@pytest.fixture
def survey(make: Make, session: Session) -> Survey:
    survey = make.survey("order", ScaleName.CSAT, question="How was “the <delivery>”?")
    session.commit()
    return survey


def text(page: TestResponse, id: str) -> str:
    """A ready text of the page, as whoever copies it gets it."""
    found = re.search(rf'<textarea [^>]*\bid="{id}"[^>]*>(.*?)</textarea>', page.text, flags=re.DOTALL)
    assert found, f"the page has no text {id}"
    return html.unescape(found[1])


def addresses(snippet: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(r"""https?://[^\s"'<;]+""", html.unescape(snippet))]


def test_a_viewer_finds_it_from_the_survey(client: FlaskClient, cast: Cast, survey: Survey) -> None:
    sign_in(client, cast.vera)
    assert "/surveys/order/share" in links(client.get("/surveys/order"))
    page = client.get("/surveys/order/share")
    assert page.status_code == 200
    assert text(page, "link") == "http://localhost/s/order"
    assert client.get("/surveys/none/share").status_code == 404


@pytest.mark.parametrize("scale", ScaleName)
@pytest.mark.parametrize("desk", HELP_DESKS)
def test_every_link_of_the_mails_opens_the_survey_with_its_score(
    client: FlaskClient, cast: Cast, make: Make, session: Session, scale: ScaleName, desk: str
) -> None:
    survey = make.survey("mailed", scale)
    session.commit()
    sign_in(client, cast.vera)
    page = client.get(f"/surveys/mailed/share?desk={desk}")
    rich = [html.unescape(found) for found in re.findall(r'href="([^"]*)"', text(page, "mail-html"))]
    plain = addresses(text(page, "mail-text"))
    assert rich == plain
    chosen = []
    for address in rich:
        assert HELP_DESKS[desk].ticket in address, "the help desk finds its placeholder only as it writes it"
        opened = client.get(TICKET.sub("4711", address))
        assert opened.status_code == 200
        assert 'name="c_ticket" value="4711"' in opened.text
        chosen += re.findall(r'value="(\w+)" id="score\d*"\s+class="\w+" checked', opened.text)
    assert len(set(rich)) == len(rich) == max(1, len(chosen))
    assert survey.question in text(page, "mail-text")


def test_each_score_of_the_mail_says_what_it_means(client: FlaskClient, cast: Cast, make: Make, survey: Survey) -> None:
    make.survey("effort", ScaleName.CES)
    make.session.commit()
    sign_in(client, cast.vera)
    page = client.get("/surveys/order/share")
    labels = re.findall(r"<a [^>]*>([^<]+)</a>", text(page, "mail-html"))
    assert labels == ["Very dissatisfied", "Dissatisfied", "Neither", "Satisfied", "Very satisfied"]
    effort = client.get("/surveys/effort/share")
    assert "1 (Very difficult), 7 (Very easy)" in text(effort, "mail-html")
    assert text(effort, "mail-text").splitlines()[2].startswith("1 (Very difficult): http")


def test_a_mail_shows_smileys_with_their_words(client: FlaskClient, cast: Cast, make: Make) -> None:
    make.survey("mood", ScaleName.SMILEYS)
    make.session.commit()
    sign_in(client, cast.vera)
    page = client.get("/surveys/mood/share")
    labels = re.findall(r"<a [^>]*>([^<]+)</a>", text(page, "mail-html"))
    assert (labels[0], labels[-1]) == ("😠 Very dissatisfied", "😀 Very satisfied")
    assert "\nVery satisfied: http" in text(page, "mail-text").replace("\r", "")


def test_the_mail_is_made_of_tables_and_its_question_breaks_nothing(
    client: FlaskClient, cast: Cast, survey: Survey
) -> None:
    sign_in(client, cast.vera)
    ready = text(client.get("/surveys/order/share"), "mail-html")
    assert ready.startswith("<table")
    assert "How was “the &lt;delivery&gt;”?" in ready
    assert "class=" not in ready
    assert "<style" not in ready


def test_the_preview_shows_the_mail_and_only_our_own_page_may_hold_it(
    client: FlaskClient, cast: Cast, survey: Survey
) -> None:
    sign_in(client, cast.vera)
    page, preview = client.get("/surveys/order/share?desk=front"), client.get("/surveys/order/share/mail?desk=front")
    assert "/surveys/order/share/mail?desk=front" in html.unescape(page.text)
    assert text(page, "mail-html") in preview.text
    policy = preview.headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in policy
    assert "style-src 'unsafe-inline'" in policy
    assert "X-Frame-Options" not in preview.headers
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_the_qr_code_holds_the_link(client: FlaskClient, cast: Cast, survey: Survey) -> None:
    sign_in(client, cast.vera)
    image = client.get("/surveys/order/qr.svg")
    assert image.mimetype == "image/svg+xml"
    drawing = ElementTree.fromstring(image.data)
    expected = segno.make("http://localhost/s/order", error="q", micro=False)
    assert expected.error in ("Q", "H"), "printed codes get dirty"
    side, _ = expected.symbol_size()
    assert drawing.get("width") == f"{side}mm"
    path = drawing.findall("{http://www.w3.org/2000/svg}path")[-1].get("d")
    assert path
    assert path in expected.svg_inline()
    assert path not in segno.make("http://localhost/s/other", error="q", micro=False).svg_inline()


def test_each_way_onto_a_page_names_the_survey_and_its_files_are_there(
    client: FlaskClient, cast: Cast, survey: Survey
) -> None:
    sign_in(client, cast.vera)
    page = client.get("/surveys/order/share")
    for mode in ("inline", "popover", "tab"):
        snippet = text(page, f"widget-{mode}")
        assert f'data-survey="order" data-mode="{mode}"' in snippet
        (address,) = addresses(snippet)
        with client.get(address) as served:
            assert served.status_code == 200
    (framed,) = addresses(text(page, "frame"))
    assert client.get(framed).status_code == 200
    assert "style" not in text(page, "frame")
    assert 'FeedbackLoop.open("order"' in text(page, "function")
    assert text(page, "policy") == "script-src 'self' http://localhost;\nframe-src http://localhost;"


def test_without_allowed_pages_it_says_what_to_do(client: FlaskClient, cast: Cast, survey: Survey) -> None:
    sign_in(client, cast.ada)
    assert "No page may show this question yet" in words(client.get("/surveys/order/share"))
    assert "Enter the address of your site below" in words(client.get("/surveys/order/share"))


def test_a_viewer_reads_whose_pages_may_show_it_and_cannot_change_it(
    client: FlaskClient, cast: Cast, survey: Survey, session: Session
) -> None:
    sign_in(client, cast.vera)
    page = client.get("/surveys/order/share")
    assert "An admin enters here whose pages may." in words(page)
    assert "/surveys/order/origins" not in links(page)
    allow_embedding(session, survey, ["https://www.fernhill.example"])
    session.commit()
    assert "https://www.fernhill.example" in words(client.get("/surveys/order/share"))
    refused = client.post("/surveys/order/origins", data={"origins": ""})
    assert refused.status_code == 403
    again(session, survey)
    assert survey.embed_origins == ["https://www.fernhill.example"]


def test_an_admin_says_whose_pages_may_show_it(
    client: FlaskClient, cast: Cast, survey: Survey, session: Session
) -> None:
    sign_in(client, cast.ada)
    sent = client.post(
        "/surveys/order/origins", data={"origins": "https://www.fernhill.example/\r\n\r\nhttp://localhost:3000"}
    )
    assert sent.location == "/surveys/order/share#pages"
    again(session, survey)
    assert survey.embed_origins == ["https://www.fernhill.example", "http://localhost:3000"]
    page = client.get("/surveys/order/share")
    assert text(page, "origins").strip() == "https://www.fernhill.example\nhttp://localhost:3000"
    assert "Browsers show the question on these pages now." in words(page)
    client.post("/surveys/order/origins", data={"origins": " "})
    again(session, survey)
    assert survey.embed_origins == []


def test_a_bad_address_changes_nothing_and_stays_to_be_mended(
    client: FlaskClient, cast: Cast, survey: Survey, session: Session
) -> None:
    sign_in(client, cast.ada)
    typed = "https://www.fernhill.example\nhttp://shop.fernhill.example"
    sent = client.post("/surveys/order/origins", data={"origins": typed})
    assert sent.status_code == 400
    assert "http://shop.fernhill.example: enter it with https" in words(sent)
    assert text(sent, "origins").strip() == typed
    assert text(sent, "link") == "http://localhost/s/order"
    again(session, survey)
    assert survey.embed_origins == []


def test_a_closed_survey_says_what_its_links_say(
    client: FlaskClient, cast: Cast, survey: Survey, session: Session
) -> None:
    survey.state = SurveyState.CLOSED
    session.commit()
    sign_in(client, cast.vera)
    assert "This survey is paused" in words(client.get("/surveys/order/share"))
