"""GitLab, by its REST API (version 4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from feedback_loop.integrations.trackers.api import Call, Draft, Issue, Json, listed, member, read_issue

HOME = "https://gitlab.com"


def said(found: dict[str, Any]) -> str:
    """What GitLab says of a refusal: a text, or one for each field."""
    message = found.get("message") or found.get("error_description") or found.get("error") or ""
    if isinstance(message, dict):
        return "; ".join(f"{name} {text}" for name, text in message.items())
    return str(message)


@dataclass(frozen=True)
class GitLab:
    """One project.

    Attributes:
        base_url: Of the site.
        project: Its path, or its number.
    """

    call: Call
    base_url: str
    project: str
    token: str

    @property
    def http(self) -> Json:
        """Asks as GitLab wants to be asked."""
        return Json(self.call, {"PRIVATE-TOKEN": self.token, "Accept": "application/json"}, said)

    @property
    def issues(self) -> str:
        """Where its issues are."""
        return f"{self.base_url}/api/v4/projects/{quote(self.project, safe='')}/issues"

    def read(self, found: Any) -> Issue:
        """An issue out of an answer."""
        return read_issue(member(found, "iid"), member(found, "web_url"), member(found, "state") == "opened")

    def find(self, draft: Draft) -> Issue | None:
        """By the marker in the description."""
        query = urlencode({"search": draft.marker, "in": "description", "scope": "all", "per_page": "20"})
        _, found = self.http.ask("GET", f"{self.issues}?{query}")
        mine = (each for each in listed(found) if draft.sign in (member(each, "description") or ""))
        return next((self.read(each) for each in mine), None)

    def create(self, draft: Draft) -> Issue:
        """Make an issue; the marker stands in a comment that people do not see."""
        data = {"title": draft.title, "description": f"{draft.body}\n\n<!-- {draft.sign} -->"}
        _, found = self.http.ask("POST", self.issues, data)
        return self.read(found)

    def look(self, external_id: str, etag: str) -> Issue | None:
        """An issue as it stands now."""
        _, found = self.http.ask("GET", f"{self.issues}/{quote(external_id)}")
        return self.read(found)

    def comment(self, external_id: str, text: str) -> None:
        """Write under an issue."""
        self.http.ask("POST", f"{self.issues}/{quote(external_id)}/notes", {"body": text})

    def has_comment(self, external_id: str, sign: str, since: datetime) -> bool:
        """Whether one of the newest notes holds some words."""
        url = f"{self.issues}/{quote(external_id)}/notes?sort=desc&order_by=created_at&per_page=100"
        _, found = self.http.ask("GET", url)
        return any(sign in (member(each, "body") or "") for each in listed(found))
