"""From answers to statements to complaints, with the toy model."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.analysis.assignment import Exemplars
from feedback_loop.analysis.embedding.embedder import Embedder
from feedback_loop.complaints.due import decide, refine_is_due
from feedback_loop.complaints.models import Complaint, Placed, Statement, StatementKind, StatementRole, Vector
from feedback_loop.complaints.service import analyse
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.db import Sessions, reading
from feedback_loop.pipeline import Context
from feedback_loop.responses.service import record_answer
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey
from tests.factories import Make
from tests.pages import counted

ZIPS = [
    "The zip of my rucksack broke",
    "My rucksack zip broke again",
    "Broken rucksack zip, second one",
    "Rucksack zip broke",
]
REFUNDS = [
    "Still waiting for my refund",
    "My refund has not come, waiting",
    "Refund not here, waiting for weeks",
    "Waiting for refund",
]


class Loop:
    """Hears texts and understands them."""

    def __init__(self, make: Make, sessions: Sessions, settings: Settings, now: datetime) -> None:
        self.make, self.sessions, self.now = make, sessions, now
        self.context = Context(settings, sessions, lambda: now)
        self.survey: Survey = make.survey()
        make.session.commit()

    def hear(self, *texts: str, **values: object) -> None:
        given = {"customer": None, "invitation": None, "score": 0, "external_id": None} | values
        with self.sessions.begin() as session:
            for text in texts:
                record_answer(
                    session, self.survey, comment=text, context={}, answered_at=self.now, now=self.now,
                    settings=self.context.settings, **given,  # type: ignore[arg-type]
                )  # fmt: skip
        pipeline.understand(self.context)

    def statements(self) -> list[Statement]:
        with reading(self.sessions) as session:
            return list(session.scalars(select(Statement).order_by(Statement.id)))


@pytest.fixture
def loop(make: Make, sessions: Sessions, settings: Settings, now: datetime) -> Loop:
    return Loop(make, sessions, settings, now)


def test_praise_and_non_answers_are_kept_and_never_grouped(loop: Loop) -> None:
    loop.hear("n/a", "Great service, thank you!", score=1)
    loop.hear(*ZIPS, *REFUNDS)
    pipeline.refine_now(loop.context)
    kinds = {said.text: said for said in loop.statements()}
    assert kinds["n/a"].kind == StatementKind.NON_ANSWER
    assert kinds["Great service, thank you!"].kind == StatementKind.PRAISE
    assert kinds["n/a"].complaint_id is None
    assert kinds[ZIPS[0]].complaint_id is not None


def test_a_new_statement_finds_its_complaint_at_once_and_says_why(loop: Loop) -> None:
    loop.hear(*ZIPS, *REFUNDS)
    pipeline.refine_now(loop.context)
    loop.hear("The rucksack zip broke")
    said = loop.statements()[-1]
    assert said.complaint_id == loop.statements()[0].complaint_id
    assert said.reason
    assert 0 < (said.confidence or 0) <= 1
    with reading(loop.sessions) as session:
        complaint = session.get_one(Complaint, said.complaint_id)
        assert complaint.statement_count == len(ZIPS) + 1
        assert complaint.anonymous_count == len(ZIPS) + 1


def test_a_statement_knows_its_survey(loop: Loop) -> None:
    loop.hear("The parcel came late")
    assert [said.survey_id for said in loop.statements()] == [loop.survey.id]


def test_equal_texts_share_a_vector_and_a_complaint(loop: Loop) -> None:
    loop.hear(*ZIPS, ZIPS[0].upper(), ZIPS[0], *REFUNDS)
    pipeline.refine_now(loop.context)
    same = [said for said in loop.statements() if said.text.casefold() == ZIPS[0].casefold()]
    assert len(same) == 3
    assert len({said.vector_id for said in same}) == len({said.complaint_id for said in same}) == 1
    with reading(loop.sessions) as session:
        assert session.query(Vector).count() == len(ZIPS) + len(REFUNDS)


def test_a_comment_with_two_problems_belongs_to_two_complaints(loop: Loop) -> None:
    loop.hear(*ZIPS, *REFUNDS)
    pipeline.refine_now(loop.context)
    zips, refunds = loop.statements()[0].complaint_id, loop.statements()[len(ZIPS)].complaint_id
    loop.hear("The zip of my rucksack broke, the rucksack zip broke. I am still waiting for my refund here.")
    main, *parts = loop.statements()[len(ZIPS) + len(REFUNDS) :]
    found = {main.complaint_id, *(part.complaint_id for part in parts if part.complaint_id)}
    assert main.role == StatementRole.MAIN
    assert found == {zips, refunds}


def test_a_changed_answer_replaces_its_statements(loop: Loop, make: Make) -> None:
    invitation, _ = make.invitation(loop.survey)
    make.session.commit()
    loop.hear(ZIPS[0], invitation=invitation, customer=invitation.customer)
    loop.hear(REFUNDS[0], invitation=invitation, customer=invitation.customer)
    assert [said.text for said in loop.statements()] == [REFUNDS[0]]


def test_personal_details_reach_no_statement(loop: Loop) -> None:
    loop.hear("Write to maya.lind@example.com, my card is 4111 1111 1111 1111 and nothing works")
    (said,) = [each for each in loop.statements() if each.role == StatementRole.MAIN]
    assert "maya" not in said.text
    assert "4111" not in said.text
    assert "nothing works" in said.text


@pytest.mark.parametrize(
    ("new", "known", "waiting", "minutes", "due"),
    [
        (4, 0, False, None, False),
        (5, 0, False, None, True),  # the first complaints come as soon as the first answers are analysed
        (500, 0, True, None, False),  # an import is still being analysed
        (50, 1000, False, 5, False),  # too soon
        (50, 1000, False, 20, True),
        (5, 1000, False, 20, False),  # too little is new
        (1, 1000, False, 2000, True),  # a day has passed
        (0, 1000, False, 2000, False),
    ],
)
def test_when_a_refine_is_due(new: int, known: int, waiting: bool, minutes: int | None, due: bool) -> None:
    since_last = None if minutes is None else timedelta(minutes=minutes)
    assert decide(new, known, waiting, since_last, timedelta(minutes=15)) == due


def test_a_refine_is_due_after_a_change_of_the_embedding_model(loop: Loop) -> None:
    loop.hear(*ZIPS, *REFUNDS)
    pipeline.refine_now(loop.context)
    with reading(loop.sessions) as session:
        assert not refine_is_due(session, loop.now, timedelta(minutes=15), loop.context.loaded_model)
        assert refine_is_due(session, loop.now, timedelta(minutes=15), "another toy")


def test_complaints_outlive_a_change_of_the_embedding_model(loop: Loop) -> None:
    loop.hear(*ZIPS, *REFUNDS)
    pipeline.refine_now(loop.context)
    before = {said.text: said.complaint_id for said in loop.statements()}
    loop.context.embedder.name = "another toy"
    pipeline.refine_now(loop.context)
    loop.hear("The rucksack zip broke")
    pipeline.refine_now(loop.context)
    after = {said.text: said.complaint_id for said in loop.statements()}
    assert {text: after[text] for text in before} == before
    assert after["The rucksack zip broke"] == before[ZIPS[0]]


def test_an_answer_that_changes_while_a_worker_reads_it_is_read_again(
    loop: Loop, make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    from feedback_loop.jobs.claims import all_still_ours, claim
    from feedback_loop.responses.models import Answer
    from feedback_loop.responses.queries import answer_to

    invitation, _ = make.invitation(loop.survey)
    make.session.commit()

    def send(session: Session, text: str) -> int:
        return record_answer(
            session, loop.survey, score=0, comment=text, customer=None, invitation=invitation, context={},
            external_id=None, answered_at=now, now=now, settings=settings,
        )  # fmt: skip

    with sessions.begin() as session:
        send(session, "Old words.")
    with reading(sessions) as page:
        seen = answer_to(page, invitation)
        assert seen is not None
        page.expunge(seen)
    with sessions.begin() as session:
        claims = claim(session, Answer, [Answer.redacted_at.is_(None)], [Answer.id], 1, now, timedelta(minutes=1))
    with sessions.begin() as session:
        session.add(seen)  # the page has looked before the worker claimed
        send(session, "New words.")
    with sessions.begin() as session:
        assert all_still_ours(session, Answer, claims) == set(), "the worker's text is out of date"
    pipeline.understand(loop.context)
    assert [said.text for said in loop.statements()] == ["New words."]


def test_raw_text_is_not_destroyed_before_it_was_read_nor_lost_to_a_wrong_key(
    loop: Loop, settings: Settings, sessions: Sessions, now: datetime
) -> None:
    with sessions.begin() as session:
        record_answer(
            session, loop.survey, score=0, comment=ZIPS[0], customer=None, invitation=None, context={},
            external_id=None, answered_at=now, now=now, settings=settings,
        )  # fmt: skip
    later = now + timedelta(days=60)
    pipeline.tidy(Context(settings, sessions, lambda: later))
    pipeline.redact(Context(replace(settings, secret_key="another key"), sessions, lambda: later))
    pipeline.understand(Context(settings, sessions, lambda: later + timedelta(hours=1)))
    assert [said.text for said in loop.statements()] == [ZIPS[0]]


def test_two_workers_that_touch_one_complaint_count_each_others_statements(make: Make, sessions: Sessions) -> None:
    complaint, survey = make.complaint(), make.survey()
    waiting = [make.statement(survey=survey) for _ in range(2)]
    make.session.commit()

    def work(said: Statement, pause: float) -> None:
        with sessions.begin() as session:
            row = session.get_one(Statement, said.id)
            row.complaint_id, row.placed = complaint.id, Placed.NEAREST
            session.flush()
            count_again(session, [complaint.id])
            time.sleep(pause)

    first = threading.Thread(target=work, args=(waiting[0], 0.6))
    second = threading.Thread(target=work, args=(waiting[1], 0))
    first.start()
    time.sleep(0.2)
    second.start()
    first.join()
    second.join()
    with reading(sessions) as session:
        assert session.get_one(Complaint, complaint.id).statement_count == 2


def test_assigning_reads_no_table_from_end_to_end(loop: Loop, session: Session, engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("Other databases choose by the size of the table, which is empty here.")
    with counted(engine) as sent:
        loop.hear(*ZIPS)
    about = [statement for statement in sent if "statements" in statement and statement.startswith("SELECT")]
    assert len(about) > 4
    for statement in about:
        # What is asked for with a value in it is planned by that value, as SQLite does.
        values = (1,) * statement.count("?")
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        steps = [row[3] for row in plan]
        assert not any(step.startswith(("SCAN statements", "SCAN answers")) and "INDEX" not in step for step in steps)


def test_errors_of_the_database_carry_nothing_that_was_typed(sessions: Sessions, make: Make) -> None:
    make.customer("Maya Lind", "maya.lind@example.com")
    with pytest.raises(IntegrityError) as caught:
        make.customer("Maya Lind", "maya.lind@example.com")
    assert "Maya Lind" not in str(caught.value)


def test_exemplars_are_read_again_once_others_stand_for_a_complaint(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.hear(*ZIPS, *REFUNDS)
    pipeline.refine_now(loop.context)
    reads: list[int] = []
    plain = analyse.load_exemplars

    def counted(session: Session, embedder: Embedder) -> Exemplars:
        reads.append(1)
        return plain(session, embedder)

    monkeypatch.setattr(analyse, "load_exemplars", counted)
    loop.hear("The rucksack zip broke once more")
    loop.hear("Rucksack with a broken zip")
    assert len(reads) == 1, "nothing has changed between two passes"
    with loop.sessions.begin() as session:
        first = session.scalars(select(Statement).where(Statement.is_exemplar).order_by(Statement.id)).first()
        assert first is not None
        first.is_exemplar = False
    loop.hear("The zip of this rucksack is broken, too")
    assert len(reads) == 2
