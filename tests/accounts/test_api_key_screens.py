from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import ApiKey, Scope
from feedback_loop.clock import utc_now
from tests.factories import Cast, Make, sign_in
from tests.pages import again, words

PATH = "/settings/api-keys"


def test_a_key_is_made_and_shown_once(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.ada)
    assert "No other system has a key." in words(client.get(PATH))
    last = utc_now().date() + timedelta(days=30)
    typed = {"name": " Help desk ", "scopes": ["read", "answers:write"], "last_day": last.isoformat()}
    response = client.post(PATH, data=typed)
    found = re.search(r'<code class="secret">(fl_[0-9a-f]+)</code>', response.get_data(as_text=True))
    assert found
    page = client.get(PATH)
    assert found[1] not in page.get_data(as_text=True)
    assert f"{found[1][:11]}…" in words(page)
    assert "answers:write, read" in words(page)
    assert "by Ada" in words(page)
    assert "never" in words(page)
    key = session.scalars(select(ApiKey)).one()
    session.commit()
    assert (key.name, key.created_by_id, key.scopes) == ("Help desk", cast.ada.id, ["answers:write", "read"])
    day = last + timedelta(days=1)
    assert key.expires_at == datetime(day.year, day.month, day.day, tzinfo=UTC), "the last day counts as a whole"
    assert client.get("/api/v1/surveys", headers={"Authorization": f"Bearer {found[1]}"}).status_code == 200


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"name": ""}, "Enter what the key is for."),
        ({"name": "x" * 81}, "Enter at most 80 characters."),
        ({"scopes": []}, "Choose at least one thing the key may do."),
        ({"scopes": ["everything"]}, "not"),
        ({"last_day": "next week"}, "Enter a day such as 2027-03-31, or leave this empty."),
        ({"last_day": "2020-01-01"}, "Enter today or a later day"),
        ({"last_day": "9999-12-31"}, "at most ten years ahead"),
    ],
)
def test_a_bad_key_is_refused_and_what_was_typed_stays(
    client: FlaskClient, cast: Cast, session: Session, typed: dict[str, object], message: str
) -> None:
    sign_in(client, cast.ada)
    good: dict[str, object] = {"name": "Help desk", "scopes": ["read"], "last_day": ""}
    response = client.post(PATH, data=good | typed)
    assert response.status_code == 400
    assert message in words(response)
    body = response.get_data(as_text=True)
    if "name" not in typed:
        assert 'value="Help desk"' in body
    if "scopes" not in typed:
        assert re.search(r"<input[^>]*checked[^>]*value=\"read\"", body)
    if typed.get("last_day"):
        assert f'value="{typed["last_day"]}"' in body
    assert session.scalars(select(ApiKey)).all() == []


def test_a_revoked_key_opens_nothing_and_stays_in_the_log(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    key, secret = make.api_key(Scope.READ, by=cast.lena)
    session.commit()
    sign_in(client, cast.ada)
    page = words(client.post(f"{PATH}/{key.id}/revoke", follow_redirects=True))
    assert "The key Help desk is revoked. Whatever used it is refused from now on." in page
    assert "Revoked For Key Made Revoked Last used Help desk" in page
    assert "by Lena" in page
    assert "by Ada" in page
    again(session, key)
    assert key.revoked_by_id == cast.ada.id
    assert client.get("/api/v1/surveys", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    assert client.post(f"{PATH}/999999/revoke").status_code == 404


def test_a_key_whose_time_is_over_says_so(client: FlaskClient, cast: Cast, make: Make) -> None:
    now = utc_now()
    make.api_key(by=cast.ada, now=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    make.session.commit()
    sign_in(client, cast.ada)
    assert "UTC (over)" in words(client.get(PATH))


def test_keys_are_for_admins(app: Flask, cast: Cast) -> None:
    for user in (cast.lena, cast.omar, cast.vera):
        client = app.test_client()
        sign_in(client, user)
        assert client.get(PATH).status_code == 403
        assert client.post(PATH, data={"name": "Shop", "scopes": ["read"]}).status_code == 403
        assert client.post(f"{PATH}/1/revoke").status_code == 403
