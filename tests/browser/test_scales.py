"""Each scale on the smallest phone, by keyboard, from right to left, and where the system chooses the colours."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.scales import SCALES
from tests.browser.conftest import check
from tests.factories import Make

# Pages do not differ between databases; one is enough here.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

SCORED = [name for name, scale in SCALES.items() if scale.choices]
SMALL_TARGETS = """[...document.querySelectorAll(".choice, .chip, button")]
  .map((each) => each.getBoundingClientRect())
  .filter((box) => box.width && (box.width < 44 || box.height < 44)).length"""


def chosen(page: Page) -> str | None:
    found = page.evaluate("document.querySelector('[name=score]:checked')?.value")
    return None if found is None else str(found)


@pytest.mark.parametrize("scale", ScaleName)
def test_a_scale_fits_the_smallest_phone(browser: Browser, site: str, make: Make, scale: ScaleName) -> None:
    make.survey("any", scale, tags=["Delivery", "Price", "A rather long tag that somebody wrote"])
    make.session.commit()
    context = browser.new_context(viewport={"width": 320, "height": 640}, java_script_enabled=False)
    page = context.new_page()
    for path in ("/s/any", "/s/any/embed"):
        for choice in (None, *SCALES[scale].choices[:1], *SCALES[scale].choices[-1:]):
            page.goto(f"{site}{path}" + (f"?score={choice.written}" if choice else ""))
            check(browser, page)
            assert page.evaluate(SMALL_TARGETS) == 0
    context.close()


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("scale", SCORED)
def test_arrows_choose_in_reading_order_and_digits_choose_nothing(
    browser: Browser, site: str, make: Make, scale: ScaleName, language: str
) -> None:
    make.survey("any", scale, tags=["Delivery", "Price"])
    make.session.commit()
    context = browser.new_context(viewport={"width": 390, "height": 740})
    page = context.new_page()
    page.goto(f"{site}/s/any?lang={language}")
    order = [choice.written for choice in SCALES[scale].shown]
    page.locator("[name=score]").first.focus()
    page.keyboard.press("2")
    assert chosen(page) is None
    page.keyboard.press("Space")
    assert chosen(page) == order[0]
    onwards, back = ("ArrowLeft", "ArrowRight") if language == "ar" else ("ArrowRight", "ArrowLeft")
    page.keyboard.press(onwards)
    assert chosen(page) == order[1]
    page.keyboard.press(back)
    page.keyboard.press("ArrowDown")
    assert chosen(page) == order[1]
    page.keyboard.press("Tab")
    expect(page.locator("#comment")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("[name=tag]").first).to_be_checked()
    context.close()


def test_the_word_of_a_chosen_smiley_is_seen_and_heard(browser: Browser, site: str, make: Make) -> None:
    make.survey("any", ScaleName.SMILEYS)
    make.session.commit()
    page = browser.new_page(viewport={"width": 320, "height": 640})
    page.goto(f"{site}/s/any")
    expect(page.locator(".ends")).to_be_visible()
    page.get_by_role("radio", name="Satisfied", exact=True).check()
    shown = page.locator(".word").nth(3)
    assert shown.bounding_box()["width"] > 60  # type: ignore[index]
    expect(page.locator(".ends")).not_to_be_visible()
    faces = page.locator(".smiley").evaluate_all("faces => faces.map(face => face.innerHTML)")
    assert len(set(faces)) == 5
    page.close()


def test_tags_come_with_the_choice(browser: Browser, site: str, make: Make) -> None:
    make.survey("any", ScaleName.CSAT, tags=["Delivery", "Price"])
    make.session.commit()
    page = browser.new_page(viewport={"width": 390, "height": 740}, java_script_enabled=False)
    page.goto(f"{site}/s/any")
    tags = page.get_by_role("group", name="What is it about?")
    expect(tags).not_to_be_visible()
    page.get_by_role("radio", name="Dissatisfied", exact=True).check()
    expect(tags).to_be_visible()
    page.get_by_label("Price").check()
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**/thanks?low=1")
    check(browser, page)
    page.close()


@pytest.mark.parametrize("scale", SCORED)
def test_where_the_system_chooses_the_colours_the_choice_stands_out(
    browser: Browser, site: str, make: Make, scale: ScaleName
) -> None:
    make.survey("any", scale, tags=["Delivery"])
    make.session.commit()
    context = browser.new_context(viewport={"width": 390, "height": 740}, forced_colors="active")
    page = context.new_page()
    page.goto(f"{site}/s/any?score={SCALES[scale].choices[-1].written}")
    outlines = page.locator(".face").evaluate_all("faces => faces.map(face => getComputedStyle(face).outlineStyle)")
    assert outlines.count("solid") == 1
    ticks = page.locator(".face, .word").evaluate_all(
        "all => all.filter(each => each.getBoundingClientRect().width > 1"
        " && getComputedStyle(each, '::before').content.includes('✓')).length"
    )
    assert ticks == 1
    context.close()


@pytest.mark.parametrize("scale", SCORED)
def test_before_a_choice_no_score_has_another_colour_than_the_others(
    browser: Browser, site: str, make: Make, scale: ScaleName
) -> None:
    """Colours would suggest an answer."""
    make.survey("any", scale)
    make.session.commit()
    page = browser.new_page()
    page.goto(f"{site}/s/any")
    looks = page.locator(".face").evaluate_all(
        "faces => faces.map(face => getComputedStyle(face))"
        ".map(style => style.color + style.borderColor + style.backgroundColor)"
    )
    assert len(set(looks)) == 1
    page.close()
