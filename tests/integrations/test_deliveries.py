"""What happens is owed to whoever asked for it, signed, sent once it can be, and never in the way of others."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.actions.models import NotificationRun, Outcome, RunState
from feedback_loop.actions.service import assign, take_on, verify
from feedback_loop.actions.triage import service as triaging
from feedback_loop.complaints.models import Spike
from feedback_loop.db import Sessions
from feedback_loop.followups.models import Fixed
from feedback_loop.followups.service import record
from feedback_loop.integrations import payloads, service
from feedback_loop.integrations.catalogue import EVENTS
from feedback_loop.integrations.models import Delivery, DeliveryState, Endpoint
from feedback_loop.notifications.models import Notification
from feedback_loop.pipeline import Context
from feedback_loop.settings import Settings
from tests.factories import Cast, Make
from tests.integrations.conftest import Adding, Clock
from tests.integrations.servers import Asked, Reply, Server, serving


def deliver(context: Context) -> int:
    pipeline.find_events(context)
    return pipeline.call_out(context)


def types(server: Server) -> list[str]:
    return [each.json["type"] for each in server.asked]


def rows(session: Session) -> list[Delivery]:
    found = list(session.scalars(select(Delivery).order_by(Delivery.id).execution_options(populate_existing=True)))
    session.commit()
    return found


def test_the_whole_loop_is_heard(
    context: Context, make: Make, cast: Cast, session: Session, settings: Settings, add: Adding, other: Server
) -> None:
    add(other.url)
    survey = make.survey("returns")
    make.answer("The parcel never came.", survey, make.customer())
    item = make.raised_item(2, cast.delivery)
    session.add(
        Spike(
            complaint_id=item.complaint_id, started_at=make.now, last_at=make.now, statements=9, expected=1.0, z=5.0,
            reason="9 instead of 1.",
        )
    )  # fmt: skip
    assign(session, item, cast.payments, None, cast.lena, make.now)
    take_on(session, item, cast.olga, make.now)
    closure = make.closure(item, cast.olga)
    told = session.scalars(select(Notification).order_by(Notification.id)).first()
    assert told is not None
    record(session, make.sent(told), Fixed.NO, "Still lost.", make.now, settings)
    session.scalars(select(NotificationRun).where(NotificationRun.closure_id == closure.id)).one().state = RunState.DONE
    confirmed = make.raised_item(1, cast.delivery, "Box soaked")
    make.closure(confirmed, cast.omar)
    verify(session, confirmed, "They say so.", make.now)
    session.commit()
    deliver(context)
    heard = types(other)
    # "opened", "triaged" and "waiting" are written by steps that this test does not run.
    assert set(heard) == set(EVENTS) - {"item.opened", "item.triaged", "item.waiting"}
    closed = next(each.json for each in other.asked if each.json["type"] == "item.closed")
    assert closed["data"]["item"]["status"] == "reopened", "an item is told of as it is when the event is sent"
    assert closed["timestamp"] == "2026-10-12T09:30:00Z"
    assert closed["data"]["closing"]["statement"] == "Parcels now carry two labels."
    assert closed["data"]["item"]["url"] == f"http://localhost/actions/{item.id}"
    assert closed["data"]["complaint"]["number"] == item.complaint.number
    assert closed["data"]["by"] == "Olga"
    said = next(each.json for each in other.asked if each.json["type"] == "follow_up.answered")
    assert said["data"]["follow_up"]["fixed"] == "no"
    session.commit()
    assert deliver(context) == 0, "looking again owes nothing twice"


def test_every_decision_of_triage_is_heard(
    context: Context, make: Make, cast: Cast, session: Session, add: Adding, other: Server
) -> None:
    add(other.url, "item.triaged")
    given, put_off, same, none = (make.raised_item(1, cast.delivery, f"Problem {n}") for n in range(4))
    triaging.triage(session, given, cast.payments, None, cast.lena, make.now)
    triaging.snooze(session, put_off, make.now + timedelta(days=3), cast.lena, make.now)
    triaging.merge(session, same, given.complaint, cast.lena, make.now)
    triaging.dismiss(session, none, cast.lena, make.now)
    session.commit()
    deliver(context)
    assert types(other) == ["item.triaged"] * 4
    begins = [each.json["data"]["text"].partition(" ")[0] for each in other.asked]
    assert sorted(begins) == ["Assigned", "Dismissed", "Merged", "Snoozed"]


def test_what_is_sent_is_signed_as_standard_webhooks_says(
    context: Context, make: Make, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    add(other.url, "complaint.created")
    make.complaint()
    session.commit()
    assert deliver(context) == 1
    asked = other.asked[0]
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    key = base64.b64decode(add.secrets[0].removeprefix("whsec_"))
    assert 24 <= len(key) <= 64
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert asked.headers["webhook-signature"] == expected
    assert int(asked.headers["webhook-timestamp"]) == int(clock.now.timestamp())
    assert "." not in asked.headers["webhook-id"]
    assert asked.headers["content-type"] == "application/json"


def test_two_secrets_sign_while_one_takes_over(
    context: Context, make: Make, session: Session, settings: Settings, add: Adding, other: Server, clock: Clock
) -> None:
    endpoint = add(other.url, "complaint.created")
    new = service.rotate(endpoint, clock.now, settings)
    make.complaint()
    session.commit()
    deliver(context)
    clock.forward(hours=25)
    make.now = clock.now
    make.complaint("Another")
    session.commit()
    deliver(context)
    both, one = (each.headers["webhook-signature"].split(" ") for each in other.asked)
    assert (len(both), len(one)) == (2, 1)
    assert new != add.secrets[0]


def test_nothing_is_sent_of_what_happened_before(
    context: Context, make: Make, session: Session, add: Adding, other: Server
) -> None:
    make.now -= timedelta(minutes=1)
    make.complaint("Old")
    session.commit()
    add(other.url)
    make.now += timedelta(minutes=1)
    make.complaint("New")
    session.commit()
    deliver(context)
    assert [each.json["data"]["complaint"]["name"] for each in other.asked] == ["New"]


def test_an_endpoint_hears_only_of_what_it_asked_for(
    context: Context, make: Make, cast: Cast, session: Session, add: Adding, other: Server
) -> None:
    add(other.url, "item.taken_on")
    take_on(session, make.raised_item(1, cast.delivery), cast.omar, make.now)
    session.commit()
    deliver(context)
    assert types(other) == ["item.taken_on"]


def test_rows_that_commit_in_another_order_than_their_ids_are_all_heard(
    context: Context, make: Make, session: Session, add: Adding, other: Server
) -> None:
    add(other.url, "complaint.created")
    late = make.complaint("Late", id=40)
    session.expunge(late)
    session.rollback()
    make.complaint("Early", id=41)
    session.commit()
    deliver(context)
    make.complaint("Late", id=40)
    session.commit()
    deliver(context)
    assert [each.json["data"]["complaint"]["name"] for each in other.asked] == ["Early", "Late"]


def test_a_dead_endpoint_holds_up_no_other_and_costs_one_request_at_a_time(
    context: Context, make: Make, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    def down(_asked: Asked) -> Reply:
        return 503, {}, b"maintenance"

    with serving(Server(down)) as dead:
        add(dead.url, "complaint.created", name="Dead")
        add(other.url, "complaint.created")
        for number in range(30):
            make.complaint(f"Problem {number}")
        session.commit()
        assert deliver(context) == 30
        assert len(other.asked) == 30
        assert len(dead.asked) == 1, "after the first refusal it is left alone"
        assert deliver(context) == 0
        clock.forward(minutes=3)
        deliver(context)
        assert len(dead.asked) == 2
        failing = session.scalars(select(Endpoint).where(Endpoint.name == "Dead")).one()
        assert failing.failures == 2
        first = next(each for each in rows(session) if each.endpoint_id == failing.id and each.attempts)
        assert (first.code, first.answer, first.reason) == (503, "maintenance", "It answered 503.")
        dead.answer = lambda _asked: (200, {}, b"")
        clock.forward(minutes=20)
        assert deliver(context) == 30
    again = session.scalars(select(Endpoint).where(Endpoint.name == "Dead")).one()
    session.refresh(again)
    assert (again.failures, again.failing_since) == (0, None)
    session.commit()


def test_an_event_that_is_refused_does_not_stop_those_behind_it(
    context: Context, make: Make, session: Session, add: Adding, other: Server
) -> None:
    def picky(asked: Asked) -> Reply:
        return (422 if asked.json["data"]["complaint"]["name"] == "Bad" else 200), {}, b""

    other.answer = picky
    add(other.url, "complaint.created")
    make.complaint("Bad")
    make.complaint("Good")
    session.commit()
    assert deliver(context) == 1
    assert [each.state for each in rows(session)] == [DeliveryState.PENDING, DeliveryState.SENT]


def test_a_server_that_says_when_is_asked_then(
    context: Context, make: Make, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    other.answer = lambda _asked: (429, {"Retry-After": "1800"}, b"")
    add(other.url, "complaint.created")
    make.complaint()
    session.commit()
    deliver(context)
    clock.forward(minutes=29)
    deliver(context)
    assert len(other.asked) == 1
    clock.forward(minutes=2)
    other.answer = lambda _asked: (204, {}, b"")
    assert deliver(context) == 1


def test_after_three_days_a_delivery_is_given_up_and_can_be_replayed(
    context: Context, make: Make, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    other.answer = lambda _asked: (400, {}, b"no")
    endpoint = add(other.url, "complaint.created")
    make.complaint()
    session.commit()
    deliver(context)
    for _ in range(20):
        clock.forward(hours=10)
        deliver(context)
    row = rows(session)[0]
    assert row.state == DeliveryState.FAILED
    assert row.reason.startswith("Given up after 72 hours")
    tries = len(other.asked)
    other.answer = lambda _asked: (200, {}, b"")
    endpoint = session.get_one(Endpoint, endpoint.id, populate_existing=True)
    service.set_paused(endpoint, False, clock.now)
    assert service.replay_failed(session, endpoint, clock.now - timedelta(days=1), clock.now) == 0
    assert service.replay_failed(session, endpoint, clock.now - timedelta(days=30), clock.now) == 1
    session.commit()
    assert pipeline.call_out(context) == 1
    assert other.asked[-1].headers["webhook-id"] == other.asked[0].headers["webhook-id"], "known as the same"
    assert len(other.asked) == tries + 1
    row = rows(session)[0]
    service.replay(session, row, clock.now)
    session.commit()
    assert pipeline.call_out(context) == 1


def test_days_of_failure_turn_an_endpoint_off_and_tell_the_admins(
    context: Context, make: Make, cast: Cast, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    other.answer = lambda _asked: (500, {}, b"")
    endpoint = add(other.url, "complaint.created")
    for day in range(7):
        make.now = clock.now
        make.complaint(f"Problem {day}")
        session.commit()
        deliver(context)
        clock.forward(days=1)
    session.refresh(endpoint)
    assert endpoint.disabled_at is not None
    assert "Nothing has arrived for 5 days" in endpoint.disabled_why
    told = session.scalars(select(Notification).where(Notification.kind == "staff_endpoint")).all()
    assert [each.address for each in told] == [cast.ada.email]
    session.commit()
    asked = len(other.asked)
    deliver(context)
    assert len(other.asked) == asked


def test_a_slow_endpoint_gets_its_turn_and_leaves_the_others_theirs(
    context: Context, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    def slow(_asked: Asked) -> Reply:
        clock.forward(seconds=14)
        return 404, {}, b"no"

    with serving(Server(slow)) as tired:
        first, second = add(tired.url, name="Slow"), add(other.url)
        for _ in range(60):
            service.try_out(session, first, clock.now)
        session.commit()
        begun = clock.now
        assert pipeline.call_out(context) == 0
        assert clock.now - begun < timedelta(minutes=1)
        assert len(tired.asked) == 3
        assert sum(each.attempts for each in rows(session)) == 3, "what had to wait was not tried"
        service.try_out(session, second, clock.now)
        session.commit()
        assert pipeline.call_out(context) == 1
        assert clock.now - begun < timedelta(minutes=2)
        assert len({each.headers["webhook-id"] for each in tired.asked}) == 6, "the next turn is for the next ones"


@pytest.mark.parametrize("code", [500, 404])
def test_one_failure_after_a_quiet_time_turns_nothing_off(
    context: Context, make: Make, session: Session, add: Adding, other: Server, clock: Clock, code: int
) -> None:
    other.answer = lambda _asked: (code, {}, b"")
    endpoint = add(other.url, "complaint.created")
    make.complaint()
    session.commit()
    for _ in range(12):  # until it is given up
        deliver(context)
        clock.forward(hours=10)
    session.refresh(endpoint)
    assert endpoint.disabled_at is None
    clock.forward(days=9)
    make.now = clock.now
    make.complaint("Another")
    service.try_out(session, endpoint, clock.now)
    session.commit()
    deliver(context)
    session.refresh(endpoint)
    assert (endpoint.disabled_at, endpoint.failing_since) == (None, clock.now)
    session.commit()


def test_what_cannot_be_written_is_set_aside_and_the_rest_is_sent(
    context: Context,
    make: Make,
    session: Session,
    add: Adding,
    other: Server,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = add(other.url, "complaint.created")
    bad = make.complaint("Bad").id
    make.complaint("Good")
    session.commit()
    real = payloads.WRITERS["complaint"]

    def odd(own: Session, id: int, settings: Settings) -> payloads.Data | None:
        if id == bad:
            raise KeyError("odd")
        return real(own, id, settings)

    monkeypatch.setitem(payloads.WRITERS, "complaint", odd)
    assert deliver(context) == 1
    first, second = rows(session)
    assert (first.state, second.state) == (DeliveryState.FAILED, DeliveryState.SENT)
    assert first.reason.startswith("It could not be written")
    session.refresh(endpoint)
    assert endpoint.failures == 0
    monkeypatch.undo()
    service.replay(session, first, clock.now)
    session.commit()
    assert pipeline.call_out(context) == 1


def test_the_mail_about_it_names_the_endpoint_and_leads_to_it(
    context: Context, session: Session, add: Adding, other: Server, settings: Settings
) -> None:
    from feedback_loop.notifications.service import compose

    endpoint = add(other.url, "complaint.created", name="Warehouse")
    service.disable(session, endpoint, "Nothing has arrived for 5 days.", context.clock(), settings)
    session.flush()
    mail = compose(session.scalars(select(Notification)).one(), settings)
    session.rollback()
    assert mail.subject == "Webhook “Warehouse” was turned off"
    assert f"http://localhost/settings/webhooks/{endpoint.id}" in mail.text
    assert "Nothing has arrived for 5 days." in mail.html


def test_gone_means_gone(context: Context, make: Make, session: Session, add: Adding, other: Server) -> None:
    other.answer = lambda _asked: (410, {}, b"")
    endpoint = add(other.url, "complaint.created")
    make.complaint()
    session.commit()
    deliver(context)
    session.refresh(endpoint)
    assert endpoint.disabled_why == "It answered 410: it wants nothing more."
    session.commit()


def test_a_paused_endpoint_gets_later_what_happened_meanwhile(
    context: Context, make: Make, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    endpoint = add(other.url, "complaint.created")
    service.set_paused(endpoint, True, clock.now)
    make.complaint()
    session.commit()
    assert deliver(context) == 0
    assert other.asked == []
    session.refresh(endpoint)
    service.set_paused(endpoint, False, clock.now)
    session.commit()
    assert deliver(context) == 1


def test_of_an_answer_only_the_redacted_text_is_sent_and_nothing_once_it_is_erased(
    context: Context, make: Make, session: Session, add: Adding, other: Server
) -> None:
    add(other.url, "answer.received")
    survey, customer = make.survey("returns"), make.customer()
    raw = make.answer("Call me on 555 0199.", survey, customer)
    raw.redacted_at, raw.comment = None, None
    session.commit()
    assert deliver(context) == 0, "not before it is redacted"
    raw.redacted_at, raw.comment = make.now, "Call me on [phone]."
    erased = make.answer("Gone.", survey, customer)
    session.commit()
    pipeline.find_events(context)
    session.delete(erased)
    session.commit()
    assert pipeline.call_out(context) == 1
    said = other.asked[0].json["data"]
    assert said["answer"]["comment"] == "Call me on [phone]."
    assert said["answer"]["customer_id"] == customer.id
    assert said["survey"]["slug"] == "returns"
    left_out = [each for each in rows(session) if each.state == DeliveryState.SKIPPED]
    assert [each.reason for each in left_out] == ["What it was about has been erased."]


def test_answers_to_anonymous_surveys_say_only_their_day_and_come_when_it_is_over(
    context: Context, make: Make, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    add(other.url, "answer.received")
    survey = make.survey("nameless", is_anonymous=True)
    day = make.now.replace(hour=0, minute=0)
    for id in (-5, -900, -33):
        make.answer("Cold.", survey, said_at=day, id=id, context={"page": "/secret", "tags": "A"})
    session.commit()
    assert deliver(context) == 0
    clock.forward(hours=14)  # 23:30
    assert deliver(context) == 0
    clock.forward(hours=1)  # 00:30: the last answers may still be redacted
    assert deliver(context) == 0
    clock.forward(hours=1)
    assert deliver(context) == 3
    assert deliver(context) == 0
    for asked in other.asked:
        body = json.dumps(asked.json)
        assert asked.json["data"]["answer"] == {"score": 0, "comment": "Cold.", "answered_at": "2026-10-12"}
        assert asked.json["timestamp"] == "2026-10-12T00:00:00Z"
        assert "secret" not in body
    assert {each.created_at for each in rows(session)} == {clock.now}, "no row says when one came"


def test_a_worker_that_died_leaves_what_it_held_to_the_next(
    context: Context, make: Make, session: Session, add: Adding, other: Server, clock: Clock, sessions: Sessions
) -> None:
    add(other.url, "complaint.created")
    make.complaint()
    session.commit()
    pipeline.find_events(context)
    row = rows(session)[0]
    row.claimed_until, row.attempts, row.fence = clock.now + timedelta(minutes=5), 1, 1
    session.commit()
    assert pipeline.call_out(context) == 0
    clock.forward(minutes=6)
    assert pipeline.call_out(context) == 1


def test_old_entries_leave_the_log_and_are_not_owed_again(
    context: Context, make: Make, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    add(other.url, "complaint.created")
    make.complaint()
    session.commit()
    deliver(context)
    clock.forward(days=31)
    pipeline.tidy(context)
    assert rows(session) == []
    deliver(context)
    assert rows(session) == []


def test_a_test_event_says_that_nothing_happened(
    context: Context, session: Session, add: Adding, other: Server, clock: Clock
) -> None:
    endpoint = add(other.url, "complaint.created")
    service.try_out(session, endpoint, clock.now)
    session.commit()
    assert pipeline.call_out(context) == 1
    assert other.asked[0].json["type"] == "webhook.test"


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "https://user:x@hooks.example/", "https://192.168.0.1/"])
def test_an_address_inside_is_not_taken(add: Adding, session: Session, url: str) -> None:
    with pytest.raises(service.Refused):
        add(url)
    session.rollback()


def test_declined_closings_are_told_as_such(
    context: Context, make: Make, cast: Cast, session: Session, add: Adding, other: Server
) -> None:
    add(other.url, "item.closed")
    make.closure(make.raised_item(1, cast.delivery), cast.omar, Outcome.DECLINED)
    session.commit()
    deliver(context)
    assert other.asked[0].json["data"]["closing"]["outcome"] == "declined"
