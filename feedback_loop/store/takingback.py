"""What people took back after a backup: rights, and what was to be sent. It must not come back with the backup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import ApiKey, User
from feedback_loop.actions.models import NotificationRun, RunState
from feedback_loop.integrations.models import Endpoint, Tracker
from feedback_loop.responses.mailings.models import Mailing, MailingState, Recipient, RecipientState
from feedback_loop.responses.mailings.service import STOPPED


def take_back(session: Session, present: Session, is_same: bool, now: datetime) -> int:
    """Take back again in a restored database what was taken back in the present one.

    Args:
        session: Of the restored database.
        present: Of the one that it replaces.
        is_same: Whether the present one is what became of the one that was backed up.
        now: The present moment.

    Returns:
        How many rows changed.
    """
    with session.no_autoflush:  # so that what has changed can be counted at the end
        shut_out(session, present)
        revoke(session, present)
        leave_alone(session, present, is_same, now)
        if is_same:
            stop_mailings(session, present)
            undo_runs(session, present)
        changed = sum(session.is_modified(row) for row in session.dirty)
    session.flush()
    return changed


def pairs(session: Session, present: Session, model: Any, *key: str) -> Iterator[tuple[Any, Any]]:
    """The rows of a small table that are in both databases, each with what it is in the present one.

    Args:
        key: Columns that tell, beside the number, that it is the same row.
    """
    there = {(row.id, *(getattr(row, name) for name in key)): row for row in present.scalars(select(model))}
    for row in session.scalars(select(model).order_by(model.id)):
        now_there = there.get((row.id, *(getattr(row, name) for name in key)))
        if now_there is not None:
            yield row, now_there


def copy(row: Any, other: Any, *names: str) -> None:
    """Take columns over."""
    for name in names:
        setattr(row, name, getattr(other, name))


def shut_out(session: Session, present: Session) -> None:
    """Let nobody in who was shut out, give no right back, and keep passwords: an old one may be known to others, and
    whoever had signed in with it would be in again."""
    for user, there in pairs(session, present, User, "created_at"):
        copy(user, there, "password_hash", "must_change_password", "session_epoch")
        user.is_active = user.is_active and there.is_active
        user.reads_raw = user.reads_raw and there.reads_raw
        if user.role.includes(there.role):
            user.role = there.role


def revoke(session: Session, present: Session) -> None:
    """Revoke the API keys that were."""
    known = set(session.scalars(select(User.id)))
    for key, there in pairs(session, present, ApiKey, "key_hash"):
        if key.revoked_at is None and there.revoked_at is not None:
            key.revoked_at = there.revoked_at
            key.revoked_by_id = there.revoked_by_id if there.revoked_by_id in known else key.created_by_id


def leave_alone(session: Session, present: Session, is_same: bool, now: datetime) -> None:
    """Send nothing to other systems that were to hear no more. Those that were removed are paused, so that people may
    remove them again; where secrets or addresses were changed, the old ones are over."""
    found = set()
    for endpoint, there in pairs(session, present, Endpoint, "created_at"):
        found.add(endpoint.id)
        copy(endpoint, there, "sealed_secret", "sealed_old_secret", "old_secret_until", "sealed_url", "shown_url")
        if there.paused_at is not None or there.disabled_at is not None:
            copy(endpoint, there, "paused_at", "disabled_at", "disabled_why")
    if is_same:
        for endpoint in session.scalars(select(Endpoint).where(Endpoint.paused_at.is_(None))):
            if endpoint.id not in found:
                endpoint.paused_at = now
    for tracker, there in pairs(session, present, Tracker, "created_at"):
        if there.archived_at is not None:
            tracker.archived_at = tracker.archived_at or there.archived_at


def stop_mailings(session: Session, present: Session) -> None:
    """Ask nobody more for mailings that were stopped, or are done."""
    for mailing, there in pairs(session, present, Mailing, "made_at"):
        if mailing.state == MailingState.SENDING and there.state in (MailingState.STOPPED, MailingState.DONE):
            copy(mailing, there, "state", "ended_at", "next_batch_at")
            if there.state == MailingState.STOPPED:
                of_it = Recipient.mailing_id == mailing.id
                session.execute(
                    update(Recipient)
                    .where(of_it, Recipient.state == RecipientState.WAITING)
                    .values(state=RecipientState.LEFT_OUT, reason=STOPPED)
                )
                session.execute(update(Recipient).where(of_it).values(next_at=None))


def undo_runs(session: Session, present: Session) -> None:
    """Let runs that were taken back to review, or ended, not be released."""
    known = set(session.scalars(select(User.id)))
    for run, there in pairs(session, present, NotificationRun, "closure_id", "prepared_at"):
        if run.state in (RunState.APPROVAL, RunState.HELD) and there.state in (RunState.REVIEW, RunState.UNDONE):
            copy(
                run, there, "state", "starts_at", "released_by_id", "released_at", "approved_by_id", "approved_at",
                "undone_by_id", "undone_at",
            )  # fmt: skip
            for name in ("released_by_id", "approved_by_id", "undone_by_id"):
                if getattr(run, name) not in known:
                    setattr(run, name, None)
