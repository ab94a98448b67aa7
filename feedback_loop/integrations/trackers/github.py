"""GitHub, by its REST API (version 2022-11-28)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from feedback_loop.integrations.trackers.api import Call, Draft, Issue, Json, listed, member, read_issue

HOME = "https://api.github.com"
MARGIN = timedelta(hours=1)  # its clock and ours may differ
A_PAGE = 100
MOST_PAGES = 5


def said(found: dict[str, Any]) -> str:
    """What GitHub says of a refusal: a message, and details that are objects or mere words."""
    errors = found.get("errors") or []
    details = [
        str(each.get("message") or each.get("code") or "") if isinstance(each, dict) else str(each)
        for each in (errors if isinstance(errors, list) else [errors])
    ]
    return "; ".join(filter(None, [str(found.get("message") or ""), *details]))


def moment(at: datetime) -> str:
    """A moment as GitHub reads it, with a margin before it."""
    return (at - MARGIN).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class GitHub:
    """One repository.

    Attributes:
        base_url: Of the API.
        project: `owner/repository`.
    """

    call: Call
    base_url: str
    project: str
    token: str

    @property
    def http(self) -> Json:
        """Asks as GitHub wants to be asked."""
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        return Json(self.call, headers, said)

    @property
    def issues(self) -> str:
        """Where its issues are."""
        return f"{self.base_url}/repos/{quote(self.project)}/issues"

    def read(self, found: Any, etag: str = "") -> Issue:
        """An issue out of an answer."""
        is_open = member(found, "state") == "open"
        return read_issue(member(found, "number"), member(found, "html_url"), is_open, etag)

    def pages(self, url: str, query: dict[str, str]) -> Iterator[Any]:
        """What a list holds, page after page."""
        for page in range(1, MOST_PAGES + 1):
            asked = urlencode(query | {"per_page": str(A_PAGE), "page": str(page)})
            found = listed(self.http.ask("GET", f"{url}?{asked}")[1])
            yield from found
            if len(found) < A_PAGE:
                break

    def find(self, draft: Draft) -> Issue | None:
        """By looking through the newest issues: the search would know of a new one only later."""
        query = {"state": "all", "since": moment(draft.since), "sort": "created", "direction": "desc"}
        mine = (each for each in self.pages(self.issues, query) if draft.sign in (member(each, "body") or ""))
        return next((self.read(each) for each in mine), None)

    def create(self, draft: Draft) -> Issue:
        """Make an issue; the marker stands in a comment that people do not see."""
        data = {"title": draft.title, "body": f"{draft.body}\n\n<!-- {draft.sign} -->"}
        _, found = self.http.ask("POST", self.issues, data)
        return self.read(found)

    def look(self, external_id: str, etag: str) -> Issue | None:
        """With If-None-Match, which counts for no limit while nothing has changed."""
        headers = {"If-None-Match": etag} if etag else {}
        answer, found = self.http.ask("GET", f"{self.issues}/{quote(external_id)}", headers=headers)
        return None if answer.status == 304 else self.read(found, answer.headers.get("etag", "")[:200])

    def comment(self, external_id: str, text: str) -> None:
        """Write under an issue."""
        self.http.ask("POST", f"{self.issues}/{quote(external_id)}/comments", {"body": text})

    def has_comment(self, external_id: str, sign: str, since: datetime) -> bool:
        """Whether one of the newest comments holds some words. GitHub lists the oldest first, so only those are asked
        for that can be ours."""
        found = self.pages(f"{self.issues}/{quote(external_id)}/comments", {"since": moment(since)})
        return any(sign in (member(each, "body") or "") for each in found)
