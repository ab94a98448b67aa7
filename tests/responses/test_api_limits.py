"""Whatever is sent, the API answers with what to do, never with a failure of its own."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop.clock import utc_now
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.surveys.models import ScaleName
from tests.factories import Make
from tests.responses.conftest import Program

PATHS = ("answers", "customers", "invitations")


@pytest.fixture(autouse=True)
def surveys(make: Make) -> None:
    make.survey("help-centre")
    make.survey("ease", ScaleName.CES)
    make.survey("words", ScaleName.TEXT)
    make.session.commit()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cannot be read as JSON"),
        (b"items=1", "Expecting value, at line 1, column 1"),
        (b'{"items": [\xff]}', "byte 12 is not UTF-8"),
        (b'{"items": [{"score": 1, "score": 2}]}', "names 'score' twice"),
        (b'{"items": [{"score": NaN}]}', "NaN is not a number"),
        (b'{"items": [{"score": 1e999}]}', "1e999 is too large"),
        (b'{"items": [{"score": ' + b"9" * 5000 + b"}]}", "too many digits"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused_with_the_place(program: Program, body: bytes, words: str) -> None:
    response = program.post("answers", body)
    assert (response.status_code, response.mimetype) == (400, "application/problem+json")
    assert words in response.json["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ("items", ""),
        (None, ""),
        ({}, "/items"),
        ({"items": []}, "/items"),
        ({"items": {}}, "/items"),
        ({"items": [{}] * 1001}, "/items"),
        ({"items": [{}], "a/b~c": 1}, "/a~1b~0c"),
    ],
)
def test_what_is_no_list_of_items_is_refused_with_a_pointer(program: Program, body: Any, pointer: str) -> None:
    response = program.post("answers", json.dumps(body))
    assert response.status_code == 422
    assert [each["pointer"] for each in response.json["errors"]] == [pointer]
    assert "1 to 1,000 items" in response.json["detail"] or "at most 1,000" in response.json["detail"]


def test_a_body_of_more_than_a_megabyte_is_refused(program: Program) -> None:
    for body in (b" " * (1024 * 1024 + 1), b'{"items": ["' + b"x" * 2_000_000 + b'"]}'):
        response = program.post("answers", body)
        assert (response.status_code, response.mimetype) == (413, "application/problem+json")
        assert "Send fewer items" in response.json["detail"]
    body = json.dumps({"items": [{"survey": "help-centre", "score": "no"}]})
    assert program.post("answers", body.ljust(1024 * 1024)).status_code == 200


def test_a_body_without_a_length_is_taken_whole_or_refused(program: Program) -> None:
    start = b'{"items": [{"survey": "help-centre", "score": "no"}]}'
    for size, status in ((1000, 200), (1024 * 1024 + 1, 413)):
        response = program.client.post(
            "/api/v1/answers",
            input_stream=io.BytesIO(start.ljust(size)),
            headers=program.headers | {"Content-Type": "application/json", "Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        )
        assert response.status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Encoding": "gzip"},
    ],
)
def test_only_plain_json_is_taken(program: Program, headers: dict[str, str]) -> None:
    response = program.post("answers", b'{"items": [{}]}', **headers)
    assert (response.status_code, response.mimetype) == (415, "application/problem+json")


def test_the_key_is_looked_at_before_the_body(program: Program) -> None:
    assert program.post("answers", b"?" * 2_000_000, Authorization="Bearer fl_no").status_code == 401


def test_texts_that_cannot_be_stored_are_cleaned(program: Program, session: Session) -> None:
    item = {
        "survey": "help-centre",
        "external_id": "a\x00\ud800b",
        "score": "no",
        "customer_email": "maya@example.com",
        "customer_name": "Ma\x00ya\udfff",
        "context": {"pa\x00ge": "/a\ud800", "bidi": "\u202egnp.exe"},
    }
    response = program.send("answers", item)
    assert response.json["counts"]["created"] == 1
    assert program.send("answers", item).json["counts"]["unchanged"] == 1
    answer, customer = session.scalars(select(Answer)).one(), session.scalars(select(Customer)).one()
    assert (answer.external_id, customer.name) == ("a?b", "Maya?")
    assert answer.context == {"page": "/a?", "bidi": "\u202egnp.exe"}


def test_names_in_context_are_few_short_and_stand_once(program: Program) -> None:
    contexts: list[tuple[Any, str]] = [
        ({f"n{n}": 1 for n in range(51)}, "context has 51 names"),
        ({"": 1}, "1 to 80 characters"),
        ({"n" * 81: 1}, "1 to 80 characters"),
        ({"n": "x" * 1001}, "1,001 characters; at most 1,000"),
        ({"n": 10**200}, "too many digits"),
        ({"n": 1, "n ": 2}, "n stands twice"),
        ([], "must be an object, not a list"),
    ]
    items = [{"survey": "help-centre", "score": "no", "context": context} for context, _ in contexts]
    response = program.send("answers", *items)
    for item, (_, words) in zip(response.json["items"], contexts, strict=True):
        assert words in item["errors"][0]["detail"]


def hostile() -> st.SearchStrategy[Any]:
    """JSON of every sort, with what breaks programs among it."""
    corpus = st.sampled_from(
        ["\x00", "\ud800", "a\r\nBcc: x@y.zz", "\u202e", "x" * 5000, "İ" * 254 + "@example.com", "9" * 400, "-0", "1e5"]
    )
    texts = corpus | st.text(st.characters(), max_size=20)
    numbers = st.integers() | st.sampled_from([2**70, -(2**63), 10**400]) | st.floats(allow_nan=False, width=32)
    leaves = st.none() | st.booleans() | numbers | texts
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


def items() -> st.SearchStrategy[Any]:
    """Items that are nearly right: some of their members are anything."""
    moments = st.datetimes(timezones=st.timezones() | st.none()).map(lambda moment: moment.isoformat())
    ahead = st.integers(-1, 5000).map(lambda days: (utc_now() + timedelta(days=days)).isoformat())
    likely: dict[str, st.SearchStrategy[Any]] = {
        "survey": st.sampled_from(["help-centre", "ease", "words", "HELP-CENTRE", "none"]),
        "external_id": st.sampled_from(["a", "b", "c", ""]) | st.text(max_size=250),
        "customer_email": st.sampled_from(["maya@example.com", "Ben@Example.com", "İ@ẞ.com", "Σ@ΑΣ.gr", "@", ""]),
        "customer_name": st.text(max_size=210),
        "score": st.sampled_from(["yes", "no", "7", 7, 1.0, 0, "", None]),
        "comment": st.text(max_size=60) | st.sampled_from(["Late.", "x" * 4001]),
        "answered_at": moments | st.just("2026-10-01T08:00:00Z"),
        "experience": st.text(max_size=20),
        "expires_at": moments | ahead,
        "context": st.dictionaries(st.text(max_size=90), st.text(max_size=20) | st.integers(), max_size=5),
        "mood": st.just("bad"),
    }
    members = {name: value | hostile() if name != "survey" else value for name, value in likely.items()}
    return st.fixed_dictionaries({}, optional=members) | hostile()


def bodies() -> st.SearchStrategy[bytes]:
    """Bodies: right, nearly right, and none at all."""
    batches = st.fixed_dictionaries({"items": st.lists(items(), max_size=5) | hostile()})
    written = (batches | hostile()).map(lambda value: json.dumps(value).encode())
    cut = st.tuples(written, st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
    return written | cut | st.binary(max_size=60)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(PATHS), body=bodies(), name=st.sampled_from(["", "n1"]) | st.text(max_size=5))
def test_no_body_makes_the_api_fail(program: Program, path: str, body: bytes, name: str) -> None:
    headers = {"Idempotency-Key": name} if name and name.isprintable() and name.isascii() else {}
    check(program.post(path, body, **headers))


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=st.dictionaries(st.sampled_from(["survey", "since", "cursor", "limit", "x"]), st.text(max_size=40)))
def test_no_question_makes_the_api_fail(program: Program, asked: dict[str, str]) -> None:
    response = program.get("answers", **{name: text.encode("utf-8", "replace") for name, text in asked.items()})
    check(response)


def check(response: TestResponse) -> None:
    """It is an answer, or a problem that says what to do; whatever was rejected says why and where."""
    assert response.status_code < 500, response.get_data(as_text=True)
    assert response.mimetype == ("application/json" if response.status_code == 200 else "application/problem+json")
    assert response.json["detail" if response.status_code != 200 else "items"] is not None
    assert not list(surrogates(response.json))
    if response.status_code == 200 and "counts" in response.json:
        for index, item in enumerate(response.json["items"]):
            assert item["index"] == index
            assert (item["status"] == "rejected") == bool(item.get("errors"))
            assert all(each["pointer"].startswith(f"/items/{index}") for each in item.get("errors", []))


def surrogates(value: Any) -> Iterator[str]:
    """Halves of characters, which break programs that read them."""
    if isinstance(value, str):
        yield from (letter for letter in value if "\ud800" <= letter <= "\udfff")
    elif isinstance(value, list | dict):
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from surrogates(each)
