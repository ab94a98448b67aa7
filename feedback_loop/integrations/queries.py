"""Named reads of endpoints, deliveries, trackers and their issues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.models import ActionItem
from feedback_loop.integrations.models import Delivery, DeliveryState, Endpoint, Tracker, TrackerIssue
from feedback_loop.tokens import hashed
from feedback_loop.web.paging import Page

DELIVERIES_A_PAGE = 50


@dataclass(frozen=True)
class Elsewhere:
    """What other systems have for an item.

    Attributes:
        issues: Made, or to be made, the newest first.
        has_tracker: Whether there is a tracker in which another one can be made.
    """

    issues: Sequence[TrackerIssue]
    has_tracker: bool


def endpoints(session: Session) -> Sequence[Endpoint]:
    """All of them."""
    return session.scalars(select(Endpoint).order_by(func.lower(Endpoint.name), Endpoint.id)).all()


def counts(session: Session, endpoint: Endpoint) -> dict[DeliveryState, int]:
    """How many deliveries of an endpoint stand where."""
    rows = session.execute(
        select(Delivery.state, func.count()).where(Delivery.endpoint_id == endpoint.id).group_by(Delivery.state)
    )
    return {state: count for state, count in rows}  # noqa: C416 (a row is not a pair to mypy)


def deliveries(session: Session, endpoint: Endpoint, state: DeliveryState | None, page: int) -> Page[Delivery]:
    """A page of the log, the newest first."""
    where = [Delivery.endpoint_id == endpoint.id] + ([Delivery.state == state] if state else [])
    total = session.scalar(select(func.count()).select_from(Delivery).where(*where)) or 0
    rows = session.scalars(
        select(Delivery)
        .where(*where)
        .order_by(Delivery.id.desc())
        .offset((page - 1) * DELIVERIES_A_PAGE)
        .limit(DELIVERIES_A_PAGE)
    ).all()
    return Page(rows, page, DELIVERIES_A_PAGE, total)


def trackers(session: Session) -> Sequence[Tracker]:
    """All of them; those not used any more last."""
    order = (Tracker.archived_at.is_not(None), func.lower(Tracker.name), Tracker.id)
    return session.scalars(select(Tracker).options(joinedload(Tracker.team)).order_by(*order)).all()


def is_for(item: ActionItem) -> ColumnElement[bool]:
    """Whether an issue for an item can be made in a tracker."""
    return Tracker.archived_at.is_(None) & or_(Tracker.team_id.is_(None), Tracker.team_id == item.team_id)


def trackers_for(session: Session, item: ActionItem) -> Sequence[Tracker]:
    """Trackers in which an issue for this item can be made."""
    return session.scalars(
        select(Tracker).where(is_for(item)).order_by(Tracker.team_id.is_(None), func.lower(Tracker.name), Tracker.id)
    ).all()


def tracker_by_hook(session: Session, token: str) -> Tracker | None:
    """The tracker to which an incoming webhook belongs."""
    return session.scalar(select(Tracker).where(Tracker.hook_hash == hashed(token)))


def issues_of(session: Session, item: ActionItem) -> Sequence[TrackerIssue]:
    """Issues made, or to be made, for an item, the newest first."""
    return elsewhere(session, item).issues


def elsewhere(session: Session, item: ActionItem) -> Elsewhere:
    """What other systems have for an item, in one query."""
    any_tracker = select(Tracker.id).where(is_for(item)).exists()
    one = select(any_tracker.label("has_tracker")).subquery()  # a row even where there is no issue
    rows = session.execute(
        select(one.c.has_tracker, TrackerIssue)
        .select_from(one)
        .outerjoin(TrackerIssue, TrackerIssue.action_item_id == item.id)
        .options(joinedload(TrackerIssue.tracker))
        .order_by(TrackerIssue.id.desc())
    ).all()
    return Elsewhere([issue for _, issue in rows if issue is not None], bool(rows[0].has_tracker))
