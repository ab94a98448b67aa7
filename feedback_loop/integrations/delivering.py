"""Sends what is owed to endpoints: claimed with a lease, sent with no transaction open, marked in a transaction of its
own.

Endpoints wait for nobody but themselves: one that does not answer is left alone for a while, with all that is owed to
it. One that answers slowly gets its turn in each pass, as all do, and no more.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from cryptography.fernet import InvalidToken
from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from feedback_loop.db import Sessions, clean_text, reading
from feedback_loop.integrations import messages, service, signing
from feedback_loop.integrations.models import Delivery, DeliveryState, Endpoint, EndpointKind
from feedback_loop.integrations.payloads import payload
from feedback_loop.jobs.backoff import backoff, is_over
from feedback_loop.jobs.claims import Claim, claim, still_ours
from feedback_loop.outbound import TOTAL_SECONDS, Answer, Forbidden, NotSent, Outbound
from feedback_loop.settings import Settings

log = logging.getLogger(__name__)

BATCH = 10
AT_ONCE = 4  # endpoints
A_TURN = timedelta(seconds=30)  # of one endpoint in a pass; the request that runs then is waited for
LEASE = timedelta(seconds=BATCH * TOTAL_SECONDS * 2)
GONE = 410
LONGEST_WAIT = timedelta(hours=8)
KEPT_OF_ANSWER = 300  # characters
JSON = "application/json"


@dataclass(frozen=True)
class Outcome:
    """What came of one request.

    Attributes:
        reason: In words; empty when it arrived.
        is_down: Whether the others for this endpoint would fare the same.
        is_gone: Whether the endpoint wants nothing more, ever.
        wait: What the endpoint asked for.
    """

    reason: str = ""
    code: int | None = None
    answer: str = ""
    is_down: bool = False
    is_gone: bool = False
    wait: timedelta | None = None


def judge(answer: Answer, now: datetime) -> Outcome:
    """What an answer means: 2xx that it arrived; 408, 429 and 5xx that it is not the event's fault."""
    said = clean_text(answer.body[: 4 * KEPT_OF_ANSWER].decode("utf-8", "replace"))[:KEPT_OF_ANSWER]
    if answer.is_good:
        return Outcome(code=answer.status, answer=said)
    is_down = answer.status in (408, 429) or answer.status >= 500
    wait = retry_after(answer.headers.get("retry-after", ""), now) if is_down else None
    reason = f"It answered {answer.status}."
    if 300 <= answer.status < 400:
        reason = f"It answered {answer.status}: redirects are not followed. Give the final address."
    return Outcome(reason, answer.status, said, is_down, answer.status == GONE, wait)


def retry_after(value: str, now: datetime) -> timedelta | None:
    """How long a server asks us to wait; at most some hours."""
    if value.isascii() and value.isdecimal():
        return min(timedelta(seconds=int(value[:9])), LONGEST_WAIT)
    try:
        return min(max(parsedate_to_datetime(value) - now, timedelta()), LONGEST_WAIT) if value else None
    except (ValueError, TypeError):
        return None


def deliver_due(
    sessions: Sessions,
    settings: Settings,
    clock: Callable[[], datetime],
    outbound: Outbound,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Give each endpoint to which anything is due its turn, some at once.

    Returns:
        How many deliveries arrived.
    """
    now = clock()
    owes = select(Delivery.id).where(
        Delivery.endpoint_id == Endpoint.id, Delivery.state == DeliveryState.PENDING, Delivery.next_at <= now
    )
    with reading(sessions) as session:
        due = session.scalars(
            select(Endpoint.id)
            .where(
                Endpoint.paused_at.is_(None),
                Endpoint.disabled_at.is_(None),
                Endpoint.next_at.is_(None) | (Endpoint.next_at <= now),
                owes.exists(),
            )
            .order_by(Endpoint.failures, Endpoint.id)
        ).all()
    if not due:
        return 0

    def serve(endpoint_id: int) -> int:
        try:
            return drain(sessions, settings, endpoint_id, clock, outbound, stop)
        except Exception:
            log.exception("What is owed to endpoint %d could not be sent.", endpoint_id)
            return 0

    with ThreadPoolExecutor(min(AT_ONCE, len(due)), thread_name_prefix="delivers") as pool:
        return sum(pool.map(serve, due))


def drain(
    sessions: Sessions,
    settings: Settings,
    endpoint_id: int,
    clock: Callable[[], datetime],
    outbound: Outbound,
    stop: Callable[[], bool],
) -> int:
    """Send what is owed to one endpoint until nothing is, it takes no more, or its turn is over. What becomes due
    meanwhile is for the next turn."""
    sent = 0
    begun = clock()

    def is_over() -> bool:
        return stop() or clock() - begun >= A_TURN

    due = [
        Delivery.endpoint_id == endpoint_id,
        Delivery.state == DeliveryState.PENDING,
        Delivery.next_at <= begun,
    ]
    while not is_over():
        with sessions.begin() as session:
            claims = claim(session, Delivery, due, [Delivery.next_at, Delivery.id], BATCH, clock(), LEASE)
        if not claims:
            break
        for place, each in enumerate(claims):
            outcome = None if is_over() else send(sessions, settings, each, clock, outbound)
            if outcome is None:  # its turn is over, or it was stopped meanwhile
                release(sessions, claims[place:])
                return sent
            goes_on = record(sessions, settings, endpoint_id, each, outcome, clock())
            sent += not outcome.reason
            if not goes_on:
                release(sessions, claims[place + 1 :])
                return sent
    return sent


def send(
    sessions: Sessions, settings: Settings, each: Claim, clock: Callable[[], datetime], outbound: Outbound
) -> Outcome | None:
    """Write one delivery and send it; None where that is no longer ours to do."""
    with reading(sessions) as session:
        row = session.get_one(Delivery, each.id)
        endpoint = row.endpoint
        if row.fence != each.fence or not endpoint.is_on:
            return None
        try:
            said = payload(session, row.type, row.subject_id, row.at, settings)
            if said is None:
                return Outcome(ERASED)
            url = service.decrypted(endpoint.sealed_url, settings)
            keys = service.secrets_of(endpoint, clock(), settings)
            headers, body = written(said, endpoint.kind, keys, row.event_id, clock())
        except InvalidToken:
            return Outcome("SECRET_KEY is not the one this endpoint was kept under; restore it.", is_down=True)
        except (OperationalError, InterfaceError, NoConnection):
            raise  # the database is away, which says nothing of this one
        except Exception:
            log.exception("Delivery %d could not be written.", each.id)
            return Outcome(UNWRITTEN)
    try:
        return judge(outbound.request("POST", url, headers, body), clock())
    except NotSent as error:
        return Outcome(str(error), is_down=True, wait=LONGEST_WAIT if isinstance(error, Forbidden) else None)


ERASED = "What it was about has been erased."
UNWRITTEN = "It could not be written: something broke here; the log of the worker says what."
SET_ASIDE = {ERASED: DeliveryState.SKIPPED, UNWRITTEN: DeliveryState.FAILED}  # which says nothing of the endpoint


def written(
    said: dict[str, Any], kind: EndpointKind, keys: list[str], event_id: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """Headers and body for one kind of endpoint."""
    if kind != EndpointKind.WEBHOOK:
        message = messages.slack(said) if kind == EndpointKind.SLACK else messages.teams(said)
        return {"Content-Type": JSON}, json.dumps(message).encode()
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return {"Content-Type": JSON} | signing.headers(keys, event_id, now, body), body


def record(
    sessions: Sessions, settings: Settings, endpoint_id: int, each: Claim, outcome: Outcome, now: datetime
) -> bool:
    """Write what came of one delivery, and what it says of its endpoint.

    Returns:
        Whether to go on with this endpoint.
    """
    with sessions.begin() as session:
        row = session.get_one(Delivery, each.id)
        seen = {"code": outcome.code, "answer": outcome.answer}
        if outcome.reason in SET_ASIDE:
            still_ours(session, Delivery, each, {"state": SET_ASIDE[outcome.reason], "reason": outcome.reason})
            return True
        endpoint = session.get_one(Endpoint, endpoint_id, with_for_update=True)
        if not outcome.reason:
            still_ours(session, Delivery, each, seen | {"state": DeliveryState.SENT, "sent_at": now, "reason": ""})
            if endpoint.failures or endpoint.failing_since:
                endpoint.failing_since = endpoint.next_at = None
                endpoint.failures = 0
            return True
        still_ours(session, Delivery, each, seen | after_failure(row, outcome, now))
        if not endpoint.is_on:
            return False
        return failed(session, endpoint, outcome, now, settings)


def failed(session: Session, endpoint: Endpoint, outcome: Outcome, now: datetime, settings: Settings) -> bool:
    """Note a failure of an endpoint; whether the next delivery may be tried at once."""
    if endpoint.next_at is not None and now - endpoint.next_at > service.QUIET:
        # Nobody has tried since it last failed, long ago: that says nothing of the time between.
        endpoint.failing_since, endpoint.failures = None, 0
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or now
    endpoint.next_at = now
    if outcome.is_gone:
        service.disable(session, endpoint, "It answered 410: it wants nothing more.", now, settings)
    elif now - endpoint.failing_since >= service.DISABLED_AFTER:
        days = service.DISABLED_AFTER.days
        service.disable(session, endpoint, f"Nothing has arrived for {days} days. {outcome.reason}", now, settings)
    elif outcome.is_down:
        endpoint.next_at = now + (outcome.wait or backoff(endpoint.failures, f"endpoint:{endpoint.id}"))
    else:
        return True
    return False


def after_failure(row: Delivery, outcome: Outcome, now: datetime) -> dict[str, Any]:
    """The next attempt of a delivery, or the end of trying."""
    if is_over(row.created_at, now):
        return {"state": DeliveryState.FAILED, "reason": f"Given up after 72 hours: {outcome.reason}"[:500]}
    return {
        "next_at": now + (outcome.wait or backoff(row.attempts, f"delivery:{row.id}")),
        "reason": outcome.reason[:500],
    }


def release(sessions: Sessions, claims: list[Claim]) -> None:
    """Let claims go unused, which costs no attempt."""
    if claims:
        with sessions.begin() as session:
            for each in claims:
                still_ours(session, Delivery, each, {"attempts": Delivery.attempts - 1})
