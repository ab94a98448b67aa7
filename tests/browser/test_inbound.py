"""Addresses that get no mail, inbound mail and replies: axe in light and dark, by keyboard, and without JavaScript."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, Page
from sqlalchemy import select

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, reading
from feedback_loop.inbound.models import InboundMail, InboundPoll, Lift, Way
from feedback_loop.inbound.reading import Kind
from feedback_loop.notifications.models import Cause, Notification, Scope, Suppression
from feedback_loop.notifications.suppressing import suppress
from tests.browser.conftest import check
from tests.factories import PASSWORD, Cast, Make

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def paths(make: Make, cast: Cast) -> list[str]:
    """Pages with something of each kind on them."""
    session, now = make.session, utc_now()
    item = make.raised_item(2, cast.delivery)
    make.closure(item, cast.omar)
    row = session.scalars(select(Notification)).first()
    assert row is not None
    make.sent(row)
    long = "a.very.long.address.that.somebody.really.has.and.nobody.can.break@customers.of.a.long.domain.example"
    words = "Came back: 5.1.1 550 5.1.1 <maya@example.com>: Recipient address rejected: User unknown in local table"
    suppress(session, long, words, now, scope=Scope.EVERYTHING, cause=Cause.BOUNCED, because_of=row)
    suppress(session, "noor@example.com", "Unsubscribed by a link in a mail.", now, because_of=row)
    suppress(session, "spam@example.com", "Marked a mail as spam.", now, cause=Cause.COMPLAINED)
    suppress(session, "by.hand@example.com", "Asked by phone.", now, cause=Cause.BY_HAND, by_id=cast.lena.id)
    session.add(
        Lift(address="again@example.com", scope=Scope.FEEDBACK, cause=Cause.ASKED, reason="by link", since=now,
             why="She wrote to us that she wants them again.", by_id=cast.lena.id, at=now)
    )  # fmt: skip
    for number, kind in enumerate(Kind):
        session.add(
            InboundMail(
                key=f"{number:064d}", way=Way.MAILBOX, kind=kind, received_at=now - timedelta(minutes=number),
                reason="It belongs to no mail of ours.", sender=long, subject="Your newsletter " * 10,
                notification_id=row.id, words="Where is my parcel? " * 8 if kind == Kind.REPLY else "", attachments=2,
            )
        )  # fmt: skip
    session.add(InboundPoll(id=1, polled_at=now, failure="imap.example:993: [AUTHENTICATIONFAILED] wrong password"))
    session.flush()
    lift = session.scalars(select(Suppression.id).where(Suppression.cause == Cause.ASKED)).one()
    session.commit()
    return [
        "/settings/mail",
        "/settings/no-mail",
        f"/settings/no-mail/{lift}/lift",
        "/settings/inbound",
        "/settings/replies",
    ]


def sign_in(page: Page, site: str, email: str) -> None:
    page.goto(f"{site}/sign-in")
    page.locator("#email").fill(email)
    page.locator("#password").fill(PASSWORD)
    page.locator("main button").click()
    page.wait_for_load_state()


def test_every_page_about_inbound_mail_is_accessible_on_large_and_small_screens(
    desk: Page, phone: BrowserContext, site: str, cast: Cast, paths: list[str]
) -> None:
    browser = desk.context.browser
    assert browser is not None
    small = phone.new_page()
    for page in (desk, small):
        sign_in(page, site, cast.ada.email)
        for path in paths:
            page.goto(site + path)
            check(browser, page)


def test_settings_are_found_by_group_on_a_phone_and_all_at_once_on_a_desk(
    desk: Page, phone: BrowserContext, site: str, cast: Cast, paths: list[str]
) -> None:
    page = phone.new_page()
    sign_in(page, site, cast.lena.email)
    page.goto(f"{site}/settings/teams")
    places = page.get_by_role("navigation", name="Settings")
    assert places.get_by_role("link").all_inner_texts() == ["Team", "Teams", "Work", "Mails", "Yours"]
    places.get_by_role("link", name="Mails").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    found = places.get_by_role("link").all_inner_texts()
    assert found == ["Team", "Work", "Mails", "Replies", "Inbound mail", "No mail to", "Yours"]
    assert places.locator("[aria-current=page]").all_inner_texts() == ["Replies"]
    sign_in(desk, site, cast.ada.email)
    for path in (*paths, "/settings/people", "/settings/stuck"):
        desk.set_viewport_size({"width": 1280, "height": 800})
        desk.goto(site + path)
        names = desk.get_by_role("navigation", name="Settings").get_by_role("link").all_inner_texts()
        assert len(names) == len(set(names)) == 16
        assert desk.locator(".places [aria-current=page]").count() == 1, path
        for width in (1280, 1200, 1199, 1000, 800, 360):
            desk.set_viewport_size({"width": width, "height": 800})
            assert desk.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_a_lead_adds_and_lifts_an_address_by_keyboard_without_javascript(
    phone: BrowserContext, site: str, cast: Cast, paths: list[str], sessions: Sessions
) -> None:
    page = phone.new_page()
    sign_in(page, site, cast.lena.email)
    page.goto(site + paths[1])
    page.locator("#address").focus()
    page.keyboard.type("zoe@example.com")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("Asked at the counter.")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "No more mail goes to this address." in page.inner_text("body")
    with reading(sessions) as session:
        assert session.scalars(select(Suppression.scope).where(Suppression.address == "zoe@example.com")).one() == (
            Scope.EVERYTHING
        )
    page.get_by_role("link", name="Write again to zoe@example.com").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.locator("#why").focus()
    page.keyboard.type("It was a mistake.")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "Mails go to this address again." in page.inner_text("body")
    with reading(sessions) as session:
        assert session.scalars(select(Suppression).where(Suppression.address == "zoe@example.com")).first() is None
