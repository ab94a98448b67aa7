"""Makes issues, looks at them, and comments on them: claimed with a lease, asked with no transaction open."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, ItemLink, LinkKind, Status
from feedback_loop.actions.notices import concerned, tell
from feedback_loop.actions.service import note
from feedback_loop.db import Sessions, insert_missing, reading
from feedback_loop.integrations import sources
from feedback_loop.integrations.models import Cursor, IssueState, Tracker, TrackerComment, TrackerIssue
from feedback_loop.integrations.trackers.api import Api, Call, Draft, Issue, Later, Refused
from feedback_loop.integrations.trackers.service import NAMES, api_of
from feedback_loop.jobs.backoff import backoff, is_over
from feedback_loop.jobs.claims import Claim, claim, still_ours
from feedback_loop.outbound import TOTAL_SECONDS
from feedback_loop.settings import Settings

log = logging.getLogger(__name__)

BATCH = 10
A_PASS = 60  # issues looked at, at most
LEASE = timedelta(seconds=BATCH * TOTAL_SECONDS * 4)
LOOK_EVERY = timedelta(minutes=5)  # at one that is open
LOOK_AGAIN = timedelta(hours=6)  # at one that is closed and may be opened again
LOOKED_AT_FOR = timedelta(days=14)  # after it closed
LOOKING_FAILED = timedelta(hours=1)
BEHIND = timedelta(seconds=1)
BROKEN = "Something broke here; the log of the worker says what."
COMMENTED = ("closed", "reopened")
CURSOR = "tracker comments"
OUTCOMES = {
    "fixed": "fixed", "partly_fixed": "partly fixed", "declined": "declined", "duplicate": "a duplicate",
    "not_a_problem": "not a problem",
}  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What the verbs below work with."""

    sessions: Sessions
    settings: Settings
    clock: Callable[[], datetime]
    call: Call
    stop: Callable[[], bool] = lambda: False

    def api(self, session: Session, tracker_id: int) -> Api:
        """What speaks to a tracker.

        Raises:
            Later: It is left alone since the claim, which needs no words; or SECRET_KEY is another one by now.
        """
        tracker = session.get_one(Tracker, tracker_id)
        if tracker.next_at is not None and tracker.next_at > self.clock():
            raise Later("", may_be_done=False)
        try:
            return api_of(tracker, self.call, self.settings)
        except InvalidToken:
            raise Later(
                "SECRET_KEY is not the one this tracker was kept under; restore it.", may_be_done=False
            ) from None


def reachable(now: datetime) -> ColumnElement[bool]:
    """Trackers that are asked just now."""
    trackers = select(Tracker.id).where(
        Tracker.archived_at.is_(None), or_(Tracker.next_at.is_(None), Tracker.next_at <= now)
    )
    return TrackerIssue.tracker_id.in_(trackers)


def serve(work: Work) -> int:
    """Make, look and comment until nothing is due.

    Returns:
        How much was done.
    """
    owe_comments(work)
    return issues(work) + comments(work)


def issues(work: Work) -> int:
    """Make the issues that were asked for, and look at those that are due."""
    done = 0
    while done < A_PASS and not work.stop():
        with work.sessions.begin() as session:
            now = work.clock()
            due = [
                TrackerIssue.state.in_([IssueState.PENDING, IssueState.DONE]),
                TrackerIssue.next_at <= now,
                reachable(now),
            ]
            # Those asked for go first: "pending" stands behind "done".
            order = [TrackerIssue.state.desc(), TrackerIssue.next_at, TrackerIssue.id]
            claims = claim(session, TrackerIssue, due, order, BATCH, now, LEASE)
        if not claims:
            break
        for each in claims:
            one_issue(work, each)
        done += len(claims)
    return done


def one_issue(work: Work, each: Claim) -> None:
    """Make one issue, or look at it, and write what came of it."""
    with reading(work.sessions) as session:
        row = session.get_one(TrackerIssue, each.id)
    is_asked_for = row.state == IssueState.PENDING
    in_vain = not_made if is_asked_for else not_seen
    try:
        with reading(work.sessions) as session:
            api = work.api(session, row.tracker_id)
        if is_asked_for:
            made(work, each, make(api, row))
        else:
            seen(work, each, api.look(row.external_id, row.etag))
    except (Later, Refused) as error:
        in_vain(work, each, error)
    except Exception:
        # Whatever one answer looks like, the issues behind it are asked for.
        log.exception("Issue %d could not be asked for.", each.id)
        in_vain(work, each, Later(BROKEN, is_ours=True))


def make(api: Api, row: TrackerIssue) -> Issue:
    """Make an issue; after any try whose end is not known, it may be there already."""
    draft = Draft(row.title, row.body, row.marker, row.created_at)
    found = api.find(draft) if row.attempts > 1 else None
    return found or api.create(draft)


def made(work: Work, each: Claim, found: Issue) -> None:
    """Write that an issue is there, and link it to the item."""
    with work.sessions.begin() as session:
        row = session.get_one(TrackerIssue, each.id)
        now = work.clock()
        values = {
            "state": IssueState.DONE, "reason": "", "external_id": found.external_id, "url": found.url[:1000],
            "is_open": True, "changed_at": now, "next_at": now + LOOK_EVERY, "attempts": 0,
        }  # fmt: skip
        if not still_ours(session, TrackerIssue, each, values):
            return
        row.tracker.trouble = ""
        link = {
            "action_item_id": row.action_item_id, "kind": LinkKind.TRACKER, "url": found.url[:1000],
            "title": row.title, "provider": row.tracker.kind.value, "external_id": found.external_id,
            "created_by_id": row.asked_by_id, "created_at": now,
        }  # fmt: skip
        insert_missing(session, ItemLink, [link])
        name = named(row.tracker, found.external_id)
        note(session, row.item, "issue_made", f"{name} was made.", None, now, url=found.url, issue_id=row.id)


def named(tracker: Tracker, external_id: str) -> str:
    """An issue as people name it."""
    if tracker.kind.value == "jira":
        return f"{NAMES[tracker.kind]} {external_id}"
    return f"{NAMES[tracker.kind]} {tracker.project}#{external_id}"


def seen(work: Work, each: Claim, found: Issue | None) -> None:
    """Write how an issue stands, and tell of what changed there."""
    with work.sessions.begin() as session:
        row = session.get_one(TrackerIssue, each.id)
        now = work.clock()
        is_open = row.is_open if found is None else found.is_open
        has_changed = is_open != row.is_open
        changed_at = now if has_changed else row.changed_at
        values: dict[str, Any] = {
            "is_open": is_open, "changed_at": changed_at, "reason": "", "attempts": 0,
            "next_at": next_look(is_open, changed_at, now),
        }  # fmt: skip
        if found is not None:
            values["etag"] = found.etag
        if still_ours(session, TrackerIssue, each, values) and has_changed:
            tell_of(session, row, is_open, now)


def next_look(is_open: bool, changed_at: datetime, now: datetime) -> datetime | None:
    """When to look at an issue again; never at one that has long been closed."""
    if is_open:
        return now + LOOK_EVERY
    return now + LOOK_AGAIN if now - changed_at < LOOKED_AT_FOR else None


def tell_of(session: Session, row: TrackerIssue, is_open: bool, now: datetime) -> None:
    """Say in the history of the item, and to those concerned, that the issue was closed or opened there.

    The item itself is not closed by that: customers are told then, and only a person can say what.
    """
    item = row.item
    name = named(row.tracker, row.external_id)
    is_done = item.status in (Status.CLOSED, Status.VERIFIED)
    if is_open:
        kind, text = "issue_reopened", f"{name} was opened again there."
    else:
        kind = "issue_closed"
        text = f"{name} was closed there." + ("" if is_done else " If that solves it, close this item and say so.")
    note(session, item, kind, text, None, now, url=row.url, issue_id=row.id)
    if is_open == is_done:
        tell(session, concerned(session, item), item, kind, text, now)


def not_made(work: Work, each: Claim, error: Exception) -> None:
    """Write that an issue could not be made: for good, or for now."""
    with work.sessions.begin() as session:
        row = session.get_one(TrackerIssue, each.id)
        now = work.clock()
        reason = str(error)[:500]
        if isinstance(error, Later) and not is_over(row.changed_at, now):
            put_off(session, TrackerIssue, each, row.tracker, row.attempts, error, now)
            return
        if isinstance(error, Later):
            reason = f"Given up after 72 hours: {error}"[:500]
        values = {"state": IssueState.FAILED, "reason": reason, "next_at": None, "changed_at": now}
        if still_ours(session, TrackerIssue, each, values):
            text = f"No issue was made in {row.tracker.name}. {reason}"
            note(session, row.item, "issue_failed", text, None, now, issue_id=row.id)
            tell(session, [row.asked_by_id], row.item, "issue_failed", text, now)


def put_off(
    session: Session, model: Any, each: Claim, tracker: Tracker, attempts: int, error: Later, now: datetime
) -> None:
    """Try later; the tracker as a whole is left alone meanwhile, so that it costs the others nothing.

    An attempt counts as none only where the tracker cannot have done anything: whoever tries after a counted one looks
    first what is there.
    """
    if not str(error) and not error.may_be_done:  # it was left alone already
        still_ours(session, model, each, {"next_at": tracker.next_at or now, "attempts": model.attempts - 1})
        return
    wait = error.wait or backoff(attempts, f"{model.__tablename__}:{each.id}")
    if not error.is_ours:
        tracker.next_at, tracker.trouble = now + wait, str(error)[:500]
    # Behind those who waited for the tracker meanwhile: what fails each time does not keep them from their turn.
    values: dict[str, Any] = {"next_at": now + wait + BEHIND, "reason": str(error)[:500]}
    if error.wait and not error.may_be_done:  # asked to wait, which is no failure
        values["attempts"] = model.attempts - 1
    still_ours(session, model, each, values)


def not_seen(work: Work, each: Claim, error: Exception) -> None:
    """Write that an issue could not be looked at. It stays as it was last seen."""
    with work.sessions.begin() as session:
        row = session.get_one(TrackerIssue, each.id)
        now = work.clock()
        if isinstance(error, Later):
            put_off(session, TrackerIssue, each, row.tracker, row.attempts, error, now)
            return
        row.tracker.trouble = str(error)[:500]
        gone = now - row.changed_at > LOOKED_AT_FOR
        values = {"reason": str(error)[:500], "next_at": None if gone else now + LOOKING_FAILED}
        still_ours(session, TrackerIssue, each, values)


def owe_comments(work: Work) -> None:
    """Owe a comment to each issue whose item was closed or reopened since the last look."""
    if not any_tracker(work):
        return
    with work.sessions.begin() as session:
        insert_missing(session, Cursor, [{"name": CURSOR, "last_id": newest_event(session)}])
        cursor = session.get_one(Cursor, CURSOR, with_for_update=True)
        rows = session.execute(
            select(ActionEvent.id, ActionEvent.kind, TrackerIssue.id)
            .join(TrackerIssue, TrackerIssue.action_item_id == ActionEvent.action_item_id)
            .join(Tracker, Tracker.id == TrackerIssue.tracker_id)
            .where(
                ActionEvent.id > max(0, cursor.last_id - sources.OVERLAP),
                ActionEvent.kind.in_(COMMENTED),
                ActionEvent.at >= TrackerIssue.created_at,
                TrackerIssue.state == IssueState.DONE,
                Tracker.comments_back,
                Tracker.archived_at.is_(None),
            )
            .order_by(ActionEvent.id, TrackerIssue.id)
        ).all()
        now = work.clock()
        owed = [
            {
                "issue_id": issue_id, "event_id": event_id, "state": IssueState.PENDING, "reason": "",
                "created_at": now, "next_at": now, "attempts": 0, "fence": 0,
            }
            for event_id, _, issue_id in rows
        ]  # fmt: skip
        insert_missing(session, TrackerComment, owed)
        cursor.last_id = max(cursor.last_id, newest_event(session))


def any_tracker(work: Work) -> bool:
    """Whether there is any tracker; asked without disturbing writers."""
    with reading(work.sessions) as session:
        return session.scalar(select(Tracker.id).limit(1)) is not None


def newest_event(session: Session) -> int:
    """The newest entry of all histories."""
    return session.scalar(select(ActionEvent.id).order_by(ActionEvent.id.desc()).limit(1)) or 0


def comments(work: Work) -> int:
    """Write the comments that are owed."""
    done = 0
    while not work.stop():
        with work.sessions.begin() as session:
            now = work.clock()
            mine = select(TrackerIssue.id).where(reachable(now))
            due = [
                TrackerComment.state == IssueState.PENDING,
                TrackerComment.next_at <= now,
                TrackerComment.issue_id.in_(mine),
            ]
            order = [TrackerComment.next_at, TrackerComment.id]
            claims = claim(session, TrackerComment, due, order, BATCH, now, LEASE)
        if not claims:
            return done
        for each in claims:
            one_comment(work, each)
        done += len(claims)
    return done


def one_comment(work: Work, each: Claim) -> None:
    """Write one comment, and what came of it."""
    try:
        with reading(work.sessions) as session:
            row = session.get_one(TrackerComment, each.id)
            text, sign = comment_text(session, row, work.settings)
            external_id, attempts, since = row.issue.external_id, row.attempts, row.created_at
            api = work.api(session, row.issue.tracker_id)
        if attempts == 1 or not api.has_comment(external_id, sign, since):
            api.comment(external_id, text)
    except Later as error:
        not_said(work, each, error)
    except Refused as error:
        end_comment(work, each, IssueState.FAILED, str(error))
    except Exception:
        # Whatever one answer looks like, the comments behind it are written.
        log.exception("Comment %d could not be written.", each.id)
        not_said(work, each, Later(BROKEN, is_ours=True))
    else:
        end_comment(work, each, IssueState.DONE, "")


def not_said(work: Work, each: Claim, error: Later) -> None:
    """Write that a comment could not be written for now; after 72 hours, for good."""
    with work.sessions.begin() as session:
        row = session.get_one(TrackerComment, each.id)
        now = work.clock()
        if not is_over(row.created_at, now):
            put_off(session, TrackerComment, each, row.issue.tracker, row.attempts, error, now)
            return
    end_comment(work, each, IssueState.FAILED, f"Given up after 72 hours: {error}")


def end_comment(work: Work, each: Claim, state: IssueState, reason: str) -> None:
    """Write what became of a comment."""
    with work.sessions.begin() as session:
        still_ours(session, TrackerComment, each, {"state": state, "reason": reason[:500], "next_at": None})


def comment_text(session: Session, row: TrackerComment, settings: Settings) -> tuple[str, str]:
    """What an issue is told, and the words in it by which it is known again. Trackers may be open to the world, so it
    says no more than what happened."""
    event = row.event
    item = session.get_one(ActionItem, event.action_item_id)
    number = item.complaint.number
    # The link differs for each entry of the history, so it is what the comment is known by.
    link = f"{settings.public_url}/actions/{item.id}#event-{event.id}"
    if event.kind == "reopened":
        return f"The action item of {number} is open again.\n\n{link}", link
    closure = session.get(Closure, event.data.get("closure_id") or 0)
    how = f" as {OUTCOMES[closure.outcome.value]}" if closure else ""
    return f"The action item of {number} was closed{how}.\n\n{link}", link
