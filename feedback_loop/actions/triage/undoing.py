"""Taking decisions of triage back, for a while and where nothing was done since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import User
from feedback_loop.actions.changes import changed, standing
from feedback_loop.actions.models import ActionEvent, ActionItem, Notice, Status
from feedback_loop.actions.notices import tell
from feedback_loop.actions.service import Refused, note
from feedback_loop.actions.transitions import WORDS
from feedback_loop.actions.triage.service import DECISIONS, NOTICE, Result, moment, state_of
from feedback_loop.complaints.models import Complaint, Correction
from feedback_loop.complaints.service import corrections
from feedback_loop.complaints.service.corrections import CannotCorrect

UNDONE = "undone"
UNDO_WITHIN = timedelta(hours=12)
LOOK_BACK = 5_000  # entries of the whole history: an undo is for what was just done


@dataclass(frozen=True)
class Decision:
    """What one person decided at one go, about one item or several.

    Attributes:
        token: Names it.
        at: When.
        text: What was decided, in a sentence.
        name: The complaint it was about; of several, the first.
        entries: The history entries it left, one for each item.
    """

    token: str
    at: datetime
    text: str
    name: str
    entries: Sequence[ActionEvent]


def last_decision(session: Session, by: User, now: datetime, token: str = "") -> Decision | None:
    """The newest decision of a person that is not undone, or the one with this name; None without one.

    Only what was decided today can be undone here, and of the whole history only its newest part is looked at.
    """
    newest = select(func.max(ActionEvent.id)).scalar_subquery()
    found = session.execute(
        select(ActionEvent, Complaint.name)
        .join(ActionItem, ActionItem.id == ActionEvent.action_item_id)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(
            ActionEvent.id > newest - LOOK_BACK,
            ActionEvent.by_id == by.id,
            ActionEvent.kind.in_([*DECISIONS, UNDONE]),
            ActionEvent.at > now - UNDO_WITHIN,
        )
        .order_by(ActionEvent.id.desc())
    ).all()
    rows, names = [row for row, _ in found], {row.id: name for row, name in found}
    undone = {row.data.get("undoes") for row in rows if row.kind == UNDONE}
    waiting = [row for row in rows if row.kind != UNDONE and row.id not in undone]
    wanted = token or next((row.data["together"] for row in waiting), "")
    entries = [row for row in waiting if row.data["together"] == wanted]
    if not entries:
        return None
    return Decision(wanted, entries[0].at, entries[0].text, names[entries[0].id], entries)


def undo(session: Session, decision: Decision, by: User, now: datetime) -> Result:
    """Take a decision back, for each item where nothing was done since."""
    ids = [entry.action_item_id for entry in decision.entries]
    rows = session.scalars(select(ActionItem).where(ActionItem.id.in_(ids)).options(joinedload(ActionItem.complaint)))
    items = {row.id: row for row in rows}
    done, refused = [], []
    for entry in decision.entries:
        item = items[entry.action_item_id]
        try:
            with session.begin_nested():
                undo_one(session, entry, item, by, now)
        except Refused as error:
            refused.append((item, str(error)))
        else:
            done.append(item)
    return Result(done, refused)


def undo_one(session: Session, entry: ActionEvent, item: ActionItem, by: User, now: datetime) -> None:
    """Put an item back where it stood before a history entry.

    Raises:
        Refused: Something was done since; the message says what.
    """
    before, after = entry.data["before"], entry.data["after"]
    if obstacle := stands_in_the_way(state_of(item), after):
        raise Refused(f"{item.complaint.number} stays as it is: {obstacle}. Change it on the page of its action item.")
    if "correction_id" in entry.data:
        try:
            correction = session.get_one(Correction, entry.data["correction_id"])
            corrections.undo(session, correction, by, "Undone in triage.", now)
        except CannotCorrect as error:
            raise Refused(f"{item.complaint.number} stays as it is. {error}") from error
    said = standing(item)
    item.status, item.team_id, item.owner_id = Status(before["status"]), before["team_id"], before["owner_id"]
    item.triaged_at, item.snoozed_until = moment(before["triaged_at"]), moment(before["snoozed_until"])
    session.flush()
    session.expire(item, ["team", "owner"])
    if entry.kind == "triaged" and after["owner_id"] is not None:
        take_back_notice(session, entry, item, by, now)
    is_kept = before.get("kept", True) or is_worked_on_since(session, entry)
    note(session, item, UNDONE, f"Taken back: {entry.text}", by, now, undoes=entry.id, **changed(said, item))
    item.complaint.kept = is_kept


def is_worked_on_since(session: Session, entry: ActionEvent) -> bool:
    """Whether a person did anything to an item after a decision, beside what was taken back."""
    rows = session.scalars(
        select(ActionEvent).where(
            ActionEvent.action_item_id == entry.action_item_id,
            ActionEvent.id > entry.id,
            ActionEvent.by_id.is_not(None),
        )
    ).all()
    undone = {row.data.get("undoes") for row in rows if row.kind == UNDONE}
    return any(row.kind != UNDONE and row.id not in undone for row in rows)


def stands_in_the_way(state: dict[str, Any], after: dict[str, Any]) -> str:
    """What has changed of an item since a decision left it in a state; "" when nothing has."""
    if state["status"] != after["status"]:
        return f"it is {WORDS[Status(state['status'])]} by now"
    if (state["team_id"], state["owner_id"]) != (after["team_id"], after["owner_id"]):
        return "it was given to somebody else since"
    if state["snoozed_until"] != after["snoozed_until"]:
        return "it is back in triage already" if state["snoozed_until"] is None else "it was snoozed anew"
    return ""


def take_back_notice(session: Session, entry: ActionEvent, item: ActionItem, by: User, now: datetime) -> None:
    """Let the person whom a decision told that an item is theirs not hear of it, or hear that it is not any more."""
    owner_id = entry.data["after"]["owner_id"]
    # Entries made before they named their notices go by the moment.
    own = Notice.id.in_(entry.data["notices"]) if "notices" in entry.data else Notice.at == entry.at
    unmailed = session.execute(
        delete(Notice).where(
            own,
            Notice.user_id == owner_id,
            Notice.action_item_id == item.id,
            Notice.kind == NOTICE,
            Notice.mailed_at.is_(None),
        )
    )
    if not unmailed.rowcount and item.owner_id != owner_id:  # type: ignore[attr-defined]
        text = f"{by.name} took back that this is yours: {item.complaint.name}"
        tell(session, [owner_id], item, NOTICE, text, now, by)
