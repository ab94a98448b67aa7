"""What each way of closing asks for, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.audience.raisers import one_raiser
from feedback_loop.actions.closing.service import Closing, close, faults, tidied
from feedback_loop.actions.models import ActionEvent, Closure, Outcome, Segment, Status
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.service import Refused, reopen
from feedback_loop.complaints.models import ComplaintState
from feedback_loop.notifications.service import suppress
from tests.conftest import NOW
from tests.factories import Cast, Make

DAY = timedelta(days=1)
FIXED = Closing(Outcome.FIXED, "Changed the carrier.", "Labels smudged.", "Parcels now carry two labels.")


@pytest.mark.parametrize(
    ("closing", "expected"),
    [
        (FIXED, set()),
        (replace(FIXED, statement=" "), {"statement"}),
        (replace(FIXED, done="", root_cause=""), {"done", "root_cause"}),
        (Closing(Outcome.PARTLY_FIXED, "", "b", "c"), {"done"}),
        (Closing(Outcome.DECLINED, "", "", "It would cost more than all parcels."), set()),
        (Closing(Outcome.DECLINED, "a", "b", ""), {"statement"}),
        (Closing(Outcome.NOT_A_PROBLEM, "", "", "The date is meant so."), set()),
        (Closing(Outcome.DUPLICATE, "", "", ""), {"duplicate_of"}),
        (Closing(Outcome.DUPLICATE, "", "", "", duplicate_of_id=4), set()),
        (replace(FIXED, segment=Segment.PAGE), {"segment_value"}),
        (replace(FIXED, segment=Segment.PAGE, segment_value="/checkout"), set()),
        (replace(FIXED, effective_from=NOW - 9 * DAY), set()),
        (replace(FIXED, effective_from=NOW + 9 * DAY), {"ask_at"}),
        (replace(FIXED, effective_from=NOW + 9 * DAY, ask_at=NOW + 8 * DAY), {"ask_at"}),
        (replace(FIXED, effective_from=NOW + 9 * DAY, ask_at=NOW + 12 * DAY), set()),
        (replace(FIXED, effective_from=NOW + 400 * DAY, ask_at=NOW + 401 * DAY), {"effective_from"}),
        (replace(FIXED, ask_at=NOW + 500 * DAY), {"ask_at"}),
        (Closing(Outcome.DECLINED, "", "", "No.", effective_from=NOW + 9 * DAY), set()),
    ],
)
def test_each_way_of_ending_asks_for_what_makes_sense_there(closing: Closing, expected: set[str]) -> None:
    assert set(faults(tidied(closing, NOW), NOW)) == expected


def test_a_date_in_the_future_without_a_follow_up_day_is_refused_with_what_to_do(make: Make, cast: Cast) -> None:
    item = make.raised_item(1, cast.delivery)
    closing = replace(FIXED, effective_from=make.now + 5 * DAY)
    with pytest.raises(Refused, match="enter the day on which customers are asked whether it helped"):
        close(make.session, item, closing, cast.omar, make.now, make.settings)
    closure = close(make.session, item, replace(closing, ask_at=make.now + 6 * DAY), cast.omar, make.now, make.settings)
    assert (closure.effective_from, closure.ask_at) == (make.now + 5 * DAY, make.now + 6 * DAY)


def test_what_makes_no_sense_for_an_outcome_is_not_kept(make: Make, cast: Cast) -> None:
    item = make.raised_item(1, cast.delivery)
    closing = replace(FIXED, outcome=Outcome.DECLINED, segment=Segment.TAG, segment_value="x", effective_from=make.now)
    closure = close(make.session, item, closing, cast.omar, make.now, make.settings)
    assert (closure.effective_from, closure.segment, closure.segment_value) == (None, Segment.ALL, "")


def test_a_fix_is_effective_at_once_unless_a_day_is_given(make: Make, cast: Cast) -> None:
    closure = make.closure(make.raised_item(1, cast.delivery), cast.omar)
    assert closure.effective_from == make.now


def test_a_duplicate_leads_to_where_the_work_goes_on(make: Make, cast: Cast) -> None:
    item, other = make.raised_item(1, cast.delivery), make.raised_item(1, name="Box lost")
    closing = Closing(Outcome.DUPLICATE, "", "", "", duplicate_of_id=other.id)
    closure = close(make.session, item, closing, cast.omar, make.now, make.settings)
    assert (closure.duplicate_of, item.status) == (other, Status.CLOSED)
    assert run_of(make.session, closure) is None
    texts = make.session.scalars(select(ActionEvent.text).order_by(ActionEvent.id)).all()
    assert texts == [
        f"Closed as a duplicate of {other.complaint.number}; they are told when that is closed.",
        f"{item.complaint.number} was closed as a duplicate of this; its people are told when this is closed.",
    ]


def test_duplicates_that_lead_nowhere_are_refused(make: Make, cast: Cast) -> None:
    item, other, third = (make.raised_item(1, cast.delivery, name) for name in ("One", "Two", "Three"))
    session, now, settings = make.session, make.now, make.settings

    def duplicate(of: int) -> Closing:
        return Closing(Outcome.DUPLICATE, "", "", "", duplicate_of_id=of)

    with pytest.raises(Refused, match="no duplicate of itself"):
        close(session, item, duplicate(item.id), cast.omar, now, settings)
    with pytest.raises(Refused, match="There is no such action item"):
        close(session, item, duplicate(999_999), cast.omar, now, settings)
    close(session, other, duplicate(item.id), cast.omar, now, settings)
    with pytest.raises(Refused, match="was closed as a duplicate of this one"):
        close(session, item, duplicate(other.id), cast.omar, now, settings)
    with pytest.raises(Refused, match=f"is itself a duplicate of {item.complaint.number}"):
        close(session, third, duplicate(other.id), cast.omar, now, settings)
    close(session, item, FIXED, cast.omar, now, settings)
    with pytest.raises(Refused, match="closed already, so those who raised this would never be told"):
        close(session, third, duplicate(item.id), cast.omar, now, settings)
    reopen(session, item, "Once more.", cast.omar, now)
    item.complaint.state = ComplaintState.DISMISSED
    with pytest.raises(Refused, match="was dismissed"):
        close(session, third, duplicate(item.id), cast.omar, now, settings)
    assert session.scalars(select(Closure).where(Closure.action_item_id == third.id)).all() == []


def test_the_example_of_a_mail_is_to_whoever_said_it_last_and_may_be_written_to(
    make: Make, cast: Cast, session: Session
) -> None:
    item = make.raised_item(3, cast.delivery)
    mute, early = make.customer("Noor"), make.customer("Ines")
    make.statement(item.complaint, customer=mute, said_at=make.now)
    make.statement(item.complaint, said_at=make.now)
    make.statement(item.complaint, customer=early, said_at=make.now - timedelta(days=9))
    suppress(session, mute.email, "by link", make.now)
    last = make.customer("Tom")
    make.statement(item.complaint, text="Wet again.", customer=last, said_at=make.now - timedelta(hours=1))
    found = one_raiser(session, item)
    assert found is not None
    assert (found.address, found.quote) == (last.email, "Wet again.")
    nobody = make.raised_item(0, cast.delivery)
    make.statement(nobody.complaint, customer=mute)
    assert one_raiser(session, nobody) is None
