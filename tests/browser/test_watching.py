"""What is stuck, and that it is said on the home page: axe in light and dark, by keyboard, and without JavaScript."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy import select

from feedback_loop.actions.models import ActionEvent
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, reading
from feedback_loop.integrations.models import (
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointKind,
    IssueState,
    Tracker,
    TrackerComment,
    TrackerIssue,
    TrackerKind,
)
from feedback_loop.jobs.models import StepRun
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import Answer
from feedback_loop.watching.models import StuckDecision
from tests.browser.conftest import check
from tests.browser.test_inbound import sign_in
from tests.factories import Cast, Make

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

WHY = "smtp.example:25: 451 4.7.650 The mail server [203.0.113.9] has been temporarily rate limited"
LOOKS = os.environ.get("LOOKS")  # a folder: pictures are put there, to be looked at


@pytest.fixture
def worker(make: Make, cast: Cast) -> StepRun:
    """A worker that runs, and with it nothing is stuck."""
    row = StepRun(name="search", every_seconds=1, ended_at=utc_now() + timedelta(minutes=4), runs=1)
    make.session.add(row)
    make.answer()
    make.session.commit()
    return row


@pytest.fixture
def everything(make: Make, cast: Cast, worker: StepRun) -> None:
    """One and more of each kind."""
    session, now = make.session, utc_now()
    survey = make.survey("order", name="How was your order with our very long Donaudampfschifffahrtsgesellschaft?")
    for number in range(23):
        row = make.answer("The zip broke", survey=survey, analysed_at=None)
        row.set_aside_at, row.attempts = now - timedelta(hours=number), 5
        row.trouble = "Analysing it failed (ValueError); the log of the worker says where." if number else ""
    make.notification(event="closure:7", state=NotificationState.FAILED, reason=WHY, attempts=9)
    tried = make.notification(event="closure:8", attempts=7, reason=WHY)
    tried.created_at = now - timedelta(hours=9)
    endpoint = Endpoint(
        name="Data warehouse", kind=EndpointKind.WEBHOOK, shown_url="https://dw.example/in", sealed_url=b"x",
        sealed_secret=b"x", events=[], created_by_id=cast.ada.id, created_at=now,
    )  # fmt: skip
    tracker = Tracker(
        name="Shop on GitHub", kind=TrackerKind.GITHUB, base_url="https://api.github.example", project="fernhill/shop",
        sealed_token=b"x", hook_hash="h", sealed_hook=b"x", created_by_id=cast.ada.id, created_at=now,
    )  # fmt: skip
    session.add_all([endpoint, tracker])
    session.flush()
    session.add(
        Delivery(
            endpoint_id=endpoint.id, event_id="closing:1", type="action_item.closed", subject_id=1, at=now,
            state=DeliveryState.FAILED, reason="It answered 500 for three days.", attempts=20, created_at=now,
            next_at=now,
        )
    )  # fmt: skip
    item = make.item(team=cast.delivery)
    issues = [
        TrackerIssue(
            action_item_id=item.id, tracker_id=tracker.id, title="Zip", body="", marker=f"m{number}", state=state,
            reason="401 Bad credentials", external_id=external, attempts=3, asked_by_id=cast.ada.id, created_at=now,
            changed_at=now,
        )
        for number, (state, external) in enumerate([(IssueState.FAILED, ""), (IssueState.DONE, "fernhill/shop#41")])
    ]  # fmt: skip
    session.add_all(issues)
    event = session.scalars(select(ActionEvent)).first() or ActionEvent(
        action_item_id=item.id, at=now, kind="comment", text="x", by_id=cast.ada.id
    )
    session.add(event)
    session.flush()
    session.add(
        TrackerComment(
            issue_id=issues[1].id, event_id=event.id, state=IssueState.FAILED, reason="403 Resource not accessible",
            attempts=2, created_at=now,
        )
    )  # fmt: skip
    session.add(
        StepRun(name="send mail", every_seconds=2, ended_at=now, failing_since=now - timedelta(hours=3),
                failures_in_a_row=5_400, error="OperationalError")
    )  # fmt: skip
    session.add(StepRun(name="refine", every_seconds=20, ended_at=now - timedelta(hours=1)))
    session.add(
        StuckDecision(at=now, by_id=cast.ada.id, kind="mails", verb="discard", row_id=12, count=1, why="No such domain")
    )
    session.add(StuckDecision(at=now, by_id=cast.ada.id, kind="answers", verb="retry", row_id=None, count=7, why=""))
    session.commit()


def look(page: Page, name: str) -> None:
    """Keep a picture of a page in light and dark, where somebody wants to see them."""
    if not LOOKS:
        return
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        width = page.viewport_size["width"]  # type: ignore[index]
        page.screenshot(path=str(Path(LOOKS) / f"{name}-{width}-{scheme}.png"), full_page=True)
    page.emulate_media(color_scheme="light")


def looked_at(browser: Browser, page: Page, site: str, *paths: str, name: str) -> None:
    for number, path in enumerate(paths):
        page.goto(f"{site}{path}")
        look(page, f"{name}-{number}")
        check(browser, page)


@pytest.mark.usefixtures("everything")
def test_a_full_screen_on_a_phone_and_a_desk(
    browser: Browser, phone: BrowserContext, desk: Page, site: str, cast: Cast
) -> None:
    for page in (phone.new_page(), desk):
        sign_in(page, site, cast.ada.email)
        looked_at(
            browser, page, site, "/settings/stuck", "/settings/stuck/answers/discard", "/", "/?scope=mine", name="full"
        )


@pytest.mark.usefixtures("worker")
def test_an_empty_screen(browser: Browser, phone: BrowserContext, desk: Page, site: str, cast: Cast) -> None:
    for page in (phone.new_page(), desk):
        sign_in(page, site, cast.ada.email)
        looked_at(browser, page, site, "/settings/stuck", "/", name="empty")
        assert page.get_by_text("is stuck").count() == page.get_by_text("No worker").count() == 0


def test_without_a_worker(browser: Browser, phone: BrowserContext, desk: Page, site: str, cast: Cast) -> None:
    for page in (phone.new_page(), desk):
        sign_in(page, site, cast.ada.email)
        looked_at(browser, page, site, "/settings/stuck", "/", name="no-worker")
    page.get_by_role("link", name="No worker is running").click()
    assert page.get_by_role("heading", name="No worker is running").is_visible()


@pytest.mark.usefixtures("everything")
def test_one_is_tried_again_and_one_given_up_without_javascript(
    phone: BrowserContext, site: str, cast: Cast, sessions: Sessions
) -> None:
    page = phone.new_page()
    sign_in(page, site, cast.ada.email)
    page.goto(f"{site}/")
    page.get_by_role("link", name="Something is stuck").click()
    with reading(sessions) as session:
        first = session.scalars(
            select(Answer.id).where(Answer.set_aside_at.is_not(None)).order_by(Answer.set_aside_at)
        ).first()
    page.get_by_role("button", name=f"Retry no. {first}", exact=True).click()
    assert page.get_by_text("1 thing is tried again.").is_visible()
    page.get_by_role("link", name="Discard all … Mails that failed").click()
    page.get_by_role("button", name="Discard").click()
    assert page.locator("#why").get_attribute("aria-invalid") == "true"
    page.get_by_label("Why is it given up?").fill("No such domain any more")
    page.get_by_role("button", name="Discard").click()
    assert page.get_by_text("1 thing is given up.").is_visible()
    with reading(sessions) as session:
        assert session.get_one(Answer, first).set_aside_at is None
        skipped = session.scalars(select(Notification).where(Notification.state == NotificationState.SKIPPED)).one()
    assert skipped.reason == "Given up by a colleague: No such domain any more"


@pytest.mark.usefixtures("everything")
def test_one_is_given_up_by_keyboard(desk: Page, site: str, cast: Cast) -> None:
    sign_in(desk, site, cast.ada.email)
    desk.goto(f"{site}/settings/stuck")
    discard = desk.get_by_role("link", name="Discard all … Events that did not arrive")
    for _turn in range(200):
        desk.keyboard.press("Tab")
        if discard.evaluate("link => link === document.activeElement"):
            break
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/discard")
    desk.get_by_label("Why is it given up?").focus()
    desk.keyboard.type("They are told by phone")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/settings/stuck")
    assert desk.get_by_text("1 thing is given up.").is_visible()
