"""Reads what trackers send: whether it is theirs, and which issue it names. Nothing in it is believed beyond that: a
hook only makes the worker look, so that one sent twice, late or again does no harm."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from feedback_loop.db import clean_text
from feedback_loop.integrations.models import TrackerKind


def is_theirs(kind: TrackerKind, secret: str, header: Callable[[str, str], str], body: bytes) -> bool:
    """Whether a request carries the secret: GitLab sends it, GitHub and Jira sign the body with it.

    Args:
        header: Gives the value of a header by its name, or what is to stand in for it.
    """
    if kind == TrackerKind.GITLAB:
        return same(header("X-Gitlab-Token", ""), secret)
    name = "X-Hub-Signature-256" if kind == TrackerKind.GITHUB else "X-Hub-Signature"
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return same(header(name, ""), expected)


def same(given: str, expected: str) -> bool:
    """Compare in a time that says nothing of what is expected."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def issue_named(kind: TrackerKind, body: bytes) -> str:
    """Which issue is spoken of; empty where it is none, as in a ping."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    path = {
        TrackerKind.GITHUB: ("issue", "number"),
        TrackerKind.GITLAB: ("object_attributes", "iid"),
        TrackerKind.JIRA: ("issue", "key"),
    }[kind]
    value: Any = found
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    is_name = isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= 200
    return clean_text(str(value)) if is_name else ""
