from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionEvent, ActionItem, Status
from feedback_loop.clock import utc_now
from feedback_loop.followups.models import Fixed
from feedback_loop.followups.service import record
from feedback_loop.notifications.models import Notification
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.pages import again, counted, links, words


def named(make: Make, name: str, **values: object) -> ActionItem:
    return make.item(make.complaint(name), **values)  # type: ignore[arg-type]


def test_no_action_item_yet_says_how_they_come(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.vera)
    assert "No action item yet. Each complaint gets one by itself" in words(client.get("/actions"))


def test_action_items_are_mine_my_teams_or_all(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    named(make, "Of Omar", team=cast.delivery, owner=cast.omar)
    named(make, "Of Delivery", team=cast.delivery)
    named(make, "Of Payments", team=cast.payments)
    session.commit()
    sign_in(client, cast.omar)

    def shown(query: str) -> set[str]:
        page = words(client.get("/actions" + query))
        return {name for name in ("Of Omar", "Of Delivery", "Of Payments") if name in page}

    assert shown("") == {"Of Omar", "Of Delivery"}
    assert shown("?scope=mine") == {"Of Omar"}
    assert shown("?scope=all") == {"Of Omar", "Of Delivery", "Of Payments"}
    assert shown(f"?scope=all&team={cast.payments.id}") == {"Of Payments"}
    assert shown("?scope=all&owner=0") == {"Of Delivery", "Of Payments"}
    assert shown(f"?scope=all&owner={cast.omar.id}") == {"Of Omar"}
    assert shown("?scope=all&status=closed") == set()
    assert "no action item fits" in words(client.get("/actions?scope=all&status=closed"))


def test_the_list_shows_open_items_what_is_due_first(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    now = utc_now()
    named(make, "Some day", team=cast.delivery)
    named(make, "Next week", team=cast.delivery, due_at=now + timedelta(days=7))
    named(make, "Too late", team=cast.delivery, due_at=now - timedelta(days=7), status=Status.IN_PROGRESS)
    named(make, "Done with", team=cast.delivery, due_at=now - timedelta(days=9), status=Status.VERIFIED)
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get("/actions"))
    assert page.index("Too late") < page.index("Next week") < page.index("Some day")
    assert "Done with" not in page
    assert page.count(", overdue") == 1
    assert "Next week" not in words(client.get("/actions?overdue=1"))
    assert "Done with" in words(client.get("/actions?status=any"))


def test_the_list_asks_no_more_for_more_items(
    client: FlaskClient, cast: Cast, make: Make, session: Session, engine: Engine
) -> None:
    sign_in(client, cast.vera)
    counts = []
    for _ in range(2):
        for _ in range(4):
            named(make, "Item", team=make.team(), owner=cast.omar)
        session.commit()
        with counted(engine) as sent:
            client.get("/actions")
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_an_item_shows_the_next_step_who_waits_and_why_it_is_here(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(3, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    response = client.get(f"/actions/{item.id}")
    page = words(response)
    assert "○ New. 3 people wait for an answer. Next step Nobody works on this yet. Take it on" in page
    assert "3 people will be told." in page
    assert "To the default team." in page
    assert "Did it help?" not in page
    assert f"/complaints/{item.complaint_id}" in links(response)
    assert client.get("/actions/999").status_code == 404


def test_taking_on_makes_the_owner_and_shows_the_next_step(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    response = client.post(f"/actions/{item.id}/take-on", follow_redirects=True)
    again(session, item)
    assert (item.status, item.owner_id) == (Status.IN_PROGRESS, cast.omar.id)
    assert "◐ In progress" in words(response)
    assert "Close and tell 1 person" in words(response)
    response = client.post(f"/actions/{item.id}/take-on", follow_redirects=True)
    assert "This action item is in progress, so it cannot be taken on." in words(response)


@pytest.mark.parametrize("verb", ["take-on", "comments", "assignment", "close", "close/preview", "reopen"])
def test_other_teams_and_viewers_only_read(app: Flask, cast: Cast, make: Make, session: Session, verb: str) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    for user in (cast.olga, cast.vera):
        client = app.test_client()
        sign_in(client, user)
        page = words(client.get(f"/actions/{item.id}"))
        assert "Somebody of Delivery takes it on." in page
        assert "Take it on" not in page
        assert "Add comment" not in page
        assert client.post(f"/actions/{item.id}/{verb}", data={"comment": "x", "reason": "x"}).status_code == 403
    again(session, item)
    assert item.status == Status.NEW


def test_leads_work_on_items_of_every_team(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.payments)
    session.commit()
    sign_in(client, cast.lena)
    assert client.post(f"/actions/{item.id}/take-on").status_code == 302


def test_a_comment_stands_in_the_history(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    response = client.post(f"/actions/{item.id}/comments", data={"comment": "Asked the <carrier>."})
    assert response.location == f"/actions/{item.id}#history"
    response = client.get(f"/actions/{item.id}")
    assert "Omar Asked the <carrier>." in words(response)
    assert "<carrier>" not in response.get_data(as_text=True)


def test_an_empty_comment_is_refused(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    response = client.post(f"/actions/{item.id}/comments", data={"comment": "  "})
    assert response.status_code == 400
    assert "Enter a comment." in words(response)


def test_assigning_sets_team_owner_and_due_date(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    typed = {"team": str(cast.payments.id), "owner": str(cast.olga.id), "due": "2030-03-01"}
    assert client.post(f"/actions/{item.id}/assignment", data=typed).status_code == 302
    again(session, item)
    assert (item.team_id, item.owner_id) == (cast.payments.id, cast.olga.id)
    assert item.due_at == datetime(2030, 3, 1, 23, 59, 59, tzinfo=UTC)
    page = words(client.get(f"/actions/{item.id}"))
    assert "Assigned to Payments, Olga." in page
    assert "It is not your team’s, so you can read along." in page


@pytest.mark.parametrize(("field", "value"), [("team", "999"), ("owner", "999"), ("due", "next week"), ("team", "")])
def test_a_bad_assignment_is_refused(
    client: FlaskClient, cast: Cast, make: Make, session: Session, field: str, value: str
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    typed = {"team": str(cast.delivery.id), "owner": str(cast.omar.id), "due": "2030-03-01"} | {field: value}
    response = client.post(f"/actions/{item.id}/assignment", data=typed)
    assert response.status_code == 400
    assert f"#{field}" in links(response)
    again(session, item)
    assert item.owner_id is None


def test_viewers_cannot_be_made_owners(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.lena)
    typed = {"team": str(cast.delivery.id), "owner": str(cast.vera.id), "due": ""}
    assert client.post(f"/actions/{item.id}/assignment", data=typed).status_code == 400


def test_after_closing_the_item_says_whether_it_helped(
    client: FlaskClient, cast: Cast, make: Make, session: Session, settings: Settings
) -> None:
    item = make.raised_item(3, cast.delivery)
    make.closure(item, cast.omar)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.get(f"/actions/{item.id}"))
    assert "Wait for the verdict. Not everybody has been told and asked yet." in page
    assert "Nobody was told yet." in page
    assert "Done Changed the carrier. Root cause Labels smudged. Customers read Parcels now carry two labels." in page
    assert "3 people wait to be told" in page
    first, *others = session.scalars(select(Notification).order_by(Notification.id)).all()
    for notification in (first, *others):
        make.sent(notification)
    session.commit()
    page = words(client.get(f"/actions/{item.id}"))
    assert (
        "Wait for the verdict. It is drawn as soon as the answers are clear, and on 26 Oct 2026 at the latest." in page
    )
    assert "Too early to tell. 3 people are asked, nobody has answered yet." in page
    record(session, make.sent(first), Fixed.NO, "Smudged again.", make.now, settings)
    session.commit()
    page = words(client.get(f"/actions/{item.id}"))
    assert "↺ Reopened. 3 people wait for an answer." in page
    assert "Customers say it is not fixed." in page
    assert "↺ Not fixed on 12 Oct 2026" in page
    assert "What they say of it Smudged again. Not fixed · Customer 0" in page


def test_a_closing_is_taken_back_with_a_reason(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(2, cast.delivery)
    make.closure(item, cast.omar)
    session.commit()
    sign_in(client, cast.omar)
    assert "2 mails have not gone out yet and will not be sent." in words(client.get(f"/actions/{item.id}/reopen"))
    response = client.post(f"/actions/{item.id}/reopen", data={"reason": ""})
    assert response.status_code == 400
    assert "Enter a reason." in words(response)
    response = client.post(f"/actions/{item.id}/reopen", data={"reason": "Wrong carrier."}, follow_redirects=True)
    page = words(response)
    assert "↺ Reopened" in page
    assert "Omar Wrong carrier. 2 not yet sent will not be sent." in page
    assert "was taken back, so no verdict is drawn" in page
    response = client.get(f"/actions/{item.id}/reopen", follow_redirects=True)
    assert "so it cannot be reopened" in words(response)


def test_notifications_say_who_was_told_and_who_not_and_why(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(4, cast.delivery)
    make.closure(item, cast.omar)
    told, failed, left_out, _ = session.scalars(select(Notification).order_by(Notification.id)).all()
    make.sent(told)
    failed.state, failed.reason = "failed", "550 no such mailbox"  # type: ignore[assignment]
    left_out.state, left_out.reason = "skipped", "This person asked for no more mail."  # type: ignore[assignment]
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get(f"/actions/{item.id}"))
    assert (
        "1 person has been told 1 person waits to be told "
        "1 person is not told: 550 no such mailbox 1 person is not told: This person asked for no more mail." in page
    )
    path = f"/actions/{item.id}/notifications"
    page = words(client.get(path))
    assert f"{told.name} {told.address} Told 12 Oct 2026, 09:30 UTC –" in page
    assert f"{failed.name} {failed.address} Not told, the mail failed – 550 no such mailbox" in page
    page = words(client.get(path + "?state=failed"))
    assert failed.address in page
    assert told.address not in page
    assert client.get(path + "?state=odd").status_code == 200
    assert client.get(path + "?closing=2").status_code == 404


def test_an_item_that_was_never_closed_has_no_notifications(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.vera)
    assert client.get(f"/actions/{item.id}/notifications").status_code == 404


def test_a_long_history_is_paged(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    for number in range(51):
        session.add(
            ActionEvent(
                action_item_id=item.id, at=make.now, kind="comment", text=f"Note {number}.", data={}, by=cast.omar
            )
        )
    session.commit()
    sign_in(client, cast.vera)
    assert "1–50 of 51 entries" in words(client.get(f"/actions/{item.id}"))
    assert "Note 0." in words(client.get(f"/actions/{item.id}?page=2"))
