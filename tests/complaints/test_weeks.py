"""How often complaints were said lately is counted now and then, and the pages that look for growth read it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.complaints.models import ComplaintState, Weeks
from feedback_loop.complaints.service.weeks import count_weeks
from tests.factories import Make


def test_what_was_said_in_the_last_two_weeks_is_counted_anew_each_time(
    make: Make, session: Session, now: datetime
) -> None:
    said, quiet = make.complaint("Said"), make.complaint("Quiet")
    gone = make.complaint("Gone", state=ComplaintState.DISMISSED)
    for days in (1, 6, 8, 20):
        make.statement(said, said_at=now - timedelta(days=days))
    make.statement(quiet, said_at=now - timedelta(days=15))
    make.statement(gone, said_at=now - timedelta(days=1))
    for _ in range(2):
        assert count_weeks(session, now) == 1
        assert session.execute(select(Weeks.complaint_id, Weeks.recent, Weeks.before)).all() == [(said.id, 2, 1)]
    assert count_weeks(session, now + timedelta(days=14)) == 0
    assert session.scalars(select(Weeks)).all() == []
