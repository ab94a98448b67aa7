"""What people correct, and what it means for every later refine: pure decisions, and the reads they need.

A correction is decided against a small picture of the complaints it touches (`World`), so that a draft of several is
judged as if they had been made one after the other, before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.complaints.models import (
    Complaint,
    ComplaintState,
    Correction,
    CorrectionKind,
    Draft,
    DraftState,
)

LONGEST_NAME = 200
MOST_PICKED = 1000  # statements that one correction names by hand
OF_COMPLAINTS = frozenset(
    {CorrectionKind.RENAME, CorrectionKind.MERGE, CorrectionKind.APART, CorrectionKind.DISMISS, CorrectionKind.SPLIT}
)
OF_STATEMENTS = frozenset({CorrectionKind.SPLIT, CorrectionKind.MOVE, CorrectionKind.PIN})


@dataclass(frozen=True)
class Wanted:
    """A correction that somebody wants to make.

    Attributes:
        kind: Which.
        complaint_id: The complaint it corrects; for statements, the one they are in (None: the pool). What is split off
            from the pool founds a complaint.
        other_id: The complaint to merge into, to move to (None: to none), or to keep apart from.
        name: The new name, for renaming and splitting.
        statement_ids: Picked by hand, for splitting, moving and pinning.
    """

    kind: CorrectionKind
    complaint_id: int | None = None
    other_id: int | None = None
    name: str = ""
    statement_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Known:
    """A complaint as far as corrections care."""

    id: int
    name: str
    state: ComplaintState
    statements: int

    @property
    def number(self) -> str:
        """The public id."""
        return f"C-{self.id}"


@dataclass
class World:
    """The complaints that some corrections are about, as they will be when these are applied one after the other.

    Attributes:
        complaints: By id.
        apart: Pairs that a person keeps apart, the smaller id first.
        names: Names in use, in small letters, with the complaint that has each.
        homes: Complaint of each statement picked by hand (None: none).
    """

    complaints: dict[int, Known]
    apart: set[tuple[int, int]] = field(default_factory=set)
    names: dict[str, int] = field(default_factory=dict)
    homes: dict[int, int | None] = field(default_factory=dict)


def pair(one: int, other: int) -> tuple[int, int]:
    """Two complaints in the order in which pairs are kept."""
    return (one, other) if one < other else (other, one)


def refusal(wanted: Wanted, world: World) -> str:
    """Why a correction cannot be made, as a sentence for people; "" when it can."""
    return next(_obstacles(wanted, world), "")


def _obstacles(wanted: Wanted, world: World) -> Iterator[str]:
    """Everything that stands in the way, the most basic first."""
    own = world.complaints.get(wanted.complaint_id or 0)
    other = world.complaints.get(wanted.other_id or 0)
    founds = wanted.kind == CorrectionKind.SPLIT and wanted.complaint_id is None
    if wanted.kind in OF_COMPLAINTS and own is None and not founds:
        yield "There is no such complaint."
    if wanted.other_id is not None and other is None:
        yield f"There is no complaint C-{wanted.other_id}."
    for each in (own, other):
        if each is not None and each.state == ComplaintState.MERGED:
            yield f"{each.number} was merged into another complaint; correct that one."
    if own is not None and own.state == ComplaintState.DISMISSED and wanted.kind in OF_COMPLAINTS:
        yield f"{own.number} was dismissed; undo that first."
    if other is not None and other.state == ComplaintState.DISMISSED:
        yield f"{other.number} was dismissed; undo that first."
    if wanted.kind in (CorrectionKind.MERGE, CorrectionKind.APART):
        yield from _of_pairs(wanted, world, own, other)
    if wanted.kind in OF_STATEMENTS:
        yield from _of_statements(wanted, world, own)
    if wanted.kind in (CorrectionKind.RENAME, CorrectionKind.SPLIT):
        yield from _of_names(wanted, world)


def _of_pairs(wanted: Wanted, world: World, own: Known | None, other: Known | None) -> Iterator[str]:
    if own is None or other is None:
        yield "Choose the other complaint."
    elif own.id == other.id:
        yield "Choose another complaint than this one."
    elif pair(own.id, other.id) in world.apart:
        again = "already" if wanted.kind == CorrectionKind.APART else "by a colleague; undo that first"
        yield f"{own.number} and {other.number} are kept apart {again}."


def _of_statements(wanted: Wanted, world: World, own: Known | None) -> Iterator[str]:
    if not wanted.statement_ids:
        yield "Choose at least one statement."
    if len(wanted.statement_ids) > MOST_PICKED:
        yield f"Choose at most {MOST_PICKED:,} statements at once."
    if any(id not in world.homes for id in wanted.statement_ids):
        yield "Some of these statements are gone: who said them has changed or taken back their answer."
    homes = {world.homes.get(id) for id in wanted.statement_ids}
    if wanted.kind == CorrectionKind.SPLIT and own is not None:
        if homes != {own.id}:
            yield f"Some of these statements are not in {own.number} any more."
        if len(wanted.statement_ids) >= own.statements:
            yield f"These are all statements of {own.number}; there would be nothing left. Rename it instead."
    if wanted.kind == CorrectionKind.SPLIT and wanted.complaint_id is None and homes != {None}:
        yield "Some of these statements are in a complaint by now. Split them off from it."
    if wanted.kind == CorrectionKind.MOVE and homes == {wanted.other_id} and wanted.other_id is not None:
        yield f"They are in C-{wanted.other_id} already. Pin them if they must stay there."


def _of_names(wanted: Wanted, world: World) -> Iterator[str]:
    name = wanted.name.strip()
    if not name:
        yield "Give the complaint a name."
    if len(name) > LONGEST_NAME:
        yield f"A name has at most {LONGEST_NAME} characters; this one has {len(name)}."
    holder = world.names.get(name.casefold())
    if holder is not None and holder == wanted.complaint_id and wanted.kind == CorrectionKind.RENAME:
        if world.complaints[holder].name == name:
            yield "It has this name already."
    elif holder is not None:
        yield f"C-{holder} has this name already. Merge the two, or choose another name."


def imagine(wanted: Wanted, world: World) -> None:
    """Change the picture as the correction would."""
    own, other = world.complaints.get(wanted.complaint_id or 0), world.complaints.get(wanted.other_id or 0)
    if wanted.kind == CorrectionKind.RENAME and own is not None:
        world.names.pop(own.name.casefold(), None)
        world.complaints[own.id] = Known(own.id, wanted.name.strip(), own.state, own.statements)
        world.names[wanted.name.strip().casefold()] = own.id
    elif wanted.kind == CorrectionKind.MERGE and own is not None and other is not None:
        world.complaints[own.id] = Known(own.id, own.name, ComplaintState.MERGED, 0)
        world.complaints[other.id] = Known(other.id, other.name, other.state, other.statements + own.statements)
        world.names.pop(own.name.casefold(), None)
        world.homes = {id: other.id if home == own.id else home for id, home in world.homes.items()}
        moved = {tuple(other.id if id == own.id else id for id in each) for each in world.apart}
        world.apart = {pair(one, two) for one, two in moved if one != two}
    elif wanted.kind == CorrectionKind.DISMISS and own is not None:
        world.complaints[own.id] = Known(own.id, own.name, ComplaintState.DISMISSED, own.statements)
    elif wanted.kind == CorrectionKind.APART and own is not None and other is not None:
        world.apart.add(pair(own.id, other.id))
    elif wanted.kind in (CorrectionKind.SPLIT, CorrectionKind.MOVE):
        for id in wanted.statement_ids:
            home = world.complaints.get(world.homes.get(id) or 0)
            if home is not None:
                world.complaints[home.id] = Known(home.id, home.name, home.state, home.statements - 1)
            world.homes[id] = wanted.other_id


@dataclass(frozen=True)
class Rules:
    """What people decided about complaints, for a refine to obey.

    Attributes:
        held: Whose statements found no new complaint: merged into, split off, dismissed.
        kept: That are never emptied: taken on, named, split, kept apart, dismissed.
        apart: Pairs between which nothing moves.
        dismissed: Whose statements stay there.
    """

    held: frozenset[int]
    kept: frozenset[int]
    apart: frozenset[tuple[int, int]]
    dismissed: frozenset[int]


def rules(corrections: Iterable[Correction], dismissed: set[int], taken_on: set[int], into: dict[int, int]) -> Rules:
    """What the corrections that hold mean for complaints.

    Args:
        corrections: Applied and not undone.
        dismissed: Complaints that are dismissed.
        taken_on: Complaints that somebody answers for.
        into: Where each merged complaint went.
    """

    held, kept, apart = set(dismissed), dismissed | taken_on, set()
    for each in corrections:
        own, other = end_of(each.complaint_id or 0, into), end_of(each.other_id or 0, into)
        if each.kind == CorrectionKind.MERGE:
            held.add(other)
        elif each.kind == CorrectionKind.SPLIT:
            held.add(other)
            kept |= {own, other}
        elif each.kind == CorrectionKind.RENAME:
            kept.add(own)
        elif each.kind == CorrectionKind.APART and own != other:
            kept |= {own, other}
            apart.add(pair(own, other))
    return Rules(frozenset(held - {0}), frozenset(kept - {0}), frozenset(apart), frozenset(dismissed))


def read_rules(session: Session) -> Rules:
    """What holds now."""
    holding = session.scalars(
        select(Correction)
        .join(Draft, Draft.id == Correction.draft_id)
        .where(
            Draft.state == DraftState.APPLIED,
            Correction.undone_at.is_(None),
            Correction.kind.in_([kind for kind in OF_COMPLAINTS if kind != CorrectionKind.DISMISS]),
        )
    ).all()
    dismissed = session.scalars(select(Complaint.id).where(Complaint.state == ComplaintState.DISMISSED))
    taken_on = session.scalars(select(Complaint.id).where(Complaint.state == ComplaintState.ACTIVE, Complaint.kept))
    return rules(holding, set(dismissed), set(taken_on), merged_into(session))


def merged_into(session: Session) -> dict[int, int]:
    """Where each merged complaint went, one step."""
    rows = session.execute(
        select(Complaint.id, Complaint.merged_into_id).where(Complaint.state == ComplaintState.MERGED)
    )
    return {row.id: row.merged_into_id for row in rows}


def end_of(id: int, into: dict[int, int]) -> int:
    """Where a complaint went in the end, following merges."""
    while id in into:
        id = into[id]
    return id


def stamp(session: Session) -> tuple[int, int]:
    """Changes whenever a correction is applied or undone: what a refine compares before it writes."""
    applied = session.scalar(select(func.count()).select_from(Draft).where(Draft.state == DraftState.APPLIED))
    undone = session.scalar(select(func.count()).select_from(Correction).where(Correction.undone_at.is_not(None)))
    return applied or 0, undone or 0
