"""The survey editor, in a browser: the preview follows what is typed, and a phone answers what was published."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import ScaleName
from tests.browser.conftest import check
from tests.factories import PASSWORD, Cast, Make

# Pages do not differ between databases; one is enough here.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def sign_in(page: Page, site: str, email: str) -> None:
    page.goto(f"{site}/surveys/order/edit")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/edit")


def test_an_admin_edits_looks_publishes_and_a_phone_answers(
    browser: Browser, desk: Page, phone: BrowserContext, site: str, make: Make, cast: Cast
) -> None:
    make.survey("order", ScaleName.CSAT, question="How was the delivery?", is_published=False)
    make.session.commit()
    sign_in(desk, site, cast.ada.email)
    check(browser, desk)

    shown = desk.locator(".device.phone iframe:not(.coming)")
    inside = desk.frame_locator(".device.phone iframe:not(.coming)")
    expect(inside.get_by_role("heading", name="How was the delivery?")).to_be_visible()
    own = desk.get_by_label("Question", exact=True)
    own.fill("Did everything arrive?")
    expect(inside.get_by_role("heading", name="Did everything arrive?")).to_be_visible()
    assert shown.get_attribute("sandbox") == "", "a preview runs no script and sends no form"
    desk.get_by_label("Question, in German").fill("Ist alles angekommen?")
    expect(inside.get_by_role("heading", name="Ist alles angekommen?")).to_be_visible()
    desk.get_by_text("Mail", exact=True).click()
    mail = desk.frame_locator(".device.mail iframe:not(.coming)")
    expect(mail.get_by_role("heading", name="Ist alles angekommen?")).to_be_visible()
    desk.get_by_text("Thanks, low score", exact=True).click()
    desk.get_by_label("Said there after a low score", exact=True).fill("We are sorry. A person calls you.")
    low = desk.frame_locator(".device.thanks_low iframe:not(.coming)")
    expect(low.get_by_text("We are sorry.")).to_be_visible()

    visitor = phone.new_page()
    assert visitor.goto(f"{site}/s/order?lang=en").status == 404  # type: ignore[union-attr]
    desk.get_by_role("button", name="Publish").click()
    expect(desk.get_by_role("status").first).to_contain_text("customers read version 1 from now on")
    visitor.goto(f"{site}/s/order?lang=de")
    expect(visitor.get_by_role("heading", name="Ist alles angekommen?")).to_be_visible()
    visitor.locator(".choice").last.click()
    visitor.locator("#send").click()
    visitor.wait_for_url("**/thanks*")
    make.session.rollback()
    assert [answer.survey_version for answer in make.session.scalars(select(Answer))] == [1]


def test_the_editor_works_on_a_phone_without_javascript(
    browser: Browser, phone: BrowserContext, site: str, make: Make, cast: Cast
) -> None:
    make.survey("order", ScaleName.NPS)
    make.session.commit()
    page = phone.new_page()
    sign_in(page, site, cast.ada.email)
    page.get_by_label("Question", exact=True).fill("Would you come again?")
    page.locator("main").get_by_role("button", name="Save the draft").last.click()
    expect(page.get_by_role("status").first).to_contain_text("Customers read it once you publish it.")
    expect(
        page.frame_locator(".device.phone iframe").get_by_role("heading", name="Would you come again?")
    ).to_be_visible()
    check(browser, page)
