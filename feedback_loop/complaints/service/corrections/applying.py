"""Applying a draft as a whole: where statements go, and what is remembered so that each correction can be undone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, insert, literal, null, or_, select, update
from sqlalchemy.orm import Session, aliased

from feedback_loop.accounts.models import User
from feedback_loop.complaints.corrections import Wanted, imagine, refusal
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
    StatementRole,
)
from feedback_loop.complaints.service.corrections.drafts import (
    CannotCorrect,
    hold,
    leaves_nothing,
    picture,
    touched,
    wanted_of,
)
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.jobs.claims import queue

CORRECTING = "correcting"  # the name under which writes that move statements queue


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
    now = after_all_others(session, now)
    changed = make_all(session, draft, now)
    draft.state, draft.why, draft.applied_at = DraftState.APPLIED, why.strip(), now
    session.flush()
    count_again(session, changed)


def at_once(session: Session, wanted: Wanted, by: User, why: str, now: datetime) -> Correction:
    """Make one correction without a draft, for pages that show what it changes before they ask for it.

    What the person has in their draft stays there.

    Args:
        wanted: The correction.
        by: Who makes it.
        why: The reason, for colleagues.
        now: The present moment.

    Raises:
        CannotCorrect: It is not possible (any more); nothing was changed.
    """
    queue(session, CORRECTING)
    world = picture(session, [wanted])
    if problem := refusal(wanted, world) or leaves_nothing(session, wanted, world):
        raise CannotCorrect(problem)
    moment = after_all_others(session, now)
    draft = Draft(by=by, state=DraftState.APPLIED, why=why.strip(), created_at=now, applied_at=moment)
    correction = Correction(
        draft=draft,
        kind=wanted.kind,
        complaint_id=wanted.complaint_id,
        other_id=wanted.other_id,
        name=wanted.name.strip(),
        statement_ids=list(wanted.statement_ids),
        before={},
    )
    session.add(draft)
    session.flush()
    changed = make(session, correction, by.name, moment)
    session.flush()
    count_again(session, changed)
    return correction


def after_all_others(session: Session, now: datetime) -> datetime:
    """The moment of a correction: later ones are known by it, whatever the clocks of several machines say."""
    last = session.scalar(select(func.max(Draft.applied_at)))
    return max(now, last + timedelta(microseconds=1)) if last else now


def make_all(session: Session, draft: Draft, now: datetime) -> set[int]:
    """Make the corrections of a draft one after the other.

    Returns:
        The complaints whose counts have changed.

    Raises:
        CannotCorrect: One of them is not possible (any more). Roll back.
    """
    world = picture(session, [wanted_of(each) for each in draft.corrections])
    changed: set[int] = set()
    who = draft.by.name
    for correction in draft.corrections:
        wanted = wanted_of(correction)
        if problem := refusal(wanted, world) or leaves_nothing(session, wanted, world):
            raise CannotCorrect(problem)
        imagine(wanted, world)
        changed |= make(session, correction, who, now)
    return changed


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
    verb = "Moved here"
    if correction.kind == CorrectionKind.SPLIT:
        verb = f"Split off from {own.number}" if own else "Put together from the pool"
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
