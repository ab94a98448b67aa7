"""Verbs on mails that came in, and on addresses that get no mail."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.accounts.models import User
from feedback_loop.followups.service import lock_item
from feedback_loop.inbound.bounces import came_back, closure_about, complained, is_too_old, try_later
from feedback_loop.inbound.models import InboundMail, Lift, Way
from feedback_loop.inbound.queries import notification_of
from feedback_loop.inbound.reading import Kind, Reading
from feedback_loop.inbound.replies import answered
from feedback_loop.notifications.models import Cause, Notification, Scope, Suppression
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.settings import Settings

PURPOSE = "inbound"
KEPT = timedelta(days=90)  # what was read of a mail that came in; replies stay
ABOUT_OURS = (Kind.BOUNCE, Kind.DELAY, Kind.COMPLAINT, Kind.REPLY)
UNKNOWN = "It belongs to no mail of ours."


class Refused(ValueError):
    """What was asked for is not possible; the message says why, for people."""


def secret(settings: Settings) -> str:
    """What a mail server shows to hand mails in; another one with another SECRET_KEY."""
    return tokens.derive(settings.secret_key, PURPOSE, "webhook")


def handle(
    session: Session, settings: Settings, reading: Reading, words: str, way: Way, now: datetime
) -> InboundMail | None:
    """Write down a mail that came in, and do what follows from it. Once, however often it comes.

    Args:
        session: A session that writes.
        settings: For the addresses of our mails.
        reading: How it was read.
        words: Of a reply: the person's own, redacted.
        way: How it came in.
        now: The present moment.

    Returns:
        The mail; None where it was there already, and nothing is done.
    """
    row, is_ours = notification_of(session, settings, reading)
    if row is not None:
        lock(session, row)
    mail = InboundMail(key=reading.key, way=way, kind=Kind.UNCLEAR, received_at=now, reason=UNKNOWN)
    try:
        with session.begin_nested():
            session.add(mail)
            session.flush()
    except IntegrityError:
        return None
    mail.kind, mail.reason = reading.kind, reading.why[:500]
    if reading.kind in ABOUT_OURS:
        if row is None or (reading.is_guess and not is_ours):
            mail.kind, mail.reason = Kind.UNCLEAR, UNKNOWN
        else:
            mail.notification_id = row.id
            mail.reason = follow(session, settings, mail, row, reading, words, now)[:500]
    elif row is not None:
        mail.notification_id = row.id
    if mail.kind == Kind.UNCLEAR:
        mail.sender, mail.subject = reading.sender, reading.subject
    session.flush()
    return mail


def lock(session: Session, row: Notification) -> None:
    """Lock a mail of ours and read it anew; before it the item it is about, as everybody does who locks both."""
    closure = closure_about(session, row)
    if closure is not None:
        lock_item(session, closure)
    session.refresh(row, with_for_update=True)


def follow(
    session: Session,
    settings: Settings,
    mail: InboundMail,
    row: Notification,
    reading: Reading,
    words: str,
    now: datetime,
) -> str:
    """What follows for one of our mails; says it in words."""
    if reading.kind == Kind.REPLY:
        session.flush()
        return answered(session, mail, row, reading, words, now)
    if row.is_to_nobody:  # what servers say names the address
        return "The person it was for had their data erased; nothing follows."
    if is_too_old(row, now):
        return "The mail went out so long ago that nothing follows."
    if reading.kind == Kind.COMPLAINT:
        return complained(session, row, now)
    assert reading.report is not None  # bounces have one
    if reading.kind == Kind.BOUNCE:
        return came_back(session, row, reading.report, now, settings)
    session.flush()
    return try_later(session, row, reading.report, now)


def set_aside(session: Session, key: str, way: Way, reason: str, now: datetime) -> None:
    """Write down a mail that could not be handled, so that it is not tried for ever. Repeating it changes nothing."""
    try:
        with session.begin_nested():
            session.add(InboundMail(key=key, way=way, kind=Kind.UNCLEAR, received_at=now, reason=reason[:500]))
            session.flush()
    except IntegrityError:
        pass


def forget_mails(session: Session, now: datetime) -> int:
    """Forget what came in long ago and was no reply.

    Returns:
        How many.
    """
    old = (InboundMail.received_at < now - KEPT, InboundMail.kind != Kind.REPLY)
    return session.execute(delete(InboundMail).where(*old)).rowcount  # type: ignore[attr-defined, no-any-return]


def be_done(session: Session, mail_id: int, by: User, now: datetime) -> bool:
    """A colleague is done with a reply. Whether it was open."""
    result = session.execute(
        update(InboundMail)
        .where(InboundMail.id == mail_id, InboundMail.kind == Kind.REPLY, InboundMail.done_at.is_(None))
        .values(done_at=now, done_by_id=by.id)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def add(session: Session, address: str, scope: Scope, reason: str, by: User, now: datetime) -> None:
    """Write no more to an address, because a colleague says so.

    Raises:
        Refused: It gets no mail already, as far as was asked for.
    """
    row = session.scalar(select(Suppression).where(Suppression.address == address.strip().lower()))
    if row is not None and row.scope in (scope, Scope.EVERYTHING):
        raise Refused("This address gets no such mail already. Find it in the list.")
    suppress(session, address, reason, now, scope=scope, cause=Cause.BY_HAND, by_id=by.id)


def lift(session: Session, suppression_id: int, why: str, by: User, now: datetime) -> Suppression | None:
    """Write to an address again. What had stood against it, and who lifted it, is kept.

    Returns:
        What was lifted; None where somebody was first.
    """
    row = session.scalar(select(Suppression).where(Suppression.id == suppression_id).with_for_update())
    if row is None:
        return None
    session.add(
        Lift(
            address=row.address, scope=row.scope, cause=row.cause, reason=row.reason, since=row.created_at,
            why=why[:200], by_id=by.id, at=now,
        )
    )  # fmt: skip
    session.delete(row)
    session.flush()
    return row
