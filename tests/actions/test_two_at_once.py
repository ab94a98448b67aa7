"""Two people at one item: the second sees what the first changed, and nothing is overwritten."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.levels import service as levels
from feedback_loop.actions.levels.service import USUAL, Terms
from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, Priority, Status
from tests.factories import Cast, Make, sign_in
from tests.pages import again, words

CLOSING = {"outcome": "fixed", "done": "Two labels.", "root_cause": "Rain.", "statement": "Parcels carry two labels."}


@dataclass(frozen=True)
class Two:
    """Omar and Lena, each in a browser of their own, and an item of Delivery."""

    omar: FlaskClient
    lena: FlaskClient
    item: ActionItem


@pytest.fixture
def two(app: Flask, cast: Cast, make: Make, session: Session) -> Two:
    """Both signed in; the item is new."""
    item = make.raised_item(2, cast.delivery)
    session.commit()
    omar, lena = app.test_client(), app.test_client()
    sign_in(omar, cast.omar)
    sign_in(lena, cast.lena)
    return Two(omar, lena, item)


def version_on(client: FlaskClient, path: str) -> str:
    """The version that the forms of a page carry; all the same."""
    found = set(re.findall(r'name="version"[^>]*value="(\d+)"', client.get(path).get_data(as_text=True)))
    assert len(found) == 1, found
    return found.pop()


def test_an_older_assignment_shows_what_changed_and_keeps_what_was_chosen(
    two: Two, cast: Cast, session: Session
) -> None:
    path = f"/actions/{two.item.id}"
    seen = version_on(two.omar, path)
    typed = {"team": str(cast.delivery.id), "owner": str(cast.lena.id), "due": "2030-03-01", "version": seen}
    assert two.lena.post(f"{path}/assignment", data=typed).status_code == 302
    own = {"team": str(cast.payments.id), "owner": str(cast.olga.id), "due": "2031-05-02", "version": seen}
    response = two.omar.post(f"{path}/assignment", data=own)
    page, body = words(response), response.get_data(as_text=True)
    assert response.status_code == 409
    assert "This has changed since you opened it Lena," in page
    assert "Owner before: nobody yet → now: Lena" in page
    assert "Due before: no date → now: 1 Mar 2030, 23:59 UTC" in page
    assert f'<option selected value="{cast.olga.id}">' in body
    assert 'value="2031-05-02"' in body
    again(session, two.item)
    assert two.item.owner_id == cast.lena.id, "nothing is overwritten"
    newer = re.findall(r'name="version"[^>]*value="(\d+)"', body)
    assert two.omar.post(f"{path}/assignment", data=own | {"version": newer[0]}).status_code == 302
    again(session, two.item)
    assert two.item.owner_id == cast.olga.id, "sent again, it is meant"


def test_an_older_button_shows_what_changed_instead(two: Two, cast: Cast, session: Session) -> None:
    path = f"/actions/{two.item.id}"
    seen = version_on(two.omar, path)
    typed = {"team": str(cast.delivery.id), "owner": str(cast.lena.id), "due": "", "version": seen}
    two.lena.post(f"{path}/assignment", data=typed)
    response = two.omar.post(f"{path}/take-on", data={"version": seen})
    assert response.status_code == 409
    assert "Assigned to Delivery, Lena." in words(response)
    assert "So nothing was done yet. Take it on all the same Look at it" in words(response)
    again(session, two.item)
    assert (two.item.owner_id, two.item.status) == (cast.lena.id, Status.TRIAGED)
    newer = re.findall(r'name="version" value="(\d+)"', response.get_data(as_text=True))[0]
    assert two.omar.post(f"{path}/take-on", data={"version": newer}).status_code == 302
    response = two.lena.post(f"{path}/take-on", data={"version": newer})
    assert response.status_code == 409
    assert "Omar took this on." in words(response)
    assert "cannot be taken on. Look at it" in words(response)


def test_two_closings_at_once_tell_customers_once_and_keep_the_second_text(two: Two, session: Session) -> None:
    path = f"/actions/{two.item.id}/close"
    seen = version_on(two.omar, path)
    assert version_on(two.lena, path) == seen
    assert two.lena.post(path, data=CLOSING | {"version": seen}).status_code == 302
    response = two.omar.post(path, data=CLOSING | {"version": seen, "statement": "Mine took an hour to write."})
    page = words(response)
    assert response.status_code == 409
    assert "This is not possible any more Lena," in page
    assert "Status before: new → now: closed, waiting for the verdict" in page
    assert "Mine took an hour to write." in page
    assert "Close and tell" not in page
    assert len(session.scalars(select(Closure)).all()) == 1


def test_a_closing_that_still_holds_is_sent_again(two: Two, session: Session) -> None:
    path = f"/actions/{two.item.id}/close"
    seen = version_on(two.omar, path)
    two.lena.post(f"/actions/{two.item.id}/take-on")
    response = two.omar.post(path, data=CLOSING | {"version": seen})
    assert response.status_code == 409
    assert "Nothing of yours was saved yet. If it still holds, send it again." in words(response)
    newer = re.findall(r'name="version"[^>]*value="(\d+)"', response.get_data(as_text=True))[0]
    assert two.omar.post(path, data=CLOSING | {"version": newer}).status_code == 302
    again(session, two.item)
    assert two.item.status == Status.CLOSED


@pytest.mark.parametrize("verb", ["wait", "reopen"])
def test_an_older_reason_is_kept(two: Two, make: Make, cast: Cast, session: Session, verb: str) -> None:
    item = session.get_one(ActionItem, two.item.id)
    if verb == "reopen":
        make.closure(item, cast.omar)
    else:
        item.status = Status.IN_PROGRESS
    session.commit()
    path = f"/actions/{item.id}/{verb}"
    seen = version_on(two.omar, path)
    typed = {"what_for": "the first", "reason": "the first", "version": seen}
    assert two.lena.post(path, data=typed).status_code == 302
    response = two.omar.post(path, data=typed | {"what_for": "my own words", "reason": "my own words"})
    assert response.status_code == 409
    assert "the first" in words(response)
    assert "my own words" in response.get_data(as_text=True)
    again(session, item)
    assert item.waiting_for in ("the first", "")


def test_comments_and_ticks_of_others_are_no_obstacle(two: Two, session: Session) -> None:
    path = f"/actions/{two.item.id}"
    seen = version_on(two.omar, path)
    two.lena.post(f"{path}/comments", data={"comment": "Hello"})
    two.lena.post(f"{path}/checklist", data={"text": "Ask"})
    two.lena.post(f"{path}/links", data={"url": "https://a.example", "kind": "tracker"})
    assert two.omar.post(f"{path}/take-on", data={"version": seen}).status_code == 302


def test_a_form_without_a_usable_version_is_taken_as_it_is(two: Two) -> None:
    for odd in ("", "x", "9" * 40, "-1"):
        typed = {"comment": "x", "team": "", "version": odd}
        assert two.omar.post(f"/actions/{two.item.id}/assignment", data=typed).status_code == 400
    assert two.omar.post(f"/actions/{two.item.id}/take-on", data={"version": "x"}).status_code == 302


def test_of_two_at_the_very_same_moment_one_is_told(two: Two, session: Session) -> None:
    path = f"/actions/{two.item.id}/close"
    seen = version_on(two.omar, path)
    start, codes = threading.Barrier(2), []

    def send(client: FlaskClient, statement: str) -> None:
        start.wait(timeout=30)
        response = client.post(path, data=CLOSING | {"version": seen, "statement": statement})
        codes.append((response.status_code, statement in response.get_data(as_text=True)))

    both = [
        threading.Thread(target=send, args=(client, text)) for client, text in ((two.omar, "One."), (two.lena, "Two."))
    ]
    for each in both:
        each.start()
    for each in both:
        each.join(timeout=60)
    assert sorted(codes) == [(302, False), (409, True)], "the second keeps its text"
    assert len(session.scalars(select(Closure)).all()) == 1
    closings = session.scalars(select(ActionEvent).where(ActionEvent.kind == "closed")).all()
    assert len(closings) == 1


def test_an_older_priority_shows_what_changed_and_keeps_what_was_typed(two: Two, session: Session) -> None:
    path = f"/actions/{two.item.id}"
    seen = version_on(two.omar, path)
    typed = {"priority": "low", "reason": "One asks only", "version": seen}
    assert two.lena.post(f"{path}/priority", data=typed).status_code == 302
    own = {"priority": "urgent", "reason": "The press asks", "version": seen}
    response = two.omar.post(f"{path}/priority", data=own)
    body = response.get_data(as_text=True)
    assert response.status_code == 409
    assert "This has changed since you opened it Lena," in words(response)
    assert "Priority low: One asks only" in words(response)
    assert '<option selected value="urgent">' in body
    assert 'value="The press asks"' in body
    again(session, two.item)
    assert two.item.priority == Priority.LOW, "nothing is overwritten"
    newer = re.findall(r'name="version"[^>]*value="(\d+)"', body)
    assert two.omar.post(f"{path}/priority", data=own | {"version": newer[0]}).status_code == 302
    again(session, two.item)
    assert two.item.priority == Priority.URGENT, "sent again, it is meant"


def test_an_older_service_level_shows_what_changed_and_keeps_what_was_chosen(
    two: Two, session: Session, now: datetime
) -> None:
    slow, fast = (levels.add_level(session, Terms(name, USUAL, range(5), 540, 1020, "UTC"), now) for name in "SF")
    session.commit()
    path = f"/actions/{two.item.id}"
    seen = version_on(two.omar, path)
    two.lena.post(f"{path}/level", data={"level": str(slow.id), "version": seen})
    response = two.omar.post(f"{path}/level", data={"level": str(fast.id), "version": seen})
    body = response.get_data(as_text=True)
    assert response.status_code == 409
    assert "Service level before: the default → now: S" in words(response)
    assert f'<option selected value="{fast.id}">' in body
    again(session, two.item)
    assert two.item.service_level_id == slow.id
    newer = re.findall(r'name="version"[^>]*value="(\d+)"', body)[0]
    assert two.omar.post(f"{path}/level", data={"level": str(fast.id), "version": newer}).status_code == 302
    again(session, two.item)
    assert two.item.service_level_id == fast.id
