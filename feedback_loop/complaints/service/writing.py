"""Writing what a refine found: in one transaction, unless people corrected something meanwhile.

Only worker code imports this module: it needs the arrays of `analysis/`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from feedback_loop.analysis.discovery import Discovery
from feedback_loop.analysis.embedding.embedder import Embedder, unit
from feedback_loop.analysis.layout import layout
from feedback_loop.complaints.corrections import pair, stamp
from feedback_loop.complaints.models import (
    Complaint,
    ComplaintState,
    Placed,
    Refine,
    RefineState,
    Statement,
)
from feedback_loop.complaints.service.corrections import CORRECTING, free_parts
from feedback_loop.complaints.service.counts import Change, count_again, count_changes
from feedback_loop.complaints.service.known import Known
from feedback_loop.complaints.service.parts import Decided
from feedback_loop.jobs.claims import queue

NAME_OVERLAP = 0.3  # below this share of common keywords the content has really moved, and the name follows
CONFIDENCE_STEP = 0.1  # smaller changes of confidence are not worth a write
FLOWS_KEPT = 100  # ways from one complaint to another that a run remembers
CHUNK = 500
Places = Mapping[int, tuple[float, float]]


class Overtaken(RuntimeError):
    """People corrected complaints while a refine was computing; it has to look anew."""


def map_of(session: Session) -> dict[int, tuple[float, float]]:
    """Where each complaint lies on the map."""
    rows = session.execute(
        select(Complaint.id, Complaint.map_x, Complaint.map_y).where(
            Complaint.map_x.is_not(None), Complaint.merged_into_id.is_(None)
        )
    )
    return {row.id: (row.map_x, row.map_y) for row in rows}


def spots_of(known: Known, found: Discovery, places: Places) -> Places:
    """Where each group lies on the map of complaints.

    Args:
        known: The statements.
        found: Their groups.
        places: Where complaints lay on the last map.
    """
    order = np.argsort(found.complaint, kind="stable")
    order = order[found.complaint[order] != 0]
    if not len(order):
        return {}
    groups, starts = np.unique(found.complaint[order], return_index=True)
    centres = unit(np.add.reduceat(known.vectors[order], starts, axis=0))
    before = np.array([places.get(group, (np.nan, np.nan)) for group in groups.tolist()], dtype=np.float64)
    return {group: (x, y) for group, (x, y) in zip(groups.tolist(), layout(centres, before).tolist(), strict=True)}


def write_refine(
    session: Session,
    known: Known,
    found: Discovery,
    decided: Sequence[Decided],
    embedder: Embedder,
    spots: Places,
    now: datetime,
) -> Refine:
    """Write what a refine found. A statement that has changed its place meanwhile stays where it is.

    Args:
        session: A session that writes.
        known: The statements as they were read.
        found: Their groups.
        decided: What was decided about parts of comments.
        embedder: Whose vectors were compared.
        spots: Where each group lies on the map.
        now: The present moment.

    Raises:
        Overtaken: Somebody corrected complaints since the statements were read.
    """
    queue(session, CORRECTING)
    if stamp(session) != known.stamp:
        raise Overtaken("Complaints were corrected by hand while this refine ran; nothing was changed.")
    numbers = add_complaints(session, found, now)
    target = np.array([numbers.get(int(group), int(group)) for group in found.complaint], dtype=np.int64)
    exemplar = np.zeros(len(known.ids), dtype=np.bool_)
    for rows in found.exemplars.values():
        exemplar[rows] = True
    changes = move(session, known, found, target, exemplar)
    merged = {gone: numbers.get(into, into) for gone, into in found.absorbed.items() if into}
    taken_on = select(Complaint.id).where(Complaint.id.in_(merged), Complaint.kept).with_for_update()
    if session.scalars(taken_on).first() is not None:
        raise Overtaken("Somebody took on a complaint that this refine was about to merge; nothing was changed.")
    changes += merge_absorbed(session, merged)
    changes += write_parts(session, known, decided, numbers)
    renamed = follow_names(session, found)
    describe(session, found, numbers, spots)
    count_changes(session, changes)
    if merged:
        free_parts(session, merged.values())
        count_again(session, set(merged.values()))
    moved = (target != known.current) & (known.current != 0)
    flows = Counter(zip(known.current[moved].tolist(), target[moved].tolist(), strict=True))
    return Refine(
        state=RefineState.DONE,
        started_at=now,
        finished_at=now,
        model=embedder.name,
        seed=0,
        last_statement_id=int(known.ids.max()),
        statements=len(known.ids),
        complaints=len(set(map(int, target)) - {0}),
        new_complaints=len(numbers),
        moved=int(moved.sum()),
        coverage=float((target != 0).mean()),
        kept=found.kept,
        seconds={},
        versions=versions(),
        changes={
            "new": sorted(numbers.values()),
            "merged": sorted([gone, into] for gone, into in merged.items()),
            "renamed": renamed,
            "moved": [[one, two, count] for (one, two), count in flows.most_common(FLOWS_KEPT)],
        },
    )


def add_complaints(session: Session, found: Discovery, now: datetime) -> dict[int, int]:
    """Make complaints of new groups.

    Returns:
        The number of each new group: group (negative) to complaint id.
    """
    numbers: dict[int, int] = {}
    for group in sorted((group for group in found.names if group < 0), reverse=True):
        name = found.names[group]
        complaint = Complaint(name=name.phrase[:200], keywords=list(name.keywords), created_at=now)
        session.add(complaint)
        session.flush()
        numbers[group] = complaint.id
    return numbers


def follow_names(session: Session, found: Discovery) -> list[list[object]]:
    """Let names follow where the content has really moved, unless a person chose them.

    Returns:
        Complaint, old name and new name of each that was renamed.
    """
    renamed: list[list[object]] = []
    old = [group for group in found.names if group > 0]
    for start in range(0, len(old), CHUNK):
        for complaint in session.scalars(select(Complaint).where(Complaint.id.in_(old[start : start + CHUNK]))):
            name = found.names[complaint.id]
            common, either = set(complaint.keywords) & set(name.keywords), set(complaint.keywords) | set(name.keywords)
            if not either or len(common) / len(either) >= NAME_OVERLAP:
                continue
            complaint.keywords = list(name.keywords)
            if not complaint.named_by_person:
                renamed.append([complaint.id, complaint.name, name.phrase[:200]])
                complaint.name = name.phrase[:200]
    return renamed


def move(
    session: Session, known: Known, found: Discovery, target: NDArray[np.int64], exemplar: NDArray[np.bool_]
) -> list[Change]:
    """Write the new places, confidences and reasons of whole comments.

    Returns:
        Who changed complaint.
    """
    moved = target != known.current
    fixed = known.constraints.fixed
    uncertain = ~fixed & (np.abs(found.confidence - known.confidence) > CONFIDENCE_STEP)
    changed = (moved | (exemplar != known.exemplar) | uncertain).nonzero()[0]
    values: list[dict[str, Any]] = []
    flags: list[dict[str, Any]] = []
    for row in changed.tolist():
        home, was = int(target[row]), int(known.current[row])
        if fixed[row]:  # stays, with the reason a person gave
            flags.append({"key": int(known.ids[row]), "was": was, "is_exemplar": bool(exemplar[row])})
            continue
        values.append(
            {
                "key": int(known.ids[row]),
                "was": was,
                "complaint_id": home or None,
                "placed": Placed.REFINE if home else None,
                "confidence": round(float(found.confidence[row]), 3) if home else None,
                "reason": reason_for(home, was, float(found.confidence[row])),
                "is_exemplar": bool(exemplar[row]),
            }
        )
    write(session, values)
    write(session, flags)
    return [
        Change(int(known.ids[row]), int(known.current[row]) or None, int(target[row]) or None)
        for row in moved.nonzero()[0].tolist()
    ]


def write(session: Session, rows: list[dict[str, Any]]) -> None:
    """Update statements by key, each only if it is still in the complaint it was in when it was read."""
    if not rows:
        return
    table = Statement.__table__
    names = [name for name in rows[0] if name not in ("key", "was")]
    session.connection().execute(
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("key"), func.coalesce(table.c.complaint_id, 0) == bindparam("was"))
        .values({name: bindparam(name) for name in names}),
        rows,
    )


def merge_absorbed(session: Session, merged: Mapping[int, int]) -> list[Change]:
    """Merge complaints whose statements all went to another one: their number leads there from now on.

    What a refine did not look at, because it is too old, goes along.

    Returns:
        Who changed complaint with that.
    """
    changes: list[Change] = []
    for gone, into in sorted(merged.items()):
        rest = session.scalars(select(Statement.id).where(Statement.complaint_id == gone)).all()
        session.execute(
            update(Statement)
            .where(Statement.complaint_id == gone)
            .values(complaint_id=into, placed=Placed.REFINE, reason=f"C-{gone} was merged into this: it says the same")
            .execution_options(synchronize_session=False)
        )
        session.execute(
            update(Complaint)
            .where(Complaint.id == gone)
            .values(state=ComplaintState.MERGED, merged_into_id=into)
            .execution_options(synchronize_session=False)
        )
        changes += [Change(id, gone, into) for id in rest]
    return changes


def reason_for(home: int, was: int, confidence: float) -> str:
    """Why a refine put a statement where it is, in words."""
    if not home:
        return "Fewer than three statements like this so far"
    if not was:
        return f"Says the same as the others here ({confidence:.2f})"
    if was != home:
        return f"Closer to the statements here than to those of C-{was} ({confidence:.2f})"
    return f"Still closest to the statements here ({confidence:.2f})"


def write_parts(
    session: Session,
    known: Known,
    decided: Sequence[Decided],
    numbers: Mapping[int, int],
) -> list[Change]:
    """Write what was decided about the parts of comments, each only if it is still where it was.

    Returns:
        Who changed complaint.
    """
    new = set(numbers.values())
    values: list[dict[str, Any]] = []
    for each in decided:
        home = numbers.get(each.group, each.group) or None
        was = numbers.get(each.was, each.was) or None
        if home == was or not may_move(was, home, known, new):
            continue
        values.append(
            {
                "key": each.statement_id,
                "was": was or 0,
                "complaint_id": home,
                "placed": Placed.REFINE if home else None,
                "confidence": rounded(each.confidence) if home else None,
                "reason": each.reason,
                "is_exemplar": False,
            }
        )
    write(session, values)
    return [Change(each["key"], each["was"] or None, each["complaint_id"]) for each in values]


def may_move(was: int | None, home: int | None, known: Known, new: set[int]) -> bool:
    """Whether what people decided about complaints lets a part go from one to another."""
    if was is None or home is None:
        return True
    return pair(was, home) not in known.constraints.apart and not (was in known.constraints.held and home in new)


def describe(session: Session, found: Discovery, numbers: Mapping[int, int], spots: Places) -> None:
    """Write what the page of a complaint shows as evidence: cohesion, stability, neighbours, its place on the map."""
    rows = []
    for group in sorted(found.names):
        x, y = spots.get(group, (None, None))
        rows.append(
            {
                "id": numbers.get(group, group),
                "cohesion": rounded(found.cohesion.get(group)),
                "stability": rounded(found.stability.get(group)),
                "neighbours": [
                    [numbers.get(other, other), rounded(near)] for other, near in found.neighbours.get(group, [])
                ],
                "map_x": rounded(x),
                "map_y": rounded(y),
            }
        )
    if rows:
        session.flush()
        session.execute(update(Complaint), rows)


def rounded(value: float | None) -> float | None:
    """Three digits are enough for people."""
    return None if value is None else round(float(value), 3)


def versions() -> dict[str, str]:
    """Versions of the libraries that decide what a refine finds."""
    return {name: version(name) for name in ("bertopic", "graspologic-native", "onnxruntime", "scikit-learn", "numpy")}
