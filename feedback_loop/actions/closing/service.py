"""Closing an action item: how it ends, and what those who raised it are told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop import mail
from feedback_loop.accounts.models import User
from feedback_loop.actions.audience.groups import DONE
from feedback_loop.actions.audience.preparing import prepare
from feedback_loop.actions.audience.raisers import Raiser, one_raiser
from feedback_loop.actions.changes import changed, standing
from feedback_loop.actions.closing.asking import asking, asks_at
from feedback_loop.actions.models import CHANGED, ActionItem, Closure, Outcome, RunPerson, Segment, Status
from feedback_loop.actions.notices import concerned, tell
from feedback_loop.actions.service import Refused, demand, demand_living, end_wait, latest_closure, note
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import ComplaintState
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import compose
from feedback_loop.settings import Settings

KIND = "closure"
QUOTE_LENGTH = 300
LINKS = {"yes_url": "/f/{token}?answer=yes", "no_url": "/f/{token}?answer=no"}
FARTHEST = timedelta(days=366)
OUTCOMES = {
    Outcome.FIXED: "fixed",
    Outcome.PARTLY_FIXED: "partly fixed",
    Outcome.DECLINED: "declined",
    Outcome.DUPLICATE: "a duplicate",
    Outcome.NOT_A_PROBLEM: "not a problem",
}


@dataclass(frozen=True)
class Closing:
    """What an owner says when closing.

    Attributes:
        outcome: How it ends.
        done: What was changed, for colleagues.
        root_cause: For colleagues.
        statement: What customers read.
        effective_from: From when the change works; None for now. Only where something was changed.
        segment: For whom it works.
        segment_value: Which page, tag, release or language.
        duplicate_of_id: The item at which the work goes on, of a duplicate.
        ask_at: When those told are asked whether it helped; None for what the settings say.
    """

    outcome: Outcome
    done: str
    root_cause: str
    statement: str
    effective_from: datetime | None = None
    segment: Segment = Segment.ALL
    segment_value: str = ""
    duplicate_of_id: int | None = None
    ask_at: datetime | None = None


def tidied(closing: Closing, now: datetime) -> Closing:
    """What counts of a closing: each way of ending asks only for what makes sense there."""
    is_change, is_duplicate = closing.outcome in CHANGED, closing.outcome == Outcome.DUPLICATE
    segment = closing.segment if is_change else Segment.ALL
    return replace(
        closing,
        done=closing.done.strip(),
        root_cause=closing.root_cause.strip(),
        statement="" if is_duplicate else closing.statement.strip(),
        effective_from=(closing.effective_from or now) if is_change else None,
        segment=segment,
        segment_value=closing.segment_value.strip() if segment != Segment.ALL else "",
        duplicate_of_id=closing.duplicate_of_id if is_duplicate else None,
        ask_at=closing.ask_at if is_change else None,
    )


def faults(closing: Closing, now: datetime) -> dict[str, str]:
    """What is missing or wrong in a closing, by what it is about: a sentence that says what to do. Pure.

    Args:
        closing: Tidied.
        now: The present moment.
    """
    found: dict[str, str] = {}
    if closing.outcome == Outcome.DUPLICATE:
        if closing.duplicate_of_id is None:
            found["duplicate_of"] = "Enter the complaint at which the work goes on, such as C-42."
        return found
    if closing.outcome in CHANGED:
        if not closing.root_cause:
            found["root_cause"] = "Enter the root cause."
        if not closing.done:
            found["done"] = "Enter what was done, or why nothing was."
    if not closing.statement:
        found["statement"] = "Enter what customers are to read."
    if closing.segment != Segment.ALL and not closing.segment_value:
        found["segment_value"] = f"Enter which {closing.segment.value} it is effective for."
    start, asked = closing.effective_from, closing.ask_at
    if start is not None and start > now + FARTHEST:
        found["effective_from"] = "Enter a day within a year: close this when it is nearer."
    elif start is not None and start > now and asked is None:
        found["ask_at"] = (
            "It takes effect in the future: enter the day on which customers are asked whether it helped, not before."
        )
    if asked is not None and start is not None:
        if asked < start:
            found["ask_at"] = "Nobody can tell before it takes effect: enter that day or a later one."
        elif asked > max(start, now) + FARTHEST:
            found["ask_at"] = "Enter a day within a year after it takes effect."
    return found


def close(session: Session, item: ActionItem, closing: Closing, by: User, now: datetime, settings: Settings) -> Closure:
    """Close an item and prepare the run that tells those who raised it. Nothing is sent before that is released.

    Of a duplicate nobody is told now: they are told with those of the item at which the work goes on.

    Raises:
        Refused: It is closed already, something is missing, or its complaint was merged or dismissed.
    """
    demand_living(item)
    demand(item, "close")
    closing = tidied(closing, now)
    if found := faults(closing, now):
        raise Refused(" ".join(found.values()))
    other = None
    if closing.duplicate_of_id is not None:
        other = goes_on_at(session, item, closing.duplicate_of_id)
        demand(item, "close")  # as it stands now that both are ours
    number = (session.scalar(select(func.max(Closure.number)).where(Closure.action_item_id == item.id)) or 0) + 1
    closure = Closure(
        action_item=item,
        number=number,
        outcome=closing.outcome,
        done=closing.done,
        root_cause=closing.root_cause,
        statement=closing.statement if other is None else f"The work goes on at {other.complaint.number}.",
        effective_from=closing.effective_from,
        segment=closing.segment,
        segment_value=closing.segment_value,
        duplicate_of=other,
        ask_at=closing.ask_at,
        closed_by=by,
        closed_at=now,
    )
    session.add(closure)
    before = standing(item)
    waited = end_wait(item, now)
    item.status = Status.CLOSED
    item.owner = item.owner or by
    item.triaged_at = item.triaged_at or now
    session.flush()
    what: dict[str, Any] = {"closure_id": closure.id, **changed(before, item), **waited}
    if other is not None:
        text = f"Closed as a duplicate of {other.complaint.number}; they are told when that is closed."
        note(session, item, "closed", text, by, now, told=0, **what)
        tell(session, concerned(session, item), item, "closed", f"{by.name} closed this: {text}", now, by)
        text = f"{item.complaint.number} was closed as a duplicate of this; its people are told when this is closed."
        note(session, other, "duplicate", text, by, now, item_id=item.id)
        return closure
    run = prepare(session, closure, by, now, settings)
    told = session.scalar(select(func.count()).where(RunPerson.run_id == run.id, RunPerson.is_told)) or 0
    text = f"Closed as {OUTCOMES[closing.outcome]}; {told} to be told, once that is reviewed."
    note(session, item, "closed", text, by, now, told=told, **what)
    text = f"{by.name} closed this as {OUTCOMES[closing.outcome]}: {closure.statement}"
    tell(session, concerned(session, item), item, "closed", text, now, by)
    return closure


def goes_on_at(session: Session, item: ActionItem, other_id: int) -> ActionItem:
    """The item of which another may be closed as a duplicate, locked together with it.

    Raises:
        Refused: It is the item itself, is gone, is closed, or is a duplicate itself.
    """
    ids = {item.id, other_id}
    session.flush()
    rows = session.scalars(
        select(ActionItem)
        .where(ActionItem.id.in_(ids))
        .order_by(ActionItem.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    other = {row.id: row for row in rows}.get(other_id)
    if other is None:
        raise Refused("There is no such action item. Enter the complaint at which the work goes on, such as C-42.")
    number = other.complaint.number
    if other.id == item.id:
        raise Refused("An action item is no duplicate of itself. Enter the other complaint, such as C-42.")
    if other.complaint.state != ComplaintState.ACTIVE:
        raise Refused(f"{number} was {other.complaint.state.value}. Enter the complaint at which the work goes on.")
    last = latest_closure(session, other)
    if other.status in DONE and last is not None and last.duplicate_of is not None:
        into = last.duplicate_of
        if into.id == item.id:
            raise Refused(f"{number} was closed as a duplicate of this one. Close this one in its own right.")
        raise Refused(f"{number} is itself a duplicate of {into.complaint.number}. Enter {into.complaint.number}.")
    if other.status in DONE:
        raise Refused(
            f"{number} is closed already, so those who raised this would never be told. Reopen {number}, or close this "
            "one with a statement of its own."
        )
    return other


def quoted(text: str) -> str:
    """What a mail quotes of a statement: all of it, or its beginning."""
    return text if len(text) <= QUOTE_LENGTH else text[:QUOTE_LENGTH].rsplit(" ", 1)[0] + " …"


def asked_later(closing: Closing | Closure, told_at: datetime, settings: Settings) -> datetime | None:
    """When those told are asked whether it helped; None where the mail that tells them asks, or nobody does."""
    if closing.outcome not in CHANGED:
        return None
    after = timedelta(days=settings.follow_up_after_days)
    return asks_at(closing.effective_from or told_at, told_at, after, closing.ask_at)


def mail_data(person: Raiser, closing: Closing | Closure, asked: datetime | None) -> dict[str, object]:
    """What the mail needs to know.

    Args:
        asked: When another mail asks whether it helped; see `asked_later`.
    """
    return {
        **asking(asked),
        "quote": quoted(person.quote),
        "said_at": person.said_at.isoformat() if person.said_at else None,
        "statement": closing.statement.strip(),
        "outcome": closing.outcome.value,
        "effective_from": closing.effective_from.isoformat() if closing.effective_from else None,
        "language": person.language,
        "links": LINKS,
    }


def rendered(
    person: Raiser, closing: Closing | Closure, settings: Settings, told_at: datetime | None = None
) -> mail.Message:
    """The mail as one person will read it, with links that lead nowhere.

    Args:
        told_at: When they get it; after the hold, if it were released now, by default.
    """
    told_at = told_at or utc_now() + timedelta(minutes=settings.hold_minutes)
    draft = Notification(
        kind=KIND,
        address=person.address,
        name=person.name,
        data=mail_data(person, closing, asked_later(closing, told_at, settings)),
        message_id="<preview@localhost>",
    )
    return compose(draft, settings, "preview")


def preview(session: Session, item: ActionItem, closing: Closing, settings: Settings) -> mail.Message | None:
    """The mail as the first of those told will read it; None when there is nobody to tell."""
    person = one_raiser(session, item)
    return rendered(person, closing, settings) if person else None
