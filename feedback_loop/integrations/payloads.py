"""What an event says: thin, with ids, names and links. Written when it is sent: what was erased stays erased."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, NotificationRun
from feedback_loop.complaints.models import Complaint, Spike
from feedback_loop.followups.models import FollowUp, Verdict
from feedback_loop.integrations.catalogue import TEST
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings

Data = dict[str, Any]


def moment(at: datetime) -> str:
    """A moment as JSON knows it: in UTC."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def payload(session: Session, type: str, subject_id: int, at: datetime, settings: Settings) -> dict[str, Any] | None:
    """What is sent of an event.

    Returns:
        An object for JSON; None when what it is about is gone.
    """
    write = test if type == TEST else WRITERS[type.partition(".")[0]]
    data = write(session, subject_id, settings)
    return None if data is None else {"type": type, "timestamp": moment(at), "data": data}


def complaint_data(complaint: Complaint, settings: Settings) -> Data:
    """A complaint, as every event names it."""
    return {
        "number": complaint.number,
        "name": complaint.name,
        "people": complaint.people_count,
        "anonymous": complaint.anonymous_count,
        "url": f"{settings.public_url}/complaints/{complaint.id}",
    }


def item_data(item: ActionItem, settings: Settings) -> Data:
    """An action item as it stands now, as every event names it."""
    return {
        "id": item.id,
        "status": item.status.value,
        "priority": item.priority.value,
        "team": item.team.name,
        "owner": item.owner.name if item.owner else None,
        "due": moment(item.due_at) if item.due_at else None,
        "url": f"{settings.public_url}/actions/{item.id}",
    }


def closure_data(closure: Closure) -> Data:
    """A closing."""
    return {
        "number": closure.number,
        "outcome": closure.outcome.value,
        "statement": closure.statement,
        "closed_at": moment(closure.closed_at),
    }


def both(item: ActionItem, settings: Settings) -> Data:
    """An item and its complaint."""
    return {"item": item_data(item, settings), "complaint": complaint_data(item.complaint, settings)}


def complaint(session: Session, id: int, settings: Settings) -> Data | None:
    """A complaint was found."""
    found = session.get(Complaint, id)
    return {"complaint": complaint_data(found, settings)} if found else None


def history(session: Session, id: int, settings: Settings) -> Data | None:
    """Something stands in the history of an item."""
    event = session.get(ActionEvent, id)
    if event is None:
        return None
    item = session.get_one(ActionItem, event.action_item_id)
    data = both(item, settings) | {"by": event.by.name if event.by else None, "text": event.text}
    closure = session.get(Closure, event.data.get("closure_id") or 0)
    return data | ({"closing": closure_data(closure)} if closure else {})


def spike(session: Session, id: int, settings: Settings) -> Data | None:
    """A complaint is said unusually often."""
    found = session.get(Spike, id)
    if found is None:
        return None
    return {
        "complaint": complaint_data(found.complaint, settings),
        "statements": found.statements,
        "expected": round(found.expected, 1),
        "text": found.reason,
    }


def run(session: Session, id: int, settings: Settings) -> Data | None:
    """A notification run."""
    found = session.get(NotificationRun, id)
    if found is None:
        return None
    closure = found.closure
    starts = moment(found.starts_at) if found.starts_at else None
    return both(closure.action_item, settings) | {"run": {"id": found.id, "state": found.state.value, "starts": starts}}


def follow_up(session: Session, id: int, settings: Settings) -> Data | None:
    """A customer said whether it is fixed."""
    found = session.get(FollowUp, id)
    if found is None:
        return None
    said = {"fixed": found.fixed.value, "comment": found.comment, "customer_id": found.customer_id}
    return both(found.closure.action_item, settings) | {"follow_up": said}


def verdict(session: Session, id: int, settings: Settings) -> Data | None:
    """The verdict over a closing."""
    found = session.get(Verdict, id)
    if found is None:
        return None
    drawn = {"kind": found.kind.value, "reason": found.reason, "asked": found.asked, "yes": found.yes, "no": found.no}
    return both(found.closure.action_item, settings) | {"verdict": drawn}


def answer(session: Session, id: int, settings: Settings) -> Data | None:
    """An answer, redacted. Of an anonymous survey only its day, and nothing of where it came from."""
    found = session.get(Answer, id)
    if found is None or found.redacted_at is None:
        return None
    is_anonymous = found.survey.is_anonymous
    said: Data = {
        "score": found.score,
        "comment": found.comment or "",
        "answered_at": found.answered_at.date().isoformat() if is_anonymous else moment(found.answered_at),
    }
    if not is_anonymous:
        said |= {"id": found.id, "customer_id": found.customer_id}
    survey = {"slug": found.survey.slug, "name": found.survey.name, "scale": found.survey.scale.value}
    url = f"{settings.public_url}/surveys/{found.survey.slug}"
    return {"survey": survey | {"url": url}, "answer": said}


def test(_session: Session, _id: int, settings: Settings) -> Data:
    """Somebody tries an endpoint."""
    return {"text": f"A test from {settings.company_name}. Nothing has happened.", "url": settings.public_url}


WRITERS: dict[str, Callable[[Session, int, Settings], Data | None]] = {
    "answer": answer,
    "complaint": complaint,
    "spike": spike,
    "item": history,
    "run": run,
    "follow_up": follow_up,
    "verdict": verdict,
}
