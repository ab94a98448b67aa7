"""Has it come back? Rates before and after, and what counts of what was said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from scipy.stats import binom
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from feedback_loop.actions.closing.usual import Scope, experienced, is_in, usual
from feedback_loop.actions.models import Outcome, Segment, Status
from feedback_loop.complaints.places import Origin
from feedback_loop.db import Sessions
from feedback_loop.followups.recurrence import Rate, decide, tail
from feedback_loop.followups.recurring import look_for_relapses
from tests.factories import Cast, Make

EARLIER, LATER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after", "people", "came_back"),
    [
        ((50, 1000), (0, 300), 0, False),
        ((50, 1000), (2, 2), 2, False),  # two are chance
        ((50, 1000), (5, 5), 1, False),  # one person alone
        ((50, 1000), (5, 300), 5, False),  # a third of before: what is left of old links and wrong places
        ((50, 1000), (15, 300), 15, True),  # as often as before
        ((50, 1000), (5, 100), 5, False),  # as often, but too few to tell
        ((50, 1000), (3, 4), 3, True),  # three of the first four
        ((0, 1000), (3, 100), 3, True),
        ((0, 0), (3, 100), 3, True),  # nothing known of before
    ],
)
def test_it_came_back(before: tuple[int, int], after: tuple[int, int], people: int, came_back: bool) -> None:
    assert decide(Rate(*before), Rate(*after), people, Outcome.FIXED).came_back is came_back


def test_what_is_partly_fixed_may_still_be_said_as_often_as_before() -> None:
    before, after = Rate(50, 1000), Rate(15, 300)
    assert decide(before, after, 15, Outcome.FIXED).came_back
    assert not decide(before, after, 15, Outcome.PARTLY_FIXED).came_back
    assert decide(before, Rate(40, 300), 15, Outcome.PARTLY_FIXED).came_back


@pytest.mark.parametrize("outcome", [Outcome.DECLINED, Outcome.DUPLICATE, Outcome.NOT_A_PROBLEM])
def test_where_nothing_was_changed_nothing_comes_back(outcome: Outcome) -> None:
    assert not decide(Rate(1, 1000), Rate(500, 500), 500, outcome).came_back


def test_the_reason_names_both_rates_with_their_base() -> None:
    assert decide(Rate(50, 1000), Rate(15, 300), 12, Outcome.FIXED).reason == (
        "15 of 300 answers say it again (5 %), 12 people; before the closing 50 of 1,000 did (5 %)."
    )


counts = st.integers(0, 400)


@effort(max_examples=300, deadline=None)
@given(counts, counts, counts, counts, st.integers(0, 40), st.sampled_from([Outcome.FIXED, Outcome.PARTLY_FIXED]))
def test_more_that_say_it_again_never_speak_against_a_relapse_and_more_answers_never_for_it(
    said_before: int, others_before: int, said: int, others: int, more: int, outcome: Outcome
) -> None:
    before, after = Rate(said_before, said_before + others_before), Rate(said, said + others)
    here = decide(before, after, said, outcome).came_back
    assert here <= decide(before, Rate(said + more, said + others + more), said + more, outcome).came_back
    assert here >= decide(before, Rate(said, said + others + more), said, outcome).came_back
    if before.answers:
        often = Rate(said_before + more, before.answers + more)
        assert here >= decide(often, after, said, outcome).came_back, "it was said more often before"
    assert not here or (said >= 3 and (not before.said or after.share > before.share / 2))


@effort(max_examples=200, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.001, 0.999))
def test_the_tail_is_that_of_the_binomial_distribution(successes: int, more: int, share: float) -> None:
    assert tail(successes, successes + more, share) == pytest.approx(
        binom.sf(successes - 1, successes + more, share), rel=1e-6, abs=1e-12
    )


@pytest.mark.parametrize(
    ("context", "invited_at", "expected"),
    [
        ({}, None, LATER),
        ({"experienced_at": EARLIER.isoformat()}, None, EARLIER),
        ({"Experienced_at": "2026-10-01"}, None, EARLIER),
        ({}, EARLIER, EARLIER),  # one is invited after it
        ({"experienced_at": "last week"}, None, LATER),
        ({"experienced_at": (LATER + timedelta(days=3)).isoformat()}, None, LATER),  # nobody answers before it
    ],
)
def test_when_they_met_it(context: dict[str, Any], invited_at: datetime | None, expected: datetime) -> None:
    assert experienced(context, invited_at, LATER) == expected


@pytest.mark.parametrize(
    ("scope", "language", "context", "inside"),
    [
        (Scope(), None, {}, True),
        (Scope(Segment.PAGE, "/pay"), None, {"page": "/Pay?step=2"}, True),
        (Scope(Segment.PAGE, "/pay"), None, {"page": "/payments"}, False),
        (Scope(Segment.TAG, "Delivery"), None, {"tags": ["price", "delivery"]}, True),
        (Scope(Segment.TAG, "Delivery"), None, {}, False),
        (Scope(Segment.RELEASE, "2.4"), None, {"version": "2.4"}, True),
        (Scope(Segment.RELEASE, "2.4"), None, {"release": "2.40"}, False),
        (Scope(Segment.LANGUAGE, "de"), "de", {}, True),
        (Scope(Segment.LANGUAGE, "de"), None, {}, False),
    ],
)
def test_for_whom_a_fix_is(scope: Scope, language: str | None, context: dict[str, Any], inside: bool) -> None:
    assert is_in(scope, Origin(language, context)) is inside


def test_what_was_usual_counts_answers_of_the_last_90_days_in_the_segment(
    make: Make, cast: Cast, session: Session, now: datetime
) -> None:
    complaint, survey = make.complaint(), make.survey()
    for days, page in ((1, "/pay"), (2, "/pay"), (3, "/basket"), (100, "/pay")):
        answer = make.answer(survey=survey, said_at=now - timedelta(days=days), context={"page": page})
        make.statement(complaint, answer=answer)
    for _ in range(6):
        make.statement(
            None, answer=make.answer("Fine.", survey, said_at=now - timedelta(days=1), context={"page": "/pay"})
        )
    item = make.item(complaint, cast.delivery)
    assert usual(session, item, now) == {"statements": 3, "answers": 9, "days": 90}
    assert usual(session, item, now, Scope(Segment.PAGE, "/pay")) == {"statements": 2, "answers": 8, "days": 90}


def test_only_where_something_was_said_since_the_last_look_is_looked_again(
    make: Make, cast: Cast, session: Session, sessions: Sessions, now: datetime
) -> None:
    item = make.raised_item(3, cast.delivery)
    closure = make.closure(item, cast.omar)
    later = now + timedelta(days=2)
    make.said[item.complaint_id] = 3
    make.statement(item.complaint, said_at=later)
    session.commit()
    statements: list[str] = []
    engine = session.get_bind()

    def note(_connection: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        statements.append(sql)

    look_for_relapses(sessions, later)
    session.refresh(closure)
    assert closure.usual["found"] == "1 said it again; a relapse takes 3 from 2 people."
    session.rollback()
    event.listen(engine, "before_cursor_execute", note)
    try:
        look_for_relapses(sessions, later + timedelta(minutes=5))
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len([sql for sql in statements if sql.startswith("SELECT")]) == 1


def test_a_declined_item_stays_closed_however_often_it_is_said(
    make: Make, cast: Cast, session: Session, sessions: Sessions, now: datetime
) -> None:
    item = make.raised_item(3, cast.delivery)
    make.closure(item, cast.omar, Outcome.DECLINED)
    make.said[item.complaint_id] = 3
    for _ in range(20):
        make.statement(item.complaint, customer=make.customer(), said_at=now + timedelta(days=2))
    session.commit()
    assert look_for_relapses(sessions, now + timedelta(days=3)) == 0
    assert session.scalars(select(type(item).status)).one() == Status.CLOSED
