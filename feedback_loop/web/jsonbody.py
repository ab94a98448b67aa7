"""The JSON that programs send: read strictly, so that nothing is guessed and nothing said twice is lost."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any, NoReturn

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from feedback_loop.web.problems import Fault, Problem

MOST_ITEMS = 1000


class Unfit(ValueError):
    """The text is JSON, or nearly so, but cannot be taken; says why."""


def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, in which each name stands once."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise Unfit(f"an object names {twin[:80]!a} twice; which one counts would be a guess")
    return found


def no_constant(text: str) -> NoReturn:
    """NaN and Infinity, which some programs write, are no JSON."""
    raise Unfit(f"{text} is not a number in JSON")


def finite(text: str) -> float:
    """A number with a fraction or an exponent."""
    number = float(text)
    if not math.isfinite(number):
        raise Unfit(f"the number {text[:40]} is too large")
    return number


def parse(data: bytes) -> Any:
    """Read JSON.

    Raises:
        Unfit: It is none, or not one thing only; says what to change.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unfit(f"byte {error.start + 1} is not UTF-8") from None
    try:
        return json.loads(text, object_pairs_hook=no_twins, parse_constant=no_constant, parse_float=finite)
    except json.JSONDecodeError as error:
        raise Unfit(f"{error.msg}, at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Unfit("it is nested too deeply") from None
    except Unfit:
        raise
    except ValueError:  # of a whole number with thousands of digits
        raise Unfit("a number has too many digits") from None


def items() -> list[Any]:
    """The items of this request's body, `{"items": […]}`.

    Raises:
        RequestEntityTooLarge: It is larger than 1 MB.
        Problem: 415 when it is not sent as JSON, 400 when it cannot be read, 422 when it is not a list of 1 to 1,000.
    """
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Send JSON, uncompressed, with the header Content-Type: application/json.",
        )
    data = request.get_data()
    if request.content_length is None and len(data) >= (request.max_content_length or math.inf):
        # One sent in chunks says no length, and is cut off at the limit without a word.
        raise RequestEntityTooLarge
    try:
        body = parse(data)
    except Unfit as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body cannot be read as JSON: {error}.") from None
    wanted = f'{{"items": […]}} with 1 to {MOST_ITEMS:,} items'
    if not isinstance(body, dict):
        raise unlike(f"Send an object, {wanted}.", "")
    for name in body:
        if name != "items":
            raise unlike(f"Send only {wanted}; other names are not known here.", pointer(name))
    found = body.get("items")
    if not isinstance(found, list) or not found:
        raise unlike(f"Send {wanted}.", "/items")
    if len(found) > MOST_ITEMS:
        raise unlike(f"These are {len(found):,} items. Send at most {MOST_ITEMS:,} at a time.", "/items")
    return found


def unlike(detail: str, where: str) -> Problem:
    """The body is JSON, but not what is asked for."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, [Fault(detail, where)])


def pointer(*steps: str | int) -> str:
    """Where something stands in the body (RFC 6901)."""
    written = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return written.encode("utf-8", "replace").decode()
