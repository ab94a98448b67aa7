"""Mail filters against people: two hundred real mails, caught by a real mail server, every link in them opened in every
way a filter opens links; then two hundred people answer."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser
from sqlalchemy import func, select

from feedback_loop import pipeline
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, reading
from feedback_loop.notifications.models import Suppression
from feedback_loop.pipeline import Context
from feedback_loop.responses import confirming
from feedback_loop.responses.mailings import queries, service
from feedback_loop.responses.mailings.reading import read_list
from feedback_loop.responses.mailings.service import Plan
from feedback_loop.responses.models import Answer, Invitation, Sign
from feedback_loop.settings import Settings
from tests.factories import Cast, Make
from tests.smtp import Sink, running

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

MAILS = 200
IN_A_BROWSER = 20  # mails of which every link is opened in Chromium, too; each stays open for ten seconds
AT_ONCE = 50
PREFETCH = ({"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"})
ADDRESS = re.compile(r"https?://[^\s\"'<>\]]+")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running(Sink()) as sink:
        yield sink


@pytest.fixture(autouse=True)
def the_real_limits(readers_are_quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirming, "SENT_AFTER", timedelta(seconds=1))
    monkeypatch.setattr(confirming, "GESTURE_AFTER", timedelta(seconds=1))


def addresses(mail: EmailMessage) -> list[str]:
    """Every address in the headers and in all parts of a mail."""
    text = "\n".join(str(value) for value in mail.values())
    for part in mail.walk():
        if part.get_content_maintype() == "text":
            text += "\n" + str(part.get_content())
    return sorted({found.rstrip(".,;:)") for found in ADDRESS.findall(text.replace("&amp;", "&"))})


def paths(mail: EmailMessage) -> list[str]:
    return [found.removeprefix("http://localhost") for found in addresses(mail) if "localhost" in found]


def open_in_every_way(app: Flask, path: str) -> None:
    client = app.test_client()
    client.get(path)
    client.head(path)
    client.options(path)
    for headers in PREFETCH:
        client.get(path, headers=headers)
    with ThreadPoolExecutor(2) as twice:
        list(twice.map(lambda _: app.test_client().get(path), range(2)))


def stay_open(browser: Browser, urls: Iterable[str], seconds: float) -> None:
    context = browser.new_context()
    for url in urls:
        context.new_page().goto(url, wait_until="commit")
    context.pages[-1].wait_for_timeout(seconds * 1000)
    context.close()


def counted(sessions: Sessions) -> tuple[int, int, int]:
    """Answers that count, people who want no more mail, invitations that were changed other than by a trap."""
    with reading(sessions) as session:
        answers = session.scalar(select(func.count()).select_from(Answer)) or 0
        gone = session.scalar(select(func.count()).select_from(Suppression)) or 0
        spent = session.scalar(select(func.count()).where(Invitation.expires_at <= utc_now())) or 0
        return answers, gone, spent


def fields(page: str, **values: str) -> dict[str, Any]:
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    return {**hidden, "website": "", **values}


def test_filters_give_no_answer_and_people_give_each_theirs_once(
    app: Flask, browser: Browser, site: str, settings: Settings, sink: Sink, make: Make, cast: Cast, sessions: Sessions,
    now: datetime,
) -> None:  # fmt: skip
    smtp = replace(settings, smtp_port=sink.port, smtp_timeout=5)
    rows = "".join(f"person{number}@example.com,Person {number}\n" for number in range(MAILS))
    survey = make.survey("order-delivered")
    lines = read_list(io.StringIO(f"email,name\n{rows}"), "people.csv", now)
    plan = Plan(name="October", rate=1000, reminders=0, valid_days=365)
    mailing = service.draft(make.session, survey, plan, lines, cast.ada, now, smtp)
    service.start(make.session, mailing, queries.review(make.session, mailing, now, smtp).asked, now, smtp)
    make.session.commit()
    context = Context(smtp, sessions, lambda: now)
    pipeline.ask(context)
    pipeline.send_mail(context)
    assert len(sink.mails) == MAILS

    # Filters: every link of every mail, those in the headers and the hidden one included.
    links = [path for mail in sink.mails for path in paths(mail)]
    assert len(links) >= 5 * MAILS, "two scores, the page, the hidden link, and the one to get no more mail"
    assert sum(path.endswith("/contents") for path in links) == MAILS
    with ThreadPoolExecutor(4) as filters:
        list(filters.map(lambda path: open_in_every_way(app, path), links))
    assert counted(sessions) == (0, 0, 0)
    seen = [site + path for mail in sink.mails[:IN_A_BROWSER] for path in paths(mail)]
    for start in range(0, len(seen), AT_ONCE):
        stay_open(browser, seen[start : start + AT_ONCE], 10)
    assert counted(sessions) == (0, 0, 0)

    # People, who come when the filters are done.
    with reading(sessions) as session:
        last = session.scalar(select(func.max(Invitation.trapped_at)))
    assert last is not None
    time.sleep(max(0.0, (last + confirming.TRAPPED_WITHIN - utc_now()).total_seconds() + 0.1))
    yes = [next(path for path in paths(mail) if path.endswith("score=yes")) for mail in sink.mails]
    clicking, sending = yes[: MAILS // 2], yes[MAILS // 2 :]
    for start in range(0, len(clicking), AT_ONCE):
        own = browser.new_context()
        for path in clicking[start : start + AT_ONCE]:
            own.new_page().goto(site + path, wait_until="load")
        own.pages[-1].wait_for_timeout(1_500)
        for page in own.pages:
            page.mouse.move(50, 60)
            page.mouse.move(80, 90)
        for page in own.pages:
            page.locator(".counted").wait_for(state="visible")
        own.close()
    client = app.test_client()
    pages = [client.get(path).get_data(as_text=True) for path in sending]
    time.sleep(1.1)
    for path, page in zip(sending, pages, strict=True):
        assert client.post(path.partition("?")[0], data=fields(page, score="yes")).status_code == 303
    with reading(sessions) as session:
        signs = session.execute(select(Answer.sign, func.count()).group_by(Answer.sign)).all()
        people = session.scalar(select(func.count(Answer.customer_id.distinct())))
    assert dict(signs) == {Sign.GESTURE: MAILS // 2, Sign.SENT: MAILS // 2}
    assert people == MAILS, "each once"
