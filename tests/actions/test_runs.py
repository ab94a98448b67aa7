"""Preparing a notification run: everybody once, and why others are not told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, User
from feedback_loop.actions.audience.choosing import Known, Reason, Said, Telling, choose
from feedback_loop.actions.audience.counting import audience
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.models import (
    ActionEvent,
    ActionItem,
    Closure,
    Notice,
    NotificationRun,
    Outcome,
    RunPerson,
    RunState,
    Segment,
)
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.runs import service as runs
from feedback_loop.actions.service import Refused, reopen
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.reports.status.erasing import erase
from feedback_loop.settings import Settings
from tests.factories import Cast, Make

FIXED = Closing(Outcome.FIXED, "Changed the carrier.", "Labels smudged.", "Parcels now carry two labels.")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, hold_minutes=10)


def prepared(make: Make, item: ActionItem, by: User, closing: Closing = FIXED, **settings: object) -> NotificationRun:
    closure = close(make.session, item, closing, by, make.now, replace(make.settings, **settings))  # type: ignore[arg-type]
    run = run_of(make.session, closure)
    assert run is not None
    return run


def reasons(session: Session, run: NotificationRun) -> dict[str, str]:
    """Why each person of a run is not told, by name; empty for those who are."""
    people = session.scalars(select(RunPerson).where(RunPerson.run_id == run.id)).unique()
    return {each.customer.name: each.reason for each in people}


def states(session: Session, run: NotificationRun) -> Counter[NotificationState]:
    return Counter(session.scalars(select(Notification.state).where(Notification.event == run.closure.event)))


def kinds(session: Session, item: ActionItem) -> list[str]:
    return list(
        session.scalars(select(ActionEvent.kind).where(ActionEvent.action_item_id == item.id).order_by(ActionEvent.id))
    )


def merge(make: Make, gone: Complaint, into: Complaint) -> None:
    """What a merge leaves behind."""
    make.session.execute(update(Statement).where(Statement.complaint_id == gone.id).values(complaint_id=into.id))
    gone.state, gone.merged_into_id = ComplaintState.MERGED, into.id
    make.session.flush()


AT = datetime.fromisoformat("2026-10-01T12:00+00:00")
EARLY, LATE = Said(1, AT), Said(2, AT + timedelta(days=3))


@pytest.mark.parametrize(
    ("person", "statement_id", "reason"),
    [
        (Known([EARLY, LATE]), 2, None),
        (Known([EARLY, replace(LATE, is_inside=False)]), 1, None),
        (Known([replace(EARLY, is_inside=False)]), 1, Reason.SEGMENT),
        (Known([EARLY], unsubscribed=True, bounced=True), 1, Reason.UNSUBSCRIBED),
        (Known([EARLY], bounced=True, over_budget=True), 1, Reason.BOUNCED),
        (Known([EARLY], over_budget=True), 1, Reason.BUDGET),
        (Known([EARLY], told=[Telling(None, AT, is_of_group=True)]), 1, Reason.TOLD),
        (Known([EARLY, LATE], told=[Telling(1, AT, is_of_group=True)]), 2, None),
        (Known([EARLY], told=[Telling(9, LATE.at, is_of_group=False)]), 1, None),
        (Known([EARLY], told=[Telling(1, LATE.at, is_of_group=False)]), 1, Reason.TOLD),
    ],
)
def test_who_is_told_is_decided_from_what_is_known(person: Known, statement_id: int, reason: Reason | None) -> None:
    choice = choose(person)
    assert (choice.statement_id, choice.reason) == (statement_id, reason)


def test_closing_prepares_a_run_and_sends_nothing(make: Make, cast: Cast) -> None:
    item = make.raised_item(3, cast.delivery)
    maya = make.customer("Maya Lind")
    make.statement(item.complaint, "Where is it?", customer=maya, said_at=make.now - timedelta(days=9))
    newest = make.statement(item.complaint, "Still not here.", customer=maya, said_at=make.now - timedelta(days=2))
    run = prepared(make, item, cast.omar)
    assert run.state == RunState.REVIEW
    assert make.session.scalar(select(func.count()).select_from(Notification)) == 0
    people = make.session.scalars(select(RunPerson)).all()
    assert len(people) == 4, "each once"
    assert {each.statement_id for each in people if each.customer_id == maya.id} == {newest.id}


def test_exclusions_have_their_reason(make: Make, cast: Cast) -> None:
    item = make.raised_item(1, cast.delivery)
    people = {name: make.customer(name) for name in ("Unsubscribed", "Bounced", "Well Again", "Given Up", "Often")}
    for each in people.values():
        make.statement(item.complaint, customer=each)
    suppress(make.session, people["Unsubscribed"].email, "by link", make.now)
    for name, reason in {
        "Bounced": "550 5.1.1 no such user",
        "Well Again": "550 5.1.1 no such user",
        "Given Up": "Given up after 72 hours: 451 later",
    }.items():
        make.notification("closure:900", people[name], state=NotificationState.FAILED, reason=reason)
    later = make.notification("closure:901", people["Well Again"])
    later.state, later.sent_at = NotificationState.SENT, make.now + timedelta(minutes=1)
    for number in range(3):
        make.sent(make.notification(f"closure:91{number}", people["Often"]))
    found = reasons(make.session, prepared(make, item, cast.omar))
    assert found == {
        "Customer 0": "", "Unsubscribed": "unsubscribed", "Bounced": "bounced", "Well Again": "", "Given Up": "",
        "Often": "",
    }  # fmt: skip
    reopen(make.session, item, "Once more.", cast.omar, make.now)
    found = reasons(make.session, prepared(make, item, cast.omar, closings_in_budget=True))
    assert found["Often"] == "budget"


@pytest.mark.parametrize(
    ("segment", "value", "told"),
    [
        (Segment.PAGE, "/Checkout?x=1", {"Page"}),
        (Segment.TAG, "delivery", {"Tag"}),
        (Segment.RELEASE, "4.2", {"Release"}),
        (Segment.LANGUAGE, "German", {"German", "By Customer"}),
    ],
)
def test_a_change_for_some_tells_those_who_told_of_it(
    make: Make, cast: Cast, segment: Segment, value: str, told: set[str]
) -> None:
    item = make.raised_item(1, cast.delivery)
    contexts = {
        "Page": {"page": "/checkout?step=2"},
        "Tag": {"tags": ["Delivery", "Price"]},
        "Release": {"Release": 4.2},
        "German": {},
        "By Customer": {},
    }
    for name, context in contexts.items():
        customer = make.customer(name)
        customer.language = "de" if name == "By Customer" else ""
        answer = make.answer(customer=customer, context=context)
        make.statement(item.complaint, answer=answer, language="de" if name == "German" else None)
    run = prepared(make, item, cast.omar, replace(FIXED, segment=segment, segment_value=value))
    found = reasons(make.session, run)
    assert {name for name, reason in found.items() if not reason} == told
    assert {reason for reason in found.values() if reason} == {"outside_segment"}


def test_those_of_merged_complaints_and_duplicates_are_told_together(make: Make, cast: Cast) -> None:
    item, merged = make.raised_item(1, cast.delivery), make.raised_item(1, cast.payments, "Box lost")
    duplicate, second = make.raised_item(1, name="No parcel"), make.raised_item(1, name="Nothing came")
    both = make.customer("Both")
    for each in (item, merged, duplicate):
        make.statement(each.complaint, customer=both)
    close(make.session, second, Closing(Outcome.DUPLICATE, "", "", "", duplicate_of_id=duplicate.id), cast.lena,
          make.now, make.settings)  # fmt: skip
    closure = close(make.session, duplicate, Closing(Outcome.DUPLICATE, "", "", "", duplicate_of_id=merged.id),
                    cast.lena, make.now, make.settings)  # fmt: skip
    assert run_of(make.session, closure) is None, "nobody is told of a duplicate"
    merge(make, merged.complaint, item.complaint)
    assert audience(make.session, item).told == 5
    run = prepared(make, item, cast.omar)
    assert make.session.scalar(select(func.count()).where(RunPerson.run_id == run.id)) == 5
    reopen(make.session, duplicate, "It is another thing.", cast.lena, make.now)
    assert audience(make.session, item).told == 3


def test_who_was_told_through_a_merged_complaint_is_not_told_again(make: Make, cast: Cast) -> None:
    early, item = make.raised_item(0), make.raised_item(0, cast.delivery)
    maya, noor = make.customer("Maya"), make.customer("Noor")
    make.statement(early.complaint, customer=maya, said_at=make.now - timedelta(days=2))
    make.statement(item.complaint, customer=noor)
    make.closure(early, cast.omar)
    merge(make, early.complaint, item.complaint)
    run = prepared(make, item, cast.omar)
    assert reasons(make.session, run) == {"Maya": "told_already", "Noor": ""}
    reopen(make.session, item, "Customers say no.", None, make.now + timedelta(days=1))
    assert reasons(make.session, prepared(make, item, cast.omar)) == {"Maya": "", "Noor": ""}, "of the next try, yes"


def test_who_has_said_it_again_since_is_told_again(make: Make, cast: Cast) -> None:
    early, item = make.raised_item(0), make.raised_item(0, cast.delivery)
    maya = make.customer("Maya")
    make.statement(early.complaint, customer=maya, said_at=make.now - timedelta(days=2))
    make.closure(early, cast.omar)
    merge(make, early.complaint, item.complaint)
    make.statement(item.complaint, customer=maya, said_at=make.now + timedelta(hours=1))
    assert reasons(make.session, prepared(make, item, cast.omar)) == {"Maya": ""}


def test_a_statement_split_off_after_its_author_was_told_tells_nobody_twice(make: Make, cast: Cast) -> None:
    first = make.raised_item(0)
    statement = make.statement(first.complaint, customer=make.customer("Maya"))
    make.closure(first, cast.omar)
    split = make.item(make.complaint("Came too late"), cast.delivery)
    statement.complaint_id = split.complaint_id
    make.session.flush()
    assert reasons(make.session, prepared(make, split, cast.omar)) == {"Maya": "told_already"}


def test_release_owes_those_who_are_told_after_the_hold(make: Make, cast: Cast, settings: Settings) -> None:
    item = make.raised_item(3, cast.delivery)
    run = prepared(make, item, cast.omar)
    first = make.session.scalars(select(RunPerson)).first()
    assert first is not None
    runs.drop(make.session, run, first.customer_id, cast.omar, make.now)
    assert runs.release(make.session, run, cast.omar, make.now, settings) == 2
    assert (run.state, run.starts_at) == (RunState.HELD, make.now + timedelta(minutes=10))
    rows = make.session.scalars(select(Notification)).all()
    assert {row.next_at for row in rows} == {run.starts_at}
    assert f"customer:{first.customer_id}" not in {row.recipient for row in rows}
    assert kinds(make.session, item) == ["closed", "dropped", "released"]


def test_release_leaves_out_who_unsubscribed_meanwhile(make: Make, cast: Cast, settings: Settings) -> None:
    item = make.raised_item(2, cast.delivery)
    run = prepared(make, item, cast.omar)
    person = make.session.scalars(select(RunPerson)).first()
    assert person is not None
    suppress(make.session, person.customer.email, "by link", make.now)
    assert runs.release(make.session, run, cast.omar, make.now, settings) == 1
    assert reasons(make.session, run)[person.customer.name] == "unsubscribed"


def test_a_run_that_changed_since_it_was_looked_at_is_not_released(make: Make, cast: Cast, settings: Settings) -> None:
    run = prepared(make, make.raised_item(2, cast.delivery), cast.omar)
    seen = runs.as_seen(make.session, run)
    runs.change_statement(make.session, run, "Parcels carry three labels.", cast.lena, make.now)
    with pytest.raises(Refused, match="have changed since you opened the page"):
        runs.release(make.session, run, cast.omar, make.now, settings, seen)
    assert runs.release(make.session, run, cast.omar, make.now, settings, runs.as_seen(make.session, run)) == 2
    row = make.session.scalars(select(Notification)).first()
    assert row is not None
    assert row.data["statement"] == "Parcels carry three labels."


def test_undo_takes_it_back_to_review_and_a_second_release_tells_each_once(
    make: Make, cast: Cast, settings: Settings
) -> None:
    run = prepared(make, make.raised_item(2, cast.delivery), cast.omar)
    runs.release(make.session, run, cast.omar, make.now, settings)
    runs.undo(make.session, run, cast.omar, make.now + timedelta(minutes=9))
    assert run.state == RunState.REVIEW
    assert states(make.session, run) == {NotificationState.SKIPPED: 2}
    runs.release(make.session, run, cast.omar, make.now + timedelta(minutes=20), settings)
    assert states(make.session, run) == {NotificationState.PENDING: 2}


def test_what_is_on_its_way_cannot_be_undone(make: Make, cast: Cast, settings: Settings) -> None:
    run = prepared(make, make.raised_item(2, cast.delivery), cast.omar)
    runs.release(make.session, run, cast.omar, make.now, settings)
    with pytest.raises(Refused, match="going out already"):
        runs.undo(make.session, run, cast.omar, make.now + timedelta(minutes=10))
    with pytest.raises(Refused, match="is released by Omar, so it cannot be changed"):
        runs.change_statement(make.session, run, "Else.", cast.omar, make.now)


def test_a_large_run_waits_for_a_second_person(make: Make, cast: Cast, settings: Settings) -> None:
    settings = replace(settings, approval_above=2)
    item = make.raised_item(3, cast.delivery)
    run = prepared(make, item, cast.omar)
    runs.release(make.session, run, cast.lena, make.now, settings)
    assert run.state == RunState.APPROVAL
    assert states(make.session, run) == {}
    assert set(make.session.scalars(select(Notice.user_id).where(Notice.kind == "approval"))) == {cast.ada.id}
    with pytest.raises(Refused, match="somebody else"):
        runs.approve(make.session, run, cast.lena, make.now, settings)
    with pytest.raises(Refused, match="Only leads and admins"):
        runs.approve(make.session, run, cast.omar, make.now, settings)
    assert runs.approve(make.session, run, cast.ada, make.now, settings) == 3
    assert (run.state, run.approved_by) == (RunState.HELD, cast.ada)
    assert states(make.session, run) == {NotificationState.PENDING: 3}


def test_a_run_that_is_not_approved_goes_back_to_review(make: Make, cast: Cast, settings: Settings) -> None:
    run = prepared(make, make.raised_item(3, cast.delivery), cast.omar)
    runs.release(make.session, run, cast.omar, make.now, replace(settings, approval_above=2))
    runs.undo(make.session, run, cast.ada, make.now)
    assert (run.state, run.released_by) == (RunState.REVIEW, None)
    assert make.session.scalars(select(Notice.text).where(Notice.user_id == cast.omar.id)).all() == [
        "Ada: not approved."
    ]


def test_no_approval_is_asked_for_at_the_limit_or_without_one(make: Make, cast: Cast, settings: Settings) -> None:
    for limit in (3, 0):
        run = prepared(make, make.raised_item(3, cast.delivery), cast.omar)
        runs.release(make.session, run, cast.omar, make.now, replace(settings, approval_above=limit))
        assert run.state == RunState.HELD


def test_people_are_dropped_put_back_and_added(make: Make, cast: Cast) -> None:
    item = make.raised_item(1, cast.delivery)
    bounced, gone = make.customer("Bounced"), make.customer("Gone")
    elsewhere = make.customer("Elsewhere", "elsewhere@example.com")
    for each in (bounced, gone):
        make.statement(item.complaint, customer=each)
    make.notification("closure:900", bounced, state=NotificationState.FAILED, reason="550 5.1.1 no such user")
    suppress(make.session, gone.email, "by link", make.now)
    run = prepared(make, item, cast.omar)
    runs.put_back(make.session, run, bounced.id, cast.omar, make.now)
    with pytest.raises(Refused, match="asked for no more mail"):
        runs.put_back(make.session, run, gone.id, cast.omar, make.now)
    runs.add(make.session, run, "Elsewhere@Example.com ", cast.omar, make.now)
    with pytest.raises(Refused, match="No customer is known"):
        runs.add(make.session, run, "nobody@example.com", cast.omar, make.now)
    assert reasons(make.session, run) == {"Customer 0": "", "Bounced": "", "Gone": "unsubscribed", "Elsewhere": ""}
    runs.drop(make.session, run, elsewhere.id, cast.omar, make.now)
    runs.put_back(make.session, run, elsewhere.id, cast.omar, make.now)
    runs.release(make.session, run, cast.omar, make.now, make.settings)
    row = make.session.scalars(select(Notification).where(Notification.address == "elsewhere@example.com")).one()
    assert (row.data["quote"], row.data["said_at"]) == ("", None)


def test_looking_again_takes_in_who_raised_it_since(make: Make, cast: Cast) -> None:
    item = make.raised_item(2, cast.delivery)
    run = prepared(make, item, cast.omar)
    first = make.session.scalars(select(RunPerson)).first()
    assert first is not None
    runs.drop(make.session, run, first.customer_id, cast.omar, make.now)
    make.statement(item.complaint, customer=make.customer("Late"))
    assert runs.look_again(make.session, run, cast.omar, make.now, make.settings) == {"": 1}
    assert reasons(make.session, run)["Late"] == ""
    assert reasons(make.session, run)[first.customer.name] == "dropped", "what a person decided stays"


def test_who_erases_their_words_while_the_run_waits_is_not_told(make: Make, cast: Cast, settings: Settings) -> None:
    item = make.raised_item(1, cast.delivery)
    maya, noor = make.customer("Maya"), make.customer("Noor")
    statement = make.statement(item.complaint, customer=maya)
    kept = make.statement(item.complaint, "Kept.", customer=noor, said_at=make.now - timedelta(days=3))
    newest = make.statement(item.complaint, "Erased.", customer=noor)
    run = prepared(make, item, cast.omar)
    make.session.commit()
    run_id = run.id
    for answer in [each.answer for each in (statement, newest)]:
        erase(make.session, answer, make.now)
    make.session.commit()
    again = make.session.get_one(NotificationRun, run_id)
    assert reasons(make.session, again) == {"Customer 0": "", "Maya": "erased", "Noor": ""}
    quoted = make.session.scalars(select(RunPerson.statement_id).where(RunPerson.customer_id == noor.id)).one()
    assert quoted == kept.id


def test_taking_the_closing_back_ends_the_run(make: Make, cast: Cast, settings: Settings) -> None:
    item = make.raised_item(2, cast.delivery)
    run = prepared(make, item, cast.omar)
    reopen(make.session, item, "Too early.", cast.lena, make.now)
    assert (run.state, run.undone_by_id) == (RunState.UNDONE, cast.lena.id)
    with pytest.raises(Refused, match="ended when the closing was taken back"):
        runs.release(make.session, run, cast.omar, make.now, settings)
    held = prepared(make, item, cast.omar)
    runs.release(make.session, held, cast.omar, make.now, settings)
    reopen(make.session, item, "Still too early.", cast.lena, make.now)
    assert held.state == RunState.UNDONE
    assert states(make.session, held) == {NotificationState.SKIPPED: 2}


def test_a_run_of_which_some_was_sent_is_done_when_the_closing_is_taken_back(make: Make, cast: Cast) -> None:
    item = make.raised_item(2, cast.delivery)
    closure = make.closure(item, cast.omar)
    row = make.session.scalars(select(Notification)).first()
    assert row is not None
    make.sent(row)
    reopen(make.session, item, "Wrong.", cast.lena, make.now)
    run = run_of(make.session, closure)
    assert run is not None
    assert run.state == RunState.DONE
    assert states(make.session, run) == {NotificationState.SENT: 1, NotificationState.SKIPPED: 1}


def test_a_run_moves_on_as_its_mails_do(make: Make, cast: Cast, settings: Settings) -> None:
    run = prepared(make, make.raised_item(1, cast.delivery), cast.omar)
    session = make.session
    assert runs.settle(session, make.now) == 0
    runs.release(session, run, cast.omar, make.now, settings)
    seen = []
    for minutes in (9, 10):
        runs.settle(session, make.now + timedelta(minutes=minutes))
        session.refresh(run)
        seen.append(run.state)
    row = session.scalars(select(Notification)).one()
    row.state, row.reason = NotificationState.FAILED, "550 5.1.1 no such user"
    session.flush()
    runs.settle(session, make.now + timedelta(minutes=11))
    session.refresh(run)
    assert [*seen, run.state] == [RunState.HELD, RunState.SENDING, RunState.DONE]


def test_what_failed_is_sent_again_under_its_message_id(make: Make, cast: Cast, settings: Settings) -> None:
    run = prepared(make, make.raised_item(3, cast.delivery), cast.omar)
    session = make.session
    runs.release(session, run, cast.omar, make.now, settings)
    one, two, three = session.scalars(select(Notification).order_by(Notification.id)).all()
    make.sent(one)
    for row in (two, three):
        row.state, row.reason, row.attempts = NotificationState.FAILED, "Given up after 72 hours: 451", 9
    session.flush()
    ids = [two.message_id, three.message_id]
    later = make.now + timedelta(days=4)
    assert runs.resend(session, run, cast.omar, later, two.id) == 1
    assert (two.state, two.attempts, two.next_at) == (NotificationState.PENDING, 0, later)
    assert runs.resend(session, run, cast.omar, later) == 1
    assert runs.resend(session, run, cast.omar, later) == 0
    assert [two.message_id, three.message_id] == ids
    assert one.state == NotificationState.SENT
    assert run.state == RunState.SENDING


def test_a_test_goes_to_ourselves_and_counts_nowhere(make: Make, cast: Cast, settings: Settings) -> None:
    item = make.raised_item(1, cast.delivery)
    run = prepared(make, item, cast.omar)
    runs.send_test(make.session, run, None, cast.omar, make.now, settings)
    row = make.session.scalars(select(Notification)).one()
    assert (row.recipient, row.address, row.rank) == (f"user:{cast.omar.id}", cast.omar.email, 3)
    assert set(row.data["links"].values()) == {f"/actions/{item.id}/run/tried"}
    assert row.data["quote"]
    assert run.state == RunState.REVIEW


def test_a_run_holds_each_person_once(make: Make, cast: Cast) -> None:
    run = prepared(make, make.raised_item(1, cast.delivery), cast.omar)
    person = make.session.scalars(select(RunPerson)).one()
    make.session.commit()
    make.session.expunge(person)
    make.session.add(RunPerson(run_id=run.id, customer_id=person.customer_id, is_told=True))
    with pytest.raises(IntegrityError):
        make.session.flush()
    make.session.rollback()


def test_inactive_leads_are_not_asked_to_approve(make: Make, cast: Cast, settings: Settings) -> None:
    make.user("Former", Role.ADMIN, is_active=False)
    run = prepared(make, make.raised_item(3, cast.delivery), cast.omar)
    runs.release(make.session, run, cast.omar, make.now, replace(settings, approval_above=2))
    assert set(make.session.scalars(select(Notice.user_id))) == {cast.ada.id, cast.lena.id}


def test_nobody_to_write_to_is_a_run_too(make: Make, cast: Cast, settings: Settings) -> None:
    item = make.raised_item(0, cast.delivery)
    make.statement(item.complaint)
    run = prepared(make, item, cast.omar)
    assert runs.release(make.session, run, cast.omar, make.now, settings) == 0
    runs.settle(make.session, make.now + timedelta(minutes=10))
    make.session.refresh(run)
    assert run.state == RunState.DONE
    assert make.session.scalars(select(Closure)).one().statement == FIXED.statement
