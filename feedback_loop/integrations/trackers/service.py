"""Verbs on trackers and on the issues that are made there. What is asked of a tracker is a row; `work.py` does it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import ActionItem
from feedback_loop.actions.service import note
from feedback_loop.complaints.models import Statement
from feedback_loop.followups.erasing import ERASED_WORDS
from feedback_loop.integrations.models import IssueState, Tracker, TrackerIssue, TrackerKind
from feedback_loop.integrations.service import Refused, decrypted, encrypted
from feedback_loop.integrations.trackers import github, gitlab, jira
from feedback_loop.integrations.trackers.api import Api, Call
from feedback_loop.outbound import Forbidden, Outbound
from feedback_loop.settings import Settings
from feedback_loop.tokens import draw, hashed

NAMES = {TrackerKind.GITHUB: "GitHub", TrackerKind.GITLAB: "GitLab", TrackerKind.JIRA: "Jira"}
HOMES = {TrackerKind.GITHUB: github.HOME, TrackerKind.GITLAB: gitlab.HOME, TrackerKind.JIRA: ""}
PROJECTS = {
    TrackerKind.GITHUB: (re.compile(r"[\w.-]+/[\w.-]+", re.ASCII), "Enter owner/repository, such as fernhill/shop."),
    TrackerKind.GITLAB: (
        re.compile(r"[0-9]+|[\w.-]+(?:/[\w.-]+)+", re.ASCII),
        "Enter the path of the project, such as fernhill/shop, or its number.",
    ),
    TrackerKind.JIRA: (re.compile(r"[A-Z][A-Z0-9_]+", re.ASCII), "Enter the key of the project, such as SHOP."),
}
QUOTED = 3  # statements
LONGEST_TITLE = 200
LONGEST_BODY = 20_000


@dataclass(frozen=True)
class Wanted:
    """A tracker as an admin describes it.

    Attributes:
        base_url: Empty for the usual one.
        token: Empty to keep the one there is.
    """

    name: str
    kind: TrackerKind
    base_url: str
    project: str
    account: str
    issue_type: str
    token: str
    comments_back: bool


def set_up(tracker: Tracker, wanted: Wanted, settings: Settings, outbound: Outbound) -> None:
    """Write what an admin says of a tracker.

    Raises:
        Refused: Something does not fit; says what.
    """
    base_url = (wanted.base_url or HOMES[wanted.kind]).rstrip("/")
    if not base_url:
        raise Refused("Enter the address of your Jira, such as https://fernhill.atlassian.net.")
    try:
        outbound.check(base_url)
    except Forbidden as error:
        raise Refused(str(error)) from None
    if urlsplit(base_url).query:
        raise Refused("Leave out everything from the question mark on.")
    pattern, advice = PROJECTS[wanted.kind]
    project = wanted.project.strip("/")
    if not pattern.fullmatch(project) or ".." in project:
        raise Refused(advice)
    if wanted.kind == TrackerKind.JIRA and not wanted.account:
        raise Refused("Enter the mail address of the account to which the token belongs.")
    if not wanted.token and not tracker.sealed_token:
        raise Refused("Enter a token.")
    elsewhere = tracker.base_url and (tracker.base_url, tracker.account) != (base_url, wanted.account)
    if elsewhere and not wanted.token:
        raise Refused("Enter the token again: one token is for one address and account.")
    tracker.name, tracker.kind, tracker.base_url, tracker.project = wanted.name, wanted.kind, base_url, project
    tracker.account, tracker.issue_type = wanted.account, wanted.issue_type
    tracker.comments_back = wanted.comments_back
    if wanted.token:
        if not wanted.token.isascii() or not wanted.token.isprintable():
            raise Refused("A token consists of plain letters, digits and signs. Copy it again.")
        tracker.sealed_token = encrypted(wanted.token, settings)
    tracker.next_at, tracker.trouble = None, ""


def add_tracker(
    session: Session, wanted: Wanted, team: Team | None, by: User, now: datetime, settings: Settings, outbound: Outbound
) -> Tracker:
    """Add a tracker.

    Raises:
        Refused: Something does not fit; says what.
    """
    token = draw()
    tracker = Tracker(
        sealed_token=b"",
        base_url="",
        account="",
        trouble="",
        hook_hash=hashed(token),
        sealed_hook=encrypted(json.dumps([token, draw()]), settings),
        created_by=by,
        created_at=now,
        team=team,
    )
    set_up(tracker, wanted, settings, outbound)
    session.add(tracker)
    session.flush()
    return tracker


def hook_of(tracker: Tracker, settings: Settings) -> tuple[str, str]:
    """The path of a tracker's incoming webhook, and the secret with which it is signed."""
    token, secret = json.loads(decrypted(tracker.sealed_hook, settings))
    return f"/hooks/{token}", str(secret)


def api_of(tracker: Tracker, call: Call, settings: Settings) -> Api:
    """What speaks to a tracker."""
    token = decrypted(tracker.sealed_token, settings)
    if tracker.kind == TrackerKind.GITHUB:
        return github.GitHub(call, tracker.base_url, tracker.project, token)
    if tracker.kind == TrackerKind.GITLAB:
        return gitlab.GitLab(call, tracker.base_url, tracker.project, token)
    return jira.Jira(call, tracker.base_url, tracker.project, tracker.account, token, tracker.issue_type)


def set_archived(tracker: Tracker, is_archived: bool, now: datetime) -> None:
    """Ask a tracker for nothing more, or go on."""
    tracker.archived_at = now if is_archived else None
    tracker.next_at, tracker.trouble = None, ""


def draft_of(item: ActionItem, statements: list[Statement], settings: Settings) -> tuple[str, str]:
    """Title and body that are proposed for an issue: what the complaint is, how many, three redacted statements, where
    to read on."""
    complaint = item.complaint
    people, anonymous = complaint.people_count, complaint.anonymous_count
    counted = [f"{people} {'customer' if people == 1 else 'customers'}"] if people or not anonymous else []
    if anonymous:
        counted.append(f"{anonymous} {'statement' if anonymous == 1 else 'statements'} of people we do not know")
    body = [f"{complaint.number}: {complaint.name}", f"Said by {' and '.join(counted)}."]
    if statements:
        body.append("What they say:")
        body += [f"“{plain(each.text)}”" for each in statements[:QUOTED]]
    body.append(f"Action item: {settings.public_url}/actions/{item.id}")
    return f"{complaint.name} ({complaint.number})"[:LONGEST_TITLE], "\n\n".join(body)


def plain(text: str) -> str:
    """Customers' words on one line, in which no tracker finds a mention, a link or a sign of Markdown."""
    text = re.sub(r"[<>`]", "", " ".join(text.split()))
    text = re.sub(r"(?:[a-z][a-z0-9+.-]*://|www\.)\S+", "[link]", text, flags=re.IGNORECASE)
    text = re.sub(r"([@#!])(?=\w)", "\\1\u200b", text)
    return text if len(text) <= 500 else text[:500].rsplit(" ", 1)[0] + " …"


def forget_in_issues(session: Session, texts: Iterable[str]) -> None:
    """Take erased statements out of the issues that were asked for with them. What lies in the tracker stays there."""
    for quote in {f"“{plain(text)}”" for text in texts if text}:
        rows = session.scalars(select(TrackerIssue).where(TrackerIssue.body.contains(quote, autoescape=True)))
        for row in rows.all():
            row.body = row.body.replace(quote, ERASED_WORDS)
    session.flush()


def ask_for_issue(
    session: Session, item: ActionItem, tracker: Tracker, title: str, body: str, marker: str, by: User, now: datetime
) -> TrackerIssue:
    """Ask for an issue; the worker makes it. Asking twice with one form asks once.

    Args:
        marker: Drawn with the form: 32 hexadecimal digits.

    Raises:
        Refused: The tracker is not to be used here, or the form is none of ours.
    """
    if tracker.archived_at is not None or tracker.team_id not in (None, item.team_id):
        raise Refused("This tracker cannot be chosen here any more. Choose another.")
    if not re.fullmatch(r"[0-9a-f]{32}", marker):
        raise Refused("This form was changed on its way. Open it again.")
    known = session.scalar(select(TrackerIssue).where(TrackerIssue.marker == marker))
    if known is not None:
        if known.action_item_id != item.id:
            raise Refused("This form was changed on its way. Open it again.")
        return known
    issue = TrackerIssue(
        item=item,
        tracker=tracker,
        title=title[:LONGEST_TITLE],
        body=body[:LONGEST_BODY],
        marker=marker,
        asked_by=by,
        created_at=now,
        changed_at=now,
        next_at=now,
    )
    session.add(issue)
    note(session, item, "issue_asked", f"Asked for an issue in {tracker.name}: {title}", by, now)
    session.flush()
    return issue


def try_again(issue: TrackerIssue, now: datetime) -> None:
    """Ask once more for an issue that could not be made.

    Raises:
        Refused: It did not fail.
    """
    if issue.state != IssueState.FAILED or issue.external_id:
        raise Refused("This issue did not fail.")
    # Attempts are kept: whoever tries again looks first whether it was made after all.
    issue.state, issue.reason, issue.next_at, issue.changed_at = IssueState.PENDING, "", now, now


def look_now(session: Session, tracker_id: int, external_id: str, now: datetime) -> None:
    """Have the worker look at an issue at once, wherever there is such a one of ours."""
    session.execute(
        update(TrackerIssue)
        .where(
            TrackerIssue.tracker_id == tracker_id,
            TrackerIssue.external_id == external_id,
            TrackerIssue.state == IssueState.DONE,
        )
        .values(next_at=now)
    )
