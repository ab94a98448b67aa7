"""Settings: No mail to, Inbound mail, Replies."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from feedback_loop.inbound.models import InboundMail, InboundPoll, Lift
from feedback_loop.inbound.reading import Kind
from feedback_loop.inbound.service import secret
from feedback_loop.notifications.models import Cause, Notification, NotificationState, Scope, Suppression
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.inbound import mails
from tests.inbound.conftest import Take
from tests.pages import links, words

Back = Callable[[Notification], str]


@pytest.fixture
def lena(client: FlaskClient, cast: Cast) -> FlaskClient:
    """A lead, signed in."""
    sign_in(client, cast.lena)
    return client


def addresses(session: Session) -> list[str]:
    found = list(session.scalars(select(Suppression.address).order_by(Suppression.id)))
    session.commit()
    return found


def test_an_empty_list_says_so(lena: FlaskClient) -> None:
    page = words(lena.get("/settings/no-mail"))
    assert "Mails go to everybody." in page
    assert "Nothing came in." in words(lena.get("/settings/inbound"))
    assert "No reply waits." in words(lena.get("/settings/replies"))
    assert "None is done yet." in words(lena.get("/settings/replies?show=done"))


def test_the_list_says_why_since_when_and_because_of_which_mail(
    lena: FlaskClient, make: Make, cast: Cast, now: datetime
) -> None:
    session = make.session
    item = make.raised_item(1, cast.delivery)
    make.closure(item, cast.omar)
    row = session.scalars(select(Notification)).one()
    bounced = {"scope": Scope.EVERYTHING, "cause": Cause.BOUNCED, "because_of": row}
    suppress(session, "maya@example.com", "Came back: 5.1.1 unknown", now, **bounced)  # type: ignore[arg-type]
    suppress(session, "noor@example.com", "Unsubscribed by a link in a mail.", now)
    session.commit()
    answer = lena.get("/settings/no-mail")
    page = words(answer)
    assert "Mails come back Came back: 5.1.1 unknown Every mail 12 Oct 2026 a closing" in page
    assert "2 addresses" in page
    assert f"/actions/{item.id}" in links(answer)
    assert "noor@example.com" not in words(lena.get("/settings/no-mail?cause=bounced"))
    assert "maya@example.com" not in words(lena.get("/settings/no-mail?scope=feedback"))
    assert "maya@example.com" not in words(lena.get("/settings/no-mail?q=NOOR@"))
    assert "No such address" in words(lena.get("/settings/no-mail?q=%25"))
    assert lena.get("/settings/no-mail?cause=x&scope=y&after=~&q=%00").status_code == 200


def test_a_long_list_is_turned_by_its_last_row_and_exported_whole(
    lena: FlaskClient, session: Session, now: datetime
) -> None:
    rows = [
        {"address": f"p{n}@example.com", "reason": "=1+1", "created_at": now - timedelta(minutes=n // 2)}
        for n in range(120)
    ]
    session.execute(insert(Suppression), rows)
    session.commit()
    seen, url = [], "/settings/no-mail"
    while url:
        answer = lena.get(url)
        found = [each for each in words(answer).split() if each.endswith("@example.com")]
        seen += list(dict.fromkeys(found))
        url = next((each for each in links(answer) if "after=" in each), "")
    assert sorted(seen) == sorted({row["address"] for row in rows})
    assert len(seen) == 120
    answer = lena.get("/settings/no-mail.csv?q=p1")
    lines = list(csv.reader(io.StringIO(answer.get_data(as_text=True))))
    assert lines[0] == ["address", "since", "cause", "scope", "reason"]
    assert len(lines) == 1 + sum("p1" in str(row["address"]) for row in rows)
    assert lines[1][4] == "'=1+1"


def test_an_address_is_added_by_hand_once(lena: FlaskClient, session: Session, cast: Cast) -> None:
    form = {"address": "Maya@Example.com", "scope": "everything", "reason": "Asked by phone."}
    assert lena.post("/settings/no-mail", data=form).status_code == 302
    row = session.scalars(select(Suppression)).one()
    assert (row.address, row.scope, row.cause) == ("maya@example.com", Scope.EVERYTHING, Cause.BY_HAND)
    assert (row.reason, row.by_id) == ("Asked by phone.", cast.lena.id)
    session.commit()
    again = lena.post("/settings/no-mail", data=form)
    assert (again.status_code, "gets no such mail already" in words(again)) == (400, True)
    bad = lena.post("/settings/no-mail", data={"address": "maya", "scope": "feedback", "reason": ""})
    assert "Enter a whole address" in words(bad)
    assert "Enter why" in words(bad)
    assert addresses(session) == ["maya@example.com"]


def test_lifting_asks_and_keeps_who_did_it(lena: FlaskClient, session: Session, cast: Cast, now: datetime) -> None:
    suppress(session, "maya@example.com", "Unsubscribed by a link in a mail.", now)
    session.commit()
    url = next(each for each in links(lena.get("/settings/no-mail")) if each.endswith("/lift"))
    assert "only if they have told you since that they want it" in words(lena.get(url))
    assert lena.post(url, data={"why": ""}).status_code == 400
    assert addresses(session) == ["maya@example.com"]
    assert lena.post(url, data={"why": "She wrote to us."}).status_code == 302
    lifted = session.scalars(select(Lift)).one()
    assert (lifted.address, lifted.by_id, lifted.cause) == ("maya@example.com", cast.lena.id, Cause.ASKED)
    session.commit()
    assert addresses(session) == []
    assert "She wrote to us. Lena" in words(lena.get("/settings/no-mail"))
    assert lena.post(url, data={"why": "again"}).status_code == 302
    assert lena.get(url).status_code == 404


def test_owners_see_none_of_it(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.omar)
    for path in ("/settings/no-mail", "/settings/no-mail.csv", "/settings/inbound", "/settings/replies"):
        assert client.get(path).status_code == 403


def test_the_health_of_inbound_mail_is_on_a_page(
    client: FlaskClient, cast: Cast, make: Make, come_in: Take, settings: Settings, now: datetime, back: Back
) -> None:
    session = make.session
    row = make.sent(make.notification("demo:1"))
    to = back(row)
    come_in(mails.reply(to))
    come_in(b"From: Ann <ann@example.com>\nSubject: What is this?\n\nhello")
    session.add(InboundPoll(id=1, polled_at=now, failure="imap.example:993: refused"))
    session.commit()
    sign_in(client, cast.lena)
    page = words(client.get("/settings/inbound"))
    assert "ann@example.com What is this? It belongs to no mail of ours." in page
    assert "hello" not in page
    assert secret(settings) not in client.get("/settings/inbound").get_data(as_text=True)
    client.post("/sign-out")
    sign_in(client, cast.ada)
    assert secret(settings) in client.get("/settings/inbound").get_data(as_text=True)


def test_a_reply_waits_until_somebody_is_done_with_it(
    lena: FlaskClient, make: Make, cast: Cast, come_in: Take, back: Back
) -> None:
    row = make.sent(make.notification("demo:1"))
    come_in(mails.gmail(back(row), "Where is my parcel?", attachment=b"\xff" * 99))
    answer = lena.get("/settings/replies")
    assert "Where is my parcel? 1 attachment was not kept. Maya Lind" in words(answer)
    url = next(each for each in links(answer) if each.endswith("/done"))
    assert lena.post(url).status_code == 302
    assert "Where is my parcel?" not in words(lena.get("/settings/replies"))
    assert "done by Lena" in words(lena.get("/settings/replies?show=done"))
    assert lena.post(url).status_code == 302
    assert lena.post("/settings/replies/999/done").status_code == 404
    kept = make.session.scalars(select(InboundMail)).one()
    assert (kept.kind, kept.done_by_id) == (Kind.REPLY, cast.lena.id)


def test_a_reply_stands_in_the_history_of_its_item(
    lena: FlaskClient, make: Make, cast: Cast, come_in: Take, back: Back
) -> None:
    item = make.raised_item(1, cast.delivery)
    make.closure(item, cast.omar)
    row = make.sent(make.session.scalars(select(Notification)).one())
    come_in(mails.gmail(back(row), "Mine came without.", attachment=b"\xff" * 99))
    page = words(lena.get(f"/actions/{item.id}"))
    assert "a customer, by mail Mine came without. 1 attachment was not kept." in page
    assert "Mine came without." in words(lena.get(f"/actions/{item.id}?history=customers"))
    assert "Mine came without." not in words(lena.get(f"/actions/{item.id}?history=changes"))


def test_a_mail_that_came_back_is_named_on_the_pages_of_its_run(
    lena: FlaskClient, make: Make, cast: Cast, come_in: Take, back: Back
) -> None:
    item = make.raised_item(2, cast.delivery)
    make.closure(item, cast.omar)
    rows = list(make.session.scalars(select(Notification).order_by(Notification.id)))
    for row in rows:
        make.sent(row)
    come_in(mails.dsn(back(rows[0])))
    make.session.refresh(rows[0])
    assert rows[0].state == NotificationState.BOUNCED
    make.session.commit()
    run = words(lena.get(f"/actions/{item.id}/run"))
    assert "1 of 2 people told" in run
    assert "Came back 1" in run
    people = words(lena.get(f"/actions/{item.id}/run/people?show=back"))
    assert "550 5.1.1 no such person here" in people
    assert "Customer 0" in people
    assert "Customer 1" not in people
    customer = rows[0].recipient.partition(":")[2]
    assert "came back" in words(lena.get(f"/actions/{item.id}/run/people/{customer}"))
    told = words(lena.get(f"/actions/{item.id}/notifications?state=bounced"))
    assert "Not told, the mail came back" in told
    assert "1 person is not told: the mail to them came back." in words(lena.get(f"/actions/{item.id}"))


HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)> "><b>&amp;'


def test_what_strangers_write_is_text_on_every_screen(
    lena: FlaskClient, make: Make, cast: Cast, come_in: Take, back: Back, settings: Settings, now: datetime
) -> None:
    item = make.raised_item(1, cast.delivery)
    make.closure(item, cast.omar)
    row = make.sent(make.session.scalars(select(Notification)).one())
    row.name = HOSTILE
    demo = make.sent(make.notification("demo:1", name=HOSTILE))
    come_in(mails.reply(back(row), HOSTILE))
    come_in(mails.reply(back(demo), HOSTILE, message_id="<d@example.com>"))
    come_in(mails.dsn(back(row), diagnostic=f"smtp; 550 5.1.1 {HOSTILE}", message_id="<b@example.com>"))
    come_in(
        mails.reply("loop+1.0123456789abcdef@fernhill.example", subject=HOSTILE, in_reply_to="", message_id="<n@x.y>")
    )
    pages = (
        f"/actions/{item.id}", f"/actions/{item.id}/run", f"/actions/{item.id}/run/people?show=back",
        f"/actions/{item.id}/notifications", "/settings/no-mail", "/settings/inbound", "/settings/replies",
    )  # fmt: skip
    for page in pages:
        text = lena.get(page).get_data(as_text=True)
        assert "<img src=x" not in text, page
        assert "<script>alert" not in text, page
    for page in (pages[0], *pages[4:]):
        assert "onerror=alert(2)" in lena.get(page).get_data(as_text=True), page
