"""A mailing from the list to its last reminder, with a set clock and a real mail server."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.app import create_app
from feedback_loop.db import Sessions, reading
from feedback_loop.pipeline import Context
from feedback_loop.responses.mailings import queries, service
from feedback_loop.responses.mailings.models import Mailing, MailingState
from feedback_loop.responses.mailings.reading import read_list
from feedback_loop.responses.mailings.service import Plan
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings
from tests.factories import Cast, Make
from tests.flows.test_loop import form_token
from tests.smtp import Sink, running, text_of

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ZONES = ("Europe/Berlin", "America/New_York", "")  # the last is the default, UTC


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Worker:
    """The two steps that matter here, minute by minute."""

    def __init__(self, sessions: Sessions, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        self.context = Context(settings, sessions, clock)

    def work(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            pipeline.ask(self.context)
            pipeline.send_mail(self.context)
            self.clock.now += MINUTE


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink


@pytest.fixture
def smtp(settings: Settings, sink: Sink) -> Settings:
    return replace(settings, smtp_port=sink.port, smtp_timeout=5, contact_limit=2)


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def worker(sessions: Sessions, smtp: Settings, clock: Clock) -> Worker:
    return Worker(sessions, smtp, clock)


@pytest.fixture
def customer(smtp: Settings, sessions: Sessions) -> FlaskClient:
    return create_app(smtp, sessions).test_client()


def started(session: Session, make: Make, cast: Cast, settings: Settings, plan: Plan, now: datetime) -> Mailing:
    rows = "".join(f"person{n}@example.com,Person {n},{ZONES[n % 3]}\n" for n in range(30))
    lines = read_list(io.StringIO(f"email,name,time_zone\n{rows}"), "people.csv", now)
    mailing = service.draft(session, make.survey("order-delivered"), plan, lines, cast.ada, now, settings)
    service.start(session, mailing, queries.review(session, mailing, now, settings).asked, now, settings)
    session.commit()
    return mailing


def number(mail: object) -> int:
    found = re.search(r"person(\d+)@", str(mail["To"]))  # type: ignore[index]
    assert found
    return int(found.group(1))


def reset(session: Session, mailing: Mailing) -> Mailing:
    session.refresh(mailing)
    session.commit()
    return mailing


def test_thirty_people_are_asked_by_their_own_clock_and_only_the_silent_ones_reminded(
    make: Make, cast: Cast, session: Session, sessions: Sessions, smtp: Settings, sink: Sink, worker: Worker,
    customer: FlaskClient, clock: Clock, now: datetime,
) -> None:  # fmt: skip
    # Two people hear of a closing before and while they are asked: with two mails in thirty days they had enough.
    told = [make.customer(f"Person {n}", f"person{n}@example.com") for n in (27, 28)]
    for person in told:
        make.sent(make.notification(event="closure:1", customer=person))
    make.sent(make.notification(event="closure:2", customer=told[0]))
    make.session.commit()
    # The pages go by the real clock, so the time to answer is long.
    plan = Plan(name="October", rate=4, reminders=1, remind_after_days=3, valid_days=365)
    mailing = started(session, make, cast, smtp, plan, now)

    # Half past nine in UTC: Berlin and the default zone are awake, New York sleeps until 13:00 UTC.
    worker.work(3)
    assert len(sink.mails) == 12, "four a minute"
    worker.work(30)
    assert {number(mail) % 3 for mail in sink.mails} == {0, 2}
    assert len(sink.mails) == 19, "twenty, without the one who had enough"
    clock.now = now.replace(hour=12, minute=59)
    worker.work(1)
    assert len(sink.mails) == 19
    worker.work(10)
    assert len(sink.mails) == 29
    with reading(sessions) as own:
        (left_out,) = queries.people(own, mailing, "not_asked", "", 1).rows
        assert left_out.recipient.email == "person27@example.com"
        assert left_out.reason == "Asked not again: 2 mails in the last 30 days."

    # One unsubscribes with the button of their mail program, three answer by the links in their mails.
    (first,) = sink.to("person0@example.com")
    unsubscribe = str(first["List-Unsubscribe"]).strip("<>").removeprefix("http://localhost")
    assert customer.post(unsubscribe, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    for person in (1, 2, 3):
        (mail,) = sink.to(f"person{person}@example.com")
        link = re.search(r"http://localhost(/i/\S+)\?score=no", text_of(mail))
        assert link
        page = customer.get(f"{link.group(1)}?score=no").get_data(as_text=True)
        assert f"Hello Person {person}," in page
        data = {"score": "no", "comment": "Late.", "form_token": form_token(page)}
        assert customer.post(link.group(1), data=data).status_code == 303

    # Three days later the others are reminded, each with the link they had, when it is day where they are.
    asked = list(sink.mails)
    clock.now = now + 3 * DAY - timedelta(hours=2)
    worker.work(60)
    assert len(sink.mails) == 29
    clock.now = now + 3 * DAY + timedelta(hours=5)
    worker.work(15)
    reminders = sink.mails[29:]
    assert all(str(mail["Subject"]).startswith("A reminder:") for mail in reminders)
    # Person 28 was told of a closing and asked, which makes two mails; their reminder is one too many.
    assert sorted(number(mail) for mail in reminders) == [n for n in range(30) if n not in (0, 1, 2, 3, 27, 28)]
    links = {number(mail): set(re.findall(r"/i/([\w-]+)", text_of(mail))) for mail in asked}
    for mail in reminders:
        assert set(re.findall(r"/i/([\w-]+)", text_of(mail))) == links[number(mail)]
    assert max(Counter(str(mail["To"]) for mail in sink.mails).values()) == 2

    worker.work(2)
    assert reset(session, mailing).state == MailingState.DONE
    with reading(sessions) as own:
        found = queries.progress(own, mailing)
        assert found.counts == {"answered": 3, "asked": 26, "waiting": 0, "not_asked": 1}
        assert found.reminders == 24
        assert {answer.customer.email for answer in own.scalars(select(Answer)) if answer.customer} == {
            f"person{n}@example.com" for n in (1, 2, 3)
        }
    assert len(sink.message_ids) == len(set(sink.message_ids))


def test_stopping_in_the_middle_sends_no_more_at_once(
    make: Make, cast: Cast, session: Session, smtp: Settings, sink: Sink, worker: Worker, clock: Clock, now: datetime
) -> None:
    mailing = started(session, make, cast, smtp, Plan(name="October", opens=0, closes=24, rate=5), now)
    worker.work(2)
    pipeline.ask(worker.context)  # five more are owed, not sent
    assert len(sink.mails) == 10
    assert service.stop(session, reset(session, mailing), clock.now) == 20
    session.commit()
    worker.work(20)
    clock.now += 10 * DAY
    worker.work(5)
    assert len(sink.mails) == 10


def test_a_worker_that_dies_between_owing_and_sending_loses_nobody_and_asks_nobody_twice(
    make: Make, cast: Cast, session: Session, smtp: Settings, sink: Sink, sessions: Sessions, worker: Worker,
    clock: Clock, now: datetime,
) -> None:  # fmt: skip
    started(session, make, cast, smtp, Plan(name="October", opens=0, closes=24, rate=10, reminders=0), now)
    pipeline.ask(worker.context)
    another = Worker(sessions, smtp, clock)  # the first never comes back
    clock.now += MINUTE
    another.work(6)
    assert Counter(number(mail) for mail in sink.mails) == dict.fromkeys(range(30), 1)
