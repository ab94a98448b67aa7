"""Verbs on action items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop import mail
from feedback_loop.accounts.models import Role, Team, User
from feedback_loop.accounts.service import ensure_team
from feedback_loop.actions.audience import Raiser, raisers
from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, Outcome, RoutingRule, Status
from feedback_loop.actions.routing import Evidence, Rule, route
from feedback_loop.actions.transitions import may
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement
from feedback_loop.complaints.queries import surviving
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import Owed, cancel, compose, owe
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings

KIND = "closure"
QUOTE_LENGTH = 300
LINKS = {"yes_url": "/f/{token}?answer=yes", "no_url": "/f/{token}?answer=no"}
EVIDENCE_TEXTS = 12


class Refused(ValueError):
    """What was asked for is not possible now; the message says why, for people."""


@dataclass(frozen=True)
class Closing:
    """What an owner says when closing."""

    outcome: Outcome
    done: str
    root_cause: str
    statement: str


def may_work_on(user: User, item: ActionItem) -> bool:
    """Leads and admins work on every item, owners on those that are theirs or their team's."""
    if user.role.includes(Role.LEAD):
        return True
    return user.role == Role.OWNER and (item.owner_id == user.id or item.team_id == user.team_id)


def note(
    session: Session, item: ActionItem, kind: str, text: str, by: User | None, now: datetime, **data: object
) -> None:
    """Add an entry to an item's history. What a person did makes the complaint theirs: no refine empties it."""
    if by is not None:
        item.complaint.kept = True
    session.add(ActionEvent(action_item_id=item.id, at=now, by=by, kind=kind, text=text, data=data))


def demand(item: ActionItem, verb: str) -> None:
    """Refuse what the table of transitions does not allow."""
    if refusal := may(item.status, verb):
        raise Refused(refusal)


def demand_living(item: ActionItem) -> None:
    """Refuse work on what was merged into another complaint, or dismissed."""
    complaint = item.complaint
    if complaint.state == ComplaintState.MERGED:
        raise Refused(
            f"{complaint.number} was merged into C-{complaint.merged_into_id}; the work goes on at its action item."
        )
    if complaint.state == ComplaintState.DISMISSED:
        raise Refused(f"{complaint.number} was dismissed as not a complaint. Undo that under “Corrections” first.")


def take_on(session: Session, item: ActionItem, by: User, now: datetime) -> None:
    """Begin work: the person becomes the owner.

    Raises:
        Refused: It is being worked on, or closed; or its complaint was merged or dismissed.
    """
    demand_living(item)
    demand(item, "take_on")
    item.status = Status.IN_PROGRESS
    item.owner = by
    note(session, item, "taken_on", f"{by.name} took this on.", by, now)


def assign(session: Session, item: ActionItem, team: Team, owner: User | None, by: User, now: datetime) -> None:
    """Give an item to a team and, if named, to one of its people.

    Raises:
        Refused: The owner is inactive or only reads; or the complaint was merged or dismissed.
    """
    demand_living(item)
    if owner is not None and (not owner.is_active or owner.role == Role.VIEWER):
        raise Refused(f"{owner.name} cannot own action items: choose somebody who is active and not only a viewer.")
    if item.team_id == team.id and item.owner_id == (owner.id if owner else None):
        return
    item.team = team
    item.owner = owner
    who = f"{team.name}, {owner.name}" if owner else team.name
    note(session, item, "assigned", f"Assigned to {who}.", by, now)


def set_due(session: Session, item: ActionItem, due_at: datetime | None, by: User, now: datetime) -> None:
    """Set or clear the due date."""
    if item.due_at == due_at:
        return
    item.due_at = due_at
    text = f"Due {due_at.astimezone(UTC):%d %b %Y}." if due_at else "No due date any more."
    note(session, item, "due", text, by, now)


def add_comment(session: Session, item: ActionItem, text: str, by: User, now: datetime) -> None:
    """Write a comment into the history; colleagues read it, customers never."""
    note(session, item, "comment", text, by, now)


def goes_on_in(session: Session, item: ActionItem) -> ActionItem:
    """The item at which work goes on: that of the complaint into which this one's was merged, itself otherwise."""
    complaint = surviving(session, item.complaint)
    if complaint.id == item.complaint_id:
        return item
    other = session.scalar(select(ActionItem).where(ActionItem.complaint_id == complaint.id))
    return other or item


def latest_closure(session: Session, item: ActionItem) -> Closure | None:
    """The newest closing of an item, or None."""
    return session.scalar(
        select(Closure).where(Closure.action_item_id == item.id).order_by(Closure.number.desc()).limit(1)
    )


def close(session: Session, item: ActionItem, closing: Closing, by: User, now: datetime, settings: Settings) -> Closure:
    """Close an item and owe every customer who raised it one message.

    Raises:
        Refused: It is closed already, what is to be told is missing, or its complaint was merged or dismissed.
    """
    demand_living(item)
    demand(item, "close")
    if not (closing.done.strip() and closing.root_cause.strip() and closing.statement.strip()):
        raise Refused("Say what was done, what caused it, and what customers are to read.")
    number = (session.scalar(select(func.max(Closure.number)).where(Closure.action_item_id == item.id)) or 0) + 1
    closure = Closure(
        action_item=item,
        number=number,
        outcome=closing.outcome,
        done=closing.done.strip(),
        root_cause=closing.root_cause.strip(),
        statement=closing.statement.strip(),
        closed_by=by,
        closed_at=now,
    )
    session.add(closure)
    item.status = Status.CLOSED
    item.owner = item.owner or by
    session.flush()
    told = owe(
        session,
        KIND,
        closure.event,
        messages(raisers(session, item), closing),
        next_at=now + timedelta(minutes=settings.hold_minutes),
        now=now,
        settings=settings,
    )
    note(
        session,
        item,
        "closed",
        f"Closed as {closing.outcome.value}; {told} to be told.",
        by,
        now,
        closure_id=closure.id,
        told=told,
    )
    return closure


def messages(people: Iterator[Raiser], closing: Closing) -> Iterator[Owed]:
    """The message owed to each person."""
    for person in people:
        yield Owed(f"customer:{person.customer_id}", person.address, person.name, mail_data(person, closing))


def mail_data(person: Raiser, closing: Closing) -> dict[str, object]:
    """What the mail needs to know."""
    quote = person.quote if len(person.quote) <= QUOTE_LENGTH else person.quote[:QUOTE_LENGTH].rsplit(" ", 1)[0] + " …"
    return {
        "quote": quote,
        "said_at": person.said_at.isoformat(),
        "statement": closing.statement.strip(),
        "outcome": closing.outcome.value,
        "language": person.language,
        "links": LINKS,
    }


def preview(session: Session, item: ActionItem, closing: Closing, settings: Settings) -> mail.Message | None:
    """The mail as the first of those told will read it; None when there is nobody to tell."""
    person = next(raisers(session, item, limit=1), None)
    if person is None:
        return None
    draft = Notification(
        kind=KIND,
        address=person.address,
        name=person.name,
        data=mail_data(person, closing),
        message_id="<preview@localhost>",
    )
    return compose(draft, settings, "preview")


def verify(session: Session, item: ActionItem, reason: str, now: datetime) -> None:
    """Customers confirmed the fix.

    Raises:
        Refused: The item is not closed.
    """
    demand(item, "verify")
    item.status = Status.VERIFIED
    note(session, item, "verified", reason, None, now)


def reopen(session: Session, item: ActionItem, reason: str, by: User | None, now: datetime) -> None:
    """Open a closed item again, with its history; what its closing still owes is not sent.

    Args:
        by: The person who does it, or None when customers' answers did.

    Raises:
        Refused: The item is not closed.
    """
    if by is not None:
        demand_living(item)
    demand(item, "reopen")
    item.status = Status.REOPENED
    item.reopened_count += 1
    session.flush()  # the item first, then its notifications: the order in which customers' answers lock them, too
    closure = latest_closure(session, item)
    unsent = 0
    if closure is not None:
        unsent = cancel(session, closure.event, "The closing was taken back before this was sent.")
        if by is not None:
            closure.withdrawn_at = now
    text = reason.strip() + (f" {unsent} not yet sent will not be sent." if unsent else "")
    note(session, item, "reopened", text, by, now, unsent=unsent)


def open_missing(session: Session, now: datetime, limit: int = 200) -> int:
    """Give every complaint that has none its action item, routed to a team.

    Returns:
        How many items were opened.
    """
    complaints = session.scalars(
        select(Complaint)
        .outerjoin(ActionItem, ActionItem.complaint_id == Complaint.id)
        .where(ActionItem.id.is_(None), Complaint.state == ComplaintState.ACTIVE)
        .order_by(Complaint.id)
        .limit(limit)
    ).all()
    if not complaints:
        return 0
    default = ensure_team(session, now)
    rules = [
        Rule(rule.team_id, rule.team.name, rule.keyword, rule.survey_id, rule.survey.name if rule.survey else "")
        for rule in session.scalars(select(RoutingRule).order_by(RoutingRule.position, RoutingRule.id))
    ]
    for complaint in complaints:
        chosen = route(evidence_of(session, complaint), rules, default.id, default.name)
        item = ActionItem(
            complaint_id=complaint.id,
            team_id=chosen.team_id,
            routing_reason=chosen.reason,
            status=Status.NEW,
            created_at=now,
        )
        session.add(item)
        session.flush()
        note(session, item, "opened", f"Opened for {complaint.number}. {chosen.reason}", None, now)
    return len(complaints)


def evidence_of(session: Session, complaint: Complaint) -> Evidence:
    """What routing needs to know of a complaint."""
    texts = session.scalars(
        select(Statement.text)
        .where(Statement.complaint_id == complaint.id)
        .order_by(Statement.is_exemplar.desc(), Statement.confidence.desc(), Statement.id)
        .limit(EVIDENCE_TEXTS)
    ).all()
    surveys = session.execute(
        select(Answer.survey_id, func.count())
        .join(Statement, Statement.answer_id == Answer.id)
        .where(Statement.complaint_id == complaint.id)
        .group_by(Answer.survey_id)
    ).all()
    total = sum(count for _, count in surveys)
    return Evidence(complaint.name, complaint.keywords, texts, {survey: count / total for survey, count in surveys})
