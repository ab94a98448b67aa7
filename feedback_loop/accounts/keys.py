"""What a program may do, by the API key it sends; and that what it names is done once."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from flask import Response, g, request
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from feedback_loop.accounts import once, queries, service
from feedback_loop.accounts.models import Scope
from feedback_loop.clock import utc_now
from feedback_loop.db import reading
from feedback_loop.web import limits
from feedback_loop.web.database import session, sessions, settings
from feedback_loop.web.problems import Problem

log = logging.getLogger(__name__)

# One answer to all keys that do not work: it tells nobody whether there once was such a key.
UNKNOWN = "Send an API key that works, as Authorization: Bearer fl_… Keys are made under Settings, API keys."
# A string as HTTP writes it (draft-ietf-httpapi-idempotency-key-header); without the quotes as most programs do.
NAME = re.compile(r'"([ !#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255})')
AGAIN = "The same was being written at this moment. Nothing of this request was saved; send it again."


@dataclass(frozen=True)
class KeyInUse:
    """The API key behind a request, as plain values."""

    id: int
    scopes: frozenset[str]


def key_in_use() -> KeyInUse:
    """The API key behind this request."""
    return cast(KeyInUse, g.api_key)


def check_key(scope: Scope) -> None:
    """Let a program in whose API key works and has this scope; note about when the key was used.

    Raises:
        Problem: 401 without a key that works, 403 when it may not do this, 429 when it asks too often.
    """
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    now = utc_now()
    with reading(sessions()) as own:
        key = queries.api_key_by_secret(own, secret.strip()) if kind.lower() == "bearer" else None
    if key is None or not key.works_at(now):
        raise Problem(HTTPStatus.UNAUTHORIZED, UNKNOWN, headers={"WWW-Authenticate": "Bearer"})
    if key.last_used_at is None or key.last_used_at <= now - service.USE_NOTED_EVERY:
        try:
            with sessions().begin() as own:
                service.note_use(own, key.id, now)
        except (OperationalError, TimeoutError):
            log.warning("The use of API key %d was not noted: the database is busy.", key.id)
    limit, who = limits.api_requests(), str(key.id)
    is_within = limits.count(limit, who)
    limits.tell(limit, who)
    if not is_within:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"This API key has made its {settings().api_requests_per_minute} requests of this minute. Wait as many "
            "seconds as Retry-After says, and send more items at a time.",
            headers=limits.retry_after(limit, who),
        )
    if scope not in key.scopes:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"This API key may not do this: it lacks the scope {scope.value}. An admin can make one that has it.",
        )
    g.api_key = KeyInUse(key.id, frozenset(key.scopes))


def request_name() -> str | None:
    """The Idempotency-Key of this request, or None.

    Raises:
        Problem: It cannot be one.
    """
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    found = NAME.fullmatch(given.strip())
    if found is None:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "The Idempotency-Key cannot be used. Send 1 to 255 letters, digits and signs of ASCII, best a new UUID.",
        )
    return found[1] or found[2]


def reply(body: str, status: int, replayed: bool = False) -> Response:
    """A response in JSON."""
    response = Response(body, status, mimetype="application/json")
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def answer_once(work: Callable[[Session], dict[str, Any]]) -> Response:
    """Do what this request asks and commit it; sent again under the same Idempotency-Key, answer as before.

    Args:
        work: Does it in the session it is given and returns the body of the response.

    Raises:
        Problem: 409 while the same is being done; 422 when the name stood for something else.
    """
    name = request_name()
    if name is None:
        return reply(committed(work), HTTPStatus.OK)
    asked = [request.method, request.full_path, hashlib.sha256(request.get_data()).hexdigest()]
    fingerprint = hashlib.sha256("\n".join(asked).encode("utf-8", "replace")).hexdigest()
    try:
        with sessions().begin() as own:
            held = once.hold(own, key_in_use().id, name, fingerprint, utc_now(), settings().secret_key)
    except once.Other as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    except once.Running as error:
        raise Problem(HTTPStatus.CONFLICT, str(error), headers={"Retry-After": "1"}) from error
    except once.Unreadable as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error
    if held.answered is not None:
        return reply(*held.answered, replayed=True)
    try:
        return reply(committed(work, held), HTTPStatus.OK)
    except once.Running as error:
        raise Problem(HTTPStatus.CONFLICT, str(error), headers={"Retry-After": "1"}) from error
    except BaseException:
        with sessions().begin() as own:
            once.let_go(own, held)
        raise


def committed(work: Callable[[Session], dict[str, Any]], held: once.Held | None = None) -> str:
    """Do some work and commit it, together with what is answered where it is held; or nothing of it.

    Raises:
        Problem: Somebody else wrote the same at this moment.
    """
    own = session()
    try:
        body = json.dumps(work(own))
        if held is not None:
            once.finish(own, held, HTTPStatus.OK, body, settings().secret_key)
        own.commit()
    except IntegrityError as error:
        raise Problem(HTTPStatus.CONFLICT, AGAIN, headers={"Retry-After": "1"}) from error
    finally:
        own.rollback()  # lets the database go, whatever happened
    return body
