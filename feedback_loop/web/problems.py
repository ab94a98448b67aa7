"""Errors for programs: `application/problem+json` (RFC 9457), each with what to do, those of an item with a pointer to
where it stands (RFC 6901)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from flask import Response, request

API = "/api/v1/"
MESSAGES = {
    404: "There is nothing at this address. GET /api/v1/openapi.json lists what there is.",
    405: "This address cannot be used in this way. GET /api/v1/openapi.json lists what there is.",
    413: "The body has more than 1,048,576 bytes. Send fewer items at a time.",
    503: "Nothing can be stored or read just now; nothing was saved. Please send the same again in half a minute.",
    500: "Something went wrong on our side; nothing was saved. It has been written down; please try again in a minute.",
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with what was sent.

    Attributes:
        detail: What, and what would do.
        pointer: Where it stands in the body, as `/items/3/score`.
    """

    detail: str
    pointer: str


class Problem(Exception):
    """A request of a program cannot be answered as asked; says why.

    Args:
        status: HTTP status code.
        detail: What is wrong, and what would do.
        faults: Where in the body.
        headers: More headers of the answer.
    """

    def __init__(
        self, status: int, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}


def is_for_program() -> bool:
    """Whether what is being answered was asked by a program."""
    return request.path.startswith(API)


def answer(problem: Problem) -> Response:
    """The problem as a response."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.faults:
        body["errors"] = [asdict(fault) for fault in problem.faults]
    response = Response(json.dumps(body), problem.status, mimetype="application/problem+json")
    response.headers.update(problem.headers)
    return response
