"""The journeys of a customer and an owner in a real browser, with axe looking at each page."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.actions.models import ActionItem, Status
from feedback_loop.analysis.embedding.toy import ToyEmbedder
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, ComplaintState, Refine, RefineState, Statement, Vector
from feedback_loop.complaints.vectors import hash_text, pack
from feedback_loop.db import Sessions, reading
from feedback_loop.demo.walk import find_mail
from feedback_loop.pipeline import Context
from feedback_loop.responses import confirming
from feedback_loop.responses.models import Answer, Customer, Sign, UnconfirmedAnswer, UnconfirmedState
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.responses.service import record_answer
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName
from tests.browser.conftest import check
from tests.factories import PASSWORD, Cast, Make

# Pages do not differ between databases; one is enough here.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, mail_transport="mailbox")


def test_a_customer_answers_on_a_phone_without_javascript(
    browser: Browser, phone: BrowserContext, site: str, make: Make, sessions: Sessions
) -> None:
    make.survey("order-delivered", ScaleName.CSAT)
    make.session.commit()
    page = phone.new_page()
    page.goto(f"{site}/s/order-delivered")
    check(browser, page)
    page.get_by_role("radio", name="Dissatisfied", exact=True).check()
    page.get_by_label("What went wrong?").fill("Soaked box, call me on +44 20 7946 0123.")
    page.get_by_label("Your mail address").fill("not an address")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("main")).to_contain_text("address")
    expect(page.get_by_label("What went wrong?")).to_have_value("Soaked box, call me on +44 20 7946 0123.")
    page.get_by_label("Your mail address").fill("maya@example.com")
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile("/thanks"))
    check(browser, page)
    assert phone.cookies() == []
    with reading(sessions) as session:
        answer = session.scalars(select(Answer)).one()
        assert answer.score == 2
        assert session.scalars(select(Customer.email)).one() == "maya@example.com"


def test_a_customer_chooses_arabic_and_all_runs_from_right_to_left(
    browser: Browser, site: str, make: Make, sessions: Sessions
) -> None:
    make.survey("order-delivered", ScaleName.NPS)
    make.session.commit()
    context = browser.new_context(viewport={"width": 320, "height": 640}, java_script_enabled=False, locale="de-AT")
    page = context.new_page()
    page.goto(f"{site}/s/order-delivered?score=3")
    expect(page.locator("h1")).to_have_text("Wie wahrscheinlich ist es, dass Sie uns Freunden oder Kollegen empfehlen?")
    page.get_by_text("Sprache: Deutsch").click()
    check(browser, page)
    page.get_by_role("link", name="العربية").click()
    expect(page.get_by_role("radio", name="3", exact=True)).to_be_checked()
    zero, one = (page.get_by_role("radio", name=re.compile(f"^{score}\\b")).first.bounding_box() for score in (0, 1))
    assert zero
    assert one
    assert zero["x"] > one["x"], "the lowest score stands where reading begins"
    check(browser, page)
    page.get_by_role("button", name="إرسال").click()
    page.wait_for_url(re.compile("/thanks.*lang=ar"))
    expect(page.locator("h1")).to_have_text("شكرًا لك.")
    check(browser, page)
    context.close()


def test_an_anonymous_answer_and_its_receipt_on_a_phone_without_javascript(
    browser: Browser, phone: BrowserContext, site: str, make: Make, session: Session
) -> None:
    make.survey("quiet", ScaleName.CSAT, is_anonymous=True)
    session.commit()
    page = phone.new_page()
    page.goto(f"{site}/s/quiet")
    check(browser, page)
    expect(page.get_by_label("Your mail address")).to_have_count(0)
    page.get_by_role("radio", name="Dissatisfied", exact=True).check()
    page.get_by_role("button", name="Send").click()
    link = page.get_by_label("Link to your answer").input_value()
    expect(page.get_by_role("button", name="Copy the link")).to_be_hidden()
    page.goto(site + link.removeprefix("http://localhost"))
    check(browser, page)
    page.get_by_label("Your mail address").fill("maya@example.com")
    page.get_by_role("button", name="Leave this address").click()
    expect(page.locator("main")).to_contain_text("An address was left for this answer.")
    page.get_by_role("link", name="Erase my answer").click()
    check(browser, page)
    page.get_by_role("button", name="Erase it for good").click()
    expect(page.locator("h1")).to_have_text("Your answer is erased")
    page.goto(site + link.removeprefix("http://localhost"))
    check(browser, page)
    assert phone.cookies() == []


def sign_in(page: Page, site: str, email: str) -> None:
    page.goto(f"{site}/sign-in")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_an_owner_closes_and_a_customer_reopens(
    browser: Browser, desk: Page, phone: BrowserContext, site: str, make: Make, cast: Cast,
    sessions: Sessions, settings: Settings,
) -> None:  # fmt: skip
    item = make.raised_item(2, cast.delivery, "Parcel left in the rain")
    maya = make.customer("Maya Lind", "maya@example.com")
    make.statement(item.complaint, "My parcel stood in the rain.", customer=maya)
    make.session.commit()
    desk.goto(site)
    desk.get_by_label("Email").fill(cast.omar.email)
    desk.get_by_label("Password").fill(PASSWORD)
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("heading", name="What needs you today?")).to_be_visible()
    check(browser, desk)
    for path in (
        "/complaints",
        f"/complaints/{item.complaint_id}",
        f"/complaints/{item.complaint_id}/trends",
        "/complaints/pool",
        "/complaints/search",
        "/actions",
        "/surveys",
    ):
        desk.goto(site + path)
        check(browser, desk)
    desk.goto(f"{site}/actions/{item.id}")
    desk.get_by_role("button", name="Take it on").click()
    desk.get_by_role("link", name=re.compile("Close and tell 3 people")).click()
    check(browser, desk)
    desk.get_by_label(re.compile("^Fixed")).check()
    desk.get_by_label("Root cause").fill("Drivers had no cover.")
    desk.get_by_label("What was done").fill("Bought rain covers.")
    desk.get_by_label("Statement to customers").press_sequentially("Every driver has a rain cover now.")
    expect(desk.locator("pre.mail")).to_contain_text("Every driver has a rain cover now.")
    desk.get_by_role("button", name="Close, then review who is told").click()
    desk.get_by_role("button", name="Tell 3 people").click()
    expect(desk.locator("main")).to_contain_text("3 people")
    check(browser, desk)

    assert pipeline.send_mail(Context(settings, sessions)) == 3
    mail = find_mail(settings.mailbox_folder, "maya@example.com")
    assert "My parcel stood in the rain." in mail
    link = re.search(r"http://localhost(/f/\S+\?answer=no)", mail)
    assert link
    page = phone.new_page()
    page.goto(site + link.group(1))
    check(browser, page)
    with reading(sessions) as session:
        assert session.get_one(ActionItem, item.id).status == Status.CLOSED, "opening the page records nothing"
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile("/thanks"))
    check(browser, page)
    desk.goto(f"{site}/actions/{item.id}")
    expect(desk.locator("main")).to_contain_text("Reopened")
    expect(desk.locator("main")).to_contain_text("Not fixed: 0 of 1 who answered said it is fixed (3 were asked).")


def test_an_original_is_read_for_a_reason_and_the_log_says_so(
    browser: Browser, desk: Page, phone: BrowserContext, site: str, make: Make, cast: Cast,
    sessions: Sessions, settings: Settings,
) -> None:  # fmt: skip
    now = utc_now()
    record_answer(
        make.session, make.survey("order"), score=0, comment="Call me on +44 20 7946 0123.",
        customer=make.customer("Maya Lind"), invitation=None, context={}, external_id=None,
        answered_at=now, now=now, settings=settings,
    )  # fmt: skip
    make.session.commit()
    redact_pending(sessions, settings, now)
    small = phone.new_page()
    for page in (desk, small):
        page.goto(f"{site}/settings/people")
        page.get_by_label("Email").fill(cast.ada.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{site}/settings/people")
    small.get_by_role("button", name="Allow Ada to read originals").click()
    expect(small.get_by_text("Ada may read original texts now.")).to_be_visible()
    for page in (desk, small):
        page.goto(f"{site}/settings/people")
        check(browser, page)
        page.goto(f"{site}/surveys/order")
        check(browser, page)
        page.get_by_role("link", name="Original of this answer").click()
        check(browser, page)
        page.get_by_label("Why do you need to read it?").fill("She asks to be called back.")
        page.get_by_role("button", name="Show the original").click()
        expect(page.get_by_text("Call me on +44 20 7946 0123.")).to_be_visible()
        page.goto(f"{site}/settings/raw-readings")
        expect(page.get_by_text("She asks to be called back.").first).to_be_visible()
        check(browser, page)


def test_the_single_keys_lead_through_the_site(desk: Page, site: str, make: Make, cast: Cast) -> None:
    desk.goto(f"{site}/sign-in")
    desk.get_by_label("Email").fill(cast.vera.email)
    desk.get_by_label("Password").fill(PASSWORD)
    desk.keyboard.press("Enter")
    desk.wait_for_url(f"{site}/")
    desk.keyboard.press("g")
    desk.keyboard.press("c")
    desk.wait_for_url(f"{site}/complaints")
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(desk.get_by_role("dialog")).not_to_be_visible()


def test_a_search_waits_for_the_worker_and_its_result_appears_by_itself(
    browser: Browser, desk: Page, phone: BrowserContext, site: str, make: Make, cast: Cast,
    sessions: Sessions, settings: Settings,
) -> None:  # fmt: skip
    complaint = make.complaint("Zip broke")
    said = make.statement(complaint, "The zip of my rucksack broke", survey=make.survey("order-delivered"))
    make.session.execute(
        update(Vector)
        .where(Vector.id == said.vector_id)
        .values(text_hash=hash_text(said.text), data=pack(ToyEmbedder().encode([said.text])[0]))
    )
    make.session.commit()
    worker = Context(settings, sessions)
    plain = phone.new_page()
    for page in (desk, plain):
        page.goto(f"{site}/complaints/search")
        page.get_by_label("Email").fill(cast.vera.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Search what people said").fill("broken zip" if page is plain else "zip broke")
        page.keyboard.press("Enter")
        expect(page.locator("#found")).to_contain_text("Still looking")
        check(browser, page)
        assert pipeline.search(worker) == 1
        expect(page.locator("#found")).to_contain_text("The zip of my rucksack broke", timeout=10_000)
        expect(page.locator("#found")).to_contain_text("Find others like this")
        check(browser, page)
    desk.get_by_role("button", name="Find others like this").click()
    expect(desk.get_by_role("heading", name="Others like this")).to_be_visible()
    assert pipeline.search(worker) == 1
    expect(desk.locator("#found")).to_contain_text("Nothing that was said comes near to this.")
    check(browser, desk)


def test_a_lead_splits_statements_off_and_undoes_it(
    browser: Browser, desk: Page, site: str, make: Make, cast: Cast, sessions: Sessions, now: datetime
) -> None:
    late = make.complaint("Parcel late", map_x=0.2, map_y=0.3, cohesion=0.7, neighbours=[])
    lost = make.complaint("Parcel lost", map_x=0.25, map_y=0.3)
    late.neighbours = [[lost.id, 0.6]]
    for text in ("No tracking mail came", "Where is the tracking mail?", "A week late", "Ten days late"):
        make.statement(late, text)
    make.statement(lost, "Never came")
    for number in range(3):
        make.statement(None, f"Something odd {number}")
    run = Refine(
        state=RefineState.DONE, started_at=now, finished_at=now, model="toy", seed=1, seconds={"graph": 0.4},
        versions={}, statements=8, complaints=2, new_complaints=1, moved=3, coverage=0.9, kept=0.95,
        changes={"new": [late.id], "merged": [], "renamed": [[lost.id, "Lost", "Parcel lost"]],
                 "moved": [[late.id, lost.id, 3]]},
    )  # fmt: skip
    make.session.add(run)
    make.session.commit()
    sign_in(desk, site, cast.lena.email)
    for path in ("map", "refines", f"refines/{run.id}", "corrections", "draft", "pool"):
        desk.goto(f"{site}/complaints/{path}")
        check(browser, desk)
    desk.get_by_role("button", name="Tick all").click()
    expect(desk.locator("#ticked")).to_have_text("3 ticked.")
    desk.goto(f"{site}/complaints/map")
    desk.get_by_role("link", name=f"{late.number} Parcel late, 4 statements").first.focus()
    desk.keyboard.press("Enter")
    desk.wait_for_url(f"{site}/complaints/{late.id}")
    check(browser, desk)
    for text in ("No tracking mail came", "Where is the tracking mail?"):
        desk.get_by_role("checkbox", name=text).focus()
        desk.keyboard.press("Space")
    expect(desk.locator("#ticked")).to_have_text("2 ticked.")
    desk.get_by_role("button", name="Correct the ticked ones").click()
    check(browser, desk)
    expect(desk.get_by_label("Name of the new complaint")).not_to_be_visible()
    desk.get_by_label("Split off").check()
    desk.get_by_label("Name of the new complaint").fill("No tracking mail")
    desk.get_by_role("button", name="Show what would change").click()
    expect(desk.locator(".sizes")).to_have_text(
        f"{late.number} shrinks from 4 to 2 statements. The new complaint begins with 2 statements."
    )
    check(browser, desk)
    desk.get_by_label("Why?").fill("Two problems.")
    desk.get_by_role("button", name="Apply 1 correction").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("No tracking mail")
    check(browser, desk)
    desk.get_by_role("status").get_by_role("link", name="Undo").click()
    check(browser, desk)
    desk.get_by_label("Why undo it?").fill("One after all.")
    desk.get_by_role("button", name="Undo").click()
    expect(desk.get_by_role("status")).to_contain_text("2 statements went back.")
    check(browser, desk)
    with reading(sessions) as session:
        assert set(session.scalars(select(Statement.complaint_id))) == {late.id, lost.id, None}


def test_a_lead_merges_on_a_phone_without_javascript(
    browser: Browser, phone: BrowserContext, site: str, make: Make, cast: Cast, sessions: Sessions
) -> None:
    late, lost = make.complaint("Parcel late"), make.complaint("Parcel lost")
    for complaint in (late, late, lost):
        make.statement(complaint)
    item = make.item(late, cast.delivery)
    make.session.commit()
    page = phone.new_page()
    sign_in(page, site, cast.lena.email)
    page.goto(f"{site}/complaints/{late.id}")
    expect(page.get_by_role("button", name="Tick all")).not_to_be_visible()
    page.get_by_text("Correct this complaint").click()
    page.get_by_label("Another complaint").fill("nothing")
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose the other complaint.")
    if not page.get_by_label("Another complaint").is_visible():
        page.get_by_text("Correct this complaint").click()
    page.get_by_label("Another complaint").fill(lost.number)
    page.get_by_role("button", name="Merge").click()
    expect(page.locator(".sizes")).to_have_text(f"{lost.number} grows from 1 to 3 statements.")
    check(browser, page)
    page.get_by_role("button", name="Apply 1 correction").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Parcel lost")
    check(browser, page)
    page.goto(f"{site}/complaints/{late.id}")
    expect(page.locator("main")).to_contain_text(f"{late.number} Parcel late was merged into this complaint.")
    check(browser, page)
    for path in (f"/actions/{item.id}", "/complaints", "/complaints/corrections", "/complaints/map"):
        page.goto(site + path)
        check(browser, page)
    with reading(sessions) as session:
        assert session.get_one(Complaint, late.id).state == ComplaintState.MERGED


def test_a_click_in_a_mail_and_one_movement_count_an_open_page_does_not(
    browser: Browser, desk: Page, site: str, make: Make, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirming, "GESTURE_AFTER", timedelta(seconds=1))

    def found() -> tuple[list[tuple[int | None, Sign]], list[UnconfirmedState]]:
        with reading(sessions) as session:
            counted = [(row.score, row.sign) for row in session.execute(select(Answer.score, Answer.sign))]
            return counted, list(session.scalars(select(UnconfirmedAnswer.state)))

    _, token = make.invitation(make.survey("order-delivered", ScaleName.CSAT))
    make.session.commit()
    desk.goto(f"{site}/i/{token}?score=2")
    desk.wait_for_timeout(2_500)
    assert found() == ([], [UnconfirmedState.PROVISIONAL])
    check(browser, desk)
    desk.mouse.move(300, 300)
    desk.mouse.move(320, 310)
    expect(desk.get_by_role("status")).to_have_text(re.compile("Your choice counts"))
    assert found() == ([(2, Sign.GESTURE)], [UnconfirmedState.OVERTAKEN])
    desk.get_by_label("What went wrong?").fill("The lid was cracked.")
    desk.get_by_role("button", name="Send").click()
    expect(desk.get_by_role("heading", name="Thank you")).to_be_visible()
    assert found()[0] == [(2, Sign.SENT)]
