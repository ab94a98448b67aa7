"""How long it takes to prepare, show and release a notification run to many people.

    python bench/run.py [--people 10000] [--postgres postgresql://…]

Prints milliseconds, and how many of them the processor worked for us, on SQLite
and on a database of PostgreSQL made for it and dropped again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from databases import POSTGRES, database
from sqlalchemy import Engine, insert, text
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, User
from feedback_loop.accounts.service import add_team
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.models import ActionItem, NotificationRun, Outcome, Segment, Status
from feedback_loop.actions.runs import queries as runqueries
from feedback_loop.actions.runs import service as runs
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, Placed, Statement, StatementKind, StatementRole
from feedback_loop.db import make_engine, make_sessions, migrate
from feedback_loop.notifications.models import Suppression
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.settings import read_settings
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey

BAR = 5000  # milliseconds to prepare a run for 10,000 people


def seed(session: Session, people: int, now: datetime) -> tuple[ActionItem, User]:
    """People who all raised one complaint twice; every tenth has unsubscribed."""
    team = add_team(session, "Delivery", now)
    user = User(email="o@x.example", name="Omar", role=Role.ADMIN, team=team, password_hash="-", created_at=now)
    survey = add_survey(session, slug="s", name="S", question="", scale=ScaleName.HELPFUL, now=now)
    complaint = Complaint(name="Parcel never came", created_at=now, statement_count=2 * people)
    session.add_all([user, complaint])
    session.flush()
    item = ActionItem(complaint_id=complaint.id, team_id=team.id, status=Status.NEW, created_at=now)
    session.add(item)
    customers = [
        {"id": n, "email": f"c{n}@x.example", "name": f"C {n}", "created_at": now} for n in range(1, people + 1)
    ]
    session.execute(insert(Customer), customers)
    gone = [{"address": each["email"], "reason": "x", "created_at": now} for each in customers[::10]]
    session.execute(insert(Suppression), gone)
    answers, statements = [], []
    for n in range(2 * people):
        said = now - timedelta(minutes=n)
        context = {"page": "/checkout" if n % 3 else "/cart"}
        answers.append({
            "id": n + 1, "survey_id": survey.id, "customer_id": n % people + 1, "score": 0, "comment": "Late again.",
            "context": context, "answered_at": said, "received_at": said, "redacted_at": said, "analysed_at": said,
        })  # fmt: skip
        statements.append({
            "answer_id": n + 1, "customer_id": n % people + 1, "survey_id": survey.id, "position": 0,
            "role": StatementRole.MAIN,
            "kind": StatementKind.PROBLEM, "text": "The parcel came late again.", "said_at": said,
            "complaint_id": complaint.id, "placed": Placed.NEAREST, "confidence": 0.8,
        })  # fmt: skip
    session.execute(insert(Answer), answers)
    session.execute(insert(Statement), statements)
    session.commit()
    return item, user


def timed(name: str, work: Callable[[], object]) -> float:
    """Do it, and print how long that took.

    Returns:
        Milliseconds.
    """
    begin, cpu = time.perf_counter(), time.process_time()
    work()
    taken, own = (time.perf_counter() - begin) * 1000, (time.process_time() - cpu) * 1000
    print(f"  {name:24}{taken:8.0f} ms, {own:6.0f} of them our own")
    return taken


def measure(engine: Engine, people: int) -> bool:
    """Print the figures of one database.

    Returns:
        Whether a run was prepared in time.
    """
    in_time = True
    migrate(engine)
    settings, now = read_settings({"SECRET_KEY": "bench", "APPROVAL_ABOVE": "0"}), utc_now()
    for segment, value in ((Segment.ALL, ""), (Segment.PAGE, "/checkout")):
        with make_sessions(engine)() as session:
            if segment == Segment.ALL:
                item, user = seed(session, people, now)
            else:
                item, user = session.get_one(ActionItem, item.id), session.get_one(User, user.id)
                item.status = Status.REOPENED
            if engine.dialect.name == "postgresql":
                session.execute(text("ANALYZE"))
            session.commit()
            closing = Closing(Outcome.FIXED, "a", "b", "c", segment=segment, segment_value=value)
            print(f" for {segment.value}")

            def prepare(
                closing: Closing = closing, session: Session = session, item: ActionItem = item, by: User = user
            ) -> None:
                close(session, item, closing, by, now, settings)
                session.commit()

            in_time &= timed("prepare", prepare) <= BAR
            run = runqueries.run_of_item(session, item)
            assert run is not None
            timed("review", lambda s=session, r=run: runqueries.review(s, r))  # type: ignore[misc]
            timed("people, last page", lambda s=session, r=run: runqueries.people(s, r, "told", "", people // 60))  # type: ignore[misc]

            def release(session: Session = session, run: NotificationRun = run, by: User = user) -> None:
                runs.release(session, run, by, now, settings)
                session.commit()

            timed("release", release)
            timed("progress", lambda s=session, r=run: runqueries.progress(s, r))  # type: ignore[misc]
    return in_time


def main() -> int:
    """Measure both databases.

    Returns:
        The exit code: 1 where preparing took too long.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--postgres", default=POSTGRES)
    asked = parser.parse_args()
    in_time = True
    for kind, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        with tempfile.TemporaryDirectory() as folder, database(kind, Path(folder), "run", asked.postgres) as url:
            engine = make_engine(url)
            print(f"{name}, {asked.people:,} people")
            in_time &= measure(engine, asked.people)
            engine.dispose()
    print("Prepared in time." if in_time else f"Preparing took longer than {BAR / 1000:.0f} s.")
    return 0 if in_time else 1


if __name__ == "__main__":
    sys.exit(main())
