"""Whatever is sent to a public address: an answer that is no fault of ours, and a database in which all holds.

A fixed corpus runs always. `FUZZ_EXAMPLES` says how many random requests follow (`bench/fuzz.py` asks for 10,000), and
`FUZZ_REPORT` names a file for their numbers.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, note
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from feedback_loop.accounts import service
from feedback_loop.accounts.models import Scope
from feedback_loop.db import Sessions
from feedback_loop.settings import Settings
from feedback_loop.web.openapi import described, example_of
from tests.factories import PASSWORD, PASSWORD_HASH, Cast, Make
from tests.fuzz.corpus import BROKEN_MULTIPART, JSON, LARGE, NASTY, TOLD_APART, escaped, multipart
from tests.fuzz.sending import FORM, Line, as_form, noticing_errors
from tests.fuzz.world import METHODS, Watch, World, examples, filled, public_rules, settle

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
REPORT = os.environ.get("FUZZ_REPORT", "")
HEADERS = (
    "Accept", "Accept-Language", "Authorization", "Content-Encoding", "Content-Type", "Cookie", "Host",
    "Idempotency-Key", "If-Modified-Since", "If-None-Match", "Origin", "Range", "Referer", "Sec-Purpose",
    "Transfer-Encoding", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
    "X-HTTP-Method-Override",
)  # fmt: skip


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a token for those who watch: requests come from everywhere here."""
    return dataclasses.replace(settings, metrics_token="a token for tests only")


@pytest.fixture
def world(make: Make, cast: Cast, session: Session, settings: Settings) -> World:
    return settle(make, cast, session, settings)


@pytest.fixture
def line(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setattr(service, "NOBODY", PASSWORD_HASH)  # signing in is slow by design, and tested elsewhere
    with noticing_errors() as errors:
        yield Line(app, errors)


@pytest.fixture
def watch(sessions: Sessions, settings: Settings, world: World) -> Watch:
    return Watch(sessions, settings, world)


def is_api(app: Flask, rule: Rule) -> bool:
    return isinstance(getattr(app.view_functions[rule.endpoint], "access", None), Scope)


def own_headers(app: Flask, rule: Rule, world: World) -> dict[str, bytes]:
    """What a request must carry to be let in."""
    if is_api(app, rule):
        return {"Authorization": b"Bearer " + world.key.encode()}
    if rule.rule == "/metrics":
        return {"Authorization": b"Bearer a token for tests only"}
    if rule.rule == "/inbound/mail":
        return {"Authorization": b"Bearer " + world.inbound_secret.encode()}
    return {"X-Gitlab-Token": world.hook_secret.encode()} if rule.rule.startswith("/hooks/") else {}


def valid_body(line: Line, rule: Rule, path: str, settings: Settings, cast: Cast) -> dict[str, str]:
    """Fields that the page of this address takes."""
    with line.app.test_request_context():
        fields = {name: values[0] for name, values in line.fields(rule, path).items()}
    if rule.rule == "/sign-in":
        fields |= {"email": cast.vera.email, "password": PASSWORD}
    if rule.rule == "/inbound/mail":
        fields["message"] = "From: maya@example.com\nSubject: Hello\n\nWhere is it?"
    if rule.rule.endswith("/signs"):
        fields["sign"] = "gesture"
    return fields | ({"website": ""} if "website" in fields else {})


def api_bodies(app: Flask, settings: Settings) -> dict[str, bytes]:
    with app.test_request_context():
        return {
            each.path: json.dumps(example_of(each, settings)).encode()
            for each in described(app)
            if each.operation.sent is not None
        }


def test_each_public_route_has_an_example_that_works(
    app: Flask, line: Line, world: World, settings: Settings, cast: Cast
) -> None:
    bodies = api_bodies(app, settings)
    for rule in public_rules(app):
        values = examples(world, rule)
        assert values, f"Give the arguments of {rule.rule} values that lead somewhere, in tests/fuzz/world.py."
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            found = []
            for each in values:
                path = filled(rule, {name: escaped(value.encode()) for name, value in each.items()})
                headers = own_headers(app, rule, world)
                body = b""
                if method == "POST":
                    headers["Content-Type"] = b"application/json" if is_api(app, rule) else FORM
                    body = bodies.get(rule.rule) or as_form(valid_body(line, rule, path, settings, cast))
                query = b"v=7a1f5c" if rule.rule.endswith("/theme.css") else b""
                found.append(line.send(rule.rule, method, path, query, headers, body).status)
            assert min(found) < 400, f"No example of {method} {rule.rule} works: {found}. See tests/fuzz/world.py."


def test_the_corpus_breaks_nothing(
    app: Flask, engine: Engine, line: Line, world: World, watch: Watch, settings: Settings, cast: Cast
) -> None:
    """Each nasty value in each place of each public route: path, query, headers, each field of its form."""
    bodies = api_bodies(app, settings)
    nasty = [*NASTY.values()] if engine.dialect.name == "sqlite" else [NASTY[name] for name in TOLD_APART]
    for rule in public_rules(app):
        values = examples(world, rule)
        path = filled(rule, {name: escaped(value.encode()) for name, value in values[0].items()})
        headers = own_headers(app, rule, world)
        for method in METHODS:
            line.send(rule.rule, method, path, b"", headers)
        for value in nasty:
            if rule.arguments:
                line.send(rule.rule, "GET", filled(rule, dict.fromkeys(rule.arguments, escaped(value))), b"", headers)
            whole = "&".join(f"{name}={escaped(value)}&{escaped(value)}" for name in world.queries).encode()
            line.send(rule.rule, "GET", path, whole, headers)
            line.send(rule.rule, "GET", path, value.replace(b"\r\n", b""), headers)
            line.send(rule.rule, "HEAD", path, b"", dict.fromkeys(set(HEADERS) - {"Host"}, in_header(value)))
        if "POST" in (rule.methods or ()):
            if is_api(app, rule):
                send_json(line, rule, path, world, bodies[rule.rule], nasty)
            else:
                send_forms(line, rule, path, valid_body(line, rule, path, settings, cast), nasty)
        watch.check(rule, values[0])
    watch.check_texts()


def in_header(value: bytes) -> bytes:
    """A server hands on no header with a line end or a NUL in it."""
    return value.translate(None, b"\r\n\0")


def send_json(line: Line, rule: Rule, path: str, world: World, good: bytes, nasty: list[bytes]) -> None:
    for key in (world.key.encode(), b"", b"wrong", b"\xff\xed\xa0\x80", b"x" * 5000):
        headers = {"Authorization": b"Bearer " + key, "Content-Type": b"application/json"}
        line.send(rule.rule, "POST", path, b"", headers, good)
    headers = {"Authorization": b"Bearer " + world.key.encode(), "Content-Type": b"application/json"}
    for body in (*JSON.values(), *LARGE.values()):
        line.send(rule.rule, "POST", path, b"", headers, body)
    item = json.loads(good)["items"][0]
    for name in item:
        for value in (*nasty, b"w" * 900_000):
            text: Any = value.decode("utf-8", "surrogatepass") if is_text(value) else value.decode("latin-1")
            for odd in (text, {text[:1000]: text[:1000]}):
                body = json.dumps({"items": [item | {name: odd}]}).encode()
                line.send(rule.rule, "POST", path, b"", headers, body)
    for value in nasty:
        line.send(rule.rule, "POST", path, b"", headers | {"Idempotency-Key": in_header(value)}, good)
    send_lengths(line, rule, path, headers, good)


def is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def send_forms(line: Line, rule: Rule, path: str, good: dict[str, str], nasty: list[bytes]) -> None:
    headers = {"Content-Type": FORM}
    for name in (*good, "c_page", "nobody-asked"):
        rest = as_form({other: value for other, value in good.items() if other != name})
        for value in (*nasty, *(LARGE.values() if name in ("comment", "c_page") else ())):
            line.send(rule.rule, "POST", path, b"", headers, rest + f"&{name}={escaped(value)}".encode())
        for value in (NASTY["CRLF"], NASTY["lone surrogates"]):
            odd = f"&{escaped(value)}={escaped(value)}&{name}=a&{name}={escaped(value)}".encode()
            line.send(rule.rule, "POST", path, odd, headers, rest + odd)
    fields = [(name.encode(), value.encode()) for name, value in good.items()]
    for value in nasty:
        body = multipart([*fields, (b"comment", value), (value.replace(b'"', b""), value)])
        line.send(rule.rule, "POST", path, b"", {"Content-Type": b"multipart/form-data; boundary=b7"}, body)
        line.send(rule.rule, "POST", path, b"", {"Content-Type": in_header(value)}, as_form(good))
    for boundary, body in BROKEN_MULTIPART.values():
        line.send(rule.rule, "POST", path, b"", {"Content-Type": b"multipart/form-data" + boundary}, body)
    for body in JSON.values():
        line.send(rule.rule, "POST", path, b"", {"Content-Type": b"application/json"}, body)
        line.send(rule.rule, "POST", path, b"", headers, body)
    line.send(rule.rule, "POST", path, b"", headers, b"&".join(b"c_%d=v" % number for number in range(20_000)))
    send_lengths(line, rule, path, headers, as_form(good))


def send_lengths(line: Line, rule: Rule, path: str, headers: dict[str, bytes], body: bytes) -> None:
    """A body cut off, or longer than said."""
    for length in (b"0", b"5", str(len(body) + 100).encode(), b"99999999999999999999", b"-1", b"x", b"", b"\xb2"):
        line.send(rule.rule, "POST", path, b"", headers, body, length)


# Random requests

raw = (
    st.sampled_from([*NASTY.values()])
    | st.binary(max_size=60)
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
numbers = st.integers(-(2**80), 2**80) | st.floats() | st.sampled_from([2**63, 2**70, -0.0])
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=30) | st.sampled_from(["yes", "help-centre", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
methods = st.sampled_from(["GET", "POST", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "post"])


def test_random_requests_break_nothing(
    app: Flask, engine: Engine, line: Line, world: World, watch: Watch, settings: Settings, cast: Cast
) -> None:
    bodies = api_bodies(app, settings)
    rules = public_rules(app)
    pages = {rule.rule: [filled(rule, each) for each in examples(world, rule)] for rule in rules}
    forms = {
        path: valid_body(line, rule, path, settings, cast)
        for rule in rules
        if "POST" in (rule.methods or ()) and not is_api(app, rule)
        for path in pages[rule.rule]
    }
    line.counts.clear()

    def query_of(data: st.DataObject) -> bytes:
        pairs = data.draw(
            st.lists(
                st.sampled_from([*world.queries]).flatmap(
                    lambda name: st.tuples(
                        st.just(name.encode()), raw | st.sampled_from(world.queries[name]).map(str.encode)
                    )
                )
                | st.tuples(raw, raw),
                max_size=4,
            )
        )
        return b"&".join(f"{escaped(name)}={escaped(value)}".encode() for name, value in pairs)

    def form_of(data: st.DataObject, path: str) -> tuple[bytes, bytes]:
        """A good form in which some fields are not."""
        fields = {name.encode(): value.encode() for name, value in forms.get(path, {}).items()}
        odd = data.draw(st.dictionaries(st.sampled_from([*fields, b"comment", b"c_page"]) | raw, raw, max_size=2))
        pairs = [*(fields | odd).items(), *data.draw(st.lists(st.tuples(raw, raw), max_size=1))]
        if data.draw(st.booleans()):
            kind = data.draw(st.sampled_from([b"; boundary=b7", b"; boundary=b7; charset=x", b"", b"; boundary=b"]))
            body = multipart([(name.replace(b'"', b""), value) for name, value in pairs])
            return b"multipart/form-data" + kind, body
        return FORM, b"&".join(f"{escaped(name)}={escaped(value)}".encode() for name, value in pairs)

    def json_of(data: st.DataObject, rule: str) -> bytes:
        good = json.loads(bodies.get(rule, b'{"items": [{}]}'))["items"][0]
        odd = data.draw(st.dictionaries(st.sampled_from([*good, "x"]), json_values, max_size=3))
        if data.draw(st.booleans()):
            return json.dumps({"items": [good | odd]}).encode()
        return data.draw(json_values.map(lambda value: json.dumps(value).encode()) | st.sampled_from([*JSON.values()]))

    @how(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=not REPORT,
        suppress_health_check=[*HealthCheck],
    )  # fmt: skip
    @given(st.data())
    def send(data: st.DataObject) -> None:
        rule = data.draw(st.sampled_from(rules), "rule")
        values = dict(data.draw(st.sampled_from(examples(world, rule))))
        path = filled(rule, values)
        if rule.arguments and data.draw(st.integers(0, 3)) == 0:
            values = {}
            path = filled(rule, {name: escaped(data.draw(raw)) for name in rule.arguments})
        if data.draw(st.integers(0, 9)) == 0:
            path += escaped(data.draw(raw))
        headers = data.draw(st.dictionaries(st.sampled_from(HEADERS), raw.map(in_header), max_size=3))
        if is_api(app, rule) and data.draw(st.integers(0, 4)):
            headers["Authorization"] = b"Bearer " + world.key.encode()
        body, length = b"", None
        method = data.draw(methods, "method")
        if method in ("POST", "PUT", "post"):
            if rule.rule.startswith("/api/"):
                headers.setdefault("Content-Type", b"application/json")
                body = json_of(data, rule.rule)
            else:
                kind, body = form_of(data, path)
                headers.setdefault("Content-Type", kind)
            if data.draw(st.integers(0, 7)) == 0:
                body = body[: data.draw(st.integers(0, len(body)))]
            if data.draw(st.integers(0, 7)) == 0:
                length = data.draw(st.sampled_from([b"0", b"7", b"99999999", b"-1", b"x", b""]))
        query = query_of(data)
        note(f"{method} {path} ?{query!r} {headers} {body[:2000]!r} {length!r}")
        line.send(rule.rule, method, path, query, headers, body, length)
        if method.upper() == "POST":
            watch.check(rule, values)

    send()
    watch.check_texts()
    if REPORT:
        found: dict[str, dict[str, int]] = {}
        for (rule, status), number in sorted(line.counts.items()):
            found.setdefault(rule, {})[str(status)] = number
        Path(f"{REPORT}.{engine.dialect.name}.json").write_text(json.dumps(found))
