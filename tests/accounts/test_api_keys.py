"""Who may use the API, what becomes of a request that is sent twice, and how errors look to a program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop import tokens
from feedback_loop.accounts import once, service
from feedback_loop.accounts.models import ApiKey, ApiRequest, Scope
from feedback_loop.accounts.service import note_use, revoke_api_key
from feedback_loop.app import create_app
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.pipeline import Context, tidy
from feedback_loop.responses import ingest
from feedback_loop.responses.models import Answer, Invitation
from feedback_loop.settings import Settings
from tests.factories import Make

ANSWER = {"survey": "help-centre", "score": "no"}


@pytest.fixture
def key(make: Make) -> tuple[ApiKey, str]:
    make.survey("help-centre")
    made = make.api_key()
    make.session.commit()
    return made


def send(client: FlaskClient, secret: str, item: dict[str, Any], name: str = "", path: str = "answers") -> TestResponse:
    headers = {"Authorization": f"Bearer {secret}"} | ({"Idempotency-Key": name} if name else {})
    return client.post(f"/api/v1/{path}", json={"items": [item]}, headers=headers)


def look(client: FlaskClient, given: str) -> TestResponse:
    return client.get("/api/v1/surveys", headers={"Authorization": given})


def test_a_key_is_kept_as_its_hash_and_first_letters_only(key: tuple[ApiKey, str], session: Session) -> None:
    row, secret = key
    assert secret.startswith("fl_")
    assert len(secret) == 51
    assert (row.key_hash, row.prefix) == (tokens.hashed(secret), secret[:11])


def test_all_keys_that_do_not_work_are_answered_alike(client: FlaskClient, make: Make, key: tuple[ApiKey, str]) -> None:
    revoked, gone = make.api_key()
    revoke_api_key(make.session, revoked, revoked.created_by, utc_now())
    _, over = make.api_key(now=utc_now() - timedelta(days=2), expires_at=utc_now() - timedelta(days=1))
    make.session.commit()
    secret = key[1]
    given = [f"Bearer {gone}", f"Bearer {over}", f"Bearer {secret}x", f"Bearer {secret[:-1]}", "Bearer ", secret,
             f"Basic {secret}", "Bearer \udcff", ""]  # fmt: skip
    answers = [look(client, each) for each in given]
    assert {each.status_code for each in answers} == {401}
    assert len({each.get_data() for each in answers}) == 1, "which of them it was is nobody's business"
    assert answers[0].mimetype == "application/problem+json"
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"
    assert answers[0].json["title"] == "Unauthorized"
    assert look(client, f"bearer  {secret} ").status_code == 200


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_opens_what_its_scopes_say_and_nothing_else(client: FlaskClient, make: Make, scope: Scope) -> None:
    _, secret = make.api_key(scope)
    make.session.commit()
    found = {
        each: send(client, secret, {}, path=each.value.partition(":")[0]).status_code
        for each in Scope
        if each != Scope.READ
    }
    found[Scope.READ] = look(client, f"Bearer {secret}").status_code
    assert found == {each: 200 if each == scope else 403 for each in Scope}
    if scope != Scope.READ:
        assert "it lacks the scope read" in look(client, f"Bearer {secret}").json["detail"]


def test_use_is_noted_at_most_once_an_hour(client: FlaskClient, key: tuple[ApiKey, str], session: Session) -> None:
    row, secret = key
    look(client, f"Bearer {secret}")
    session.refresh(row)
    first = row.last_used_at
    assert first is not None
    for minutes, moved in ((59, False), (60, True)):
        note_use(session, row.id, first + timedelta(minutes=minutes))
        session.commit()
        session.refresh(row)
        assert (row.last_used_at != first) == moved
    session.commit()


def test_a_busy_database_refuses_nobody_because_of_that_note(
    client: FlaskClient, key: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_args: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("locked"))

    monkeypatch.setattr(service, "note_use", busy)
    assert look(client, f"Bearer {key[1]}").status_code == 200


def test_a_key_needs_a_scope_and_a_future(make: Make) -> None:
    ada = make.user("Ada")
    with pytest.raises(ValueError, match="Choose what the key may do"):
        service.add_api_key(make.session, "Shop", [], None, ada, make.now)
    with pytest.raises(ValueError, match="yet to come"):
        service.add_api_key(make.session, "Shop", [Scope.READ], make.now, ada, make.now)


def test_a_revoked_key_keeps_who_revoked_it_first(make: Make) -> None:
    row, _ = make.api_key()
    ada, ben = make.user("Ada"), make.user("Ben")
    revoke_api_key(make.session, row, ada, make.now)
    revoke_api_key(make.session, row, ben, make.now + timedelta(days=1))
    assert (row.revoked_by_id, row.revoked_at) == (ada.id, make.now)


# Sent twice


def test_the_same_request_is_done_once_and_answered_alike(
    client: FlaskClient, key: tuple[ApiKey, str], session: Session
) -> None:
    first = send(client, key[1], ANSWER, "n1")
    second = send(client, key[1], ANSWER, '"n1"')
    assert first.status_code == second.status_code == 200
    assert first.get_data() == second.get_data()
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert session.scalar(select(func.count()).select_from(Answer)) == 1


def test_a_link_comes_again_though_it_is_readable_nowhere(
    client: FlaskClient, key: tuple[ApiKey, str], session: Session
) -> None:
    item = {"survey": "help-centre", "customer_email": "maya@example.com"}
    first, second = (send(client, key[1], item, "n1", "invitations") for _ in range(2))
    link = first.json["items"][0]["link"]
    assert second.json["items"][0]["link"] == link
    assert session.scalar(select(func.count()).select_from(Invitation)) == 1
    stored = session.scalars(select(ApiRequest)).one()
    session.commit()
    token = link.rpartition("/")[2].encode()
    assert stored.response is not None
    assert token not in stored.response


def test_another_body_under_the_same_name_is_refused(
    client: FlaskClient, key: tuple[ApiKey, str], session: Session
) -> None:
    send(client, key[1], ANSWER, "n1")
    for item, path in ((ANSWER | {"score": "yes"}, "answers"), (ANSWER, "customers")):
        response = send(client, key[1], item, "n1", path)
        assert response.status_code == 422
        assert "Send a new one with each new request" in response.json["detail"]
    assert session.scalar(select(func.count()).select_from(Answer)) == 1


def test_names_are_each_keys_own(client: FlaskClient, key: tuple[ApiKey, str], make: Make, session: Session) -> None:
    _, other = make.api_key()
    make.session.commit()
    for secret in (key[1], other):
        assert "Idempotency-Replayed" not in send(client, secret, ANSWER, "n1").headers
    assert session.scalar(select(func.count()).select_from(Answer)) == 2


@pytest.mark.parametrize("name", ["", '""', "a" * 256, 'a"b', "two words", "\xe9"])
def test_a_name_that_is_none_is_refused(client: FlaskClient, key: tuple[ApiKey, str], name: str) -> None:
    headers = {"Authorization": f"Bearer {key[1]}", "Idempotency-Key": name}
    response = client.post("/api/v1/answers", json={"items": [ANSWER]}, headers=headers)
    assert response.status_code == 400
    assert "Idempotency-Key cannot be used" in response.json["detail"]


def test_a_name_may_be_used_anew_after_a_day(
    client: FlaskClient, key: tuple[ApiKey, str], session: Session, sessions: Sessions, settings: Settings
) -> None:
    def age(hours: int) -> None:
        session.execute(update(ApiRequest).values(created_at=utc_now() - timedelta(hours=hours)))
        session.commit()

    send(client, key[1], ANSWER, "n1")
    age(23)
    tidy(Context(settings, sessions))
    assert send(client, key[1], ANSWER, "n1").headers["Idempotency-Replayed"] == "true"
    age(24)
    assert "Idempotency-Replayed" not in send(client, key[1], ANSWER, "n1").headers
    age(24)
    tidy(Context(settings, sessions))
    assert session.scalar(select(func.count()).select_from(ApiRequest)) == 0


def together(count: int, work: Callable[[], TestResponse]) -> list[TestResponse]:
    """Do something several times at the same moment."""
    start, found = threading.Barrier(count), []

    def run() -> None:
        start.wait()
        found.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_requests_at_the_same_moment_make_things_once(app: Flask, key: tuple[ApiKey, str], session: Session) -> None:
    item = {"survey": "help-centre", "customer_email": "maya@example.com"}
    found = together(6, lambda: send(app.test_client(), key[1], item, "n1", "invitations"))
    codes = [each.status_code for each in found]
    assert set(codes) <= {200, 409}
    assert codes.count(200) >= 1
    assert all(each.headers["Retry-After"] == "1" for each in found if each.status_code == 409)
    assert len({each.get_data() for each in found if each.status_code == 200}) == 1
    assert session.scalar(select(func.count()).select_from(Invitation)) == 1


def test_the_same_answers_at_the_same_moment_without_a_name_are_stored_once(
    app: Flask, key: tuple[ApiKey, str], session: Session
) -> None:
    found = together(6, lambda: send(app.test_client(), key[1], ANSWER | {"external_id": "t1"}))
    assert [each.status_code for each in found] == [200] * 6
    states = [each.json["items"][0]["status"] for each in found]
    assert sorted(states) == ["created", *["unchanged"] * 5]
    assert session.scalar(select(func.count()).select_from(Answer)) == 1


def test_while_the_first_is_being_done_the_second_waits_outside(
    app: Flask, key: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch, session: Session
) -> None:
    take, begun, go_on = ingest.take_answers, threading.Event(), threading.Event()

    def slowly(*args: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return take(*args)

    monkeypatch.setattr(ingest, "take_answers", slowly)
    found: list[TestResponse] = []
    first = threading.Thread(target=lambda: found.append(send(app.test_client(), key[1], ANSWER, "n1")))
    first.start()
    assert begun.wait(30)
    second = send(app.test_client(), key[1], ANSWER, "n1")
    go_on.set()
    first.join()
    assert second.status_code == 409
    assert "Send it again in a moment" in second.json["detail"]
    assert found[0].status_code == 200
    monkeypatch.undo()
    assert send(app.test_client(), key[1], ANSWER, "n1").get_data() == found[0].get_data()
    assert session.scalar(select(func.count()).select_from(Answer)) == 1


def test_what_broke_off_may_be_sent_again(
    client: FlaskClient, key: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch, session: Session
) -> None:
    take = ingest.take_answers

    def break_off(*args: Any) -> None:
        take(*args)
        raise RuntimeError("secret detail")

    monkeypatch.setattr(ingest, "take_answers", break_off)
    response = send(client, key[1], ANSWER, "n1")
    assert response.status_code == 500
    assert response.mimetype == "application/problem+json"
    assert "secret detail" not in response.get_data(as_text=True)
    assert "nothing was saved" in response.json["detail"]
    monkeypatch.undo()
    assert send(client, key[1], ANSWER, "n1").json["counts"]["created"] == 1
    assert session.scalar(select(func.count()).select_from(Answer)) == 1


def test_a_request_whose_process_died_is_taken_over_and_its_late_writer_writes_nothing(
    make: Make, key: tuple[ApiKey, str]
) -> None:
    session, now, secret = make.session, make.now, "a key"

    def hold(minutes: int) -> once.Held:
        return once.hold(session, key[0].id, "n1", "f" * 64, now + timedelta(minutes=minutes), secret)

    died = hold(0)
    with pytest.raises(once.Running):
        hold(4)
    second = hold(5)
    with pytest.raises(once.Running, match="took too long"):
        once.finish(session, died, 200, "late", secret)
    once.let_go(session, died)
    once.finish(session, second, 200, "done", secret)
    once.let_go(session, second)
    assert hold(6).answered == ("done", 200), "what is done is not let go"


def test_an_answer_under_another_secret_key_is_not_done_again(
    client: FlaskClient, key: tuple[ApiKey, str], settings: Settings, sessions: Sessions, session: Session
) -> None:
    send(client, key[1], ANSWER, "n1")
    other = create_app(replace(settings, secret_key="another"), sessions).test_client()
    response = send(other, key[1], ANSWER, "n1")
    assert response.status_code == 409
    assert "another SECRET_KEY" in response.json["detail"]
    assert session.scalar(select(func.count()).select_from(Answer)) == 1


# Errors


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/api/v1/nothing", 404), ("DELETE", "/api/v1/answers", 405)]
)
def test_a_wrong_address_is_a_problem_that_says_where_to_look(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert response.json == {
        "type": "about:blank",
        "title": "Not Found" if status == 404 else "Method Not Allowed",
        "status": status,
        "detail": response.json["detail"],
    }
    assert "openapi.json" in response.json["detail"]


def test_a_busy_database_is_a_problem_too(
    client: FlaskClient, key: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_args: object) -> None:
        raise OperationalError("INSERT", {}, Exception("locked"))

    monkeypatch.setattr(ingest, "take_answers", busy)
    response = send(client, key[1], ANSWER)
    assert (response.status_code, response.mimetype) == (503, "application/problem+json")
    assert "nothing was saved" in response.json["detail"]


def test_what_another_wrote_at_that_moment_is_a_conflict_to_send_again(
    client: FlaskClient, key: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*_args: object) -> None:
        raise IntegrityError("INSERT", {}, Exception("unique"))

    monkeypatch.setattr(ingest, "take_answers", overtaken)
    response = send(client, key[1], ANSWER, "n1")
    assert (response.status_code, response.headers["Retry-After"]) == (409, "1")
    monkeypatch.undo()
    assert send(client, key[1], ANSWER, "n1").json["counts"]["created"] == 1


def test_pages_keep_their_error_pages(client: FlaskClient) -> None:
    assert client.get("/api/nothing").mimetype == "text/html"
