"""Verbs on endpoints: add, change, rotate, pause, try; and what is owed to them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, User
from feedback_loop.clock import day_of
from feedback_loop.db import insert_missing
from feedback_loop.integrations import signing, sources
from feedback_loop.integrations.catalogue import EVENTS, TEST
from feedback_loop.integrations.models import Delivery, DeliveryState, Endpoint, EndpointKind
from feedback_loop.jobs.bell import ring
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.service import Owed, owe
from feedback_loop.outbound import Forbidden, Outbound
from feedback_loop.settings import Settings
from feedback_loop.tokens import box

PURPOSE = "integrations"
OLD_SECRET_FOR = timedelta(hours=24)
DISABLED_AFTER = timedelta(days=5)
QUIET = timedelta(days=2)  # while anything is owed, tries lie less far apart
KEPT = timedelta(days=30)  # the log
NEWS = timedelta(days=14)  # what is older is never owed anew: it may have left the log already
MOST_REPLAYED = 10_000


class Refused(ValueError):
    """What was asked for is not possible; the message says why, for people."""


def encrypted(text: str, settings: Settings) -> bytes:
    """Lock a secret away; only this installation's key opens it."""
    return box(settings.secret_key, PURPOSE).encrypt(text.encode())


def decrypted(sealed: bytes, settings: Settings) -> str:
    """Take a secret out.

    Raises:
        InvalidToken: SECRET_KEY is another one by now.
    """
    return box(settings.secret_key, PURPOSE).decrypt(sealed).decode()


def shown(url: str, kind: EndpointKind) -> str:
    """An address as people may see it: of chats only its host, since the rest is the secret."""
    return url[:300] if kind == EndpointKind.WEBHOOK else f"https://{urlsplit(url).hostname}/…"


def add_endpoint(
    session: Session,
    name: str,
    kind: EndpointKind,
    url: str,
    events: Sequence[str],
    by: User,
    now: datetime,
    settings: Settings,
    outbound: Outbound,
) -> tuple[Endpoint, str]:
    """Let another system hear of some events from now on.

    Returns:
        The endpoint, and its secret, which nobody sees again; empty for chats.

    Raises:
        Refused: The address can never be called, or nothing is to be heard.
    """
    try:
        outbound.check(url)
    except Forbidden as error:
        raise Refused(str(error)) from None
    secret = signing.new_secret() if kind == EndpointKind.WEBHOOK else ""
    endpoint = Endpoint(
        name=name,
        kind=kind,
        shown_url=shown(url, kind),
        sealed_url=encrypted(url, settings),
        events=known(events),
        sealed_secret=encrypted(secret, settings) if secret else None,
        created_by=by,
        created_at=now,
        failures=0,
    )
    session.add(endpoint)
    sources.start(session, now)
    session.flush()
    return endpoint, secret


def known(events: Sequence[str]) -> list[str]:
    """Types of events in the order of the catalogue.

    Raises:
        Refused: There are none.
    """
    chosen = [each for each in EVENTS if each in events]
    if not chosen:
        raise Refused("Choose at least one event.")
    return chosen


def rotate(endpoint: Endpoint, now: datetime, settings: Settings) -> str:
    """Give a webhook a new secret. For a day both sign, so that the other system can change in its own time.

    Raises:
        Refused: It is a chat, which has none.
    """
    if endpoint.sealed_secret is None:
        raise Refused("Chats have no secret of ours. Their address is the secret: make a new one there.")
    secret = signing.new_secret()
    endpoint.sealed_old_secret, endpoint.old_secret_until = endpoint.sealed_secret, now + OLD_SECRET_FOR
    endpoint.sealed_secret = encrypted(secret, settings)
    return secret


def secrets_of(endpoint: Endpoint, now: datetime, settings: Settings) -> list[str]:
    """The secrets that sign just now, the newest first."""
    sealed = [endpoint.sealed_secret]
    if endpoint.old_secret_until is not None and endpoint.old_secret_until > now:
        sealed.append(endpoint.sealed_old_secret)
    return [decrypted(each, settings) for each in sealed if each is not None]


def set_paused(endpoint: Endpoint, is_paused: bool, now: datetime) -> None:
    """Stop sending, or begin again. What happens meanwhile is owed, and given up after 72 hours."""
    endpoint.paused_at = now if is_paused else None
    if not is_paused:
        endpoint.disabled_at = endpoint.failing_since = endpoint.next_at = None
        endpoint.disabled_why = ""
        endpoint.failures = 0


def try_out(session: Session, endpoint: Endpoint, now: datetime) -> Delivery:
    """Owe an endpoint an event that says nothing."""
    row = Delivery(
        endpoint=endpoint,
        event_id=f"evt_test-{secrets.token_hex(8)}",
        type=TEST,
        subject_id=0,
        at=now,
        created_at=now,
        next_at=now,
    )
    session.add(row)
    if endpoint.next_at is not None:  # what is past says when it last failed
        endpoint.next_at = min(endpoint.next_at, now)
    session.flush()
    return row


AGAIN = {"state": DeliveryState.PENDING, "reason": "", "attempts": 0, "fence": Delivery.fence + 1}


def replay(session: Session, delivery: Delivery, now: datetime) -> None:
    """Send one again, under its own id: the other system can tell that it is the same."""
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery.id)
        .values(**AGAIN, created_at=now, next_at=now, claimed_until=None, sent_at=None)
    )


def replay_failed(session: Session, endpoint: Endpoint, since: datetime, now: datetime) -> int:
    """Send everything again that happened from some moment on and failed.

    Returns:
        How many that are.
    """
    failed = (
        select(Delivery.id)
        .where(Delivery.endpoint_id == endpoint.id, Delivery.state == DeliveryState.FAILED, Delivery.at >= since)
        .order_by(Delivery.id)
        .limit(MOST_REPLAYED)
    )
    result = session.execute(
        update(Delivery).where(Delivery.id.in_(failed)).values(**AGAIN, created_at=now, next_at=now, claimed_until=None)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def owe_events(session: Session, now: datetime) -> tuple[int, bool]:
    """Look through what has happened and owe each endpoint what it asks for. Doing it twice owes nothing twice.

    Returns:
        How many deliveries were looked at, and whether there may be more to find.
    """
    endpoints = session.scalars(select(Endpoint).order_by(Endpoint.id)).all()
    if not endpoints:
        sources.forward(session, now)
        return 0, False
    types = sorted({each for endpoint in endpoints for each in endpoint.events})
    happened, is_more = sources.look(session, now, types)
    rows = [
        {
            "endpoint_id": endpoint.id,
            "event_id": each.event_id,
            "type": each.type,
            "subject_id": each.subject_id,
            "at": each.at,
            "state": DeliveryState.PENDING,
            "reason": "",
            "answer": "",
            "created_at": now,
            "next_at": now,
            "attempts": 0,
            "fence": 0,
        }
        for endpoint in endpoints
        for each in happened
        if each.type in endpoint.events and each.at >= max(since(endpoint, each), now - NEWS)
    ]
    insert_missing(session, Delivery, rows)
    if rows:
        ring(session, "call out")
    return len(rows), is_more


def since(endpoint: Endpoint, event: sources.Happened) -> datetime:
    """From when on an endpoint hears; of anonymous answers only the day is known."""
    return day_of(endpoint.created_at) if event.subject_id < 0 else endpoint.created_at


def disable(session: Session, endpoint: Endpoint, why: str, now: datetime, settings: Settings) -> None:
    """Send nothing there any more, and tell the admins."""
    endpoint.disabled_at, endpoint.disabled_why = now, why[:300]
    admins = session.scalars(select(User).where(User.role == Role.ADMIN, User.is_active).order_by(User.id))
    data = {"endpoint": endpoint.name, "why": why, "links": {"page_url": f"/settings/webhooks/{endpoint.id}"}}
    owe(
        session,
        "staff_endpoint",
        f"endpoint:{endpoint.id}:{int(now.timestamp())}",
        [Owed(f"user:{each.id}", each.email, each.name, data) for each in admins],
        next_at=now,
        now=now,
        settings=settings,
        rank=Rank.STAFF,
    )


def forget_deliveries(session: Session, now: datetime) -> int:
    """Remove what is old from the log, and what is owed to endpoints that were paused so long ago."""
    result = session.execute(delete(Delivery).where(Delivery.created_at < now - KEPT))
    return int(result.rowcount)  # type: ignore[attr-defined]


def remove(session: Session, endpoint: Endpoint) -> None:
    """Forget an endpoint and its log."""
    session.execute(delete(Delivery).where(Delivery.endpoint_id == endpoint.id))
    session.delete(endpoint)
