"""Drafts of corrections: put together, looked at, thrown away. Nothing here changes a complaint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
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
    Correction,
    CorrectionKind,
    Draft,
    DraftState,
    Statement,
    StatementKind,
)
from feedback_loop.responses.models import Answer, Customer

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
        picked, twin = aliased(Statement), aliased(Statement)
        by_hand = picked.id.in_(correction.statement_ids)
        same_place = func.coalesce(picked.complaint_id, 0) == func.coalesce(twin.complaint_id, 0)
        # Two lists rather than a condition with "or", with which PostgreSQL goes through all statements.
        along = (
            select(twin.id)
            .join(picked, (picked.vector_id == twin.vector_id) & same_place)
            .where(by_hand, twin.kind == StatementKind.PROBLEM)
        )
        return Statement.id.in_(select(picked.id).where(by_hand).union(along))
    return Statement.complaint_id == correction.complaint_id


def sentence(correction: Correction) -> str:
    """A correction in words, without who and when."""
    own, other = f"C-{correction.complaint_id}", f"C-{correction.other_id}"
    picked = len(correction.statement_ids)
    these = "1 statement" if picked == 1 else f"{picked} statements"
    target = other if correction.other_id else "no complaint"
    source = f"split off from {own}" if correction.complaint_id else "of the pool made a complaint"
    return {
        CorrectionKind.RENAME: f"{own} renamed to “{correction.name}”",
        CorrectionKind.MERGE: f"{own} merged into {other}",
        CorrectionKind.SPLIT: f"{these} {source}" + (f" as {other}" if correction.other_id else ""),
        CorrectionKind.MOVE: f"{these} moved to {target}",
        CorrectionKind.PIN: f"{these} pinned where they are",
        CorrectionKind.APART: f"{own} and {other} kept apart",
        CorrectionKind.DISMISS: f"{own} dismissed as not a complaint",
    }[correction.kind]
