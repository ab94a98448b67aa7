"""Verbs of triage: whose is it, is it one of those we know, is it none, or does it wait?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import Role, Team, User
from feedback_loop.actions.changes import changed, standing
from feedback_loop.actions.models import ActionEvent, ActionItem, Status
from feedback_loop.actions.notices import tell
from feedback_loop.actions.service import Refused, demand_living, note
from feedback_loop.actions.transitions import WORDS, may
from feedback_loop.complaints.corrections import Wanted
from feedback_loop.complaints.models import Complaint, CorrectionKind, Statement
from feedback_loop.complaints.queries import LEAST_GROWTH, WEEK, is_growing, times_said
from feedback_loop.complaints.service import corrections
from feedback_loop.complaints.service.corrections import CannotCorrect
from feedback_loop.tokens import draw

DECISIONS = ("triaged", "snoozed", "merged", "dismissed")  # kinds of history entries that can be taken back
NOTICE = "assigned"


@dataclass(frozen=True)
class Result:
    """What became of a decision about several items.

    Attributes:
        done: The items it was carried out for.
        refused: The others, each with the reason.
    """

    done: Sequence[ActionItem]
    refused: Sequence[tuple[ActionItem, str]]


def demand_waiting(item: ActionItem) -> None:
    """Refuse what triage has nothing to decide about (any more)."""
    demand_living(item)
    if may(item.status, "triage"):
        who = item.owner.name if item.owner else item.team.name
        raise Refused(
            f"{item.complaint.number} has been decided on meanwhile: it is {WORDS[item.status]}, with {who}. "
            "Change that on the page of its action item."
        )


def state_of(item: ActionItem) -> dict[str, Any]:
    """What triage changes of an item, as a history entry keeps it."""
    return {
        "status": item.status.value,
        "team_id": item.team_id,
        "owner_id": item.owner_id,
        "triaged_at": item.triaged_at.isoformat() if item.triaged_at else None,
        "snoozed_until": item.snoozed_until.isoformat() if item.snoozed_until else None,
        "kept": item.complaint.kept,
    }


def decided(
    session: Session,
    item: ActionItem,
    kind: str,
    text: str,
    by: User,
    now: datetime,
    before: dict[str, Any],
    together: str,
    **data: object,
) -> None:
    """Write a decision into the history, with what it takes to undo it."""
    after = state_of(item)
    note(session, item, kind, text, by, now, before=before, after=after, together=together or draw(), **data)


def triage(
    session: Session,
    item: ActionItem,
    team: Team,
    owner: User | None,
    by: User,
    now: datetime,
    together: str = "",
) -> None:
    """Say whose it is. The owner, if one is named, hears of it.

    Args:
        team: Whose it is from now on.
        owner: One person of theirs, or None for whoever takes it on.
        by: Who decides.
        now: The present moment.
        together: Names a decision about several items; drawn if empty.

    Raises:
        Refused: It has been decided on already, its complaint was merged or dismissed, or the owner only reads.
    """
    demand_waiting(item)
    if owner is not None and (not owner.is_active or owner.role == Role.VIEWER):
        raise Refused(f"{owner.name} cannot own action items: choose somebody who is active and not only a viewer.")
    before, said = state_of(item), standing(item)
    item.team, item.owner = team, owner
    item.status, item.triaged_at, item.snoozed_until = Status.TRIAGED, now, None
    session.flush()
    text = f"Assigned to {team.name}, {owner.name}." if owner else f"Assigned to {team.name}."
    assigned = f"{by.name} assigned this to you: {item.complaint.name}"
    told = tell(session, [item.owner_id], item, NOTICE, assigned, now, by)
    session.flush()
    made = {"notices": [each.id for each in told]}
    decided(session, item, "triaged", text, by, now, before, together, **changed(said, item), **made)


def snooze(session: Session, item: ActionItem, until: datetime, by: User, now: datetime, together: str = "") -> None:
    """Leave it out of triage until a moment, or until it grows.

    Raises:
        Refused: The moment is not ahead, somebody else has snoozed it meanwhile, or triage has nothing to decide about
            it (any more).
    """
    demand_waiting(item)
    if until <= now:
        raise Refused("Choose a day that is still to come.")
    if item.snoozed_until is not None and item.snoozed_until > now:
        demand_own_snooze(session, item, item.snoozed_until, by)
    before = state_of(item)
    item.snoozed_until = until
    said = times_said(item.complaint_id, Statement.said_at > now - WEEK, Statement.said_at <= now)
    recent = session.scalar(select(said)) or 0
    text = f"Snoozed until {day(until)}, or until it grows."
    decided(session, item, "snoozed", text, by, now, before, together, recent=recent)


def demand_own_snooze(session: Session, item: ActionItem, until: datetime, by: User) -> None:
    """Refuse to snooze over what another person chose."""
    newest = session.scalars(
        select(ActionEvent)
        .where(ActionEvent.action_item_id == item.id, ActionEvent.kind == "snoozed")
        .options(joinedload(ActionEvent.by))
        .order_by(ActionEvent.id.desc())
    )
    # Not the very newest, where that one was taken back.
    entry = next((each for each in newest if moment(each.data["after"]["snoozed_until"]) == until), None)
    if entry is None or entry.by is None or entry.by_id == by.id:
        return
    raise Refused(
        f"{item.complaint.number} is snoozed until {day(until)} already, by {entry.by.name}. "
        "Take it back into triage first if another day is better."
    )


def wake(session: Session, item: ActionItem, by: User, now: datetime) -> None:
    """Take it back into triage before its time.

    Raises:
        Refused: It is not snoozed, or triage has nothing to decide about it (any more).
    """
    demand_waiting(item)
    if item.snoozed_until is None or item.snoozed_until <= now:
        raise Refused(f"{item.complaint.number} is not snoozed (any more).")
    item.snoozed_until = None
    note(session, item, "woken", "Taken back into triage.", by, now)


def returns_early(recent: int, before: int, recent_then: int) -> bool:
    """Whether something snoozed grows so much that it cannot wait: a pure decision.

    Args:
        recent: How often it was said in the last seven days.
        before: In the seven before those.
        recent_then: In the last seven days when it was snoozed; what whoever did that knew of.
    """
    return is_growing(recent, before) and recent >= recent_then + LEAST_GROWTH


def wake_growing(session: Session, now: datetime) -> int:
    """Take what is snoozed and grows back into triage.

    Returns:
        How many came back.
    """
    newest = (
        select(func.max(ActionEvent.id))
        .where(ActionEvent.action_item_id == ActionItem.id, ActionEvent.kind == "snoozed")
        .correlate(ActionItem)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            ActionItem,
            ActionEvent,
            times_said(ActionItem.complaint_id, Statement.said_at > now - WEEK, Statement.said_at <= now),
            times_said(ActionItem.complaint_id, Statement.said_at > now - 2 * WEEK, Statement.said_at <= now - WEEK),
        )
        .join(ActionEvent, ActionEvent.id == newest)
        .where(ActionItem.status.in_([Status.NEW, Status.REOPENED]), ActionItem.snoozed_until > now)
        .options(joinedload(ActionItem.complaint))
    ).all()
    woken = 0
    for item, entry, recent, before in rows:
        if returns_early(recent, before, int(entry.data.get("recent", 0))):
            item.snoozed_until = None
            said = f"said {recent} times in the last seven days, {before} in the seven before"
            note(session, item, "woken", f"Back in triage because it grows: {said}.", None, now)
            woken += 1
    return woken


def merge(session: Session, item: ActionItem, into: Complaint, by: User, now: datetime, together: str = "") -> None:
    """Say that it is the same as another complaint. A correction like any other, which holds until it is undone.

    Raises:
        Refused: The correction is not possible, or triage has nothing to decide about it (any more).
    """
    wanted = Wanted(CorrectionKind.MERGE, item.complaint_id, into.id)
    correct(session, item, wanted, "merged", f"Merged into {into.number} {into.name}.", by, now, together)


def dismiss(session: Session, item: ActionItem, by: User, now: datetime, together: str = "") -> None:
    """Say that it is no complaint. A correction like any other, which holds until it is undone.

    Raises:
        Refused: The correction is not possible, or triage has nothing to decide about it (any more).
    """
    wanted = Wanted(CorrectionKind.DISMISS, item.complaint_id)
    correct(session, item, wanted, "dismissed", "Dismissed as not a complaint.", by, now, together)


def correct(
    session: Session, item: ActionItem, wanted: Wanted, kind: str, text: str, by: User, now: datetime, together: str
) -> None:
    """Make a correction of the complaint, and note it at the item."""
    demand_waiting(item)
    before = state_of(item)
    try:
        correction = corrections.at_once(session, wanted, by, "Decided in triage.", now)
    except CannotCorrect as error:
        raise Refused(str(error)) from error
    item.triaged_at, item.snoozed_until = item.triaged_at or now, None
    decided(session, item, kind, text, by, now, before, together, correction_id=correction.id)


def for_all(session: Session, items: Sequence[ActionItem], decide: Callable[[ActionItem, str], None]) -> Result:
    """Decide about several items in one transaction. Those for which it is refused stay as they are.

    Args:
        items: Which.
        decide: Carries it out for one of them; also gets the name under which all of them can be undone together.
    """
    together, done, refused = draw(), [], []
    for item in items:
        try:
            with session.begin_nested():
                decide(item, together)
        except Refused as error:
            refused.append((item, str(error)))
        else:
            done.append(item)
    return Result(done, refused)


def day(value: datetime) -> str:
    """`12 Oct 2026`."""
    return f"{value.astimezone(UTC):%d %b %Y}".removeprefix("0")


def moment(text: str | None) -> datetime | None:
    """What `state_of` wrote, as a moment again."""
    return datetime.fromisoformat(text) if text else None
