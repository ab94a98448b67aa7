"""The page of ready texts, in a browser: copying, the preview of the mail, whose pages may show the question."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from feedback_loop.surveys.models import ScaleName
from tests.browser.conftest import check
from tests.factories import PASSWORD, Cast, Make

# Pages do not differ between databases; one is enough here.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def sign_in(page: Page, site: str, email: str) -> None:
    page.goto(f"{site}/surveys/order-delivered/share")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/share")


def test_an_admin_copies_a_mail_and_allows_a_page(browser: Browser, site: str, make: Make, cast: Cast) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    desk = context.new_page()
    make.survey("order-delivered", ScaleName.CSAT, question="How was the delivery?")
    make.session.commit()
    sign_in(desk, site, cast.ada.email)
    check(browser, desk)
    desk.get_by_role("combobox", name="Help desk").select_option("Front")
    desk.wait_for_url("**/share?desk=front*")
    expect(desk.frame_locator("iframe.preview").get_by_role("link", name="Very dissatisfied")).to_be_visible()
    desk.get_by_role("button", name="Copy: Plain text").click()
    expect(desk.get_by_text("Copied.")).to_be_visible()
    copied = desk.evaluate("navigator.clipboard.readText()")
    assert "Very satisfied: http://localhost/s/order-delivered?score=5&c_ticket={{conversation.id}}" in copied
    field = desk.get_by_label("Whose pages may show it")
    field.fill("https://www.fernhill.example/help")
    desk.get_by_role("button", name="Save").click()
    expect(desk.get_by_role("alert").first).to_contain_text("enter only its beginning, https://www.fernhill.example.")
    expect(field).to_have_value("https://www.fernhill.example/help")
    check(browser, desk)
    field.fill("https://www.fernhill.example")
    desk.get_by_role("button", name="Save").click()
    expect(desk.get_by_role("status").first).to_contain_text("Browsers show the question on these pages now.")
    context.close()


def test_a_viewer_reads_it_on_a_phone_without_javascript(
    browser: Browser, phone: BrowserContext, site: str, make: Make, cast: Cast
) -> None:
    make.survey("order-delivered", ScaleName.NPS)
    make.session.commit()
    page = phone.new_page()
    sign_in(page, site, cast.vera.email)
    page.get_by_role("combobox", name="Help desk").select_option("Help Scout")
    page.get_by_role("button", name="Show its texts").click()
    expect(page.get_by_role("textbox", name="Plain text")).to_contain_text("{%conversation.number%}")
    expect(page.get_by_role("img", name="QR code of the link")).to_be_visible()
    assert page.get_by_role("img", name="QR code of the link").evaluate("image => image.naturalWidth") > 0
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    check(browser, page)
