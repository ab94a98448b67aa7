"""Service levels, and what they make of items: due dates, priorities, and what people choose by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.accounts.models import Digest
from feedback_loop.actions.calendar import Calendar, add_hours, hours_between
from feedback_loop.actions.deadlines import Course, Wait, due_at
from feedback_loop.actions.levels import queries
from feedback_loop.actions.levels import service as levels
from feedback_loop.actions.levels.rating import decide, rate_open_items, write
from feedback_loop.actions.levels.service import Terms
from feedback_loop.actions.models import ActionEvent, ActionItem, Priority, ServiceLevel, Status
from feedback_loop.actions.service import Refused, note, reopen, set_due
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.db import Sessions, reading
from feedback_loop.pipeline import Context
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName
from tests.conftest import NOW
from tests.factories import Cast, Make, sign_in
from tests.pages import again, counted, words

OFFICE = Calendar(frozenset(range(5)), 9 * 60, 17 * 60, "UTC")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONDAY = datetime(2026, 10, 12, tzinfo=UTC)
THRESHOLDS = (5, 20, 80)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return MONDAY.replace(day=day, hour=hour, minute=minute)


def wait(since: datetime, until: datetime) -> Wait:
    return Wait(since, until)


@pytest.mark.parametrize(
    ("waits", "due"),
    [
        ([], at(13, 17)),
        ([wait(at(12, 10), at(12, 12))], at(14, 11)),
        ([wait(at(12, 18), at(13, 8))], at(13, 17)),  # a night counts nothing anyway
        ([wait(at(13, 16), at(14, 10))], at(14, 11)),
        ([wait(at(13, 16), at(14, 10)), wait(at(12, 9), at(12, 10))], at(14, 12)),
        ([wait(at(14, 9), at(14, 12))], at(13, 17)),  # it was late before it waited
        ([wait(at(11, 9), at(12, 10))], at(14, 10)),  # begun before: only what lies after counts
    ],
)
def test_time_spent_waiting_is_added(waits: Sequence[Wait], due: datetime) -> None:
    assert due_at(Course(at(12, 9), waits), 16, OFFICE) == due


spans = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 3_000)), max_size=6)


@given(spans, st.integers(0, 80))
def test_of_the_time_until_it_is_due_the_hours_of_its_level_are_not_waited(
    pieces: list[tuple[int, int]], hours: int
) -> None:
    begin, waits = NOW, []
    for gap, length in pieces:
        since = begin + timedelta(minutes=gap)
        begin = since + timedelta(minutes=length)
        waits.append(Wait(since, begin))
    due = due_at(Course(NOW, waits), hours, OFFICE)
    waited = sum(hours_between(each.since, min(each.until, due), OFFICE) for each in waits if each.since < due)
    assert hours_between(NOW, due, OFFICE) - waited == pytest.approx(hours, abs=1e-6)
    assert due >= add_hours(NOW, hours, OFFICE)


@pytest.fixture
def context(sessions: Sessions, settings: Settings) -> Context:
    return Context(settings, sessions, lambda: NOW)


def rated(session: Session, context: Context, item: ActionItem) -> ActionItem:
    session.commit()
    pipeline.rate(context)
    again(session, item)
    return item


def events(session: Session, item: ActionItem) -> list[str]:
    found = session.scalars(
        select(ActionEvent.text).where(ActionEvent.action_item_id == item.id).order_by(ActionEvent.id)
    )
    return list(found)


def test_the_worker_makes_a_first_level_and_rates_by_it(make: Make, session: Session, context: Context) -> None:
    item = rated(session, context, make.raised_item(people=6))
    level = session.scalars(select(ServiceLevel)).one()
    assert (level.name, level.is_default, level.days) == ("Standard", True, [0, 1, 2, 3, 4])
    # Six people who all say "no": 6 × 1.5 × 1.5, for all of them said it within the last week.
    assert item.priority == Priority.NORMAL
    assert item.priority_reason == "6 people × 1.5 severity × 1.5 growing = 13; normal from 5."
    assert item.due_at == add_hours(NOW, 40, OFFICE)
    assert events(session, item) == []
    session.commit()
    pipeline.rate(context)
    assert session.scalars(select(ServiceLevel)).all() == [level]


def test_severity_is_how_bad_the_scores_are_on_their_own_scales(make: Make, session: Session, context: Context) -> None:
    complaint = make.complaint()
    stars, words_only = make.survey("stars", ScaleName.STARS), make.survey("words", ScaleName.TEXT)
    for survey, score in ((stars, 2), (stars, 4), (words_only, None)):
        make.statement(complaint, answer=make.answer(survey=survey, score=score), survey=survey)
    item = rated(session, context, make.item(complaint))
    assert "3 people × 1.0 severity × 1.5 growing = 4; low below 5." in item.priority_reason


def test_a_changed_priority_stands_in_the_history_and_moves_the_due_date(
    make: Make, session: Session, context: Context, sessions: Sessions
) -> None:
    item = rated(session, context, make.raised_item(people=6))
    version = item.version
    item.complaint.people_count = 30
    session.commit()
    assert rate_open_items(sessions, THRESHOLDS, NOW + HOUR) == 1
    assert rate_open_items(sessions, THRESHOLDS, NOW + HOUR) == 0
    again(session, item)
    assert item.priority == Priority.HIGH
    assert item.due_at == add_hours(NOW, 16, OFFICE)
    assert events(session, item) == [
        "Priority high, was normal: 30 people × 1.5 severity × 1.5 growing = 67; high from 20."
    ]
    assert item.version == version, "who is typing at this moment must not be refused"


def test_what_people_choose_stays(
    make: Make, cast: Cast, session: Session, context: Context, settings: Settings
) -> None:
    item = rated(session, context, make.raised_item(people=6))
    levels.set_priority(session, item, Priority.URGENT, "Press asks about it", cast.lena, NOW)
    assert item.due_at == add_hours(NOW, 8, OFFICE)
    item = rated(session, context, item)
    assert (item.priority, item.priority_reason) == (Priority.URGENT, "Chosen by Lena: Press asks about it")
    set_due(session, item, NOW + 9 * DAY, cast.lena, NOW)
    item = rated(session, context, item)
    assert item.due_at == NOW + 9 * DAY
    levels.leave_priority(session, item, settings.priority_thresholds, cast.lena, NOW)
    assert (item.priority, item.priority_by_hand, item.due_at) == (Priority.NORMAL, False, NOW + 9 * DAY)
    set_due(session, item, None, cast.lena, NOW)
    assert (item.due_at, item.due_by_hand) == (add_hours(NOW, 40, OFFICE), False)
    session.commit()
    assert events(session, item) == [
        "Priority urgent: Press asks about it",
        "Due 21 Oct 2026, 09:30 UTC.",
        "Priority normal, by its arithmetic again: 6 people × 1.5 severity × 1.5 growing = 13; normal from 5.",
        "Due 19 Oct 2026, 09:30 UTC, by the service level again.",
    ]


def test_an_edit_by_a_person_wins_over_the_rating(
    make: Make, cast: Cast, session: Session, sessions: Sessions, context: Context
) -> None:
    item = rated(session, context, make.raised_item(people=6))
    item.complaint.people_count = 300
    session.commit()
    with reading(sessions) as other:
        changes = decide(other, [item.id], {}, THRESHOLDS)
    levels.set_priority(session, item, Priority.LOW, "A test of ours", cast.lena, NOW)
    session.commit()
    with sessions.begin() as other:
        assert [write(other, change, NOW) for change in changes] == [False]
    again(session, item)
    assert item.priority == Priority.LOW
    assert events(session, item) == ["Priority low: A test of ours"]


def test_who_is_typing_while_it_is_rated_is_not_refused(
    make: Make, cast: Cast, session: Session, sessions: Sessions, context: Context
) -> None:
    item = rated(session, context, make.raised_item(people=6))
    read = item.version
    session.commit()
    with sessions.begin() as other:
        other.get_one(Complaint, item.complaint_id).people_count = 300
    pipeline.rate(context)
    item.owner = cast.omar  # on what was read before the rating
    session.commit()
    assert item.version == read + 1
    again(session, item)
    assert (item.owner_id, item.priority) == (cast.omar.id, Priority.URGENT)


def test_while_it_waits_the_time_stands_still(make: Make, cast: Cast, session: Session, context: Context) -> None:
    item = rated(session, context, make.raised_item(people=6))
    due = item.due_at
    item.status, item.waiting_since = Status.WAITING, NOW + DAY
    item.complaint.people_count = 60  # more urgent, but the clock is stopped
    item = rated(session, context, item)
    assert (item.priority, item.due_at) == (Priority.URGENT, due)
    item.status, item.waiting_since = Status.IN_PROGRESS, None
    note(session, item, "went_on", "Goes on.", cast.omar, NOW + 2 * DAY, waited_seconds=86_400)
    item = rated(session, context, item)
    # Eight business hours from Monday half past nine end on Tuesday half past nine; of the wait that began just then
    # nothing counts, for it was due.
    assert item.due_at == at(13, 9, 30)
    item.complaint.people_count = 20
    item = rated(session, context, item)
    assert item.priority == Priority.HIGH
    assert item.due_at == at(15, 9, 30)  # sixteen hours, and the eight of the day it waited


def test_a_reopened_item_begins_anew(make: Make, cast: Cast, session: Session, context: Context) -> None:
    item = rated(session, context, make.raised_item(people=6))
    make.closure(item, cast.omar)
    reopen(session, item, "It is back.", cast.omar, NOW + 7 * DAY)
    item = rated(session, context, item)
    assert item.due_at == add_hours(NOW + 7 * DAY, 40, OFFICE)


def test_what_was_there_before_any_level_counts_from_then(make: Make, session: Session, context: Context) -> None:
    item = make.raised_item(people=6)
    item.created_at = NOW - 300 * DAY
    item = rated(session, context, item)
    assert item.due_at == add_hours(NOW, 40, OFFICE)


@pytest.mark.parametrize("state", [ComplaintState.DISMISSED, None])
def test_what_is_put_aside_or_closed_is_left_alone(
    make: Make, cast: Cast, session: Session, context: Context, state: ComplaintState | None
) -> None:
    item = make.raised_item(people=6)
    if state:
        item.complaint.state = state
        with pytest.raises(Refused, match="was dismissed"):
            levels.set_priority(session, item, Priority.LOW, "Why", cast.lena, NOW)
    else:
        make.closure(item, cast.omar)
    item = rated(session, context, item)
    assert (item.priority_reason, item.due_at) == ("", None)


def terms(**values: Any) -> Terms:
    usual: dict[str, Any] = {
        "name": "Fast", "hours": {Priority.URGENT: 2, Priority.HIGH: 4, Priority.NORMAL: 8, Priority.LOW: 16},
        "days": [5, 0, 1, 2, 3, 4, 0], "opens": 480, "closes": 1200, "time_zone": "Europe/Berlin",
        "holidays": [date(2026, 12, 25), date(2026, 10, 13)],
    }  # fmt: skip
    return Terms(**(usual | values))


def test_an_item_may_go_by_another_level(make: Make, cast: Cast, session: Session, context: Context) -> None:
    item = rated(session, context, make.raised_item(people=6))
    fast = levels.add_level(session, terms(), NOW)
    assert (fast.is_default, fast.days, fast.holidays) == (False, [0, 1, 2, 3, 4, 5], ["2026-10-13", "2026-12-25"])
    levels.set_level(session, item, fast, cast.omar, NOW)
    # Open until 20:00 in Berlin, which is 18:00 UTC: eight hours from 09:30.
    assert item.due_at == at(12, 17, 30)
    levels.set_level(session, item, None, cast.omar, NOW)
    assert item.due_at == add_hours(NOW, 40, OFFICE)
    session.commit()
    assert events(session, item) == ["Service level: Fast.", "Service level: the default."]


def test_a_changed_level_dates_its_items_anew(make: Make, session: Session, context: Context) -> None:
    item = rated(session, context, make.raised_item(people=6))
    level = session.scalars(select(ServiceLevel)).one()
    levels.change_level(session, level, terms(name="Standard", time_zone="UTC", holidays=[]))
    assert rated(session, context, item).due_at == at(12, 17, 30)


def test_levels_are_archived_but_not_the_default(make: Make, cast: Cast, session: Session) -> None:
    standard = levels.ensure_level(session, "UTC", NOW)
    fast = levels.add_level(session, terms(), NOW)
    item = make.item()
    with pytest.raises(ValueError, match="This is the default"):
        levels.archive_level(session, standard, NOW)
    levels.archive_level(session, fast, NOW)
    with pytest.raises(ValueError, match="Bring it back first"):
        levels.make_default(session, fast)
    with pytest.raises(ValueError, match="Fast is archived"):
        levels.set_level(session, item, fast, cast.lena, NOW)
    levels.restore_level(session, fast)
    levels.make_default(session, fast)
    levels.archive_level(session, standard, NOW)
    assert [each.name for each in queries.levels(session)] == ["Fast", "Standard"]
    with pytest.raises(ValueError, match="called standard already"):
        levels.change_level(session, fast, terms(name="standard"))
    with pytest.raises(ValueError, match="called Fast already"):
        levels.add_level(session, terms(), NOW)


TYPED = {
    "name": "Shop", "urgent": "4", "high": "8", "normal": "24", "low": "48", "days": ["0", "1", "5"], "opens": "600",
    "closes": "1440", "time_zone": "Europe/Lisbon", "holidays": "2026-12-25\n\n 2027-01-01 ", "remind_hours": "4",
    "lead_hours": "2", "admin_hours": "8",
}  # fmt: skip


def test_a_lead_adds_changes_and_archives_a_level(client: FlaskClient, cast: Cast, session: Session) -> None:
    levels.ensure_level(session, "UTC", NOW)
    session.commit()
    sign_in(client, cast.lena)
    page = words(client.post("/settings/levels", data=TYPED, follow_redirects=True))
    assert "The service level Shop is added." in page
    assert "Shop 4, 8, 24, 48 hours Mon–Tue, Sat, 10:00–24:00 Europe/Lisbon, 2 holidays" in page
    assert "Owner 4 hours before Leads 2 hours after Admins 8 hours after" in page
    assert "Standard ✓ Default 8, 16, 40, 80 hours Mon–Fri, 09:00–17:00 UTC" in page
    shop = session.scalars(select(ServiceLevel).where(ServiceLevel.name == "Shop")).one()
    session.commit()
    form = client.get(f"/settings/levels/{shop.id}").get_data(as_text=True)
    assert "2026-12-25\n2027-01-01" in form.replace("\r", "")
    assert '<option selected value="Europe/Lisbon">' in form
    changed = client.post(f"/settings/levels/{shop.id}", data=TYPED | {"urgent": "3", "holidays": ""})
    assert changed.status_code == 302
    again(session, shop)
    assert (shop.hours["urgent"], shop.holidays, shop.closes) == (3, [], 1440)
    page = words(client.post(f"/settings/levels/{shop.id}/archive", data={"archived": "yes"}, follow_redirects=True))
    assert "Shop is archived. Items that go by it still do." in page
    client.post(f"/settings/levels/{shop.id}/archive", data={"archived": "no"})
    page = words(client.post(f"/settings/levels/{shop.id}/default", follow_redirects=True))
    assert "Shop is the default now." in page
    page = words(client.post(f"/settings/levels/{shop.id}/archive", data={"archived": "yes"}, follow_redirects=True))
    assert "This is the default. Make another one the default first, then archive it." in page
    assert client.get("/settings/levels/999").status_code == 404


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"name": ""}, "Enter a name."),
        ({"name": "STANDARD"}, "There is a service level called STANDARD already. Choose another name."),
        ({"urgent": "9"}, "Enter at most 8, the hours of high priority: what is more urgent cannot take longer."),
        ({"low": "some"}, "Enter whole hours, from 1 to 2,000."),
        ({"low": "0"}, "Enter whole hours, from 1 to 2,000."),
        ({"remind_hours": "-1"}, "Enter whole hours, from 0 to 2,000."),
        ({"days": []}, "Choose at least one day."),
        ({"closes": "630"}, "Choose an end at least an hour after the beginning."),
        ({"time_zone": "Mars"}, "Not a valid choice"),
        ({"holidays": "2026-12-25\nChristmas"}, "Line 2: “Christmas” is no day. Enter it as 2026-12-25."),
    ],
)
def test_bad_levels_are_refused_and_nothing_typed_is_lost(
    client: FlaskClient, cast: Cast, session: Session, typed: dict[str, Any], message: str
) -> None:
    levels.ensure_level(session, "UTC", NOW)
    session.commit()
    sign_in(client, cast.ada)
    response = client.post("/settings/levels", data=TYPED | typed)
    assert response.status_code == 400
    assert message in words(response)
    assert 'value="24"' in response.get_data(as_text=True)
    assert len(session.scalars(select(ServiceLevel)).all()) == 1


def test_levels_are_for_leads(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.omar)
    assert client.get("/settings/levels").status_code == 403
    assert client.post("/settings/levels", data=TYPED).status_code == 403


def test_without_a_level_the_page_says_what_happens(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.lena)
    assert "The worker makes a first one within minutes" in words(client.get("/settings/levels"))


def test_the_page_of_an_item_shows_the_arithmetic_and_the_pause(
    client: FlaskClient, cast: Cast, make: Make, session: Session, context: Context
) -> None:
    item = make.raised_item(people=6, team=cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    assert "Rated within minutes" in words(client.get(f"/actions/{item.id}"))
    item = rated(session, context, item)
    page = words(client.get(f"/actions/{item.id}"))
    assert "Priority Normal 6 people × 1.5 severity × 1.5 growing = 13; normal from 5." in page
    assert "Due 19 Oct 2026, 09:30 UTC Service level the default" in page
    item.status, item.waiting_since = Status.WAITING, NOW
    session.commit()
    assert "Paused While it waits, since 12 Oct 2026, 09:30 UTC." in words(client.get(f"/actions/{item.id}"))


def test_owners_set_priority_and_level_of_their_items(
    client: FlaskClient, cast: Cast, make: Make, session: Session, context: Context
) -> None:
    item = rated(session, context, make.raised_item(people=6, team=cast.delivery))
    fast = levels.add_level(session, terms(), NOW)
    session.commit()
    sign_in(client, cast.omar)
    refused = client.post(f"/actions/{item.id}/priority", data={"priority": "urgent", "reason": " "})
    assert refused.status_code == 400
    assert "Enter why, so that others understand it." in words(refused)
    client.post(f"/actions/{item.id}/priority", data={"priority": "urgent", "reason": "Press"})
    client.post(f"/actions/{item.id}/level", data={"level": str(fast.id)})
    page = words(client.get(f"/actions/{item.id}"))
    assert "Priority Urgent Chosen by Omar: Press Due 12 Oct 2026, 11:30 UTC Service level Fast" in page
    client.post(f"/actions/{item.id}/priority", data={"priority": "", "reason": ""})
    page = words(client.get(f"/actions/{item.id}"))
    assert "6 people × 1.5 severity" in page
    assert "Priority Urgent" not in page
    assert client.post(f"/actions/{item.id}/level", data={"level": "999"}).status_code == 400
    assert client.post(f"/actions/{item.id}/priority", data={"priority": "panic"}).status_code == 400


def test_others_do_not(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(people=6, team=cast.delivery)
    session.commit()
    sign_in(client, cast.olga)
    assert client.post(f"/actions/{item.id}/priority", data={"priority": "low", "reason": "x"}).status_code == 403
    assert client.post(f"/actions/{item.id}/level", data={"level": ""}).status_code == 403
    assert "Change priority" not in words(client.get(f"/actions/{item.id}"))


def test_assigning_leaves_a_due_date_of_the_level_alone(
    client: FlaskClient, cast: Cast, make: Make, session: Session, context: Context
) -> None:
    item = rated(session, context, make.raised_item(people=6, team=cast.delivery))
    due = item.due_at
    sign_in(client, cast.omar)
    typed = {"team": str(cast.delivery.id), "owner": str(cast.omar.id), "due": ""}
    assert client.post(f"/actions/{item.id}/assignment", data=typed).status_code == 302
    again(session, item)
    assert (item.owner_id, item.due_at, item.due_by_hand) == (cast.omar.id, due, False)


def test_rating_many_items_asks_few_questions(
    make: Make, session: Session, sessions: Sessions, context: Context
) -> None:
    for index in range(30):
        make.raised_item(people=3, name=f"Complaint {index}")
    session.commit()
    pipeline.rate(context)
    with counted(sessions.kw["bind"]) as sent:
        assert rate_open_items(sessions, THRESHOLDS, NOW) == 0
    assert len(sent) <= 8


def test_everybody_finds_their_mails_under_settings(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.vera)
    assert client.get("/settings").headers["Location"] == "/settings/my-mails"
    page = words(client.get("/settings/my-mails"))
    assert "Mails about your work go to vera@fernhill.example" in page
    assert "Your next digest:" in page
    assert "Then no mail comes." in page
    assert "Teams" not in page
    assert client.post("/settings/my-mails", data={"digest": "hourly"}).status_code == 400
    assert client.post("/settings/my-mails", data={"digest": "off"}).status_code == 302
    again(session, cast.vera)
    assert cast.vera.digest == Digest.OFF
    assert "No digest: it is off." in words(client.get("/settings/my-mails"))
