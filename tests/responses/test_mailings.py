"""The verbs on mailings, and what the worker does about them."""

from __future__ import annotations

import io
import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from feedback_loop import tokens
from feedback_loop.accounts.models import User
from feedback_loop.db import Sessions, insert_missing
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import cancel_to, compose
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.responses.csvfiles import ImportFailed
from feedback_loop.responses.mailings import queries, service
from feedback_loop.responses.mailings.asking import ask_due
from feedback_loop.responses.mailings.models import Mailing, MailingState, Recipient, RecipientState, Reject
from feedback_loop.responses.mailings.reading import Person, Rejected, read_list
from feedback_loop.responses.mailings.service import Plan, Refused
from feedback_loop.responses.models import Customer, Invitation
from feedback_loop.responses.queries import invitation_by_token
from feedback_loop.responses.service import record_answer
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from tests.factories import Cast, Make
from tests.pages import counted

ALL_DAY = Plan(name="October", opens=0, closes=24)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Mail:
    """Makes mailings, starts them, lets the worker look."""

    def __init__(self, make: Make, sessions: Sessions, settings: Settings, by: User, now: datetime) -> None:
        self.make, self.sessions, self.settings, self.by, self.now = make, sessions, settings, by, now
        self.session = make.session
        self.survey = make.survey("order-delivered")
        self.session.commit()

    def draft(self, people: int | Sequence[Person] = 3, plan: Plan = ALL_DAY, survey: Survey | None = None) -> Mailing:
        lines = (
            [Person(line + 2, f"person{line}@example.com", f"Person {line}") for line in range(people)]
            if isinstance(people, int)
            else people
        )
        mailing = service.draft(self.session, survey or self.survey, plan, lines, self.by, self.now, self.settings)
        self.session.commit()
        return mailing

    def start(self, mailing: Mailing, at: datetime | None = None) -> Mailing:
        asked = queries.review(self.session, mailing, at or self.now, self.settings).asked
        service.start(self.session, mailing, asked, at or self.now, self.settings)
        self.session.commit()
        return mailing

    def look(self, at: datetime | None = None) -> int:
        count = ask_due(self.sessions, self.settings, at or self.now)
        self.session.expire_all()
        return count

    def sent(self, at: datetime | None = None) -> None:
        for row in self.notes():
            if row.state == NotificationState.PENDING:
                row.state, row.sent_at = NotificationState.SENT, at or self.now
        self.session.commit()

    def notes(self) -> list[Notification]:
        return list(self.session.scalars(select(Notification).order_by(Notification.id)))

    def people(self, mailing: Mailing) -> list[Recipient]:
        found = list(
            self.session.scalars(select(Recipient).where(Recipient.mailing_id == mailing.id).order_by(Recipient.id))
        )
        self.session.commit()
        return found

    def answer(self, invitation: Invitation) -> None:
        record_answer(
            self.session, invitation.survey, score=1, comment="", customer=invitation.customer, invitation=invitation,
            context={}, external_id=None, answered_at=self.now, now=self.now, settings=self.settings,
        )  # fmt: skip
        self.session.commit()


@pytest.fixture
def mail(make: Make, sessions: Sessions, settings: Settings, cast: Cast, now: datetime) -> Mail:
    return Mail(make, sessions, settings, cast.ada, now)


def lines(text: str, now: datetime) -> list[Person | Rejected]:
    return list(read_list(io.StringIO(text), "people.csv", now))


def test_a_list_is_read_as_people_and_lines_that_ask_nobody(now: datetime) -> None:
    found = lines(
        "Email,name,time_zone,experience,experienced_at,language,order\n"
        "Maya@Example.com,Maya Lind,Europe/Berlin,order 7,2026-10-01,de,7\n"
        "not an address,,,,,,\n"
        ",Nobody,,,,,\n"
        "ben@example.com,,Mars/Base,,,,\n"
        "ben@example.com,,,,soon,,\n"
        "maya@example.com,,,order 7,,,\n"
        "maya@example.com,,,order 8,,,\n"
        "eva@example.com,,,mailing:3,,,\n"
        "a,b,c,d,e,f,g,h\n",
        now,
    )
    people = [each for each in found if isinstance(each, Person)]
    assert people[0] == Person(
        2, "maya@example.com", "Maya Lind", "Europe/Berlin", "order 7",
        {"order": "7", "language": "de", "experience": "order 7", "experienced_at": "2026-10-01T00:00:00+00:00"},
    )  # fmt: skip
    assert [(each.email, each.experience) for each in people[1:]] == [("maya@example.com", "order 8")]
    head, *rejected = [each for each in found if isinstance(each, Rejected)]
    assert (head.cause, head.cells[0]) == ("", "email")
    assert [(each.line, each.cause) for each in rejected] == [
        (3, "bad address"),
        (4, "no address"),
        (5, "unknown time zone"),
        (6, "bad date"),
        (7, "listed twice"),
        (9, "bad experience"),
        (10, "unreadable line"),
    ]
    assert rejected[4].reason == "line 2 asks the same person about the same"


def test_a_list_without_addresses_says_what_is_missing(now: datetime) -> None:
    with pytest.raises(ImportFailed, match="no column “email”"):
        lines("mail,name\nmaya@example.com,Maya\n", now)


def test_a_draft_asks_nobody(mail: Mail) -> None:
    mailing = mail.draft(3)
    assert mailing.state == MailingState.DRAFT
    assert mail.look() == 0
    assert mail.notes() == []


def test_an_empty_list_is_no_mailing(mail: Mail) -> None:
    with pytest.raises(Refused, match="The list is empty"):
        mail.draft(0)


def test_people_are_written_to_by_their_own_clock_or_the_one_we_know_or_the_default(mail: Mail, make: Make) -> None:
    make.customer("Noor", "noor@example.com").time_zone = "Asia/Tokyo"
    mail.settings = replace(mail.settings, default_time_zone="Europe/Madrid")
    own = Person(2, "maya@example.com", time_zone="Europe/Berlin")
    mailing = mail.draft([own, Person(3, "noor@example.com"), Person(4, "eva@example.com")])
    zones = [person.time_zone for person in mail.people(mailing)]
    assert zones == ["Europe/Berlin", "Asia/Tokyo", "Europe/Madrid"]


def test_the_review_says_who_will_be_asked_and_who_not_and_why(mail: Mail, make: Make, now: datetime) -> None:
    suppress(make.session, "person0@example.com", "by link", now)
    answered = make.customer("Person 1", "person1@example.com")
    make.answer(survey=mail.survey, customer=answered, said_at=now - DAY)
    make.invitation(mail.survey, make.customer("Person 2", "person2@example.com"))
    often = make.customer("Person 3", "person3@example.com")
    for number in range(3):
        make.sent(make.notification(event=f"closure:{number}", customer=often))
    people = [Person(line + 2, f"person{line}@example.com") for line in range(6)]
    mailing = mail.draft([*people, Rejected(9, "bad address", "no", ["x"])])
    found = queries.review(make.session, mailing, now, mail.settings)
    assert (found.asked, found.not_asked) == (2, 5)
    assert dict(found.left_out) == {
        "asked for no more mail": 1,
        "answered already": 1,
        "asked already": 1,
        "had enough mails lately": 1,
        "bad address": 1,
    }
    assert found.span is not None


def test_the_review_looks_each_person_up_in_indexes_that_hold_no_one_else(mail: Mail, engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("Other databases choose by the size of the table, which is empty here.")
    mailing = mail.draft()
    with counted(engine) as sent:
        queries.review(mail.session, mailing, mail.now, mail.settings)
    query = next(statement for statement in sent if "AS answered_at" in statement)
    plan = mail.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("1",) * query.count("?"))
    steps = [row[3] for row in plan]
    assert not any("answered_at" in step and "customer_id=?" not in step for step in steps), steps
    assert any("ix_answers_customer_id (customer_id=? AND survey_id=?)" in step for step in steps), steps
    tables = ("SCAN answers", "SCAN invitations", "SCAN notifications", "SCAN customers")
    assert not any(step.startswith(tables) for step in steps), steps


def test_a_draft_can_be_changed_and_discarded_a_started_one_not(mail: Mail) -> None:
    mailing = mail.draft(2)
    service.change(mail.session, mailing, replace(ALL_DAY, rate=5))
    mail.session.commit()
    assert mailing.rate == 5
    mail.start(mailing)
    with pytest.raises(Refused, match="is being sent"):
        service.change(mail.session, mailing, ALL_DAY)
    with pytest.raises(Refused, match="is being sent"):
        service.discard(mail.session, mailing)
    mail.session.rollback()
    other = mail.draft(2)
    service.discard(mail.session, other)
    mail.session.commit()
    assert mail.people(other) == []
    assert mail.session.scalars(select(Mailing)).all() == [mailing]


def test_starting_needs_the_number_that_was_looked_at(mail: Mail, now: datetime) -> None:
    mailing = mail.draft(3)
    suppress(mail.session, "person1@example.com", "by link", now)
    with pytest.raises(Refused, match="2 people would be asked now, not 3"):
        service.start(mail.session, mailing, 3, now, mail.settings)
    assert mailing.state == MailingState.DRAFT


@pytest.mark.parametrize("case", ["closed", "nobody", "twice"])
def test_starting_is_refused_when_it_makes_no_sense(mail: Mail, now: datetime, case: str) -> None:
    mailing = mail.draft(1)
    if case == "closed":
        mail.survey.state = SurveyState.CLOSED
    elif case == "nobody":
        suppress(mail.session, "person0@example.com", "by link", now)
    else:
        mail.start(mailing)
    mail.session.commit()
    with pytest.raises(Refused, match={"closed": "is paused", "nobody": "Nobody", "twice": "is being sent"}[case]):
        service.start(mail.session, mailing, 1, now, mail.settings)


def test_asking_gives_each_person_a_right_to_answer_and_owes_a_mail_with_its_link(mail: Mail, now: datetime) -> None:
    person = Person(2, "maya@example.com", "Maya Lind", "Europe/Berlin", "", {"order": "7", "language": "de"})
    mailing = mail.start(mail.draft([person]))
    assert mail.look() == 1
    (note,) = mail.notes()
    assert (note.kind, note.event, note.rank) == ("invitation", f"mailing:{mailing.id}", Rank.INVITATION)
    (row,) = mail.people(mailing)
    assert row.state == RecipientState.ASKED
    invitation = mail.session.get_one(Invitation, row.invitation_id)
    assert invitation.context == {"order": "7", "language": "de"}
    assert invitation.expires_at == now + 30 * DAY
    assert (invitation.customer.name, invitation.customer.time_zone) == ("Maya Lind", "Europe/Berlin")
    token = tokens.derive(mail.settings.secret_key, "invitation", invitation.token_key or "")
    assert invitation_by_token(mail.session, token) is invitation
    message = compose(note, mail.settings)
    assert f"http://localhost/i/{token}?score=yes" in message.text
    assert f"http://localhost/i/{token}?score=no" in message.html
    assert token not in str(note.data)
    assert "You have been in touch with us lately" in message.text
    assert "bis 11. November 2026" in message.text, "in the language of the list"
    assert f"http://localhost/i/{token}/contents" in message.html, "the link by which programs are known"
    assert "/contents" not in message.text


def test_no_more_than_the_rate_are_asked_in_a_minute(mail: Mail, now: datetime) -> None:
    mail.start(mail.draft(25, replace(ALL_DAY, rate=10)))
    assert [mail.look(now + seconds * timedelta(seconds=1)) for seconds in (0, 5, 30, 59)] == [10, 0, 0, 0]
    # A worker that was away does not make up for it in one go.
    assert [mail.look(now + minutes * MINUTE) for minutes in (60, 61, 62)] == [10, 5, 0]


def test_two_workers_take_one_batch_between_them(mail: Mail) -> None:
    mail.start(mail.draft(20, replace(ALL_DAY, rate=10)))
    start = threading.Barrier(2)
    counts: list[int] = []

    def work() -> None:
        start.wait()
        counts.append(ask_due(mail.sessions, mail.settings, mail.now))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(counts) == [0, 10]
    assert len(mail.notes()) == 10


def test_quiet_hours_are_those_of_each_person(mail: Mail, now: datetime) -> None:
    people = [
        Person(2, "maya@example.com", time_zone="Europe/Berlin"),
        Person(3, "kai@example.com", time_zone="America/New_York"),
    ]
    mailing = mail.start(mail.draft(people, Plan(name="October")))
    assert mail.look() == 1, "half past eleven in Berlin, half past five in New York"
    assert mail.look(now + 2 * timedelta(hours=1)) == 0
    assert mail.look(now.replace(hour=13, minute=0)) == 1
    assert {person.state for person in mail.people(mailing)} == {RecipientState.ASKED}


def test_a_worker_that_was_away_asks_nobody_at_night(mail: Mail, now: datetime) -> None:
    mailing = mail.start(mail.draft(3, Plan(name="October")))
    assert mail.look(now.replace(hour=23)) == 0
    assert {person.next_at for person in mail.people(mailing)} == {now.replace(hour=9, minute=0) + DAY}
    assert mail.look(now.replace(hour=9, minute=0) + DAY) == 3


def test_each_person_is_looked_at_again_before_they_are_asked(mail: Mail, make: Make, now: datetime) -> None:
    mailing = mail.start(mail.draft(3))
    suppress(make.session, "person1@example.com", "by link", now)
    make.answer(survey=mail.survey, customer=make.customer("Person 2", "person2@example.com"))
    make.session.commit()
    assert mail.look() == 1
    assert [person.reason for person in mail.people(mailing)] == [
        "",
        "This person asked for no more mail.",
        "Answered this survey on 12 Oct 2026.",
    ]


def test_the_database_lets_nobody_be_invited_twice_about_one_experience(make: Make) -> None:
    survey, maya = make.survey(), make.customer()
    values = {"survey_id": survey.id, "customer_id": maya.id, "experience": "order 7", "context": {}}
    make._add(Invitation(**values, token_hash="a" * 64, created_at=make.now))
    with pytest.raises(IntegrityError):
        make._add(Invitation(**values, token_hash="b" * 64, created_at=make.now))


def test_links_made_one_by_one_name_no_experience_and_stay_possible(make: Make) -> None:
    survey, maya = make.survey(), make.customer()
    assert make.invitation(survey, maya)[0].experience is make.invitation(survey, maya)[0].experience is None


def test_two_mailings_ask_once_about_one_experience(mail: Mail, now: datetime) -> None:
    person = [Person(2, "maya@example.com", experience="order 7")]
    first, second = mail.start(mail.draft(person)), mail.start(mail.draft(person))
    assert mail.look() == 1
    assert [mail.people(each)[0].state for each in (first, second)] == [RecipientState.ASKED, RecipientState.LEFT_OUT]
    third = mail.draft([Person(2, "maya@example.com", experience="order 8")])
    assert queries.review(mail.session, third, now, mail.settings).asked == 1


def test_who_is_invited_by_another_in_the_same_moment_is_left_out(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    from feedback_loop.responses.mailings import asking

    mailing = mail.start(mail.draft([Person(2, "maya@example.com", experience="order 7")]))

    def too_late(session: object, model: type[Invitation], rows: list[dict[str, object]]) -> None:
        other = {**rows[0], "token_key": None, "token_hash": "a" * 64}
        insert_missing(session, model, [other])  # type: ignore[arg-type]
        insert_missing(session, model, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(asking, "insert_missing", too_late)
    assert mail.look() == 0
    assert mail.people(mailing)[0].reason == "Asked about this experience already."


def test_a_batch_that_breaks_off_leaves_nothing_half_done(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    from feedback_loop.responses.mailings import asking

    mailing = mail.start(mail.draft(3))
    with monkeypatch.context() as patch:
        patch.setattr(asking, "move_on", lambda *_args: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError):
            mail.look()
    assert mail.notes() == []
    assert mail.session.scalars(select(Invitation)).all() == []
    assert {person.state for person in mail.people(mailing)} == {RecipientState.WAITING}
    assert mail.look() == 3
    assert mail.look(mail.now + MINUTE) == 0


def test_a_closed_survey_asks_nobody_until_it_is_open_again(mail: Mail) -> None:
    mail.start(mail.draft(3))
    mail.survey.state = SurveyState.CLOSED
    mail.session.commit()
    assert mail.look() == 0
    mail.survey.state = SurveyState.OPEN
    mail.session.commit()
    assert mail.look() == 3


def test_reminders_go_only_to_who_has_not_answered_nor_unsubscribed_and_carry_the_same_link(
    mail: Mail, now: datetime
) -> None:
    mailing = mail.start(mail.draft(4, replace(ALL_DAY, reminders=2, remind_after_days=3)))
    mail.look()
    mail.sent()
    people = mail.people(mailing)
    mail.answer(mail.session.get_one(Invitation, people[0].invitation_id))
    suppress(mail.session, people[1].email, "by link", now)
    mail.session.commit()
    assert mail.look(now + 3 * DAY - MINUTE) == 0
    assert mail.look(now + 3 * DAY) == 2
    reminders = [note for note in mail.notes() if note.kind == "reminder"]
    assert {note.address for note in reminders} == {people[2].email, people[3].email}
    assert {note.rank for note in reminders} == {Rank.REMINDER}
    link = r"http://localhost/i/"
    for reminder in reminders:
        (first,) = [n for n in mail.notes() if n.kind == "invitation" and n.recipient == reminder.recipient]
        texts = [compose(note, mail.settings).text for note in (first, reminder)]
        assert texts[0].split(link)[1].split("?")[0] == texts[1].split(link)[1].split("?")[0]
    mail.sent(now + 3 * DAY)
    assert mail.look(now + 6 * DAY) == 2, "the second reminder"
    mail.sent(now + 6 * DAY)
    assert mail.look(now + 9 * DAY) == 0
    mail.session.refresh(mailing)
    assert mailing.state == MailingState.DONE
    assert mail.people(mailing)[1].reason == "Not reminded: this person asked for no more mail."


def test_days_to_a_reminder_count_from_when_the_mail_went_out(mail: Mail, now: datetime) -> None:
    mail.start(mail.draft(1, replace(ALL_DAY, remind_after_days=3)))
    mail.look()
    assert mail.look(now + 3 * DAY) == 0, "the mail still waits for the server"
    mail.sent(now + 4 * DAY)
    assert mail.look(now + 5 * DAY) == 0
    assert mail.look(now + 7 * DAY) == 1


def test_who_answers_while_a_mail_waits_does_not_get_it(mail: Mail, now: datetime) -> None:
    mailing = mail.start(mail.draft(1, replace(ALL_DAY, remind_after_days=3)))
    mail.look()
    mail.sent()
    assert mail.look(now + 3 * DAY) == 1
    mail.answer(mail.session.get_one(Invitation, mail.people(mailing)[0].invitation_id))
    (reminder,) = [note for note in mail.notes() if note.kind == "reminder"]
    assert (reminder.state, reminder.reason) == (NotificationState.SKIPPED, "Answered before this was sent.")


def test_cancelling_stops_the_mails_of_one_recipient_only(make: Make) -> None:
    mine, other = make.notification(event="closure:1"), make.notification(event="closure:1")
    assert cancel_to(make.session, mine.recipient, "No.") == 1
    make.session.refresh(mine)
    make.session.refresh(other)
    assert (mine.state, other.state) == (NotificationState.SKIPPED, NotificationState.PENDING)


def test_stopping_sends_no_more_and_says_why(mail: Mail, now: datetime) -> None:
    mailing = mail.start(mail.draft(30, replace(ALL_DAY, rate=10)))
    mail.look()
    for note in mail.notes()[:4]:
        note.state, note.sent_at = NotificationState.SENT, now
    mail.session.commit()
    assert service.stop(mail.session, mailing, now) == 26
    mail.session.commit()
    assert mailing.state == MailingState.STOPPED
    assert Counter(note.reason for note in mail.notes()) == {"": 4, "Stopped before this was sent.": 6}
    assert Counter(person.reason for person in mail.people(mailing)) == {"": 10, "Stopped before this was sent.": 20}
    assert mail.look(now + 10 * DAY) == 0
    with pytest.raises(Refused, match="was stopped"):
        service.stop(mail.session, mailing, now)


def test_a_mailing_is_done_when_its_last_mail_is_out(mail: Mail, now: datetime) -> None:
    mailing = mail.start(mail.draft(2, replace(ALL_DAY, reminders=0)))
    mail.look()
    mail.look(now + MINUTE)
    mail.session.refresh(mailing)
    assert mailing.state == MailingState.SENDING
    mail.sent()
    mail.look(now + 2 * MINUTE)
    mail.session.refresh(mailing)
    assert (mailing.state, mailing.ended_at) == (MailingState.DONE, now + 2 * MINUTE)


def test_a_test_is_marked_counts_nowhere_and_can_be_repeated(mail: Mail, cast: Cast, now: datetime) -> None:
    mailing = mail.draft(1)
    for _ in range(2):
        service.send_test(mail.session, mailing, cast.ada, now, mail.settings)
    mail.session.commit()
    notes = mail.notes()
    assert [note.address for note in notes] == [cast.ada.email] * 2
    message = compose(notes[0], mail.settings)
    assert message.subject == "[Test] Was this helpful?"
    assert "This is a test." in message.text
    assert f"http://localhost/surveys/order-delivered/mailings/{mailing.id}/tried?score=yes" in message.text
    assert queries.progress(mail.session, mailing).counts == {"answered": 0, "asked": 0, "waiting": 1, "not_asked": 0}
    assert mail.session.scalars(select(Invitation)).all() == []


def test_progress_counts_each_person_once_with_the_reasons(mail: Mail, now: datetime) -> None:
    mailing = mail.draft(
        [*[Person(n, f"person{n}@example.com") for n in range(2, 8)], Rejected(9, "bad address", "no", [])]
    )
    mail.start(mailing)
    mail.look()
    notes = mail.notes()
    for note, state, reason in zip(
        notes,
        ["sent", "sent", "failed", "skipped"],
        ["", "", "550 no such user", "Asked not again: 3 mails in the last 30 days."],
        strict=False,
    ):
        note.state, note.reason, note.sent_at = NotificationState(state), reason, now if state == "sent" else None
    mail.session.commit()
    mail.answer(mail.session.get_one(Invitation, mail.people(mailing)[0].invitation_id))
    found = queries.progress(mail.session, mailing)
    assert found.counts == {"answered": 1, "asked": 1, "waiting": 2, "not_asked": 2}
    assert dict(found.reasons) == {"550 no such user": 1, "Asked not again: 3 mails in the last 30 days.": 1}
    assert (found.people, found.sent, found.rejected) == (6, 2, 1)
    page = queries.people(mail.session, mailing, "not_asked", "", 1)
    assert [row.reason for row in page.rows] == ["550 no such user", "Asked not again: 3 mails in the last 30 days."]
    assert queries.people(mail.session, mailing, "", "PERSON4", 1).total == 1


def test_lines_that_asked_nobody_are_forgotten_after_a_month(mail: Mail, now: datetime) -> None:
    mail.draft([Rejected(1, "", "", ["email"]), Rejected(2, "no address", "no address", [""])])
    assert service.forget_rejects(mail.session, now + 29 * DAY) == 0
    assert service.forget_rejects(mail.session, now + 31 * DAY) == 2
    assert mail.session.scalars(select(Reject)).all() == []


def test_a_customer_we_know_keeps_name_and_zone_where_the_list_says_nothing(mail: Mail, make: Make) -> None:
    maya = make.customer("Maya Lind", "maya@example.com")
    maya.time_zone = "Asia/Tokyo"
    mail.session.commit()
    mail.start(mail.draft([Person(2, "maya@example.com", "M. L.")]))
    mail.look()
    found = mail.session.scalars(select(Customer)).one()
    assert (found.name, found.time_zone) == ("Maya Lind", "Asia/Tokyo")


def test_a_mail_asks_by_faces_with_their_words(mail: Mail, make: Make, now: datetime) -> None:
    mailing = mail.draft(1, survey=make.survey("mood", ScaleName.SMILEYS))
    (person,) = mail.people(mailing)
    message = service.preview(mailing, person, now, mail.settings)
    assert re.search(r'\?score=1"[^>]*><span aria-hidden="true">😠</span> Very dissatisfied</a>', message.html)
    assert "\nVery satisfied: " in message.text


def test_a_survey_that_is_full_or_over_asks_nobody(mail: Mail, make: Make) -> None:
    mail.start(mail.draft(3))
    mail.survey.answer_limit = 1
    make.answer(survey=mail.survey)
    mail.session.commit()
    assert mail.look() == 0
    mail.survey.answer_limit, mail.survey.closes_at = None, mail.now
    mail.session.commit()
    assert mail.look() == 0
    mail.survey.closes_at = None
    mail.session.commit()
    assert mail.look() == 3


def test_a_mail_asks_in_the_words_an_admin_wrote_for_its_language_and_in_the_surveys_colour(mail: Mail) -> None:
    mail.survey.question, mail.survey.accent = "How was it?", "#7a1f5c"
    mail.survey.translations = {"de": {"question": "Wie war es?"}}
    mailing = mail.draft(1)
    for language, asked in (("de", "Wie war es?"), ("fr", "How was it?"), ("", "How was it?")):
        person = Recipient(email="maya@example.com", name="", context={"language": language})
        for kind in ("invitation", "reminder"):
            written = service.preview(mailing, person, mail.now, mail.settings, kind)
            assert asked in written.subject
            assert asked in written.text
            assert asked in written.html
            assert "background-color:#7a1f5c" in written.html
            assert ("How was it?" in written.html) == (asked == "How was it?")
