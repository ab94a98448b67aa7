"""Named reads of notifications."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.notifications.budget import UNCOUNTED, Budget, Contacts
from feedback_loop.notifications.models import Cause, Notification, NotificationState, Scope, Suppression


def by_token(session: Session, token: str) -> Notification | None:
    """The notification whose mail holds this token, or None."""
    return session.scalar(select(Notification).where(Notification.token_hash == tokens.hashed(token)))


NO_MAIL = {
    Cause.ASKED: "This person asked for no more mail.",
    Cause.COMPLAINED: "This person marked a mail of ours as spam.",
    Cause.BOUNCED: "Mails to this address come back.",
    Cause.BY_HAND: "A colleague wants no mail to go to this address.",
}
"""Why a mail is not sent, in words."""


def of_scope(scope: Scope) -> list[ColumnElement[bool]]:
    """Whether a suppression stops mails of a scope: those about feedback by any, those to colleagues only by one of
    everything."""
    return [Suppression.scope == Scope.EVERYTHING] if scope == Scope.EVERYTHING else []


def suppressed(session: Session, addresses: Iterable[str], scope: Scope = Scope.FEEDBACK) -> set[str]:
    """Those of some addresses that must not be written to.

    Args:
        scope: What is to be sent: mails about feedback, which customers get, or others.
    """
    found = select(Suppression.address).where(Suppression.address.in_(list(addresses)), *of_scope(scope))
    return set(session.scalars(found))


def was_contact(budget: Budget, now: datetime) -> ColumnElement[bool]:
    """Whether a mail was sent within the days of the budget, and counts."""
    since = now - timedelta(days=budget.days)
    return (Notification.sent_at > since) & Notification.rank.not_in(UNCOUNTED)


def contacts(session: Session, row: Notification, budget: Budget, now: datetime) -> Contacts:
    """What the budget has to know before a mail is sent."""
    was_sent = was_contact(budget, now)
    goes_first = (
        (Notification.state == NotificationState.PENDING)
        & Notification.rank.not_in(UNCOUNTED)
        & or_(Notification.passed_at.is_not(None), Notification.rank < row.rank)
    )
    sent, ahead = session.execute(
        select(func.count(case((was_sent, 1))), func.count(case((goes_first, 1)))).where(
            Notification.address == row.address,
            Notification.id != row.id,
            # Both ends lie in the index by address and time.
            or_(Notification.sent_at > now - timedelta(days=budget.days), Notification.sent_at.is_(None)),
        )
    ).one()
    return Contacts(sent, ahead)
