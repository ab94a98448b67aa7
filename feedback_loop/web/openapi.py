"""The description of the API (OpenAPI 3.1), made from what the views are: their addresses and access, the fields they
read and what they show. It can name nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, TypeVar

from flask import Flask

from feedback_loop.settings import Settings
from feedback_loop.web.fields import Text, example, item_schema
from feedback_loop.web.jsonbody import MOST_ITEMS

View = TypeVar("View", bound=Callable[..., Any])

FAULTS = {
    400: "The request cannot be read: no JSON, a name twice in one object, a parameter that makes no sense.",
    401: "No API key was sent, or one that is unknown, expired or revoked.",
    403: "The API key lacks the scope.",
    404: "There is nothing at this address, or no survey of this name.",
    409: "The same request is being done, or somebody else wrote the same at this moment. Send it again.",
    413: "The body is larger than 1 MB.",
    415: "The body is not sent as JSON.",
    422: "The body is not a list of 1 to 1,000 items, or its Idempotency-Key came with something else before.",
    429: "The key has made all its requests of this minute. Retry-After says in how many seconds it may go on.",
    500: "Something went wrong on our side. Nothing was saved.",
    503: "The database is busy. Nothing was saved.",
}
ONLY_WITH_BODY = {409, 413, 415, 422}
PROBLEM = {
    "type": "object",
    "description": "What went wrong and what to do (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what would do."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
    "required": ["type", "title", "status", "detail"],
}
FAULT = {
    "type": "object",
    "properties": {
        "detail": {"type": "string", "description": "What is wrong, and what would do."},
        "pointer": {"type": "string", "description": "Where it stands in the body (RFC 6901), as /items/3/score."},
    },
    "required": ["detail", "pointer"],
}
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of this request, best a new UUID. Sent again with the same body within 24 hours, nothing is "
    "done twice and the same is answered, with the header Idempotency-Replayed: true.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


@dataclass(frozen=True)
class Shown:
    """One member of what is answered.

    Attributes:
        name: Of the member.
        schema: What it may be, as JSON Schema.
        read: Takes it from what is shown.
    """

    name: str
    schema: dict[str, Any]
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class Operation:
    """What a view of the API is for.

    Attributes:
        summary: In a few words.
        about: In sentences.
        shown: Members of each item it answers.
        sent: Fields of each item that is sent to it; None when it takes no body.
        asked: Parameters of its address.
        also: Members of the answer beside its items.
    """

    summary: str
    about: str
    shown: Sequence[Shown]
    sent: Callable[[Settings], Sequence[Text]] | None = None
    asked: Sequence[Text] = ()
    also: Sequence[Shown] = ()


@dataclass(frozen=True)
class Described:
    """A view of the API and where it stands."""

    name: str
    method: str
    path: str
    scope: str
    operation: Operation


def describes(operation: Operation) -> Callable[[View], View]:
    """Say what a view of the API is for."""

    def mark(view: View) -> View:
        view.operation = operation  # type: ignore[attr-defined]
        return view

    return mark


def written(shown: Sequence[Shown], row: Any) -> dict[str, Any]:
    """A row as it is answered. What is None is left out, unless it may be null."""
    values = [(each, each.read(row)) for each in shown]
    return {each.name: value for each, value in values if value is not None or "null" in each.schema["type"]}


def described(app: Flask) -> Iterator[Described]:
    """Every view of the API, by address."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        operation, access = getattr(view, "operation", None), getattr(view, "access", "")
        if operation is not None:
            method = next(iter((rule.methods or set()) - {"HEAD", "OPTIONS"}))
            yield Described(rule.endpoint.rpartition(".")[2], method, rule.rule, access, operation)


def example_of(each: Described, settings: Settings) -> dict[str, Any]:
    """A body that is taken."""
    assert each.operation.sent is not None
    return {"items": [example(each.operation.sent(settings))]}


def object_of(shown: Sequence[Shown]) -> dict[str, Any]:
    """What is answered, as JSON Schema."""
    return {"type": "object", "properties": {each.name: each.schema for each in shown}}


def answer_schema(operation: Operation) -> dict[str, Any]:
    """What a view answers, as JSON Schema."""
    items = Shown("items", {"type": "array", "items": object_of(operation.shown)}, lambda row: row)
    return object_of([items, *operation.also])


def operation_object(each: Described, settings: Settings) -> dict[str, Any]:
    """What OpenAPI calls an operation."""
    operation = each.operation
    parameters: list[dict[str, Any]] = []
    for field in operation.asked:
        schema = field.schema()
        about = schema.pop("description")
        parameters.append(
            {"name": field.name, "in": "query", "required": field.required, "description": about, "schema": schema}
        )
    found: dict[str, Any] = {
        "operationId": f"{each.method.lower()}_{each.name}",
        "summary": operation.summary,
        "description": f"{operation.about}\n\nNeeds an API key with the scope `{each.scope}`.",
        "security": [{"key": []}],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "Answered.",
                "content": {"application/json": {"schema": answer_schema(operation)}},
            }
        },
    }
    if operation.sent is not None:
        parameters.append(IDEMPOTENCY)
        body = {
            "type": "object",
            "properties": {
                "items": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_ITEMS,
                    "items": item_schema(operation.sent(settings)),
                }
            },
            "required": ["items"],
            "additionalProperties": False,
        }
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body, "example": example_of(each, settings)}},
        }
        found["responses"]["200"]["headers"] = {
            "Idempotency-Replayed": {
                "description": "true when this was done before and is answered again.",
                "schema": {"type": "string", "const": "true"},
            }
        }
    for code in FAULTS:
        if operation.sent is not None or code not in ONLY_WITH_BODY:
            found["responses"][str(code)] = {"$ref": f"#/components/responses/{code}"}
    return found


def document(app: Flask, settings: Settings) -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for each in described(app):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", each.path)
        paths.setdefault(path, {})[each.method.lower()] = operation_object(each, settings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Feedback of {settings.company_name}",
            "version": version("feedback-loop"),
            "description": "Send customers, invitations and answers; read surveys and answers.",
        },
        "servers": [{"url": settings.public_url}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key, fl_…"}},
            "schemas": {"Problem": PROBLEM, "Fault": FAULT},
            "responses": {
                str(code): {
                    "description": f"{HTTPStatus(code).phrase}. {about}",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for code, about in FAULTS.items()
            },
        },
    }
