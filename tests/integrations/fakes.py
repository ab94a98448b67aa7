"""GitHub, GitLab and Jira on loopback: as much of their REST APIs as we use, in the shapes that they publish."""

from __future__ import annotations

import base64
import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.integrations.servers import Asked, Reply

TOKEN = "a-token-for-tests"


def as_json(status: int, data: Any, **headers: str) -> Reply:
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json; charset=utf-8"} | extra, json.dumps(data).encode()


@dataclass
class Fake(ABC):
    """One project. `break_with` answers the next requests instead, one each."""

    home: str = ""
    issues: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[str, list[str]] = field(default_factory=dict)
    break_with: list[Reply] = field(default_factory=list)
    # Does what is asked and then answers this: the answer that got lost.
    lose_with: list[Reply] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Reply:
        if self.break_with:
            return self.break_with.pop(0)
        if not self.knows(asked):
            return self.unknown()
        parts = urlsplit(asked.path)
        reply = self.serve(asked, unquote(parts.path), {name: each[0] for name, each in parse_qs(parts.query).items()})
        return self.lose_with.pop(0) if self.lose_with else reply

    @abstractmethod
    def knows(self, asked: Asked) -> bool:
        """Whether it brings the right token."""

    @abstractmethod
    def unknown(self) -> Reply:
        """What is answered where it does not."""

    @abstractmethod
    def serve(self, asked: Asked, path: str, query: dict[str, str]) -> Reply:
        """Do what is asked."""

    @abstractmethod
    def close(self, number: int = 1) -> None:
        """Close an issue over there."""


class GitHubFake(Fake):
    """POST and GET /repos/{owner}/{repo}/issues, GET one with its ETag, comments."""

    def knows(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {TOKEN}"

    def unknown(self) -> Reply:
        return as_json(401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"})

    def serve(self, asked: Asked, path: str, query: dict[str, str]) -> Reply:
        found = re.fullmatch(r"/repos/fernhill/shop/issues(?:/(\d+)(/comments)?)?", path)
        if found is None:
            return as_json(404, {"message": "Not Found"})
        number, comments = found.groups()
        if number is None and asked.method == "GET":
            assert query["state"] == "all"
            return as_json(200, list(reversed(self.issues)))
        if number is None:
            if not asked.json.get("title"):
                errors = [{"resource": "Issue", "field": "title", "code": "missing_field"}]
                return as_json(422, {"message": "Validation Failed", "errors": errors})
            number = len(self.issues) + 1
            issue = {
                "id": 1000 + number, "number": number, "state": "open", "title": asked.json["title"],
                "body": asked.json["body"], "html_url": f"https://github.example/fernhill/shop/issues/{number}",
                "closed_at": None,
            }  # fmt: skip
            self.issues.append(issue)
            return as_json(201, issue)
        if comments and asked.method == "POST":
            self.comments.setdefault(number, []).append(asked.json["body"])
            return as_json(201, {"id": 1, "body": asked.json["body"]})
        if comments:
            first = (int(query.get("page", "1")) - 1) * int(query["per_page"])
            found = self.comments.get(number, [])[first : first + int(query["per_page"])]
            return as_json(200, [{"body": each} for each in found])
        if int(number) > len(self.issues):
            return as_json(404, {"message": "Not Found"})
        issue = self.issues[int(number) - 1]
        etag = f'W/"{issue["state"]}"'
        if asked.headers.get("if-none-match") == etag:
            return 304, {"ETag": etag}, b""
        return as_json(200, issue, ETag=etag)

    def close(self, number: int = 1) -> None:
        self.issues[number - 1]["state"] = "closed"


class GitLabFake(Fake):
    """/api/v4/projects/{id}/issues with PRIVATE-TOKEN, searched by description; notes."""

    def knows(self, asked: Asked) -> bool:
        return asked.headers.get("private-token") == TOKEN

    def unknown(self) -> Reply:
        return as_json(401, {"message": "401 Unauthorized"})

    def serve(self, asked: Asked, path: str, query: dict[str, str]) -> Reply:
        assert asked.path.startswith("/api/v4/projects/fernhill%2Fshop/"), "the path of a project is one segment"
        found = re.fullmatch(r"/api/v4/projects/fernhill/shop/issues(?:/(\d+)(/notes)?)?", path)
        if found is None:
            return as_json(404, {"message": "404 Project Not Found"})
        number, notes = found.groups()
        if number is None and asked.method == "GET":
            return as_json(200, [each for each in self.issues if query["search"] in each["description"]])
        if number is None:
            if not asked.json.get("title"):
                return as_json(400, {"message": {"title": ["can't be blank"]}})
            iid = len(self.issues) + 1
            issue = {
                "id": 5000 + iid, "iid": iid, "state": "opened", "title": asked.json["title"],
                "description": asked.json["description"],
                "web_url": f"https://gitlab.example/fernhill/shop/-/issues/{iid}",
            }  # fmt: skip
            self.issues.append(issue)
            return as_json(201, issue)
        if notes and asked.method == "POST":
            self.comments.setdefault(number, []).append(asked.json["body"])
            return as_json(201, {"id": 1, "body": asked.json["body"]})
        if notes:
            return as_json(200, [{"body": each} for each in self.comments.get(number, [])])
        return as_json(200, self.issues[int(number) - 1])

    def close(self, number: int = 1) -> None:
        self.issues[number - 1]["state"] = "closed"


class JiraFake(Fake):
    """/rest/api/3/issue with descriptions as documents, /search/jql, comments; statuses in categories."""

    def knows(self, asked: Asked) -> bool:
        basic = base64.b64encode(f"dev@fernhill.example:{TOKEN}".encode()).decode()
        return asked.headers.get("authorization") == f"Basic {basic}"

    def unknown(self) -> Reply:
        return 401, {"Content-Type": "text/html"}, b"Client must be authenticated to access this resource."

    def serve(self, asked: Asked, path: str, query: dict[str, str]) -> Reply:
        if path == "/rest/api/3/search/jql":
            label = re.fullmatch(r'project = "SHOP" AND labels = "(.+)"', query["jql"])
            assert label
            return as_json(
                200, {"issues": [each for each in self.issues if label[1] in each["fields"]["labels"]], "isLast": True}
            )
        if path == "/rest/api/3/issue" and asked.method == "POST":
            fields = asked.json["fields"]
            if fields["issuetype"]["name"] not in ("Task", "Bug"):
                return as_json(
                    400, {"errorMessages": [], "errors": {"issuetype": "The issue type selected is invalid."}}
                )
            assert fields["description"]["type"] == "doc"
            assert fields["description"]["version"] == 1
            key = f"SHOP-{len(self.issues) + 1}"
            status = {"name": "To Do", "statusCategory": {"id": 2, "key": "new", "name": "To Do"}}
            self.issues.append({"id": "10000", "key": key, "fields": fields | {"status": status}})
            return as_json(201, {"id": "10000", "key": key, "self": f"{self.home}/rest/api/3/issue/10000"})
        found = re.fullmatch(r"/rest/api/3/issue/SHOP-(\d+)(/comment)?", path)
        if found is None or int(found[1]) > len(self.issues):
            return as_json(404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]})
        if found[2] and asked.method == "POST":
            self.comments.setdefault(found[1], []).append(json.dumps(asked.json["body"]))
            return as_json(201, {"id": "1"})
        if found[2]:
            return as_json(200, {"comments": [{"body": json.loads(each)} for each in self.comments.get(found[1], [])]})
        return as_json(200, self.issues[int(found[1]) - 1])

    def close(self, number: int = 1) -> None:
        status = self.issues[number - 1]["fields"]["status"]
        status |= {"name": "Shipped", "statusCategory": {"id": 3, "key": "done", "name": "Done"}}
