"""A lead's whole triage in a real browser: twenty complaints by keyboard alone, and the same by plain forms."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from feedback_loop.actions.models import ActionItem, Status
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.db import Sessions, reading
from feedback_loop.surveys.models import ScaleName
from tests.browser.conftest import check
from tests.factories import PASSWORD, Cast, Make

# Pages do not differ between databases; one is enough here.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def queue(make: Make, cast: Cast) -> list[ActionItem]:
    """Twenty complaints that wait, the one that most people said first; the third is much like the second."""
    survey = make.survey("order-delivered", ScaleName.CSAT, name="Order delivered")
    items = []
    for number in range(20):
        complaint = make.complaint(f"Complaint {number + 1:02}")
        for index in range(22 - number):
            make.statement(
                complaint, customer=make.customer(f"Customer {index}"), survey=survey,
                said_at=utc_now() - timedelta(days=index),
            )  # fmt: skip
        items.append(make.item(complaint, cast.delivery if number % 2 else cast.payments))
    items[2].complaint.neighbours = [[items[1].complaint_id, 0.8], [items[7].complaint_id, 0.6]]
    make.session.commit()
    return items


def sign_in(page: Page, site: str, cast: Cast) -> None:
    page.goto(f"{site}/sign-in?next=/triage")
    page.get_by_label("Email").fill(cast.lena.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/triage")


def at(page: Page, name: str) -> None:
    expect(page.locator("#current")).to_contain_text(name)


def press(page: Page, *keys: str) -> None:
    page.wait_for_selector("html.with-keys", state="attached")  # the page is there before its keys are
    for key in keys:
        page.keyboard.press(key)


def numbers(sessions: Sessions) -> dict[str, int]:
    """How many items stand where, and how many complaints are gone."""
    with reading(sessions) as session:
        found: dict[str, int] = {
            status.value: count
            for status, count in session.execute(
                select(ActionItem.status, func.count())
                .join(Complaint, Complaint.id == ActionItem.complaint_id)
                .where(Complaint.state == ComplaintState.ACTIVE, ActionItem.snoozed_until.is_(None))
                .group_by(ActionItem.status)
            )
        }
        for state in (ComplaintState.MERGED, ComplaintState.DISMISSED):
            found[state.value] = len(session.scalars(select(Complaint.id).where(Complaint.state == state)).all())
        found["snoozed"] = len(
            session.scalars(select(ActionItem.id).where(ActionItem.snoozed_until.is_not(None))).all()
        )
    return found


def test_a_lead_triages_twenty_complaints_by_keyboard_alone(
    browser: Browser, desk: Page, site: str, queue: list[ActionItem], cast: Cast, sessions: Sessions
) -> None:
    sign_in(desk, site, cast)
    at(desk, "Complaint 01")
    check(browser, desk)
    press(desk, "j")
    at(desk, "Complaint 02")
    press(desk, "k")
    at(desk, "Complaint 01")
    # Assign: the suggestion is chosen already.
    press(desk, "a")
    expect(desk.locator("#team")).to_be_focused()
    expect(desk.locator("#team")).to_have_value(str(cast.payments.id))
    press(desk, "Enter")
    expect(desk.locator(".last")).to_contain_text("Complaint 01: Assigned to Payments.")
    at(desk, "Complaint 02")
    # Assign to another team: typing its name chooses it.
    press(desk, "a", "P")
    expect(desk.locator("#team")).to_have_value(str(cast.payments.id))
    press(desk, "Enter")
    expect(desk.locator(".last")).to_contain_text("Complaint 02: Assigned to Payments.")
    # Undo, and decide again as suggested.
    press(desk, "u")
    at(desk, "Complaint 02")
    expect(desk.get_by_role("status").filter(has_text="Taken back for")).to_be_visible()
    press(desk, "a", "Enter")
    expect(desk.locator(".last")).to_contain_text("Complaint 02: Assigned to Delivery.")
    # Merge into the nearest.
    at(desk, "Complaint 03")
    press(desk, "m")
    expect(desk.get_by_role("button", name=f"Merge into C-{queue[1].complaint_id}")).to_be_focused()
    press(desk, "2")
    expect(desk.get_by_role("button", name=f"Merge into C-{queue[7].complaint_id}")).to_be_focused()
    press(desk, "1", "Enter")
    expect(desk.locator(".last")).to_contain_text(f"Complaint 03: Merged into C-{queue[1].complaint_id}")
    # Merge into another one, by its number; letters typed there are no keys.
    at(desk, "Complaint 04")
    press(desk, "m")
    expect(desk.get_by_label("Merge into another complaint")).to_be_focused()
    desk.keyboard.type("u")
    expect(desk.get_by_label("Merge into another complaint")).to_have_value("u")
    press(desk, "Control+A")
    desk.keyboard.type(f"C-{queue[1].complaint_id}")
    press(desk, "Enter")
    expect(desk.locator(".last")).to_contain_text("Complaint 04: Merged into")
    # Dismiss, take that back, dismiss again.
    at(desk, "Complaint 05")
    press(desk, "d")
    expect(desk.get_by_role("button", name="Dismiss", exact=True)).to_be_focused()
    press(desk, "Enter")
    at(desk, "Complaint 06")
    press(desk, "u")
    at(desk, "Complaint 05")
    press(desk, "d", "Enter")
    # Snooze for a week.
    at(desk, "Complaint 06")
    press(desk, "z", "ArrowDown", "Enter")
    week = (utc_now() + timedelta(days=7)).strftime("%d %b %Y").removeprefix("0")
    expect(desk.locator(".last")).to_contain_text(f"Complaint 06: Snoozed until {week}")
    # Split leads to the statements, where they are ticked.
    at(desk, "Complaint 07")
    press(desk, "s")
    desk.wait_for_url(f"{site}/complaints/{queue[6].complaint_id}#statements")
    press(desk, "g", "r")
    at(desk, "Complaint 07")
    # Tick this one and the two after it, and decide about the three at one go.
    press(desk, "x", "j")
    at(desk, "Complaint 08")
    press(desk, "x", "j")
    at(desk, "Complaint 09")
    press(desk, "x")
    expect(desk.locator("#ticked")).to_have_text("3 ticked.")
    press(desk, "b")
    expect(desk.get_by_role("button", name="Assign them")).to_be_visible()
    check_here(desk)
    press(desk, "Tab", "Tab")
    expect(desk.locator("#all-team")).to_be_focused()
    press(desk, "P", "Tab", "Tab", "Enter")
    expect(desk.locator(".last")).to_contain_text("3 complaints: Assigned to Payments.")
    at(desk, "Complaint 10")
    expect(desk.locator("#ticked")).not_to_contain_text("ticked.")
    # The rest as suggested.
    for number in range(10, 21):
        at(desk, f"Complaint {number:02}")
        press(desk, "a", "Enter")
    expect(desk.get_by_text("Everything new has been decided on.")).to_be_visible()
    check(browser, desk)
    assert numbers(sessions) == {"triaged": 16, "merged": 2, "dismissed": 1, "snoozed": 1}
    press(desk, "?")
    expect(desk.get_by_role("dialog")).to_contain_text("Assign: choose the team, then Enter")


def check_here(page: Page) -> None:
    """No finding of axe on the page as it stands: what is open or wrong on it is lost when it is loaded anew."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_single_keys_can_be_switched_off(desk: Page, site: str, queue: list[ActionItem], cast: Cast) -> None:
    sign_in(desk, site, cast)
    expect(desk.locator(".key").first).to_be_visible()
    press(desk, "?")
    desk.get_by_label("Use single keys in this browser").uncheck()
    desk.keyboard.press("Escape")
    expect(desk.locator(".key").first).to_be_hidden()
    desk.keyboard.press("j")
    at(desk, "Complaint 01")


def test_triage_works_by_plain_forms_without_javascript_on_a_phone(
    browser: Browser, phone: object, site: str, queue: list[ActionItem], cast: Cast, sessions: Sessions
) -> None:
    page: Page = phone.new_page()  # type: ignore[attr-defined]
    sign_in(page, site, cast)
    check(browser, page)
    expect(page.locator(".key").first).to_be_hidden()
    page.get_by_role("button", name="Assign", exact=True).click()
    at(page, "Complaint 02")
    page.get_by_role("button", name="Undo").click()
    at(page, "Complaint 01")
    page.get_by_label("Snooze for").first.select_option("month")
    page.get_by_role("button", name="Snooze", exact=True).click()
    at(page, "Complaint 02")
    page.get_by_role("link", name="Next").click()
    at(page, "Complaint 03")
    page.get_by_label("Another complaint").fill("the late ones")
    page.get_by_role("button", name="Merge into it").click()
    expect(page.locator("#other-error")).to_contain_text("Enter the number of the complaint")
    expect(page.get_by_label("Another complaint")).to_have_value("the late ones")
    page.get_by_role("button", name=f"Merge into C-{queue[1].complaint_id}").click()
    at(page, "Complaint 04")
    page.get_by_role("button", name="Dismiss", exact=True).click()
    at(page, "Complaint 05")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("People, at least").fill("15")
    page.get_by_role("button", name="Show").click()
    check(browser, page)
    page.get_by_text("For the ticked ones").click()
    page.get_by_label(re.compile("^All .* of this view instead")).check()
    page.get_by_role("button", name="Assign them").click()
    expect(page.locator("main")).to_contain_text("None of those that wait fits these filters.")
    page.get_by_role("link", name="Snoozed 1").click()
    at(page, "Complaint 01")
    page.get_by_role("button", name="Take it back now").click()
    page.goto(f"{site}/triage")
    at(page, "Complaint 01")
    found = numbers(sessions)
    assert (found["merged"], found["dismissed"], found["snoozed"], found["triaged"]) == (1, 1, 0, 5)


def test_homes_of_a_lead_and_an_owner_pass_axe(
    browser: Browser, desk: Page, phone: object, site: str, queue: list[ActionItem], make: Make, cast: Cast
) -> None:
    mine = make.raised_item(2, cast.delivery, "Parcel left in the rain")
    mine.status, mine.owner, mine.due_at = Status.IN_PROGRESS, cast.omar, utc_now() - timedelta(days=1)
    make.session.commit()
    sign_in(desk, site, cast)
    desk.goto(site)
    check(browser, desk)
    desk.get_by_role("link", name="Triage them (new)").click()
    at(desk, "Complaint 01")
    page: Page = phone.new_page()  # type: ignore[attr-defined]
    page.goto(site)
    page.get_by_label("Email").fill(cast.omar.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    check(browser, page)
    page.get_by_role("link", name="Close and tell Parcel left in the rain").click()
    expect(page.get_by_label("Root cause")).to_be_visible()
