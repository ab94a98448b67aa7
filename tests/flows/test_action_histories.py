"""Whatever happens in whatever order: nobody is told twice, nobody unasked for, and nothing of a history is lost."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, User
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.models import (
    ActionEvent,
    ActionItem,
    Closure,
    NotificationRun,
    Outcome,
    RunPerson,
    RunState,
)
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.runs import service as runs
from feedback_loop.actions.service import Refused, latest_closure, reopen, take_on
from feedback_loop.complaints.corrections import Wanted
from feedback_loop.complaints.models import Complaint, ComplaintState, CorrectionKind
from feedback_loop.complaints.service import corrections
from feedback_loop.db import Base, Sessions, make_engine, make_sessions, reading
from feedback_loop.followups.asking import apologise_due, ask_due
from feedback_loop.followups.models import Fixed, FollowUp, Verdict, VerdictKind
from feedback_loop.followups.queries import tally
from feedback_loop.followups.recurring import look_for_relapses
from feedback_loop.followups.service import draw_due_verdict, due_for_verdict, record
from feedback_loop.mail import Message
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import drain_outbox
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.reports.status.erasing import erase
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.settings import Settings, read_settings
from tests.conftest import NOW
from tests.factories import Make

PEOPLE, COMPLAINTS = 5, 2
NOT_OUT = (RunState.REVIEW, RunState.APPROVAL, RunState.UNDONE)
OUTCOMES = (Outcome.FIXED, Outcome.FIXED, Outcome.PARTLY_FIXED, Outcome.DECLINED)
people = st.integers(0, PEOPLE - 1)
places = st.integers(0, COMPLAINTS - 1)


@dataclass
class Post:
    """A mail server that keeps what was handed to it, with the time."""

    clock: Callable[[], datetime]
    sent: list[tuple[datetime, Message]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def send(self, message: Message, now: datetime) -> None:
        self.sent.append((now, message))


class Histories(RuleBasedStateMachine):
    """Two complaints, a few customers, an owner, and whatever they do."""

    engine: ClassVar[Engine]
    settings: ClassVar[Settings]

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.sessions: Sessions = make_sessions(self.engine)
        self.post = Post(lambda: self.now)
        self.count = itertools.count(1)
        self.stopped: dict[str, datetime] = {}
        self.history: dict[int, tuple[str, str]] = {}

    @initialize()
    def begin(self) -> None:
        with self.engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(table.delete())
        with self.sessions.begin() as session:
            make = self.factory(session)
            team = make.team("Delivery")
            self.lead_id = make.user("Lena", Role.LEAD, team).id
            self.survey_id = make.survey("shop").id
            customers = [make.customer(f"Customer {number}") for number in range(PEOPLE)]
            self.customer_ids = [customer.id for customer in customers]
            self.item_ids, self.complaint_ids = [], []
            for place in range(COMPLAINTS):
                complaint = make.complaint(f"Complaint {place}")
                for customer in customers[place : place + 3]:
                    make.statement(
                        complaint, answer=make.answer(customer=customer, said_at=self.now - timedelta(days=2))
                    )
                self.item_ids.append(make.item(complaint, team).id)
                self.complaint_ids.append(complaint.id)

    def factory(self, session: Session) -> Make:
        make = Make(session, self.settings, self.now)
        make.count = self.count
        return make

    def trying(self, what: Callable[[Session], object]) -> None:
        """Do something that may be refused; what is refused changes nothing."""
        try:
            with self.sessions.begin() as session:
                what(session)
        except (Refused, corrections.CannotCorrect):
            pass

    def run_at(self, session: Session, place: int) -> NotificationRun:
        closure = latest_closure(session, session.get_one(ActionItem, self.item_ids[place]))
        run = run_of(session, closure) if closure else None
        if run is None:
            raise Refused("There is no run.")
        return run

    def say(self, place: int, person: int, again: bool) -> None:
        with self.sessions.begin() as session:
            make = self.factory(session)
            complaint = session.get_one(Complaint, self.complaint_ids[place])
            if complaint.state == ComplaintState.MERGED:
                complaint = session.get_one(Complaint, complaint.merged_into_id)
            make.said[complaint.id] = complaint.statement_count
            context = {} if again else {"experienced_at": (NOW - timedelta(days=9)).isoformat()}
            customer = session.get_one(Customer, self.customer_ids[person])
            make.statement(complaint, answer=make.answer(customer=customer, context=context))

    # Few rules with many arguments: of many rules, hypothesis leaves most out of each history.
    @rule(place=places, outcome=st.sampled_from(OUTCOMES), is_released=st.booleans(), is_undone=st.booleans())
    def tell(self, place: int, outcome: Outcome, is_released: bool, is_undone: bool) -> None:
        """Close an item, and perhaps release its run, and perhaps undo that."""
        closing = Closing(outcome, "Done.", "A cause.", f"Closing number {next(self.count)} is done.")
        self.trying(
            lambda session: close(
                session,
                session.get_one(ActionItem, self.item_ids[place]),
                closing,
                session.get_one(User, self.lead_id),
                self.now,
                self.settings,
            )
        )
        if is_released or is_undone:
            self.trying(lambda session: self.change(session, "release", place))
        if is_undone:
            self.trying(lambda session: self.change(session, "undo", place))

    @rule(place=places, verb=st.sampled_from(["release", "undo", "take_back", "take_on", "merge"]))
    def manage(self, place: int, verb: str) -> None:
        self.trying(lambda session: self.change(session, verb, place))

    def change(self, session: Session, verb: str, place: int) -> None:
        """What colleagues do with an item or its run."""
        lead, item = session.get_one(User, self.lead_id), session.get_one(ActionItem, self.item_ids[place])
        match verb:
            case "release":
                runs.release(session, self.run_at(session, place), lead, self.now, self.settings)
            case "undo":
                runs.undo(session, self.run_at(session, place), lead, self.now)
            case "take_back":
                reopen(session, item, "Too early.", lead, self.now)
            case "take_on":
                take_on(session, item, lead, self.now)
            case "merge":
                corrections.add(session, Wanted(CorrectionKind.MERGE, *self.complaint_ids), lead, self.now)
                draft = corrections.open_draft(session, lead)
                assert draft is not None
                corrections.apply(session, draft, "The same.", self.now)

    @rule(time=st.sampled_from([timedelta(minutes=4), timedelta(minutes=11), timedelta(days=2), timedelta(days=16)]))
    def time_passes(self, time: timedelta) -> None:
        """And the worker works."""
        self.now += time
        ask_due(self.sessions, self.settings, self.now)
        apologise_due(self.sessions, self.settings, self.now)
        drain_outbox(self.sessions, self.settings, lambda: self.now, transport=self.post)
        with self.sessions.begin() as session:
            runs.settle(session, self.now)
        with reading(self.sessions) as session:
            due = due_for_verdict(session, self.now, self.settings)
        for closure_id in due:
            with self.sessions.begin() as session:
                draw_due_verdict(session, closure_id, self.now, self.settings)
        look_for_relapses(self.sessions, self.now)

    @rule(which=st.integers(0, 20), fixed=st.sampled_from(Fixed))
    def answer(self, which: int, fixed: Fixed) -> None:
        """By any link there is; that on the page of what became of it is there before the mail."""
        with self.sessions.begin() as session:
            rows = session.scalars(
                select(Notification)
                .where(
                    Notification.kind == "closure",
                    Notification.state.in_([NotificationState.SENT, NotificationState.PENDING]),
                )
                .order_by(Notification.id.desc())
            ).all()
            if not rows:
                return
            notification = rows[which % len(rows)]
            closure = session.get_one(Closure, int(notification.event.partition(":")[2]))
            if closure.withdrawn_at is None and (closure.asks_whether_fixed or fixed != Fixed.NOT_SINCE):
                record(session, notification, fixed, "So it is.", self.now, self.settings)

    @rule(person=people, place=places, what=st.sampled_from(["say", "say", "say late", "unsubscribe", "erase"]))
    def customer(self, person: int, place: int, what: str) -> None:
        if what.startswith("say"):
            self.say(place, person, again=what == "say")
            return
        with self.sessions.begin() as session:
            if what == "unsubscribe":
                address = session.get_one(Customer, self.customer_ids[person]).email
                suppress(session, address, "Unsubscribed by a link in a mail.", self.now)
                self.stopped.setdefault(address, self.now)
                return
            found = session.scalar(select(Answer).where(Answer.customer_id == self.customer_ids[person]).limit(1))
            if found is not None:
                erase(session, found, self.now)

    @invariant()
    def each_person_gets_at_most_one_mail_of_a_kind_about_a_closing(self) -> None:
        with reading(self.sessions) as session:
            rows = {row.message_id: row for row in session.scalars(select(Notification))}
        got: Counter[tuple[str, str, str]] = Counter()
        for _, message in self.post.sent:
            row = rows[message.message_id]
            got[row.recipient, row.event, row.kind] += 1
        assert not [each for each, number in got.items() if number > 1]
        texts = Counter(
            (message.address, message.subject, line)
            for _, message in self.post.sent
            for line in message.text.splitlines()
            if line.startswith("Closing number")
        )
        assert not [each for each, number in texts.items() if number > 1]

    @invariant()
    def nobody_outside_a_run_is_written_to(self) -> None:
        with reading(self.sessions) as session:
            told = set(
                session.execute(
                    select(NotificationRun.closure_id, RunPerson.customer_id)
                    .join(RunPerson, RunPerson.run_id == NotificationRun.id)
                    .where(RunPerson.is_told)
                ).all()
            )
            for row in session.scalars(select(Notification).where(Notification.state == NotificationState.SENT)):
                closure_id, customer_id = (int(text.partition(":")[2]) for text in (row.event, row.recipient))
                assert (closure_id, customer_id) in told, f"{row.kind} to {row.recipient}, whom no run of it tells"

    @invariant()
    def a_run_that_was_undone_has_sent_nothing(self) -> None:
        with reading(self.sessions) as session:
            held_back = {
                f"closure:{id}"
                for id in session.scalars(select(NotificationRun.closure_id).where(NotificationRun.state.in_(NOT_OUT)))
            }
            sent = set(session.scalars(select(Notification.event).where(Notification.state == NotificationState.SENT)))
        assert not held_back & sent

    @invariant()
    def only_those_who_were_told_are_asked_apologised_to_and_counted(self) -> None:
        with reading(self.sessions) as session:
            rows = {row.message_id: row for row in session.scalars(select(Notification))}
            handed_over = [rows[message.message_id] for _, message in self.post.sent]
            told = {(row.event.partition(":")[2], row.recipient) for row in handed_over if row.kind == "closure"}
            asked = {(row.event.partition(":")[2], row.recipient) for row in handed_over if row.kind != "closure"}
            assert asked <= told
            answers = session.scalars(select(FollowUp)).all()
            for closure in session.scalars(select(Closure)):
                count = tally(session, closure)
                mine = [each for each in answers if each.closure_id == closure.id]
                heard = Counter(
                    each.fixed for each in mine if (str(closure.id), f"customer:{each.customer_id}") in told
                )
                assert (count.yes, count.no, count.not_since) == tuple(heard[fixed] for fixed in Fixed)
            for verdict in session.scalars(select(Verdict)):
                assert verdict.yes + verdict.no <= len([each for each in told if each[0] == str(verdict.closure_id)])
            sorry = {int(row.event.partition(":")[2]) for row in handed_over if row.kind == "sorry"}
            bad = select(Verdict.closure_id).where(Verdict.kind == VerdictKind.NOT_FIXED)
            assert sorry <= set(session.scalars(bad))

    @invariant()
    def who_unsubscribed_gets_nothing_more(self) -> None:
        for moment, message in self.post.sent:
            assert message.address not in self.stopped or moment <= self.stopped[message.address]

    @invariant()
    def no_history_loses_an_entry(self) -> None:
        with reading(self.sessions) as session:
            now = {row.id: (row.kind, row.text) for row in session.scalars(select(ActionEvent))}
        assert self.history.items() <= now.items()
        assert not now or not self.history or min(now.keys() - self.history.keys(), default=10**9) > max(self.history)
        self.history = now


@pytest.fixture
def quick_database(tmp_path: Path) -> Iterator[Engine]:
    """A database of its own: what is tested is what the program decides, and that is the same on both."""
    engine = make_engine(f"sqlite:///{tmp_path / 'histories.db'}")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_random_histories_keep_what_customers_were_promised(quick_database: Engine, tmp_path: Path) -> None:
    Histories.engine = quick_database
    Histories.settings = replace(
        read_settings({"DATA_FOLDER": str(tmp_path), "SECRET_KEY": "a key for tests only", "EMBEDDING_MODEL": "toy"}),
        follow_up_after_days=1,
        public_url="http://localhost",
    )
    run_state_machine_as_test(
        Histories,
        settings=effort(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
