"""Who is reminded of what when, and which mails colleagues get over a week."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.accounts.models import Digest, Role, User
from feedback_loop.actions.calendar import Calendar
from feedback_loop.actions.colleagues import reminding
from feedback_loop.actions.colleagues.digests import comes_on, next_digest, sections, unmailed
from feedback_loop.actions.colleagues.mails import choose_digest, tell_colleagues
from feedback_loop.actions.colleagues.reminding import Policy, Reminder, Standing, To, remind, reminders
from feedback_loop.actions.levels import service as levels
from feedback_loop.actions.models import (
    ActionItem,
    Notice,
    Priority,
    RunState,
    Status,
)
from feedback_loop.actions.notices import tell
from feedback_loop.actions.queries import run_of
from feedback_loop.db import Sessions
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.pipeline import Context
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.pages import again, words
from tests.smtp import Sink, running, text_of

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OFFICE = Calendar(frozenset(range(5)), 9 * 60, 17 * 60, "UTC")
POLICY = Policy(OFFICE, 8, 4, 16)
NAME = "C-1 “Parcel never came”"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 10, day, hour, minute, tzinfo=UTC)


def names(found: list[Reminder]) -> list[str]:
    return [each.name.partition(":")[0] for each in found]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (at(13, 11), []),
        (at(13, 12), ["due_soon"]),  # eight business hours before: five on Tuesday, three on Wednesday
        (at(14, 11, 59), ["due_soon"]),
        (at(14, 12), ["due"]),
        (at(14, 16), ["due", "overdue_leads"]),
        (at(16, 11), ["due", "overdue_leads"]),
        (at(16, 12), ["due", "overdue_leads", "overdue_admins"]),
        (at(30, 12), ["due", "overdue_leads", "overdue_admins"]),
    ],
)
def test_reminders_come_in_business_hours(now: datetime, expected: list[str]) -> None:
    found = reminders(Standing(NAME, at(14, 12), 0), POLICY, now)
    assert names(found) == expected
    assert all(each.is_urgent == (each.name[:8] != "due_soon") for each in found)


def test_reminders_say_what_and_when() -> None:
    it = Standing(NAME, at(14, 12), 3)
    assert reminders(it, POLICY, at(14, 9)) == [
        Reminder("reopened_often:3", (To.LEADS, To.ADMINS),
                 f"{NAME} has come back 3 times: what was done so far does not last.", True),
        Reminder("due_soon:2026-10-14T12:00", (To.OWNER,), f"{NAME} is due on 14 Oct 2026, 12:00 UTC.", False),
    ]  # fmt: skip
    assert reminders(it, None, at(14, 9)) == reminders(replace(it, due_at=None), POLICY, at(14, 9))


def test_a_level_may_never_remind_before_and_escalate_at_once() -> None:
    policy = Policy(OFFICE, 0, 0, 0)
    assert reminders(Standing(NAME, at(14, 12), 0), policy, at(14, 11)) == []
    assert names(reminders(Standing(NAME, at(14, 12), 0), policy, at(14, 12))) == [
        "due", "overdue_leads", "overdue_admins",
    ]  # fmt: skip


@pytest.fixture
def late(make: Make, cast: Cast, session: Session, now: datetime) -> ActionItem:
    """An item of Omar's that has just become due, by hand."""
    level = levels.ensure_level(session, "UTC", now)
    level.lead_hours, level.admin_hours = 4, 16
    make.user("Lars", Role.LEAD)
    make.user("Lea", Role.LEAD, cast.payments)
    make.user("Gone", Role.LEAD, cast.delivery, is_active=False)
    item = make.raised_item(team=cast.delivery)
    item.owner, item.due_at, item.due_by_hand = cast.omar, now, True
    item.status, item.triaged_at = Status.IN_PROGRESS, now
    session.commit()
    return item


def heard(session: Session) -> list[tuple[str, str]]:
    rows = session.execute(
        select(User.name, Notice.kind).join(User, User.id == Notice.user_id).order_by(Notice.id)
    ).all()
    session.commit()
    return [(name, kind.partition(":")[0]) for name, kind in rows]


def test_it_escalates_from_the_owner_to_the_leads_of_the_team_to_admins(
    late: ActionItem, session: Session, sessions: Sessions, now: datetime
) -> None:
    assert remind(sessions, now - HOUR) == 1
    assert remind(sessions, now) == 1
    assert remind(sessions, now) == 0
    assert heard(session) == [("Omar", "due_soon"), ("Omar", "due")]
    assert remind(sessions, now + 4 * HOUR) == 1
    # Lena leads the team, Lars all without one; Lea leads another, and Gone is gone.
    assert heard(session)[2:] == [("Lena", "overdue_leads"), ("Lars", "overdue_leads")]
    assert remind(sessions, now + 3 * DAY) == 1
    assert heard(session)[4:] == [("Ada", "overdue_admins")]
    assert remind(sessions, now + 30 * DAY) == 0


def test_another_due_date_begins_anew(late: ActionItem, session: Session, sessions: Sessions, now: datetime) -> None:
    remind(sessions, now)
    late.due_at = now + DAY
    session.commit()
    assert remind(sessions, now) == 1
    assert heard(session) == [("Omar", "due"), ("Omar", "due_soon")]


@pytest.mark.parametrize("status", [Status.WAITING, Status.CLOSED, Status.VERIFIED])
def test_nobody_is_reminded_of_what_waits_or_is_closed(
    late: ActionItem, session: Session, sessions: Sessions, now: datetime, status: Status
) -> None:
    late.status = status
    session.commit()
    assert remind(sessions, now + 9 * DAY) == 0


def test_a_date_of_the_level_that_is_about_to_change_reminds_nobody(
    late: ActionItem, session: Session, sessions: Sessions, now: datetime
) -> None:
    late.due_by_hand = False  # as after a long wait: by the level it is due much later
    session.commit()
    assert remind(sessions, now) == 0


def test_what_nobody_owns_is_its_leads_and_nobody_hears_twice_at_once(
    late: ActionItem, cast: Cast, session: Session, sessions: Sessions, now: datetime
) -> None:
    late.owner = None
    session.commit()
    assert remind(sessions, now + 30 * DAY) == 3
    assert sorted(heard(session)) == [
        ("Ada", "overdue_admins"), ("Lars", "due"), ("Lars", "overdue_leads"), ("Lena", "due"),
        ("Lena", "overdue_leads"),
    ]  # fmt: skip
    # The second ones are only noted, as told already.
    told = select(Notice.kind).where(Notice.user_id == cast.lena.id, Notice.mailed_at.is_(None))
    assert [kind.partition(":")[0] for kind in session.scalars(told)] == ["due"]
    session.commit()
    assert remind(sessions, now + 30 * DAY) == 0


def test_without_a_lead_admins_hear(late: ActionItem, session: Session, sessions: Sessions, now: datetime) -> None:
    for user in session.scalars(select(User).where(User.role == Role.LEAD)):
        user.is_active = False
    session.commit()
    remind(sessions, now + 4 * HOUR)
    assert heard(session) == [("Omar", "due"), ("Ada", "overdue_leads")]


def test_what_came_back_three_times_goes_to_leads_and_admins(
    late: ActionItem, session: Session, sessions: Sessions, now: datetime
) -> None:
    late.due_at, late.status, late.reopened_count = None, Status.REOPENED, 2
    session.commit()
    assert remind(sessions, now) == 0
    late.reopened_count = 3
    session.commit()
    assert remind(sessions, now) == 1
    assert remind(sessions, now + DAY) == 0
    assert {name for name, kind in heard(session) if kind == "reopened_often"} == {"Ada", "Lena", "Lars"}


@pytest.mark.parametrize(
    ("digest", "days"),
    [(Digest.DAILY, [12, 14, 15, 16, 19]), (Digest.WEEKLY, [12, 19]), (Digest.OFF, [])],
)
def test_digests_come_on_working_days(digest: Digest, days: list[int]) -> None:
    calendar = replace(OFFICE, holidays=frozenset({at(13, 0).date()}))
    assert [day for day in range(12, 20) if comes_on(digest, at(day, 0).date(), calendar)] == days


def test_a_weekly_digest_comes_on_tuesday_where_monday_is_a_holiday(settings: Settings) -> None:
    calendar = replace(OFFICE, holidays=frozenset({at(12, 0).date()}))
    assert comes_on(Digest.WEEKLY, at(13, 0).date(), calendar)
    assert next_digest(Digest.WEEKLY, calendar, settings, at(13, 7)) == at(13, 8)
    assert next_digest(Digest.WEEKLY, calendar, settings, at(13, 8)) == at(19, 8)
    assert next_digest(Digest.OFF, calendar, settings, at(13, 8)) is None


def test_the_hour_is_that_of_the_default_time_zone(settings: Settings) -> None:
    berlin = replace(settings, default_time_zone="Europe/Berlin", digest_hour=7)
    assert next_digest(Digest.DAILY, OFFICE, berlin, at(23, 6)) == at(26, 6)  # after the change of the clocks
    assert next_digest(Digest.DAILY, OFFICE, berlin, at(23, 4)) == at(23, 5)


class Week:
    """The steps that matter here, hour by hour from seven to six, by a set clock."""

    def __init__(self, sessions: Sessions, settings: Settings, sink: Sink, now: datetime) -> None:
        self.now, self.sink = now, sink
        self.context = Context(settings, sessions, lambda: self.now)
        self.seen = 0

    def until(self, end: datetime) -> list[tuple[str, str, str]]:
        """Work until then.

        Returns:
            The mails since the last call: moment, address, subject.
        """
        found = []
        while self.now < end:
            pipeline.rate(self.context)
            pipeline.remind_colleagues(self.context)
            pipeline.tell(self.context)
            pipeline.send_mail(self.context)
            for mail in self.sink.mails[self.seen :]:
                found.append((f"{self.now:%a %H:%M}", str(mail["To"]), str(mail["Subject"])))
            self.seen = len(self.sink.mails)
            self.now += HOUR if self.now.hour < 18 else 13 * HOUR  # nothing is due at night
        return found


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink


@pytest.fixture
def week(sessions: Sessions, settings: Settings, sink: Sink) -> Week:
    return Week(sessions, replace(settings, smtp_port=sink.port, smtp_timeout=5), sink, at(12, 7))


def to(name: str) -> str:
    return f"{name} <{name.lower()}@fernhill.example>"


def test_a_week_of_clocks_sends_exactly_these_mails(
    week: Week, make: Make, cast: Cast, session: Session, sink: Sink
) -> None:
    for user in session.scalars(select(User)):
        user.created_at = at(1, 9)
    cast.olga.digest, cast.vera.digest = Digest.WEEKLY, Digest.OFF
    levels.ensure_level(session, "UTC", at(12, 7)).admin_hours = 12
    parcel = make.raised_item(team=cast.delivery)
    parcel.created_at, parcel.owner, parcel.status = at(12, 7), cast.omar, Status.TRIAGED
    parcel.triaged_at = at(12, 7)
    parcel.priority, parcel.priority_by_hand, parcel.priority_reason = Priority.HIGH, True, "Chosen."
    number = parcel.complaint.number
    session.commit()
    # High: sixteen business hours from Monday nine o'clock, so due on Tuesday at 17:00.
    assert week.until(at(12, 9)) == [("Mon 08:00", to("Omar"), "Due soon: 1")]
    tell(
        session,
        [cast.olga.id, cast.vera.id, cast.omar.id],
        parcel,
        "mention",
        "Lena mentioned you.",
        week.now,
        cast.lena,
    )
    tell(session, [cast.vera.id], parcel, "news", "The shop burns.", week.now, is_urgent=True)
    session.commit()
    assert week.until(at(13, 7)) == [("Mon 09:00", to("Vera"), "The shop burns.")]
    overdue = f"{number} “Parcel never came” is overdue since 13 Oct 2026, 17:00 UTC."
    assert week.until(at(14, 7)) == [
        ("Tue 08:00", to("Omar"), "Due soon: 1, news: 1"),
        ("Tue 17:00", to("Lena"), overdue),
        ("Tue 17:00", to("Omar"), f"{number} “Parcel never came” was due on 13 Oct 2026, 17:00 UTC and is still open."),
    ]
    assert week.until(at(15, 14)) == [
        ("Wed 08:00", to("Omar"), "Overdue: 1"),
        ("Thu 08:00", to("Omar"), "Overdue: 1"),
        ("Thu 13:00", to("Ada"), overdue),
    ]
    make.session.refresh(parcel)
    make.closure(parcel, cast.omar)
    session.query(Notification).filter_by(kind="closure").delete()
    session.commit()
    assert week.until(at(19, 7)) == []  # closed, and then it is Saturday: nothing to say
    assert week.until(at(20, 7)) == [("Mon 08:00", to("Olga"), "News: 1")]  # what she was told last Monday, after eight
    assert len(sink.mails) == 9
    assert len(set(sink.message_ids)) == 9


def test_a_mail_to_a_colleague_leads_to_their_own_page_and_not_to_unsubscribing(
    week: Week, make: Make, cast: Cast, session: Session, sink: Sink
) -> None:
    item = make.raised_item(team=cast.delivery)
    # What a customer with the same address asked for does not silence the colleague.
    suppress(session, cast.omar.email, "Unsubscribed.", at(1, 9))
    tell(session, [cast.omar.id], item, "mention", "Lena: look\nat this", at(12, 7), is_urgent=True)
    session.commit()
    week.until(at(12, 7, 15))
    (mail,) = sink.mails
    assert "List-Unsubscribe" not in mail
    assert "/u/" not in text_of(mail)
    assert f"http://localhost/actions/{item.id}" in text_of(mail)
    assert "http://localhost/settings/my-mails" in text_of(mail)
    html = mail.get_body(("html",))
    assert html is not None
    assert f'href="http://localhost/actions/{item.id}"' in html.get_content()


def test_a_mail_to_a_colleague_counts_in_no_budget(
    week: Week, make: Make, cast: Cast, session: Session, sink: Sink, settings: Settings
) -> None:
    from feedback_loop.notifications.budget import Budget, Contacts, Rank
    from feedback_loop.notifications.queries import contacts

    customer = make.customer("Omar the customer", cast.omar.email)
    item = make.raised_item(team=cast.delivery)
    for number in range(4):
        tell(session, [cast.omar.id], item, "mention", f"Mention {number}", at(12, 7), is_urgent=True)
        session.commit()
        week.until(week.now + timedelta(minutes=15))
    assert len(sink.mails) == 4
    asked = make.notification(customer=customer, rank=Rank.INVITATION)
    assert contacts(session, asked, Budget(3, 30), week.now) == Contacts(0, 0)
    session.commit()


def test_several_urgent_things_are_one_mail(week: Week, make: Make, cast: Cast, session: Session, sink: Sink) -> None:
    for number in range(12):
        item = make.raised_item(team=cast.delivery, name=f"Complaint {number}")
        tell(session, [cast.omar.id], item, "mention", f"Mention {number}", at(12, 7), is_urgent=True)
    session.commit()
    assert week.until(at(12, 7, 15)) == [("Mon 07:00", to("Omar"), "12 things cannot wait")]
    assert "and 2 more" in text_of(sink.mails[0])


def test_an_urgent_reminder_that_is_no_longer_true_is_not_mailed(
    late: ActionItem, week: Week, cast: Cast, session: Session, sessions: Sessions, now: datetime
) -> None:
    remind(sessions, now)
    again(session, late)
    late.status = Status.WAITING
    session.commit()
    week.now = now
    assert tell_colleagues(sessions, week.context.settings, now) == 0
    assert session.scalars(select(Notice.mailed_at)).all() == [now]


def test_whoever_cannot_sign_in_gets_nothing(
    late: ActionItem, week: Week, cast: Cast, session: Session, sessions: Sessions, now: datetime
) -> None:
    tell(session, [cast.omar.id], late, "mention", "Look", now, is_urgent=True)
    cast.omar.is_active = False
    session.commit()
    assert tell_colleagues(sessions, week.context.settings, now) == 0
    assert session.scalars(select(Notice.mailed_at)).all() == [now]


def test_a_lead_reads_what_waits_for_triage_and_approval_and_owners_what_they_review(
    make: Make, cast: Cast, session: Session, now: datetime
) -> None:
    _waiting, snoozed, decided = (make.raised_item(name=name) for name in ("Untouched", "Snoozed", "Decided"))
    snoozed.snoozed_until, decided.triaged_at, decided.status = now + DAY, now, Status.TRIAGED
    closed = {}
    for state in (RunState.REVIEW, RunState.APPROVAL, RunState.DONE):
        closure = make.closure(make.raised_item(name=state.value.capitalize()), cast.omar)
        run = run_of(session, closure)
        assert run is not None
        run.state, run.released_by = state, None
        closed[state] = run
    session.flush()

    def says(user: User) -> dict[str, list[str]]:
        found = sections(session, user, unmailed(session, user, urgent=False), now)
        return {each.title: [line.text.partition(" ")[2] for line in each.lines] for each in found}

    assert says(cast.lena) == {"Waits for a second pair of eyes": ["“Approval”"], "Waits for triage": ["“Untouched”"]}
    assert says(cast.omar) == {"Review who is told, then send": ["“Review”"]}
    assert says(cast.vera) == {}
    closed[RunState.APPROVAL].released_by = cast.lena  # who sent it off is no second pair of eyes
    session.flush()
    assert "Waits for a second pair of eyes" not in says(cast.lena)


def test_choosing_a_digest_sends_none_at_once(
    late: ActionItem, cast: Cast, session: Session, sessions: Sessions, settings: Settings
) -> None:
    cast.omar.created_at, cast.omar.digest = at(1, 9), Digest.OFF
    session.commit()
    choose_digest(session, cast.omar, Digest.DAILY, settings, at(13, 9))
    session.commit()
    assert tell_colleagues(sessions, settings, at(13, 10)) == 0
    assert tell_colleagues(sessions, settings, at(14, 8)) == 1


def test_my_mails_show_what_the_next_digest_would_say(
    client: FlaskClient, late: ActionItem, cast: Cast, session: Session, now: datetime
) -> None:
    tell(session, [cast.omar.id], late, "mention", "Lena: look at this", now)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.get("/settings/my-mails"))
    assert "Now it would say: Overdue C-" in page
    assert "News Lena: look at this" in page


def test_two_workers_send_each_mail_once(
    late: ActionItem, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    for user in session.scalars(select(User)):
        user.created_at = at(1, 9)
    session.commit()
    then, errors = now + 4 * HOUR, []
    start = threading.Barrier(4)

    def work() -> None:
        context = Context(settings, sessions, lambda: then)
        start.wait()
        try:
            for _ in range(2):
                pipeline.remind_colleagues(context)
                pipeline.tell(context)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    rows = session.execute(select(Notification.recipient, Notification.kind).order_by(Notification.id)).all()
    news = sorted(recipient for recipient, kind in rows if kind == "staff_news")
    digests = [recipient for recipient, kind in rows if kind == "staff_digest"]
    told = {name: f"user:{id}" for name, id in session.execute(select(User.name, User.id))}
    assert news == sorted(told[name] for name in ("Omar", "Lena", "Lars"))
    assert digests == [told["Omar"]]


def test_a_due_date_far_ahead_reminds_of_nothing_and_costs_nothing() -> None:
    office = replace(OFFICE, zone="Pacific/Kiritimati")
    far = Standing(NAME, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), 3)
    for calendar in (OFFICE, office):
        assert names(reminders(far, replace(POLICY, calendar=calendar), at(14, 11))) == ["reopened_often"]


def test_a_due_date_of_9999_stops_no_reminders_and_no_page(
    late: ActionItem, client: FlaskClient, make: Make, cast: Cast, session: Session, sessions: Sessions, now: datetime
) -> None:
    item = make.raised_item(team=cast.delivery)
    item.status, item.reopened_count = Status.REOPENED, 3
    item.due_at, item.due_by_hand = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), True
    session.commit()
    assert remind(sessions, now) == 2
    assert {kind for _, kind in heard(session)} == {"due", "reopened_often"}
    sign_in(client, cast.lena)
    for path in (f"/actions/{item.id}", "/actions", "/", "/triage?queue=came_back", f"/complaints/{item.complaint_id}"):
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize("where", ["reminders", "tell"])
def test_an_item_at_which_something_fails_does_not_stop_the_others(
    late: ActionItem,
    make: Make,
    cast: Cast,
    session: Session,
    sessions: Sessions,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    odd = make.raised_item(team=cast.delivery, name="Odd one")
    odd.owner, odd.due_at, odd.due_by_hand, odd.status = cast.omar, now, True, Status.IN_PROGRESS
    session.commit()
    real = getattr(reminding, where)

    def fails(*given: Any, **named: Any) -> Any:
        if any("Odd one" in str(each) or each is odd or getattr(each, "id", None) == odd.id for each in given):
            raise OverflowError("date value out of range")
        return real(*given, **named)

    monkeypatch.setattr(reminding, where, fails)
    assert remind(sessions, now) == 1
    assert heard(session) == [("Omar", "due")]
    assert f"Reminders of action item {odd.id} failed." in caplog.text
    monkeypatch.undo()
    assert remind(sessions, now) == 1, "it comes as soon as it can"
