"""Whether a refine is due: a pure decision, and the counts it needs."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.complaints.models import Refine, RefineState, Statement, StatementKind, StatementRole
from feedback_loop.responses.models import Answer

LEAST_STATEMENTS = 5  # below this there is nothing to compare
NEW_SHARE = 0.03  # a refine is due when so much of all statements is new
FAILED_PAUSE = timedelta(minutes=10)


def decide(new: int, known: int, waiting: bool, since_last: timedelta | None, gap: timedelta) -> bool:
    """Decide whether to refine.

    The first refine comes as soon as the first answers are analysed, so that nobody waits in front of an empty page;
    later ones when enough is new, or something is new and a day has passed.

    Args:
        new: Problem statements that no refine has seen.
        known: Statements the last refine saw.
        waiting: Whether answers are still waiting for their analysis.
        since_last: Time since the last refine; None if there was none.
        gap: Least time between two.
    """
    if since_last is None:
        return new >= LEAST_STATEMENTS and not waiting
    if since_last < gap or new == 0:
        return False
    return since_last > timedelta(days=1) or new >= max(3, NEW_SHARE * known)


def refine_is_due(session: Session, now: datetime, gap: timedelta, model: str | None = None) -> bool:
    """Whether a refine is due now.

    Args:
        now: The present moment.
        gap: Least time between two refines.
        model: The embedding model in use, if it is loaded: after a change of it, a refine gives all statements vectors
            of the new one.
    """
    failed = session.scalar(select(func.max(Refine.finished_at)).where(Refine.state == RefineState.FAILED))
    if failed is not None and now - failed < FAILED_PAUSE:
        return False
    last = session.scalar(select(Refine).where(Refine.state == RefineState.DONE).order_by(Refine.id.desc()).limit(1))
    if last is not None and model is not None and last.model != model:
        return True
    new = session.scalar(
        select(func.count()).where(
            Statement.id > (last.last_statement_id if last else 0),
            Statement.role == StatementRole.MAIN,
            Statement.kind == StatementKind.PROBLEM,
        )
    )
    waiting = session.scalar(select(1).where(Answer.redacted_at.is_not(None), Answer.analysed_at.is_(None)).limit(1))
    since_last = now - last.started_at if last else None
    return decide(new or 0, last.statements if last else 0, waiting is not None, since_last, gap)
