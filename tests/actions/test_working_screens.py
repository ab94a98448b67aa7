"""Working on an item without JavaScript: waiting, checklist, links, watchers, mentions, the history."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from feedback_loop.actions import service
from feedback_loop.actions.details import checklist, links, watching
from feedback_loop.actions.models import (
    ActionEvent,
    ActionItem,
    ChecklistEntry,
    ItemLink,
    LinkKind,
    Notice,
    Status,
    Watcher,
)
from feedback_loop.clock import utc_now
from feedback_loop.reports.exports import lines
from tests.factories import Cast, Make, sign_in
from tests.pages import again, counted, words
from tests.pages import links as targets


@pytest.fixture
def item(make: Make, cast: Cast, session: Session) -> ActionItem:
    """An item of Delivery that three people raised."""
    item = make.raised_item(3, cast.delivery)
    session.commit()
    return item


@pytest.mark.parametrize(
    ("status", "step", "buttons"),
    [
        (Status.NEW, "Nobody works on this yet.", {"take-on", "close"}),
        (Status.TRIAGED, "It is yours, and not begun.", {"take-on", "wait", "close"}),
        (Status.IN_PROGRESS, "When you know what to tell them, close it", {"wait", "close"}),
        (Status.WAITING, "It waits for: an offer, since", {"go-on", "close"}),
        (Status.REOPENED, "It is open again.", {"take-on", "wait", "close"}),
        (Status.CLOSED, "Wait for the verdict.", {"reopen"}),
        (Status.VERIFIED, "Nothing more to do", {"reopen"}),
    ],
)
def test_every_status_has_its_next_step(
    client: FlaskClient, cast: Cast, item: ActionItem, make: Make, session: Session, status: Status, step: str,
    buttons: set[str],
) -> None:  # fmt: skip
    if status in (Status.CLOSED, Status.VERIFIED):
        make.closure(item, cast.omar)
    item.status = status
    if status == Status.TRIAGED:
        item.owner = cast.omar
    if status == Status.WAITING:
        item.waiting_for, item.waiting_since = "an offer", make.now
    session.commit()
    sign_in(client, cast.omar)
    response = client.get(f"/actions/{item.id}")
    assert step in words(response)
    verbs = {"take-on", "go-on", "wait", "close", "reopen"}
    assert {verb for verb in verbs if f"/actions/{item.id}/{verb}" in targets(response)} == buttons
    assert client.get("/actions?status=any").status_code == 200
    assert client.get(f"/complaints/{item.complaint_id}").status_code == 200
    assert client.get("/complaints").status_code == 200


def test_an_item_waits_and_goes_on(client: FlaskClient, cast: Cast, item: ActionItem, session: Session) -> None:
    sign_in(client, cast.omar)
    client.post(f"/actions/{item.id}/take-on")
    assert "What does it wait for?" in words(client.get(f"/actions/{item.id}/wait"))
    response = client.post(f"/actions/{item.id}/wait", data={"what_for": " "})
    assert response.status_code == 400
    assert "Enter what it waits for." in words(response)
    response = client.post(f"/actions/{item.id}/wait", data={"what_for": "an <offer>"}, follow_redirects=True)
    page = words(response)
    assert "◌ Waiting. 3 people wait for an answer." in page
    assert "Status before: in progress → now: waiting" in page
    assert "an <offer>" in words(client.get("/actions?scope=mine&status=waiting"))
    response = client.get(f"/actions/{item.id}/wait", follow_redirects=True)
    assert "This action item is waiting, so it cannot be made to wait." in words(response)
    response = client.post(f"/actions/{item.id}/go-on", follow_redirects=True)
    assert "◐ In progress" in words(response)
    response = client.post(f"/actions/{item.id}/go-on", follow_redirects=True)
    assert "so it cannot be gone on with" in words(response)
    again(session, item)
    assert item.status == Status.IN_PROGRESS


def test_a_checklist_is_worked_through_without_javascript(
    client: FlaskClient, cast: Cast, item: ActionItem, session: Session
) -> None:
    sign_in(client, cast.omar)
    base = f"/actions/{item.id}/checklist"
    for text in ("Ask the carrier", "Write to support", "Look again"):
        assert client.post(base, data={"text": text}).location == f"/actions/{item.id}#checklist"
    first, second, third = session.scalars(select(ChecklistEntry.id).order_by(ChecklistEntry.id))
    session.commit()
    client.post(f"{base}/{second}/done", data={"done": "1"})
    client.post(f"{base}/{third}/move", data={"step": "up"})
    client.post(f"{base}/{first}/text", data={"text": "Ask both carriers", "was": "Ask the carrier"})
    response = client.get(f"/actions/{item.id}")
    page = words(response)
    assert "Checklist 1 of 3 done" in page
    assert page.index("☐ Ask both carriers") < page.index("☐ Look again") < page.index("☑ Write to support")
    assert 'role="checkbox" aria-checked="true"' in response.get_data(as_text=True)
    assert "Entry before: Ask the carrier → now: Ask both carriers" in page
    page = words(client.get(f"/actions/{item.id}/close"))
    assert "2 entries of the checklist are still open. You can close it all the same. Ask both carriers Look" in page
    client.post(f"{base}/{second}/done", data={"done": "0"})
    client.post(f"{base}/{third}/delete")
    page = words(client.get(f"/actions/{item.id}"))
    assert "Checklist 0 of 2 done" in page
    assert "Checklist: deleted “Look again”." in page
    typed = {"outcome": "fixed", "done": "a", "root_cause": "b", "statement": "c"}
    assert client.post(f"/actions/{item.id}/close", data=typed).status_code == 302, "open entries forbid nothing"


def test_a_bad_entry_comes_back_with_what_was_typed(
    client: FlaskClient, cast: Cast, item: ActionItem, session: Session, make: Make
) -> None:
    entry = checklist.add(session, item, "Ask Maya", cast.omar, make.now)
    session.commit()
    sign_in(client, cast.omar)
    base = f"/actions/{item.id}/checklist"
    response = client.post(base, data={"text": "x" * 301})
    assert response.status_code == 400
    assert "Enter at most 300 characters." in words(response)
    assert "x" * 301 in response.get_data(as_text=True)
    response = client.post(f"{base}/{entry.id}/text", data={"text": "", "was": "Ask Maya"})
    assert response.status_code == 400
    assert "Enter what is to be done." in words(response)


def test_an_entry_renamed_or_deleted_meanwhile_keeps_what_the_second_one_typed(
    client: FlaskClient, cast: Cast, item: ActionItem, session: Session, make: Make
) -> None:
    entry = checklist.add(session, item, "Ask Maya", cast.omar, make.now)
    session.commit()
    sign_in(client, cast.omar)
    base = f"/actions/{item.id}/checklist/{entry.id}"
    client.post(f"{base}/text", data={"text": "Ask Ada", "was": "Ask Maya"})
    response = client.post(f"{base}/text", data={"text": "Ask Vera", "was": "Ask Maya"})
    assert response.status_code == 409
    assert "It reads now: “Ask Ada”. Send yours again if it is to stand instead." in words(response)
    assert 'value="Ask Vera"' in response.get_data(as_text=True)
    assert 'name="was" value="Ask Ada"' in response.get_data(as_text=True), "sent again, it is meant"
    client.post(f"{base}/delete")
    response = client.post(f"{base}/text", data={"text": "Ask Vera", "was": "Ask Ada"})
    assert response.status_code == 409
    assert "is gone: somebody deleted it. Add yours as a new one" in words(response)
    assert 'value="Ask Vera"' in response.get_data(as_text=True)
    for verb in ("done", "move", "delete"):
        response = client.post(f"{base}/{verb}", follow_redirects=True)
        assert "is gone: somebody deleted it" in words(response)


def test_htmx_gets_the_checklist_alone(client: FlaskClient, cast: Cast, item: ActionItem, session: Session) -> None:
    sign_in(client, cast.omar)
    headers = {"HX-Request": "true"}
    response = client.post(f"/actions/{item.id}/checklist", data={"text": "Ask"}, headers=headers)
    assert response.get_data(as_text=True).lstrip().startswith('<section class="panel" id="checklist"')
    assert "autofocus" in response.get_data(as_text=True), "the next one is typed at once"
    response = client.post(f"/actions/{item.id}/checklist", data={"text": ""}, headers=headers)
    assert (response.status_code, "Enter what is to be done." in words(response)) == (200, True)
    response = client.post(f"/actions/{item.id}/checklist/999/done", data={"done": "1"}, headers=headers)
    assert (response.status_code, response.headers["HX-Redirect"]) == (204, f"/actions/{item.id}")


def test_links_are_added_and_deleted(client: FlaskClient, cast: Cast, item: ActionItem, session: Session) -> None:
    sign_in(client, cast.omar)
    typed = {"url": "https://tracker.example/42", "title": "<Form>", "kind": "tracker"}
    assert client.post(f"/actions/{item.id}/links", data=typed).location == f"/actions/{item.id}#links"
    response = client.get(f"/actions/{item.id}")
    assert "https://tracker.example/42" in targets(response)
    assert "Links <Form> issue · Omar" in words(response)
    assert 'rel="noopener noreferrer nofollow"' in response.get_data(as_text=True)
    link = session.scalars(select(ItemLink)).one()
    session.commit()
    page = words(client.post(f"/actions/{item.id}/links/{link.id}/delete", follow_redirects=True))
    assert "Deleted the link “<Form>”." in page
    page = words(client.post(f"/actions/{item.id}/links/{link.id}/delete", follow_redirects=True))
    assert "That link is gone" in page


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"url": "javascript:alert(1)"}, "Enter an address that begins with https://"),
        ({"url": ""}, "Enter an address."),
        ({"title": "x" * 201}, "Enter a title of at most 200 characters."),
        ({"kind": "odd"}, "Not a valid choice"),
    ],
)
def test_a_bad_link_is_refused_and_kept_in_the_form(
    client: FlaskClient, cast: Cast, item: ActionItem, session: Session, wrong: dict[str, str], message: str
) -> None:
    sign_in(client, cast.omar)
    typed = {"url": "https://a.example/1", "title": "Kept", "kind": "tracker"} | wrong
    response = client.post(f"/actions/{item.id}/links", data=typed)
    assert response.status_code == 400
    assert message in words(response)
    assert f'value="{typed["title"]}"' in response.get_data(as_text=True)
    assert session.scalar(select(func.count()).select_from(ItemLink)) == 0


def test_whoever_reads_can_watch_and_stop(client: FlaskClient, cast: Cast, item: ActionItem, session: Session) -> None:
    sign_in(client, cast.vera)
    assert "You watch nothing that fits." in words(client.get("/actions?scope=watching"))
    page = words(client.post(f"/actions/{item.id}/watch", data={"watch": "1"}, follow_redirects=True))
    assert "Who watches Vera Stop watching" in page
    client.post(f"/actions/{item.id}/watch", data={"watch": "1"})
    assert "Parcel never came" in words(client.get("/actions?scope=watching"))
    assert "Parcel never came" not in words(client.get("/actions?scope=watching&status=waiting"))
    page = words(client.post(f"/actions/{item.id}/watch", data={"watch": "0"}, follow_redirects=True))
    assert "Who watches Nobody." in page
    assert client.post("/actions/999/watch").status_code == 404


def test_only_leads_let_others_watch(app: Flask, cast: Cast, item: ActionItem, session: Session) -> None:
    owner, lead = app.test_client(), app.test_client()
    sign_in(owner, cast.omar)
    sign_in(lead, cast.lena)
    assert "Let somebody else watch" not in words(owner.get(f"/actions/{item.id}"))
    assert owner.post(f"/actions/{item.id}/watchers", data={"person": cast.vera.id}).status_code == 403
    page = words(lead.post(f"/actions/{item.id}/watchers", data={"person": cast.vera.id}, follow_redirects=True))
    assert "Vera watches it now." in page
    for odd in ("", "x", "999", str(10**30)):
        page = words(lead.post(f"/actions/{item.id}/watchers", data={"person": odd}, follow_redirects=True))
        assert "Choose who is to watch it." in page
    assert session.scalars(select(Watcher.user_id)).all() == [cast.vera.id]


def test_mentions_tell_and_unknown_ones_are_said(
    client: FlaskClient, cast: Cast, item: ActionItem, session: Session
) -> None:
    sign_in(client, cast.omar)
    page = words(client.get(f"/actions/{item.id}"))
    assert "@Lena Lena, Delivery" in page
    response = client.post(
        f"/actions/{item.id}/comments", data={"comment": "@Lena, or @Nobody?"}, follow_redirects=True
    )
    page = words(response)
    assert "Nobody here is called “@Nobody”. The comment stands as you wrote it." in page
    assert "Omar @Lena, or @Nobody?" in page
    notice = session.scalars(select(Notice)).one()
    assert (notice.user_id, notice.kind, notice.is_urgent) == (cast.lena.id, "mention", False)
    session.commit()
    assert "@Lena Lena, Delivery" in words(client.post(f"/actions/{item.id}/comments", data={"comment": ""}))


def test_an_assignment_says_why(client: FlaskClient, cast: Cast, item: ActionItem) -> None:
    sign_in(client, cast.omar)
    typed = {"team": str(cast.delivery.id), "owner": str(cast.lena.id), "due": "", "why": "She knows the carrier."}
    page = words(client.post(f"/actions/{item.id}/assignment", data=typed, follow_redirects=True))
    assert "Assigned to Delivery, Lena. She knows the carrier." in page
    response = client.post(f"/actions/{item.id}/assignment", data=typed)
    assert response.status_code == 400, "why nothing changes belongs nowhere"
    assert "Write this as a comment instead." in words(response)


def test_several_meant_by_one_mention_are_said(
    client: FlaskClient, cast: Cast, item: ActionItem, make: Make, session: Session
) -> None:
    make.user("Kim Ek")
    make.user("Kim Oh")
    session.commit()
    sign_in(client, cast.omar)
    response = client.post(f"/actions/{item.id}/comments", data={"comment": "@Kim?"}, follow_redirects=True)
    assert "Several people are meant by “@Kim”" in words(response)
    assert session.scalars(select(Notice)).all() == []


def test_the_history_is_filtered_by_kind(
    client: FlaskClient, cast: Cast, item: ActionItem, make: Make, session: Session
) -> None:
    service.assign(session, item, cast.delivery, cast.omar, cast.lena, make.now)
    service.add_comment(session, item, "Asked them.", cast.omar, make.now)
    make.statement(item.complaint, "Wet through.", said_at=make.now + timedelta(hours=1))
    session.commit()
    sign_in(client, cast.vera)

    def shown(query: str) -> set[str]:
        page = words(client.get(f"/actions/{item.id}{query}")).partition("History")[2]
        return {text for text in ("Assigned to", "Asked them.", "Wet through.") if text in page}

    assert shown("") == shown("?history=odd") == {"Assigned to", "Asked them.", "Wet through."}
    assert shown("?history=comments") == {"Asked them."}
    assert shown("?history=changes") == {"Assigned to"}
    assert shown("?history=customers") == {"Wet through."}
    page = words(client.get(f"/actions/{item.id}"))
    assert "Lena Assigned to Delivery, Omar. Status before: new → now: triaged Owner before: nobody yet" in page
    assert "a customer said it again Wet through." in page


def test_viewers_and_other_teams_see_it_all_and_change_nothing(
    app: Flask, cast: Cast, item: ActionItem, make: Make, session: Session
) -> None:
    entry = checklist.add(session, item, "Ask", cast.omar, make.now)
    link = links.add(session, item, "https://a.example", "Log", LinkKind.ATTACHMENT, cast.omar, make.now)
    session.commit()
    before = session.scalar(select(func.count()).select_from(ActionEvent))
    session.commit()
    for user in (cast.olga, cast.vera):
        client = app.test_client()
        sign_in(client, user)
        page = words(client.get(f"/actions/{item.id}"))
        assert "Checklist 0 of 1 done ☐ Open: Ask" in page
        assert "Log" in page
        for unseen in ("Add a link", "What is to be done", "Delete", "Add comment"):
            assert unseen not in page
        for path in (
            "wait", "go-on", "checklist", f"checklist/{entry.id}/done", f"checklist/{entry.id}/text",
            f"checklist/{entry.id}/move", f"checklist/{entry.id}/delete", "links", f"links/{link.id}/delete",
        ):  # fmt: skip
            typed = {"text": "x", "url": "https://b.example", "kind": "tracker", "what_for": "x", "done": "1"}
            assert client.post(f"/actions/{item.id}/{path}", data=typed).status_code == 403, path
        assert client.get(f"/actions/{item.id}/wait").status_code == 403
    assert session.scalar(select(func.count()).select_from(ActionEvent)) == before


def test_the_page_of_an_item_asks_little_however_much_stands_on_it(
    client: FlaskClient, cast: Cast, item: ActionItem, make: Make, session: Session, engine: Engine
) -> None:
    sign_in(client, cast.lena)
    counts = []
    make.closure(item, cast.omar)
    for number in range(2):
        for step in range(4):
            checklist.add(session, item, f"{number} {step}", cast.omar, make.now)
            links.add(session, item, f"https://a.example/{number}/{step}", "", LinkKind.TRACKER, cast.omar, make.now)
            user = make.user(f"Una {number} {step}", email=f"u{number}{step}@fernhill.example")
            watching.watch(session, item, [user.id], make.now)
            service.add_comment(session, item, "Hm", user, make.now)
            make.statement(item.complaint, customer=make.customer(), said_at=make.now + timedelta(days=1))
        session.commit()
        with counted(engine) as sent:
            assert client.get(f"/actions/{item.id}").status_code == 200
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert counts[1] <= 20, counts


def test_exports_write_the_new_statuses_and_what_is_waited_for(
    cast: Cast, item: ActionItem, make: Make, session: Session
) -> None:
    item.status = Status.IN_PROGRESS
    service.wait(session, item, "=an offer", cast.omar, utc_now())
    session.commit()
    header, row = list(lines(session, "actions"))
    assert dict(zip(header, row, strict=True))["status"] == "waiting"
    assert dict(zip(header, row, strict=True))["waiting_for"] == "'=an offer", "no formula"
    header, row = list(lines(session, "complaints"))
    assert dict(zip(header, row, strict=True))["action_status"] == "waiting"


def test_the_form_says_until_when_an_item_can_be_due(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    session.commit()
    sign_in(client, cast.lena)
    typed = {"team": str(cast.payments.id), "owner": "", "due": "9999-12-31"}
    response = client.post(f"/actions/{item.id}/assignment", data=typed)
    assert response.status_code == 400
    assert "a due date lies at most 5 years ahead." in words(response)
    assert 'value="9999-12-31"' in response.get_data(as_text=True)
    again(session, item)
    assert (item.due_at, item.team_id) == (None, cast.delivery.id), "nothing was saved"
