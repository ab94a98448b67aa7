"""The widget on a page of the company, which a strict policy guards and which lies on another origin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from feedback_loop.db import Sessions, reading
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import allow_embedding
from tests.browser.conftest import check
from tests.factories import Make

# Pages do not differ between databases; one is enough here.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


class Company:
    """A site that is not ours. `page` says what stands on its one page."""

    def __init__(self) -> None:
        self.body = ""
        self.policy = ""
        self.server = make_server("127.0.0.1", 0, self.answer, threaded=True)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, environ: Any, start: Any) -> Any:
        if Request(environ).path == "/company.js":
            response = Response(
                """window.heard = [];
                addEventListener("DOMContentLoaded", () => {
                  FeedbackLoop.on("answered", (event) => { heard.push(event.survey); });
                  FeedbackLoop.on("answered", () => { throw new Error("a mistake of the company"); });
                  const button = document.getElementById("ask");
                  if (button) button.addEventListener("click", () => FeedbackLoop.open("order-delivered",
                    { context: { order: "7" }, score: "4", label: "Your order" }));
                });
                document.addEventListener("securitypolicyviolation", (event) => heard.push(event.violatedDirective));
                """,
                mimetype="text/javascript",
            )
        else:
            response = Response(
                "<!doctype html><html lang=en><meta name=viewport content='width=device-width'><title>Help</title>"
                f"<script src=/company.js></script><main><h1>Help</h1><p>How to wax a tent.</p>{self.body}"
                "<p><a href='#more' id=more>More help</a></p></main></html>",
                mimetype="text/html",
            )
        response.headers["Content-Security-Policy"] = self.policy
        return response(environ, start)


@pytest.fixture
def company(site: str, make: Make) -> Iterator[Company]:
    """A company on another port, which the survey allows. Its policy allows itself and us, and nothing inline."""
    company = Company()
    company.policy = f"default-src 'self' {site}"
    survey = make.survey("order-delivered", ScaleName.CSAT, question="How was the delivery?")
    allow_embedding(make.session, survey, [company.address])
    make.session.commit()
    thread = threading.Thread(target=company.server.serve_forever)
    thread.start()
    yield company
    company.server.shutdown()
    thread.join()
    company.server.server_close()


@pytest.fixture
def console(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what its console complains about."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    yield page, said
    page.wait_for_load_state("networkidle")  # the server would complain about answers that nobody takes
    context.close()


def script(site: str, **data: str) -> str:
    values = " ".join(f'data-{name.replace("_", "-")}="{value}"' for name, value in data.items())
    return f'<script src="{site}/static/widget.js" data-survey="order-delivered" {values} defer></script>'


def answer_inside(page: Page, comment: str) -> None:
    """Answer as a person does: read, choose, write, send."""
    inside = page.frame_locator("iframe")
    inside.get_by_role("radio", name="Dissatisfied", exact=True).check()
    inside.get_by_label("What went wrong?").fill(comment)
    inside.get_by_role("button", name="Send").click()
    expect(inside.get_by_role("heading", name="Thank you.")).to_be_visible()


def recorded(sessions: Sessions) -> list[tuple[int | None, dict[str, str]]]:
    with reading(sessions) as session:
        return [(each.score, each.context) for each in session.scalars(select(Answer))]


def clean(page: Page, said: list[str]) -> bool:
    """Whether the policy of the page had nothing to refuse, and nothing went wrong but the company's own mistake."""
    assert [each for each in page.evaluate("heard") if "-src" in each] == []
    return [each for each in said if "a mistake of the company" not in each] == []


def test_inline_it_asks_where_it_stands_as_tall_as_it_is(
    console: tuple[Page, list[str]], company: Company, site: str, sessions: Sessions
) -> None:
    page, said = console
    company.body = script(site, mode="inline", context_page="/help/tents", context_order_id="7", score="1")
    page.goto(company.address)
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("heading", name="How was the delivery?")).to_be_visible()
    expect(inside.get_by_role("radio", name="Very dissatisfied")).to_be_checked()
    frame = page.locator("iframe")
    page.wait_for_function(
        "document.querySelector('feedback-loop').shadowRoot.querySelector('iframe').offsetHeight > 300"
    )
    assert inside.locator("html").evaluate("html => html.scrollHeight <= window.innerHeight"), "it scrolls in its frame"
    box, above = frame.bounding_box(), page.get_by_text("How to wax a tent.").bounding_box()
    below = page.get_by_role("link", name="More help").bounding_box()
    assert above is not None
    assert box is not None
    assert below is not None
    assert above["y"] < box["y"] < below["y"]
    answer_inside(page, "It was wet.")
    assert recorded(sessions) == [(2, {"page": "/help/tents", "order-id": "7"})]
    page.wait_for_function("() => heard.length")
    assert page.evaluate("heard") == ["order-delivered"]
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length") == 0
    assert clean(page, said)


def test_inline_it_may_stand_in_a_named_element(console: tuple[Page, list[str]], company: Company, site: str) -> None:
    page, said = console
    company.body = f'{script(site, target="#below")}<p>Between.</p><div id="below"></div>'
    page.goto(company.address)
    expect(page.frame_locator("#below iframe").get_by_role("heading", name="How was the delivery?")).to_be_visible()
    assert clean(page, said)


def test_a_popover_opens_by_itself_and_leaves_the_reader_where_they_are(
    console: tuple[Page, list[str]], company: Company, site: str, sessions: Sessions
) -> None:
    page, said = console
    company.body = script(site, mode="popover", context_page="/help", label="Your order")
    page.goto(company.address)
    dialog = page.get_by_role("dialog", name="Your order")
    expect(dialog).to_be_visible()
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("heading", name="How was the delivery?")).to_be_visible()
    assert page.evaluate("document.activeElement === document.body"), "it takes no focus that nobody gave it"
    answer_inside(page, "It was wet.")
    assert recorded(sessions) == [(2, {"page": "/help"})]
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).not_to_be_visible()
    assert clean(page, said)


@pytest.mark.parametrize("where", ["page", "frame"])
def test_escape_closes_the_popover_and_gives_the_focus_back(
    console: tuple[Page, list[str]], company: Company, site: str, where: str
) -> None:
    page, said = console
    company.body = script(site, mode="popover")
    page.goto(company.address)
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("heading", name="How was the delivery?")).to_be_visible()
    expect(inside.get_by_role("button", name="Send")).not_to_be_visible()  # the scores first
    page.get_by_role("link", name="More help").focus()
    if where == "frame":
        inside.get_by_role("radio", name="Neither").check()
        inside.get_by_label("What did you like").fill("Half a sentence")
        assert page.evaluate("document.activeElement.localName") == "feedback-loop"
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    expect(page.get_by_role("link", name="More help")).to_be_focused()
    assert clean(page, said)


def test_a_tab_opens_the_popover_by_keys_and_what_was_typed_stays(
    console: tuple[Page, list[str]], company: Company, site: str, sessions: Sessions
) -> None:
    page, said = console
    company.body = script(site, mode="tab", context_page="/help") * 2  # twice is no harm
    page.goto(company.address)
    tab = page.get_by_role("button", name="Feedback")
    expect(tab).to_have_count(1)
    expect(page.locator("iframe")).to_have_count(0)
    tab.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Feedback")
    expect(dialog).to_be_focused()
    expect(tab).not_to_be_visible()
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("heading", name="How was the delivery?")).to_be_visible()
    page.keyboard.press("Tab")
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # the first of the scores
    expect(inside.get_by_role("radio", name="Very dissatisfied")).to_be_checked()
    inside.get_by_label("What went wrong?").fill("Half a sentence")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(tab).to_be_focused()
    page.keyboard.press("Enter")
    expect(inside.get_by_label("What went wrong?")).to_have_value("Half a sentence")
    answer_inside(page, "A whole sentence.")
    assert recorded(sessions) == [(2, {"page": "/help"})]
    page.wait_for_function("() => heard.length")
    page.keyboard.press("Escape")
    expect(tab).to_be_focused()
    page.keyboard.press("Enter")  # begins anew, now that it is answered
    expect(inside.get_by_role("heading", name="How was the delivery?")).to_be_visible()
    assert clean(page, said)


def test_the_functions_open_and_close_with_a_context_of_their_own(
    console: tuple[Page, list[str]], company: Company, site: str, sessions: Sessions
) -> None:
    page, said = console
    company.body = f'<button id="ask">Ask me</button><script src="{site}/static/widget.js" defer></script>'
    page.goto(company.address)
    button = page.get_by_role("button", name="Ask me")
    button.click()
    expect(page.get_by_role("dialog", name="Your order")).to_be_focused()
    expect(page.frame_locator("iframe").get_by_role("radio", name="Satisfied", exact=True)).to_be_checked()
    page.evaluate("FeedbackLoop.close()")
    expect(button).to_be_focused()
    page.evaluate("FeedbackLoop.open('order-delivered', { context: { order: '8' } })")
    page.evaluate("FeedbackLoop.open('order-delivered', { context: { order: '9' } })")  # while it is open
    expect(page.locator("iframe")).to_have_count(1)
    answer_inside(page, "Another order.")
    assert recorded(sessions) == [(2, {"order": "9"})]
    before = page.evaluate("(() => { const at = Object.keys(window); return at.filter(k => /feedback/i.test(k)); })()")
    assert before == ["FeedbackLoop"]
    assert page.evaluate("FeedbackLoop.on('no such thing', () => {})") is None  # says so in the console, breaks nothing
    (only,) = [each for each in said if "a mistake" not in each]
    assert only.startswith("FeedbackLoop: Error: there is no event no such thing")


def test_on_a_page_that_is_not_allowed_browsers_refuse_it_and_a_link_takes_its_place(
    browser: Browser, company: Company, site: str, make: Make
) -> None:
    survey = make.survey("help-page")
    allow_embedding(make.session, survey, ["https://www.fernhill.example"])
    make.session.commit()
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    company.body = script(site, context_page="/help").replace("order-delivered", "help-page")
    page.goto(company.address)
    link = page.get_by_role("link", name="Feedback")
    expect(link).to_be_visible(timeout=15_000)
    assert link.get_attribute("href") == f"{site}/s/help-page?c_page=%2Fhelp"
    assert any("frame-ancestors" in each for each in said), said
    expect(page.locator("iframe")).to_have_count(0)
    page.close()


def test_what_was_not_right_shows_whole_although_no_score_is_chosen(
    console: tuple[Page, list[str]], company: Company, site: str
) -> None:
    page, said = console
    company.body = script(site)
    page.goto(company.address)
    inside = page.frame_locator("iframe")
    inside.get_by_role("radio", name="Neither").check()
    inside.get_by_label("Your mail address").fill("maya@")
    inside.get_by_role("radio", name="Neither").evaluate("radio => { radio.checked = false; }")
    inside.locator("form").evaluate("form => form.submit()")
    expect(inside.get_by_role("alert")).to_be_focused()
    expect(inside.get_by_label("Your mail address")).to_have_value("maya@")
    expect(inside.get_by_role("button", name="Send again")).to_be_visible()
    assert [each for each in said if "utofocus" not in each and "400" not in each] == []


def test_a_plain_frame_needs_no_javascript(browser: Browser, company: Company, site: str, sessions: Sessions) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    company.body = f'<iframe src="{site}/s/order-delivered/embed?c_page=/help" title="Feedback" height="640"></iframe>'
    page.goto(company.address)
    answer_inside(page, "It was wet.")
    assert recorded(sessions) == [(2, {"page": "/help"})]
    context.close()


def test_the_page_in_the_frame_has_no_barriers(browser: Browser, site: str, company: Company) -> None:
    for width in (320, 400, 800):
        context = browser.new_context(viewport={"width": width, "height": 600})
        page = context.new_page()
        for path in ("embed", "embed?score=2", "embed/thanks"):
            page.goto(f"{site}/s/order-delivered/{path}")
            check(browser, page)
        context.close()


def test_those_who_want_no_motion_get_none(browser: Browser, company: Company, site: str) -> None:
    for motion, moves in (("reduce", "none"), ("no-preference", "rise")):
        page = browser.new_page(reduced_motion=motion)  # type: ignore[arg-type]
        company.body = script(site, mode="popover")
        page.goto(company.address)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        assert dialog.evaluate("box => getComputedStyle(box).animationName") == moves
        page.wait_for_load_state("networkidle")
        page.close()
