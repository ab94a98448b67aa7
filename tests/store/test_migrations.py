"""Migrations there and back, on both databases, with rows in the tables that they touch."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import inspect, text

from feedback_loop.accounts.models import Role
from feedback_loop.db import alembic_config, is_current, make_engine, migrate
from feedback_loop.inbound.models import InboundMail, InboundPoll, Kind, Lift, Way
from feedback_loop.jobs.models import StepRun
from feedback_loop.notifications.models import Cause, NotificationState, Scope, Suppression
from feedback_loop.settings import Settings
from feedback_loop.store.moving import move
from feedback_loop.watching.models import StuckDecision
from tests.conftest import NOW
from tests.store.conftest import at_home, postgres_url


def fill(settings: Settings) -> None:
    """A row in every table that migrations 0018 to 0024 touch."""
    with at_home(settings) as make:
        ada = make.user("Ada", Role.ADMIN)
        statement = make.statement(make.complaint(), survey=make.survey())
        assert statement.survey_id
        make.answer("Set aside.", set_aside_at=NOW, trouble="It could not be read.")
        mail = make.notification(customer=make.customer("Cyd"), doubtful=1)
        make.sent(mail)
        mail.state, mail.bounced_at = NotificationState.BOUNCED, NOW
        make.notification(customer=make.customer("Dan"))
        scoped = {"scope": Scope.EVERYTHING, "cause": Cause.BOUNCED, "reason": "came back"}
        make.session.add_all(
            [
                Suppression(address="cyd@example.com", created_at=NOW, notification_id=mail.id, by_id=ada.id, **scoped),
                InboundMail(
                    key="k", way=Way.COMMAND, kind=Kind.BOUNCE, received_at=NOW, reason="550", notification_id=mail.id
                ),
                InboundPoll(id=1, polled_at=NOW),
                Lift(address="dan@example.com", since=NOW, why="asked", by_id=ada.id, at=NOW, **scoped),
                StepRun(name="send mail", every_seconds=2, runs=2**40),
                StuckDecision(at=NOW, by_id=ada.id, kind="mail", verb="discard", count=1, why="no such address"),
            ]
        )
        make.session.execute(text("INSERT INTO channels (name, failures, reason) VALUES ('mail', 3, 'refused')"))


def test_there_and_back_with_rows(home: Settings) -> None:
    fill(home)
    engine = make_engine(home.database_url)
    try:
        for revision in ("0023", "0021", "0020", "0019", "0018", "0017"):
            command.downgrade(alembic_config(engine), revision)
        with engine.connect() as connection:
            states = connection.execute(text("SELECT state, reason FROM notifications ORDER BY id")).all()
            assert [tuple(each) for each in states] == [("failed", "bounced"), ("pending", "")]
            assert connection.execute(text("SELECT address FROM suppressions")).scalar_one() == "cyd@example.com"
            assert "survey_id" not in {each["name"] for each in inspect(connection).get_columns("statements")}
        migrate(engine)
        assert is_current(engine)
        with engine.connect() as connection:
            lost = (
                "SELECT count(*) FROM statements s JOIN answers a ON a.id = s.answer_id WHERE a.survey_id = s.survey_id"
            )
            assert connection.execute(text(lost)).scalar_one() == 1
            if engine.dialect.name == "sqlite":
                assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
                assert not connection.execute(text("PRAGMA foreign_key_check")).all()
    finally:
        engine.dispose()


def test_the_newest_tables_are_moved_and_numbered_on(
    file_home: Settings, postgres_name: str, tmp_path: pytest.TempPathFactory
) -> None:
    fill(file_home)
    there = move(file_home.database_url, postgres_url(postgres_name))
    back = move(postgres_url(postgres_name), f"sqlite:///{tmp_path}/back.db")
    assert there.checksums == back.checksums
    names = ("inbound_mails", "inbound_polls", "lifts", "step_runs", "stuck_decisions", "channels", "suppressions")
    assert [there.rows[name] for name in names] == [1] * len(names)
    engine = make_engine(postgres_url(postgres_name))
    with engine.begin() as connection:
        for table in ("notifications", "suppressions", "inbound_mails", "lifts", "stuck_decisions"):
            given = connection.execute(text(f"SELECT nextval(pg_get_serial_sequence('{table}', 'id'))")).scalar_one()
            assert given == there.rows[table] + 1, table
    engine.dispose()
