"""Sends what is owed: claimed with a lease, sent with no transaction open, marked in a transaction of its own."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import bindparam, case, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from feedback_loop import mail, tokens
from feedback_loop.db import Sessions, one_statement, reading
from feedback_loop.jobs.claims import Claim, still_ours
from feedback_loop.logs import named
from feedback_loop.notifications import breaker
from feedback_loop.notifications.batch import BREAKS, SPOKE, Batch, Fate, fitting
from feedback_loop.notifications.breaker import Gate
from feedback_loop.notifications.budget import BUDGETED, Budget, Rank, refusal
from feedback_loop.notifications.claiming import DIED, MOST_DEATHS, claim_mails
from feedback_loop.notifications.composing import compose, is_to_staff, token_of
from feedback_loop.notifications.hours import Hours, next_open
from feedback_loop.notifications.later import after_failure, bring_back
from feedback_loop.notifications.models import (
    CAME_BACK_FOR_NOW,
    Cause,
    Notification,
    NotificationState,
    Scope,
    Suppression,
)
from feedback_loop.notifications.queries import NO_MAIL, contacts
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.settings import Settings

log = logging.getLogger(__name__)

SHORTEST_LEASE = 30  # seconds
# Once for each mail, and so written once.
LOOK = (
    select(Notification.__table__, Suppression.scope, Suppression.cause)
    .outerjoin(Suppression, Suppression.address == func.lower(Notification.address))
    .where(Notification.id == bindparam("id"), Notification.fence == bindparam("fence"))
)
HAS_COME_BACK = Notification.state == NotificationState.BOUNCED
OUT = (
    update(Notification)
    .where(
        Notification.id == bindparam("sent_id"),
        Notification.state != NotificationState.SENT,
        # It may have come back before we knew that it was out: for good, or to be sent again.
        or_(Notification.fence == bindparam("sent_fence"), ~Notification.reason.startswith(CAME_BACK_FOR_NOW)),
    )
    .values(
        state=case((HAS_COME_BACK, NotificationState.BOUNCED), else_=NotificationState.SENT),
        sent_at=bindparam("now"),
        reason=case((HAS_COME_BACK, Notification.reason), else_=""),
        claimed_until=None,
        deaths=0,
    )
)
# Errors in writing a mail that say nothing of it; a template that is not found, and may be where a newer release runs.
NOT_ITS_FAULT = (OSError, MemoryError)
WRONG_KEY = "SECRET_KEY is not the one this message was written under; restore it."


@dataclass
class Delivery:
    """What one drain of the outbox did. Counts of messages."""

    sent: int = 0
    later: int = 0
    failed: int = 0
    skipped: int = 0
    channel_down: str = ""


def lease_of(settings: Settings) -> timedelta:
    """How long a claimed mail is ours: for three times what a mail server may take for one step of two."""
    return timedelta(seconds=max(SHORTEST_LEASE, 3 * settings.smtp_timeout))


def drain_outbox(
    sessions: Sessions,
    settings: Settings,
    clock: Callable[[], datetime],
    transport: mail.Transport | None = None,
    stop: Callable[[], bool] = lambda: False,
    lines: mail.Lines | None = None,
) -> Delivery:
    """Send what is due until nothing is, or the mail server takes no more.

    A worker that dies between sending and marking leaves the message to be sent once more with the same Message-ID; one
    that was marked is never sent again.

    Args:
        sessions: Maker of sessions.
        settings: For the mail server.
        clock: Called for the present moment.
        transport: Stands in for the one the settings name; mails go one by one then.
        stop: Asked before each message whether to leave the rest to others.
        lines: Lines to the mail server that outlast this drain; by default it makes its own.
    """
    kept = lines is not None and transport is None
    if transport is not None:
        given = transport
        lines = mail.Lines(lambda: given)
    lines = lines or mail.lines(settings)
    at_once = 1 if transport is not None else settings.smtp_connections
    drain = Drain(sessions, settings, clock, stop, lines, at_once)
    try:
        drain.run()
    finally:
        if not kept or stop():
            lines.close()
    return drain.delivery


@dataclass
class Drain:
    """One drain of the outbox. Batches come one after the other; the mails of one are handed over by some threads at
    once, each with a line of its own."""

    sessions: Sessions
    settings: Settings
    clock: Callable[[], datetime]
    stop: Callable[[], bool]
    lines: mail.Lines
    at_once: int
    delivery: Delivery = field(default_factory=Delivery)
    breaks: int = 0

    def run(self) -> None:
        """Send batch after batch."""
        lease = lease_of(self.settings)
        # A mail that begins must end within its lease, whatever the server does.
        guard = lease - timedelta(seconds=2 * self.settings.smtp_timeout)
        looked_ahead, turn = False, False
        share = 1  # mails for each line; how long one takes is not known yet
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="mails") as pool:
            while not self.delivery.channel_down and not self.stop():
                begun = time.monotonic()
                with self.sessions.begin() as session:
                    now = self.clock()
                    if not looked_ahead:
                        looked_ahead = True
                        bring_back(session, now)
                    gate = breaker.gate(session, now, lease)
                    size = {Gate.OPEN: share * self.at_once, Gate.ONE: 1, Gate.SHUT: 0}[gate]
                    claims = claim_mails(session, size, now, lease, suspected_first=turn) if size else []
                    turn = not turn and gate == Gate.OPEN  # neither keep the others waiting
                    if gate == Gate.ONE and not claims:
                        breaker.try_now(session, now)  # nothing to try with: whoever comes next may
                if not claims:
                    return
                batch = Batch(claims, self.domains(claims), self.settings.mails_per_domain, self.breaks)
                until = begun + guard.total_seconds()
                if self.at_once == 1 or len(claims) == 1:
                    self.serve(batch, until)
                else:
                    for each in [pool.submit(self.serve, batch, until) for _ in range(self.at_once)]:
                        each.result()
                share = fitting(len(batch.fates), time.monotonic() - begun, self.at_once)
                self.settle(batch, tried=gate == Gate.ONE)

    def domains(self, claims: Sequence[Claim]) -> dict[int, str]:
        """The domains of claimed mails, where that matters."""
        if not 0 < self.settings.mails_per_domain < self.at_once:
            return {}
        with reading(self.sessions) as session:
            ids = [each.id for each in claims]
            rows = session.execute(select(Notification.id, Notification.address).where(Notification.id.in_(ids)))
            return {row.id: row.address.rpartition("@")[2].lower() for row in rows}

    def serve(self, batch: Batch, until: float) -> None:
        """Send mails of a batch over one line until none is left, or it is time to leave the rest."""
        try:
            with self.lines.line() as channel:
                while not self.stop() and (each := batch.take(until)):
                    try:
                        fate = deliver(self.sessions, self.settings, each, channel, self.clock)
                    except mail.ChannelDown as error:
                        # This mail may be why, unless the server was not to be had at all; those behind it are not.
                        if isinstance(error, mail.Unreachable):
                            batch.give_back(each)
                        else:
                            put_off(self.sessions, each, str(error), self.clock())
                        batch.halt(str(error))
                        return
                    batch.done(each, fate)
        except BaseException:
            batch.abandon()
            raise

    def settle(self, batch: Batch, *, tried: bool) -> None:
        """Write what a batch has shown of the channel, and let the rest of it go, which costs no attempt."""
        fates = Counter(batch.fates)
        self.delivery.sent += fates[Fate.SENT]
        self.delivery.later += fates[Fate.LATER] + fates[Fate.BROKEN] + fates[Fate.WAITS]
        self.delivery.failed += fates[Fate.FAILED] + fates[Fate.SET_ASIDE]
        self.delivery.skipped += fates[Fate.SKIPPED]
        spoke = any(fates[each] for each in SPOKE)
        self.breaks = batch.breaks
        down = batch.down
        if not down and fates[Fate.BROKEN] and (tried or self.breaks >= BREAKS):
            down = "The connection breaks with each mail."
        self.delivery.channel_down = down
        with self.sessions.begin() as session:
            now = self.clock()
            for each in batch.rest:
                still_ours(session, Notification, each, {"attempts": Notification.attempts - 1})
            if down:
                breaker.failed(session, down, now, tried=tried)
            if fates[Fate.SENT] or (tried and spoke and not down):
                breaker.worked(session, now, tried=tried and not down, sent=bool(fates[Fate.SENT]))
            elif tried and not down:
                breaker.try_now(session, now)  # its mail never came to the server


def deliver(
    sessions: Sessions, settings: Settings, each: Claim, channel: mail.Transport, clock: Callable[[], datetime]
) -> Fate:
    """Send one claimed message and write what became of it.

    Whatever is wrong with one message must not hold up those behind it. One that cannot be written is set aside at
    once, with its reason: no attempt would end otherwise.

    Raises:
        ChannelDown: The server takes no more mail.
        SQLAlchemyError: The database is away.
    """
    try:
        row = ready(sessions, settings, each, clock())
        if isinstance(row, Fate):
            return row
        message = compose(row, settings)
    except (mail.ChannelDown, SQLAlchemyError):
        raise
    except Exception as error:
        log.exception("Notification %d could not be written.", each.id)
        reason = f"It could not be written: {named(error)}"
        if isinstance(error, NOT_ITS_FAULT):
            put_off(sessions, each, reason, clock())
            return Fate.WAITS
        mark(sessions, each, {"state": NotificationState.FAILED, "reason": reason[:500]})
        return Fate.SET_ASIDE
    fate = Fate.SENT
    try:
        channel.send(message, clock())
    except mail.ChannelDown:
        raise
    except mail.Refused as error:
        fate = Fate.FAILED
        give_up(sessions, each, row.address, error, clock())
    except Exception as error:
        if not isinstance(error, mail.TryLater):
            log.exception("Notification %d could not be sent.", each.id)
        fate = Fate.BROKEN if isinstance(error, mail.LineBroken) else Fate.LATER
        reason = str(error) or type(error).__name__
        put_off(sessions, each, reason, clock(), in_doubt=isinstance(error, mail.InDoubt))
    else:
        record_sent(sessions, each, clock())
    return fate


def ready(sessions: Sessions, settings: Settings, each: Claim, now: datetime) -> Notification | Fate:
    """Look at one claimed message again right before it is sent: its closing may have been taken back, or the person
    have asked for no more mail, since the batch was claimed.

    Returns:
        The message, or its fate when it is not to be sent now.

    Raises:
        ChannelDown: It was written under another key.
    """
    with one_statement(sessions, reads_only=True) as connection:
        found = connection.execute(LOOK, {"id": each.id, "fence": each.fence}).one_or_none()
    if found is None:
        return Fate.WAITS
    row, scope = cast(Notification, found), found.scope  # read plainly: as an object it would cost more than to send
    if row.deaths >= MOST_DEATHS:
        log.error("Notification %d is set aside: the worker ended each time it worked at it.", each.id)
        mark(sessions, each, {"state": NotificationState.FAILED, "reason": DIED})
        return Fate.SET_ASIDE
    if tokens.hashed(token_of(row, settings)) != row.token_hash:
        raise mail.ChannelDown(WRONG_KEY)  # its links would lead nowhere
    # What a customer asked for says nothing of the colleague who has the same address.
    if scope == Scope.EVERYTHING or (scope is not None and not is_to_staff(row)):
        mark(sessions, each, {"state": NotificationState.SKIPPED, "reason": NO_MAIL[found.cause]})
        return Fate.SKIPPED
    if row.data.get("hours"):
        opens = next_open(now, Hours.read(row.data["hours"]))
        if opens > now:  # it waited for the mail server into the quiet hours
            mark(sessions, each, {"next_at": opens, "reason": "", "attempts": Notification.attempts - 1, "deaths": 0})
            return Fate.WAITS
    return row if let_through(sessions, settings, each, row, now) else Fate.SKIPPED


def let_through(sessions: Sessions, settings: Settings, each: Claim, row: Notification, now: datetime) -> bool:
    """Ask the contact budget about one claimed message, and write its answer: a place taken, or the reason of none.

    All messages that wait for one address are locked meanwhile, so that of two workers with one for each the second
    sees what the first has taken.
    """
    budget = Budget(settings.contact_limit, settings.contact_days)
    if row.rank not in BUDGETED or not budget.limit or row.passed_at is not None:
        return True
    with sessions.begin() as session:
        waiting = (Notification.address == row.address, Notification.state == NotificationState.PENDING)
        session.execute(select(Notification.id).where(*waiting).order_by(Notification.id).with_for_update()).all()
        if reason := refusal(Rank(row.rank), contacts(session, row, budget, now), budget):
            still_ours(session, Notification, each, {"state": NotificationState.SKIPPED, "reason": reason})
            return False
        result = session.execute(
            update(Notification)
            .where(Notification.id == each.id, Notification.fence == each.fence)
            .values(passed_at=now)
        )
        return bool(result.rowcount)  # type: ignore[attr-defined]


def record_sent(sessions: Sessions, each: Claim, now: datetime) -> None:
    """Write that a message is out. A fact, whoever holds the row by now: not even a cancelling undoes it. That it came
    back may be known already, and stays so."""
    with one_statement(sessions) as connection:
        connection.execute(OUT, {"sent_id": each.id, "sent_fence": each.fence, "now": now})


def give_up(sessions: Sessions, each: Claim, address: str, error: mail.Refused, now: datetime) -> None:
    """Write that a message will never pass. An address of which the server says that it does not exist is not written
    to again."""
    with sessions.begin() as session:
        still_ours(session, Notification, each, {"state": NotificationState.FAILED, "reason": str(error)[:500]})
        if isinstance(error, mail.NoSuchAddress):
            reason = f"The mail server says: {error}"
            suppress(session, address, reason, now, scope=Scope.EVERYTHING, cause=Cause.BOUNCED)


def put_off(sessions: Sessions, each: Claim, reason: str, now: datetime, *, in_doubt: bool = False) -> None:
    """Try one message again later, or give it up when its time is over.

    Args:
        in_doubt: Whether nobody knows if the server took it.
    """
    with sessions.begin() as session:
        row = session.get_one(Notification, each.id)
        values = {**after_failure(row, reason, now), "deaths": 0}
        if in_doubt:
            values["doubtful"] = Notification.doubtful + 1
        still_ours(session, Notification, each, values)


def mark(sessions: Sessions, each: Claim, values: dict[str, Any]) -> None:
    """Write what became of one message, in a transaction of its own."""
    with sessions.begin() as session:
        still_ours(session, Notification, each, values)
