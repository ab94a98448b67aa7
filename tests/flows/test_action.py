"""From a complaint to a fix that customers confirm, by a set clock and with a real mail server."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.accounts.models import User
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, Notice, Outcome, RunState, Segment, Status
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.runs import service as runs
from feedback_loop.complaints.corrections import Wanted
from feedback_loop.complaints.models import Complaint, CorrectionKind, Statement, StatementKind
from feedback_loop.complaints.service import corrections
from feedback_loop.db import Sessions, reading
from feedback_loop.followups.models import Fixed, Verdict, VerdictKind
from feedback_loop.followups.service import record
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.queries import by_token
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.pipeline import Context
from feedback_loop.reports.status.erasing import erase
from feedback_loop.reports.status.queries import problems
from feedback_loop.reports.status.stages import Stage, show
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.responses.service import find_customer, record_answer
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey
from tests.factories import Cast, Make
from tests.smtp import Sink, running, text_of

DAY = timedelta(days=1)
TOLD, ASKED, SORRY = "What we did about", "Did this fix it?", "It was not fixed"


@dataclass
class Company:
    """An installation with a clock that tests set."""

    sessions: Sessions
    settings: Settings
    sink: Sink
    now: datetime
    read: int = 0
    count: Iterator[int] = field(default_factory=lambda: itertools.count(10_000))
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        self.context = Context(self.settings, self.sessions, lambda: self.now)

    def work(self) -> None:
        """What the worker does at this moment."""
        for step in (pipeline.open_items, pipeline.follow_ups, pipeline.send_mail, pipeline.settle_runs):
            step(self.context)
        pipeline.verdicts(self.context)
        pipeline.recurrence(self.context)
        pipeline.follow_ups(self.context)
        pipeline.send_mail(self.context)

    def later(self, **time: float) -> list[EmailMessage]:
        """Let time pass and the worker work; the mails that arrived meanwhile."""
        self.now += timedelta(**time)
        self.work()
        return self.new_mails()

    def new_mails(self) -> list[EmailMessage]:
        """What arrived since this was last asked."""
        mails = self.sink.mails[self.read :]
        self.read = len(self.sink.mails)
        return mails

    def close(self, item_id: int, by: User, outcome: Outcome = Outcome.FIXED, **values: object) -> int:
        """Close an item: its run waits for review."""
        with self.sessions.begin() as session:
            texts = {"done": "Changed it.", "root_cause": "It was wrong.", "statement": "We have put this right."}
            closing = Closing(outcome, **(texts | values))  # type: ignore[arg-type]
            item = session.get_one(ActionItem, item_id)
            return close(session, item, closing, session.get_one(User, by.id), self.now, self.settings).id

    def release(self, closure_id: int, by: User) -> None:
        """Say: send it."""
        with self.sessions.begin() as session:
            run = run_of(session, session.get_one(Closure, closure_id))
            assert run is not None
            runs.release(session, run, session.get_one(User, by.id), self.now, self.settings)

    def answer(self, mail: EmailMessage, fixed: Fixed, comment: str = "") -> None:
        """Answer by the link in a mail."""
        found = re.search(rf"/f/([^\s?]+)\?answer={fixed.value}", text_of(mail))
        assert found, "the mail holds such a link"
        with self.sessions.begin() as session:
            notification = by_token(session, found.group(1))
            assert notification is not None
            record(session, notification, fixed, comment, self.now, self.settings)

    def factory(self, session: Session) -> Make:
        """Factories of this moment; what they number goes on."""
        made = Make(session, self.settings, self.now)
        made.count = self.count
        return made

    def say(
        self,
        complaint_id: int,
        survey: Survey,
        people: int,
        experienced_at: datetime | None = None,
        invited_at: datetime | None = None,
        **context: object,
    ) -> None:
        """Some customers say it again, each in an answer of today."""
        with self.sessions.begin() as session:
            make, asked = self.factory(session), session.merge(survey)
            complaint = session.get_one(Complaint, complaint_id)
            make.said[complaint.id] = complaint.statement_count
            if experienced_at:
                context["experienced_at"] = experienced_at.isoformat()
            for number in range(people):
                customer, invitation = make.customer(f"Again {number}"), None
                if invited_at:
                    invitation, _ = make.invitation(asked, customer)
                    invitation.created_at = invited_at
                said = make.answer(
                    "The zip broke.",
                    asked,
                    customer,
                    context=context,
                    invitation_id=invitation.id if invitation else None,
                )
                make.statement(complaint, "The zip broke.", said)

    def hear(self, survey: Survey, answers: int) -> None:
        """So many other answers of today, about something else."""
        with self.sessions.begin() as session:
            make = self.factory(session)
            for _ in range(answers):
                make.answer("All went well.", session.merge(survey), score=1)

    def item(self, item_id: int) -> ActionItem:
        with reading(self.sessions) as session:
            found = session.get_one(ActionItem, item_id)
            session.expunge(found)
            return found

    def history(self, item_id: int) -> list[str]:
        with reading(self.sessions) as session:
            rows = session.scalars(
                select(ActionEvent).where(ActionEvent.action_item_id == item_id).order_by(ActionEvent.id)
            )
            return [f"{row.kind}: {row.text}" for row in rows]

    def notices(self, kind: str) -> set[str]:
        """Who was told of something, urgently."""
        with reading(self.sessions) as session:
            rows = session.scalars(select(Notice).where(Notice.kind == kind, Notice.is_urgent.is_(True)))
            return {row.user.name for row in rows}


@pytest.fixture
def company(sessions: Sessions, settings: Settings, now: datetime) -> Iterator[Company]:
    with running(Sink()) as sink:
        settings = replace(
            settings, embedding_model="minilm", smtp_port=sink.port, hold_minutes=10, follow_up_after_days=3
        )
        yield Company(sessions, settings, sink, now)


def about(mails: list[EmailMessage], subject: str) -> list[str]:
    """Whom the mails with this subject were for."""
    return sorted(str(mail["To"]) for mail in mails if str(mail["Subject"]).startswith(subject))


def raised(make: Make, cast: Cast, people: int) -> tuple[int, int]:
    """An item of Delivery that so many customers raised: it, and its complaint."""
    item = make.raised_item(people, cast.delivery)
    item.owner = cast.omar
    ids = item.id, item.complaint_id
    make.session.commit()
    return ids


def told(company: Company, item_id: int, by: User, **values: object) -> tuple[int, list[EmailMessage]]:
    """Close, release, and let the hold pass: the closing, and the mails that told people."""
    closure_id = company.close(item_id, by, **values)  # type: ignore[arg-type]
    company.release(closure_id, by)
    return closure_id, company.later(minutes=11)


def test_three_customers_raise_it_and_two_for_whom_it_is_not_fixed_open_it_again(
    make: Make, cast: Cast, company: Company
) -> None:
    survey = make.survey()
    texts = {
        "Maya": "The zip of my rucksack broke", "Jon": "My rucksack's zip broke again",
        "Aiko": "Broken zip on the new rucksack", "a": "Still waiting for my refund", "b": "My refund has not come",
        "c": "No refund after three weeks, still waiting", "d": "The app logs me out every day",
        "e": "I get logged out of the app", "f": "The app keeps logging me out",
    }  # fmt: skip
    make.session.commit()
    with company.sessions.begin() as session:
        for name, text in texts.items():
            customer = find_customer(session, f"{name.lower()}@example.com", name, company.now)
            record_answer(
                session,
                session.merge(survey),
                score=0,
                comment=text,
                customer=customer,
                invitation=None,
                context={},
                external_id=None,
                answered_at=company.now,
                now=company.now,
                settings=company.settings,
            )
    pipeline.understand(company.context)
    pipeline.refine_now(company.context)
    with reading(company.sessions) as session:
        complaint_id = session.scalars(select(Statement.complaint_id).where(Statement.text == texts["Maya"])).one()
        item_id = session.scalars(select(ActionItem.id).where(ActionItem.complaint_id == complaint_id)).one()

    closure_id = company.close(item_id, cast.lena)
    assert company.later(days=1) == [], "nothing is sent before somebody has looked"
    company.release(closure_id, cast.lena)
    assert company.later(minutes=9) == [], "nothing is sent while it can be undone"
    mails = company.later(minutes=2)
    assert about(mails, TOLD) == [f"{name} <{name.lower()}@example.com>" for name in ("Aiko", "Jon", "Maya")]
    assert all("Around 16 October 2026 we will ask you" in text_of(mail) for mail in mails)
    assert all("Did this fix it?" not in text_of(mail) for mail in mails)

    assert company.later(days=2) == []
    asked = company.later(days=1)
    assert len(about(asked, ASKED)) == len(asked) == 3
    assert company.later(days=1) == [], "each is asked once"

    company.answer(asked[0], Fixed.NO, "It broke on day two. Call +44 20 7946 0958.")
    company.answer(asked[1], Fixed.NO, "Mine, too.")
    found = company.item(item_id)
    assert (found.status, found.reopened_count) == (Status.REOPENED, 1)
    kinds = [entry.partition(":")[0] for entry in company.history(item_id)]
    assert [kind for kind in kinds if kind in ("opened", "closed", "released", "reopened", "said_no")] == [
        "opened", "closed", "released", "reopened", "said_no",
    ]  # fmt: skip
    history = "\n".join(company.history(item_id))
    assert "Not fixed: 0 of 1 who answered said it is fixed (3 were asked)." in history
    assert "“It broke on day two. Call" in history
    assert "7946" not in history
    assert "One more says that it is not fixed: “Mine, too.”" in history
    assert company.notices("not_fixed") == {"Lena"}, "the owner, who leads the team"
    sorry = company.later(minutes=1)
    assert about(sorry, SORRY) == sorted(str(mail["To"]) for mail in asked[:2])
    assert "We have taken it up again" in text_of(sorry[0])
    assert company.later(days=30) == [], "nobody hears of it twice"


def test_who_says_so_before_being_asked_is_not_asked_again(make: Make, cast: Cast, company: Company) -> None:
    item_id, _ = raised(make, cast, 4)
    _, mails = told(company, item_id, cast.omar)
    company.answer(mails[0], Fixed.NO, "Still broken.")
    assert company.item(item_id).status == Status.CLOSED, "one of four before anybody was asked is no verdict"
    asked = company.later(days=4)
    assert len(asked) == 3
    assert str(mails[0]["To"]) not in {str(mail["To"]) for mail in asked}


def test_a_fix_that_takes_effect_later_is_asked_about_later_and_not_judged_before(
    make: Make, cast: Cast, company: Company
) -> None:
    item_id, _ = raised(make, cast, 3)
    starts = company.now + 20 * DAY
    _, mails = told(company, item_id, cast.omar, effective_from=starts, ask_at=starts + 2 * DAY)
    assert "Around 3 November 2026 we will ask you" in text_of(mails[0])
    for mail in mails:
        company.answer(mail, Fixed.NO, "Not yet.")
    assert company.item(item_id).status == Status.CLOSED
    assert company.later(days=21) == []


def test_have_not_run_into_it_since_counts_as_neither(make: Make, cast: Cast, company: Company) -> None:
    item_id, _ = raised(make, cast, 4)
    closure_id, _ = told(company, item_id, cast.omar)
    asked = company.later(days=4)
    for mail in asked[:3]:
        company.answer(mail, Fixed.NOT_SINCE)
    company.answer(asked[3], Fixed.YES)
    assert company.item(item_id).status == Status.CLOSED
    company.later(days=13)
    with reading(company.sessions) as session:
        assert session.scalar(select(Verdict).where(Verdict.closure_id == closure_id)) is None, "they have 14 days"
    company.later(days=2)
    with reading(company.sessions) as session:
        verdict = session.scalars(select(Verdict).where(Verdict.closure_id == closure_id)).one()
        assert (verdict.kind, verdict.yes) == (VerdictKind.UNVERIFIED, 1)
        assert "3 had not run into it since" in verdict.reason


def test_late_answers_about_old_experiences_never_open_it_again(make: Make, cast: Cast, company: Company) -> None:
    survey = make.survey()
    item_id, complaint_id = raised(make, cast, 3)
    company.hear(survey, 57)
    told(company, item_id, cast.omar)
    company.later(days=10)
    company.say(complaint_id, survey, 12, experienced_at=company.now - 11 * DAY)
    company.later(minutes=5)
    assert company.item(item_id).status == Status.CLOSED
    company.say(complaint_id, survey, 12, invited_at=company.now - 11 * DAY)
    company.later(minutes=5)
    assert company.item(item_id).status == Status.CLOSED, "they were asked about what was before the fix"
    company.say(complaint_id, survey, 12, experienced_at=company.now - DAY)
    company.later(minutes=5)
    assert company.item(item_id).status == Status.REOPENED


def test_thanks_never_open_it_again(make: Make, cast: Cast, company: Company) -> None:
    survey = make.survey()
    item_id, _ = raised(make, cast, 3)
    told(company, item_id, cast.omar)
    company.now += 5 * DAY
    with company.sessions.begin() as session:
        factory = company.factory(session)
        for number in range(10):
            customer = factory.customer(f"Glad {number}")
            factory.statement(
                None, "ok thanks", customer=customer, survey=session.merge(survey), kind=StatementKind.PRAISE
            )
    company.later(minutes=5)
    assert company.item(item_id).status == Status.CLOSED


def test_a_relapse_opens_it_again_with_its_numbers_and_noise_does_not(make: Make, cast: Cast, company: Company) -> None:
    survey = make.survey()
    item_id, complaint_id = raised(make, cast, 6)
    company.hear(survey, 54)
    told(company, item_id, cast.omar)
    company.later(days=5)
    company.hear(survey, 200)
    company.say(complaint_id, survey, 4)
    company.later(minutes=5)
    assert company.item(item_id).status == Status.CLOSED, "4 of 204 is far less than 6 of 60"
    company.later(days=1)
    company.say(complaint_id, survey, 40)
    company.later(minutes=5)
    assert company.item(item_id).status == Status.REOPENED
    assert company.notices("came_back") == {"Omar", "Lena"}
    assert any(
        "44 of 244 answers say it again (18 %), 44 people; before the closing 6 of 60 did (10 %)." in entry
        for entry in company.history(item_id)
    )


def test_a_relapse_outside_the_segment_of_the_fix_is_none(make: Make, cast: Cast, company: Company) -> None:
    survey = make.survey()
    item_id, complaint_id = raised(make, cast, 3)
    told(company, item_id, cast.omar, segment=Segment.PAGE, segment_value="/checkout")
    company.later(days=5)
    company.say(complaint_id, survey, 20, page="/basket")
    company.later(minutes=5)
    assert company.item(item_id).status == Status.CLOSED
    company.say(complaint_id, survey, 20, page="/checkout?step=2")
    company.later(minutes=5)
    assert company.item(item_id).status == Status.REOPENED


def test_of_a_merged_complaint_each_person_is_told_once(make: Make, cast: Cast, company: Company) -> None:
    survey = make.survey()
    item_id, complaint_id = raised(make, cast, 2)
    other_id, other_complaint = raised(make, cast, 2)
    both = make.customer("Both", "both@example.com")
    for id in (complaint_id, other_complaint):
        make.statement(make.session.get_one(Complaint, id), customer=both, survey=survey)
    make.session.commit()
    correct(company, cast.lena, Wanted(CorrectionKind.MERGE, complaint_id, other_complaint))
    _, mails = told(company, other_id, cast.omar)
    assert len(mails) == len(about(mails, TOLD)) == 5
    assert len({str(mail["To"]) for mail in mails}) == 5
    assert len(about(company.later(days=4), ASKED)) == 5
    assert company.item(item_id).status == Status.NEW, "put aside with its history"


def test_after_a_split_only_those_who_said_it_are_told(make: Make, cast: Cast, company: Company) -> None:
    item_id, complaint_id = raised(make, cast, 6)
    with reading(company.sessions) as session:
        rows = session.execute(
            select(Statement.id, Customer.email)
            .join(Customer, Customer.id == Statement.customer_id)
            .where(Statement.complaint_id == complaint_id)
        ).all()
    gone = rows[:3]
    split_off = Wanted(
        CorrectionKind.SPLIT, complaint_id, name="Late parcels", statement_ids=tuple(row.id for row in gone)
    )
    correct(company, cast.lena, split_off)
    _, mails = told(company, item_id, cast.omar)
    assert len(mails) == 3
    assert not {row.email for row in gone} & {str(mail["To"]) for mail in mails}
    company.work()
    with reading(company.sessions) as session:
        split = session.scalars(
            select(ActionItem.id).join(Complaint, Complaint.id == ActionItem.complaint_id).where(
                Complaint.name == "Late parcels"
            )
        ).one()  # fmt: skip
    _, mails = told(company, split, cast.lena)
    assert all(any(row.email in str(mail["To"]) for row in gone) for mail in mails)
    assert len(mails) == 3


def correct(company: Company, by: User, wanted: Wanted) -> None:
    """Correct something at once."""
    with company.sessions.begin() as session:
        lead = session.get_one(User, by.id)
        corrections.add(session, wanted, lead, company.now)
        draft = corrections.open_draft(session, lead)
        assert draft is not None
        corrections.apply(session, draft, "They are so.", company.now)


def test_a_declined_one_is_told_once_and_enough_who_disagree_call_for_a_second_look(
    make: Make, cast: Cast, company: Company
) -> None:
    item_id, _ = raised(make, cast, 25)
    _, mails = told(company, item_id, cast.omar, outcome=Outcome.DECLINED)
    assert len(mails) == 25
    assert {str(mail["Subject"]) for mail in mails} == {"What we decided about what you told us"}
    assert "I disagree:" in text_of(mails[0])
    assert company.later(days=10) == [], "nobody is asked whether nothing fixed it"
    company.answer(mails[0], Fixed.NO, "It breaks every time.")
    company.answer(mails[0], Fixed.NO, "Really every time.")
    assert company.notices("second_look") == set(), "one of 25 is not enough, however often they say it"
    company.answer(mails[1], Fixed.NO, "Then I go elsewhere.")
    company.answer(mails[2], Fixed.NO, "Me, too.")
    assert company.notices("second_look") == {"Lena", "Omar"}
    assert company.item(item_id).status == Status.CLOSED, "a person decides"
    looks = [entry for entry in company.history(item_id) if entry.startswith("second_look")]
    assert len(looks) == 1, "once for each closing"
    assert "2 of 25 who were told disagree" in looks[0]
    assert "“Then I go elsewhere.”" in looks[0]
    assert company.later(days=30) == []


def test_who_unsubscribed_hears_nothing_more(make: Make, cast: Cast, company: Company) -> None:
    item_id, _ = raised(make, cast, 3)
    closure_id = company.close(item_id, cast.omar)
    with reading(company.sessions) as session:
        addresses = sorted(session.scalars(select(Customer.email)))

    def stop(address: str) -> None:
        with company.sessions.begin() as session:
            suppress(session, address, "Unsubscribed by a link in a mail.", company.now)

    stop(addresses[0])
    company.release(closure_id, cast.omar)
    mails = company.later(minutes=11)
    assert len(mails) == 2
    stop(addresses[1])
    asked = company.later(days=4)
    assert [addresses[2] in str(mail["To"]) for mail in asked] == [True]
    stop(addresses[2])
    company.answer(asked[0], Fixed.NO, "Still broken.")
    assert company.item(item_id).status == Status.REOPENED, "their word counts"
    assert company.later(days=1) == []


def test_who_erased_what_they_said_hears_nothing_more(make: Make, cast: Cast, company: Company) -> None:
    item_id, complaint_id = raised(make, cast, 3)

    def erase_one(place: int) -> None:
        with company.sessions.begin() as session:
            answer = session.scalars(
                select(Answer).join(Statement).where(Statement.complaint_id == complaint_id).order_by(Answer.id)
            ).all()[place]
            erase(session, answer, company.now)

    closure_id = company.close(item_id, cast.omar)
    erase_one(0)
    company.release(closure_id, cast.omar)
    mails = company.later(minutes=11)
    assert len(mails) == 2
    erase_one(0)
    asked = company.later(days=4)
    assert len(asked) == 1


def test_an_anonymous_one_gets_no_mail_and_sees_it_by_the_receipt(make: Make, cast: Cast, company: Company) -> None:
    survey = make.survey("quiet", is_anonymous=True)
    item_id, complaint_id = raised(make, cast, 2)
    answer = make.answer("The zip broke.", survey, said_at=company.now - DAY)
    make.statement(make.session.get_one(Complaint, complaint_id), answer=answer)
    answer_id = answer.id
    make.session.commit()
    closure_id = company.close(item_id, cast.omar)

    def stage(session: Session) -> Stage:
        (problem,) = problems(session, session.get_one(Answer, answer_id))
        return show(problem, company.now, timedelta(minutes=company.settings.hold_minutes)).stage

    company.release(closure_id, cast.omar)
    mails = company.later(minutes=11)
    assert len(mails) == 2
    with reading(company.sessions) as session:
        assert stage(session) == Stage.DONE


def test_an_undone_run_sends_nothing_and_is_told_once_when_it_is_released_again(
    make: Make, cast: Cast, company: Company
) -> None:
    item_id, _ = raised(make, cast, 3)
    closure_id = company.close(item_id, cast.omar)
    company.release(closure_id, cast.omar)
    company.later(minutes=5)
    with company.sessions.begin() as session:
        run = run_of(session, session.get_one(Closure, closure_id))
        assert run is not None
        runs.undo(session, run, session.get_one(User, cast.omar.id), company.now)
    assert company.later(days=30) == []
    company.release(closure_id, cast.omar)
    assert len(company.later(minutes=11)) == 3
    with reading(company.sessions) as session:
        run = run_of(session, session.get_one(Closure, closure_id))
        assert run is not None
        assert run.state == RunState.DONE
        assert len(session.scalars(select(Notification)).all()) == 3


def test_taking_a_closing_back_stops_the_question(make: Make, cast: Cast, company: Company) -> None:
    from feedback_loop.actions.service import reopen

    item_id, _ = raised(make, cast, 3)
    told(company, item_id, cast.omar)
    company.now += 4 * DAY
    pipeline.follow_ups(company.context)  # owed, and not sent yet
    with company.sessions.begin() as session:
        reopen(
            session,
            session.get_one(ActionItem, item_id),
            "Too early.",
            session.get_one(User, cast.omar.id),
            company.now,
        )
    assert company.later(days=30) == []
