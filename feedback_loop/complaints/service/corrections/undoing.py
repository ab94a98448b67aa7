"""Undoing one correction: what was corrected again since stays as it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, or_, select, update
from sqlalchemy.orm import Session, aliased

from feedback_loop.accounts.models import User
from feedback_loop.complaints.corrections import (
    OF_STATEMENTS,
    end_of,
    merged_into,
)
from feedback_loop.complaints.models import (
    Complaint,
    ComplaintState,
    CorrectedStatement,
    Correction,
    CorrectionKind,
    Draft,
    DraftState,
    Statement,
)
from feedback_loop.complaints.service.corrections.applying import CORRECTING
from feedback_loop.complaints.service.corrections.drafts import CannotCorrect, sentence
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.jobs.claims import queue


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


def rejoin(session: Session, split_off: Complaint, own: Complaint | None) -> set[int]:
    """Undo a split: what else came to the complaint that was split off goes where it came from, too.

    One that was put together from the pool is dismissed: its number stays known, and without statements it draws none.
    """
    if own is None:
        session.execute(
            update(Statement)
            .where(Statement.complaint_id == split_off.id)
            .values(
                complaint_id=None,
                placed=None,
                confidence=None,
                is_exemplar=False,
                reason=f"{split_off.number} was taken back into the pool",
            )
            .execution_options(synchronize_session=False)
        )
        split_off.state = ComplaintState.DISMISSED
        session.flush()
        session.expire_all()
        return {split_off.id}
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
