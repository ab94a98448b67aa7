from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from feedback_loop.complaints.corrections import Wanted
from feedback_loop.complaints.models import Complaint, ComplaintState, CorrectionKind, Placed, Statement
from feedback_loop.complaints.service import corrections
from feedback_loop.complaints.service.corrections import CannotCorrect
from feedback_loop.db import Base, Sessions, make_sessions
from feedback_loop.pipeline import Context
from feedback_loop.settings import Settings
from tests.complaints.histories import STEPS, History, Step, random_steps
from tests.factories import Cast, Make


def correct(session: Session, cast: Cast, now: datetime, *wanted: Wanted, why: str = "They say the same.") -> list[int]:
    """Draft and apply some corrections; their ids."""
    ids = [corrections.add(session, each, cast.lena, now).id for each in wanted]
    draft = corrections.open_draft(session, cast.lena)
    assert draft is not None
    corrections.apply(session, draft, why, now)
    session.commit()
    return ids


def undo(session: Session, cast: Cast, now: datetime, id: int) -> int:
    from feedback_loop.complaints.models import Correction

    back = corrections.undo(session, session.get_one(Correction, id), cast.lena, "A mistake.", now)
    session.commit()
    return back


def place_of(session: Session, said: Statement) -> int | None:
    return session.scalar(select(Statement.complaint_id).where(Statement.id == said.id))


def test_a_draft_changes_nothing_until_it_is_applied_and_says_what_it_would_change(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    late, lost = make.complaint("Parcel late"), make.complaint("Parcel lost")
    known = make.statement(late, customer=make.customer("Maya Lind"))
    make.statement(late)
    make.statement(lost)
    corrections.add(session, Wanted(CorrectionKind.MERGE, late.id, lost.id), cast.lena, now)
    session.commit()
    draft = corrections.open_draft(session, cast.lena)
    assert draft is not None
    (impact,) = corrections.impacts(session, draft)
    assert (impact.statements, impact.people, impact.anonymous, list(impact.names)) == (2, 1, 1, ["Maya Lind"])
    assert place_of(session, known) == late.id
    corrections.discard(session, draft)
    session.commit()
    assert corrections.open_draft(session, cast.lena) is None


def test_merging_brings_the_statements_along_and_undoing_brings_them_back(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    late, lost = make.complaint("Parcel late"), make.complaint("Parcel lost")
    said, own = make.statement(late, customer=make.customer()), make.statement(lost)
    (id,) = correct(session, cast, now, Wanted(CorrectionKind.MERGE, late.id, lost.id))
    session.expire_all()
    assert (late.state, late.merged_into_id, late.statement_count) == (ComplaintState.MERGED, lost.id, 0)
    assert (lost.statement_count, lost.people_count, lost.anonymous_count) == (2, 1, 1)
    assert (said.complaint_id, said.placed) == (lost.id, Placed.PERSON)
    assert "by Lena" in said.reason
    assert undo(session, cast, now + timedelta(minutes=1), id) == 2
    session.expire_all()
    assert (late.state, late.merged_into_id, late.statement_count) == (ComplaintState.ACTIVE, None, 1)
    assert (said.complaint_id, said.placed, own.placed) == (late.id, Placed.NEAREST, Placed.NEAREST)


def test_splitting_makes_a_complaint_of_the_chosen_and_of_those_with_the_same_words(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    late = make.complaint("Parcel late")
    said = make.statement(late, "No tracking mail came")
    twin, stays = make.statement(late, "no tracking mail came!"), make.statement(late, "Came a week late")
    twin.vector_id = said.vector_id
    session.commit()
    (id,) = correct(
        session, cast, now, Wanted(CorrectionKind.SPLIT, late.id, name="No tracking mail", statement_ids=(said.id,))
    )
    session.expire_all()
    new = session.scalars(select(Complaint).where(Complaint.name == "No tracking mail")).one()
    assert said.complaint_id == twin.complaint_id == new.id
    assert stays.complaint_id == late.id
    assert said.is_exemplar, "new statements are compared with what a person split off"
    undo(session, cast, now + timedelta(minutes=1), id)
    session.expire_all()
    assert said.complaint_id == twin.complaint_id == late.id
    assert (new.state, new.merged_into_id) == (ComplaintState.MERGED, late.id)


def test_statements_of_the_pool_make_a_complaint_and_undoing_leads_them_back(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    late = make.complaint("Parcel late")
    said, twin, elsewhere = (
        make.statement(None, "No gift box"),
        make.statement(None, "no gift box!"),
        make.statement(late),
    )
    twin.vector_id = said.vector_id
    session.commit()
    wanted = Wanted(CorrectionKind.SPLIT, None, name="Gift box missing", statement_ids=(said.id,))
    (id,) = correct(session, cast, now, wanted)
    session.expire_all()
    new = session.scalars(select(Complaint).where(Complaint.name == "Gift box missing")).one()
    assert said.complaint_id == twin.complaint_id == new.id
    assert (said.placed, said.is_exemplar, new.statement_count) == (Placed.PERSON, True, 2)
    came = make.statement(new, "There was no gift box")
    session.commit()
    with pytest.raises(CannotCorrect, match="in a complaint by now"):
        corrections.add(
            session,
            Wanted(CorrectionKind.SPLIT, None, name="Other", statement_ids=(elsewhere.id,)),
            cast.lena,
            now,
        )
    session.rollback()
    undo(session, cast, now + timedelta(minutes=1), id)
    session.expire_all()
    assert {each.complaint_id for each in (said, twin, came)} == {None}
    assert not said.is_exemplar
    assert (new.state, new.statement_count) == (ComplaintState.DISMISSED, 0)


def test_a_statement_can_be_taken_out_and_stays_out(session: Session, make: Make, cast: Cast, now: datetime) -> None:
    late = make.complaint()
    said = make.statement(late)
    make.statement(late)
    correct(session, cast, now, Wanted(CorrectionKind.MOVE, late.id, None, statement_ids=(said.id,)))
    session.expire_all()
    assert (said.complaint_id, said.placed, said.kept_out) == (None, None, True)
    assert late.statement_count == 1


def test_several_corrections_are_applied_as_a_whole_or_not_at_all(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    late, lost, rude = make.complaint("Parcel late"), make.complaint("Parcel lost"), make.complaint("Rude agent")
    for complaint in (late, lost, rude):
        make.statement(complaint)
    corrections.add(session, Wanted(CorrectionKind.RENAME, lost.id, name="Parcel never came"), cast.lena, now)
    corrections.add(session, Wanted(CorrectionKind.MERGE, late.id, lost.id), cast.lena, now)
    session.commit()
    correct(session, cast, now, Wanted(CorrectionKind.DISMISS, rude.id))  # also applies the two before
    session.expire_all()
    assert lost.name == "Parcel never came"
    corrections.add(session, Wanted(CorrectionKind.RENAME, lost.id, name="Parcel is gone"), cast.lena, now)
    corrections.add(session, Wanted(CorrectionKind.APART, lost.id, make.complaint("Broken zip").id), cast.lena, now)
    session.commit()
    draft = corrections.open_draft(session, cast.lena)
    assert draft is not None
    last = session.get_one(Complaint, draft.corrections[1].other_id)
    last.state = ComplaintState.DISMISSED  # a colleague was quicker
    session.commit()
    with pytest.raises(CannotCorrect, match="was dismissed"):
        corrections.apply(session, draft, "", now)
    session.rollback()
    session.expire_all()
    assert lost.name == "Parcel never came"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted(CorrectionKind.RENAME, 1, name=" "), "Give the complaint a name."),
        (Wanted(CorrectionKind.RENAME, 1, name="parcel LOST"), "has this name already. Merge the two"),
        (Wanted(CorrectionKind.RENAME, 1, name="x" * 201), "at most 200 characters"),
        (Wanted(CorrectionKind.RENAME, 99, name="x"), "There is no such complaint."),
        (Wanted(CorrectionKind.MERGE, 1, 1), "Choose another complaint"),
        (Wanted(CorrectionKind.MERGE, 1, 99), "There is no complaint C-99."),
        (Wanted(CorrectionKind.MERGE, 1, None), "Choose the other complaint."),
        (Wanted(CorrectionKind.MERGE, 3, 1), "kept apart by a colleague"),
        (Wanted(CorrectionKind.APART, 1, 3), "kept apart already"),
        (Wanted(CorrectionKind.DISMISS, 4), "was dismissed; undo that first"),
        (Wanted(CorrectionKind.SPLIT, 1, name="y", statement_ids=()), "Choose at least one statement."),
        (Wanted(CorrectionKind.SPLIT, 1, name="y", statement_ids=(12345,)), "are gone"),
    ],
)
def test_what_cannot_be_corrected_says_why(
    session: Session, make: Make, cast: Cast, now: datetime, wanted: Wanted, says: str
) -> None:
    ids = [make.complaint(name).id for name in ("Parcel late", "Parcel lost", "Rude agent", "Old noise")]
    real = dict(zip((1, 2, 3, 4), ids, strict=True))
    correct(
        session, cast, now, Wanted(CorrectionKind.APART, ids[0], ids[2]), Wanted(CorrectionKind.DISMISS, ids[3])
    )  # fmt: skip
    asked = Wanted(
        wanted.kind,
        real.get(wanted.complaint_id or 0, 10**6) if wanted.complaint_id else None,
        real.get(wanted.other_id, 10**6) if wanted.other_id else None,
        wanted.name,
        wanted.statement_ids,
    )
    with pytest.raises(CannotCorrect, match=says.replace("C-99", "C-1000000")):
        corrections.add(session, asked, cast.lena, now)


def test_what_a_later_correction_builds_on_is_undone_after_it(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    one, two, three = (make.complaint(name) for name in ("One", "Two", "Three"))
    for complaint in (one, two, three):
        make.statement(complaint)
    (first,) = correct(session, cast, now, Wanted(CorrectionKind.MERGE, one.id, two.id))
    (second,) = correct(session, cast, now + timedelta(minutes=1), Wanted(CorrectionKind.MERGE, two.id, three.id))
    with pytest.raises(CannotCorrect, match=f"Undo first what was done later: C-{two.id} merged into C-{three.id}"):
        undo(session, cast, now, first)
    session.rollback()
    undo(session, cast, now + timedelta(minutes=2), second)
    undo(session, cast, now + timedelta(minutes=3), first)
    session.expire_all()
    assert [each.statement_count for each in (one, two, three)] == [1, 1, 1]


def test_undoing_the_older_of_two_moves_first_leads_back_to_the_start(
    session: Session, make: Make, cast: Cast, now: datetime
) -> None:
    one, two, three = (make.complaint(name) for name in ("One", "Two", "Three"))
    said = make.statement(one)
    (first,) = correct(session, cast, now, Wanted(CorrectionKind.MOVE, one.id, two.id, statement_ids=(said.id,)))
    later = now + timedelta(minutes=1)
    (second,) = correct(session, cast, later, Wanted(CorrectionKind.MOVE, two.id, three.id, statement_ids=(said.id,)))
    assert undo(session, cast, later, first) == 0
    assert place_of(session, said) == three.id
    assert undo(session, cast, later, second) == 1
    session.expire_all()
    assert (said.complaint_id, said.placed) == (one.id, Placed.NEAREST)


def history(engine: Engine, settings: Settings, now: datetime) -> History:
    sessions: Sessions = make_sessions(engine)
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("DELETE FROM sqlite_sequence")
    with sessions() as session:
        make = Make(session, settings, now)
        cast, survey = make.cast(), make.survey()
        session.commit()
    result = History(Context(settings, sessions), survey, cast.lena, now)
    result.context.clock = result.clock
    return result


step = st.tuples(st.sampled_from(STEPS), st.integers(0, 999), st.integers(0, 999), st.integers(0, 999))


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(step, min_size=6, max_size=14))
def test_corrections_hold_in_every_later_refine(
    engine: Engine, settings: Settings, now: datetime, steps: list[Step]
) -> None:
    start: list[Step] = [("hear", 1, 0, 0), ("hear", 2, 0, 0), ("hear", 3, 0, 0), ("refine", 1, 0, 0)]
    history(engine, settings, now).run([*start, *steps, ("refine", 2, 0, 0)])


def test_long_histories_make_every_kind_of_correction(engine: Engine, settings: Settings, now: datetime) -> None:
    made: Counter[str] = Counter()
    for seed in range(5, 8):
        told = history(engine, settings, now)
        told.run(random_steps(seed, 40))
        made += told.made
    assert set(STEPS) - {"hear", "take on"} <= set(made), made
