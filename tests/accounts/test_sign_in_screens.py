from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.accounts.views import local_path
from tests.factories import PASSWORD, Cast, Make, sign_in
from tests.pages import again, links, words


def test_signed_out_people_come_to_the_sign_in_and_back(client: FlaskClient, cast: Cast) -> None:
    response = client.get("/complaints?sort=newest")
    assert response.status_code == 302
    assert response.location == "/sign-in?next=/complaints?sort%3Dnewest"
    page = client.get(response.location).get_data(as_text=True)
    assert 'name="next" type="hidden" value="/complaints?sort=newest"' in page
    response = client.post(
        "/sign-in", data={"email": " Ada@Fernhill.example ", "password": PASSWORD, "next": "/complaints?sort=newest"}
    )
    assert response.location == "/complaints?sort=newest"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)", "", None],
)
def test_signing_in_never_leads_elsewhere(target: str | None) -> None:
    assert local_path(target) == "/"


def test_local_paths_are_kept() -> None:
    assert local_path("/actions?scope=mine") == "/actions?scope=mine"


@pytest.mark.parametrize(
    ("email", "password"), [("ada@fernhill.example", "wrong"), ("nobody@fernhill.example", PASSWORD)]
)
def test_wrong_sign_in_does_not_tell_which_part_was_wrong(
    client: FlaskClient, cast: Cast, email: str, password: str
) -> None:
    response = client.post("/sign-in", data={"email": email, "password": password})
    assert response.status_code == 400
    assert "Email and password do not fit together" in words(response)
    assert email in response.get_data(as_text=True)
    assert password not in response.get_data(as_text=True)


def test_an_empty_sign_in_names_each_field(client: FlaskClient) -> None:
    response = client.post("/sign-in", data={})
    assert response.status_code == 400
    assert "Enter your email address." in words(response)
    assert "#password" in links(response)


def test_signing_in_is_written_down(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.ada)
    again(session, cast.ada)
    assert cast.ada.last_signed_in_at is not None


def test_signing_out_ends_the_session(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ada)
    assert client.post("/sign-out").location == "/sign-in"
    assert client.get("/").status_code == 302


def test_signing_out_needs_a_post(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ada)
    assert client.get("/sign-out").status_code == 405
    assert client.get("/").status_code == 200


def test_inactive_people_cannot_sign_in(client: FlaskClient, make: Make, session: Session) -> None:
    user = make.user("Gone", is_active=False)
    session.commit()
    assert client.post("/sign-in", data={"email": user.email, "password": PASSWORD}).status_code == 400


def test_deactivating_ends_a_running_session(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.omar)
    cast.omar.is_active = False
    session.commit()
    assert client.get("/").status_code == 302


def test_a_one_time_password_opens_nothing_but_the_change(client: FlaskClient, make: Make, session: Session) -> None:
    user = make.user("Nia", must_change_password=True)
    session.commit()
    sign_in(client, user)
    assert client.get("/complaints").location == "/password"
    assert "Choose your own password" in words(client.get("/password"))
    new = {"current": PASSWORD, "new": "a longer secret", "again": "a longer secret"}
    assert client.post("/password", data=new).location == "/"
    assert client.get("/complaints").status_code == 200


def test_a_new_password_ends_other_sessions_but_not_this_one(app: Flask, cast: Cast, session: Session) -> None:
    here, elsewhere = app.test_client(), app.test_client()
    sign_in(here, cast.ada)
    sign_in(elsewhere, cast.ada)
    new = {"current": PASSWORD, "new": "a longer secret", "again": "a longer secret"}
    assert here.post("/password", data=new).status_code == 302
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"current": "wrong", "new": "a longer secret", "again": "a longer secret"}, "not your current password"),
        ({"current": PASSWORD, "new": "short", "again": "short"}, "at least 10 characters"),
        ({"current": PASSWORD, "new": "a longer secret", "again": "another one"}, "the same password twice"),
        ({"current": PASSWORD, "new": PASSWORD, "again": PASSWORD}, "differs from the current one"),
    ],
)
def test_a_bad_new_password_is_refused(
    client: FlaskClient, cast: Cast, session: Session, typed: dict[str, str], message: str
) -> None:
    before = cast.ada.session_epoch
    sign_in(client, cast.ada)
    response = client.post("/password", data=typed)
    assert response.status_code == 400
    assert message in words(response)
    assert session.scalar(select(User.session_epoch).where(User.id == cast.ada.id)) == before


def test_the_menu_depends_on_the_role(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.vera)
    assert "/settings/teams" not in links(client.get("/"))
    sign_in(client, cast.lena)
    assert "/settings/teams" in links(client.get("/"))


def test_error_pages_need_no_sign_in_and_set_no_cookie(client: FlaskClient) -> None:
    response = client.get("/no-such-page")
    assert response.status_code == 404
    assert "Nothing here" in words(response)
    assert "Set-Cookie" not in response.headers


def test_error_pages_stand_even_where_the_host_is_not_ours(client: FlaskClient) -> None:
    response = client.get("/complaints", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "This did not work" in words(response)
