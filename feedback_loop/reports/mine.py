"""What needs one owner today: their action items by what they need next, and those of their team that nobody owns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import User
from feedback_loop.actions.models import ActionItem, Closure, NotificationRun, Status
from feedback_loop.actions.queries import OPEN, is_listed, is_overdue
from feedback_loop.actions.triage.queries import is_awake, people_of
from feedback_loop.complaints.models import Complaint
from feedback_loop.followups.models import Verdict
from feedback_loop.reports.today import IN_REVIEW

SOON = timedelta(days=3)
VERDICT_IS_NEWS = timedelta(days=14)
ITEMS_A_NEED = 5


class Need(StrEnum):
    """What an item needs next, the most pressing first. An item stands at the first that fits."""

    OVERDUE = "overdue"
    DUE_SOON = "due_soon"
    CAME_BACK = "came_back"
    TAKE_ON = "take_on"
    GO_ON = "go_on"
    CLOSE = "close"
    REVIEW = "review"
    VERDICT = "verdict"


class Step(StrEnum):
    """What one does next with an item."""

    TAKE_ON = "take_on"
    GO_ON = "go_on"
    CLOSE = "close"
    REVIEW = "review"
    READ = "read"


@dataclass(frozen=True)
class Mine:
    """An action item, and the next step with it."""

    item: ActionItem
    step: Step


@dataclass(frozen=True)
class Needed:
    """The items that need the same: how many, and the first of them."""

    need: Need
    number: int
    items: Sequence[Mine]


def step_of(need: Need, status: Status) -> Step:
    """What one does next with an item: a pure decision."""
    if need == Need.REVIEW:
        return Step.REVIEW
    if status in (Status.NEW, Status.TRIAGED, Status.REOPENED):
        return Step.TAKE_ON
    return {Status.WAITING: Step.GO_ON, Status.IN_PROGRESS: Step.CLOSE}.get(status, Step.READ)


def need_of(now: datetime) -> ColumnElement[str | None]:
    """What an item needs next, as a column; NULL for nothing."""
    latest = (
        select(func.max(Closure.id))
        .where(Closure.action_item_id == ActionItem.id, Closure.withdrawn_at.is_(None))
        .correlate(ActionItem)
        .scalar_subquery()
    )
    in_review = select(NotificationRun.id).where(
        NotificationRun.closure_id == latest, NotificationRun.state.in_(IN_REVIEW)
    )
    news = select(Verdict.id).where(Verdict.closure_id == latest, Verdict.decided_at > now - VERDICT_IS_NEWS)
    return case(
        (is_overdue(now), Need.OVERDUE.value),
        (ActionItem.status.in_(OPEN) & (ActionItem.due_at < now + SOON), Need.DUE_SOON.value),
        (ActionItem.status == Status.REOPENED, Need.CAME_BACK.value),
        (ActionItem.status.in_([Status.NEW, Status.TRIAGED]), Need.TAKE_ON.value),
        (ActionItem.status == Status.WAITING, Need.GO_ON.value),
        (ActionItem.status == Status.IN_PROGRESS, Need.CLOSE.value),
        (in_review.exists(), Need.REVIEW.value),
        (news.exists(), Need.VERDICT.value),
    )


def mine(session: Session, user: User, now: datetime) -> list[Needed]:
    """What needs somebody, the most pressing first: one query, however many items they have.

    What triage has put off does not count, unless it is theirs.
    """
    theirs: ColumnElement[bool] = ActionItem.owner_id == user.id
    if user.team_id is not None:
        of_team = and_(ActionItem.owner_id.is_(None), ActionItem.team_id == user.team_id, is_awake(now))
        theirs = or_(theirs, of_team)
    need = need_of(now)
    place = func.row_number().over(
        partition_by=need,
        order_by=[ActionItem.due_at.asc().nulls_last(), people_of().desc(), ActionItem.id],
    )
    ranked = (
        select(
            ActionItem.id.label("item_id"),
            need.label("need"),
            place.label("place"),
            func.count().over(partition_by=need).label("number"),
        )
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(is_listed(), theirs, need.is_not(None))
        .subquery()
    )
    rows = session.execute(
        select(ActionItem, ranked.c.need, ranked.c.number)
        .join(ranked, ranked.c.item_id == ActionItem.id)
        .where(ranked.c.place <= ITEMS_A_NEED)
        .order_by(ranked.c.place)
        .options(joinedload(ActionItem.complaint), joinedload(ActionItem.owner))
    ).all()
    found = []
    for each in Need:
        items = [(item, number) for item, need_name, number in rows if need_name == each]
        if items:
            found.append(Needed(each, items[0][1], [Mine(item, step_of(each, item.status)) for item, _ in items]))
    return found
