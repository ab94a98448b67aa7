"""What follows from a mail that came back, or that somebody called spam."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from feedback_loop.actions.audience.groups import DONE
from feedback_loop.actions.models import Closure, NotificationRun, RunState
from feedback_loop.actions.queries import OPEN
from feedback_loop.actions.service import latest_closure
from feedback_loop.followups.service import draw_verdict, lock_item
from feedback_loop.inbound.models import InboundMail
from feedback_loop.inbound.reading import Kind
from feedback_loop.inbound.reports import Report
from feedback_loop.jobs.backoff import GIVE_UP_AFTER
from feedback_loop.notifications.models import CAME_BACK_FOR_NOW, Cause, Notification, NotificationState, Scope
from feedback_loop.notifications.service import is_to_staff
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.responses.mailings.models import Mailing, MailingState
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings

BELIEVED = timedelta(days=14)  # after a mail went out: servers give up within five days
RETRY_AFTER = (timedelta(minutes=30), timedelta(hours=2), timedelta(hours=8))
OF_CLOSINGS = ("closure", "follow_up", "sorry")


def closure_about(session: Session, notification: Notification) -> Closure | None:
    """The closing that a mail tells of, asks about or apologises for; None where it is about something else."""
    kind, _, number = notification.event.partition(":")
    return session.get(Closure, int(number)) if kind in OF_CLOSINGS and number.isdecimal() else None


def mailing_of(session: Session, notification: Notification) -> Mailing | None:
    """The mailing that a mail belongs to, or None."""
    kind, _, rest = notification.event.partition(":")
    number = rest.partition(":")[0]
    return session.get(Mailing, int(number)) if kind == "mailing" and number.isdecimal() else None


def is_too_old(notification: Notification, now: datetime) -> bool:
    """Whether a mail went out so long ago that no server would bring it back now."""
    return now - (notification.sent_at or notification.created_at) > BELIEVED


def came_back(session: Session, row: Notification, report: Report, now: datetime, settings: Settings) -> str:
    """Write that a mail came back for good; write no more to its address if that is why.

    Whom it was to tell counts as not told, whom it was to ask as not asked; a verdict may follow.

    Returns:
        What was done, in words.
    """
    words = f"{report.status} {report.words}".strip()
    if row.state == NotificationState.BOUNCED:
        return f"It had come back before. {words}"
    if row.state != NotificationState.SKIPPED:
        row.state, row.reason, row.bounced_at = NotificationState.BOUNCED, f"Came back: {words}"[:500], now
        row.claimed_until, row.fence = None, row.fence + 1
    if report.is_address:
        reason = f"Came back: {words}"
        scope = Scope.EVERYTHING
        suppress(session, row.address, reason, now, scope=scope, cause=Cause.BOUNCED, because_of=row)
    session.flush()
    closure = closure_about(session, row)
    if closure is not None:
        draw_verdict(session, closure, lock_item(session, closure), now, settings)
    return words if report.is_address else f"{words} (not because of the address, which stays in use)"


def try_later(session: Session, row: Notification, report: Report, now: datetime) -> str:
    """Send a mail once more that came back for now, under its Message-ID, up to three times within 72 hours.

    Returns:
        What was done, in words.
    """
    words = f"{report.status} {report.words}".strip()
    if not is_out(row, now):
        return f"It does not count as sent, so nothing follows. {words}"
    count, first = session.execute(
        select(func.count(), func.min(InboundMail.received_at)).where(
            InboundMail.notification_id == row.id,
            InboundMail.kind == Kind.DELAY,
            InboundMail.received_at >= row.created_at,  # it may have been sent anew by hand since
        )
    ).one()
    since = min(row.sent_at or now, first or now)
    row.fence, row.claimed_until = row.fence + 1, None
    if count > len(RETRY_AFTER) or now - since > GIVE_UP_AFTER or not is_still_owed(session, row):
        row.state, row.sent_at, row.reason = NotificationState.FAILED, None, f"Came back, given up: {words}"[:500]
        session.flush()
        return f"Given up. {words}"
    row.state, row.sent_at = NotificationState.PENDING, None
    row.next_at, row.reason = now + RETRY_AFTER[max(count, 1) - 1], f"{CAME_BACK_FOR_NOW}{words}"[:500]
    session.flush()
    if row.event.startswith("closure:"):  # its run has somebody to tell again
        session.execute(
            update(NotificationRun)
            .where(
                NotificationRun.closure_id == int(row.event.partition(":")[2]), NotificationRun.state == RunState.DONE
            )
            .values(state=RunState.SENDING)
            .execution_options(synchronize_session=False)
        )
    return f"It is sent once more. {words}"


def is_out(row: Notification, now: datetime) -> bool:
    """Whether a mail is out, also where the worker that holds it has not written so yet: servers can be quicker."""
    is_held = row.claimed_until is not None and row.claimed_until >= now
    return row.state == NotificationState.SENT or (row.state == NotificationState.PENDING and is_held)


def is_still_owed(session: Session, row: Notification) -> bool:
    """Whether what a mail says still holds: its closing stands, or its invitation can be answered and is not."""
    if row.data.get("is_erased"):
        return False
    closure = closure_about(session, row)
    if closure is not None:
        item = closure.action_item
        latest = latest_closure(session, item)
        is_newest = latest is not None and latest.id == closure.id and closure.withdrawn_at is None
        return is_newest and item.status in (OPEN if row.event.startswith("sorry:") else DONE)
    mailing = mailing_of(session, row)
    if mailing is not None:
        number = int(row.recipient.partition(":")[2])
        answered = session.scalar(select(Answer.id).where(Answer.invitation_id == number).limit(1))
        return mailing.state != MailingState.STOPPED and answered is None
    return True


def complained(session: Session, row: Notification, now: datetime) -> str:
    """Write no more mails about feedback to somebody who called one of them spam.

    Returns:
        What was done, in words.
    """
    if is_to_staff(row):
        return "A colleague marked a mail about their work as spam; they choose under My mails what comes."
    suppress(session, row.address, "Marked a mail as spam.", now, cause=Cause.COMPLAINED, because_of=row)
    return "No more mail about feedback goes to this address."
