"""Every page of customers against WCAG 2.2 AA: axe in light, dark and Arabic; magnified, in forced colours, without
motion, without pictures, with wider spacing, and by keyboard alone. `docs/accessibility.md` tells readers what this
promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask, abort
from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy import func, select

from feedback_loop.actions.models import Closure, Outcome
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, reading
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import token_of
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, SurveyState
from feedback_loop.surveys.service import allow_embedding
from tests.factories import Cast, Make

# Pages do not differ between databases; one is enough here.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LONG = "Wie einfach war die Rücksendebestätigungsnummernsuche auf unserer Kundendienstübersichtsseite für Sie?"
ZOOMED = {"width": 320, "height": 256}  # 1280 x 1024 at 400 %

# Text that is cut: an element that hides what sticks out of it, and something does.
CUT = """() => [...document.querySelectorAll("main *, header *")].filter((each) => {
  const style = getComputedStyle(each);
  if (each.closest(".unseen, .trap, textarea, svg") || style.display === "inline") return false;
  if (style.clipPath === "inset(50%)") return false;  // for screen readers only
  const hides = style.overflowX !== "visible" || style.overflowY !== "visible";
  return hides && (each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1);
}).map((each) => each.outerHTML.slice(0, 80))"""
# What sticks out of the window, and what lies on something it does not belong to.
OUTSIDE = """() => [...document.querySelectorAll("main *, header *")].filter((each) => {
  if (each.closest(".unseen, .trap, .skip, details:not([open]) > ul")) return false;
  const box = each.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
}).map((each) => each.outerHTML.slice(0, 80))"""
OVERLAPS = """() => {
  const blocks = [...document.querySelectorAll(
    "main h1, main h2, main p, main li, main .face, main textarea, main input[type=email], main button, main a.button"
  )].filter((each) => each.getClientRects().length && !each.closest(".unseen, .trap"));
  const found = [];
  for (const [index, one] of blocks.entries()) for (const other of blocks.slice(index + 1)) {
    if (one.contains(other) || other.contains(one)) continue;
    const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
      found.push([one.outerHTML.slice(0, 60), other.outerHTML.slice(0, 60)]);
  }
  return found;
}"""
SMALL = """(least) => [...document.querySelectorAll(
  "a, button, summary, textarea, input:not([type=hidden])"
)].filter((each) => {
  if (each.closest(".trap, .skip") || !each.getClientRects().length) return false;
  if (getComputedStyle(each).display === "inline" && each.closest("p, li")) return false;  // links within sentences
  const box = each.getBoundingClientRect();
  return box.width < least || box.height < least;
}).map((each) => [each.outerHTML.slice(0, 80), each.getBoundingClientRect().height])"""
MOVING = """() => [...document.querySelectorAll("*")].filter((each) => {
  const style = getComputedStyle(each);
  const times = [style.transitionDuration, style.animationDuration].join().split(",");
  return times.some((one) => parseFloat(one) > 0) || style.scrollBehavior === "smooth";
}).map((each) => each.outerHTML.slice(0, 80))"""
# WCAG 1.4.12: readers set their own spacing, and nothing may get lost.
SPACING = """() => {
  const wide = new CSSStyleSheet();
  wide.replaceSync("* {line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important}"
    + "p {margin-bottom: 2em !important}");
  document.adoptedStyleSheets = [wide];
}"""
# How an element looks where focus or choice are marked, without colours.
LOOK = """(each) => {
  const style = getComputedStyle(each);
  return [style.outlineStyle, style.outlineWidth, style.borderTopStyle, style.borderTopWidth,
    getComputedStyle(each, "::before").content].join(" ");
}"""
FOCUSED = """() => {
  const each = document.activeElement;
  const shown = each.matches(".choice input") ? each.nextElementSibling : each;
  const style = getComputedStyle(shown), box = shown.getBoundingClientRect();
  const within = (at, size) => Math.min(Math.max(at, 0), size - 1);
  const top = document.elementFromPoint(
    within(box.left + box.width / 2, innerWidth), within(box.top + box.height / 2, innerHeight));
  return {
    what: each.id || each.className || each.tagName,
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.bottom > 0 && box.top < innerHeight
      && (each.contains(top) || shown.contains(top) || top?.contains(shown)),
  };
}"""


@pytest.fixture
def pages(app: Flask, make: Make, cast: Cast, settings: Settings, site: str) -> dict[str, str]:
    """The address of every kind of page that customers meet."""

    def broken(code: int) -> None:
        abort(code)

    broken.access = "public"  # type: ignore[attr-defined]
    app.add_url_rule("/broken/<int:code>", view_func=broken)
    session = make.session
    found = {f"error {code}": f"/broken/{code}" for code in (400, 410, 413, 429, 500, 503)}
    for scale in ScaleName:
        found[scale.value] = f"/s/{make.survey(scale.value, scale).slug}"
    long = make.survey("long", ScaleName.CSAT, question=LONG)
    allow_embedding(session, long, ["https://shop.example"])
    make.survey("closed").state = SurveyState.CLOSED
    _, token = make.invitation(make.survey("invited", ScaleName.NPS))
    answered, again = make.invitation(make.survey("answered", ScaleName.STARS))
    make.answer("The box was soaked.", answered.survey, answered.customer, 2, invitation_id=answered.id)
    expired, late = make.invitation(make.survey("ran-out"))
    expired.expires_at = utc_now() - timedelta(days=1)
    fixed = make.closure(make.raised_item(1, name="Parcel lost"), cast.omar)
    make.closure(make.raised_item(1, name="Box soaked"), cast.omar, Outcome.DECLINED)
    withdrawn = make.closure(make.raised_item(1, name="Zip broke"), cast.omar)
    told = list(session.scalars(select(Notification).order_by(Notification.id)))
    mails = [token_of(make.sent(each), settings) for each in told]
    session.get_one(Closure, withdrawn.id).withdrawn_at = fixed.closed_at
    done = make.notification("closure:99", make.customer("Ivo"))
    suppress(session, done.address, "Unsubscribed by a link in a mail.", utc_now())
    session.commit()
    return found | {
        "long": "/s/long",
        "chosen": "/s/csat?score=2",
        "embedded": "/s/long/embed",
        "embedded thanks": "/s/long/embed/thanks",
        "thanks": "/s/csat/thanks",
        "closed": "/s/closed",
        "unknown survey": "/s/nothing",
        "invitation": f"/i/{token}",
        "change": f"/i/{again}",
        "invitation thanks": f"/i/{again}/thanks",
        "expired": f"/i/{late}",
        "unknown invitation": "/i/nothing",
        "trap": f"/i/{token}/contents",
        "fixed?": f"/f/{mails[0]}",
        "declined": f"/f/{mails[1]}?answer=no",
        "withdrawn": f"/f/{mails[2]}",
        "unknown follow-up": "/f/nothing",
        "unsubscribe": f"/u/{mails[0]}",
        "unsubscribed": f"/u/{token_of(done, settings)}",
        "unknown unsubscribe": "/u/nothing",
        "nothing here": "/nothing",
        "wrong method": "/s/csat/signs",
    }


@pytest.fixture
def plain(browser: Browser) -> Iterator[BrowserContext]:
    """Without motion: colours on their way from one to another are nobody's."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    yield context
    context.close()


def in_arabic(path: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}lang=ar"


def with_errors(page: Page, site: str) -> None:
    """The page of a form that came back."""
    page.goto(f"{site}/s/csat")
    page.locator("#email").fill("not an address")
    page.locator("#send").click()
    page.locator(".summary").wait_for()


def findings(page: Page, name: str) -> list[tuple[str, ...]]:
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response["violations"]
    return [(name, each["id"], each["nodes"][0]["html"]) for each in found]


def test_axe_finds_nothing_in_light_dark_and_arabic(plain: BrowserContext, site: str, pages: dict[str, str]) -> None:
    page = plain.new_page()
    found = []
    for name, path in pages.items():
        page.goto(site + path)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found += findings(page, f"{name} in {scheme}")
        page.goto(site + in_arabic(path))
        found += findings(page, f"{name} in Arabic")
    with_errors(page, site)
    found += findings(page, "with errors")
    page.goto(f"{site}/s/csat")
    page.locator("summary").click()
    found += findings(page, "choice of a language")
    assert found == [], "\n".join(map(str, found))


def test_nothing_is_lost_at_400_percent_or_with_wider_spacing(
    browser: Browser, site: str, pages: dict[str, str]
) -> None:
    context = browser.new_context(viewport=ZOOMED, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    found: list[object] = []

    def look(name: str) -> None:
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > ZOOMED["width"]:
            found.append((name, "scrolls sideways", width))
        for what, script in (("cut", CUT), ("outside", OUTSIDE), ("overlaps", OVERLAPS)):
            found.extend((name, what, each) for each in page.evaluate(script))

    for name, path in pages.items():
        for language in ("", "de", "ar"):
            page.goto(f"{site}{path}{'&' if '?' in path else '?'}lang={language}")
            look(f"{name} {language}")
            page.evaluate(SPACING)
            look(f"{name} {language} with wider spacing")
    with_errors(page, site)
    look("with errors")
    context.close()
    assert found == [], "\n".join(map(str, found))


def test_targets_are_large_and_nothing_moves(plain: BrowserContext, site: str, pages: dict[str, str]) -> None:
    page = plain.new_page()
    found: list[object] = []
    for name, path in pages.items():
        page.goto(site + path)
        if page.locator("details").count():
            page.locator("summary").click()
        least = 24 if name == "nps" else 44  # eleven numbers in a row; still larger than WCAG asks for
        found += [(name, "small", each) for each in page.evaluate(SMALL, least)]
        found += [(name, "moves", each) for each in page.evaluate(MOVING)]
    assert found == [], "\n".join(map(str, found))


def test_choice_focus_and_errors_tell_apart_in_forced_colours(
    browser: Browser, site: str, pages: dict[str, str]
) -> None:
    context = browser.new_context(forced_colors="active", reduced_motion="reduce")
    page = context.new_page()
    for scale in ("helpful", "csat", "ces", "nps", "stars", "smileys"):
        page.goto(site + pages[scale])
        faces = page.locator(".choice .face")
        looks = [faces.nth(0).evaluate(LOOK)]
        page.locator(".choice input").first.focus()
        page.keyboard.press("Space")
        looks.append(faces.nth(0).evaluate(LOOK))
        page.locator("#comment").focus()
        looks.append(faces.nth(0).evaluate(LOOK))
        assert looks[0] != looks[1], f"{scale}: focus does not show"
        assert looks[0] != looks[2], f"{scale}: the choice does not show"
        assert looks[1] != looks[2], f"{scale}: focus on the choice does not show"
    with_errors(page, site)
    assert page.locator("#email[aria-invalid=true]").evaluate(LOOK) != page.locator("#comment").evaluate(LOOK)
    assert page.locator(".error").first.evaluate(LOOK).endswith('"! "')
    context.close()


def tab_through(page: Page, until: str) -> list[str]:
    """Press Tab until the focus is where it should get; each stop shows, and nothing lies over it."""
    met = []
    for _ in range(30):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        assert at["ring"], f"the focus does not show on {at['what']}"
        assert at["seen"], f"the focus is hidden at {at['what']}"
        met.append(at["what"])
        if at["what"] == until:
            return met
    raise AssertionError(f"Tab does not lead to {until}: {met}")


@pytest.mark.parametrize("scale", [*ScaleName])
def test_the_whole_journey_by_keyboard_without_scripts_and_pictures(
    browser: Browser, site: str, make: Make, sessions: Sessions, scale: ScaleName
) -> None:
    make.survey("order", scale)
    make.session.commit()
    context = browser.new_context(viewport={"width": 640, "height": 512}, java_script_enabled=False)
    context.route("**/*", lambda route: route.abort() if route.request.resource_type == "image" else route.continue_())
    page = context.new_page()
    page.goto(f"{site}/s/order")
    first = tab_through(page, "comment")
    assert first[0] == "skip"
    if scale != ScaleName.TEXT:
        assert "score" in first, "the scores come before the words"
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        assert page.locator("[name=score]:checked").count() == 1
        page.keyboard.press("Tab")
    page.keyboard.type("The parcel never came.")
    page.keyboard.press("Tab")
    page.keyboard.type("maya at example")
    tab_through(page, "send")
    page.keyboard.press("Enter")
    page.wait_for_selector(".summary")
    # Chromium moves the focus while it draws the page, a moment after the page is there.
    page.wait_for_function("document.activeElement.className === 'summary'")  # the errors are read first
    tab_through(page, "A")
    page.keyboard.press("Enter")  # the message leads to the field
    page.locator("#email:focus, #email:target").wait_for()
    page.locator("#email").fill("maya@example.com")
    tab_through(page, "send")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/thanks"))
    context.close()
    with reading(sessions) as session:
        assert session.scalar(select(func.count()).select_from(Answer)) == 1
