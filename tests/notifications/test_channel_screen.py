"""Settings, Mail: whether mails go out, for admins; and where a message stands."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.notifications import breaker
from feedback_loop.notifications.models import Channel, Notification, NotificationState
from feedback_loop.notifications.service import drain_outbox
from feedback_loop.notifications.standing import Standing, standing, stands
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.pages import words


def text_at(client: FlaskClient, path: str = "/settings/mail") -> str:
    response = client.get(path)
    assert response.status_code == 200
    return words(response)


def test_a_new_installation_says_what_to_do(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ada)
    assert "No mail has gone out yet. Send yourself a test." in text_at(client)


def test_a_test_goes_the_way_of_all_mails_and_says_what_became_of_it(
    client: FlaskClient, cast: Cast, sessions: Sessions, settings: Settings
) -> None:
    from dataclasses import replace

    sign_in(client, cast.ada)
    assert client.post("/settings/mail/test").status_code == 302
    assert "waits for the worker" in text_at(client)
    demo = replace(settings, mail_transport="mailbox")
    assert drain_outbox(sessions, demo, utc_now).sent == 1
    page = text_at(client)
    assert "handed to the mail server" in page
    assert "Mails go out. The last one did just now." in page


def test_a_channel_that_is_down_says_since_when_why_and_can_be_tried_now(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    now = utc_now()
    breaker.failed(session, "535 5.7.8 <b>bad</b> credentials", now - timedelta(seconds=20), tried=False)
    session.commit()
    sign_in(client, cast.ada)
    page = text_at(client)
    assert "No mail goes out since" in page
    assert "535 5.7.8 <b>bad</b> credentials" in page
    assert client.post("/settings/mail/try").status_code == 302
    session.expire_all()
    row = session.get_one(Channel, breaker.MAIL)
    assert row.next_at is not None
    assert row.next_at <= utc_now()
    assert row.failures == 1, "only a mail that passes says that it works"


def test_mails_that_are_due_and_stay_say_that_no_worker_runs(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    make.notification(next_at=utc_now() - timedelta(hours=1))
    session.commit()
    sign_in(client, cast.ada)
    assert "Is a worker running?" in text_at(client)


def test_what_waits_fails_comes_back_or_may_have_come_twice_is_counted(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    now = utc_now()
    made: list[dict[str, object]] = [
        {},
        {"next_at": now + timedelta(hours=1)},
        {"attempts": 2, "doubtful": 1},
        {"state": NotificationState.FAILED, "reason": "552 full"},
        {"state": NotificationState.FAILED, "reason": "552 full", "created_at": now - timedelta(days=40)},
        {"state": NotificationState.BOUNCED, "sent_at": now},
    ]
    for number, values in enumerate(made):
        make.notification(f"closure:{number}", **({"created_at": now, "next_at": now} | values))
    session.commit()
    sign_in(client, cast.ada)
    page = text_at(client)
    for phrase in ("Due 1", "Planned 1", "Trying again 1", "Failed 1", "Came back 1", "Possible duplicates 1"):
        assert phrase in page


@pytest.mark.parametrize("who", ["lena", "omar", "vera"])
def test_only_admins_see_and_change_it(client: FlaskClient, cast: Cast, who: str) -> None:
    sign_in(client, getattr(cast, who))
    assert client.get("/settings/mail").status_code == 403
    assert client.post("/settings/mail/test").status_code == 403
    assert client.post("/settings/mail/try").status_code == 403


def test_a_filter_finds_exactly_what_stands_there(make: Make, session: Session, now: datetime) -> None:
    later, before = now + timedelta(minutes=1), now - timedelta(minutes=1)
    pending, given_up = NotificationState.PENDING, NotificationState.FAILED
    made: list[tuple[dict[str, object], Standing]] = [
        ({"state": pending}, Standing.PENDING),
        ({"state": pending, "claimed_until": later, "attempts": 1}, Standing.SENDING),
        ({"state": pending, "claimed_until": later, "attempts": 3}, Standing.SENDING),
        ({"state": pending, "claimed_until": before, "attempts": 1}, Standing.RETRY),  # its worker died
        ({"state": pending, "attempts": 1}, Standing.RETRY),
        ({"state": NotificationState.SENT, "sent_at": now}, Standing.SENT),
        ({"state": given_up, "reason": "552", "claimed_until": later}, Standing.FAILED),
        ({"state": NotificationState.SKIPPED, "reason": "asked"}, Standing.SKIPPED),
        ({"state": NotificationState.BOUNCED, "sent_at": now}, Standing.BOUNCED),
    ]
    rows = [(make.notification(f"closure:{number}", **values), where) for number, (values, where) in enumerate(made)]
    session.commit()
    for row, where in rows:
        assert standing(row, now) == where
        found = [each for each in Standing if row in session.scalars(select(Notification).where(*stands(each, now)))]
        assert found == [where]
