"""What monitoring asks: health and metrics."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop.app import create_app
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, make_engine, reading
from feedback_loop.jobs.steps import Steps
from feedback_loop.settings import SettingError, Settings, read_settings
from feedback_loop.watching import stuck
from feedback_loop.watching.probes import facts, health
from feedback_loop.watching.probes.health import OK, Health
from tests.factories import Make

OF_SOME_ROWS = r"INDEX ix_(answers_un|answers_set_aside|notifications_(due|failed|tried)|searches_waiting)"
TOKEN = "a-token-of-some-length"
HERE = {"REMOTE_ADDR": "127.0.0.1"}


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "REMEMBER", -1.0)
    monkeypatch.setattr(facts, "REMEMBER", -1.0)


def test_a_process_that_lives_says_so_without_a_database_or_a_cookie(client: FlaskClient) -> None:
    response = client.get("/health/live")
    assert response.json == {"status": "ok"}
    assert "Set-Cookie" not in response.headers


def test_a_process_that_can_serve_says_so(client: FlaskClient, engine: Engine) -> None:
    response = client.get("/health/ready")
    disk = {"disk": "ok"} if engine.dialect.name == "sqlite" else {}
    assert (response.status_code, response.json) == (
        200, {"status": "ok", "checks": {"database": "ok", "schema": "ok", **disk}},
    )  # fmt: skip
    assert "Set-Cookie" not in response.headers


def test_it_answers_while_somebody_writes(client: FlaskClient, sessions: Sessions) -> None:
    with sessions() as writer:
        writer.execute(text("DELETE FROM ticks"))
        began = time.monotonic()
        assert client.get("/health/ready").status_code == 200
        assert time.monotonic() - began < 3
        writer.rollback()


def test_another_schema_is_not_ready(engine: Engine) -> None:
    found = Health(engine.url.render_as_string(hide_password=False), frozenset({"9999"})).checks()
    assert found["database"] == OK
    assert "feedback-loop init" in found["schema"]


@pytest.mark.parametrize("url", ["postgresql+psycopg://secret:word@127.0.0.1:1/nothing", "sqlite:////nowhere/else.db"])
def test_a_database_that_does_not_answer_is_named_without_secrets(url: str) -> None:
    found = Health(url, frozenset({"1"})).checks()
    assert found["database"].startswith("does not answer (")
    assert not re.search("secret|word|nowhere|127", str(found))


def test_an_answer_is_remembered_for_all_who_ask_at_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "REMEMBER", 60.0)
    looks: list[int] = []
    asked = Health("sqlite://", frozenset())
    monkeypatch.setattr(Health, "look", lambda _self: looks.append(1) or {"database": OK})
    threads = [threading.Thread(target=asked.checks) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert looks == [1]


def test_a_read_only_file_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    path.touch()
    assert health.disk(path) == OK
    assert health.disk(tmp_path / "none" / "a.db").startswith("takes no writes (No such file")
    assert list(tmp_path.iterdir()) == [path], "leaves nothing behind"


def families(response: TestResponse) -> dict[str, dict[str, float]]:
    """The samples of a page of metrics, by name and labels."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(response.get_data(as_text=True)):
        for each in family.samples:
            found.setdefault(each.name, {})[str(sorted(each.labels.items()))] = each.value
    return found


def value(found: dict[str, dict[str, float]], name: str, **labels: str) -> float:
    return found[f"feedback_loop_{name}"][str(sorted(labels.items()))]


def test_metrics_tell_what_waits_and_how_old_it_is(
    client: FlaskClient, sessions: Sessions, settings: Settings, make: Make, now: datetime
) -> None:
    make.answer("one", analysed_at=None)
    old = make.answer("two", analysed_at=None)
    old.redacted_at, old.claimed_until = now - timedelta(hours=1), now - timedelta(hours=1)
    make.answer("three", analysed_at=None).set_aside_at = now
    make.notification()
    make.notification(event="x:1", state="failed", reason="no")
    make.session.commit()
    steps = Steps()
    with steps.observed(sessions, "rate", timedelta(minutes=2), lambda: now):
        raise ValueError
    steps.write(sessions)
    with reading(sessions) as session:
        read = facts.read(session, settings.database_url, now)
    found = {(each.name, *each.labels.values()): each.value for each in read}
    assert found["queue_depth", "analyse"] == 2
    assert found["queue_oldest_seconds", "analyse"] == 3600
    assert found["queue_overdue_leases", "analyse"] == 1
    assert found["queue_depth", "mail"] == 1
    assert found["mails_failed",] == found["answers_set_aside",] == 1
    assert (found["step_failing", "rate"], found["step_failures_total", "rate"]) == (1, 1)
    assert found["database_bytes",] > 0
    told = families(client.get("/metrics", environ_base=HERE))
    assert value(told, "queue_depth", queue="analyse") == 2
    assert value(told, "database_up") == 1


def test_a_depth_stops_at_its_cap(
    sessions: Sessions, make: Make, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "CAP", 2)
    for number in range(4):
        make.answer(f"{number}", analysed_at=None)
    make.session.commit()
    with reading(sessions) as session:
        depths = [each for each in facts.of_queues(session, now) if each.name == "queue_depth"]
    found = {each.labels["queue"]: each.value for each in depths}
    assert found["analyse"] == 2


def test_metrics_count_the_requests_of_this_process_by_route(client: FlaskClient, make: Make) -> None:
    _, token = make.invitation()
    make.session.commit()
    client.get(f"/i/{token}", buffered=True)
    response = client.get("/metrics", environ_base=HERE)
    assert 'route="/i/<token>",status="200"' in response.get_data(as_text=True)
    assert token not in response.get_data(as_text=True)


def test_without_a_database_the_process_tells_its_own_counts(settings: Settings, tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    from feedback_loop.db import make_sessions

    client = create_app(settings, make_sessions(engine)).test_client()
    client.get("/health/live", buffered=True)
    text = client.get("/metrics", environ_base=HERE).get_data(as_text=True)
    assert "feedback_loop_database_up 0.0" in text
    assert 'route="/health/live"' in text
    engine.dispose()


@pytest.mark.parametrize(
    ("changes", "headers", "address", "status"),
    [
        ({}, {}, "127.0.0.1", 200),
        ({}, {}, "203.0.113.9", 403),
        ({}, {"X-Forwarded-For": "203.0.113.9"}, "127.0.0.1", 403),
        ({"trusted_proxies": 1}, {"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1", 403),
        ({"trusted_proxies": 1}, {}, "127.0.0.1", 200),
        ({"public_url": "http://feedback.example"}, {}, "127.0.0.1", 403),
        # A proxy that tells nothing of whom it asks for looks like this machine.
        ({"public_url": "http://feedback.example", "trusted_proxies": 1}, {}, "127.0.0.1", 403),
        ({"metrics_token": TOKEN}, {}, "127.0.0.1", 401),
        ({"metrics_token": TOKEN}, {"Authorization": f"Bearer {TOKEN[:-1]}X"}, "127.0.0.1", 401),
        ({"metrics_token": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}, "203.0.113.9", 200),
    ],
)  # fmt: skip
def test_who_may_read_the_metrics(
    settings: Settings, sessions: Sessions, changes: dict[str, object], headers: dict[str, str], address: str,
    status: int,
) -> None:  # fmt: skip
    client = create_app(replace(settings, **changes), sessions).test_client()  # type: ignore[arg-type]
    response = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert response.status_code == status
    assert "Set-Cookie" not in response.headers


def test_a_short_token_is_refused() -> None:
    with pytest.raises(SettingError, match="METRICS_TOKEN cannot be used"):
        read_settings({"SECRET_KEY": "k", "METRICS_TOKEN": "short"})


def test_every_query_walks_an_index(sessions: Sessions, engine: Engine, now: datetime) -> None:
    """At a million rows a look at what waits must not read what does not."""
    if engine.dialect.name != "sqlite":
        pytest.skip("the planner of PostgreSQL reads small tables whole")
    seen: list[tuple[str, object]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        with reading(sessions) as session:
            facts.read(session, str(engine.url), now)
            assert stuck.notice(session, now)
            stuck.everything(session, now)
            for kind in stuck.KINDS.values():
                stuck.listed(session, kind, now)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    large = {"answers", "notifications", "deliveries", "statements", "tracker_issues", "tracker_comments", "searches"}
    with engine.connect() as connection:
        for statement, parameters in seen:
            if not statement.startswith("SELECT"):
                continue
            plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).all()  # type: ignore[arg-type]
            whole = [
                row[3]
                for row in plan
                if re.match(rf"SCAN ({'|'.join(large)})\b", row[3]) and not re.search(OF_SOME_ROWS, row[3])
            ]
            assert not whole, f"{whole}: {statement}"


def test_a_look_asks_few_times(sessions: Sessions, engine: Engine, now: datetime) -> None:
    """Where the database is busy or far away, each time costs more than what is read."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("PRAGMA"):
            seen.append(statement)

    def asked(look: Callable[[Session], object]) -> int:
        with reading(sessions) as session:
            seen.clear()
            look(session)
        return len(seen)

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert asked(lambda session: facts.read(session, str(engine.url), now)) <= 10
        assert asked(lambda session: stuck.everything(session, now)) == 1
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("kind", ["health", "facts"])
def test_who_waited_for_a_long_look_takes_what_it_found(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A database that does not answer takes two seconds to say so; not two for each who asks, one after another."""
    looks: list[int] = []
    shows = [0.0]

    def look(*_args: object) -> list[object]:
        looks.append(1)
        shows[0] += 9.0
        return []

    module = {"health": health, "facts": facts}[kind]
    monkeypatch.setattr(module, "REMEMBER", 5.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: shows[0]))
    monkeypatch.setattr(Health, "look", look)
    monkeypatch.setattr(facts, "read", look)
    asked = {
        "health": Health("sqlite://", frozenset()).checks,
        "facts": facts.Facts(sessions, "sqlite://", utc_now).now,
    }
    for _turn in range(3):
        asked[kind]()
    assert looks == [1]
    shows[0] += 6.0
    asked[kind]()
    assert looks == [1, 1]
