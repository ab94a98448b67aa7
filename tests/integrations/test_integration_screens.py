"""Settings of webhooks and trackers, and issues asked for from an item."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.actions.models import Status
from feedback_loop.clock import utc_now
from feedback_loop.integrations.models import Delivery, DeliveryState, Endpoint, IssueState, Tracker, TrackerIssue
from feedback_loop.pipeline import Context
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.integrations.fakes import TOKEN, GitHubFake
from tests.integrations.servers import Server, serving
from tests.pages import again, counted, links, words

WEBHOOKS, TRACKERS = "/settings/webhooks", "/settings/trackers"


def typed(url: str, /, **changes: object) -> dict[str, object]:
    return {
        "name": "Warehouse",
        "kind": "webhook",
        "url": url,
        "events": ["complaint.created", "item.closed"],
    } | changes


def described(url: str, /, **changes: object) -> dict[str, object]:
    values = {
        "name": "The shop", "kind": "github", "base_url": url, "project": "fernhill/shop", "account": "",
        "issue_type": "", "token": TOKEN, "team": "", "comments_back": "y",
    }  # fmt: skip
    return values | changes


@pytest.fixture
def live(settings: Settings, context: Context) -> Context:
    """A worker whose clock is the one of the pages."""
    return Context(settings, context.sessions)


def test_a_webhook_is_added_tried_paused_and_taken_away(
    client: FlaskClient, cast: Cast, session: Session, other: Server, live: Context
) -> None:
    sign_in(client, cast.ada)
    assert "Nobody outside hears of anything." in words(client.get(WEBHOOKS))
    response = client.post(WEBHOOKS, data=typed(f"{other.url}/hook"))
    found = re.search(r'<code class="secret">(whsec_[^<]+)</code>', response.get_data(as_text=True))
    assert found
    endpoint = session.scalars(select(Endpoint)).one()
    session.commit()
    path = f"{WEBHOOKS}/{endpoint.id}"
    page = client.get(path)
    assert found[1] not in page.get_data(as_text=True)
    assert "Added" in words(page)
    assert "On." in words(page)
    client.post(f"{path}/test")
    assert pipeline.call_out(live) == 1
    page = client.get(path)
    assert "webhook.test" in words(page)
    assert "Arrived" in words(page)
    delivery = session.scalars(select(Delivery)).one()
    session.commit()
    page = client.get(f"{path}/deliveries/{delivery.id}")
    assert "A test from Fernhill Outdoor. Nothing has happened." in words(page)
    assert "ok" in words(page)
    client.post(f"{path}/deliveries/{delivery.id}/replay")
    assert pipeline.call_out(live) == 1
    response = client.post(f"{path}/secret")
    assert "The old secret signs as well for 24 hours" in words(response)
    assert found[1] not in response.get_data(as_text=True)
    client.post(f"{path}/paused", data={"paused": "yes"})
    assert "Paused since" in words(client.get(path))
    assert "Turn it on first" in words(client.post(f"{path}/test", follow_redirects=True))
    client.post(f"{path}/paused", data={"paused": "no"})
    client.post(path, data={"name": "Lake", "events": ["verdict.drawn"]})
    again(session, endpoint)
    assert (endpoint.name, endpoint.events) == ("Lake", ["verdict.drawn"])
    client.post(f"{path}/delete")
    assert session.scalars(select(Endpoint)).all() == []
    assert session.scalars(select(Delivery)).all() == []
    session.commit()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "Enter a name."),
        ({"url": ""}, "Enter the address."),
        ({"url": "hooks.example/x"}, "Give a web address that begins with https://"),
        ({"url": "http://10.0.0.1/"}, "private network"),
        ({"events": []}, "Choose at least one event."),
        ({"kind": "pigeon"}, "Not a valid choice"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_said_and_nothing_typed_is_lost(
    client: FlaskClient, cast: Cast, session: Session, changes: dict[str, object], message: str
) -> None:
    sign_in(client, cast.ada)
    response = client.post(WEBHOOKS, data=typed("https://hooks.example/x", **changes))
    assert response.status_code == 400
    assert message.lower() in words(response).lower()
    if "name" not in changes:
        assert 'value="Warehouse"' in response.get_data(as_text=True)
    assert session.scalars(select(Endpoint)).all() == []
    session.commit()


def test_what_failed_is_shown_with_the_reason_and_sent_again(
    client: FlaskClient, cast: Cast, make: Make, session: Session, other: Server, live: Context
) -> None:
    sign_in(client, cast.ada)
    other.answer = lambda _asked: (500, {}, b"Traceback <b>")
    client.post(WEBHOOKS, data=typed(other.url))
    make.now = utc_now()
    make.complaint()
    session.commit()
    pipeline.find_events(live)
    pipeline.call_out(live)
    endpoint = session.scalars(select(Endpoint)).one()
    row = session.scalars(select(Delivery)).one()
    row.state, row.created_at = DeliveryState.FAILED, utc_now() - timedelta(days=4)
    session.commit()
    path = f"{WEBHOOKS}/{endpoint.id}"
    page = client.get(f"{path}?state=failed")
    assert "It answered 500." in words(page)
    assert "Fails since" in words(page)
    assert "Traceback &lt;b&gt;" in client.get(f"{path}/deliveries/{row.id}").get_data(as_text=True)
    client.post(f"{path}/paused", data={"paused": "no"})
    response = client.post(f"{path}/replay", data={"days": "7"}, follow_redirects=True)
    assert "1 delivery will be sent again." in words(response)
    other.answer = lambda _asked: (200, {}, b"")
    assert pipeline.call_out(live) == 1


def test_only_admins_set_up_what_goes_outside(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.lena)
    for path in (WEBHOOKS, TRACKERS, f"{WEBHOOKS}/1", f"{TRACKERS}/1"):
        assert client.get(path).status_code == 403
    assert "Webhooks" not in words(client.get("/settings/teams"))
    client.post("/sign-out")
    sign_in(client, cast.ada)
    for path in (f"{WEBHOOKS}/999", f"{TRACKERS}/999", f"{WEBHOOKS}/999/deliveries/1"):
        assert client.get(path).status_code == 404


def test_a_tracker_is_added_and_an_issue_made_from_an_item(
    client: FlaskClient, cast: Cast, make: Make, session: Session, settings: Settings, live: Context
) -> None:
    fake = GitHubFake()
    with serving(Server(fake)) as server:
        sign_in(client, cast.ada)
        assert "There is no tracker yet." in words(client.get(TRACKERS))
        response = client.post(TRACKERS, data=described(server.url), follow_redirects=True)
        assert "/hooks/" in response.get_data(as_text=True)
        assert TOKEN not in response.get_data(as_text=True)
        item = make.raised_item(2, cast.delivery)
        session.commit()
        client.post("/sign-out")
        sign_in(client, cast.omar)
        assert f"/actions/{item.id}/issue" in links(client.get(f"/actions/{item.id}"))
        page = client.get(f"/actions/{item.id}/issue").get_data(as_text=True)
        marker = re.search(r'name="marker"[^>]*value="([0-9a-f]{32})"', page)
        assert marker
        assert "Said by 2 customers." in page
        tracker = session.scalars(select(Tracker)).one()
        session.commit()
        form = {"tracker": str(tracker.id), "title": "Parcels get lost", "body": "As said.", "marker": marker[1]}
        for _ in range(2):
            assert client.post(f"/actions/{item.id}/issue", data=form).status_code == 302
        assert "Being made in The shop" in words(client.get(f"/actions/{item.id}"))
        pipeline.trackers(live)
        assert [each["title"] for each in fake.issues] == ["Parcels get lost"]
        assert "The shop 1: open" in words(client.get(f"/actions/{item.id}"))
        assert "There is an issue for this item already" in words(client.get(f"/actions/{item.id}/issue"))
        fake.close()
        row = session.scalars(select(TrackerIssue)).one()
        row.next_at = utc_now()
        session.commit()
        pipeline.trackers(live)
        client.post(f"/actions/{item.id}/take-on")
        page = client.get(f"/actions/{item.id}")
        assert "closed there" in words(page)
        close = next(each for each in links(page) if "done=" in each)
        assert "Done with https://github.example/fernhill/shop/issues/1" in client.get(close).get_data(as_text=True)
        again(session, item)
        assert item.status == Status.IN_PROGRESS


def test_an_issue_that_failed_can_be_tried_again(
    client: FlaskClient, cast: Cast, make: Make, session: Session, live: Context
) -> None:
    fake = GitHubFake()
    with serving(Server(fake)) as server:
        sign_in(client, cast.ada)
        client.post(TRACKERS, data=described(server.url, token="wrong"))
        item = make.raised_item(1, cast.delivery)
        session.commit()
        tracker = session.scalars(select(Tracker)).one()
        session.commit()
        form = {"tracker": str(tracker.id), "title": "Lost", "body": "Lost.", "marker": "a" * 32}
        client.post(f"/actions/{item.id}/issue", data=form)
        pipeline.trackers(live)
        page = client.get(f"/actions/{item.id}")
        assert "does not know the token (401)" in words(page)
        client.post(f"{TRACKERS}/{tracker.id}", data=described(server.url))
        again_path = next(each for each in links(page) if each.endswith("/again"))
        client.post(again_path)
        pipeline.trackers(live)
        assert session.scalars(select(TrackerIssue)).one().state == IssueState.DONE
        session.commit()
        response = client.post(again_path, follow_redirects=True)
        assert "This issue did not fail." in words(response)


def test_trackers_of_a_team_are_offered_to_that_team_and_only_those_who_work_on_an_item_ask(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    sign_in(client, cast.ada)
    client.post(TRACKERS, data=described("https://git.example", team=str(cast.payments.id)))
    item = make.raised_item(1, cast.delivery)
    theirs = make.raised_item(1, cast.payments, "Card declined")
    session.commit()
    assert "No tracker takes issues for Delivery." in words(client.get(f"/actions/{item.id}/issue"))
    client.post("/sign-out")
    sign_in(client, cast.omar)
    assert client.get(f"/actions/{theirs.id}/issue").status_code == 403
    assert f"/actions/{theirs.id}/issue" not in links(client.get(f"/actions/{theirs.id}"))
    tracker = session.scalars(select(Tracker)).one()
    session.commit()
    form = {"tracker": str(tracker.id), "title": "x", "body": "y", "marker": "a" * 32}
    assert client.post(f"/actions/{item.id}/issue", data=form).status_code == 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"project": "shop"}, "Enter owner/repository"),
        ({"token": ""}, "Enter a token."),
        ({"base_url": "http://192.168.1.1"}, "private network"),
        ({"kind": "jira", "base_url": "", "project": "SHOP"}, "Enter the address of your Jira"),
    ],
)
def test_what_is_wrong_with_a_tracker_is_said(
    client: FlaskClient, cast: Cast, changes: dict[str, object], message: str
) -> None:
    sign_in(client, cast.ada)
    response = client.post(TRACKERS, data=described("https://git.example", **changes))
    assert response.status_code == 400
    assert message in words(response)
    assert "The shop" in response.get_data(as_text=True)


def test_a_bad_change_of_a_tracker_leaves_it_as_it_was(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.ada)
    client.post(TRACKERS, data=described("https://git.example"))
    tracker = session.scalars(select(Tracker)).one()
    session.commit()
    path = f"{TRACKERS}/{tracker.id}"
    response = client.post(path, data=described("https://evil.example", token="", name="Changed"))
    assert response.status_code == 400
    assert "Enter the token again" in words(response)
    again(session, tracker)
    assert (tracker.name, tracker.base_url) == ("The shop", "https://git.example")
    client.post(path, data=described("https://git.example", token="", name="Changed", comments_back=""))
    again(session, tracker)
    assert (tracker.name, tracker.comments_back) == ("Changed", False)
    client.post(f"{path}/archived", data={"archived": "yes"})
    assert "Not used since" in words(client.get(TRACKERS))
    client.post(f"{path}/archived", data={"archived": "no"})
    assert "Not used since" not in words(client.get(TRACKERS))


def test_the_log_of_a_busy_webhook_asks_few_questions(
    client: FlaskClient, cast: Cast, session: Session, engine: Engine
) -> None:
    sign_in(client, cast.ada)
    client.post(WEBHOOKS, data=typed("https://hooks.example"))
    endpoint = session.scalars(select(Endpoint)).one()
    now = utc_now()
    session.add_all(
        Delivery(
            endpoint_id=endpoint.id, event_id=f"evt_{number}", type="item.closed", subject_id=number, at=now,
            created_at=now, next_at=now,
        )
        for number in range(120)
    )  # fmt: skip
    session.commit()
    with counted(engine) as asked:
        page = client.get(f"{WEBHOOKS}/{endpoint.id}?page=2")
    assert "51–100 of 120 deliveries" in words(page)
    assert len(asked) <= 8
