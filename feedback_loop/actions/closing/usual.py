"""How often a complaint is said, per answer: in a span of time, by experiences of a kind, where a closing applies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.audience.segments import inside
from feedback_loop.actions.models import ActionItem, Closure, Segment
from feedback_loop.complaints.models import Statement
from feedback_loop.complaints.places import Origin, values_of
from feedback_loop.complaints.trends import SAMPLE, origins
from feedback_loop.responses.counting import HEARD
from feedback_loop.responses.models import Answer, Invitation

BEFORE = timedelta(days=90)  # so long before a closing says what was usual
EXPERIENCED = ("experienced_at",)


@dataclass(frozen=True)
class Scope:
    """For whom a closing is effective."""

    segment: Segment = Segment.ALL
    value: str = ""


EVERYBODY = Scope()


@dataclass(frozen=True)
class Said:
    """An answer that raised a complaint.

    Attributes:
        answer_id: Which.
        customer_id: Whose; None of an anonymous one.
        experienced_at: When they met what they speak of.
    """

    answer_id: int
    customer_id: int | None
    experienced_at: datetime


def scope_of(closure: Closure) -> Scope:
    """For whom a closing is effective."""
    return Scope(closure.segment, closure.segment_value.strip())


def is_in(scope: Scope, origin: Origin) -> bool:
    """Whether an answer from there is of the changed thing. Pure; it means what it means for those who are told."""
    return inside(scope.segment, scope.value, origin.context, origin.language)


def experienced(context: dict[str, Any], invited_at: datetime | None, answered_at: datetime) -> datetime:
    """When somebody met what an answer speaks of. Pure.

    The moment that came along with the invitation or the answer, where there is one. Else it was before they were
    invited to say how it was, and in any case before they answered.

    Args:
        context: Of the answer.
        invited_at: When the invitation was made, if it came by one.
        answered_at: When they answered.
    """
    for value in values_of(context, EXPERIENCED):
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            continue
        return min(moment if moment.tzinfo else moment.replace(tzinfo=UTC), answered_at)
    return min(invited_at or answered_at, answered_at)


def said(
    session: Session, complaint_id: int, since: datetime, until: datetime, scope: Scope = EVERYBODY
) -> Sequence[Said]:
    """The newest answers in scope that raised a complaint in a span of time, 5,000 statements at most."""
    rows = session.execute(
        select(
            Statement.answer_id,
            Statement.customer_id,
            Statement.said_at,
            Statement.language,
            Answer.context,
            Invitation.created_at,
        )
        .join(Answer, Answer.id == Statement.answer_id)
        .outerjoin(Invitation, Invitation.id == Answer.invitation_id)
        .where(Statement.complaint_id == complaint_id, Statement.said_at > since, Statement.said_at <= until)
        .order_by(Statement.said_at.desc(), Statement.id.desc())
        .limit(SAMPLE)
    )
    found: dict[int, Said] = {}
    for row in rows:
        context = row.context or {}
        if row.answer_id not in found and is_in(scope, Origin(row.language, context)):
            moment = experienced(context, row.created_at, row.said_at)
            found[row.answer_id] = Said(row.answer_id, row.customer_id, moment)
    return list(found.values())


def heard(session: Session, since: datetime, until: datetime, scope: Scope = EVERYBODY) -> int:
    """How many answers with a comment were given in a span of time.

    Of a part of them the number is estimated: by its share of the newest 5,000, for no index helps with what stands in
    a context.
    """
    count = session.scalar(
        select(func.count()).select_from(Answer).where(Answer.answered_at > since, Answer.answered_at <= until, HEARD)
    )
    total = count or 0
    if scope.segment == Segment.ALL or not total:
        return total
    sample, _ = origins(session, since, until)
    of_it = sum(is_in(scope, origin) for origin in sample)
    return round(total * of_it / len(sample)) if sample else 0


def usual(session: Session, item: ActionItem, until: datetime, scope: Scope = EVERYBODY) -> dict[str, int]:
    """How often the complaint of an item was said in the 90 days before a moment, as `Closure.usual` keeps it.

    Returns:
        `statements`: answers that said it; `answers`: all answers with a comment; `days`.
    """
    since = until - BEFORE
    statements = (
        session.scalar(
            select(func.count(Statement.answer_id.distinct())).where(
                Statement.complaint_id == item.complaint_id, Statement.said_at > since, Statement.said_at <= until
            )
        )
        or 0
    )
    if scope.segment != Segment.ALL and statements:
        of_it = len(said(session, item.complaint_id, since, until, scope))
        statements = round(statements * of_it / min(statements, SAMPLE))
    return {
        "statements": statements,
        "answers": max(statements, heard(session, since, until, scope)),
        "days": BEFORE.days,
    }
