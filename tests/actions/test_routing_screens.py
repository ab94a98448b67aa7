"""Settings, Routing: the list, one rule, and what it would have done."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop.actions.models import ActionEvent, ActionItem
from feedback_loop.actions.routing.learning import read_examples
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.actions.routing.opening import open_missing
from feedback_loop.actions.routing.queries import rules
from feedback_loop.actions.service import assign
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from tests.actions.meaning import TOY, complaint_about, ruled
from tests.factories import Cast, Make, sign_in
from tests.pages import again, counted, links, words

NEW = "/settings/routing/new"


@pytest.fixture
def now() -> datetime:
    """Pages go by the real clock."""
    return utc_now()


@pytest.fixture(autouse=True)
def lately(make: Make) -> None:
    """What the factories make was found yesterday."""
    make.now = utc_now() - timedelta(days=1)


def order(session: Session) -> list[str]:
    """The keywords of the rules, as they are asked."""
    session.expire_all()
    found = [rule.keyword for rule in rules(session)]
    session.commit()
    return found


def test_rules_are_added_moved_and_deleted(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.lena)
    for word in ("parcel", "refund", "label"):
        assert client.post(NEW, data={"keyword": word, "team": str(cast.delivery.id)}).status_code == 302
    assert order(session) == ["parcel", "refund", "label"]
    ids = {rule.keyword: rule.id for rule in rules(session)}
    session.commit()
    client.post(f"/settings/routing/{ids['label']}/move", data={"step": "up"})
    assert order(session) == ["parcel", "label", "refund"]
    client.post(f"/settings/routing/{ids['parcel']}/move", data={"step": "up"})
    client.post(f"/settings/routing/{ids['parcel']}/move", data={"step": "down"})
    assert order(session) == ["label", "parcel", "refund"]
    client.post(f"/settings/routing/{ids['parcel']}/delete")
    assert order(session) == ["label", "refund"]
    assert client.post(f"/settings/routing/{ids['parcel']}/delete").status_code == 404
    assert client.get(f"/settings/routing/{ids['parcel']}").status_code == 404


def test_the_list_says_in_sentences_what_rules_ask_and_give(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    survey = make.survey("app")
    session.commit()
    sign_in(client, cast.lena)
    typed = {
        "keyword": "login", "survey": str(survey.id), "language": "de", "page": "/shop?x=1", "worst_score": "30",
        "team": str(cast.payments.id), "owner": str(cast.olga.id), "priority": "high",
    }  # fmt: skip
    page = words(client.post(NEW, data=typed, follow_redirects=True))
    assert (
        "says “login”, comes from the survey App, comes from pages that begin with /shop, is in German and has a mean "
        "score of 30 of 100 or less Payments, Olga, high" in page
    )
    (row,) = rules(session)
    session.commit()
    form = client.get(f"/settings/routing/{row.id}").get_data(as_text=True)
    assert 'value="30"' in form
    assert f'<option selected value="{cast.olga.id}">' in form


def test_a_rule_is_changed_where_it_stands(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    first, _second = ruled(make, cast.delivery.id, keyword="parcel"), ruled(make, cast.payments.id, keyword="refund")
    session.commit()
    sign_in(client, cast.lena)
    typed = {"keyword": "courier", "team": str(cast.payments.id)}
    page = words(client.post(f"/settings/routing/{first.id}", data=typed, follow_redirects=True))
    assert "The rule is changed. Items it has routed stay where they are." in page
    assert order(session) == ["courier", "refund"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({}, "A rule must ask for something."),
        ({"page": "?x"}, "This is the beginning of no address. Enter one such as /checkout"),
        ({"worst_score": "-1"}, "Enter a limit from 0 to 99: no mean score is below 0."),
        ({"worst_score": "few"}, "Enter a whole number from 0 to 99, or leave it empty."),
        ({"language": "fi"}, "No answer is in Finnish"),
        ({"keyword": "login", "owner": "x"}, "Nobody has this account."),
        ({"keyword": "refunds"}, "This rule could never match: rule 1 is asked before it"),
    ],
)
def test_a_rule_that_can_never_match_is_refused_and_nothing_typed_is_lost(
    client: FlaskClient, cast: Cast, make: Make, session: Session, typed: dict[str, str], message: str
) -> None:
    ruled(make, cast.delivery.id, keyword="refund")
    session.commit()
    sign_in(client, cast.lena)
    response = client.post(NEW, data={"tag": "", "team": str(cast.payments.id), **typed})
    assert response.status_code == 400
    assert message in words(response)
    for value in typed.values():
        assert value in response.get_data(as_text=True)
    assert order(session) == ["refund"]


def test_an_owner_of_another_team_is_refused(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.lena)
    typed = {"keyword": "refund", "team": str(cast.payments.id), "owner": str(cast.omar.id)}
    assert "Omar is of Delivery. Choose somebody of Payments, or send it to another team." in words(
        client.post(NEW, data=typed)
    )


def test_a_preview_shows_what_would_go_elsewhere_and_writes_nothing(
    client: FlaskClient, cast: Cast, make: Make, session: Session, engine: Engine, now: datetime
) -> None:
    ruled(make, cast.delivery.id, keyword="parcel")
    refund, late = complaint_about(make, "refund takes weeks"), complaint_about(make, "refund of my parcel")
    complaint_about(make, "boots too small")
    long_ago = complaint_about(make, "refund never came")
    long_ago.created_at = now - timedelta(days=31)
    open_missing(session, now)
    session.commit()
    before = [
        session.scalar(select(func.count()).select_from(table)) for table in (RoutingRule, ActionItem, ActionEvent)
    ]
    session.commit()
    sign_in(client, cast.lena)
    typed = {"keyword": "refund", "team": str(cast.payments.id), "preview": "1"}
    with counted(engine) as sent:
        response = client.post(NEW, data=typed)
    assert len(sent) <= 20
    page = words(response)
    assert response.status_code == 200
    assert "It fits 2 of 3 complaints and changes 1." in page
    assert "1 of these goes by rules that are asked before it." in page
    assert f"{refund.number} refund takes weeks Delivery no rule Payments rule 2 By rule 2 to Payments" in page
    assert f"{late.number} refund of my parcel Delivery rule 1 Delivery rule 1" in page
    assert "Delivery 3 2 Payments 0 1" in page
    assert long_ago.number not in page.replace(f"{long_ago.number}0", "")
    after = [
        session.scalar(select(func.count()).select_from(table)) for table in (RoutingRule, ActionItem, ActionEvent)
    ]
    session.commit()
    assert before == after


def test_a_preview_names_what_somebody_moved_by_hand(
    client: FlaskClient, cast: Cast, make: Make, session: Session, now: datetime
) -> None:
    third = make.team("Products")
    complaint = complaint_about(make, "refund takes weeks")
    open_missing(session, now)
    assign(session, session.query(ActionItem).filter_by(complaint_id=complaint.id).one(), third, None, cast.lena, now)
    session.commit()
    sign_in(client, cast.lena)
    typed = {"keyword": "refund", "team": str(cast.payments.id), "preview": "1"}
    assert "(somebody gave it to Products)" in words(client.post(NEW, data=typed))


def test_a_preview_looks_at_most_at_so_many_and_says_so(
    client: FlaskClient, cast: Cast, make: Make, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback_loop.actions.routing.previewing.MOST", 2)
    for number in range(3):
        complaint_about(make, f"refund takes weeks {number}")
    session.commit()
    sign_in(client, cast.lena)
    page = words(client.post(NEW, data={"keyword": "refund", "team": str(cast.payments.id), "preview": "1"}))
    assert "It fits 2 of 2 complaints" in page
    assert "These are the newest 2 complaints; there were more in the last 30 days." in page


def test_what_matches_nothing_is_warned_of_and_saved(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    complaint_about(make, "refund takes weeks")
    session.commit()
    sign_in(client, cast.lena)
    typed = {"keyword": "parachute", "team": str(cast.payments.id)}
    assert "It fits nothing that was found in the last 30 days." in words(
        client.post(NEW, data=typed | {"preview": "1"})
    )
    assert "It fits none of the complaints of the last 30 days." in words(
        client.post(NEW, data=typed, follow_redirects=True)
    )
    assert order(session) == ["parachute"]


def test_complaints_as_examples_are_previewed_at_once(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    known = complaint_about(make, "the parcel was late", "parcel late")
    complaint_about(make, "parcel late again, very late")
    complaint_about(make, "boots too small")
    session.commit()
    sign_in(client, cast.lena)
    typed = {"examples": known.number, "team": str(cast.payments.id), "preview": "1"}
    page = words(client.post(NEW, data=typed))
    assert "It fits 2 of 3 complaints and changes 2." in page
    assert f"it is like {known.number} (1.00, 0.45 is needed)" in page


def test_texts_as_examples_are_read_by_a_worker_while_the_rule_is_a_draft(
    client: FlaskClient, cast: Cast, make: Make, session: Session, sessions: Sessions
) -> None:
    complaint_about(make, "the parcel was late")
    session.commit()
    sign_in(client, cast.lena)
    typed = {"examples": "a late parcel\nwhen will the parcel come, it is late", "team": str(cast.payments.id)}
    page = words(client.post(NEW, data=typed | {"preview": "1"}))
    assert "These examples have to be read first. Only a worker can. Save the rule as a draft" in page
    response = client.post(NEW, data=typed | {"draft": "1"})
    (row,) = rules(session)
    session.commit()
    assert row.is_active is False
    assert response.location == f"/settings/routing/{row.id}"
    address = f"/settings/routing/{row.id}"
    response = client.get(address)
    assert "A worker reads the examples…" in words(response)
    assert f'hx-get="{address}"' in response.get_data(as_text=True)
    assert client.get(address, headers={"HX-Request": "true"}).status_code == 204
    read_examples(sessions, TOY, [row.id])
    part = client.get(address, headers={"HX-Request": "true"})
    assert "hx-get" not in part.get_data(as_text=True), "it asks no more"
    assert "It fits 1 of 1 complaint and changes 1." in words(part)
    assert "Draft, not asked: is like “a late parcel” or 1 more example" in words(client.get("/settings/routing"))
    page = words(client.post(f"{address}/turn", data={"to": "on"}, follow_redirects=True))
    assert "The rule is asked from now on." in page
    page = words(client.post(f"{address}/turn", data={"to": "off"}, follow_redirects=True))
    assert "The rule is not asked any more. It is kept as a draft." in page


def test_the_list_says_why_a_rule_does_nothing(
    client: FlaskClient, cast: Cast, make: Make, session: Session, now: datetime
) -> None:
    survey = make.survey("old")
    ruled(make, cast.payments.id, keyword="refund", owner_id=cast.olga.id)
    hidden = ruled(make, cast.payments.id, keyword="refunds", survey_id=survey.id, is_active=False)
    ruled(make, cast.payments.id, examples=("late",))
    hidden.is_active, survey.archived_at, cast.olga.is_active = True, now, False
    session.commit()
    sign_in(client, cast.lena)
    page = words(client.get("/settings/routing"))
    assert "Never matches: rule 1 is asked first and takes all of it." in page
    assert "The survey Old is archived." in page
    assert "Olga cannot own items any more, so nobody does." in page
    assert "Does not match yet: a worker has to read its examples." in page
    response = client.post(f"/settings/routing/{hidden.id}/turn", data={"to": "on"}, follow_redirects=True)
    assert "Old is archived and gets no answers any more." in words(response)


def test_a_suggestion_stands_on_the_item_and_offers_a_rule(
    client: FlaskClient, cast: Cast, make: Make, session: Session, now: datetime
) -> None:
    texts = ("parcel late again", "again the parcel is late", "a late parcel again", "parcel again late")
    complaints = [complaint_about(make, text) for text in texts]
    open_missing(session, now)
    items = [session.query(ActionItem).filter_by(complaint_id=complaint.id).one() for complaint in complaints]
    for item in items[:3]:
        assign(session, item, cast.payments, None, cast.lena, now)
    session.commit()
    sign_in(client, cast.lena)
    response = client.get(f"/actions/{items[3].id}")
    page = words(response)
    assert "Perhaps for Payments. Like C-" in page
    assert "which Lena gave to Payments." in page
    assert "People have decided so 3 times. Make a rule of this" in page
    (address,) = [link for link in links(response) if link.startswith(NEW)]
    form = client.get(address).get_data(as_text=True)
    assert all(complaint.number in form for complaint in complaints[:3])
    assert f'<option selected value="{cast.payments.id}">' in form


def test_routing_is_for_leads(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    sign_in(client, cast.omar)
    assert client.get("/settings/routing").status_code == 403
    assert client.get(NEW).status_code == 403


def test_without_rules_the_page_says_what_happens(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.lena)
    assert "No rule yet: everything goes to the default team." in words(client.get("/settings/routing"))


def seen_on(response: TestResponse) -> str:
    """The fingerprint of the rule from which a form was made."""
    return re.findall(r'name="seen"[^>]*value="([0-9a-f]*)"', response.get_data(as_text=True))[0]


def test_a_rule_that_somebody_else_changed_meanwhile_is_not_overwritten(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    sign_in(client, cast.lena)
    typed = {"keyword": "parcel", "team": str(cast.delivery.id)}
    client.post(NEW, data=typed)
    row = session.scalars(select(RoutingRule)).one()
    session.commit()
    path = f"/settings/routing/{row.id}"
    typed["seen"] = seen_on(client.get(path))
    hers = typed | {"team": str(cast.payments.id), "owner": str(cast.olga.id), "priority": "high"}
    assert client.post(path, data=hers).status_code == 302
    assert client.post(path, data=hers).status_code == 302, "sent twice, it is what was wanted already"
    own = typed | {"keyword": "invoice", "owner": "", "priority": ""}
    looked = client.post(path, data=own | {"preview": "1"})
    assert looked.status_code == 200
    assert seen_on(looked) == typed["seen"], "a look renews nothing"
    response = client.post(path, data=own)
    assert response.status_code == 409
    assert "Now the rule is asked: a complaint that says “parcel” goes to Payments, Olga, high." in words(response)
    assert 'value="invoice"' in response.get_data(as_text=True)
    assert order(session) == ["parcel"], "nothing is overwritten"
    assert client.post(path, data=own | {"seen": seen_on(response)}).status_code == 302
    assert order(session) == ["invoice"], "sent again, it is meant"


def test_a_rule_that_was_turned_off_meanwhile_is_not_turned_on_unawares(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    sign_in(client, cast.lena)
    typed = {"keyword": "parcel", "team": str(cast.delivery.id)}
    client.post(NEW, data=typed)
    row = session.scalars(select(RoutingRule)).one()
    session.commit()
    path = f"/settings/routing/{row.id}"
    seen = seen_on(client.get(path))
    client.post(f"{path}/turn", data={"to": "off"})
    response = client.post(path, data=typed | {"seen": seen})
    assert response.status_code == 409
    assert "Now the rule is a draft, not asked: a complaint that says “parcel” goes to Delivery." in words(response)
    again(session, row)
    assert not row.is_active
