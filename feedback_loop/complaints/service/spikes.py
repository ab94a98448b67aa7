"""Looks for complaints that are said unusually often, and keeps one alert for each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, union, update
from sqlalchemy.orm import Session

from feedback_loop.complaints.models import Complaint, ComplaintState, Spike, SpikeState, Statement
from feedback_loop.complaints.queries import times_said
from feedback_loop.complaints.spikes import DAY, DAYS, LEAST, Alert, Change, Counts, Decision, decide
from feedback_loop.db import insert_missing

GONE = {ComplaintState.DISMISSED: "The complaint was dismissed.", ComplaintState.MERGED: "Merged into C-{}."}


def look_for_spikes(session: Session, now: datetime) -> int:
    """Start, go on with, return to and end alerts, by what was said in the last 29 days.

    Any number of workers may look at the same time: the table holds one running alert of a complaint, and an alert is
    changed only while it is as it was read.

    Args:
        session: A session that writes.
        now: The present moment.

    Returns:
        How many alerts began, returned or ended.
    """
    counts = counts_of_days(session, now)
    if not counts:
        return 0
    alerts = latest_alerts(session, [complaint.id for complaint, _ in counts])
    heard_since = session.scalar(select(func.min(Statement.said_at)).where(Statement.said_at > now - (DAYS + 1) * DAY))
    changed = 0
    for complaint, (last, *before) in counts:
        alert = alerts.get(complaint.id)
        if complaint.state == ComplaintState.ACTIVE:
            since = max(complaint.first_said_at or now, heard_since or now)
            known = Alert(alert.started_at, alert.last_at, alert.ended_at) if alert else None
            decision = decide(Counts(last, before, since), known, now)
        elif alert and alert.state == SpikeState.RUNNING:
            reason = GONE[complaint.state].format(complaint.merged_into_id)
            decision = Decision(Change.END, reason, alert.statements, alert.expected, alert.z)
        else:
            continue
        changed += write(session, complaint, alert, decision, now)
    return changed


def counts_of_days(session: Session, now: datetime) -> list[tuple[Complaint, list[int]]]:
    """Complaints that may have to be decided on, each with its statements of the last 29 times 24 hours, latest first.

    Those are the ones said often enough in the last 24 hours, and those with a running alert. All others have nothing
    to begin or to end, so their four weeks are not read.
    """
    loud = (
        select(Statement.complaint_id)
        .where(Statement.said_at > now - DAY, Statement.said_at <= now, Statement.complaint_id.is_not(None))
        .group_by(Statement.complaint_id)
        .having(func.count() >= LEAST)
    )
    alerted: Select[Any] = select(Spike.complaint_id).where(Spike.state == SpikeState.RUNNING)
    spans = [
        times_said(Complaint.id, Statement.said_at > now - (index + 1) * DAY, Statement.said_at <= now - index * DAY)
        for index in range(DAYS + 1)
    ]
    rows = session.execute(
        select(Complaint, *spans).where(Complaint.id.in_(union(loud, alerted))).order_by(Complaint.id)
    )
    return [(complaint, days) for complaint, *days in rows]


def latest_alerts(session: Session, complaint_ids: list[int]) -> dict[int, Spike]:
    """The newest alert of each of some complaints."""
    newest = select(func.max(Spike.id)).where(Spike.complaint_id.in_(complaint_ids)).group_by(Spike.complaint_id)
    rows = session.scalars(select(Spike).where(Spike.id.in_(newest)).execution_options(populate_existing=True))
    return {spike.complaint_id: spike for spike in rows}


def write(session: Session, complaint: Complaint, alert: Spike | None, decision: Decision, now: datetime) -> int:
    """Write what was decided.

    Returns:
        1 if an alert began, returned or ended, else 0.
    """
    found: dict[str, Any] = {
        "statements": decision.statements,
        "expected": decision.expected,
        "z": decision.z,
        "reason": decision.reason,
    }
    match decision.change:
        case Change.NONE:
            return 0
        case Change.START:
            row = {"complaint_id": complaint.id, "state": SpikeState.RUNNING, "started_at": now, "last_at": now}
            insert_missing(session, Spike, [row | {"returned": 0} | found])
            return 1
        case Change.GO_ON:
            found |= {"last_at": now}
        case Change.RETURN:
            found |= {"state": SpikeState.RUNNING, "last_at": now, "ended_at": None, "returned": Spike.returned + 1}
        case Change.END:
            found |= {"state": SpikeState.OVER, "ended_at": now}
    assert alert is not None
    done = session.execute(
        update(Spike)
        .where(Spike.id == alert.id, Spike.state == alert.state, Spike.last_at == alert.last_at)
        .values(found)
        .execution_options(synchronize_session=False)
    )
    return int(bool(done.rowcount) and decision.change != Change.GO_ON)  # type: ignore[attr-defined]
