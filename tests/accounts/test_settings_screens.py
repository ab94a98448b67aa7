from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, Team, User
from tests.factories import PASSWORD, Cast, sign_in
from tests.pages import again, words


def test_teams_show_their_people(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.lena)
    assert "Delivery Lena, Omar Open ones of Delivery" in words(client.get("/settings/teams"))


def test_a_team_is_added(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.lena)
    assert client.post("/settings/teams", data={"name": " Returns "}).status_code == 302
    assert session.scalar(select(Team.id).where(Team.name == "Returns"))


@pytest.mark.parametrize(
    ("name", "message"), [("", "Enter a name for the team."), ("delivery", "called delivery already")]
)
def test_a_bad_team_is_refused(client: FlaskClient, cast: Cast, name: str, message: str) -> None:
    sign_in(client, cast.lena)
    response = client.post("/settings/teams", data={"name": name})
    assert response.status_code == 400
    assert message in words(response)


def test_another_team_becomes_the_default(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.lena)
    client.post(f"/settings/teams/{cast.payments.id}/default")
    again(session, cast.payments)
    assert cast.payments.is_default
    assert client.post("/settings/teams/999/default").status_code == 404


@pytest.mark.parametrize("path", ["/settings/teams", "/settings/routing", "/settings/people", "/surveys/new"])
def test_owners_and_viewers_have_no_settings(app: Flask, cast: Cast, path: str) -> None:
    for user in (cast.omar, cast.vera):
        client = app.test_client()
        sign_in(client, user)
        response = client.get(path)
        assert response.status_code == 403
        assert "your role does not include this page" in words(response)


def test_people_are_for_admins(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.lena)
    assert client.get("/settings/people").status_code == 403


def test_a_person_is_added_with_a_password_shown_once(
    app: Flask, client: FlaskClient, cast: Cast, session: Session
) -> None:
    sign_in(client, cast.ada)
    typed = {"name": "Nia", "email": "Nia@fernhill.example", "role": "owner", "team": str(cast.delivery.id)}
    response = client.post("/settings/people", data=typed)
    found = re.search(r'<code class="secret">([^<]+)</code>', response.get_data(as_text=True))
    assert found
    assert found[1] not in client.get("/settings/people").get_data(as_text=True)
    user = session.scalars(select(User).where(User.email == "nia@fernhill.example")).one()
    session.commit()
    assert (user.role, user.team_id, user.must_change_password) == (Role.OWNER, cast.delivery.id, True)
    other = app.test_client()
    assert other.post("/sign-in", data={"email": user.email, "password": found[1]}).status_code == 302


def test_a_person_known_already_is_refused_and_what_was_typed_stays(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ada)
    response = client.post(
        "/settings/people", data={"name": "Omar Two", "email": cast.omar.email, "role": "lead", "team": ""}
    )
    assert response.status_code == 400
    assert "is known already" in words(response)
    assert 'value="Omar Two"' in response.get_data(as_text=True)
    assert '<option selected value="lead">' in response.get_data(as_text=True)


def test_an_empty_person_is_refused(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ada)
    response = client.post("/settings/people", data={"role": "owner", "team": ""})
    assert response.status_code == 400
    assert "Enter their name." in words(response)
    assert 'aria-describedby="email-hint email-error"' in response.get_data(as_text=True)


def test_a_person_is_deactivated_and_let_in_again(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.ada)
    client.post(f"/settings/people/{cast.omar.id}/active", data={"active": "no"})
    again(session, cast.omar)
    assert not cast.omar.is_active
    client.post(f"/settings/people/{cast.omar.id}/active", data={"active": "yes"})
    again(session, cast.omar)
    assert cast.omar.is_active


def test_admins_cannot_lock_themselves_out(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.ada)
    client.post(f"/settings/people/{cast.ada.id}/active", data={"active": "no"})
    again(session, cast.ada)
    assert cast.ada.is_active
    assert "You cannot deactivate yourself" in words(client.get("/settings/people"))


def test_a_forgotten_password_is_replaced_by_one_that_works_once(
    app: Flask, client: FlaskClient, cast: Cast, session: Session
) -> None:
    theirs = app.test_client()
    sign_in(theirs, cast.omar)
    sign_in(client, cast.ada)
    assert "Omar has a new password" in words(client.post(f"/settings/people/{cast.omar.id}/password"))
    again(session, cast.omar)
    assert cast.omar.must_change_password
    assert theirs.get("/").status_code == 302
    assert theirs.post("/sign-in", data={"email": cast.omar.email, "password": PASSWORD}).status_code == 400


def test_an_admin_gives_the_right_to_read_originals_and_takes_it_away(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    sign_in(client, cast.ada)
    path = f"/settings/people/{cast.vera.id}/originals"
    page = words(client.get("/settings/people"))
    assert "kept encrypted for 30 days and then destroyed" in page
    assert "you have it only if you give it to yourself" in page
    assert "Reads them" not in page
    page = words(client.post(path, data={"given": "yes"}, follow_redirects=True))
    assert "Vera may read original texts now. Each reading asks for a reason and is logged." in page
    assert "Reads them Take away the right to read originals from Vera" in page
    again(session, cast.vera)
    assert cast.vera.reads_raw
    page = words(client.post(path, data={"given": "no"}, follow_redirects=True))
    assert "Vera can no longer read original texts." in page
    again(session, cast.vera)
    assert not cast.vera.reads_raw


def test_an_admin_may_take_the_right_too_and_the_log_says_so(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ada)
    client.post(f"/settings/people/{cast.ada.id}/originals", data={"given": "yes"})
    assert "Ada gave it to themselves" in words(client.get("/settings/raw-readings"))


def test_the_right_is_given_by_admins_only_and_to_people_who_can_sign_in(
    app: Flask, client: FlaskClient, cast: Cast, session: Session
) -> None:
    lead = app.test_client()
    sign_in(lead, cast.lena)
    path = f"/settings/people/{cast.lena.id}/originals"
    assert lead.post(path, data={"given": "yes"}).status_code == 403
    sign_in(client, cast.ada)
    client.post(f"/settings/people/{cast.lena.id}/active", data={"active": "no"})
    assert "Lena cannot sign in" in words(client.post(path, data={"given": "yes"}, follow_redirects=True))
    assert client.post("/settings/people/999999/originals", data={"given": "yes"}).status_code == 404
    again(session, cast.lena)
    assert not cast.lena.reads_raw
