"""What we ask of any tracker, and how its refusals are told apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from feedback_loop.actions.details.links import BadAddress, checked_url
from feedback_loop.db import clean_text
from feedback_loop.outbound import Answer, Forbidden, NotSent

Call = Callable[[str, str, Mapping[str, str], bytes | None], Answer]
LONGEST_WAIT = timedelta(hours=8)
LONGEST_NAME = 200
NOT_THIS_KIND = "What answers there is not this kind of tracker: check its address."
JSON = "application/json"


class Refused(Exception):
    """The tracker will not do this, however often it is asked; the message says why, for people."""


class Later(Exception):
    """The tracker may do it later.

    Attributes:
        wait: How long it asks us to wait; None where it does not say.
        may_be_done: Whether it may have done what it was asked for, and only its answer got lost.
        is_ours: Whether it is no trouble of the tracker: what else is asked of it goes on.
    """

    def __init__(
        self, message: str, wait: timedelta | None = None, *, may_be_done: bool = True, is_ours: bool = False
    ) -> None:
        super().__init__(message)
        self.wait = wait
        self.may_be_done = may_be_done
        self.is_ours = is_ours


@dataclass(frozen=True)
class Issue:
    """An issue as the tracker has it.

    Attributes:
        external_id: What the tracker calls it within its project.
        url: Where people read it.
        etag: By which the tracker can say that nothing has changed; empty where it does not.
    """

    external_id: str
    url: str
    is_open: bool
    etag: str = ""


@dataclass(frozen=True)
class Draft:
    """An issue to be made.

    Attributes:
        body: Plain paragraphs.
        marker: Random; by it the issue is found again.
        since: It was not made before this.
    """

    title: str
    body: str
    marker: str
    since: datetime

    @property
    def sign(self) -> str:
        """The marker as it stands in the issue."""
        return f"feedback-loop:{self.marker}"


class Api(Protocol):
    """One project of one tracker. Every call may raise `Refused` or `Later`."""

    def find(self, draft: Draft) -> Issue | None:
        """The issue that was made of a draft, if it was."""

    def create(self, draft: Draft) -> Issue:
        """Make an issue."""

    def look(self, external_id: str, etag: str) -> Issue | None:
        """An issue as it stands now; None when nothing has changed since `etag`."""

    def comment(self, external_id: str, text: str) -> None:
        """Write under an issue."""

    def has_comment(self, external_id: str, sign: str, since: datetime) -> bool:
        """Whether one of the newest comments holds some words, which were not written before `since`."""


@dataclass(frozen=True)
class Json:
    """Asks in JSON.

    Attributes:
        headers: Of every request.
        messages: Finds in a refusal what the tracker says of it.
    """

    call: Call
    headers: Mapping[str, str]
    messages: Callable[[Any], str]

    def ask(
        self, method: str, url: str, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Answer, Any]:
        """Make one request.

        Returns:
            The answer, and what its body says; None for 304 and empty bodies.
        """
        body = None if data is None else json.dumps(data).encode()
        extra = {"Content-Type": JSON} if body is not None else {}
        try:
            answer = self.call(method, url, {**self.headers, **extra, **(headers or {})}, body)
        except Forbidden as error:
            raise Refused(str(error)) from error
        except NotSent as error:
            raise Later(str(error)) from error
        if answer.status == 304:
            return answer, None
        try:
            found = json.loads(answer.body) if answer.body else None
        except ValueError:
            found = None
        if not answer.is_good:
            raise self._refusal(answer, found)
        return answer, found

    def _refusal(self, answer: Answer, found: Any) -> Exception:
        said = clean_text(self.messages(found))[:300] if isinstance(found, dict) else ""
        words = f" It says: {said}" if said else ""
        code = answer.status
        wait = asked_wait(answer)
        if code == 429 or (code == 403 and wait is not None):
            return Later(f"The tracker takes no more requests just now ({code}).{words}", wait, may_be_done=False)
        if code >= 500 or code == 408:
            return Later(f"The tracker is out of order ({code}).{words}", wait)
        why = {
            401: "The tracker does not know the token (401). Give it a new one under Settings, Trackers.",
            403: "The token may not do this (403). Give it the rights that docs/integrations.md names.",
            404: "The tracker has no such project or issue, or the token may not see it (404).",
            410: "The issue is gone from the tracker (410).",
        }.get(code, f"The tracker refuses this ({code}).")
        return Refused(why + words)


def asked_wait(answer: Answer) -> timedelta | None:
    """How long a tracker asks us to wait, in either of the ways they say it."""
    value = answer.headers.get("retry-after", "")
    if value.isascii() and value.isdecimal():
        return min(timedelta(seconds=int(value[:9])), LONGEST_WAIT)
    if answer.headers.get("x-ratelimit-remaining") == "0":
        return timedelta(hours=1)  # no tracker counts over longer
    return None


def member(found: Any, *names: str) -> Any:
    """Something inside an answer.

    Raises:
        Refused: The answer is not of the shape that was published.
    """
    for name in names:
        if not isinstance(found, dict) or name not in found:
            raise Refused(NOT_THIS_KIND)
        found = found[name]
    return found


def listed(found: Any) -> list[Any]:
    """A list of an answer.

    Raises:
        Refused: It is none.
    """
    if not isinstance(found, list):
        raise Refused(NOT_THIS_KIND)
    return found


def read_issue(name: Any, url: Any, is_open: bool, etag: str = "") -> Issue:
    """An issue out of what an answer says of it. Its address becomes a link on our pages.

    Raises:
        Refused: It has no name, or an address that no link may have.
    """
    external_id = clean_text(str(name)) if isinstance(name, str | int) else ""
    if not 0 < len(external_id) <= LONGEST_NAME:
        raise Refused(NOT_THIS_KIND)
    try:
        found = checked_url(clean_text(str(url)))
    except BadAddress:
        raise Refused(
            f"The tracker gives issue {external_id} an address that cannot be linked: "
            "it has to begin with https:// or http://, be of at most 1,000 characters, and hold no password."
        ) from None
    return Issue(external_id, found, is_open, etag)
