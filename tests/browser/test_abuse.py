"""A survey under attack in a real browser: with JavaScript nobody notices, without it the answer waits for a person."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, reading
from feedback_loop.responses.models import Answer, Guard, SurveyPressure, UnconfirmedAnswer
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName
from tests.browser.conftest import check
from tests.factories import PASSWORD, Cast, Make

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, rate_limit_storage="memory://")


@pytest.fixture(autouse=True)
def attacked(make: Make) -> None:
    survey = make.survey("checkout", ScaleName.CSAT)
    make.session.flush()
    make.session.add(
        SurveyPressure(
            survey_id=survey.id,
            guard=Guard.AUTOMATIC,
            until=utc_now() + timedelta(minutes=15),
            reason="412 answers came in 5 minutes; 3.1 are usual.",
        )
    )
    make.session.commit()


def answers(sessions: Sessions) -> list[Answer]:
    with reading(sessions) as session:
        return list(session.scalars(select(Answer)))


@pytest.mark.parametrize("where", ["/s/checkout", "/s/checkout/embed"])
def test_a_browser_proves_itself_while_a_person_types(desk: Page, site: str, sessions: Sessions, where: str) -> None:
    desk.goto(f"{site}{where}")
    desk.get_by_role("radio", name="Dissatisfied", exact=True).check()
    desk.get_by_label("What went wrong?").fill("The lift was stuck.")
    desk.get_by_role("button", name="Send").click()
    expect(desk.get_by_role("heading", name=re.compile("^Thank you"))).to_be_visible(timeout=20_000)
    assert [answer.score for answer in answers(sessions)] == [2]


def test_send_waits_for_the_proof(desk: Page, site: str, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    from feedback_loop.web import proofs

    monkeypatch.setattr(proofs, "HARDNESS", 1_000_000)
    desk.goto(f"{site}/s/checkout")
    desk.get_by_role("radio", name="Satisfied", exact=True).check()
    desk.get_by_role("button", name="Send").click()
    expect(desk.get_by_role("heading", name=re.compile("^Thank you"))).to_be_visible(timeout=60_000)
    assert len(answers(sessions)) == 1


def test_without_javascript_the_answer_waits(
    browser: Browser, phone: BrowserContext, site: str, sessions: Sessions
) -> None:
    page = phone.new_page()
    page.goto(f"{site}/s/checkout")
    assert "Without JavaScript, yours waits" in page.content()
    page.get_by_role("radio", name="Dissatisfied", exact=True).check()
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile("/kept$"))
    check(browser, page)
    assert answers(sessions) == []
    with reading(sessions) as session:
        assert "without the proof of work" in session.scalars(select(UnconfirmedAnswer)).one().reason


def test_the_survey_page_says_that_it_is_under_attack(browser: Browser, desk: Page, site: str, cast: Cast) -> None:
    desk.goto(f"{site}/sign-in")
    desk.get_by_label("Email").fill(cast.ada.email)
    desk.get_by_label("Password").fill(PASSWORD)
    desk.get_by_role("button", name="Sign in").click()
    desk.goto(f"{site}/surveys/checkout")
    expect(desk.locator("#guard")).to_contain_text("Under attack. 412 answers came in 5 minutes")
    check(browser, desk)
    desk.get_by_role("button", name="Never ask for proof").click()
    expect(desk.locator("#guard")).to_contain_text("never asks")


def test_a_limited_form_comes_back_as_it_was_typed(phone: BrowserContext, site: str) -> None:
    page = phone.new_page()
    page.goto(f"{site}/s/checkout")
    page.get_by_role("radio", name="Dissatisfied", exact=True).check()
    page.get_by_label("What went wrong?").fill("The lift was stuck.")
    for _ in range(30):
        page.request.post(f"{site}/s/checkout", form={"form_token": "x"})
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("Too much came from your network")
    expect(page.get_by_role("radio", name="Dissatisfied", exact=True)).to_be_checked()
    expect(page.get_by_label("What went wrong?")).to_have_value("The lift was stuck.")
