"""Whether a refine is due: a pure decision, and the counts it needs."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.complaints.models import Refine, RefineState, Statement, StatementKind, StatementRole
from feedback_loop.responses.waiting import to_analyse

LEAST_STATEMENTS = 5  # below this there is nothing to compare
NEW_SHARE = 0.03  # a refine is due when so much of all statements is new
FAILED_PAUSE = timedelta(minutes=10)  # after one that failed; twice as long after each further one
LONGEST_PAUSE = timedelta(hours=6)


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
    # A last one that lies ahead was of a clock that has been set back since.
    if timedelta() <= since_last < gap or new == 0:
        return False
    return since_last > timedelta(days=1) or new >= max(3, NEW_SHARE * known)


def pause(failures: int) -> timedelta:
    """How long to wait after so many refines in a row that failed: what took too much memory will again."""
    return min(FAILED_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE) if failures else timedelta()


def refine_is_due(session: Session, now: datetime, gap: timedelta, model: str | None = None) -> bool:
    """Whether a refine is due now.

    Args:
        now: The present moment.
        gap: Least time between two refines.
        model: The embedding model in use, if it is loaded: after a change of it, a refine gives all statements vectors
            of the new one.
    """
    last = session.scalar(select(Refine).where(Refine.state == RefineState.DONE).order_by(Refine.id.desc()).limit(1))
    failures, failed = session.execute(
        select(func.count(), func.max(Refine.finished_at)).where(
            Refine.state == RefineState.FAILED, Refine.id > (last.id if last else 0)
        )
    ).one()
    if failed is not None and timedelta() <= now - failed < pause(failures):
        return False
    if last is not None and model is not None and last.model != model:
        return True
    new = session.scalar(
        select(func.count()).where(
            Statement.id > (last.last_statement_id if last else 0),
            Statement.role == StatementRole.MAIN,
            Statement.kind == StatementKind.PROBLEM,
        )
    )
    waiting = session.scalar(select(1).where(*to_analyse()).limit(1))
    since_last = now - last.started_at if last else None
    return decide(new or 0, last.statements if last else 0, waiting is not None, since_last, gap)
