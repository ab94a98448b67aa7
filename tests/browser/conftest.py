"""The browser, the site on a port of its own, and axe."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import make_server

from tests.conftest import IN_CI

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if IN_CI:
            pytest.fail("Chromium is missing: .ci/run installs it.")
        pytest.skip("install Chromium to run the browser journeys")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    """The application on a port of its own, with its form tokens in force."""
    app.config["WTF_CSRF_ENABLED"] = True
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """A small screen without JavaScript."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, java_script_enabled=False)
    yield context
    context.close()


@pytest.fixture
def desk(browser: Browser) -> Iterator[Page]:
    """A large screen with JavaScript; an error in the console fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert errors == []


def check(browser: Browser, page: Page) -> None:
    """No finding of axe on this page, in light and dark, looked at in a context in which scripts may run."""
    # Without motion: colours between light and dark are nobody's.
    context = browser.new_context(viewport=page.viewport_size, reduced_motion="reduce")
    context.add_cookies(page.context.cookies())  # type: ignore[arg-type]
    twin = context.new_page()
    twin.goto(page.url)
    for scheme in ("light", "dark"):
        twin.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = Axe().run(twin).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], f"{page.url} in {scheme}"
    width = twin.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], f"{page.url} scrolls sideways"  # type: ignore[index]
    context.close()
