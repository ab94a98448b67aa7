"""Named reads of mails that came in, and of addresses that get no mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.inbound.models import InboundMail, InboundPoll, Lift
from feedback_loop.inbound.reading import Kind, Reading
from feedback_loop.notifications import envelope
from feedback_loop.notifications.models import Cause, Notification, Scope, Suppression
from feedback_loop.settings import Settings

A_PAGE = 50
DAYS = 30
UNCLEAR_SHOWN = 50
LIFTS_SHOWN = 20
COUNTED = 10_000  # so far lists are counted


def notification_of(session: Session, settings: Settings, reading: Reading) -> tuple[Notification | None, bool]:
    """Which mail of ours another one is about.

    Returns:
        The mail, or None; and whether an address only we can have written names it. Otherwise its Message-ID does,
        which is random and known only to whoever has the mail.
    """
    numbers = (envelope.read(settings, each) for each in reading.addresses)
    number = next((each for each in numbers if each is not None), None)
    if number is not None and (found := session.get(Notification, number)) is not None:
        return found, True
    if not reading.message_ids:
        return None, False
    query = select(Notification).where(Notification.message_id.in_(reading.message_ids))
    rows = {each.message_id: each for each in session.scalars(query)}
    return next((rows[each] for each in reading.message_ids if each in rows), None), False


def is_known(session: Session, key: str) -> bool:
    """Whether a mail came in before."""
    return session.scalar(select(InboundMail.id).where(InboundMail.key == key)) is not None


@dataclass(frozen=True)
class Health:
    """How mails come in.

    Attributes:
        poll: How the mailbox was last found; None where it was never looked into.
        last_at: When the last mail came, by whatever way.
        counts: Mails of the last 30 days by kind.
        unclear: The newest of those that were not understood.
    """

    poll: InboundPoll | None
    last_at: datetime | None
    counts: dict[Kind, int]
    unclear: Sequence[InboundMail]


def health(session: Session, now: datetime) -> Health:
    """How mails come in."""
    counted = session.execute(
        select(InboundMail.kind, func.count())
        .where(InboundMail.received_at > now - timedelta(days=DAYS))
        .group_by(InboundMail.kind)
    ).all()
    unclear = session.scalars(
        select(InboundMail).where(InboundMail.kind == Kind.UNCLEAR).order_by(InboundMail.id.desc()).limit(UNCLEAR_SHOWN)
    ).all()
    last = session.scalar(select(func.max(InboundMail.received_at)))
    return Health(session.get(InboundPoll, 1), last, dict(counted), unclear)


def replies(session: Session, before: int | None, *, is_open: bool) -> tuple[Sequence[InboundMail], int | None]:
    """Replies that belong to no item, the newest first, and where the next page begins.

    Args:
        before: Only those with a lower id.
        is_open: Whether those nobody is done with yet, or the others.
    """
    query = (
        select(InboundMail)
        .where(
            InboundMail.kind == Kind.REPLY,
            InboundMail.action_item_id.is_(None),
            InboundMail.done_at.is_(None) if is_open else InboundMail.done_at.is_not(None),
        )
        .options(joinedload(InboundMail.notification), joinedload(InboundMail.done_by))
        .order_by(InboundMail.id.desc())
        .limit(A_PAGE + 1)
    )
    rows = session.scalars(query if before is None else query.where(InboundMail.id < before)).all()
    return rows[:A_PAGE], rows[A_PAGE - 1].id if len(rows) > A_PAGE else None


def open_replies(session: Session) -> int:
    """How many replies wait for somebody; counted up to a hundred."""
    waits = select(InboundMail.id).where(
        InboundMail.kind == Kind.REPLY, InboundMail.action_item_id.is_(None), InboundMail.done_at.is_(None)
    )
    return session.scalar(select(func.count()).select_from(waits.limit(100).subquery())) or 0


@dataclass(frozen=True)
class Wanted:
    """Which addresses are asked for; empty ones ask for all."""

    text: str = ""
    cause: Cause | None = None
    scope: Scope | None = None

    @property
    def where(self) -> list[ColumnElement[bool]]:
        """The same, as the database asks it."""
        found: list[ColumnElement[bool]] = []
        if self.text:
            found.append(Suppression.address.contains(self.text.lower(), autoescape=True))
        if self.cause is not None:
            found.append(Suppression.cause == self.cause)
        if self.scope is not None:
            found.append(Suppression.scope == self.scope)
        return found


def no_mail_to(
    session: Session, wanted: Wanted, after: tuple[datetime, int] | None, limit: int = A_PAGE
) -> tuple[Sequence[Suppression], Suppression | None]:
    """Addresses that get no mail, the newest first, and the last of this page where there are more.

    Args:
        after: Moment and id of the last one seen.
    """
    query = (
        select(Suppression)
        .where(*wanted.where)
        .options(joinedload(Suppression.notification), joinedload(Suppression.by))
        .order_by(Suppression.created_at.desc(), Suppression.id.desc())
        .limit(limit + 1)
    )
    if after is not None:
        at, id = after
        query = query.where(or_(Suppression.created_at < at, and_(Suppression.created_at == at, Suppression.id < id)))
    rows = session.scalars(query).all()
    return rows[:limit], rows[limit - 1] if len(rows) > limit else None


def all_no_mail(session: Session, wanted: Wanted) -> Iterator[Suppression]:
    """Every address that gets no mail, the newest first; a thousand at a time."""
    after: tuple[datetime, int] | None = None
    while True:
        rows, last = no_mail_to(session, wanted, after, 1000)
        yield from rows
        if last is None:
            return
        after = (last.created_at, last.id)


def count_no_mail(session: Session, wanted: Wanted) -> int:
    """How many addresses get no mail; counted up to `COUNTED`."""
    some = select(Suppression.id).where(*wanted.where).limit(COUNTED).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def lifts(session: Session) -> Sequence[Lift]:
    """The last addresses that were written to again."""
    return session.scalars(select(Lift).options(joinedload(Lift.by)).order_by(Lift.id.desc()).limit(LIFTS_SHOWN)).all()
