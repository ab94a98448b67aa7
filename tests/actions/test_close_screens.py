from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.closing.templates import add_template
from feedback_loop.actions.models import Closure, Outcome, Status
from feedback_loop.app import create_app
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.pages import again, links, words

GOOD = {
    "outcome": "fixed",
    "done": "Changed the carrier.",
    "root_cause": "Labels smudged in the rain.",
    "statement": "Parcels now carry two labels.",
}


def test_the_form_says_who_will_be_told_and_shows_the_mail(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(3, cast.delivery)
    statement = make.statement(item.complaint, "Mine too.", customer=make.customer("No Mail"))
    assert statement.answer.customer is not None
    suppress(session, statement.answer.customer.email, "asked", make.now)
    make.statement(item.complaint, "Anonymous one.")
    make.statement(item.complaint, "Anonymous two.")
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.get(f"/actions/{item.id}/close"))
    assert "3 people will be told; 3 will not (2 anonymous, 1 gets no mail)." in page
    assert "Nothing is sent by closing." in page
    assert "To Customer 0 What we did about what you told us" in page
    assert "(Your statement to customers will stand here.)" in page


def test_closing_leads_to_the_review_and_sends_nothing(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(3, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    response = client.post(f"/actions/{item.id}/close", data=GOOD, follow_redirects=True)
    page = words(response)
    assert "Closed. Nothing is sent yet" in page
    assert response.request.path == f"/actions/{item.id}/run"
    assert "3 people will be told." in page
    again(session, item)
    assert (item.status, item.owner_id) == (Status.CLOSED, cast.omar.id)
    closure = session.scalars(select(Closure)).one()
    assert (closure.outcome, closure.statement) == (Outcome.FIXED, "Parcels now carry two labels.")
    assert session.scalar(select(func.count()).select_from(Notification)) == 0


def test_closing_what_only_anonymous_people_raised_tells_nobody(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(0, cast.delivery)
    make.statement(item.complaint)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.get(f"/actions/{item.id}/close"))
    assert "Nobody will be told; 1 will not (1 anonymous)." in page
    assert "so no mail goes out" in page
    page = words(client.post(f"/actions/{item.id}/close", data=GOOD, follow_redirects=True))
    assert "Nobody will be told." in page
    assert "No address: nobody can reach them 1" in page
    page = words(client.post(f"/actions/{item.id}/run/release", data={"seen": seen_on(client, item.id)},
                             follow_redirects=True))  # fmt: skip
    assert "Released. No mail goes out" in page


def seen_on(client: FlaskClient, item_id: int) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', client.get(f"/actions/{item_id}/run").text)
    assert found
    return found.group(1)


def test_declining_asks_for_the_reason_that_customers_read_only(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.post(f"/actions/{item.id}/close", data={"outcome": "declined"}))
    assert "Enter what customers are to read." in page
    assert "Enter the root cause." not in page
    data = {"outcome": "declined", "statement": "It would double the price."}
    assert client.post(f"/actions/{item.id}/close", data=data).status_code == 302


def test_a_date_in_the_future_needs_the_day_of_the_question_and_keeps_what_was_typed(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    day = (utc_now() + timedelta(days=9)).date()
    response = client.post(f"/actions/{item.id}/close", data={**GOOD, "effective_on": day.isoformat()})
    assert response.status_code == 400
    assert "enter the day on which customers are asked whether it helped" in words(response)
    assert "#ask_on" in links(response)
    assert f'value="{day.isoformat()}"' in response.text
    asked = (day + timedelta(days=3)).isoformat()
    response = client.post(f"/actions/{item.id}/close", data={**GOOD, "effective_on": day.isoformat(), "ask_on": asked})
    assert response.status_code == 302
    closure = session.scalars(select(Closure)).one()
    assert closure.ask_at is not None
    assert closure.ask_at.date().isoformat() == asked


def test_a_fix_for_one_page_needs_to_say_which(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.post(f"/actions/{item.id}/close", data={**GOOD, "segment": "page"}))
    assert page.count("Enter which page it is effective for.") == 2
    client.post(f"/actions/{item.id}/close", data={**GOOD, "segment": "page", "segment_value": "/checkout"})
    page = words(client.get(f"/actions/{item.id}/run"))
    assert "Nobody will be told; 1 will not." in page
    assert "Not told: the change does not hold for what they told of 1" in page


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "Enter the complaint at which the work goes on, such as C-42."),
        ("the other", "Enter the complaint at which the work goes on, such as C-42."),
        ("C-999999", "There is no action item of a complaint C-999999."),
        ("itself", "An action item is no duplicate of itself."),
    ],
)
def test_a_duplicate_of_nothing_or_of_itself_is_refused(
    client: FlaskClient, cast: Cast, make: Make, session: Session, typed: str, message: str
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    number = f"C-{item.complaint_id}" if typed == "itself" else typed
    response = client.post(f"/actions/{item.id}/close", data={"outcome": "duplicate", "duplicate_of": number})
    assert response.status_code == 400
    assert message in words(response)
    assert "#duplicate_of" in links(response)


def test_a_duplicate_is_closed_and_tells_nobody(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item, other = make.raised_item(1, cast.delivery), make.raised_item(1, cast.payments, "Box lost")
    session.commit()
    sign_in(client, cast.omar)
    data = {"outcome": "duplicate", "duplicate_of": f"c-{other.complaint_id}"}
    page = words(client.post(f"/actions/{item.id}/close", data=data, follow_redirects=True))
    assert "Closed as a duplicate. Its people are told when the other one is closed." in page
    closure = session.scalars(select(Closure)).one()
    assert closure.duplicate_of_id == other.id
    session.commit()
    assert client.get(f"/actions/{item.id}/run").status_code == 404


def test_a_template_begins_the_statement_and_loses_nothing(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    own = add_template(session, "Carrier", "We changed the carrier.", Outcome.FIXED, cast.delivery)
    add_template(session, "Refund", "We pay back.", Outcome.FIXED, cast.payments)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.get(f"/actions/{item.id}/close"))
    assert "Carrier (fixed)" in page
    assert "Refund" not in page, "another team's"
    data = {"statement": "Two labels.", "template": str(own.id), "begin": "1"}
    response = client.post(f"/actions/{item.id}/close", data=data)
    assert response.status_code == 200
    assert "We changed the carrier.\n\nTwo labels." in response.text.replace("\r", "")


def test_advice_on_words_stands_beside_the_statement_and_bars_nothing(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    for path, data in ((f"/actions/{item.id}/close", {"preview": "1"}), (f"/actions/{item.id}/close/preview", {})):
        page = words(client.post(path, data={"statement": "Your ticket will be fixed soon.", **data}))
        assert "“ticket” A word of ours. Say what you told us." in page
        assert "A promise without a date." in page
    response = client.post(f"/actions/{item.id}/close", data={**GOOD, "statement": "Your ticket is closed."})
    assert response.status_code == 302


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("outcome", "Choose how it ends."),
        ("done", "Enter what was done, or why nothing was."),
        ("root_cause", "Enter the root cause."),
        ("statement", "Enter what customers are to read."),
    ],
)
def test_closing_needs_every_field_and_keeps_what_was_typed(
    client: FlaskClient, cast: Cast, make: Make, session: Session, field: str, message: str
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    response = client.post(f"/actions/{item.id}/close", data={k: v for k, v in GOOD.items() if k != field})
    assert response.status_code == 400
    assert words(response).count(message) == 2
    assert f"#{field}{'-0' if field == 'outcome' else ''}" in links(response)
    for name in {"done", "root_cause", "statement"} - {field}:
        assert GOOD[name] in words(response)
    again(session, item)
    assert item.status == Status.NEW


def test_the_preview_button_shows_the_mail_and_closes_nothing(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    response = client.post(f"/actions/{item.id}/close", data={"statement": "Two labels <now>.", "preview": "1"})
    assert response.status_code == 200
    page = words(response)
    assert "Enter what was done" not in page
    assert page.count("Two labels <now>.") == 2  # in the field and in the mail
    again(session, item)
    assert item.status == Status.NEW


def test_the_live_preview_is_the_mail_alone(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    response = client.post(
        f"/actions/{item.id}/close/preview", data={"statement": "Two labels.", "outcome": "declined"}
    )
    assert response.status_code == 200
    assert "<html" not in response.get_data(as_text=True)
    assert "Two labels." in words(response)
    assert "Hello Customer 0" in words(response)


def test_a_closed_item_is_not_closed_twice(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    make.closure(item, cast.omar)
    session.commit()
    sign_in(client, cast.omar)
    for response in (
        client.get(f"/actions/{item.id}/close", follow_redirects=True),
        client.post(f"/actions/{item.id}/close", data=GOOD, follow_redirects=True),
    ):
        assert "waiting for the verdict, so it cannot be closed" in words(response)
    assert session.scalar(select(func.count()).select_from(Closure)) == 1


def test_forms_without_their_token_are_refused(
    cast: Cast, make: Make, session: Session, settings: Settings, sessions: Sessions
) -> None:
    app = create_app(settings, sessions)
    client = app.test_client()
    response = client.post("/sign-in", data={"email": cast.ada.email, "password": "x"})
    assert response.status_code == 400
    assert "The page had been open for too long." in words(response)
