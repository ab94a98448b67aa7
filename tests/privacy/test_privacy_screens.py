"""The page on which admins show and erase what is kept about a customer."""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.privacy.models import Asked, DataRequest
from feedback_loop.responses.models import Answer, Customer
from tests.factories import Cast, Make, sign_in
from tests.pages import words

ADDRESS = "maya@example.com"
ASKED = {"address": ADDRESS, "why": "Asked by letter."}


@pytest.fixture
def maya(make: Make, session: Session) -> Customer:
    customer = make.customer("Maya Lind", ADDRESS)
    make.statement(make.complaint(), "It came wet.", customer=customer)
    session.commit()
    return customer


@pytest.mark.parametrize("name", ["lena", "omar", "vera"])
def test_only_admins_get_there(client: FlaskClient, cast: Cast, maya: Customer, name: str) -> None:
    person: User = getattr(cast, name)
    sign_in(client, person)
    assert "A customer’s data" not in client.get("/settings", follow_redirects=True).text
    assert client.get("/settings/customer").status_code == 403
    for path in ("/settings/customer", "/settings/customer/file", "/settings/customer/erase"):
        assert client.post(path, data=ASKED | {"asked": "yes", "sure": "y"}).status_code == 403


def test_what_is_kept_is_shown_and_comes_as_a_file(
    client: FlaskClient, cast: Cast, maya: Customer, session: Session
) -> None:
    sign_in(client, cast.ada)
    assert "Nobody has asked yet." in words(client.get("/settings/customer"))
    page = client.post("/settings/customer", data=ASKED)
    assert "It came wet." in words(page)
    assert "Ada" in words(page)
    file = client.post("/settings/customer/file", data=ASKED)
    assert file.headers["Cache-Control"] == "no-store"
    assert json.loads(file.data)["kept"]["answers"][0]["comment"] == "It came wet."
    rows = session.scalars(select(DataRequest)).all()
    assert [(row.kind, row.why, row.address_key) for row in rows] == [(Asked.ACCESS, "Asked by letter.", None)] * 2
    assert ADDRESS not in words(client.get("/settings/customer")), "the log names nobody"
    session.commit()


def test_a_bad_address_and_one_of_nobody_say_so(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ada)
    assert client.post("/settings/customer", data={"address": "maya", "why": ""}).status_code == 400
    page = client.post("/settings/customer", data=ASKED)
    assert "Nothing is kept about this address." in words(page)
    assert client.post("/settings/customer/file", data={}).status_code == 302
    assert client.post("/settings/customer/erase", data={}).status_code == 302
    erased = client.post("/settings/customer/erase", data=ASKED | {"asked": "yes", "sure": "y"}, follow_redirects=True)
    assert "Nothing is kept about this address." in words(erased)


def test_erasing_says_what_happens_and_needs_the_box(
    client: FlaskClient, cast: Cast, maya: Customer, session: Session
) -> None:
    sign_in(client, cast.ada)
    asked = client.post("/settings/customer/erase", data=ASKED)
    assert f"Erase what is kept about {ADDRESS}?" in words(asked)
    assert "There is a problem" not in words(asked)
    refused = client.post("/settings/customer/erase", data=ASKED | {"asked": "yes"})
    assert refused.status_code == 400
    assert "Tick the box." in words(refused)
    assert session.scalars(select(Answer)).all()
    session.commit()
    done = client.post("/settings/customer/erase", data=ASKED | {"asked": "yes", "sure": "y"}, follow_redirects=True)
    assert "Erased." in words(done)
    assert ADDRESS not in done.text
    assert session.scalars(select(Answer)).all() == []
    row = session.scalars(select(DataRequest)).one()
    assert (row.kind, row.by_id) == (Asked.ERASURE, cast.ada.id)
    session.commit()
