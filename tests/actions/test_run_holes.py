"""Runs in the corners: taken back, undone at the last moment, merged, erased, and told by two at once."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from feedback_loop import mail
from feedback_loop.accounts.models import User
from feedback_loop.actions.audience.choosing import Reason
from feedback_loop.actions.audience.segments import inside
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.closing.usual import Scope, is_in
from feedback_loop.actions.models import ActionItem, NotificationRun, Outcome, RunPerson, RunState, Segment
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.runs import queries as runqueries
from feedback_loop.actions.runs import service as runs
from feedback_loop.actions.service import Refused, note, reopen
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement
from feedback_loop.complaints.places import Origin
from feedback_loop.db import Sessions
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import compose, drain_outbox, token_of
from feedback_loop.reports.status.erasing import erase
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings
from tests.factories import Cast, Make

FIXED = Closing(Outcome.FIXED, "Changed the carrier.", "Labels smudged.", "Parcels now carry two labels.")
BAD = "Given up after 72 hours: 451 try later"


@pytest.fixture
def hold(settings: Settings) -> Settings:
    """Ten minutes to undo."""
    return replace(settings, hold_minutes=10)


class Box(mail.Transport):
    """A mail server that keeps what it takes."""

    def __init__(self) -> None:
        self.got: list[mail.Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def send(self, message: mail.Message, now: datetime) -> None:
        self.got.append(message)


def duplicate_of(item: ActionItem) -> Closing:
    return Closing(Outcome.DUPLICATE, "", "", "", duplicate_of_id=item.id)


def prepared(
    make: Make, item: ActionItem, by: User, closing: Closing = FIXED, now: datetime | None = None
) -> NotificationRun:
    run = run_of(make.session, close(make.session, item, closing, by, now or make.now, make.settings))
    assert run is not None
    return run


def merge(make: Make, gone: Complaint, into: Complaint) -> None:
    make.session.execute(update(Statement).where(Statement.complaint_id == gone.id).values(complaint_id=into.id))
    gone.state, gone.merged_into_id = ComplaintState.MERGED, into.id
    make.session.flush()


def reasons(session: Session, run: NotificationRun) -> dict[str, str]:
    rows = session.scalars(select(RunPerson).where(RunPerson.run_id == run.id))
    return {row.customer.name: row.reason for row in rows}


def mails(session: Session, event: str) -> list[Notification]:
    return list(session.scalars(select(Notification).where(Notification.event == event).order_by(Notification.id)))


def owed_to(session: Session) -> list[str]:
    return sorted(
        session.scalars(select(Notification.recipient).where(Notification.state == NotificationState.PENDING))
    )


def failed(make: Make, row: Notification) -> Notification:
    row.state, row.reason = NotificationState.FAILED, BAD
    make.session.flush()
    return row


def two_items(make: Make, cast: Cast, people: int = 1) -> tuple[ActionItem, ActionItem]:
    """One that people raised, and one that nobody did."""
    return make.raised_item(people, cast.delivery), make.item(make.complaint("Box lost"), cast.delivery)


# Sending again


def test_nothing_is_sent_again_of_a_closing_that_was_taken_back(
    make: Make, cast: Cast, settings: Settings, sessions: Sessions
) -> None:
    item = make.raised_item(2, cast.delivery)
    closure = make.closure(item, cast.omar)
    one, two = mails(make.session, closure.event)
    make.sent(one)
    failed(make, two)
    reopen(make.session, item, "Wrong.", cast.lena, make.now)
    run = run_of(make.session, closure)
    assert run is not None
    with pytest.raises(Refused, match="does not hold any more"):
        runs.resend(make.session, run, cast.omar, make.now)
    make.session.commit()
    box = Box()
    drain_outbox(sessions, settings, lambda: make.now, box)
    assert box.got == []


def test_nothing_is_sent_again_of_a_closing_that_customers_overruled_or_a_newer_one_replaced(
    make: Make, cast: Cast
) -> None:
    item = make.raised_item(1, cast.delivery)
    closure = make.closure(item, cast.omar)
    failed(make, mails(make.session, closure.event)[0])
    run = run_of(make.session, closure)
    assert run is not None
    run.state = RunState.DONE
    reopen(make.session, item, "Two say no.", None, make.now)
    with pytest.raises(Refused, match="does not hold any more"):
        runs.resend(make.session, run, cast.omar, make.now)
    prepared(make, item, cast.omar)
    with pytest.raises(Refused, match="does not hold any more"):
        runs.resend(make.session, run, cast.omar, make.now)


def test_a_duplicate_does_not_show_the_run_of_an_earlier_closing(make: Make, cast: Cast, settings: Settings) -> None:
    item, other = two_items(make, cast)
    closure = make.closure(item, cast.omar)
    reopen(make.session, item, "No.", None, make.now)
    close(make.session, item, duplicate_of(other), cast.omar, make.now, settings)
    assert runqueries.run_of_item(make.session, item) is None
    earlier = runqueries.run_of_item(make.session, item, 1)
    assert earlier is not None
    assert earlier.closure_id == closure.id


def test_nothing_is_sent_again_to_somebody_who_erased_their_words(make: Make, cast: Cast) -> None:
    session = make.session
    item = make.raised_item(2, cast.delivery)
    closure = make.closure(item, cast.omar)
    one, two = mails(session, closure.event)
    make.sent(one)
    failed(make, two)
    run = run_of(session, closure)
    assert run is not None
    run.state = RunState.DONE
    run_id, two_id, customer_id = run.id, two.id, int(two.recipient.partition(":")[2])
    session.commit()
    erase(session, session.scalars(select(Answer).where(Answer.customer_id == customer_id)).one(), make.now)
    session.commit()
    assert session.get_one(Notification, two_id).state == NotificationState.SKIPPED
    by = session.get_one(User, cast.omar.id)
    assert runs.resend(session, session.get_one(NotificationRun, run_id), by, make.now) == 0
    row = session.get_one(Notification, two_id)
    row.state = NotificationState.FAILED  # as erasing left it before
    session.flush()
    assert runs.resend(session, session.get_one(NotificationRun, run_id), by, make.now) == 0


def test_nothing_is_sent_again_to_somebody_whom_another_closing_has_told_since(make: Make, cast: Cast) -> None:
    session = make.session
    item, other = two_items(make, cast)
    run = run_of(session, make.closure(item, cast.omar))
    assert run is not None
    (row,) = mails(session, run.closure.event)
    failed(make, row)
    run.state = RunState.DONE
    merge(make, item.complaint, other.complaint)
    for each in mails(session, make.closure(other, cast.omar).event):
        make.sent(each)
    assert runs.resend(session, run, cast.omar, make.now) == 0
    assert (row.state, row.reason) == (NotificationState.SKIPPED, runs.SINCE)


# Undo at the end of the hold


def test_nothing_is_undone_in_the_last_seconds_of_the_hold(make: Make, cast: Cast, hold: Settings) -> None:
    run = prepared(make, make.raised_item(2, cast.delivery), cast.omar)
    runs.release(make.session, run, cast.omar, make.now, hold)
    assert run.starts_at is not None
    with pytest.raises(Refused, match="going out already"):
        runs.undo(make.session, run, cast.omar, run.starts_at - timedelta(seconds=5))
    runs.undo(make.session, run, cast.omar, run.starts_at - timedelta(seconds=6))
    assert run.state == RunState.REVIEW


@pytest.mark.parametrize("how", ["sent", "in the hands of a worker"])
def test_nothing_is_undone_once_a_mail_is(make: Make, cast: Cast, hold: Settings, how: str) -> None:
    run = prepared(make, make.raised_item(2, cast.delivery), cast.omar)
    runs.release(make.session, run, cast.omar, make.now, hold)
    row = mails(make.session, run.closure.event)[0]
    if how == "sent":
        make.sent(row)
    else:
        row.claimed_until = make.now + timedelta(minutes=2)
        make.session.flush()
    with pytest.raises(Refused, match="going out already"):
        runs.undo(make.session, run, cast.omar, make.now + timedelta(minutes=1))
    assert run.state == RunState.HELD


def test_a_release_after_an_undo_brings_back_the_same_mails(make: Make, cast: Cast, hold: Settings) -> None:
    session = make.session
    run = prepared(make, make.raised_item(3, cast.delivery), cast.omar)
    runs.release(session, run, cast.omar, make.now, hold)
    before = {row.recipient: (row.id, row.message_id, row.fence) for row in mails(session, run.closure.event)}
    runs.undo(session, run, cast.omar, make.now + timedelta(minutes=1))
    left = session.scalars(select(RunPerson.customer_id).order_by(RunPerson.customer_id)).first()
    assert left is not None
    runs.drop(session, run, left, cast.omar, make.now)
    extra = make.customer("Extra")
    runs.add(session, run, extra.email, cast.omar, make.now)
    runs.change_statement(session, run, "Three labels.", cast.omar, make.now)
    later = make.now + timedelta(minutes=3)
    assert runs.release(session, run, cast.omar, later, hold) == 3
    rows = {row.recipient: row for row in mails(session, run.closure.event)}
    assert len(rows) == 4
    assert rows[f"customer:{left}"].state == NotificationState.SKIPPED
    assert runqueries.progress(session, run) == runqueries.Progress(0, 3, 0, 0)
    for recipient in before.keys() - {f"customer:{left}"}:
        row = rows[recipient]
        assert (row.id, row.message_id) == before[recipient][:2]
        assert row.fence > before[recipient][2]
        assert (row.state, row.reason, row.next_at) == (NotificationState.PENDING, "", run.starts_at)
        assert row.data["statement"] == "Three labels."
    assert rows[f"customer:{extra.id}"].state == NotificationState.PENDING


def test_nobody_gets_two_when_somebody_undoes_while_a_mail_is_on_its_way(
    make: Make, cast: Cast, hold: Settings, sessions: Sessions
) -> None:
    run = prepared(make, make.raised_item(2, cast.delivery), cast.omar)
    runs.release(make.session, run, cast.omar, make.now, hold)
    make.session.commit()
    run_id, user_id, start = run.id, cast.omar.id, run.starts_at
    assert start is not None
    make.session.close()
    slow = start - timedelta(minutes=1)  # a clock that runs behind says that there is time
    refusals = []

    class Undoing(Box):
        def send(self, message: mail.Message, now: datetime) -> None:
            super().send(message, now)
            with sessions() as session:
                found, by = session.get_one(NotificationRun, run_id), session.get_one(User, user_id)
                try:
                    runs.undo(session, found, by, slow)
                    session.commit()
                except Refused as error:
                    refusals.append(str(error))

    box = Undoing()
    for minutes in (0, 10, 20):
        drain_outbox(sessions, hold, lambda minutes=minutes: start + timedelta(minutes=minutes), box)  # type: ignore[misc]
    assert len({message.address for message in box.got}) == len(box.got) == 2
    assert len(refusals) == 2


# Erasing


@pytest.mark.parametrize("which", [0, 1])
def test_who_erases_one_of_two_statements_of_a_duplicate_is_told_with_the_other(
    make: Make, cast: Cast, hold: Settings, which: int
) -> None:
    session = make.session
    item, duplicate = make.raised_item(1, cast.delivery), make.item(make.complaint("Box lost"), cast.delivery)
    customer, survey = make.customer("Twice"), make.survey()
    said = [
        make.statement(
            complaint, customer=customer, survey=survey, text=f"Lost {days}.", said_at=make.now - timedelta(days=days)
        )
        for complaint, days in ((item.complaint if which else duplicate.complaint, 3), (duplicate.complaint, 2))
    ]
    close(session, duplicate, duplicate_of(item), cast.omar, make.now, hold)
    run = prepared(make, item, cast.omar)
    assert reasons(session, run) == {"Customer 0": "", "Twice": ""}
    runs.release(session, run, cast.omar, make.now, hold)
    run_id, recipient = run.id, f"customer:{customer.id}"
    session.commit()
    erase(session, session.get_one(Answer, said[1].answer_id), make.now)
    session.commit()
    run, by = session.get_one(NotificationRun, run_id), session.get_one(User, cast.omar.id)
    assert reasons(session, run) == {"Customer 0": "", "Twice": ""}
    row = next(each for each in mails(session, run.closure.event) if each.recipient == recipient)
    assert (row.state, row.data["quote"]) == (NotificationState.PENDING, "Lost 3.")
    runs.undo(session, run, by, make.now + timedelta(minutes=1))
    assert runs.release(session, run, by, make.now + timedelta(minutes=2), hold) == 2


# Told by two


def test_a_person_who_takes_a_closing_back_begins_no_new_round(make: Make, cast: Cast) -> None:
    item, other = two_items(make, cast)
    make.sent(mails(make.session, make.closure(item, cast.omar).event)[0])
    merge(make, item.complaint, other.complaint)
    for hours in (1, 3):
        run = prepared(make, other, cast.omar, now=make.now + timedelta(hours=hours))
        assert reasons(make.session, run) == {"Customer 0": Reason.TOLD}
        reopen(make.session, other, "A typing mistake.", cast.omar, make.now + timedelta(hours=hours + 1))
    prepared(make, other, cast.omar, now=make.now + timedelta(hours=6))
    reopen(make.session, other, "Two say no.", None, make.now + timedelta(hours=7))
    run = prepared(make, other, cast.omar, now=make.now + timedelta(hours=8))
    assert reasons(make.session, run) == {"Customer 0": ""}


def test_who_was_told_of_a_fix_that_fixed_nothing_hears_of_the_next_try(make: Make, cast: Cast) -> None:
    item, other = two_items(make, cast)
    closure = make.closure(item, cast.omar)
    make.sent(mails(make.session, closure.event)[0])
    merge(make, item.complaint, other.complaint)
    note(make.session, item, "not_fixed", "Not fixed.", None, make.now, closure_id=closure.id)
    run = prepared(make, other, cast.omar, now=make.now + timedelta(days=2))
    assert reasons(make.session, run) == {"Customer 0": ""}


@pytest.mark.parametrize("second", ["released", "approved"])
def test_of_two_runs_about_one_problem_the_second_leaves_out_whom_the_first_tells(
    make: Make, cast: Cast, settings: Settings, second: str
) -> None:
    session = make.session
    item, other = two_items(make, cast, people=2)
    first = prepared(make, item, cast.omar)
    merge(make, item.complaint, other.complaint)
    run = prepared(make, other, cast.omar)
    item.complaint.state, item.complaint.merged_into_id = ComplaintState.ACTIVE, None
    if second == "approved":
        runs.release(session, run, cast.omar, make.now, replace(settings, approval_above=1))
    assert runs.release(session, first, cast.omar, make.now, settings) == 0, "their words are the other's by now"
    make.session.execute(update(Statement).values(complaint_id=item.complaint_id))
    first.state = RunState.REVIEW
    runs.look_again(session, first, cast.omar, make.now, settings)
    assert runs.release(session, first, cast.omar, make.now, settings) == 2
    merge(make, item.complaint, other.complaint)
    if second == "approved":
        assert runs.approve(session, run, cast.lena, make.now, settings) == 0
    else:
        assert runs.release(session, run, cast.omar, make.now, settings) == 0
    assert set(reasons(session, run).values()) == {Reason.TOLD}
    assert len(owed_to(session)) == 2


def test_whom_somebody_added_by_hand_is_told_although_another_closing_tells_them(
    make: Make, cast: Cast, settings: Settings
) -> None:
    item, other = two_items(make, cast)
    make.sent(mails(make.session, make.closure(item, cast.omar).event)[0])
    merge(make, item.complaint, other.complaint)
    run = prepared(make, other, cast.omar)
    person = make.session.scalars(select(RunPerson).where(RunPerson.run_id == run.id)).one()
    runs.put_back(make.session, run, person.customer_id, cast.omar, make.now)
    assert runs.release(make.session, run, cast.omar, make.now, settings) == 1


def test_two_releases_at_once_about_one_problem_tell_each_person_once(
    make: Make, cast: Cast, settings: Settings, sessions: Sessions, engine: Engine
) -> None:
    """The second waits for the first, although neither touches a row of the other's run."""
    if engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time there")
    item, other = two_items(make, cast)
    first_id = prepared(make, item, cast.omar).id
    merge(make, item.complaint, other.complaint)
    second_id, user_id = prepared(make, other, cast.omar).id, cast.omar.id
    make.session.commit()
    make.session.close()
    counts: list[int] = []

    def go() -> None:
        with sessions.begin() as session:
            run, by = session.get_one(NotificationRun, second_id), session.get_one(User, user_id)
            counts.append(runs.release(session, run, by, make.now, settings))

    thread = threading.Thread(target=go)
    with sessions.begin() as session:  # a release that had begun before the merge
        run, by = session.get_one(NotificationRun, first_id), session.get_one(User, user_id)
        told = runs.hold(session, run, runs.locked(session, run, "released", RunState.REVIEW), by, make.now, settings)
        thread.start()
        thread.join(1)
        waited = thread.is_alive()
    thread.join(30)
    assert (waited, told, counts) == (True, 1, [0])


# What changed since a run was prepared


@pytest.mark.parametrize("state", [ComplaintState.DISMISSED, ComplaintState.MERGED])
def test_a_run_of_a_complaint_that_lives_no_longer_is_not_released(
    make: Make, cast: Cast, settings: Settings, state: ComplaintState
) -> None:
    session = make.session
    item, other = two_items(make, cast, people=2)
    run = prepared(make, item, cast.omar)
    waits = prepared(make, make.raised_item(2, cast.delivery), cast.omar)
    runs.release(session, waits, cast.omar, make.now, replace(settings, approval_above=1))
    for each in (item.complaint, waits.closure.action_item.complaint):
        each.state = state
        each.merged_into_id = other.complaint_id if state == ComplaintState.MERGED else None
    session.flush()
    with pytest.raises(Refused, match=r"was (merged|dismissed)"):
        runs.release(session, run, cast.omar, make.now, settings)
    with pytest.raises(Refused, match=r"was (merged|dismissed)"):
        runs.approve(session, waits, cast.lena, make.now, settings)
    assert owed_to(session) == []
    assert list(runqueries.waiting(session)) == []


def test_who_speaks_of_another_complaint_by_now_is_not_told(make: Make, cast: Cast, settings: Settings) -> None:
    session = make.session
    item, other = two_items(make, cast, people=3)
    run = prepared(make, item, cast.omar)
    moved, again, _ = session.scalars(select(Statement).order_by(Statement.id)).all()
    kept = make.statement(
        item.complaint,
        text="Lost as well.",
        answer=session.get_one(Answer, again.answer_id),
        position=1,
        said_at=again.said_at,
    )
    moved.complaint_id = again.complaint_id = other.complaint_id
    session.flush()
    assert runs.release(session, run, cast.omar, make.now, settings) == 2
    assert reasons(session, run) == {"Customer 0": Reason.MOVED, "Customer 1": "", "Customer 2": ""}
    assert f"customer:{moved.customer_id}" not in owed_to(session)
    quotes = {row.recipient: row.data["quote"] for row in mails(session, run.closure.event)}
    assert quotes[f"customer:{again.customer_id}"] == kept.text


def test_other_people_than_those_looked_at_are_noticed(make: Make, cast: Cast, settings: Settings) -> None:
    run = prepared(make, make.raised_item(2, cast.delivery), cast.omar)
    one, two = make.session.scalars(select(RunPerson.customer_id).order_by(RunPerson.customer_id)).all()
    runs.drop(make.session, run, one, cast.omar, make.now)
    seen = runs.as_seen(make.session, run)
    runs.drop(make.session, run, two, cast.lena, make.now)
    runs.put_back(make.session, run, one, cast.lena, make.now)
    with pytest.raises(Refused, match="have changed since you opened the page"):
        runs.release(make.session, run, cast.omar, make.now, settings, seen)


def test_looking_again_chooses_anew_who_was_left_out_for_what_has_passed(
    make: Make, cast: Cast, hold: Settings
) -> None:
    session = make.session
    item, other = two_items(make, cast, people=2)
    closure = make.closure(item, cast.omar)
    merge(make, item.complaint, other.complaint)
    run = prepared(make, other, cast.omar)
    assert set(reasons(session, run).values()) == {Reason.TOLD}
    assert runqueries.review(session, run).may_have_passed == 2
    by_hand = session.scalars(select(RunPerson).where(RunPerson.run_id == run.id)).first()
    assert by_hand is not None
    runs.put_back(session, run, by_hand.customer_id, cast.omar, make.now)
    runs.drop(session, run, by_hand.customer_id, cast.omar, make.now)
    for row in mails(session, closure.event):
        failed(make, row)
    came = runs.look_again(session, run, cast.omar, make.now, replace(hold, closings_in_budget=False))
    assert came == {"": 1}
    assert sorted(reasons(session, run).values()) == ["", Reason.DROPPED]


# Tests, and for whom a change holds


def test_the_links_of_a_test_stop_no_mail(make: Make, cast: Cast, settings: Settings) -> None:
    item = make.raised_item(1, cast.delivery)
    runs.send_test(make.session, prepared(make, item, cast.omar), None, cast.omar, make.now, settings)
    row = make.session.scalars(select(Notification)).one()
    message = compose(row, settings)
    assert message.headers == {}
    assert "/u/" not in message.text + message.html
    assert token_of(row, settings) not in message.text + message.html
    assert f"/actions/{item.id}/run/tried" in message.text


@pytest.mark.parametrize(
    ("segment", "value", "context", "language", "is_meant"),
    [
        (Segment.ALL, "", {}, None, True),
        (Segment.LANGUAGE, "German", {}, "de", True),
        (Segment.LANGUAGE, "deutsch", {}, "de", True),
        (Segment.LANGUAGE, "DE", {}, "de", True),
        (Segment.LANGUAGE, "de", {}, None, False),
        (Segment.LANGUAGE, "", {}, "xx", False),
        (Segment.RELEASE, "4.2", {"version": "4.2"}, "de", True),
        (Segment.RELEASE, "4.2", {"Release": " 4.2 "}, None, True),
        (Segment.RELEASE, "4.2", {"release": "4.3"}, None, False),
        (Segment.PAGE, "/Checkout?step=2", {"page": "/checkout?step=3#a"}, None, True),
        (Segment.TAG, "VIP", {"tags": "new, vip"}, None, True),
        (Segment.TAG, "VIP", {"tags": ["new"]}, None, False),
    ],
)
def test_who_is_told_and_what_counts_as_a_relapse_mean_the_same_part(
    segment: Segment, value: str, context: dict[str, object], language: str | None, is_meant: bool
) -> None:
    assert inside(segment, value, context, language) is is_meant
    assert is_in(Scope(segment, value), Origin(language, context)) is is_meant
