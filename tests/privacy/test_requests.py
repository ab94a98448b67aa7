"""What is kept about a customer is shown whole, and erased whole."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.actions.audience.choosing import Reason
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.models import NotificationRun, Outcome, RunPerson
from feedback_loop.actions.runs import service as runs
from feedback_loop.complaints.models import Statement
from feedback_loop.db import Sessions
from feedback_loop.followups.models import Fixed, FollowUp
from feedback_loop.followups.service import record
from feedback_loop.inbound.models import InboundMail, Lift, Way
from feedback_loop.inbound.reading import Kind, Reading
from feedback_loop.inbound.reports import Report
from feedback_loop.inbound.service import handle
from feedback_loop.integrations.models import Tracker, TrackerIssue, TrackerKind
from feedback_loop.integrations.trackers.service import ask_for_issue, draft_of
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.models import Cause, Notification, NotificationState, Scope, Suppression
from feedback_loop.notifications.service import Owed, owe
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.privacy import service
from feedback_loop.privacy.models import Asked, DataRequest
from feedback_loop.responses.mailings.models import Mailing, Recipient, RecipientState, Reject
from feedback_loop.responses.models import (
    Answer,
    AnswerVersion,
    Customer,
    Invitation,
    RawComment,
    UnconfirmedAnswer,
    UnconfirmedState,
)
from feedback_loop.responses.raw import seal
from feedback_loop.responses.receipts import leave_address
from feedback_loop.settings import Settings
from tests.factories import Cast, Make

ADDRESS = "canary@example.com"
NAME = "Cana Rybird"
WORDS = "drowned canary"
WHY = "Asked by letter, file 17."


class Person:
    """A customer of whom something lies in every table that can hold it; beside them Ben, of whom all must stay."""

    def __init__(self, make: Make, cast: Cast, settings: Settings) -> None:
        session, now = make.session, make.now
        self.customer = make.customer(NAME, ADDRESS)
        self.ben = make.customer("Ben Field", "ben@example.com")
        survey = make.survey("parcels")
        complaint = make.complaint()
        self.invitation, self.token = make.invitation(survey, self.customer)
        self.invitation.context = {"order": f"{WORDS} order"}
        answer = make.answer(
            f"The {WORDS}.", survey, self.customer, said_at=now - timedelta(days=2), invitation_id=self.invitation.id,
            redactions=["email"], context={"page": f"/{WORDS}"}, external_id=f"{WORDS} id",
        )  # fmt: skip
        make.statement(complaint, f"The {WORDS}.", answer)
        make.statement(complaint, "The parcel of Ben.", customer=self.ben, said_at=now - timedelta(days=2))
        self.sealed = seal(f"The {WORDS}, write to me.", settings.secret_key, now)
        session.add(RawComment(answer_id=answer.id, sealed=self.sealed, expires_at=now + timedelta(days=9)))
        session.add(
            AnswerVersion(
                answer_id=answer.id, revision=1, comment=f"Before: {WORDS}.", sign="sent",
                answered_at=now - timedelta(days=3), replaced_at=now,
            )
        )  # fmt: skip
        quiet = make.survey("quiet", is_anonymous=True)
        linked = make.answer(f"Quiet {WORDS}.", quiet, receipt_hash=tokens.hashed("receipt"))
        leave_address(session, linked, ADDRESS, now)
        session.add(
            UnconfirmedAnswer(
                survey_id=survey.id, invitation_id=self.invitation.id, sign="opened",
                state=UnconfirmedState.SUSPECT, reason="A program opened it.", context={"page": f"/{WORDS}"},
                seen_at=now, expires_at=now + timedelta(days=9), email=ADDRESS,
            )
        )  # fmt: skip
        mailing = Mailing(survey_id=survey.id, name="Autumn", why="You bought.", made_by=cast.ada, made_at=now)
        session.add(mailing)
        session.flush()
        for email in (ADDRESS, "ben@example.com"):
            session.add(
                Recipient(
                    mailing_id=mailing.id, line=2, email=email, name=NAME if email == ADDRESS else "Ben",
                    time_zone="Europe/Berlin", has_own_zone=True, experience=f"{email} order", context={"a": email},
                    next_at=now,
                )
            )  # fmt: skip
        session.add(Reject(mailing_id=mailing.id, line=3, cause="twice", reason="Twice.", cells=[ADDRESS, NAME]))
        owed = Owed(self.invitation.recipient, ADDRESS, NAME, {"links": {}, "hours": []})
        owe(session, "invitation", mailing.event, [owed], next_at=now, now=now, settings=settings, rank=Rank.INVITATION)
        item = make.item(complaint, cast.delivery, owner_id=cast.omar.id)
        self.closure = make.closure(item, cast.omar)
        self.mails = session.scalars(select(Notification).order_by(Notification.id)).all()
        for row in self.mails:
            make.sent(row)
            if row.recipient.startswith("customer:"):
                record(session, row, Fixed.NO, f"Still {row.name}: {WORDS if row.address == ADDRESS else 'wet'}", now,
                       settings)  # fmt: skip
            said = f"By mail, {row.address.partition('@')[0]}."
            handle(session, settings, reply(row), said, Way.COMMAND, now)
        session.add(
            InboundMail(
                key="unclear", way=Way.COMMAND, kind=Kind.UNCLEAR, received_at=now, reason="It belongs to no mail.",
                sender=ADDRESS, subject=f"About {WORDS}",
            )
        )  # fmt: skip
        suppress(session, ADDRESS, f"Asked for it, {NAME}.", now, because_of=self.mails[0])
        session.flush()


def reply(row: Notification) -> Reading:
    return Reading(Kind.REPLY, "", message_ids=(row.message_id,), key=f"reply {row.id}")


@pytest.fixture
def person(make: Make, cast: Cast, settings: Settings) -> Person:
    found = Person(make, cast, settings)
    make.session.commit()
    return found


def dump(session: Session) -> str:
    """All that lies in the database."""
    metadata = MetaData()
    metadata.reflect(session.connection())
    found = [str(tuple(row)) for table in metadata.sorted_tables for row in session.execute(select(table))]
    session.commit()
    return "\n".join(found)


def erase(sessions: Sessions, settings: Settings, now: datetime, address: str = ADDRESS) -> None:
    with sessions.begin() as own:
        service.erase_person(own, address, None, WHY, now, settings)


def test_everything_is_shown_and_that_it_was_is_logged_without_the_person(
    person: Person, session: Session, settings: Settings, now: datetime
) -> None:
    found = service.show(session, " Canary@Example.com ", None, WHY, now, settings, originals=True)
    assert {name: len(rows) for name, rows in found.items()} == {
        "customer": 1,
        "answers": 2,
        "earlier versions of answers": 1,
        "statements": 1,
        "answers that do not count": 1,
        "invitations": 1,
        "lists of mailings": 2,
        "mails": 2,
        "answers to “did this fix it?”": 1,
        "mails that came in": 3,
        "no mail to": 1,
    }
    assert found["answers"][0]["original"] == f"The {WORDS}, write to me."
    assert found["answers"][0]["context"] == {"page": f"/{WORDS}"}
    assert "By mail, canary." in str(found["mails that came in"])
    assert "Ben" not in str(found)
    entry = session.scalars(select(DataRequest)).one()
    assert (entry.kind, entry.by_id, entry.why, entry.at, entry.address_key) == (Asked.ACCESS, None, WHY, now, None)
    assert entry.counts["mails"] == 2
    session.commit()


def test_a_colleague_without_the_right_gets_no_original_and_each_reading_is_logged(
    person: Person, session: Session, settings: Settings, now: datetime, cast: Cast
) -> None:
    cast.ada.reads_raw = False
    found = service.show(session, ADDRESS, cast.ada, WHY, now, settings, originals=True)
    assert WORDS not in found["answers"][0]["original"]
    cast.ada.reads_raw = True
    session.flush()
    found = service.show(session, ADDRESS, cast.ada, WHY, now, settings, originals=True)
    assert found["answers"][0]["original"] == f"The {WORDS}, write to me."
    session.commit()


def test_nothing_that_says_who_it_was_or_what_they_said_is_left(
    person: Person, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    session.execute(Suppression.__table__.delete())  # type: ignore[attr-defined]
    session.commit()
    before = dump(session)
    for text in (ADDRESS, NAME, WORDS, "By mail, canary"):
        assert text in before
    erase(sessions, settings, now)
    after = dump(session)
    for text in (ADDRESS, NAME, WORDS, "By mail, canary", str(person.sealed)):
        assert text not in after, text
    for text in ("ben@example.com", "The parcel of Ben.", "Still Ben Field: wet", "By mail, ben."):
        assert text in after, text


def test_what_others_are_counted_by_stays_of_nobody(
    person: Person, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    erase(sessions, settings, now)
    session.expire_all()
    customer = session.get_one(Customer, person.customer.id)
    assert (customer.name, customer.email) == ("", f"erased-{customer.id}@erased.invalid")
    assert len(session.scalars(select(FollowUp)).all()) == 2
    assert [row.state for row in session.scalars(select(Notification))] == [NotificationState.SENT] * 3
    assert session.scalars(select(Answer.comment)).all() == ["The parcel of Ben."]
    invitation = session.get_one(Invitation, person.invitation.id)
    assert invitation.expires_at == now
    assert invitation.token_hash != tokens.hashed(person.token), "its link opens nothing any more"
    states = {row.name: row.state for row in session.scalars(select(Recipient))}
    assert states == {"": RecipientState.LEFT_OUT, "Ben": RecipientState.WAITING}
    session.commit()


def test_who_wanted_no_mail_stays_in_that_list_and_others_do_not(
    person: Person, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    suppress(session, "ben@example.com", "Came back: no such user.", now, cause=Cause.BOUNCED)
    session.commit()
    erase(sessions, settings, now)
    erase(sessions, settings, now, "ben@example.com")
    row = session.scalars(select(Suppression)).one()
    assert (row.address, row.cause, row.reason) == (ADDRESS, Cause.ASKED, service.NO_MAIL)
    session.commit()


def test_what_is_owed_is_not_sent(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    make.closure(make.raised_item(2, cast.delivery), cast.omar)
    owed = session.scalars(select(Notification).order_by(Notification.id)).all()
    address = owed[0].address
    session.commit()
    erase(sessions, settings, now, address)
    session.expire_all()
    assert [row.state for row in owed] == [NotificationState.SKIPPED, NotificationState.PENDING]
    assert owed[0].reason == service.NOT_SENT
    session.commit()


def test_a_run_in_review_tells_them_nothing(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    texts = {"done": "Changed.", "root_cause": "Smudged.", "statement": "Parcels carry two labels."}
    close(session, make.raised_item(2, cast.delivery), Closing(Outcome.FIXED, **texts), cast.omar, now, settings)
    person = session.scalars(select(RunPerson).order_by(RunPerson.customer_id)).first()
    assert person is not None
    address = session.get_one(Customer, person.customer_id).email
    session.commit()
    erase(sessions, settings, now, address)
    session.expire_all()
    told = session.execute(select(RunPerson.is_told, RunPerson.reason).order_by(RunPerson.customer_id)).all()
    assert [tuple(row) for row in told] == [(False, "erased"), (True, "")]
    session.commit()


def test_whoever_comes_back_after_it_is_a_new_customer(
    person: Person, make: Make, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    erase(sessions, settings, now)
    again = make.customer(NAME, ADDRESS)
    make.answer("New words.", customer=again)
    session.commit()
    found = service.show(session, ADDRESS, None, WHY, now, settings, originals=False)
    assert set(found) == {"customer", "answers", "no mail to"}
    session.commit()


def test_a_reason_is_asked_for_and_erasing_nothing_is_refused(
    session: Session, settings: Settings, now: datetime
) -> None:
    with pytest.raises(service.Refused, match="Say why"):
        service.show(session, ADDRESS, None, " ", now, settings, originals=False)
    with pytest.raises(service.Refused, match="Nothing is kept"):
        service.erase_person(session, ADDRESS, None, WHY, now, settings)
    session.rollback()


def test_what_belongs_to_nobody_is_not_taken_for_somebody_without_answers(
    make: Make, session: Session, settings: Settings, now: datetime
) -> None:
    survey = make.survey("open")
    kept = make.answer("Said by nobody we know.", survey)
    session.add(
        UnconfirmedAnswer(
            survey_id=survey.id, page_key="a page", sign="sent", state=UnconfirmedState.SUSPECT, reason="Too soon.",
            context={}, seen_at=now, expires_at=now + timedelta(days=9), email="",
        )
    )  # fmt: skip
    session.add(Suppression(address="only@example.com", reason="Asked for it.", cause=Cause.ASKED, created_at=now))
    session.commit()
    found = service.show(session, "only@example.com", None, WHY, now, settings, originals=False)
    assert set(found) == {"no mail to"}
    for address in ("", " ", "stranger", "stranger@example.com"):
        with pytest.raises(service.Refused, match=r"whole address|Nothing is kept"):
            service.erase_person(session, address, None, WHY, now, settings)
    service.erase_person(session, "only@example.com", None, WHY, now, settings)
    assert session.get(Answer, kept.id) is not None
    assert session.scalars(select(UnconfirmedAnswer.page_key)).all() == ["a page"]
    session.rollback()


def test_an_address_is_theirs_in_whatever_letters_they_typed_it(
    make: Make, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    survey = make.survey("open")
    for name, email in (("theirs", "Canary@Example.com"), ("another's", "acanary@example.com")):
        session.add(
            UnconfirmedAnswer(
                survey_id=survey.id, page_key=name, sign="sent", state=UnconfirmedState.SUSPECT, reason="Too soon.",
                context={}, seen_at=now, expires_at=now + timedelta(days=9), email=email,
            )
        )  # fmt: skip
    session.commit()
    assert set(service.show(session, ADDRESS, None, WHY, now, settings, originals=False)) == {
        "answers that do not count"
    }
    session.commit()
    erase(sessions, settings, now)
    assert session.scalars(select(UnconfirmedAnswer.page_key)).all() == ["another's"]
    session.commit()


def test_lines_of_lists_that_name_the_address_somewhere_in_a_cell_are_theirs_and_longer_addresses_are_not(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    mailing = Mailing(survey_id=make.survey("list").id, name="Old", why="You bought.", made_by=cast.ada, made_at=now)
    session.add(mailing)
    session.flush()
    theirs = (" Jörg@Example.com ", "Jörg <jörg@example.com>", "jörg@example.com;Jörg")
    others = ("anjörg@example.com", "jörg@example.com.au", "x.jörg@example.com")
    for line, cell in enumerate((*theirs, *others)):
        session.add(Reject(mailing_id=mailing.id, line=line, cause="no address", reason="None.", cells=["x", cell]))
    session.commit()
    found = service.show(session, "jörg@example.com", None, WHY, now, settings, originals=False)
    assert [row["cells"][1] for row in found["lists of mailings"]] == list(theirs)
    session.commit()
    erase(sessions, settings, now, "jörg@example.com")
    assert [row.cells[1] for row in session.scalars(select(Reject).order_by(Reject.line))] == list(others)
    session.commit()


def test_nothing_that_a_mail_server_said_of_the_address_is_left_where_it_was_written_to_again(
    cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    lift = Lift(
        address=ADDRESS, scope=Scope.EVERYTHING, cause=Cause.BOUNCED, reason=f"Came back: 550 <{ADDRESS}> unknown",
        since=now, why="It works again.", by_id=cast.ada.id, at=now,
    )  # fmt: skip
    session.add(lift)
    session.commit()
    erase(sessions, settings, now)
    assert ADDRESS not in dump(session)
    assert session.scalars(select(Lift.why)).all() == ["It works again."]
    session.commit()


def test_a_mail_that_comes_back_after_it_brings_nothing_of_the_address_with_it(
    person: Person, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    erase(sessions, settings, now)
    session.execute(Suppression.__table__.delete())  # type: ignore[attr-defined]
    session.commit()
    session.expire_all()
    row = session.get_one(Notification, person.mails[0].id)
    for key, kind, report in (
        ("for now", Kind.DELAY, Report(True, False, False, "4.2.2", f"<{ADDRESS}> is full")),
        ("for good", Kind.BOUNCE, Report(True, True, True, "5.1.1", f"<{ADDRESS}> unknown")),
        ("spam", Kind.COMPLAINT, None),
    ):
        reading = Reading(kind, "It says so.", message_ids=(row.message_id,), report=report, key=key)
        handle(session, settings, reading, "", Way.COMMAND, now)
    session.commit()
    assert row.state == NotificationState.SENT
    assert ADDRESS not in dump(session)
    assert not session.scalars(select(Suppression)).all()
    session.commit()


def test_nobody_is_put_back_into_a_run_under_the_address_of_nobody(
    make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    texts = {"done": "Changed.", "root_cause": "Smudged.", "statement": "Parcels carry two labels."}
    close(session, make.raised_item(2, cast.delivery), Closing(Outcome.FIXED, **texts), cast.omar, now, settings)
    dropped = session.scalars(select(RunPerson).order_by(RunPerson.customer_id)).first()
    assert dropped is not None
    dropped.is_told, dropped.reason, dropped.by_hand = False, Reason.DROPPED.value, True
    address, run_id = session.get_one(Customer, dropped.customer_id).email, dropped.run_id
    session.commit()
    erase(sessions, settings, now, address)
    session.expire_all()
    with pytest.raises(runs.Refused, match="not told"):
        runs.put_back(session, session.get_one(NotificationRun, run_id), dropped.customer_id, cast.omar, now)
    session.rollback()


def test_issues_that_were_asked_for_lose_their_words_and_keep_those_of_others(
    person: Person, make: Make, cast: Cast, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    item = person.closure.action_item
    tracker = Tracker(
        name="Code", kind=TrackerKind.GITHUB, base_url="https://api.example", project="a/b", sealed_token=b"x",
        hook_hash="x" * 64, sealed_hook=b"x", created_by_id=cast.ada.id, created_at=now,
    )  # fmt: skip
    session.add(tracker)
    session.flush()
    statements = session.scalars(select(Statement).order_by(Statement.id)).all()
    title, body = draft_of(item, list(statements), settings)
    ask_for_issue(session, item, tracker, title, body, "a" * 32, cast.ada, now)
    session.commit()
    assert WORDS in body
    erase(sessions, settings, now)
    session.expire_all()
    kept = session.scalars(select(TrackerIssue.body)).one()
    assert WORDS not in kept
    assert "“The parcel of Ben.”" in kept
    session.commit()


def test_a_file_says_of_words_that_are_still_being_blanked_out_that_there_are_some(
    make: Make, cast: Cast, session: Session, settings: Settings, now: datetime
) -> None:
    cast.ada.reads_raw = True
    answer = make.answer("", customer=make.customer(NAME, ADDRESS))
    answer.redacted_at = answer.analysed_at = answer.comment = None
    sealed = seal(f"The {WORDS}.", settings.secret_key, now)
    session.add(RawComment(answer_id=answer.id, sealed=sealed, expires_at=now + timedelta(days=9)))
    session.commit()
    found = service.show(session, ADDRESS, cast.ada, WHY, now, settings, originals=True)
    assert "Look again in a minute" in found["answers"][0]["original"]
    session.rollback()
