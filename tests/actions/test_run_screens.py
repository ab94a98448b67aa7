"""The pages of a notification run: review, people, release, progress."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop import tokens
from feedback_loop.actions.closing.models import StatementTemplate
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.models import ActionItem, NotificationRun, Outcome, RunPerson, RunState
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.runs import service as runs
from feedback_loop.app import create_app
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.pages import again, counted, links, words

FIXED = Closing(Outcome.FIXED, "Changed the carrier.", "Labels smudged.", "Parcels now carry two labels.")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, hold_minutes=10, approval_above=4)


def closed(make: Make, cast: Cast, people: int = 3, now: datetime | None = None) -> tuple[ActionItem, NotificationRun]:
    item = make.raised_item(people, cast.delivery)
    closure = close(make.session, item, FIXED, cast.omar, now or utc_now(), make.settings)
    run = run_of(make.session, closure)
    assert run is not None
    make.session.commit()
    return item, run


def seen_on(client: FlaskClient, item: ActionItem) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', client.get(f"/actions/{item.id}/run").text)
    assert found
    return found.group(1)


def post(client: FlaskClient, item: ActionItem, verb: str, **data: object) -> TestResponse:
    return client.post(f"/actions/{item.id}/run/{verb}", data=data, follow_redirects=True)


def release(client: FlaskClient, item: ActionItem) -> TestResponse:
    return post(client, item, "release", seen=seen_on(client, item))


def test_the_review_says_who_will_be_told_and_who_not_and_why(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(3, cast.delivery)
    noor = make.customer("Noor")
    make.statement(item.complaint, customer=noor)
    suppress(session, noor.email, "by link", make.now)
    make.statement(item.complaint)
    nameless = make.survey(is_anonymous=True)
    make.statement(item.complaint, answer=make.answer(survey=nameless, receipt_hash=tokens.hashed("r")))
    close(session, item, FIXED, cast.omar, utc_now(), make.settings)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.get(f"/actions/{item.id}/run"))
    assert "3 people will be told; 1 will not." in page
    assert "Tell 3 people" in page
    assert "Not told: asked for no more mail 1" in page
    assert "No address, but a receipt: they see it there 1" in page
    assert "No address: nobody can reach them 1" in page
    assert "To Customer 0 What we did about what you told us" in page


def test_released_held_undone_and_released_again(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item, run = closed(make, cast)
    sign_in(client, cast.omar)
    page = words(release(client, item))
    assert "Released. 3 people will be told, beginning in 10 minutes. Until then you can undo it." in page
    assert "Nothing is sent yet" in page
    assert "Undo: send nothing" in page
    page = words(post(client, item, "undo"))
    assert "Undone: nothing was sent, and the run is back in review. The closing stands." in page
    again(session, run)
    assert run.state == RunState.REVIEW
    assert "beginning in 10 minutes" in words(release(client, item))
    counts = session.execute(select(Notification.state, func.count()).group_by(Notification.state)).all()
    session.commit()
    assert [tuple(row) for row in counts] == [(NotificationState.PENDING, 3)]


def test_what_somebody_else_did_meanwhile_is_said(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item, run = closed(make, cast)
    sign_in(client, cast.omar)
    seen = seen_on(client, item)
    runs.change_statement(session, run, "Three labels.", cast.lena, make.now)
    session.commit()
    page = words(post(client, item, "release", seen=seen))
    assert "have changed since you opened the page. Look again, then send it." in page
    assert "Three labels." in page
    runs.release(session, run, cast.lena, utc_now(), make.settings)
    session.commit()
    assert "This run is released by Lena, so it cannot be released. Look again." in words(
        post(client, item, "release", seen=seen)
    )


def test_progress_receipts_and_failures(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    early = utc_now() - timedelta(hours=1)
    item, run = closed(make, cast, now=early)
    runs.release(session, run, cast.omar, early, make.settings)
    one, two, _ = session.scalars(select(Notification).order_by(Notification.id)).all()
    make.sent(one)
    two.state, two.reason = NotificationState.FAILED, "550 5.1.1 no such user"
    session.commit()
    sign_in(client, cast.omar)
    page = client.get(f"/actions/{item.id}/run")
    assert "1 of 3 people told; 1 to go." in words(page)
    assert 'hx-trigger="every 5s"' in page.text
    assert "Undo" not in words(page)
    assert "550 5.1.1 no such user" in words(client.get(f"/actions/{item.id}/run/people?show=failed"))
    person = int(one.recipient.partition(":")[2])
    receipt = words(client.get(f"/actions/{item.id}/run/people/{person}"))
    assert one.message_id in receipt
    assert "Sent 12 Oct 2026, 09:30 UTC" in receipt
    assert "1 mail will be tried once more." in words(post(client, item, "resend", notification=two.id))
    assert "Nothing is left to try" in words(post(client, item, "resend"))
    assert "going out already" in words(post(client, item, "undo"))


def test_people_are_searched_dropped_and_put_back(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item, _ = closed(make, cast)
    person = session.scalars(select(RunPerson).order_by(RunPerson.customer_id)).first()
    session.commit()
    assert person is not None
    sign_in(client, cast.omar)
    page = words(client.get(f"/actions/{item.id}/run/people?q=customer+1"))
    assert "Customer 1" in page
    assert "Customer 0" not in page
    page = words(post(client, item, f"people/{person.customer_id}", do="drop"))
    assert "Customer 0 is left out. Undo" in page
    assert "Not told: taken out by one of you" in page
    assert "2 people will be told; 1 will not." in words(client.get(f"/actions/{item.id}/run"))
    assert "Customer 0 will be told. Undo" in words(post(client, item, f"people/{person.customer_id}", do="back"))
    assert words(post(client, item, "people/999999", do="drop")).count("not part of the run") == 1


def test_somebody_is_added_by_address_or_told_why_not(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item, _ = closed(make, cast)
    make.customer("Elsa", "elsa@example.com")
    session.commit()
    sign_in(client, cast.omar)
    assert "Elsa will be told." in words(post(client, item, "people", address="elsa@example.com"))
    response = client.post(f"/actions/{item.id}/run/people", data={"address": "nobody@example.com"})
    assert response.status_code == 400
    assert words(response).count("No customer is known by this address.") == 2
    assert 'value="nobody@example.com"' in response.text


def test_an_empty_statement_is_refused_and_another_is_kept(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item, run = closed(make, cast)
    sign_in(client, cast.omar)
    response = client.post(f"/actions/{item.id}/run/statement", data={"statement": "  "})
    assert response.status_code == 400
    assert words(response).count("Enter what customers are to read.") == 2
    page = words(post(client, item, "statement", statement="Your ticket has two labels."))
    assert "The statement is changed." in page
    assert "“ticket” A word of ours." in page
    session.refresh(run.closure)
    assert run.closure.statement == "Your ticket has two labels."


def test_any_mail_can_be_read_in_its_language_and_sent_to_oneself(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(0, cast.delivery)
    customer = make.customer("Jana")
    customer.language = "de"
    make.statement(item.complaint, "Mein Paket kam nie.", customer=customer)
    close(session, item, FIXED, cast.omar, utc_now(), make.settings)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.get(f"/actions/{item.id}/run/people/{customer.id}"))
    assert "Mein Paket kam nie." in page
    assert "Guten Tag Jana" in page
    assert "Guten Tag Jana" in words(client.get(f"/actions/{item.id}/run?another=1"))
    page = words(post(client, item, "test", customer=customer.id))
    assert f"A test is on its way to {cast.omar.email}. It counts nowhere." in page
    assert "This link was a test" in words(client.get(f"/actions/{item.id}/run/tried?answer=yes"))
    assert client.get(f"/actions/{item.id}/run/people/999999").status_code == 404


def test_who_raised_it_since_can_be_taken_in(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item, _ = closed(make, cast)
    make.statement(item.complaint, customer=make.customer("Late"))
    session.commit()
    sign_in(client, cast.omar)
    assert "1 more person has raised it since. Take them in" in words(client.get(f"/actions/{item.id}/run"))
    assert "1 person came in; 1 of them will be told." in words(post(client, item, "look-again"))


def test_a_large_run_is_approved_by_somebody_else(
    app: Flask, client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item, run = closed(make, cast, 5)
    sign_in(client, cast.omar)
    assert "To more than 4 people: a second lead or admin" in words(client.get(f"/actions/{item.id}/run"))
    page = words(release(client, item))
    assert "Waits for a second person: a lead or admin is asked to approve mails to 5 people." in page
    assert "Only leads and admins approve runs." in page
    assert post(client, item, "approve").status_code == 403
    lead = app.test_client()
    sign_in(lead, cast.lena)
    assert "Approve: tell 5 people" in words(lead.get(f"/actions/{item.id}/run"))
    page = words(post(lead, item, "approve", seen=seen_on(lead, item)))
    assert "Approved. 5 people will be told, beginning in 10 minutes." in page
    again(session, run)
    assert (run.state, run.approved_by_id) == (RunState.HELD, cast.lena.id)


def test_others_read_along_and_change_nothing(client: FlaskClient, cast: Cast, make: Make) -> None:
    item, _ = closed(make, cast)
    sign_in(client, cast.olga)
    page = client.get(f"/actions/{item.id}/run")
    assert page.status_code == 200
    assert not [link for link in links(page) if link.endswith("/release")]
    assert client.post(f"/actions/{item.id}/run/release", data={}).status_code == 403


def test_there_is_no_run_where_nothing_was_closed(client: FlaskClient, cast: Cast, make: Make) -> None:
    item = make.raised_item(1, cast.delivery)
    make.session.commit()
    sign_in(client, cast.omar)
    assert client.get(f"/actions/{item.id}/run").status_code == 404
    assert client.get("/actions/999999/run").status_code == 404


def test_taking_the_closing_back_ends_the_run(client: FlaskClient, cast: Cast, make: Make) -> None:
    item, _ = closed(make, cast)
    sign_in(client, cast.omar)
    client.post(f"/actions/{item.id}/reopen", data={"reason": "Too early."})
    assert "The closing was taken back before anybody was told." in words(client.get(f"/actions/{item.id}/run"))


def test_pages_of_a_run_ask_the_database_little(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item, run = closed(make, cast, 20)
    sign_in(client, cast.omar)
    bind = session.get_bind()
    for path in (f"/actions/{item.id}/run", f"/actions/{item.id}/run/people"):
        with counted(bind) as sent:  # type: ignore[arg-type]
            assert client.get(path).status_code == 200
        assert len(sent) <= 20, path
    assert run.state == RunState.REVIEW


def test_leads_keep_templates_of_statements(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    sign_in(client, cast.lena)
    data = {"name": "Carrier", "text": "Your ticket: we changed [what].", "outcome": "fixed", "team": cast.delivery.id}
    page = words(client.post("/settings/statements", data=data, follow_redirects=True))
    assert "The template is added." in page
    assert "Carrier Fixed Delivery" in page
    response = client.post("/settings/statements", data={**data, "text": "  ", "name": "Kept"})
    assert response.status_code == 400
    assert 'value="Kept"' in response.text
    row = session.scalars(select(StatementTemplate)).one()
    session.commit()
    assert "“ticket” A word of ours." in words(client.get(f"/settings/statements/{row.id}"))
    client.post(f"/settings/statements/{row.id}", data={**data, "team": "", "outcome": "declined"})
    again(session, row)
    assert (row.team_id, row.outcome) == (None, Outcome.DECLINED)
    client.post(f"/settings/statements/{row.id}/delete")
    assert session.scalars(select(StatementTemplate)).all() == []


def test_templates_are_not_for_owners(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.omar)
    assert client.get("/settings/statements").status_code == 403


def test_without_a_hold_it_begins_at_once(cast: Cast, make: Make, settings: Settings, sessions: Sessions) -> None:
    item, _ = closed(make, cast)
    app = create_app(replace(settings, hold_minutes=0), sessions)
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    sign_in(client, cast.omar)
    assert "Released. 3 people will be told, beginning now." in words(release(client, item))


def test_the_statement_is_on_the_receipt_page_once_the_run_is_released(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item, duplicate = make.raised_item(0, cast.delivery), make.raised_item(0)
    for each, receipt in ((item, "one"), (duplicate, "two")):
        answer = make.answer(receipt_hash=tokens.hashed(receipt), said_at=make.now - timedelta(days=1))
        make.statement(each.complaint, answer=answer)
    early = utc_now() - timedelta(hours=1)
    close(session, duplicate, Closing(Outcome.DUPLICATE, "", "", "", duplicate_of_id=item.id), cast.lena, early,
          make.settings)  # fmt: skip
    closure = close(session, item, replace(FIXED, outcome=Outcome.PARTLY_FIXED), cast.omar, early, make.settings)
    session.commit()
    for receipt in ("one", "two"):
        assert "two labels" not in words(client.get(f"/r/{receipt}")), "nobody has released it"
    run = run_of(session, closure)
    assert run is not None
    runs.release(session, run, cast.omar, early, make.settings)
    session.commit()
    for receipt in ("one", "two"):
        assert "This is what we did about it" in words(client.get(f"/r/{receipt}"))
        assert "Parcels now carry two labels." in words(client.get(f"/r/{receipt}"))
