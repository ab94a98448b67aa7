"""Preparing a notification run: everybody a closing concerns, who of them is told, and why the others are not."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, not_, select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.actions.audience.choosing import PASSING, Choice, choose
from feedback_loop.actions.audience.facts import facts
from feedback_loop.actions.audience.groups import group
from feedback_loop.actions.models import Closure, NotificationRun, RunPerson
from feedback_loop.settings import Settings

CHUNK = 1000


def prepare(session: Session, closure: Closure, by: User, now: datetime, settings: Settings) -> NotificationRun:
    """Make the run of a closing, to be reviewed. Nothing is sent by it."""
    run = NotificationRun(closure=closure, prepared_by=by, prepared_at=now)
    session.add(run)
    session.flush()
    take_in(session, run, now, settings)
    return run


def take_in(session: Session, run: NotificationRun, now: datetime, settings: Settings) -> Counter[str]:
    """Take everybody whom the closing concerns into a run.

    Those who are in it stay as they are; only whom the program left out for what may have passed is chosen anew.

    Returns:
        How many came in, by the reason why they are not told; those who are told under the empty one.
    """
    closure = run.closure
    passing = and_(RunPerson.by_hand.is_(False), RunPerson.reason.in_([each.value for each in PASSING]))
    present = select(RunPerson.customer_id).where(RunPerson.run_id == run.id, not_(passing))
    left_out = session.scalars(select(RunPerson).where(RunPerson.run_id == run.id, passing))
    earlier = {person.customer_id: person for person in left_out}
    known = facts(session, closure, group(session, closure.action_item), now, settings, present)
    rows: list[dict[str, Any]] = []
    came: Counter[str] = Counter()
    for customer_id in known.said:
        values = as_columns(choose(known.of(customer_id)))
        if customer_id in earlier:
            for name, value in values.items():
                setattr(earlier[customer_id], name, value)
            came[""] += values["is_told"]
        else:
            rows.append({"run_id": run.id, "customer_id": customer_id, **values})
            came[values["reason"]] += 1
    session.flush()
    for start in range(0, len(rows), CHUNK):
        session.execute(insert(RunPerson), rows[start : start + CHUNK])
    return came


def as_columns(choice: Choice) -> dict[str, Any]:
    """What a run keeps of a choice."""
    return {
        "statement_id": choice.statement_id,
        "is_told": choice.reason is None,
        "reason": choice.reason.value if choice.reason else "",
    }
