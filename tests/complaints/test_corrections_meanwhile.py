"""What people correct, and what happens at the same time or before the next refine."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.accounts.models import User
from feedback_loop.actions.models import Status
from feedback_loop.actions.service import take_on
from feedback_loop.analysis.discovery import Discovery, discover
from feedback_loop.complaints.corrections import Wanted
from feedback_loop.complaints.models import (
    Complaint,
    ComplaintState,
    Correction,
    CorrectionKind,
    Placed,
    Statement,
    Vector,
)
from feedback_loop.complaints.service import corrections
from feedback_loop.complaints.service.corrections import CannotCorrect
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.complaints.service.known import read_known
from feedback_loop.complaints.service.writing import Overtaken, write_refine
from feedback_loop.db import Sessions
from feedback_loop.followups.service import open_again
from feedback_loop.pipeline import Context
from feedback_loop.responses.models import Answer, Invitation
from feedback_loop.responses.service import record_answer
from feedback_loop.settings import Settings
from tests.complaints.test_corrections import correct, undo
from tests.factories import Cast, Make

PARCEL = "parcel late courier tracking doorstep"
LOGIN = "login password reset mail code"


class Said:
    """Customers who answer again."""

    def __init__(self, settings: Settings, sessions: Sessions, now: datetime) -> None:
        self.context = Context(settings, sessions, lambda: now)
        self.now = now

    def __call__(self, invitation_id: int, text: str, score: int = 0) -> int:
        with self.context.sessions.begin() as session:
            invitation = session.get_one(Invitation, invitation_id)
            answer_id = record_answer(
                session, invitation.survey, score=score, comment=text, customer=invitation.customer,
                invitation=invitation, context={}, external_id=None, answered_at=self.now, now=self.now,
                settings=self.context.settings,
            )  # fmt: skip
        pipeline.understand(self.context)
        return answer_id


@pytest.fixture
def say(settings: Settings, sessions: Sessions, now: datetime) -> Said:
    return Said(settings, sessions, now)


def guests(make: Make) -> list[int]:
    """Invitations of six customers to one survey."""
    survey = make.survey()
    invitations = [make.invitation(survey, make.customer(f"Guest {number}"))[0].id for number in range(6)]
    make.session.commit()
    return invitations


def whole(session: Session, answer_id: int) -> Statement:
    main = select(Statement).where(Statement.answer_id == answer_id, Statement.position == 0)
    said = session.scalars(main.execution_options(populate_existing=True)).one()
    session.commit()  # lets the database go, for whoever writes next
    return said


def test_a_draft_about_words_that_were_taken_back_does_not_hit_other_words(
    session: Session, make: Make, cast: Cast, now: datetime, say: Said
) -> None:
    invitation_id = make.invitation()[0].id
    rude = make.complaint("Rude staff")
    make.statement(rude)
    session.commit()
    answer_id = say(invitation_id, PARCEL)
    picked = whole(session, answer_id).id
    corrections.add(session, Wanted(CorrectionKind.MOVE, None, rude.id, statement_ids=(picked,)), cast.lena, now)
    session.commit()
    say(invitation_id, LOGIN)
    draft = corrections.open_draft(session, cast.lena)
    assert draft is not None
    with pytest.raises(CannotCorrect, match="are gone"):
        corrections.apply(session, draft, "", now)
    session.rollback()
    assert whole(session, answer_id).complaint_id != rude.id


def test_an_answer_changed_while_a_refine_computes_is_not_placed_by_its_old_words(
    session: Session, make: Make, now: datetime, say: Said
) -> None:
    invitations = guests(make)
    for invitation_id in invitations:
        say(invitation_id, PARCEL)
    embedder = say.context.embedder
    known = read_known(session, embedder)
    session.commit()
    found = discover(known.texts, known.vectors, known.current, embedder.thresholds, constraints=known.constraints)
    answer_id = say(invitations[-1], LOGIN)
    with say.context.sessions.begin() as writing:
        writing.add(write_refine(writing, known, found, [], embedder, {}, now))
    assert whole(session, answer_id).complaint_id is None


def test_the_same_answer_sent_again_keeps_what_people_decided(
    session: Session, make: Make, cast: Cast, now: datetime, say: Said
) -> None:
    invitation_id = make.invitation()[0].id
    lost = make.complaint("Parcel lost")
    make.statement(lost)
    session.commit()
    answer_id = say(invitation_id, PARCEL)
    picked = whole(session, answer_id).id
    (id,) = correct(session, cast, now, Wanted(CorrectionKind.MOVE, None, lost.id, statement_ids=(picked,)))
    say(invitation_id, PARCEL)
    said = whole(session, answer_id)
    assert (said.id, said.complaint_id, said.placed) == (picked, lost.id, Placed.PERSON)
    session.commit()
    assert undo(session, cast, now, id) == 1


def test_counts_stay_right_when_answers_change_to_other_words(
    session: Session, make: Make, cast: Cast, now: datetime, say: Said
) -> None:
    survey, target = make.survey(), make.complaint("Both", statement_count=0)
    one, two = (make.invitation(survey, make.customer(name))[0].id for name in ("Maya Lind", "Noor Haddad"))
    session.commit()
    say(one, PARCEL)
    say(two, LOGIN)
    ids = tuple(session.scalars(select(Statement.id)))
    session.commit()
    correct(session, cast, now, Wanted(CorrectionKind.MOVE, None, target.id, statement_ids=ids))
    say(one, "")
    say(two, "rucksack zip broke teeth slider")
    session.expire_all()
    kept = (target.statement_count, target.people_count)
    count_again(session, [target.id])
    session.expire_all()
    assert kept == (target.statement_count, target.people_count) == (0, 0)


def test_an_answer_whose_customer_becomes_known_counts_as_that_person(
    session: Session, make: Make, cast: Cast, now: datetime, say: Said
) -> None:
    complaint, survey = make.complaint("Both", statement_count=0), make.survey()
    one, two = (make.invitation(survey, make.customer(name))[0].id for name in ("Maya Lind", "Noor Haddad"))
    session.commit()
    answer_id = say(one, PARCEL)
    correct(
        session,
        cast,
        now,
        Wanted(CorrectionKind.MOVE, None, complaint.id, statement_ids=(whole(session, answer_id).id,)),
    )
    other = session.get_one(Invitation, two).customer_id
    session.commit()
    for customer_id, counts in ((None, (1, 0, 1)), (other, (1, 1, 0))):
        with say.context.sessions.begin() as writing:
            writing.execute(update(Answer).values(customer_id=customer_id, analysed_at=None))
        pipeline.understand(say.context)
        session.expire_all()
        kept = (complaint.statement_count, complaint.people_count, complaint.anonymous_count)
        count_again(session, [complaint.id])
        session.commit()
        assert kept == (complaint.statement_count, complaint.people_count, complaint.anonymous_count) == counts
        session.commit()


def test_a_complaint_taken_on_while_a_refine_computes_is_not_merged_away(
    session: Session, make: Make, cast: Cast, now: datetime, say: Said
) -> None:
    embedder = say.context.embedder
    one, two = make.complaint("One"), make.complaint("Two")
    for complaint in (one, one, two, two, two, two):
        said = make.statement(complaint)
        vector = session.get_one(Vector, said.vector_id)
        vector.data, vector.model = np.ones(embedder.dimensions, dtype="<f2").tobytes(), embedder.name
    item = make.item(one, cast.delivery)
    session.commit()
    known = read_known(session, embedder)
    session.commit()
    everywhere = np.full(len(known.ids), two.id)
    sure = np.ones(len(known.ids), dtype=np.float32)
    found = Discovery(everywhere, sure, {}, {}, 0.5, {}, {one.id: two.id})
    take_on(session, item, cast.omar, now)
    session.commit()
    with pytest.raises(Overtaken), say.context.sessions.begin() as writing:
        write_refine(writing, known, found, [], embedder, {}, now)
    session.expire_all()
    assert one.state == ComplaintState.ACTIVE


def test_a_correction_made_while_a_refine_computes_is_not_lost(
    session: Session, make: Make, cast: Cast, now: datetime, say: Said
) -> None:
    invitations = guests(make)
    answers = [say(invitation_id, PARCEL) for invitation_id in invitations]
    pipeline.refine_now(say.context)
    embedder = say.context.embedder
    known = read_known(session, embedder)
    session.commit()
    found = discover(known.texts, known.vectors, known.current, embedder.thresholds, constraints=known.constraints)
    said = whole(session, answers[0])
    correct(session, cast, now, Wanted(CorrectionKind.MOVE, said.complaint_id, None, statement_ids=(said.id,)))
    with pytest.raises(Overtaken), say.context.sessions.begin() as writing:
        write_refine(writing, known, found, [], embedder, {}, now)
    pipeline.refine_now(say.context)
    assert whole(session, answers[0]).kept_out


def test_a_move_out_of_a_complaint_that_was_merged_since_is_undone_after_the_merge(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    one, two, three = (make.complaint(name) for name in ("One", "Two", "Three"))
    said = make.statement(one)
    for complaint in (one, two, three):
        make.statement(complaint)
    session.commit()
    (move,) = correct(session, cast, now, Wanted(CorrectionKind.MOVE, one.id, two.id, statement_ids=(said.id,)))
    (merge,) = correct(session, cast, now, Wanted(CorrectionKind.MERGE, one.id, three.id))
    with pytest.raises(CannotCorrect, match="Undo first what was done later"):
        undo(session, cast, now, move)
    session.rollback()
    undo(session, cast, now, merge)
    undo(session, cast, now, move)
    session.expire_all()
    assert (said.complaint_id, said.placed) == (one.id, Placed.NEAREST)


def test_what_was_applied_later_is_later_whatever_a_clock_says(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    one, two, three = (make.complaint(name) for name in ("One", "Two", "Three"))
    said = make.statement(one)
    session.commit()
    correct(session, cast, now, Wanted(CorrectionKind.MOVE, one.id, two.id, statement_ids=(said.id,)))
    behind = now - timedelta(seconds=1)
    (later,) = correct(session, cast, behind, Wanted(CorrectionKind.MOVE, two.id, three.id, statement_ids=(said.id,)))
    undo(session, cast, now, later)
    session.expire_all()
    assert said.complaint_id == two.id


def test_an_older_rename_cannot_be_undone_under_a_newer_one(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    one, other = make.complaint("One"), make.complaint("Other")
    make.statement(other)
    session.commit()
    (first,) = correct(session, cast, now, Wanted(CorrectionKind.RENAME, one.id, name="First"))
    correct(session, cast, now, Wanted(CorrectionKind.MERGE, other.id, one.id))
    (second,) = correct(session, cast, now, Wanted(CorrectionKind.RENAME, one.id, name="Second"))
    with pytest.raises(CannotCorrect, match="renamed to “Second”"):
        undo(session, cast, now, first)
    session.rollback()
    undo(session, cast, now, second)
    undo(session, cast, now, first)
    session.expire_all()
    assert one.name == "One"


def test_a_split_that_takes_all_of_the_same_words_along_leaves_something(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    late = make.complaint("Late")
    said, twin = make.statement(late, "A week late"), make.statement(late, "a week LATE")
    twin.vector_id = said.vector_id
    session.commit()
    with pytest.raises(CannotCorrect, match="these are all statements"):
        correct(session, cast, now, Wanted(CorrectionKind.SPLIT, late.id, name="New", statement_ids=(said.id,)))


def test_a_comment_counts_once_in_the_complaint_its_two_were_merged_into(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    late, app = make.complaint("Late"), make.complaint("App logs out")
    main = make.statement(late, "Late again. And the app logged me out.")
    part = make.statement(app, "And the app logged me out.", answer=main.answer, position=1)
    stays = make.statement(app)
    (id,) = correct(session, cast, now, Wanted(CorrectionKind.MERGE, late.id, app.id))
    session.expire_all()
    assert (app.statement_count, app.anonymous_count, part.complaint_id) == (2, 2, None)
    assert "merged" not in stays.reason, "it was here before"
    undo(session, cast, now, id)
    session.expire_all()
    assert (main.complaint_id, part.complaint_id) == (late.id, app.id)


def test_names_are_the_same_in_capitals_of_any_language(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    make.complaint("Überweisung fehlt")
    other = make.complaint("Other")
    session.commit()
    with pytest.raises(CannotCorrect, match="has this name already"):
        corrections.add(session, Wanted(CorrectionKind.RENAME, other.id, name="überweisung FEHLT"), cast.lena, now)


def test_a_draft_applied_in_another_tab_can_be_neither_changed_nor_discarded(
    sessions: Sessions, session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    late, lost = make.complaint("Late"), make.complaint("Lost")
    make.statement(late)
    corrections.add(session, Wanted(CorrectionKind.MERGE, late.id, lost.id), cast.lena, now)
    session.commit()
    stale = corrections.open_draft(session, cast.lena)
    assert stale is not None
    session.commit()
    with sessions.begin() as tab:
        draft = corrections.open_draft(tab, tab.get_one(User, cast.lena.id))
        assert draft is not None
        corrections.apply(tab, draft, "", now)
    with pytest.raises(CannotCorrect, match="applied or discarded meanwhile"):
        corrections.discard(session, stale)
    session.rollback()
    session.expire_all()
    assert late.state == ComplaintState.MERGED
    assert len(session.scalars(select(Correction)).all()) == 1


def test_not_fixed_opens_the_item_that_goes_on_and_nothing_that_was_dismissed(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    late, lost = make.raised_item(1, cast.delivery, "Late"), make.raised_item(1, cast.delivery, "Lost")
    make.closure(late, cast.omar)
    make.closure(lost, cast.omar)
    session.commit()
    correct(session, cast, now, Wanted(CorrectionKind.MERGE, late.complaint_id, lost.complaint_id))
    open_again(session, late, "Nobody says yes.", now)
    assert (late.status, lost.status) == (Status.CLOSED, Status.REOPENED)
    lost.status = Status.CLOSED
    session.commit()
    correct(session, cast, now, Wanted(CorrectionKind.DISMISS, lost.complaint_id))
    open_again(session, late, "Nobody says yes.", now)
    assert lost.status == Status.CLOSED


def test_the_same_words_stay_where_a_person_put_them_also_long_after(
    session: Session, make: Make, cast: Cast, now: datetime, say: Said
) -> None:
    embedder = say.context.embedder
    late = make.complaint("Late")
    old, new = make.statement(late, PARCEL), make.statement(late, PARCEL)
    vector = session.get_one(Vector, old.vector_id)
    vector.data, vector.model = np.ones(embedder.dimensions, dtype="<f2").tobytes(), embedder.name
    new.vector_id = old.vector_id
    old.placed = Placed.PERSON
    session.commit()
    known = read_known(session, embedder, window=1)
    assert known.ids.tolist() == [new.id]
    assert known.constraints.fixed.tolist() == [True]


def test_what_is_dismissed_keeps_its_statements(
    session: Session, make: Make, cast: Cast, now: datetime, say: Said
) -> None:
    invitations = guests(make)
    answers = [say(invitation_id, PARCEL) for invitation_id in invitations]
    pipeline.refine_now(say.context)
    home = whole(session, answers[0]).complaint_id
    assert home is not None
    correct(session, cast, now, Wanted(CorrectionKind.DISMISS, home))
    pipeline.refine_now(say.context)
    assert {whole(session, answer_id).complaint_id for answer_id in answers} == {home}
    assert session.get_one(Complaint, home).state == ComplaintState.DISMISSED
