"""An owner closes an item, reviews who is told, undoes and sends, in a real browser and by keyboard alone."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from feedback_loop import pipeline
from feedback_loop.actions.closing.templates import add_template
from feedback_loop.actions.models import NotificationRun, Outcome, RunState
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, reading
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.pipeline import Context
from feedback_loop.settings import Settings
from tests.browser.conftest import check
from tests.browser.test_journeys import sign_in
from tests.factories import Cast, Make

# Pages do not differ between databases; one is enough here.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

FOCUSED = """() => {
  const it = document.activeElement;
  const labels = it.labels ? [...it.labels].map(each => each.innerText) : [];
  return [labels.join(" ") || it.innerText || "", it.tagName];
}"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, mail_transport="mailbox", hold_minutes=10)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has this name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        found, _ = page.evaluate(FOCUSED)
        if re.search(name, found):
            return
    raise AssertionError(f"Tab does not lead to {name}.")


def press(page: Page, name: str) -> None:
    tab_to(page, name)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_an_owner_closes_reviews_undoes_and_sends_by_keyboard(
    browser: Browser, desk: Page, site: str, make: Make, cast: Cast, sessions: Sessions, settings: Settings
) -> None:
    item = make.raised_item(3, cast.delivery, "Parcel left in the rain")
    add_template(make.session, "Thanks", "Thank you for telling us.", Outcome.FIXED, None)
    make.session.commit()
    sign_in(desk, site, cast.omar.email)
    desk.goto(f"{site}/actions/{item.id}/close")
    check(browser, desk)
    tab_to(desk, "^Fixed")
    desk.keyboard.press("Space")
    tab_to(desk, "^Root cause")
    desk.keyboard.type("Drivers had no cover.")
    tab_to(desk, "^What was done")
    desk.keyboard.type("Bought rain covers.")
    tab_to(desk, "^Begin with a template")
    desk.keyboard.press("ArrowDown")
    press(desk, "^Begin with it")
    tab_to(desk, "^Statement to customers")
    desk.keyboard.press("Control+End")
    desk.keyboard.type(" Every driver has a rain cover now. More comes soon.")
    expect(desk.locator("pre.mail")).to_contain_text("Thank you for telling us. Every driver has a rain cover now.")
    expect(desk.locator("#wording")).to_contain_text("A promise without a date.")
    for _ in range(len(" More comes soon.")):
        desk.keyboard.press("Backspace")
    expect(desk.locator("#wording")).not_to_contain_text("promise")
    press(desk, "^Close, then review")
    expect(desk.get_by_role("heading", name="Review and send")).to_be_visible()
    check(browser, desk)
    press(desk, "^Everybody, with the mail of each")
    check(browser, desk)
    press(desk, "^Leave out\\s+Customer 0")
    expect(desk.get_by_role("status")).to_contain_text("Customer 0 is left out.")
    press(desk, "^Undo")
    expect(desk.get_by_role("status")).to_contain_text("Customer 0 will be told.")
    press(desk, "^Customer 1")
    check(browser, desk)
    press(desk, "^Notification run")
    press(desk, "^Tell 3 people")
    expect(desk.get_by_role("heading", name="Nothing is sent yet")).to_be_visible()
    check(browser, desk)
    press(desk, "^Undo: send nothing")
    expect(desk.locator("main")).to_contain_text("Undone: nothing was sent")
    press(desk, "^Tell 3 people")

    context = Context(settings, sessions)
    assert pipeline.send_mail(context) == 0, "held"
    context.clock = lambda: utc_now() + timedelta(minutes=11)
    assert pipeline.send_mail(context) == 3
    pipeline.settle_runs(context)
    desk.goto(f"{site}/actions/{item.id}/run")
    expect(desk.get_by_role("heading", name="Sent")).to_be_visible()
    expect(desk.locator("main")).to_contain_text("3 of 3 people told.")
    check(browser, desk)
    with reading(sessions) as session:
        assert session.scalars(select(NotificationRun.state)).one() == RunState.DONE
        states = select(Notification.state, func.count()).group_by(Notification.state)
        assert [tuple(row) for row in session.execute(states)] == [(NotificationState.SENT, 3)]


def test_each_way_of_ending_shows_what_makes_sense_there(
    browser: Browser, desk: Page, site: str, make: Make, cast: Cast
) -> None:
    item = make.raised_item(1, cast.delivery)
    make.session.commit()
    sign_in(desk, site, cast.omar.email)
    desk.goto(f"{site}/actions/{item.id}/close")
    shown = {
        "Fixed": {"Root cause", "Effective from", "Statement to customers"},
        "Declined": {"Root cause", "Statement to customers"},
        "Not a problem": {"Root cause", "Statement to customers"},
        "Duplicate": {"At which complaint does the work go on?"},
    }
    fields = set().union(*shown.values())
    for outcome, visible in shown.items():
        desk.get_by_label(re.compile(f"^{outcome}")).check()
        for label in fields:
            expect(desk.get_by_label(label, exact=True)).to_be_visible(visible=label in visible)
    desk.get_by_label(re.compile("^Declined")).check()
    expect(desk.locator(".declining")).to_be_visible()
    desk.get_by_label("Statement to customers").fill("It would double the price.")
    desk.get_by_role("button", name="Close, then review who is told").click()
    expect(desk.locator("pre.mail")).to_contain_text("It would double the price.")
    check(browser, desk)


def test_templates_of_statements_are_kept(browser: Browser, desk: Page, site: str, make: Make, cast: Cast) -> None:
    add_template(make.session, "Thanks", "Thank you for telling us.", Outcome.FIXED, cast.delivery)
    make.session.commit()
    sign_in(desk, site, cast.lena.email)
    desk.goto(f"{site}/settings/statements")
    check(browser, desk)
    desk.get_by_role("link", name="Thanks").click()
    check(browser, desk)
