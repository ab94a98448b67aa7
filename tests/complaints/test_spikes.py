from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, ComplaintState, Spike, SpikeState
from feedback_loop.complaints.service.spikes import look_for_spikes
from feedback_loop.complaints.service.weeks import count_weeks
from feedback_loop.complaints.spikes import DAYS, LOOK, Alert, Change, Counts, decide, usual
from feedback_loop.db import Sessions
from feedback_loop.pipeline import Context
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.pages import counted, links, words

NOW = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
LONG_AGO = NOW - timedelta(days=100)
OFFICE = [5, 5, 5, 5, 5, 0, 0] * 4  # nothing at weekends


@pytest.mark.parametrize(
    ("last", "before", "change"),
    [
        (22, [3] * 28, Change.START),
        (5, [0] * 28, Change.START),
        (4, [0] * 28, Change.NONE),  # however rare it was: four voices are chance
        (8, [3] * 28, Change.NONE),  # 2.9 spreads of chance
        (10, [3] * 28, Change.NONE),  # 4 spreads, but counts lean upwards: chance brings it about now and then
        (11, [3] * 28, Change.START),
        (4, [2] * 28, Change.NONE),  # twice the usual, which never varied so far, but chance varies
        (150, [100] * 28, Change.NONE),  # five spreads, but less than twice
        (200, [100] * 28, Change.START),
        (9, OFFICE, Change.NONE),
        (12, OFFICE, Change.START),
        (30, [30, 0, 0, 0, 0, 0, 0] * 4, Change.NONE),  # as on every Monday
        (0, [3] * 28, Change.NONE),
    ],
)
def test_a_spike_needs_more_than_chance_a_least_volume_and_twice_the_usual(
    last: int, before: list[int], change: Change
) -> None:
    assert decide(Counts(last, before, LONG_AGO), None, NOW).change == change


def test_the_decision_says_why_in_words() -> None:
    found = decide(Counts(22, [3] * 28, LONG_AGO), None, NOW)
    assert found.reason == "22 in 24 hours; 3 a day is usual."
    assert (found.statements, found.expected, found.z) == (22, 3.0, 10.97)
    assert decide(Counts(2, [3] * 28, LONG_AGO), alert(hours=9, seen=9), NOW).reason.startswith("Back to 2 in 24 hours")


@pytest.mark.parametrize(
    ("a_day", "words_"),
    [(1204.4, "1,204 a day"), (2.5, "3 a day"), (1, "1 a day"), (0.6, "4 a week"), (0.05, "less than 1 a week")],
)
def test_what_is_usual_is_written_in_whole_numbers(a_day: float, words_: str) -> None:
    assert usual(a_day) == words_


@pytest.mark.parametrize("days", [0, 3, 6.9])
def test_a_young_complaint_is_new_and_no_spike(days: float) -> None:
    found = decide(Counts(50, [0] * 28, NOW - days * DAY), None, NOW)
    assert found.change == Change.NONE
    assert "Too new" in found.reason


def test_days_before_a_complaint_was_first_said_are_not_usual_days() -> None:
    before = [10] * 9 + [0] * 19
    assert decide(Counts(15, before, NOW - 10 * DAY), None, NOW).change == Change.NONE
    assert decide(Counts(15, before, LONG_AGO), None, NOW).change == Change.NONE
    assert decide(Counts(15, before, NOW - 10 * DAY), None, NOW).expected == 10


def alert(hours: float, seen: float = 0.25, ended: float | None = None) -> Alert:
    """One that began, was last found to run and ended so many hours ago."""
    return Alert(
        NOW - timedelta(hours=hours), NOW - timedelta(hours=seen), None if ended is None else NOW - ended * DAY / 24
    )


@pytest.mark.parametrize(
    ("last", "seen", "change"),
    [
        (22, 0.25, Change.GO_ON),
        (6, 0.25, Change.GO_ON),  # too little to begin, enough to go on
        (5, 0.25, Change.NONE),  # quiet at one look only
        (5, 0.5, Change.END),
        (5, 9, Change.END),  # the worker was away meanwhile
        (0, 0.5, Change.END),
    ],
)
def test_a_running_alert_ends_later_than_it_began(last: int, seen: float, change: Change) -> None:
    assert decide(Counts(last, [3] * 28, LONG_AGO), alert(hours=10, seen=seen), NOW).change == change


def test_what_was_never_said_before_does_not_go_on_with_two_voices() -> None:
    assert decide(Counts(2, [0] * 28, LONG_AGO), alert(10, seen=0.5), NOW).change == Change.END
    assert decide(Counts(3, [0] * 28, LONG_AGO), alert(10, seen=0.5), NOW).change == Change.GO_ON


@pytest.mark.parametrize(("ended", "change"), [(1, Change.RETURN), (6.9 * 24, Change.RETURN), (7.1 * 24, Change.START)])
def test_one_that_returns_within_a_week_is_the_same_alert(ended: float, change: Change) -> None:
    assert decide(Counts(22, [3] * 28, LONG_AGO), alert(ended + 30, ended, ended), NOW).change == change


def test_the_days_of_an_alert_do_not_hide_its_own_next_day_nor_what_follows() -> None:
    before = [22, 25, 24, 20] + [3] * 24
    assert decide(Counts(20, before, LONG_AGO), alert(hours=96), NOW).change == Change.GO_ON
    assert decide(Counts(20, before, LONG_AGO), alert(hours=120, seen=24, ended=20), NOW).change == Change.RETURN
    assert decide(Counts(20, before, LONG_AGO), None, NOW).change == Change.NONE


def test_what_lasts_for_three_weeks_has_become_usual_and_does_not_return() -> None:
    before = [20] * 21 + [3] * 7
    found = decide(Counts(20, before, LONG_AGO), alert(hours=21 * 24), NOW)
    assert found.change == Change.END
    assert "usual now" in found.reason
    ended = alert(hours=21 * 24 + 1, seen=1, ended=0.5)
    assert decide(Counts(20, before, LONG_AGO), ended, NOW).change == Change.NONE


def test_alerts_do_not_flicker() -> None:
    """One outage of a day, looked at every 15 minutes for 40 days, is one alert that ends once."""
    chance = random.Random(7)
    said = [LONG_AGO + timedelta(hours=chance.random() * 24 * 160) for _ in range(160 * 3)]
    said += [NOW + timedelta(hours=chance.random() * 24) for _ in range(40)]
    known: Alert | None = None
    changes = []
    for look in range(0, 40 * 96):
        now = NOW - DAY + look * LOOK
        days = [0] * (DAYS + 1)
        for moment in said:
            age = (now - moment) // DAY
            if 0 <= age <= DAYS:
                days[age] += 1
        change = decide(Counts(days[0], days[1:], LONG_AGO), known, now).change
        if change == Change.START:
            known = Alert(now, now)
        elif change in (Change.GO_ON, Change.RETURN) and known:
            known = Alert(known.started_at, now)
        elif change == Change.END and known:
            known = Alert(known.started_at, known.last_at, now)
        if change not in (Change.NONE, Change.GO_ON):
            changes.append((change, now))
    assert [change for change, _ in changes] == [Change.START, Change.END]
    assert NOW < changes[0][1] < NOW + timedelta(hours=8)
    assert NOW + DAY < changes[1][1] < NOW + 3 * DAY


def say(make: Make, complaint: Complaint, days_ago: float, times: int = 1) -> None:
    for index in range(times):
        make.statement(complaint, said_at=make.now - days_ago * DAY + timedelta(minutes=index))


@pytest.fixture
def usually_twice(make: Make) -> Complaint:
    """A complaint that was said twice every other day for the last eight weeks."""
    complaint, survey = make.complaint("Label does not print"), make.survey()
    for days in range(2, 56, 2):
        for hours in (3, 9):
            make.statement(complaint, survey=survey, said_at=make.now - days * DAY + timedelta(hours=hours))
    make.session.commit()
    return complaint


def spikes(session: Session) -> list[Spike]:
    session.expire_all()
    return list(session.scalars(select(Spike).order_by(Spike.id)))


def test_a_spike_begins_goes_on_ends_and_returns_as_one_alert(
    make: Make, session: Session, usually_twice: Complaint
) -> None:
    now = make.now
    assert look_for_spikes(session, now) == 0
    say(make, usually_twice, 0.5, 12)
    assert look_for_spikes(session, now) == 1
    (spike,) = spikes(session)
    assert (spike.state, spike.started_at, spike.statements) == (SpikeState.RUNNING, now, 12)
    assert spike.reason == "12 in 24 hours; 1 a day is usual."
    assert look_for_spikes(session, now + LOOK) == 0
    assert spikes(session)[0].last_at == now + LOOK
    quiet = now + 2 * DAY
    assert look_for_spikes(session, quiet) == 1
    (spike,) = spikes(session)
    assert (spike.state, spike.ended_at, spike.returned) == (SpikeState.OVER, quiet, 0)
    assert look_for_spikes(session, quiet + LOOK) == 0
    say(make, usually_twice, -3, 12)
    again = now + 3.5 * DAY
    assert look_for_spikes(session, again) == 1
    (spike,) = spikes(session)
    assert (spike.state, spike.ended_at, spike.returned, spike.started_at) == (SpikeState.RUNNING, None, 1, now)
    look_for_spikes(session, now + 6 * DAY)
    say(make, usually_twice, -16, 12)
    look_for_spikes(session, now + 16.5 * DAY)
    assert [each.state for each in spikes(session)] == [SpikeState.OVER, SpikeState.RUNNING]


def test_importing_old_answers_raises_nothing(make: Make, session: Session, usually_twice: Complaint) -> None:
    for days in (2, 5, 30, 300):
        say(make, usually_twice, days, 20)
    other = make.complaint("Only imported")
    for days in (3, 90, 400):
        say(make, other, days, 20)
    assert look_for_spikes(session, make.now) == 0


def test_the_first_days_of_listening_raise_nothing(make: Make, session: Session) -> None:
    complaint = make.complaint()
    say(make, complaint, 200, 3)  # imported; nothing was heard since
    say(make, complaint, 0.5, 12)
    assert look_for_spikes(session, make.now) == 0


def test_statements_that_have_yet_to_come_do_not_count(make: Make, session: Session, usually_twice: Complaint) -> None:
    say(make, usually_twice, -0.5, 12)
    assert look_for_spikes(session, make.now) == 0


@pytest.mark.parametrize(
    ("state", "reason"),
    [(ComplaintState.DISMISSED, "The complaint was dismissed."), (ComplaintState.MERGED, "Merged into C-{}.")],
)
def test_dismissed_and_merged_complaints_end_their_spikes(
    make: Make, session: Session, usually_twice: Complaint, state: ComplaintState, reason: str
) -> None:
    say(make, usually_twice, 0.5, 12)
    look_for_spikes(session, make.now)
    survivor = make.complaint("Survivor")
    usually_twice.state = state
    usually_twice.merged_into_id = survivor.id if state == ComplaintState.MERGED else None
    session.flush()
    assert look_for_spikes(session, make.now + LOOK) == 1
    (spike,) = spikes(session)
    assert (spike.state, spike.ended_at) == (SpikeState.OVER, make.now + LOOK)
    assert spike.reason == reason.format(survivor.id)
    assert spike.statements == 12
    assert look_for_spikes(session, make.now + 2 * LOOK) == 0


def test_a_complaint_that_lost_its_statements_ends_its_spike(
    make: Make, session: Session, usually_twice: Complaint
) -> None:
    say(make, usually_twice, 0.5, 12)
    look_for_spikes(session, make.now)
    for each in list(session.scalars(select(type(make.statement())).filter_by(complaint_id=usually_twice.id))):
        session.delete(each)
    usually_twice.first_said_at = usually_twice.last_said_at = None
    session.flush()
    assert look_for_spikes(session, make.now + LOOK) == 1
    assert spikes(session)[0].state == SpikeState.OVER


def test_the_table_holds_one_running_alert_of_a_complaint(make: Make, session: Session) -> None:
    complaint = make.complaint()
    for _ in range(2):
        session.add(running(make, complaint))
    with pytest.raises(IntegrityError):
        session.flush()


def test_many_workers_at_once_keep_one_alert(
    make: Make, session: Session, sessions: Sessions, settings: Settings, usually_twice: Complaint
) -> None:
    say(make, usually_twice, 0.5, 12)
    say(make, usually_twice, -3, 12)
    session.commit()
    for days in (0, 2, 3.5):  # it begins, ends and returns
        context = Context(settings, sessions, lambda days=days: make.now + days * DAY)  # type: ignore[misc]
        with ThreadPoolExecutor(4) as workers:
            list(workers.map(pipeline.spikes, [context] * 4))
        session.commit()
    (spike,) = spikes(session)
    assert (spike.state, spike.returned) == (SpikeState.RUNNING, 1)


def test_the_worker_looks_every_quarter_of_an_hour() -> None:
    step = next(step for step in pipeline.STEPS if step.name == "spikes")
    assert step.once
    assert step.every == timedelta(minutes=15)


def test_looking_asks_no_more_for_more_complaints(make: Make, session: Session, engine: Engine) -> None:
    counts = []
    for _ in range(2):
        for _ in range(3):
            complaint = make.complaint()
            say(make, complaint, 20, 2)
            say(make, complaint, 0.5, 6)
            session.add(running(make, complaint))
        session.flush()
        with counted(engine) as sent:
            look_for_spikes(session, make.now)
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 4


def test_four_weeks_are_read_of_loud_complaints_only(session: Session, engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("Other databases choose by the size of the table, which is empty here.")
    with counted(engine) as sent:
        look_for_spikes(session, NOW)
    plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sent[0]}", ("",) * sent[0].count("?"))
    steps = [row[3] for row in plan]
    assert any("statements USING INDEX ix_statements_said_at" in step for step in steps), steps
    assert any("statements USING COVERING INDEX ix_statements_complaint_id" in step for step in steps), steps
    assert not any(step.startswith("SCAN statements") for step in steps), steps


def running(make: Make, complaint: Complaint, **values: object) -> Spike:
    reason = "22 in 24 hours; 3 a day is usual."
    defaults: dict[str, object] = {
        "complaint_id": complaint.id, "state": SpikeState.RUNNING, "started_at": make.now, "last_at": make.now,
        "statements": 22, "expected": 3.0, "z": 11.0, "reason": reason,
    }  # fmt: skip
    return Spike(**(defaults | values))


def test_home_names_running_spikes_above_the_counts(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    ours, theirs, over = (make.complaint(name) for name in ("Ours", "Theirs", "Calm again"))
    for complaint, team in ((ours, cast.delivery), (theirs, cast.payments), (over, cast.delivery)):
        make.statement(complaint, said_at=utc_now() - timedelta(hours=1))
        make.item(complaint, team)
    session.add_all([running(make, ours), running(make, theirs, z=20.0)])
    session.add(running(make, over, state=SpikeState.OVER, ended_at=make.now))
    session.commit()
    sign_in(client, cast.lena)
    response = client.get("/?scope=all")
    page = words(response)
    assert "▲ 2 complaints spike Theirs: 22 in 24 hours; 3 a day is usual. Ours: 22 in 24 hours" in page
    assert page.index("2 complaints spike") < page.index("3 new")
    assert "Calm again:" not in page
    assert f"/complaints/{ours.id}/trends" in links(response)
    sign_in(client, cast.omar)
    page = words(client.get("/"))
    assert "1 complaint spikes Ours:" in page
    assert "Theirs" not in page


def test_home_says_how_many_more_spike(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    for number in range(8):
        complaint = make.complaint(f"Problem {number}")
        make.statement(complaint, said_at=utc_now())
        session.add(running(make, complaint))
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get("/"))
    assert "8 complaints spike" in page
    assert "And 2 more: complaints that grow most." in page


def test_the_list_has_a_word_beside_what_spikes(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    for name in ("Loud", "Quiet"):
        complaint = make.complaint(name)
        make.statement(complaint, said_at=utc_now() - timedelta(days=1))
        session.add(running(make, complaint, state=SpikeState.OVER, ended_at=make.now))
        if name == "Loud":
            session.add(running(make, complaint))
    count_weeks(session, utc_now())
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get("/complaints"))
    assert page.count("▲ spike") == 1
    assert page.count("Loud C-") == 1, "its old alerts do not list it twice"
    assert "▲ spike 1 this week, 0 before" in page
