"""The pages of mailings: draft, review, progress, people."""

from __future__ import annotations

import csv
import io
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.responses.mailings.asking import ask_due
from feedback_loop.responses.mailings.models import Mailing, MailingState
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from tests.factories import Cast, Make, sign_in
from tests.pages import again, links, words

BASE = "/surveys/order-delivered/mailings"
LIST = "email,name\nmaya@example.com,Maya Lind\nben@example.com,Ben Okoro\nnot an address,Nobody\n"
FORM = {
    "name": "Orders of October",
    "why": "You ordered from us in October.",
    "weekdays": ["0", "1", "2", "3", "4", "5", "6"],
    "opens": "0",
    "closes": "24",
    "rate": "60",
    "reminders": "1",
    "remind_after_days": "5",
    "valid_days": "30",
    "ask_again_days": "30",
}


@pytest.fixture
def survey(make: Make, cast: Cast) -> Survey:
    survey = make.survey("order-delivered", ScaleName.CSAT)
    make.session.commit()
    return survey


@pytest.fixture
def admin(client: FlaskClient, cast: Cast) -> FlaskClient:
    sign_in(client, cast.ada)
    return client


def send(client: FlaskClient, content: str | bytes = LIST, **changes: object) -> TestResponse:
    content = content.encode() if isinstance(content, str) else content
    data = {**FORM, **changes, "file": (io.BytesIO(content), "people.csv")}
    return client.post(f"{BASE}/new", data=data, content_type="multipart/form-data")


def made(session: Session) -> Mailing:
    found = session.scalars(select(Mailing).order_by(Mailing.id.desc())).first()
    session.commit()
    assert found
    return found


def test_a_survey_leads_to_its_mailings_and_the_empty_list_to_the_first(admin: FlaskClient, survey: Survey) -> None:
    assert BASE in links(admin.get("/surveys/order-delivered"))
    page = admin.get(BASE)
    assert "No mailing yet." in words(page)
    assert f"{BASE}/new" in links(page)


def test_a_list_becomes_a_draft_whose_review_says_who_is_asked(
    admin: FlaskClient, survey: Survey, session: Session
) -> None:
    response = send(admin)
    assert response.status_code == 302
    page = admin.get(response.headers["Location"])
    assert "2 people will be asked; 1 will not." in words(page)
    assert "Bad address 1" in words(page)
    assert "Start: ask 2 people" in words(page)
    assert "Started now, the mails go out between" in words(page)
    assert "Very satisfied: http://localhost/i/preview?score=5" in words(page)
    assert session.scalars(select(Notification)).all() == []


def test_what_is_not_right_says_so_and_keeps_what_was_typed(admin: FlaskClient, survey: Survey) -> None:
    response = send(admin, rate="fast", closes="0", opens="12", weekdays=[], why="")
    text = response.get_data(as_text=True)
    assert response.status_code == 400
    assert "Enter a whole number from 1 to 1,000." in words(response)
    assert "Choose at least one day." in words(response)
    assert "Enter why you ask them." in words(response)
    assert "Choose the file again: browsers do not keep it." in words(response)
    assert 'value="Orders of October"' in text
    assert 'value="fast"' in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "people.csv is empty. The first line names the columns: email, name"),
        ("mail,name\nmaya@example.com,Maya\n", "people.csv has no column “email”."),
        ("email,name\n", "The list is empty: there is no line after the first."),
        ("email,page,page\na@example.com,1,2\n", "people.csv names a column twice: page."),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_leaves_no_draft(
    admin: FlaskClient, survey: Survey, session: Session, content: str, message: str
) -> None:
    response = send(admin, content)
    assert response.status_code == 400
    assert message in words(response)
    assert session.scalars(select(Mailing)).all() == []


def test_without_a_file_it_asks_for_one(admin: FlaskClient, survey: Survey) -> None:
    response = admin.post(f"{BASE}/new", data=FORM)
    assert response.status_code == 400
    assert "Choose a file." in words(response)


def test_a_long_list_is_taken_though_other_forms_may_not_be_so_long(
    admin: FlaskClient, survey: Survey, session: Session
) -> None:
    content = "email,note\n" + "".join(f"person{n}@example.com,{'x' * 300}\n" for n in range(5000))
    assert len(content) > 1024 * 1024
    with send(admin, content) as response:  # what was sent lies in a file that is to be closed
        assert response.status_code == 302
        response.request.input_stream.close()
    assert "5,000 people will be asked." in words(admin.get(f"{BASE}/{made(session).id}"))
    assert admin.post("/surveys/new", data={"name": "x" * 1024 * 1024}).status_code == 413


def test_while_settings_are_changed_the_page_says_when_mails_would_go_out(
    admin: FlaskClient, survey: Survey, session: Session
) -> None:
    page = admin.post(f"{BASE}/estimate", data=FORM)
    assert "Started now, the mails to 1,000 people would go out between" in words(page)
    assert "It must not take longer than a year" in words(admin.post(f"{BASE}/estimate", data={**FORM, "rate": "x"}))
    assert "It must not take" in words(admin.post(f"{BASE}/estimate", data={**FORM, "opens": "23", "closes": "4"}))
    send(admin)
    page = admin.post(f"{BASE}/estimate?mailing={made(session).id}", data=FORM)
    assert "the mails to 2 people would go out" in words(page)


def test_a_draft_can_be_changed(admin: FlaskClient, survey: Survey, session: Session) -> None:
    send(admin)
    mailing = made(session)
    page = admin.get(f"{BASE}/{mailing.id}/settings").get_data(as_text=True)
    assert 'value="Orders of October"' in page
    assert len(re.findall(r"checked", page)) == 7
    assert admin.post(f"{BASE}/{mailing.id}/settings", data={**FORM, "rate": "0"}).status_code == 400
    data = {**FORM, "weekdays": ["0", "2"], "rate": "7"}
    assert admin.post(f"{BASE}/{mailing.id}/settings", data=data).status_code == 302
    again(session, mailing)
    assert (mailing.weekdays, mailing.rate) == (0b101, 7)
    assert "Monday, Wednesday" in words(admin.get(f"{BASE}/{mailing.id}"))


def test_rejected_lines_are_downloaded_with_their_reasons_and_no_formula(
    admin: FlaskClient, survey: Survey, session: Session
) -> None:
    send(admin, "email,name\nmaya@example.com,Maya\n=cmd,Eve\nmaya@example.com,Maya again\n")
    response = admin.get(f"{BASE}/{made(session).id}/rejects.csv")
    rows = list(csv.reader(io.StringIO(response.get_data(as_text=True))))
    assert rows == [
        ["rejected_line", "rejected_because", "email", "name"],
        ["3", "email '=cmd' is not an address", "'=cmd", "Eve"],
        ["4", "line 2 asks the same person about the same", "maya@example.com", "Maya again"],
    ]
    assert "attachment" in response.headers["Content-Disposition"]


def test_starting_asks_as_many_as_the_button_said(admin: FlaskClient, survey: Survey, session: Session) -> None:
    send(admin)
    mailing = made(session)
    suppress(session, "ben@example.com", "by link", utc_now())
    session.commit()
    page = admin.post(f"{BASE}/{mailing.id}/start", data={"asked": "2"}, follow_redirects=True)
    assert "Something changed since you looked" in words(page)
    assert "Start: ask 1 person" in words(page)
    page = admin.post(f"{BASE}/{mailing.id}/start", data={"asked": "1"}, follow_redirects=True)
    assert "Started: 1 person will be asked." in words(page)
    again(session, mailing)
    assert mailing.state == MailingState.SENDING


def start(admin: FlaskClient, session: Session) -> Mailing:
    send(admin)
    mailing = made(session)
    admin.post(f"{BASE}/{mailing.id}/start", data={"asked": "2"})
    session.refresh(mailing)
    session.commit()
    return mailing


def test_progress_shows_where_people_stand_and_renews_itself_while_mails_go_out(
    admin: FlaskClient, survey: Survey, session: Session, sessions: Sessions, settings: Settings
) -> None:
    mailing = start(admin, session)
    page = admin.get(f"{BASE}/{mailing.id}")
    assert "Being sent. 0 of 2 people were asked, 0 answered." in words(page)
    assert "1 line of the list asks nobody" in words(page)
    assert 'hx-trigger="every 5s"' in page.get_data(as_text=True)
    assert '<noscript><meta http-equiv="refresh"' in page.get_data(as_text=True)
    ask_due(sessions, settings, utc_now())
    with sessions.begin() as own:
        for note in own.scalars(select(Notification)):
            note.state, note.sent_at = NotificationState.SENT, utc_now()
    page = admin.get(f"{BASE}/{mailing.id}")
    assert "All are asked; reminders are to come. 2 of 2 people were asked" in words(page)
    assert "The next reminder is looked at not before" in words(page)
    with sessions.begin() as own:
        own.get_one(Mailing, mailing.id).survey.state = SurveyState.CLOSED
    assert "Nothing goes out. This survey is paused." in words(admin.get(f"{BASE}/{mailing.id}"))


def test_stopping_is_one_button_and_said_to_be_so(admin: FlaskClient, survey: Survey, session: Session) -> None:
    mailing = start(admin, session)
    page = admin.post(f"{BASE}/{mailing.id}/stop", follow_redirects=True)
    assert "Stopped. 2 mails will not go out, and nobody is reminded." in words(page)
    assert "Stopped before this was sent. 2" in words(page)
    assert "hx-trigger" not in page.get_data(as_text=True)
    page = admin.post(f"{BASE}/{mailing.id}/stop", follow_redirects=True)
    assert "This mailing was stopped, so that is not possible." in words(page)


def test_a_draft_is_discarded_with_its_list(admin: FlaskClient, survey: Survey, session: Session) -> None:
    send(admin)
    mailing = made(session)
    page = admin.post(f"{BASE}/{mailing.id}/discard", follow_redirects=True)
    assert "The draft “Orders of October” and its list are gone." in words(page)
    assert admin.get(f"{BASE}/{mailing.id}").status_code == 404


def test_a_test_goes_to_whoever_asks_and_its_links_say_that_nothing_is_recorded(
    admin: FlaskClient, survey: Survey, session: Session, cast: Cast
) -> None:
    send(admin)
    mailing = made(session)
    page = admin.post(f"{BASE}/{mailing.id}/test", follow_redirects=True)
    assert f"A test is on its way to {cast.ada.email}." in words(page)
    (note,) = session.scalars(select(Notification)).all()
    session.commit()
    assert note.address == cast.ada.email
    page = admin.get(f"{BASE}/{mailing.id}/tried?score=4")
    assert "Nothing was recorded." in words(page)
    assert "“Satisfied”" in words(page)


def test_people_are_found_by_state_and_name_and_each_mail_can_be_read(
    admin: FlaskClient, survey: Survey, session: Session
) -> None:
    mailing = start(admin, session)
    page = admin.get(f"{BASE}/{mailing.id}/people")
    assert "Maya Lind maya@example.com Waits" in words(page)
    page = admin.get(f"{BASE}/{mailing.id}/people?q=ben")
    assert "Ben Okoro" in words(page)
    assert "Maya" not in words(page)
    (link,) = [link for link in links(page) if re.search(r"/people/\d+$", link)]
    page = admin.get(link)
    assert "Hello Ben Okoro, You ordered from us in October." in words(page)
    assert "Nobody in this list." in words(admin.get(f"{BASE}/{mailing.id}/people?state=answered"))


def test_a_mailing_is_found_under_its_own_survey_only(
    admin: FlaskClient, survey: Survey, session: Session, make: Make
) -> None:
    send(admin)
    make.survey("other")
    make.session.commit()
    assert admin.get(f"/surveys/other/mailings/{made(session).id}").status_code == 404
    assert admin.get("/surveys/none/mailings").status_code == 404


def test_a_closed_survey_takes_no_mailing(admin: FlaskClient, survey: Survey, make: Make) -> None:
    make.session.get_one(Survey, survey.id).state = SurveyState.CLOSED
    make.session.commit()
    assert "This survey is paused. Open it again first." in words(admin.get(BASE))
    assert "This survey is paused." in words(send(admin))


@pytest.mark.parametrize("verb", ["start", "stop", "discard", "test"])
def test_only_admins_send(
    app: Flask, admin: FlaskClient, survey: Survey, session: Session, cast: Cast, verb: str
) -> None:
    send(admin)
    mailing = made(session)
    viewer = app.test_client()
    sign_in(viewer, cast.lena)
    assert viewer.post(f"{BASE}/{mailing.id}/{verb}").status_code == 403
    assert viewer.get(f"{BASE}/{mailing.id}/rejects.csv").status_code == 403
    page = viewer.get(f"{BASE}/{mailing.id}")
    assert page.status_code == 200
    assert "Start" not in words(page).replace("Started", "")


def test_a_form_without_its_token_sends_nothing(
    app: Flask, admin: FlaskClient, survey: Survey, session: Session
) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    assert send(admin).status_code == 400
    assert session.scalars(select(Mailing)).all() == []


def test_the_list_shows_each_mailing_with_its_state(admin: FlaskClient, survey: Survey, session: Session) -> None:
    start(admin, session)
    send(admin, name="Draft of November")
    page = words(admin.get(BASE))
    assert "Orders of October 2 0 Being sent" in page
    assert "Draft of November 2 0 Draft" in page
