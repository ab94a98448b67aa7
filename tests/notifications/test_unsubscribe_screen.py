"""The page on which a person asks for no more mail."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.notifications.models import Suppression
from feedback_loop.notifications.service import token_of
from feedback_loop.notifications.views import masked
from feedback_loop.settings import Settings
from tests.factories import Make


@pytest.fixture
def path(make: Make, session: Session, settings: Settings) -> str:
    notification = make.notification(customer=make.customer("Maya Lind", "maya@example.com"))
    session.commit()
    return f"/u/{token_of(notification, settings)}"


def suppressed(session: Session) -> list[str]:
    session.rollback()
    return list(session.scalars(select(Suppression.address)))


def test_explains_and_changes_nothing(client: FlaskClient, path: str, session: Session) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert "m…@example.com" in page.text
    assert "maya@example.com" not in page.text
    assert f'action="{path}"' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert page.headers["Referrer-Policy"] == "strict-origin"
    assert "Set-Cookie" not in page.headers
    assert suppressed(session) == []


def test_the_button_stops_mail_and_says_so(client: FlaskClient, path: str, session: Session) -> None:
    sent = client.post(path)
    assert (sent.status_code, sent.location) == (303, path)
    assert "Done. No more mail." in client.get(path).text
    assert suppressed(session) == ["maya@example.com"]


def test_pressing_twice_changes_nothing_more(client: FlaskClient, path: str, session: Session) -> None:
    client.post(path)
    assert client.post(path).status_code == 303
    assert suppressed(session) == ["maya@example.com"]


def test_the_button_of_a_mail_program_needs_no_page_and_no_redirect(
    client: FlaskClient, path: str, session: Session
) -> None:
    for _ in range(2):
        sent = client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert sent.status_code == 200
    assert suppressed(session) == ["maya@example.com"]


@pytest.mark.parametrize("token", ["nothing", "%00", "preview"])
def test_an_unknown_link_changes_nothing(client: FlaskClient, session: Session, token: str) -> None:
    for page in (client.get(f"/u/{token}"), client.post(f"/u/{token}")):
        assert page.status_code == 404
        assert "Nothing has been changed" in page.text
    assert suppressed(session) == []


def test_an_address_is_masked() -> None:
    assert masked("maya@example.com") == "m…@example.com"
    assert masked("@example.com") == "…@example.com"
