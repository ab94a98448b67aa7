"""The log: one event a line, found again by its numbers, and nothing personal in it."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy.exc
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from structlog.contextvars import clear_contextvars

from feedback_loop import logs, pipeline
from feedback_loop.db import Sessions
from feedback_loop.responses import receiving, redacting
from feedback_loop.settings import Settings
from feedback_loop.worker import look
from tests.factories import Cast, Make, sign_in
from tests.pages import fields_of

ADDRESS = "maya.marker@private.example"
NAME = "Mayamarker Lindqvist"
COMMENT = "The zipmarker broke and my neighbour Quentinmarker laughed."


class Buffered(FlaskClient):
    """A client that closes each response, as servers do: then its line is written."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        return super().open(*args, buffered=True, **kwargs)


@pytest.fixture
def log(settings: Settings) -> Iterator[io.StringIO]:
    """What is logged during a test, as JSON."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    import sys

    hooks = sys.excepthook, threading.excepthook
    stream = io.StringIO()
    clear_contextvars()
    logs.configure(replace(settings, log_format="json", log_level="debug"), stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.raiseExceptions = True
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook = hooks


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (f"550 no such user <{ADDRESS}>", "550 no such user <[hidden]>"),
        ("to maya%40private.example now", "to [hidden] now"),
        ("at /i/h3Jk2lMn4oPq5rSt6uVw7xYz8AbCdEfG", "at /i/[hidden]"),
        ("worker_finds_rows_that_wait_for_somebody", "worker_finds_rows_that_wait_for_somebody"),
        ("twice\nDETAIL:  Key (name)=(Maya Lind) already exists.\n\nrest", "twice\n[hidden]\n\nrest"),
        ("3 answers of host db1.example:5432", "3 answers of host db1.example:5432"),
    ],
)  # fmt: skip
def test_what_looks_personal_is_hidden(written: str, read: str) -> None:
    assert logs.masked(written) == read


def test_a_line_has_time_level_event_and_logger(log: io.StringIO) -> None:
    with logs.about(step="understand"):
        logging.getLogger("feedback_loop.some").warning("%d rows", 3, extra={"ms": 5})
    (line,) = lines(log)
    assert re.fullmatch(r"2\d{3}-\d\d-\d\dT.*Z", line.pop("time"))
    assert line == {
        "event": "3 rows",
        "level": "warning",
        "logger": "feedback_loop.some",
        "step": "understand",
        "ms": 5,
    }


def test_errors_are_told_without_what_they_quote(log: io.StringIO) -> None:
    try:
        try:
            int(COMMENT)
        except ValueError as error:
            raise RuntimeError(f"cannot write to {ADDRESS}") from error
    except RuntimeError:
        logging.getLogger("feedback_loop").exception("It failed.")
    (line,) = lines(log)
    assert line["error"] == "RuntimeError"
    assert "builtins.ValueError: invalid literal for int() with base 10: '…'" in line["exception"]
    assert "RuntimeError: cannot write to [hidden]" in line["exception"]
    assert "in test_errors_are_told_without_what_they_quote" in line["exception"]


def test_a_broken_key_of_the_database_says_no_value(sessions: Sessions, make: Make, log: io.StringIO) -> None:
    make.customer(NAME, ADDRESS)
    make.session.commit()
    try:
        with sessions.begin() as session:
            session.execute(
                text("INSERT INTO customers (email, name, created_at) SELECT email, name, created_at FROM customers")
            )
    except sqlalchemy.exc.IntegrityError as error:
        logging.getLogger("feedback_loop").exception("It failed: %s", error)
    assert "IntegrityError" in log.getvalue()
    assert not re.search("marker", log.getvalue(), re.IGNORECASE)


def test_gunicorns_lines_name_neither_caller_nor_address(log: io.StringIO) -> None:
    logging.getLogger("gunicorn.error").warning("Invalid request from ip=%s: %s", "203.0.113.9", "bad")
    logging.getLogger("gunicorn.error").warning("Error handling request %s", "/i/short")
    assert [line["event"] for line in lines(log)] == [
        "Invalid request from ip=[hidden] bad", "Error handling request [hidden]",
    ]  # fmt: skip


def test_a_request_is_one_line_with_its_route_and_number(client: FlaskClient, make: Make, log: io.StringIO) -> None:
    _, token = make.invitation()
    make.session.commit()
    response = client.get(f"/i/{token}", headers={"X-Request-ID": "0123abcd-0123"}, buffered=True)
    (line,) = [each for each in lines(log) if each["logger"] == "feedback_loop.requests"]
    assert line["request_id"] == response.headers["X-Request-ID"] != "0123abcd-0123", "no proxy stands in front"
    assert (line["method"], line["route"], line["status"]) == ("GET", "/i/<token>", 200)
    assert line["bytes"] == len(response.data)
    assert 0 < line["ms"] < 60_000


def test_a_number_is_taken_from_a_proxy_if_it_is_one(settings: Settings, sessions: Sessions) -> None:
    from feedback_loop.app import create_app

    client = create_app(replace(settings, trusted_proxies=1), sessions).test_client()
    for given, is_taken in (("0123abcd-0123", True), ("my.name@private.example", False), ("x" * 500, False)):
        said = client.get("/sign-in", headers={"X-Request-ID": given}).headers["X-Request-ID"]
        assert (said == given) is is_taken


def test_the_page_of_an_error_says_its_number(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    monkeypatch.setattr("feedback_loop.accounts.views.render_template", lambda *_a, **_k: 1 / 0)
    response = client.get("/sign-in")
    assert response.status_code == 500
    assert f"<code>{response.headers['X-Request-ID']}</code>" in response.get_data(as_text=True)
    failed = [line for line in lines(log) if line["level"] == "error"]
    assert failed[0]["request_id"] == response.headers["X-Request-ID"]
    assert "ZeroDivisionError" in failed[0]["exception"]


def test_a_journey_leaves_nothing_personal_in_the_log(
    client: FlaskClient, app: Flask, sessions: Sessions, settings: Settings, make: Make, cast: Cast, now: datetime,
    monkeypatch: pytest.MonkeyPatch, log: io.StringIO,
) -> None:  # fmt: skip
    invitation, token = make.invitation(customer=make.customer(NAME, ADDRESS))
    make.notification(event="closure:1", address=ADDRESS, name=NAME)
    make.session.commit()
    path = f"/i/{token}"
    app.test_client_class = Buffered
    client = app.test_client()
    client.get(path + f"?c_who={ADDRESS}")
    sent = fields_of(client.get(path).get_data(as_text=True)) | {"score": "no", "comment": COMMENT}
    with monkeypatch.context() as broken:  # the database refuses, quoting what it was given
        error = sqlalchemy.exc.DataError("INSERT", {"comment": COMMENT}, ValueError(f'invalid: "{COMMENT}" {ADDRESS}'))

        def refuse(*_args: Any, **_kwargs: Any) -> None:
            raise error

        broken.setattr(receiving, "receive", refuse)
        assert client.post(path, data=sent).status_code == 404
        broken.setattr(receiving, "receive", lambda *_a, **_k: int(COMMENT))
        assert client.post(path, data=sent).status_code == 500
    assert client.post(path, data=sent).status_code == 303
    client.get(f"{path}/{NAME}")
    client.open(path, method=NAME.split(maxsplit=1)[0].upper())
    client.post("/sign-in", data={"email": ADDRESS, "password": COMMENT})
    sign_in(client, cast.ada)
    client.get(f"/surveys/{invitation.survey.slug}?q={ADDRESS}")
    context = pipeline.Context(settings, sessions, lambda: now)
    steps = {step.name: step for step in pipeline.STEPS}

    def broken_redact(words: str, *_rest: Any) -> None:
        raise ValueError(f"cannot read {words!r}")

    with monkeypatch.context() as broken:
        broken.setattr(redacting, "redact", broken_redact)
        look(context, steps["understand"])
    for name in ("understand", "search", "send mail", "find events", "call out", "trackers"):
        look(context, steps[name])
    found = log.getvalue()
    assert len(lines(log)) > 10
    assert not re.search(r"marker|lindqvist", found, re.IGNORECASE)
    assert token not in found
    assert f'"user": {cast.ada.id}' in found


def test_text_for_a_terminal_and_json_for_programs() -> None:
    assert not logs.is_json("console", io.StringIO())
    assert logs.is_json("auto", io.StringIO())
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    assert not logs.is_json("auto", terminal)
    assert logs.is_json("json", terminal)


def test_gunicorn_quotes_no_request_that_it_cannot_read(log: io.StringIO) -> None:
    logging.getLogger("gunicorn.error").warning(
        "Invalid request from ip=%s: %s", "203.0.113.9", f"Invalid HTTP request line: {f'GET /s/x?c_who={NAME}'!r}"
    )
    assert [line["event"] for line in lines(log)] == [
        "Invalid request from ip=[hidden] Invalid HTTP request [hidden] '…'",
    ]  # fmt: skip


def test_a_process_of_its_own_writes_its_log_as_its_worker_does(
    log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    from datetime import timedelta

    from feedback_loop.jobs.child import ChildFailed, run_apart
    from tests.jobs.children import log_and_fail

    gap = timedelta(seconds=30)
    with pytest.raises(ChildFailed) as failed:
        run_apart(log_and_fail, (NAME,), memory_mb=0, silence=gap, stop=lambda: False, alive=lambda: None, every=gap)
    assert str(failed.value) == "ValueError: cannot compare '…'"
    written = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["level"] for line in written] == ["debug", "warning", "error"]
    assert "log_and_fail" in written[2]["exception"]
    assert not re.search("marker", json.dumps(written), re.IGNORECASE)
