"""Doing once what is sent twice.

A request with a name (its Idempotency-Key) is held before it is done, in a transaction of its own, so that a second one
of that name sees it running. What it writes and what it answers are committed together: either both are there or the
request was not done. A process that died lets go when its time is over; one that comes back late finds that another
holds the request, and writes nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.fernet import InvalidToken
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.accounts.models import ApiRequest
from feedback_loop.db import insert_missing

KEPT = timedelta(hours=24)
HELD = timedelta(minutes=5)  # longer than any request takes: writers wait a minute for the database at most
PURPOSE = "api-response"


class Other(ValueError):
    """Something else was asked under this name before."""


class Running(ValueError):
    """The request is being done."""


class Unreadable(ValueError):
    """The request was done, but what was answered cannot be read."""


@dataclass(frozen=True)
class Held:
    """A request that is ours to do, or what was answered to it before.

    Attributes:
        id: Of its row.
        holder: Ours.
        answered: Body and status of the response; None where it is yet to be done.
    """

    id: int
    holder: str
    answered: tuple[str, int] | None = None


def hold(session: Session, api_key_id: int, name: str, fingerprint: str, now: datetime, secret_key: str) -> Held:
    """Take a request to do it. Commit before you begin.

    Args:
        session: A session that writes.
        api_key_id: The key it came with; each key has names of its own.
        name: Its Idempotency-Key.
        fingerprint: Hash of what it asks.
        now: The present moment.
        secret_key: The installation's, to read what was answered.

    Raises:
        Other: The name stood for something else.
        Running: It is being done.
        Unreadable: It was done under another SECRET_KEY.
    """
    mine = (ApiRequest.api_key_id == api_key_id, ApiRequest.name == name)
    session.execute(delete(ApiRequest).where(*mine, ApiRequest.created_at <= now - KEPT))
    holder = secrets.token_hex(16)
    new = {
        "api_key_id": api_key_id,
        "name": name,
        "fingerprint": fingerprint,
        "holder": holder,
        "held_until": now + HELD,
        "created_at": now,
    }
    insert_missing(session, ApiRequest, [new])
    found = session.scalar(select(ApiRequest).where(*mine))
    if found is None:  # another let it go just now
        raise Running("The same request ended just now without being done. Send it again.")
    if found.fingerprint != fingerprint:
        raise Other("This Idempotency-Key came with something else before. Send a new one with each new request.")
    if found.holder == holder:
        return Held(found.id, holder)
    if found.response is not None and found.status is not None:
        try:
            return Held(found.id, found.holder, (opened(found.response, secret_key), found.status))
        except InvalidToken:
            raise Unreadable(
                "This request was done, but its answer was stored under another SECRET_KEY and cannot be read."
            ) from None
    taken = (
        update(ApiRequest)
        .where(ApiRequest.id == found.id, ApiRequest.status.is_(None), ApiRequest.held_until <= now)
        .values(holder=holder, held_until=now + HELD)
    )
    if session.execute(taken).rowcount != 1:  # type: ignore[attr-defined]
        raise Running("The same request is being done. Send it again in a moment to get its answer.")
    return Held(found.id, holder)


def finish(session: Session, held: Held, status: int, body: str, secret_key: str) -> None:
    """Keep what was answered, in the transaction that did it.

    Raises:
        Running: Another took the request, because it took too long. Commit nothing.
    """
    response = tokens.box(secret_key, PURPOSE).encrypt(body.encode())
    ours = (ApiRequest.id == held.id, ApiRequest.holder == held.holder)
    done = session.execute(update(ApiRequest).where(*ours).values(status=status, response=response))
    if done.rowcount != 1:  # type: ignore[attr-defined]
        raise Running("This took too long, and the same request is being done anew. Send it again to get its answer.")


def opened(response: bytes, secret_key: str) -> str:
    """What was answered."""
    return tokens.box(secret_key, PURPOSE).decrypt(response).decode()


def let_go(session: Session, held: Held) -> None:
    """Forget a request that was not done, so that it may be sent again."""
    ours = (ApiRequest.id == held.id, ApiRequest.holder == held.holder)
    session.execute(delete(ApiRequest).where(*ours, ApiRequest.status.is_(None)))


def forget_requests(session: Session, now: datetime) -> None:
    """Forget requests that are older than a day."""
    session.execute(delete(ApiRequest).where(ApiRequest.created_at <= now - KEPT))
