"""Fills a database for `pages.py`: as many answers as asked for, and beside them the same company in every size.

2,000 complaints with an action item each, 200,000 customers, people, teams, rules, histories, closings with what was
mailed and answered, alerts, refines, corrections, mailings. Complaint 1 to 4 get 7 % of the statements each, the others
as in a law of Zipf; the answers spread over a year, most of them to one survey. The rows are written past the product,
so the store stands within a minute or two; counts are then made by the product itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from feedback_loop.complaints.service.counts import count_again
from feedback_loop.complaints.service.weeks import count_weeks
from feedback_loop.db import Base, make_engine, make_sessions, migrate
from feedback_loop.responses.counting import count_days
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey, archive
from pages_store.company import company
from pages_store.mail import mail
from pages_store.said import speak
from pages_store.sizes import COMPLAINTS, SURVEYS
from pages_store.store import Store
from pages_store.work import work


def build(url: str, count: int, now: datetime) -> None:
    """Fill an empty database with `count` answers and what goes with them."""
    engine = make_engine(url)
    migrate(engine)
    with make_sessions(engine).begin() as session:
        for name, scale, _, _ in SURVEYS:
            add_survey(session, slug=name, name=name.title(), question="", scale=scale, now=now - timedelta(days=400))
        add_survey(
            session, slug="nameless", name="Nameless", question="", scale=ScaleName.CSAT, now=now, is_anonymous=True
        )
        limited = add_survey(session, slug="limited", name="Limited", question="", scale=ScaleName.CSAT, now=now)
        limited.answer_limit = 5_000
        for number in range(30):
            idle = add_survey(
                session, slug=f"idle-{number}", name=f"Idle {number}", question="", scale=ScaleName.CES, now=now
            )
            if number % 2:
                archive(session, idle, now)
    with engine.connect() as connection:
        # Written faster and less safely: a store that breaks off is thrown away.
        raw: Any = connection.connection.driver_connection
        if engine.dialect.name == "sqlite":
            for pragma in ("synchronous=OFF", "cache_size=-400000", "foreign_keys=OFF"):
                raw.execute(f"PRAGMA {pragma}")
        with connection.begin():
            if (
                engine.dialect.name == "postgresql"
                and connection.scalar(text("SELECT current_setting('is_superuser')")) == "on"
            ):
                connection.execute(text("SET LOCAL session_replication_role = replica"))  # checks no foreign keys
            indexes = [index for table in Base.metadata.sorted_tables for index in table.indexes]
            for index in indexes:
                index.drop(connection)
            store = Store(connection, count, now)
            company(store)
            said = speak(store)
            work(store, said)
            mail(store)
            store.numbered()
            for index in indexes:
                index.create(connection)
    engine.dispose()
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    with make_sessions(engine).begin() as session:
        count_again(session, range(1, COMPLAINTS + 1))
        count_weeks(session, now)
    count_days(make_sessions(engine), now)
    engine.dispose()
