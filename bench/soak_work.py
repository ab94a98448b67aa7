"""What people do while the product soaks: customers answer, colleagues search and close items, customers who were told
say whether it helped. All of it by the pages, as people do."""

from __future__ import annotations

import email.policy
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.cookiejar import CookieJar
from itertools import product
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

from restarts import Load, NoRedirect, Sink
from sqlalchemy import func, select

from feedback_loop.actions.models import ActionItem, NotificationRun
from feedback_loop.actions.transitions import FROM
from feedback_loop.complaints.models import Refine, RefineState, Search, SearchState
from feedback_loop.db import Sessions, reading
from feedback_loop.followups.models import FollowUp
from feedback_loop.notifications.models import Notification, NotificationState

ADDRESS, PASSWORD = "ada@soak.example", "correct horse battery"
PAGES = ("/", "/complaints", "/actions?scope=all", "/surveys", "/surveys/bench", "/settings/stuck", "/metrics")
SEARCH_EVERY, CLOSE_EVERY = 7.0, 15.0  # seconds
CUSTOMERS = 400
ACTIVE = 8  # problems that are said at one time
PER_PROBLEM = 40.0  # seconds after which the next one takes the place of the oldest
THINGS = ("zip", "strap", "lid", "lamp", "charger", "screen", "hinge", "handle", "pocket", "buckle", "wheel", "label")
TROUBLES = (
    "tore off on the second morning", "rattles loudly whenever I walk", "arrived covered in thick white dust",
    "smells of burnt rubber indoors", "turned green after one rainy night", "never fits the holder you sold me",
    "leaks oil over my white shirt", "squeaks so that neighbours complain",
)  # fmt: skip
PROBLEMS = [f"The {thing} {trouble}" for trouble, thing in product(TROUBLES, THINGS)]
LINK = re.compile(r"/f/([\w-]{20,})")
INPUT = re.compile(r'<input[^>]*type="hidden"[^>]*>')
ATTRIBUTE = re.compile(r'(name|value)="([^"]*)"')


def problem(now: float) -> str:
    """What somebody complains of at a moment, in seconds since the start."""
    return PROBLEMS[(int(now / PER_PROBLEM) + random.randrange(ACTIVE)) % len(PROBLEMS)]


def hidden(page: str, action: str = "") -> dict[str, str]:
    """The hidden fields of the form of a page that leads to an address; of the whole page without one."""
    part = page.partition(f'action="{action}"')[2].partition("</form>")[0] if action else page
    found = (dict(ATTRIBUTE.findall(each)) for each in INPUT.findall(part))
    return {each["name"]: each.get("value", "") for each in found if "name" in each}


@dataclass
class Customers(Load):
    """Answers about problems that change with time, half of them by people who leave an address."""

    began: float = field(default_factory=time.monotonic)

    def fields(self, key: str) -> dict[str, str]:
        """What one of them fills in."""
        said = {"score": "no", "comment": f"{problem(time.monotonic() - self.began)}. Please help, {key[:3]}"}
        if random.random() < 0.5:
            said["email"] = f"c{random.randrange(CUSTOMERS)}@example.com"
        return said


@dataclass
class Mailbox(Sink):
    """Takes mails, and keeps the links of those that ask whether it helped."""

    links: list[str] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Take one."""
        said = await super().handle_DATA(server, session, envelope)
        body = BytesParser(policy=email.policy.default).parsebytes(envelope.content).get_body(("plain",))
        found = LINK.search(body.get_content()) if body is not None else None
        if found:
            self.links.append(found[1])
        return said


@dataclass
class Colleagues:
    """People at work.

    Attributes:
        failed: What did not come as it should.
    """

    site: str
    sessions: Sessions
    mailbox: Mailbox
    stop: threading.Event
    failed: list[str] = field(default_factory=list)

    def signed_in(self) -> OpenerDirector:
        """A colleague's browser."""
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        page = opener.open(f"{self.site}/sign-in", timeout=30).read().decode()
        self.post(opener, "/sign-in", hidden(page) | {"email": ADDRESS, "password": PASSWORD})
        return opener

    def get(self, opener: OpenerDirector, path: str) -> str:
        """A page."""
        return opener.open(f"{self.site}{path}", timeout=60).read().decode()  # type: ignore[no-any-return]

    def post(self, opener: OpenerDirector, path: str, fields: dict[str, str]) -> str:
        """The page to which a form led."""
        request = Request(f"{self.site}{path}", urlencode(fields).encode())
        return opener.open(request, timeout=60).read().decode()  # type: ignore[no-any-return]

    def threads(self) -> list[threading.Thread]:
        """All of them, to be started."""
        works = self.browse, self.browse, self.search, self.close, self.answer
        return [threading.Thread(target=self.keep_at, args=(work,)) for work in works]

    def keep_at(self, work: Callable[[], None]) -> None:
        """Do one kind of work until it is time to stop. A page that failed is noted, and the work goes on."""
        while not self.stop.is_set():
            try:
                work()
            except (URLError, OSError, KeyError) as error:
                self.failed.append(f"{work.__name__}: {type(error).__name__} {error}")
                self.stop.wait(1)

    def browse(self) -> None:
        """Look at pages, one after another."""
        opener = self.signed_in()
        while not self.stop.is_set():
            for path in PAGES:
                self.get(opener, path)
                self.stop.wait(0.3)

    def search(self) -> None:
        """Search for what is being said."""
        opener, began = self.signed_in(), time.monotonic()
        while not self.stop.wait(SEARCH_EVERY):
            token = hidden(self.get(opener, "/complaints/search"))
            asked = f"{problem(time.monotonic() - began)} {random.choice(THINGS)}"
            self.post(opener, "/complaints/search", token | {"text": asked})

    def close(self) -> None:
        """Close one of the open items, and release its mails."""
        opener = self.signed_in()
        while not self.stop.wait(CLOSE_EVERY):
            with reading(self.sessions) as session:
                waits = select(ActionItem.id).where(ActionItem.status.in_(FROM["close"]))
                item = session.scalar(waits.order_by(func.random()).limit(1))
            if item is None:
                continue
            path = f"/actions/{item}/close"
            form = hidden(self.get(opener, path), path)
            page = self.post(opener, path, form | {
                "outcome": "fixed", "root_cause": "Not known.", "done": "A stronger one is built in since today.",
                "segment": "all", "statement": "We now build in a stronger one.", "template": "",
            })  # fmt: skip
            release = f"/actions/{item}/run/release"
            if release in page:
                self.post(opener, release, hidden(page, release))

    def answer(self) -> None:
        """Customers say whether it helped: two in three yes."""
        opener = build_opener(NoRedirect)
        while not self.stop.wait(0.5):
            if not self.mailbox.links:
                continue
            path = f"/f/{self.mailbox.links.pop()}"
            page = self.get(opener, path)
            said = random.choice(("yes", "yes", "no"))
            try:
                self.post(opener, path, hidden(page, path) | {"answer": said, "comment": "", "website": ""})
            except URLError as error:
                if getattr(error, "code", 0) != 303:
                    raise


@dataclass(frozen=True)
class Done:
    """How often each kind of work has been done."""

    refines: int
    searches: int
    closings: int
    mails: int
    follow_ups: int

    def is_warm(self) -> bool:
        """Whether everything has happened at least twice, so that what is loaded for it is loaded."""
        return min(self.refines, self.searches, self.closings, self.mails, self.follow_ups) >= 2


NOTHING = Done(0, 0, 0, 0, 0)


def done(sessions: Sessions) -> Done:
    """What has been done so far."""
    with reading(sessions) as session:
        counts = [
            session.scalar(select(func.count()).select_from(model).where(*where)) or 0
            for model, where in (
                (Refine, [Refine.state == RefineState.DONE]),
                (Search, [Search.state == SearchState.DONE]),
                (NotificationRun, [NotificationRun.released_at.is_not(None)]),
                (Notification, [Notification.state == NotificationState.SENT]),
                (FollowUp, []),
            )
        ]
    return Done(*counts)
