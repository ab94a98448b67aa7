"""The survey editor: drafts, publishing, versions, languages, looks, dates, and what customers meet meanwhile."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop.clock import utc_now
from feedback_loop.responses.models import Answer, UnconfirmedAnswer
from feedback_loop.surveys.models import ScaleName, Survey, SurveyVersion
from feedback_loop.surveys.service import ChangedMeanwhile, publish, save_draft
from feedback_loop.surveys.wording import drafted, fingerprint
from tests.factories import Cast, Make, sign_in
from tests.pages import again, links, words

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50


@pytest.fixture
def survey(make: Make) -> Survey:
    survey = make.survey("order", ScaleName.CSAT, question="How was the delivery?")
    make.session.commit()
    return survey


@pytest.fixture
def admin(client: FlaskClient, cast: Cast) -> FlaskClient:
    sign_in(client, cast.ada)
    return client


@pytest.fixture
def customer(app: Flask) -> FlaskClient:
    return app.test_client()


def seen(page: TestResponse) -> str:
    found = re.search(r'name="seen"[^>]* value="([0-9a-f]+)"', page.text)
    assert found
    return found[1]


def save(admin: FlaskClient, do: str = "save", **values: Any) -> TestResponse:
    """What a browser sends, with the fields of the page that one leaves alone."""
    sent = {"scale": "csat", "language": "en", "beside": "de", "other": "de", "question": "How was the delivery?"}
    if "seen" not in values:
        values["seen"] = seen(admin.get("/surveys/order/edit"))
    return admin.post("/surveys/order/edit", data=sent | {"do": do} | values)


def form_token(page: TestResponse) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found
    return found[1]


def test_customers_read_a_draft_only_once_it_is_published(
    admin: FlaskClient, customer: FlaskClient, survey: Survey, session: Session, cast: Cast
) -> None:
    assert save(admin, question="Did it arrive?", tags="Late\nWet", reply_days="3").status_code == 302
    again(session, survey)
    assert survey.question == "How was the delivery?"
    session.commit()
    assert "How was the delivery?" in words(customer.get("/s/order"))
    assert "draft not published" in words(admin.get("/surveys/order/edit"))
    page = admin.post(
        "/surveys/order/edit",
        data={
            "do": "publish", "seen": seen(admin.get("/surveys/order/edit")), "question": "Did it arrive?",
            "tags": "Late\nWet", "scale": "csat", "language": "en", "beside": "de", "other": "de", "reply_days": "3",
        },
    )  # fmt: skip
    assert page.status_code == 302
    assert "Did it arrive?" in words(customer.get("/s/order"))
    again(session, survey)
    assert (survey.version, survey.draft, survey.tags, survey.reply_days) == (2, None, ["Late", "Wet"], 3)
    newest = session.scalars(select(SurveyVersion).order_by(SurveyVersion.number.desc())).first()
    assert newest is not None
    assert (newest.number, newest.wording["question"], newest.published_by_id) == (2, "Did it arrive?", cast.ada.id)
    session.commit()
    shown = words(admin.get("/surveys/order/versions"))
    assert "Version 2 (now)" in shown
    assert "by Ada" in shown
    assert "How was the delivery? → Did it arrive?" in shown


def test_a_draft_is_thrown_away(admin: FlaskClient, survey: Survey, session: Session) -> None:
    save(admin, question="Other?")
    page = admin.get("/surveys/order/edit")
    admin.post("/surveys/order/draft/discard", data={"seen": "0"})
    again(session, survey)
    assert survey.draft
    session.commit()
    admin.post("/surveys/order/draft/discard", data={"seen": seen(page)})
    again(session, survey)
    assert survey.draft is None


def test_saving_what_is_published_already_leaves_no_draft(admin: FlaskClient, survey: Survey, session: Session) -> None:
    save(admin, question="Other?")
    save(admin)
    again(session, survey)
    assert survey.draft is None
    session.commit()
    assert "There is nothing to publish" in words(save(admin, "publish"))


def test_the_second_of_two_admins_is_told_and_overwrites_nothing(
    admin: FlaskClient, survey: Survey, session: Session
) -> None:
    opened = seen(admin.get("/surveys/order/edit"))
    save(admin, question="The first?", seen=opened)
    late = save(admin, question="The second?", seen=opened)
    assert late.status_code == 409
    assert "Somebody else changed this survey" in words(late)
    assert "The second?" in late.text
    again(session, survey)
    assert drafted(survey)["question"] == "The first?"
    session.commit()
    # They know now; saving again is meant.
    assert save(admin, question="The second?", seen=seen(late)).status_code == 302


def test_a_mistake_does_not_hide_that_somebody_else_was_there(
    admin: FlaskClient, survey: Survey, session: Session
) -> None:
    opened = seen(admin.get("/surveys/order/edit"))
    save(admin, question="The first?", seen=opened)
    wrong = save(admin, question="x" * 301, seen=opened)
    assert wrong.status_code == 400
    assert save(admin, question="The second?", seen=seen(wrong)).status_code == 409


def test_verbs_refuse_what_somebody_else_changed(make: Make, cast: Cast, survey: Survey) -> None:
    opened = fingerprint(survey)
    save_draft(make.session, survey, drafted(survey) | {"question": "One?"}, opened, has_answers=False)
    with pytest.raises(ChangedMeanwhile):
        save_draft(make.session, survey, drafted(survey) | {"question": "Two?"}, opened, has_answers=False)
    with pytest.raises(ChangedMeanwhile):
        publish(make.session, survey, opened, cast.ada, make.now, has_answers=False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"question": "x" * 301}, "at most 300 characters"),
        ({"tags": "\n".join("abcdefghijklm")}, "at most 12 tags"),
        ({"tags": "x" * 41}, "at most 40 characters"),
        ({"reply_days": "0"}, "from 1 to 365"),
        ({"reply_days": "soon"}, "Not a valid integer"),
        ({"t_thanks": "x" * 4001}, "at most 4,000 characters"),
    ],
)
def test_mistakes_are_named_and_what_was_typed_stays(
    admin: FlaskClient, survey: Survey, values: dict[str, str], message: str
) -> None:
    page = save(admin, **({"prompt_low": "What broke?"} | values))
    assert page.status_code == 400
    assert message in words(page)
    assert "What broke?" in page.text


def test_the_scale_changes_only_while_there_are_no_answers(
    admin: FlaskClient, survey: Survey, make: Make, session: Session
) -> None:
    save(admin, "publish", scale="nps")
    again(session, survey)
    assert survey.scale == ScaleName.NPS
    make.answer(survey=survey, score=9)
    session.commit()
    page = save(admin, "publish", scale="stars", question="Stars?")
    assert page.status_code == 409
    assert "answers on two scales could not be counted together" in words(page)
    assert "It stays, because there are answers" in words(admin.get("/surveys/order/edit"))


def test_a_new_survey_takes_no_answers_before_it_is_published(
    admin: FlaskClient, customer: FlaskClient, session: Session
) -> None:
    made = admin.post("/surveys/new", data={"name": "Order", "slug": "order", "scale": "csat"})
    assert made.location == "/surveys/order/edit"
    page = words(admin.get("/surveys/order/edit"))
    assert "Before you publish" in page
    for path in ("/s/order", "/s/order/embed"):
        response = customer.get(path)
        assert response.status_code == 404
        assert "not open yet" in words(response)
    assert customer.post("/s/order", data={"score": "1"}).status_code == 404
    assert save(admin, "publish", question="").status_code == 302
    assert customer.get("/s/order").status_code == 200
    survey = session.scalars(select(Survey)).one()
    assert (survey.version, survey.question) == (1, "How satisfied are you?")
    assert [version.number for version in session.scalars(select(SurveyVersion))] == [1]


def test_an_answer_keeps_the_version_that_its_page_showed(
    admin: FlaskClient, customer: FlaskClient, survey: Survey, session: Session
) -> None:
    token = form_token(customer.get("/s/order"))
    save(admin, "publish", question="Did it arrive?")
    assert customer.post("/s/order", data={"score": "1", "form_token": token}).status_code == 303
    fresh = form_token(customer.get("/s/order"))
    assert customer.post("/s/order", data={"score": "5", "form_token": fresh}).status_code == 303
    versions = session.scalars(select(Answer.survey_version).order_by(Answer.id)).all()
    assert versions == [1, 2]
    session.commit()
    page = words(admin.get("/surveys/order"))
    assert page.count("asked with “How was the delivery?” ( version 1 )") == 1


def test_an_invited_customer_who_changes_an_answer_answers_the_newer_words(
    admin: FlaskClient, customer: FlaskClient, survey: Survey, make: Make, session: Session
) -> None:
    _, token = make.invitation(survey)
    session.commit()
    customer.post(f"/i/{token}", data={"score": "1", "form_token": form_token(customer.get(f"/i/{token}"))})
    save(admin, "publish", question="Did it arrive?")
    customer.post(f"/i/{token}", data={"score": "2", "form_token": form_token(customer.get(f"/i/{token}"))})
    assert session.scalars(select(Answer.survey_version)).all() == [2]


def test_what_is_kept_apart_knows_its_version(customer: FlaskClient, survey: Survey, session: Session) -> None:
    token = form_token(customer.get("/s/order?score=1"))
    customer.post("/s/order", data={"score": "1", "form_token": token}, headers={"Sec-Purpose": "prefetch"})
    assert session.scalars(select(UnconfirmedAnswer.survey_version)).all() == [1]


def test_a_translation_is_written_beside_and_read_by_customers(
    admin: FlaskClient, customer: FlaskClient, survey: Survey, session: Session
) -> None:
    save(admin, tags="Late")
    page = words(admin.get("/surveys/order/edit?language=pl"))
    assert "2 texts missing in Polish" in page
    save(admin, "publish", tags="Late", beside="pl", **{"t_question": "Jak dostawa?", "tag:Late": "Za późno"})
    assert "Jak dostawa?" in words(customer.get("/s/order?lang=pl"))
    assert "How was the delivery?" in words(customer.get("/s/order?lang=de"))
    again(session, survey)
    assert survey.translations == {"pl": {"question": "Jak dostawa?", "tags": {"Late": "Za późno"}}}
    session.commit()
    shown = words(admin.get("/surveys/order"))
    assert "Texts missing in 8 languages" in shown
    assert "2 texts missing in German: question, tag “Late”" in shown
    # Another language beside it leaves this one alone.
    save(admin, "publish", tags="Late", beside="de", t_question="Wie war es?")
    again(session, survey)
    assert survey.translations["pl"]["tags"] == {"Late": "Za późno"}


@pytest.mark.parametrize("view", ["page", "thanks", "thanks_low", "mail"])
def test_the_preview_shows_what_is_typed_and_stores_nothing(
    admin: FlaskClient, survey: Survey, session: Session, view: str
) -> None:
    before = fingerprint(survey)
    data = {
        "question": "Typed?", "thanks": "Typed?", "thanks_low": "Typed low?", "scale": "csat", "language": "en",
        "beside": "de", "other": "de", "t_question": "Getippt?", "accent": "#7a1f5c",
    }  # fmt: skip
    for language in ("en", "de"):
        page = admin.post(f"/surveys/order/preview?view={view}&language={language}", data=data)
        assert page.status_code == 200
        wanted = {"page": {"en": "Typed?", "de": "Getippt?"}, "mail": {"en": "Typed?", "de": "Getippt?"}}
        assert wanted.get(view, {}).get(language, "Typed low?" if view == "thanks_low" else "Typed?") in page.text
        assert "7a1f5c" in page.text
        assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
    again(session, survey)
    assert fingerprint(survey) == before
    assert session.scalars(select(Answer.id)).all() == []


def test_a_preview_cannot_be_sent(admin: FlaskClient, customer: FlaskClient, survey: Survey, session: Session) -> None:
    page = admin.get("/surveys/order/preview")
    assert page.status_code == 200
    assert 'action="/surveys/order/preview' in page.text
    response = customer.post("/s/order", data={"score": "1", "form_token": form_token(page)})
    assert response.status_code == 400
    assert session.scalars(select(Answer.id)).all() == []


def test_a_colour_reaches_pages_by_a_stylesheet_that_browsers_keep(
    admin: FlaskClient, customer: FlaskClient, survey: Survey
) -> None:
    assert "theme.css" not in customer.get("/s/order").text
    admin.post("/surveys/order/theme", data={"accent": "#7A1F5C"})
    for path in ("/s/order", "/s/order/embed", "/s/order/thanks"):
        assert "/s/order/theme.css?v=7a1f5c" in customer.get(path).text
    sheet = customer.get("/s/order/theme.css?v=7a1f5c")
    assert sheet.mimetype == "text/css"
    assert "--accent:#7a1f5c" in sheet.text
    assert "immutable" in sheet.headers["Cache-Control"]
    assert "Set-Cookie" not in sheet.headers
    for wrong in ("ffd400", "red", "}body{", ""):
        assert customer.get("/s/order/theme.css", query_string={"v": wrong}).status_code == 404


def test_a_faint_colour_is_refused_with_one_that_passes(admin: FlaskClient, survey: Survey, session: Session) -> None:
    page = admin.post("/surveys/order/theme", data={"accent": "#ffd400"})
    assert page.status_code == 400
    assert "The nearest darker colour that passes is #" in words(page)
    assert 'value="#ffd400"' in page.text
    again(session, survey)
    assert survey.accent == ""


def test_a_logo_is_shown_with_the_name_of_the_company(
    admin: FlaskClient, customer: FlaskClient, survey: Survey
) -> None:
    admin.post("/surveys/order/theme", data={"accent": "", "logo": (io.BytesIO(PNG), "logo.exe")})
    found = re.search(
        r'<img class="logo" src="(/s/order/logo/[0-9a-f]{64})" alt="Fernhill Outdoor">', customer.get("/s/order").text
    )
    assert found
    picture = customer.get(found[1])
    assert (picture.data, picture.mimetype) == (PNG, "image/png")
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in picture.headers["Cache-Control"]
    assert customer.get("/s/order/logo/0").status_code == 404
    refused = admin.post("/surveys/order/theme", data={"logo": (io.BytesIO(b"<svg/>"), "logo.png")})
    assert refused.status_code == 400
    assert "PNG, JPEG, WebP or GIF" in words(refused)
    admin.post("/surveys/order/theme", data={"logo": (io.BytesIO(PNG + b"1"), "logo.png")})
    assert customer.get(found[1]).status_code == 404
    admin.post("/surveys/order/theme", data={"without_logo": "y"})
    assert 'class="logo"' not in customer.get("/s/order").text


def test_dates_are_those_of_the_installations_clock(
    admin: FlaskClient, customer: FlaskClient, survey: Survey, session: Session, app: Flask, settings: Any
) -> None:
    from dataclasses import replace

    own, sessions = app.extensions["feedback_loop"]
    app.extensions["feedback_loop"] = (replace(own, default_time_zone="Asia/Tokyo"), sessions)
    admin.post("/surveys/order/opening", data={"opens_at": "2040-03-01T08:00", "closes_at": ""})
    again(session, survey)
    assert survey.opens_at is not None
    assert survey.opens_at.isoformat() == "2040-02-29T23:00:00+00:00"
    session.commit()
    page = admin.get("/surveys/order/edit")
    assert "Times are those of Asia/Tokyo" in words(page)
    assert 'value="2040-03-01T08:00"' in page.text
    early = customer.get("/s/order")
    assert early.status_code == 404
    assert "from 1 March 2040 on" in words(early)
    wrong = admin.post("/surveys/order/opening", data={"opens_at": "2040-03-01T08:00", "closes_at": "2040-02-01T08:00"})
    assert wrong.status_code == 400
    assert "an end that comes after the beginning" in words(wrong)


def test_a_survey_that_has_ended_says_so(customer: FlaskClient, survey: Survey, session: Session) -> None:
    survey.closes_at = utc_now() - timedelta(minutes=1)
    session.commit()
    page = customer.get("/s/order")
    assert page.status_code == 410
    assert "This question is closed" in words(page)
    assert customer.post("/s/order/signs", data={"score": "1"}).status_code == 410


def test_a_full_survey_takes_no_new_answer_but_a_changed_one(
    customer: FlaskClient, survey: Survey, make: Make, session: Session
) -> None:
    survey.answer_limit = 2
    make.answer(survey=survey, score=1)
    _, mine = make.invitation(survey)
    _, other = make.invitation(survey)
    session.commit()
    customer.post(f"/i/{mine}", data={"score": "1", "form_token": form_token(customer.get(f"/i/{mine}"))})
    for path in ("/s/order", f"/i/{other}"):
        page = customer.get(path)
        assert page.status_code == 410
        assert "We have enough answers" in words(page)
    changed = {"score": "5", "form_token": form_token(customer.get(f"/i/{mine}"))}
    assert customer.post(f"/i/{mine}", data=changed).status_code == 303
    assert session.scalars(select(Answer.score).where(Answer.invitation_id.is_not(None))).all() == [5]


def test_a_survey_never_published_has_no_versions(admin: FlaskClient, make: Make, session: Session) -> None:
    make.survey("brand-new", is_published=False)
    session.commit()
    assert admin.get("/surveys/brand-new/versions").status_code == 200


def test_an_archived_survey_leaves_lists_and_comes_back(
    admin: FlaskClient, customer: FlaskClient, survey: Survey
) -> None:
    admin.post("/surveys/order/archive", data={"archived": "yes"})
    listed = admin.get("/surveys")
    assert "/surveys/order" not in links(listed)
    assert "Archived (1)" in words(listed)
    assert "/surveys/order" in links(admin.get("/surveys?archived=yes"))
    assert customer.get("/s/order").status_code == 410
    assert "This survey is archived." in words(admin.get("/surveys/order"))
    assert "/surveys/order" not in links(admin.get("/complaints"))
    admin.post("/surveys/order/archive", data={"archived": "no"})
    assert "/surveys/order" in links(admin.get("/surveys"))
    assert customer.get("/s/order").status_code == 200


def test_nobody_is_invited_to_what_they_could_not_answer(admin: FlaskClient, survey: Survey, session: Session) -> None:
    survey.closes_at = utc_now()
    session.commit()
    page = admin.post("/surveys/order/invitations", data={"email": "maya@example.com"})
    assert page.status_code == 409
    assert "This survey has ended." in words(page)


def test_only_admins_edit(client: FlaskClient, cast: Cast, survey: Survey) -> None:
    sign_in(client, cast.lena)
    assert client.get("/surveys/order/edit").status_code == 403
    assert client.get("/surveys/order/preview").status_code == 403
    assert client.get("/surveys/order/versions").status_code == 200
    for path in ("edit", "preview", "draft/discard", "theme", "opening", "archive"):
        assert client.post(f"/surveys/order/{path}").status_code == 403
