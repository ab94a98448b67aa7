"""Verbs of correcting: draft, look, apply as a whole, undo each.

Statements that a person puts somewhere say so (`placed`, `kept_out`); what holds for whole complaints is read from the
corrections themselves (`complaints.corrections.read_rules`). Refines obey both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, insert, literal, null, or_, select, update
from sqlalchemy.orm import Session, aliased

from feedback_loop.accounts.models import User
from feedback_loop.complaints.corrections import (
    OF_STATEMENTS,
    Known,
    Wanted,
    World,
    end_of,
    imagine,
    merged_into,
    pair,
    refusal,
)
from feedback_loop.complaints.models import (
    Complaint,
    ComplaintState,
    CorrectedStatement,
    Correction,
    CorrectionKind,
    Draft,
    DraftState,
    Placed,
    Statement,
    StatementKind,
    StatementRole,
)
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.jobs.claims import queue
from feedback_loop.responses.models import Answer, Customer

CORRECTING = "correcting"
NAMES_SHOWN = 8
MOST_IN_A_DRAFT = 50


class CannotCorrect(ValueError):
    """A correction is not possible; the message says why, for people."""


@dataclass(frozen=True)
class Impact:
    """What a correction changes.

    Attributes:
        statements: How many statements it places, those with the same words as a picked one included.
        people: Known customers who said them.
        anonymous: Answers among them of people we do not know.
        names: Some of the people.
        refusal: Why it cannot be applied any more; "" when it can.
    """

    correction: Correction
    statements: int
    people: int
    anonymous: int
    names: Sequence[str]
    refusal: str


def open_draft(session: Session, by: User) -> Draft | None:
    """The draft a person is putting together, or None."""
    return session.scalar(select(Draft).where(Draft.by_id == by.id, Draft.state == DraftState.OPEN))


def add(session: Session, wanted: Wanted, by: User, now: datetime) -> Correction:
    """Add a correction to a person's draft. Nothing changes until the draft is applied.

    Raises:
        CannotCorrect: It is not possible, seen with what the draft holds already.
    """
    draft = open_draft(session, by)
    if draft is None:
        draft = Draft(by=by, created_at=now)
        session.add(draft)
    else:
        hold(session, draft)
    if len(draft.corrections) >= MOST_IN_A_DRAFT:
        raise CannotCorrect(f"A draft holds at most {MOST_IN_A_DRAFT} corrections. Apply it first.")
    before = [wanted_of(each) for each in draft.corrections]
    world = picture(session, [*before, wanted])
    for each in before:
        imagine(each, world)
    if problem := refusal(wanted, world):
        raise CannotCorrect(problem)
    if problem := leaves_nothing(session, wanted, world):
        raise CannotCorrect(problem)
    correction = Correction(
        draft=draft,
        kind=wanted.kind,
        complaint_id=wanted.complaint_id,
        other_id=wanted.other_id,
        name=wanted.name.strip(),
        statement_ids=list(wanted.statement_ids),
        before={},
    )
    session.add(correction)
    session.flush()
    return correction


def take_back(session: Session, correction: Correction) -> None:
    """Take one correction out of a draft; a draft without any is gone.

    Raises:
        CannotCorrect: It is applied already.
    """
    draft = correction.draft
    hold(session, draft)
    draft.corrections.remove(correction)
    session.flush()
    if not draft.corrections:
        session.delete(draft)
        session.flush()


def hold(session: Session, draft: Draft) -> None:
    """Keep a draft from being applied, changed or thrown away in another tab until this transaction ends.

    Raises:
        CannotCorrect: That has happened already.
    """
    found = session.scalar(
        select(Draft)
        .where(Draft.id == draft.id, Draft.state == DraftState.OPEN)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise CannotCorrect("This draft has been applied or discarded meanwhile. What is applied can be undone.")


def discard(session: Session, draft: Draft) -> None:
    """Throw a draft away. Nothing was changed by it.

    Raises:
        CannotCorrect: It has been applied meanwhile.
    """
    hold(session, draft)
    session.delete(draft)
    session.flush()


def wanted_of(correction: Correction) -> Wanted:
    """What a stored correction asks for."""
    return Wanted(
        correction.kind,
        correction.complaint_id,
        correction.other_id,
        correction.name,
        tuple(correction.statement_ids),
    )


def picture(session: Session, wanted: Iterable[Wanted]) -> World:
    """The complaints and statements that some corrections are about, as they are now."""
    wanted = list(wanted)
    ids = {id for each in wanted for id in (each.complaint_id, each.other_id) if id is not None}
    picked = {id for each in wanted for id in each.statement_ids}
    homes = {
        row.id: row.complaint_id
        for row in session.execute(
            select(Statement.id, Statement.complaint_id).where(
                Statement.id.in_(picked), Statement.kind == StatementKind.PROBLEM
            )
        )
    }
    ids |= {home for home in homes.values() if home is not None}
    if any(each.name.strip() for each in wanted):  # compared here: SQLite knows capitals of English letters only
        wanted_names = {each.name.strip().casefold() for each in wanted}
        named = session.execute(select(Complaint.id, Complaint.name).where(Complaint.state == ComplaintState.ACTIVE))
        ids |= {row.id for row in named if row.name.casefold() in wanted_names}
    complaints = session.scalars(select(Complaint).where(Complaint.id.in_(ids))).all()
    into = merged_into(session)
    apart = set()
    for one, two in session.execute(
        select(Correction.complaint_id, Correction.other_id)
        .join(Draft, Draft.id == Correction.draft_id)
        .where(
            Correction.kind == CorrectionKind.APART,
            Correction.undone_at.is_(None),
            Draft.state == DraftState.APPLIED,
        )
    ):
        assert one is not None
        assert two is not None
        apart.add(pair(end_of(one, into), end_of(two, into)))
    return World(
        {each.id: Known(each.id, each.name, each.state, each.statement_count) for each in complaints},
        apart,
        {each.name.casefold(): each.id for each in complaints if each.state == ComplaintState.ACTIVE},
        homes,
    )


def leaves_nothing(session: Session, wanted: Wanted, world: World) -> str:
    """Why a split is none: with those of the same words, all statements would go. "" when some stay."""
    if wanted.kind != CorrectionKind.SPLIT or wanted.complaint_id is None:
        return ""
    own = world.complaints[wanted.complaint_id]
    draft = Correction(kind=wanted.kind, complaint_id=own.id, statement_ids=list(wanted.statement_ids))
    going = session.scalar(select(func.count()).select_from(Statement).where(touched(draft))) or 0
    if going < own.statements:
        return ""
    return f"With those of the same words, these are all statements of {own.number}. Rename it instead."


def impacts(session: Session, draft: Draft) -> list[Impact]:
    """What each correction of a draft would change, seen with those before it. Writes nothing."""
    corrections = list(draft.corrections)
    world = picture(session, [wanted_of(each) for each in corrections])
    found = []
    for each in corrections:
        problem = refusal(wanted_of(each), world) or leaves_nothing(session, wanted_of(each), world)
        if not problem:
            imagine(wanted_of(each), world)
        found.append(impact(session, each, problem))
    return found


def impact(session: Session, correction: Correction, problem: str = "") -> Impact:
    """What one correction changes."""
    if correction.kind in (CorrectionKind.RENAME, CorrectionKind.APART):
        return Impact(correction, 0, 0, 0, [], problem)
    where = touched(correction)
    row = session.execute(
        select(
            func.count(),
            func.count(Answer.customer_id.distinct()),
            func.count(Answer.id.distinct()).filter(Answer.customer_id.is_(None)),
        )
        .select_from(Statement)
        .join(Answer, Answer.id == Statement.answer_id)
        .where(where)
    ).one()
    names = session.scalars(
        select(Customer.name)
        .where(
            Customer.id.in_(select(Answer.customer_id).join(Statement, Statement.answer_id == Answer.id).where(where)),
            Customer.name != "",
        )
        .order_by(Customer.name)
        .limit(NAMES_SHOWN)
    ).all()
    return Impact(correction, *row, names, problem)


def touched(correction: Correction) -> ColumnElement[bool]:
    """The statements that a correction places: picked ones bring those with the same words in the same place along."""
    if correction.kind in OF_STATEMENTS:
        picked = aliased(Statement)
        twin = (
            select(picked.id)
            .where(
                picked.id.in_(correction.statement_ids),
                picked.vector_id == Statement.vector_id,
                func.coalesce(picked.complaint_id, 0) == func.coalesce(Statement.complaint_id, 0),
            )
            .exists()
        )
        vectors = select(picked.vector_id).where(picked.id.in_(correction.statement_ids))
        return or_(
            Statement.id.in_(correction.statement_ids),
            Statement.vector_id.in_(vectors) & twin & (Statement.kind == StatementKind.PROBLEM),
        )
    return Statement.complaint_id == correction.complaint_id


def apply(session: Session, draft: Draft, why: str, now: datetime) -> None:
    """Apply all corrections of a draft, or none.

    Args:
        draft: An open draft.
        why: The reason, for colleagues.
        now: The present moment.

    Raises:
        CannotCorrect: One of them is not possible (any more); nothing was changed. Roll back.
    """
    queue(session, CORRECTING)
    hold(session, draft)
    session.refresh(draft, ["corrections"])
    if not draft.corrections:
        raise CannotCorrect("This draft is empty.")
    # Later corrections are known by their moment, whatever the clocks of several machines say.
    last = session.scalar(select(func.max(Draft.applied_at)))
    now = max(now, last + timedelta(microseconds=1)) if last else now
    world = picture(session, [wanted_of(each) for each in draft.corrections])
    changed: set[int] = set()
    who = draft.by.name
    for correction in draft.corrections:
        wanted = wanted_of(correction)
        if problem := refusal(wanted, world) or leaves_nothing(session, wanted, world):
            raise CannotCorrect(problem)
        imagine(wanted, world)
        changed |= make(session, correction, who, now)
    draft.state, draft.why, draft.applied_at = DraftState.APPLIED, why.strip(), now
    session.flush()
    count_again(session, changed)


def make(session: Session, correction: Correction, who: str, now: datetime) -> set[int]:
    """Make one correction.

    Returns:
        The complaints whose counts have changed.
    """
    own = session.get(Complaint, correction.complaint_id) if correction.complaint_id else None
    if correction.kind == CorrectionKind.RENAME:
        assert own is not None
        correction.before = {"name": own.name, "named_by_person": own.named_by_person}
        own.name, own.named_by_person = correction.name, True
        return set()
    if correction.kind == CorrectionKind.DISMISS:
        assert own is not None
        own.state = ComplaintState.DISMISSED
        return set()
    if correction.kind == CorrectionKind.APART:
        return set()
    if correction.kind == CorrectionKind.MERGE:
        assert own is not None
        assert correction.other_id is not None
        remember(session, correction, or_(touched(correction), Statement.complaint_id == correction.other_id))
        place(session, correction, correction.other_id, only_from=(correction.other_id,))
        reason = f"{own.number} was merged into this by {who}"
        place(session, correction, correction.other_id, reason, only_from=(own.id,))
        own.state, own.merged_into_id = ComplaintState.MERGED, correction.other_id
        free_parts(session, [correction.other_id])
        return {own.id, correction.other_id}
    if correction.kind == CorrectionKind.SPLIT:
        assert own is not None
        split_off = Complaint(name=correction.name, named_by_person=True, created_at=now)
        session.add(split_off)
        session.flush()
        correction.other_id = split_off.id
    remember(session, correction, touched(correction))
    homes = set(
        session.scalars(
            select(CorrectedStatement.was_complaint_id)
            .where(CorrectedStatement.correction_id == correction.id)
            .distinct()
        )
    )
    if correction.kind == CorrectionKind.PIN:
        for home in sorted(homes, key=lambda id: id or 0):
            place(session, correction, home, f"Pinned here by {who}", only_from=(home,))
        return set()
    verb = f"Split off from C-{correction.complaint_id}" if correction.kind == CorrectionKind.SPLIT else "Moved here"
    place(session, correction, correction.other_id, f"{verb} by {who}", stands_for=True)
    free_parts(session, [correction.other_id])
    return {id for id in homes | {correction.other_id} if id is not None}


def remember(session: Session, correction: Correction, where: ColumnElement[bool]) -> None:
    """Note where statements stand before a correction places them."""
    rows = select(
        literal(correction.id),
        Statement.id,
        Statement.complaint_id,
        Statement.placed,
        Statement.kept_out,
        Statement.reason,
    ).where(where)
    columns = ["correction_id", "statement_id", "was_complaint_id", "was_placed", "was_kept_out", "was_reason"]
    session.execute(insert(CorrectedStatement).from_select(columns, rows))


def place(
    session: Session,
    correction: Correction,
    home: int | None,
    reason: str = "",
    *,
    stands_for: bool = False,
    only_from: tuple[int | None] | None = None,
) -> None:
    """Put the statements of a correction where a person wants them, to stay.

    Args:
        home: The complaint; None for none.
        reason: In words, shown at the statement; left as it is if empty.
        stands_for: Whether new statements are compared with these from now on.
        only_from: Only those that stood in this complaint.
    """
    theirs = select(CorrectedStatement.statement_id).where(CorrectedStatement.correction_id == correction.id)
    if only_from is not None:
        theirs = theirs.where(func.coalesce(CorrectedStatement.was_complaint_id, 0) == (only_from[0] or 0))
    values: dict[str, object] = {
        "complaint_id": home,
        "placed": Placed.PERSON if home is not None else null(),
        "kept_out": home is None,
    }
    if reason:
        values["reason"] = reason[:300]
    if home is None:
        values |= {"confidence": null(), "is_exemplar": False}
    elif stands_for:
        # Whole comments only: refines choose anew among these.
        values |= {"confidence": null(), "is_exemplar": Statement.role == StatementRole.MAIN}
    session.execute(
        update(Statement).where(Statement.id.in_(theirs)).values(values).execution_options(synchronize_session=False)
    )
    session.expire_all()


def free_parts(session: Session, complaint_ids: Iterable[int | None]) -> None:
    """A part counts only where it belongs to another complaint than its whole: free those that have come to it."""
    whole = aliased(Statement)
    beside = (
        select(whole.id)
        .where(
            whole.answer_id == Statement.answer_id,
            whole.role == StatementRole.MAIN,
            whole.complaint_id == Statement.complaint_id,
        )
        .exists()
    )
    session.execute(
        update(Statement)
        .where(Statement.complaint_id.in_(complaint_ids), Statement.role == StatementRole.PART, beside)
        .values(
            complaint_id=null(),
            placed=null(),
            confidence=null(),
            is_exemplar=False,
            reason="says the same as its whole comment",
        )
        .execution_options(synchronize_session=False)
    )
    session.expire_all()


def undo(session: Session, correction: Correction, by: User, why: str, now: datetime) -> int:
    """Take a correction back. What was corrected again since stays as it is.

    Args:
        correction: One that is applied.
        by: Who takes it back.
        why: The reason, for colleagues.
        now: The present moment.

    Returns:
        How many statements went back.

    Raises:
        CannotCorrect: It is undone already, or something later builds on it.
    """
    queue(session, CORRECTING)
    session.refresh(correction)
    if correction.draft.state != DraftState.APPLIED:
        raise CannotCorrect("This is only a draft. Take it out of the draft instead.")
    if correction.undone_at is not None:
        raise CannotCorrect("This has been undone already.")
    if problem := stands_in_the_way(session, correction):
        raise CannotCorrect(problem)
    own = session.get(Complaint, correction.complaint_id) if correction.complaint_id else None
    other = session.get(Complaint, correction.other_id) if correction.other_id else None
    if correction.kind == CorrectionKind.RENAME:
        assert own is not None
        own.name, own.named_by_person = correction.before["name"], correction.before["named_by_person"]
    elif correction.kind == CorrectionKind.DISMISS:
        assert own is not None
        own.state = ComplaintState.ACTIVE
    elif correction.kind == CorrectionKind.MERGE:
        assert own is not None
        own.state, own.merged_into_id = ComplaintState.ACTIVE, None
    session.flush()
    back, changed = put_back(session, correction)
    if correction.kind == CorrectionKind.SPLIT:
        assert own is not None
        assert other is not None
        changed |= rejoin(session, other, own)
    correction.undone_at, correction.undone_by_id, correction.undone_why = now, by.id, why.strip()
    session.flush()
    count_again(session, changed)
    return back


def later(session: Session, correction: Correction) -> list[Correction]:
    """Corrections applied after this one, not undone, that concern one of its complaints."""
    ids = [id for id in (correction.complaint_id, correction.other_id) if id is not None]
    applied_at = correction.draft.applied_at
    assert applied_at is not None
    return list(
        session.scalars(
            select(Correction)
            .join(Draft, Draft.id == Correction.draft_id)
            .where(
                Draft.state == DraftState.APPLIED,
                Correction.undone_at.is_(None),
                or_(Draft.applied_at > applied_at, (Draft.applied_at == applied_at) & (Correction.id > correction.id)),
                or_(Correction.complaint_id.in_(ids), Correction.other_id.in_(ids)),
            )
            .order_by(Correction.id)
        )
    )


def stands_in_the_way(session: Session, correction: Correction) -> str:
    """Why a correction cannot be undone now; "" when it can."""
    since = later(session, correction)
    own, other = correction.complaint_id, correction.other_id
    blocking: Correction | None = None
    if correction.kind == CorrectionKind.RENAME:
        again = (each for each in since if each.kind == CorrectionKind.RENAME or gone(each, own))
        blocking = next((each for each in again if each.complaint_id == own), None)
    elif correction.kind == CorrectionKind.MERGE:
        blocking = next((each for each in since if gone(each, other)), None)
    elif correction.kind == CorrectionKind.SPLIT:
        blocking = next((each for each in since if other in (each.complaint_id, each.other_id)), None)
    if correction.kind in OF_STATEMENTS:
        blocking = blocking or merge_of_home(session, correction)
    if blocking is None:
        return ""
    return f"Undo first what was done later: {sentence(blocking)}."


def merge_of_home(session: Session, correction: Correction) -> Correction | None:
    """The merge by a person of a complaint to which statements would go back; None if there is none."""
    mine = (CorrectedStatement.correction_id == correction.id, ~next_after(correction).exists())
    return session.scalar(
        select(Correction)
        .join(Draft, Draft.id == Correction.draft_id)
        .where(
            Draft.state == DraftState.APPLIED,
            Correction.kind == CorrectionKind.MERGE,
            Correction.undone_at.is_(None),
            Correction.complaint_id.in_(select(CorrectedStatement.was_complaint_id).where(*mine)),
        )
        .order_by(Correction.id.desc())
        .limit(1)
    )


def gone(correction: Correction, complaint_id: int | None) -> bool:
    """Whether a correction merged a complaint into another."""
    return correction.kind == CorrectionKind.MERGE and correction.complaint_id == complaint_id


def put_back(session: Session, correction: Correction) -> tuple[int, set[int]]:
    """Put the statements of a correction back where they stood.

    Those that were corrected again since stay; undoing that will then put them where they stood before this one.

    Returns:
        How many went back, and the complaints whose counts have changed.
    """
    hand_on(session, correction)
    mine = (CorrectedStatement.correction_id == correction.id, ~next_after(correction).exists())
    theirs = select(CorrectedStatement.statement_id).where(*mine)
    now_in = session.scalars(select(Statement.complaint_id).where(Statement.id.in_(theirs)).distinct())
    were_in = session.scalars(select(CorrectedStatement.was_complaint_id).where(*mine).distinct())
    into = merged_into(session)
    homes = {id: end_of(id, into) for id in were_in if id is not None}
    changed = {id for id in now_in if id is not None} | set(homes.values())

    def was(column: Any) -> Any:
        row = (CorrectedStatement.correction_id == correction.id) & (CorrectedStatement.statement_id == Statement.id)
        return select(column).where(row).scalar_subquery()

    home = was(CorrectedStatement.was_complaint_id)
    moved_on = {id: end for id, end in homes.items() if end != id}
    result = session.execute(
        update(Statement)
        .where(Statement.id.in_(theirs))
        .values(
            complaint_id=case(moved_on, value=home, else_=home) if moved_on else home,
            placed=was(CorrectedStatement.was_placed),
            kept_out=was(CorrectedStatement.was_kept_out),
            reason=was(CorrectedStatement.was_reason),
        )
        .execution_options(synchronize_session=False)
    )
    # A statement in no complaint stands for none.
    session.execute(
        update(Statement)
        .where(Statement.complaint_id.is_(None), Statement.is_exemplar, Statement.id.in_(theirs))
        .values(is_exemplar=False)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()
    return result.rowcount, changed  # type: ignore[attr-defined]


def next_after(correction: Correction) -> Select[int]:
    """The next correction of a statement after this one that holds; correlated to `CorrectedStatement`."""
    again, newer, draft = aliased(CorrectedStatement), aliased(Correction), aliased(Draft)
    applied_at = correction.draft.applied_at
    return (
        select(again.correction_id)
        .join(newer, newer.id == again.correction_id)
        .join(draft, draft.id == newer.draft_id)
        .where(
            again.statement_id == CorrectedStatement.statement_id,
            newer.undone_at.is_(None),
            draft.state == DraftState.APPLIED,
            or_(draft.applied_at > applied_at, (draft.applied_at == applied_at) & (newer.id > correction.id)),
        )
        .order_by(draft.applied_at, newer.id)
        .limit(1)
        .correlate(CorrectedStatement)
    )


def hand_on(session: Session, correction: Correction) -> None:
    """What the next correction of a statement remembers becomes what this one remembers, as if this had never been."""
    mine = aliased(CorrectedStatement)

    def was(column: Any) -> Any:
        row = (mine.correction_id == correction.id) & (mine.statement_id == CorrectedStatement.statement_id)
        return select(column).where(row).correlate(CorrectedStatement).scalar_subquery()

    theirs = select(mine.statement_id).where(mine.correction_id == correction.id)
    session.execute(
        update(CorrectedStatement)
        .where(
            CorrectedStatement.statement_id.in_(theirs),
            CorrectedStatement.correction_id == next_after(correction).scalar_subquery(),
        )
        .values(
            was_complaint_id=was(mine.was_complaint_id),
            was_placed=was(mine.was_placed),
            was_kept_out=was(mine.was_kept_out),
            was_reason=was(mine.was_reason),
        )
        .execution_options(synchronize_session=False)
    )


def rejoin(session: Session, split_off: Complaint, own: Complaint) -> set[int]:
    """Undo a split: what else came to the complaint that was split off goes where it came from, too."""
    session.execute(
        update(Statement)
        .where(Statement.complaint_id == split_off.id)
        .values(complaint_id=own.id, reason=f"{split_off.number} was taken back into this")
        .execution_options(synchronize_session=False)
    )
    split_off.state, split_off.merged_into_id = ComplaintState.MERGED, own.id
    session.flush()
    session.expire_all()
    return {split_off.id, own.id}


def sentence(correction: Correction) -> str:
    """A correction in words, without who and when."""
    own, other = f"C-{correction.complaint_id}", f"C-{correction.other_id}"
    picked = len(correction.statement_ids)
    these = "1 statement" if picked == 1 else f"{picked} statements"
    target = other if correction.other_id else "no complaint"
    return {
        CorrectionKind.RENAME: f"{own} renamed to “{correction.name}”",
        CorrectionKind.MERGE: f"{own} merged into {other}",
        CorrectionKind.SPLIT: f"{these} split off from {own}" + (f" as {other}" if correction.other_id else ""),
        CorrectionKind.MOVE: f"{these} moved to {target}",
        CorrectionKind.PIN: f"{these} pinned where they are",
        CorrectionKind.APART: f"{own} and {other} kept apart",
        CorrectionKind.DISMISS: f"{own} dismissed as not a complaint",
    }[correction.kind]
