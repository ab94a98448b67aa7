from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import Closure, Outcome, Status
from feedback_loop.app import create_app
from feedback_loop.db import Sessions
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import suppress
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
    assert "3 people will be told; 3 will not (2 anonymous, 1 asked for no mail)." in page
    assert "Close and tell 3 people" in page
    assert "To Customer 0 What we did about what you told us" in page
    assert "(Your statement to customers will stand here.)" in page


def test_closing_tells_everybody_and_says_so(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(3, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    response = client.post(f"/actions/{item.id}/close", data=GOOD, follow_redirects=True)
    page = words(response)
    assert "Closed. 3 people will be told, beginning now." in page
    assert "● Closed, waiting" in page
    again(session, item)
    assert (item.status, item.owner_id) == (Status.CLOSED, cast.omar.id)
    closure = session.scalars(select(Closure)).one()
    assert (closure.outcome, closure.statement) == (Outcome.FIXED, "Parcels now carry two labels.")
    assert session.scalar(select(func.count()).select_from(Notification)) == 3


def test_with_a_hold_closing_says_until_when_it_can_be_undone(
    cast: Cast, make: Make, session: Session, settings: Settings, sessions: Sessions
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    app = create_app(replace(settings, hold_minutes=10), sessions)
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    sign_in(client, cast.omar)
    page = words(client.post(f"/actions/{item.id}/close", data=GOOD, follow_redirects=True))
    assert "1 person will be told, beginning in 10 minutes. Until then you can take it back." in page


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
    assert "Nobody can be told: they left no address, or asked for no mail." in page


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
