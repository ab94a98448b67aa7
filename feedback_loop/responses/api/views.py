"""The addresses at which other systems send customers, invitations and answers, and read surveys and answers."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request
from sqlalchemy.orm import Session

from feedback_loop.accounts.access import api, public
from feedback_loop.accounts.keys import answer_once
from feedback_loop.accounts.models import Scope
from feedback_loop.clock import utc_now
from feedback_loop.responses import ingest, queries
from feedback_loop.responses.api import operations
from feedback_loop.responses.api.operations import Result
from feedback_loop.responses.ingest import Item, Outcome, Status
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.queries import surveys as all_surveys
from feedback_loop.web import jsonbody
from feedback_loop.web.database import session, settings
from feedback_loop.web.fields import Unlike, read_item
from feedback_loop.web.jsonbody import MOST_ITEMS, pointer
from feedback_loop.web.openapi import FAULTS, Operation, described, describes, example_of, written
from feedback_loop.web.openapi import document as openapi_document
from feedback_loop.web.problems import Fault, Problem

bp = Blueprint("api", __name__)


@bp.post("/api/v1/customers")
@api(Scope.CUSTOMERS_WRITE)
@describes(operations.CUSTOMERS)
def customers() -> Response:
    """Make customers, or name them anew."""
    return batch(operations.CUSTOMERS, lambda own, items: ingest.take_customers(own, items, utc_now()))


@bp.post("/api/v1/invitations")
@api(Scope.INVITATIONS_WRITE)
@describes(operations.INVITATIONS)
def invitations() -> Response:
    """Invite customers; the links are given back."""
    return batch(operations.INVITATIONS, lambda own, items: ingest.take_invitations(own, settings(), items, utc_now()))


@bp.post("/api/v1/answers")
@api(Scope.ANSWERS_WRITE)
@describes(operations.ANSWERS)
def answers() -> Response:
    """Record answers that were given elsewhere."""
    return batch(operations.ANSWERS, lambda own, items: ingest.take_answers(own, settings(), items, utc_now()))


@bp.get("/api/v1/surveys")
@api(Scope.READ)
@describes(operations.SURVEYS)
def surveys() -> dict[str, Any]:
    """All surveys."""
    return {"items": [written(operations.SURVEYS.shown, survey) for survey in all_surveys(session())]}


@bp.get("/api/v1/answers")
@api(Scope.READ)
@describes(operations.READ_ANSWERS)
def read_answers() -> dict[str, Any]:
    """Answers, a page at a time."""
    asked = parameters(operations.READ_ANSWERS)
    survey = None
    if asked["survey"]:
        survey = queries.survey_by_slug(session(), asked["survey"].lower())
        if survey is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"There is no survey {asked['survey']!r}. GET /api/v1/surveys lists them."
            )
    since = datetime.fromisoformat(asked["since"]) if asked["since"] else None
    after = read_cursor(asked["cursor"]) if asked["cursor"] else None
    rows = queries.answers_from(session(), survey, since, after, asked["limit"] + 1)
    shown = rows[: asked["limit"]]
    return {
        "items": [written(operations.READ_ANSWERS.shown, row) for row in shown],
        "next_cursor": write_cursor(shown[-1]) if len(rows) > len(shown) else None,
    }


@bp.get("/api/v1/openapi.json")
@public
def openapi() -> dict[str, Any]:
    """The description of the API for programs. It tells nothing of what is stored."""
    return openapi_document(current_app, settings())


@bp.get("/api/docs")
@public
def docs() -> str:
    """The description of the API for people."""
    found = list(described(current_app))
    examples = {
        each.path: json.dumps(example_of(each, settings()), indent=2, ensure_ascii=False)
        for each in found
        if each.operation.sent is not None
    }
    return render_template("api/docs.html", operations=found, examples=examples, faults=FAULTS, most=MOST_ITEMS)


def batch(operation: Operation, verb: Callable[[Session, Sequence[Item]], Sequence[Outcome]]) -> Response:
    """Do something with each item that is sent as described, once, and say what became of each."""
    assert operation.sent is not None
    fields = operation.sent(settings())
    good: dict[int, Item] = {}
    results: dict[int, Result] = {}
    for index, item in enumerate(jsonbody.items()):
        try:
            good[index] = read_item(fields, item, pointer("items", index))
        except Unlike as error:
            results[index] = Result(index, Outcome(Status.REJECTED), error.faults)

    def work(own: Session) -> dict[str, Any]:
        for index, outcome in zip(good, verb(own, list(good.values())), strict=True):
            steps = (outcome.column,) if outcome.column else ()
            faults = [Fault(outcome.reason, pointer("items", index, *steps))] if outcome.reason else []
            results[index] = Result(index, outcome, faults)
        counts = Counter(result.outcome.status for result in results.values())
        return {
            "items": [written(operation.shown, results[index]) for index in sorted(results)],
            "counts": {status.value: counts[status] for status in Status},
        }

    return answer_once(work)


def parameters(operation: Operation) -> dict[str, Any]:
    """The parameters of this request's address.

    Raises:
        Problem: One is not as described, is not known, or stands there twice.
    """
    given = {name: values[0] for name, values in request.args.lists() if len(values) == 1}
    if len(given) != len(request.args):
        raise Problem(HTTPStatus.BAD_REQUEST, "A parameter stands there twice; which one counts would be a guess.")
    try:
        return read_item(operation.asked, given, "")
    except Unlike as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{error}.") from None


def write_cursor(answer: Answer) -> str:
    """Where a page ends."""
    return base64.urlsafe_b64encode(f"{answer.answered_at.isoformat()} {answer.id}".encode()).decode()


def read_cursor(text: str) -> tuple[datetime, int]:
    """Where the page before ended.

    Raises:
        Problem: It was not made by us.
    """
    try:
        moment, _, id = base64.urlsafe_b64decode(text.encode()).decode().partition(" ")
        at, number = datetime.fromisoformat(moment).astimezone(UTC), int(id)
    except (ValueError, OverflowError):
        at, number = None, 0
    if at is None or not 0 < abs(number) < 2**63:  # ids of anonymous answers lie below zero
        raise Problem(HTTPStatus.BAD_REQUEST, "The cursor is not one of ours. Send next_cursor as you got it.")
    return at, number
