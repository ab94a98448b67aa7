"""The description of the API says what the API does."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from feedback_loop.accounts.models import Scope
from feedback_loop.settings import Settings
from feedback_loop.web.openapi import Described, answer_schema, described, example_of
from tests.conftest import IN_CI
from tests.factories import Make
from tests.pages import words
from tests.responses.conftest import Program


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/api/v1/openapi.json")
    assert response.status_code == 200
    return response.get_json()  # type: ignore[no-any-return]


@pytest.fixture
def operations(app: Flask) -> list[Described]:
    return list(described(app))


def fits(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether a value is what a schema says, as far as our schemas go."""
    while "$ref" in schema:
        *_, part, name = schema["$ref"].split("/")
        schema = document["components"][part][name]
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None),
             "object": dict, "array": list}  # fmt: skip
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(isinstance(value, kinds[each]) for each in types):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return set(schema.get("required", [])) <= set(value) and all(
            name in known and fits(each, known[name], document) for name, each in value.items()
        )
    if isinstance(value, list):
        return all(fits(each, schema["items"], document) for each in value)
    return True


def test_every_address_of_the_api_is_described_and_nothing_else(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (rule.rule, method.lower(), getattr(app.view_functions[rule.endpoint], "access", None))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/v1/") and rule.endpoint != "api.openapi"
    }
    assert all(isinstance(access, Scope) for *_, access in routes)
    found = {
        (path, method, operation["description"].rpartition("scope `")[2].removesuffix("`."))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert found == routes, "a view of the API says what it is for with @describes"


def test_it_is_openapi_3_1_whose_references_lead_somewhere(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert set(document) >= {"info", "paths", "components", "servers"}
    ids = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(ids) == len(set(ids))
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        place: Any = document
        for step in reference.split("/"):
            place = place[step]
        assert place


def test_the_example_of_each_body_is_taken_and_each_answer_is_as_described(
    operations: list[Described], document: dict[str, Any], settings: Settings, program: Program, make: Make
) -> None:
    survey = make.survey("help-centre")
    make.answer(survey=survey, external_id="a1")
    make.session.commit()
    assert len(operations) == 5
    for each in operations:
        path = each.path.removeprefix("/api/v1/")
        schema = answer_schema(each.operation)
        if each.operation.sent is None:
            response = program.get(path)
        else:
            body = example_of(each, settings)
            sent = document["paths"][each.path]["post"]["requestBody"]["content"]["application/json"]["schema"]
            assert fits(body, sent, document)
            assert program.send(path, *body["items"]).json["counts"]["rejected"] == 0
            response = program.send(path, *body["items"], {})
            assert response.json["items"][1]["status"] == "rejected"
        assert response.json["items"]
        assert fits(response.json, schema, document), response.json


VALUES: list[Any] = [None, True, 7, 7.5, "", " ", "x" * 21, "x" * 5000, [], {}, {"a": []}, {"a": "b"}, {"": 1},
                     {"score": 1}, {"customer_email": 1}]  # fmt: skip


def test_what_a_schema_forbids_the_api_rejects_by_that_pointer(
    operations: list[Described], document: dict[str, Any], settings: Settings, program: Program, make: Make
) -> None:
    make.survey("help-centre")
    make.session.commit()
    tried = 0
    for each in operations:
        if each.operation.sent is None:
            continue
        path = each.path.removeprefix("/api/v1/")
        (good,) = example_of(each, settings)["items"]
        for field in each.operation.sent(settings):
            schema = field.schema()
            for value in VALUES:
                (item,) = program.send(path, good | {field.name: value}).json["items"]
                pointers = [fault["pointer"] for fault in item.get("errors", [])]
                at_field = any(pointer.startswith(f"/items/0/{field.name}") for pointer in pointers)
                if forbidden(value, schema, document):
                    assert at_field, (each.path, field.name, value)
                    tried += 1
                elif not isinstance(value, str | int):  # what these mean is another question
                    assert not at_field, (each.path, field.name, value)
    assert tried > 100


def forbidden(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether a schema of a field rules a value out."""
    if not fits(value, schema, document) or (isinstance(value, bool) and "boolean" not in schema["type"]):
        return True
    if isinstance(value, str):
        return not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9) or (
            "pattern" in schema and not re.search(schema["pattern"], value)
        )
    if isinstance(value, dict):
        names = schema["propertyNames"]
        return any(
            not names["minLength"] <= len(name) <= names["maxLength"]
            or name in names["not"]["enum"]
            or not isinstance(each, str | int | float | bool | None)
            for name, each in value.items()
        )
    return False


# For people


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    """The application on a port of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_for_people_names_every_address_field_and_error(
    client: FlaskClient, operations: list[Described], settings: Settings
) -> None:
    response = client.get("/api/docs")
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    body, page = response.get_data(as_text=True), words(response)
    assert "<script" not in body
    for each in operations:
        assert f"{each.method} {each.path}" in page
        fields = each.operation.sent(settings) if each.operation.sent else each.operation.asked
        for field in fields:
            assert f"<code>{field.name}</code>" in body
    assert "up to 4,000 characters" in page
    for code in (400, 401, 403, 404, 409, 413, 415, 422, 500, 503):
        assert f">{code}</th>" in body


def test_the_examples_on_the_page_work_as_they_stand(
    client: FlaskClient, site: str, settings: Settings, make: Make
) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        if IN_CI:
            pytest.fail("curl is missing")
        pytest.skip("install curl to run the examples")
    make.survey("help-centre")
    _, secret = make.api_key()
    make.session.commit()
    page = client.get("/api/docs").get_data(as_text=True)
    examples = [html.unescape(found) for found in re.findall(r'class="example"><code>(.*?)</code>', page, re.DOTALL)]
    assert len(examples) == 5
    for example in examples:
        run = subprocess.run(
            ["bash", "-c", example.replace(settings.public_url + "/", site + "/")],
            env={"PATH": os.environ["PATH"], "FEEDBACK_KEY": secret, "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            check=True,
        )
        answer = json.loads(run.stdout)
        assert answer["items"] or "next_cursor" in answer, (example, run.stdout)
        assert answer.get("counts", {}).get("rejected", 0) == 0, run.stdout
