"""Jira Cloud, by its REST API (version 3). Its texts are documents (Atlassian Document Format)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from feedback_loop.integrations.trackers.api import Call, Draft, Issue, Json, listed, member, read_issue

ISSUE_TYPE = "Task"


def said(found: dict[str, Any]) -> str:
    """What Jira says of a refusal: messages, and one for each field."""
    fields = found.get("errors")
    details = [f"{name}: {text}" for name, text in fields.items()] if isinstance(fields, dict) else []
    messages = found.get("errorMessages") or []
    return "; ".join([*map(str, messages if isinstance(messages, list) else [messages]), *details])


def document(text: str) -> dict[str, Any]:
    """Plain paragraphs as a document: nothing in them is a sign, so nothing needs escaping."""
    paragraphs = []
    for paragraph in filter(None, (each.strip() for each in text.split("\n\n"))):
        content: list[dict[str, Any]] = []
        for line in paragraph.split("\n"):
            if content:
                content.append({"type": "hardBreak"})
            if line.strip():
                content.append({"type": "text", "text": line})
        paragraphs.append({"type": "paragraph", "content": content})
    return {"type": "doc", "version": 1, "content": paragraphs}


@dataclass(frozen=True)
class Jira:
    """One project.

    Attributes:
        base_url: Of the site.
        project: Its key.
        account: Mail address to which the token belongs.
    """

    call: Call
    base_url: str
    project: str
    account: str
    token: str
    issue_type: str = ISSUE_TYPE

    @property
    def http(self) -> Json:
        """Asks as Jira wants to be asked."""
        basic = base64.b64encode(f"{self.account}:{self.token}".encode()).decode()
        return Json(self.call, {"Authorization": f"Basic {basic}", "Accept": "application/json"}, said)

    @property
    def home(self) -> str:
        """Where its API is."""
        return f"{self.base_url}/rest/api/3"

    def label(self, draft: Draft) -> str:
        """The marker as a label: by it Jira finds an issue exactly."""
        return f"feedback-loop-{draft.marker}"

    def read(self, found: Any) -> Issue:
        """An issue out of an answer. Done is what its workflow calls done."""
        key = str(member(found, "key"))
        category = member(found, "fields", "status", "statusCategory", "key")
        return read_issue(key, f"{self.base_url}/browse/{quote(key, errors='replace')}", category != "done")

    def find(self, draft: Draft) -> Issue | None:
        """By its label."""
        query = {
            "jql": f'project = "{self.project}" AND labels = "{self.label(draft)}"',
            "fields": "status",
            "maxResults": "1",
        }
        _, found = self.http.ask("GET", f"{self.home}/search/jql?{urlencode(query)}")
        issues = listed(member(found, "issues"))
        return self.read(issues[0]) if issues else None

    def create(self, draft: Draft) -> Issue:
        """Make an issue; its answer says nothing of a status, and a new one is open."""
        fields = {
            "project": {"key": self.project},
            "issuetype": {"name": self.issue_type or ISSUE_TYPE},
            "summary": draft.title,
            "description": document(draft.body),
            "labels": [self.label(draft)],
        }
        _, found = self.http.ask("POST", f"{self.home}/issue", {"fields": fields})
        key = str(member(found, "key"))
        return read_issue(key, f"{self.base_url}/browse/{quote(key, errors='replace')}", True)

    def look(self, external_id: str, etag: str) -> Issue | None:
        """An issue as it stands now."""
        _, found = self.http.ask("GET", f"{self.home}/issue/{quote(external_id)}?fields=status")
        return self.read(found)

    def comment(self, external_id: str, text: str) -> None:
        """Write under an issue."""
        self.http.ask("POST", f"{self.home}/issue/{quote(external_id)}/comment", {"body": document(text)})

    def has_comment(self, external_id: str, sign: str, since: datetime) -> bool:
        """Whether one of the newest comments holds some words."""
        url = f"{self.home}/issue/{quote(external_id)}/comment?orderBy=-created&maxResults=100"
        _, found = self.http.ask("GET", url)
        comments = listed(member(found, "comments"))
        return any(sign in json.dumps(member(each, "body"), ensure_ascii=False) for each in comments)
