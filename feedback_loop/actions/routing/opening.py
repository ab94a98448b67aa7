"""Every complaint gets its action item, routed to a team."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.accounts.service import ensure_team
from feedback_loop.actions.models import ActionItem, Status
from feedback_loop.actions.notices import tell
from feedback_loop.actions.routing.deciding import Route, Rule, route
from feedback_loop.actions.routing.evidence import evidence_of, rules_asked
from feedback_loop.actions.service import note
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.complaints.models import Complaint, ComplaintState


def open_missing(session: Session, now: datetime, limit: int = 200, like: float = Thresholds().like) -> int:
    """Give every complaint that has none its action item, routed to a team.

    Args:
        session: A session that writes.
        now: The present moment.
        limit: At most so many.
        like: Likeness from which a complaint is like the examples of a rule; it belongs to the embedding model.

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
    rules = rules_asked(session)
    evidence = evidence_of(session, complaints, rules)
    opened = [
        (complaint, route(evidence[complaint.id], rules, default.id, default.name, like)) for complaint in complaints
    ]
    items = [opened_item(complaint, chosen, now) for complaint, chosen in opened]
    session.add_all(items)
    session.flush()
    for (complaint, chosen), item in zip(opened, items, strict=True):
        beside = given_beside(chosen.rule) if chosen.rule else ""
        text = f"Opened for {complaint.number}. {chosen.reason} {beside}".rstrip()
        note(session, item, "opened", text, None, now, rule=chosen.rule.place if chosen.rule else None)
        if item.owner_id is not None:
            tell(session, [item.owner_id], item, "assigned", f"“{complaint.name}” is yours. {chosen.reason}", now)
    return len(complaints)


def opened_item(complaint: Complaint, chosen: Route, now: datetime) -> ActionItem:
    """The new item of a complaint, with what a rule gives it."""
    item = ActionItem(
        complaint_id=complaint.id,
        team_id=chosen.team_id,
        routing_reason=chosen.reason,
        status=Status.NEW,
        created_at=now,
    )
    rule = chosen.rule
    if rule is not None:
        item.owner_id = rule.owner_id
        item.service_level_id = rule.service_level_id
        if rule.priority is not None:
            item.priority, item.priority_by_hand = rule.priority, True
            item.priority_reason = f"By rule {rule.place}."
    return item


def given_beside(rule: Rule) -> str:
    """What a rule gives an item beside its team, in a sentence; empty if nothing."""
    parts = [
        f"owner {rule.owner}" if rule.owner_id else "",
        f"priority {rule.priority.value}" if rule.priority else "",
        f"service level {rule.service_level}" if rule.service_level_id else "",
    ]
    given = ", ".join(part for part in parts if part)
    return f"{given[0].upper()}{given[1:]}." if given else ""
