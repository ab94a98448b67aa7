"""Every error is a page that says what to do."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from feedback_loop.actions import service
from tests.factories import Cast, Make, sign_in


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OperationalError("UPDATE", {}, Exception("locked")), 503, "Nothing was saved; please try again in a minute."),
        (RuntimeError("no such thing"), 500, "It has been written down"),
    ],
)
def test_an_error_in_a_verb_is_a_page(
    client: FlaskClient, make: Make, cast: Cast, monkeypatch: pytest.MonkeyPatch,
    error: Exception, status: int, words: str,
) -> None:  # fmt: skip
    item = make.item(team=cast.delivery)
    make.session.commit()
    sign_in(client, cast.omar)

    def break_off(*_args: object) -> None:
        raise error

    monkeypatch.setattr(service, "take_on", break_off)
    response = client.post(f"/actions/{item.id}/take-on")
    assert response.status_code == status
    assert words in response.get_data(as_text=True)
    assert "RuntimeError" not in response.get_data(as_text=True)


@pytest.mark.parametrize(
    "path", ["/nothing", "/s/nothing", "/i/nothing", "/f/nothing", "/u/nothing", "/complaints/999"]
)
def test_an_unknown_address_is_a_helpful_page(client: FlaskClient, cast: Cast, path: str) -> None:
    sign_in(client, cast.vera)
    response = client.get(path)
    assert response.status_code == 404
    assert "<h1" in response.get_data(as_text=True)


@pytest.mark.parametrize(
    "path", ["/complaints/{}", "/actions/{}", "/complaints?team={}", "/actions?scope=all&owner={}"]
)
def test_a_number_that_no_row_can_have_is_not_found(client: FlaskClient, cast: Cast, path: str) -> None:
    sign_in(client, cast.vera)
    assert client.get(path.format(10**20)).status_code in (200, 404)


def test_a_crooked_way_back_leads_home(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.vera)
    assert client.get("/sign-in?next=//[").headers["Location"] == "/"


def test_a_foreign_host_name_is_refused(client: FlaskClient) -> None:
    assert client.get("/sign-in", headers={"Host": "evil.example"}).status_code == 400
