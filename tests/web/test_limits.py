"""Rate limits: what is counted, where, and of whom."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Scope
from feedback_loop.settings import SettingError, Settings, read_settings
from feedback_loop.web import limitcounts, limits
from feedback_loop.web.limitcounts import PostgresStorage
from tests.conftest import IN_CI
from tests.factories import PASSWORD, Cast, Make

# A database for each test process, as each deletes what it counted.
NUMBER = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8
REDIS = os.environ.get("TEST_REDIS_URL", f"redis://127.0.0.1:6379/{NUMBER}")
THREE = RateLimitItemPerMinute(3, namespace="feedback-loop:test")


def redis_answers() -> bool:
    from redis import Redis, RedisError

    try:
        with Redis.from_url(REDIS, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except RedisError:
        return False


@pytest.fixture(params=["own", "redis"])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Counted where an installation on this database counts by itself; or, in CI, in Redis."""
    if request.param == "redis":
        if not IN_CI or not settings.database_url.startswith("sqlite") or not redis_answers():
            pytest.skip("Redis is tried once, in CI, where one answers")
        return replace(settings, rate_limit_storage=REDIS, api_requests_per_minute=3)
    own = settings.database_url if settings.database_url.startswith("postgresql") else "memory://"
    return replace(settings, rate_limit_storage=own, api_requests_per_minute=3)


@pytest.fixture(autouse=True)
def no_counts_stay(app: Flask) -> Iterator[None]:
    """Only our own keys are deleted."""

    def clean() -> None:
        if app.extensions[limits.EXTENSION].storage.STORAGE_SCHEME[0].startswith("redis"):
            from redis import Redis

            with Redis.from_url(REDIS) as client:
                for key in [*client.scan_iter("LIMITS:*feedback-loop*")]:
                    client.delete(key)

    clean()
    yield
    clean()


def test_a_limit_is_used_up_by_counting_only(app: Flask) -> None:
    with app.test_request_context():
        for _ in range(10):
            assert not limits.is_over(THREE, "a")
        assert [limits.count(THREE, "a") for _ in range(4)] == [True, True, True, False]
        assert limits.is_over(THREE, "a")
        assert not limits.is_over(THREE, "b")
        remaining, seconds = limits.left(THREE, "a")
        assert remaining == 0
        assert 0 < seconds <= 60
        limits.forget(THREE, "a")
        assert not limits.is_over(THREE, "a")


def test_a_window_ends(app: Flask) -> None:
    one = RateLimitItemPerSecond(1, namespace="feedback-loop:test")
    with app.test_request_context():
        assert limits.count(one, "a")
        assert not limits.count(one, "a")
        time.sleep(1.2)
        assert limits.count(one, "a")
        assert [limits.increase("things", 60, every=2) for _ in range(5)] == [0, 2, 0, 4, 0]
        assert limits.counted("things") == 4, "the fifth is told with the sixth"


def test_of_many_a_few_more_are_told_once_a_second(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("feedback_loop.web.limits.time.monotonic", lambda: now)
    with app.test_request_context():
        told = [limits.increase("things", 600, every=10) for _ in range(1000)]
        assert [each for each in told if each][:20] == list(range(10, 210, 10)), "each ten while there are few"
        assert sum(bool(each) for each in told) < 60, "then each twentieth of what there is"
        known = max(told)
        assert known > 950
        fresh = [limits.increase("things", 600, every=10) for _ in range(20)]
        now += limits.TELL_EVERY
        assert not any(fresh[-10:])
        assert limits.increase("things", 600, every=10) == 1021


def test_a_network_is_an_address_or_a_64(app: Flask) -> None:
    assert limits.network("192.0.2.7") == limits.network("::ffff:192.0.2.7")
    assert limits.network("2001:db8:1:2::5") == limits.network("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert limits.network("2001:db8:1:3::5") != limits.network("2001:db8:1:2::5")
    assert limits.network("fe80::1%eth0") == "fe80::/64"
    assert limits.network("unix:") == "unix:"


def test_what_is_kept_of_an_address_is_another_one_tomorrow(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def here() -> str:
        with app.test_request_context(environ_base={"REMOTE_ADDR": "192.0.2.7"}):
            return limits.here()

    today = here()
    assert today == here()
    assert "192" not in today
    monkeypatch.setattr(limits, "utc_now", lambda: datetime(2031, 1, 1, tzinfo=UTC))
    assert here() != today


def test_a_storage_that_does_not_answer_limits_nothing(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = app.extensions[limits.EXTENSION].storage

    def broken(*_: object, **__: object) -> int:
        raise ConnectionError("of 192.0.2.7")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING), app.test_request_context():
        for name in ("incr", "get", "get_expiry", "clear"):
            patched.setattr(storage, name, broken)
        assert all(limits.count(THREE, "a") for _ in range(5))
        assert not limits.is_over(THREE, "a")
        assert client.post("/sign-in", data={"email": "a@example.com", "password": "x"}).status_code == 400
        assert [record.levelname for record in caplog.records] == ["ERROR"], "said once"
        assert "192" not in caplog.text
        patched.undo()
        assert limits.count(THREE, "a")
        assert caplog.records[-1].levelname == "WARNING"


def try_to_sign_in(client: FlaskClient, email: str, password: str, network: str = "192.0.2.1") -> int:
    given = {"email": email, "password": password}
    return client.post("/sign-in", data=given, environ_base={"REMOTE_ADDR": network}).status_code


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No password is really checked: it is slow by design."""
    from feedback_loop.accounts import service

    monkeypatch.setattr(service, "sign_in_allowed", lambda user, password: bool(user) and password == PASSWORD)


def test_tries_to_sign_in_are_limited_for_one_network(client: FlaskClient, cast: Cast, quick: None) -> None:
    assert [try_to_sign_in(client, cast.ada.email, "wrong") for _ in range(11)] == [400] * 10 + [429]
    page = client.post(
        "/sign-in", data={"email": cast.ada.email, "password": "x"}, environ_base={"REMOTE_ADDR": "192.0.2.1"}
    )
    said = page.get_data(as_text=True)
    assert "Too many passwords from your network did not fit. Try again in 15 minutes" in said
    assert cast.ada.email in said
    assert int(page.headers["Retry-After"]) > 800
    assert try_to_sign_in(client, cast.ada.email.upper(), PASSWORD) == 429
    assert try_to_sign_in(client, cast.ada.email, PASSWORD, "192.0.2.2") == 302, "her own network is another one"


def test_signing_in_gives_the_tries_back(app: Flask, cast: Cast, quick: None) -> None:
    for _ in range(3):
        for _ in range(9):
            assert try_to_sign_in(app.test_client(), cast.ada.email, "wrong") == 400
        assert try_to_sign_in(app.test_client(), cast.ada.email, PASSWORD) == 302


def test_one_network_may_not_try_many_accounts(client: FlaskClient, cast: Cast, quick: None) -> None:
    codes = [try_to_sign_in(client, f"someone{number}@example.com", "x") for number in range(51)]
    assert codes == [400] * 50 + [429]


def test_an_account_tried_from_everywhere_gives_each_network_fewer_tries_and_is_not_closed(
    app: Flask, cast: Cast, quick: None
) -> None:
    for number in range(100):
        assert try_to_sign_in(app.test_client(), cast.ada.email, "wrong", f"192.0.2.{number}") == 400
    tries = [try_to_sign_in(app.test_client(), cast.ada.email, "wrong", "198.51.100.1") for _ in range(4)]
    assert tries == [400, 400, 400, 429]
    assert try_to_sign_in(app.test_client(), cast.ada.email, PASSWORD, "198.51.100.2") == 302


def test_the_api_says_how_much_is_left(client: FlaskClient, make: Make, session: Session) -> None:
    _, secret = make.api_key(Scope.READ)
    _, other = make.api_key(Scope.READ)
    session.commit()
    asked = {"headers": {"Authorization": f"Bearer {secret}"}}
    answers = [client.get("/api/v1/surveys", **asked) for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert [each.headers["RateLimit-Remaining"] for each in answers] == ["2", "1", "0", "0"]
    assert {each.headers["RateLimit-Limit"] for each in answers} == {"3"}
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].mimetype == "application/problem+json"
    assert client.get("/api/v1/surveys", headers={"Authorization": f"Bearer {other}"}).status_code == 200


def count_in_a_process(uri: str, times: int) -> None:
    storage = PostgresStorage(uri)
    for _ in range(times):
        storage.incr("shared", 60)
    storage.engine.dispose()


def test_processes_count_together_on_postgresql(engine: Engine, app: Flask) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("each process counts for itself in memory")
    uri = engine.url.render_as_string(hide_password=False)
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=count_in_a_process, args=(uri, 50)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    storage = app.extensions[limits.EXTENSION].storage
    assert storage.get("shared") == 150
    with engine.connect() as connection:
        found = connection.execute(text("SELECT relpersistence FROM pg_class WHERE relname = 'limit_counts'"))
        assert found.scalar() == "u", "unlogged"
    assert storage.check()
    assert storage.reset() == 1


@pytest.mark.parametrize(
    ("hops", "forwarded", "address"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.66, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.66, 203.0.113.9, 192.0.2.5", "203.0.113.9"),
    ],
)
def test_only_trusted_proxies_say_who_asks(
    settings: Settings, sessions: object, hops: int, forwarded: str, address: str
) -> None:
    from feedback_loop.app import create_app

    app = create_app(replace(settings, trusted_proxies=hops, rate_limit_storage="memory://"), sessions)  # type: ignore[arg-type]
    seen = []
    app.before_request(lambda: seen.append(limits.here()))
    app.test_client().get("/sign-in", headers={"X-Forwarded-For": forwarded}, environ_base={"REMOTE_ADDR": "192.0.2.1"})
    with app.test_request_context():
        assert seen == [limits.veiled(address)]


def test_where_counts_stand_follows_from_the_database() -> None:
    base = {"SECRET_KEY": "k"}
    assert read_settings(base).rate_limit_storage == "memory://"
    postgres = read_settings(base | {"DATABASE_URL": "postgresql://db/x"})
    assert postgres.rate_limit_storage == "postgresql+psycopg://db/x"
    assert read_settings(base | {"RATE_LIMIT_STORAGE": "redis://r:6379/1"}).rate_limit_storage == "redis://r:6379/1"
    with pytest.raises(SettingError, match="RATE_LIMIT_STORAGE must be"):
        read_settings(base | {"RATE_LIMIT_STORAGE": "memcached://x"})
    assert read_settings(base).trusted_proxies == 0
    assert read_settings(base | {"PUBLIC_URL": "https://f.example"}).trusted_proxies == 1


def test_what_an_attack_counts_is_exchanged_once_a_second(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("in memory there is nothing to exchange")
    uri = engine.url.render_as_string(hide_password=False)
    one, other = PostgresStorage(uri), PostgresStorage(uri)
    statements: list[str] = []
    event.listen(one.engine, "before_cursor_execute", lambda *each: statements.append(each[2]))
    assert [one.incr("feedback-loop:abuse/a", 60) for _ in range(40)] == [*range(1, 41)]
    assert one.get("feedback-loop:abuse/a") == 40
    assert len(statements) == 1
    assert other.get("feedback-loop:abuse/a") == 1, "the others know within a second"
    monkeypatch.setattr(limitcounts, "EXCHANGE", 0.0)
    assert one.incr("feedback-loop:abuse/a", 60) == 41
    assert other.incr("feedback-loop:abuse/a", 60) == 42
    assert one.get("feedback-loop:abuse/a") == other.get("feedback-loop:abuse/a") == 42
    monkeypatch.setattr(limitcounts, "MOST_KNOWN", 3)
    for number in range(10):
        one.get(f"feedback-loop:abuse/{number}")
    assert len(one.known) <= 4
    one.clear("feedback-loop:abuse/a")
    assert one.get("feedback-loop:abuse/a") == 0
    assert one.incr("feedback-loop:sign-in/a", 60) == other.get("feedback-loop:sign-in/a") == 1, "right to the last"
    for each in (one, other):
        each.engine.dispose()
