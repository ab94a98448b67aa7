"""Prints what the page of a customer weighs and how soon it shows, on each scale, by invitation and in a frame.

Each page is opened in Chromium contexts that have seen nothing before; times are medians. Bytes are of all that is
fetched, unpacked, headers left out: the stricter reading, since the server here packs nothing and a proxy may.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright
from serving import serving
from sqlalchemy import func, select

from feedback_loop.db import Sessions, make_engine, make_sessions, migrate, reading
from feedback_loop.responses.models import Answer
from feedback_loop.responses.service import find_customer, invite
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey, allow_embedding

MOST_BYTES = 30_000
RUNS = 5
PAINTS = """() => {
  const found = Object.fromEntries(performance.getEntriesByType("paint").map((each) => [each.name, each.startTime]));
  const loaded = performance.getEntriesByType("navigation")[0];
  return [found["first-paint"], found["first-contentful-paint"], loaded.domContentLoadedEventEnd];
}"""


def prepare(sessions: Sessions) -> dict[str, str]:
    """Make a survey on each scale and an invitation; returns the paths by name."""
    now = datetime.now(UTC)
    paths = {}
    with sessions.begin() as session:
        for scale in ScaleName:
            survey = add_survey(session, slug=scale.value, name=scale.value, question="", scale=scale, now=now)
            allow_embedding(session, survey, ["https://shop.example"])
            paths[scale.value] = f"/s/{scale.value}"
        customer = find_customer(session, "maya@example.com", "Maya Lind", now)
        _, token = invite(session, survey, customer, {}, now)
        paths["invitation"] = f"/i/{token}"
        paths["embedded"] = f"/s/{ScaleName.HELPFUL.value}/embed"
        paths["score link"] = f"/s/{ScaleName.CSAT.value}?score=2"
        paths["Arabic"] = f"/s/{ScaleName.CSAT.value}?lang=ar"
    return paths


def weigh(browser: Browser, site: str, path: str) -> dict[str, Any]:
    """Open one page for the first time."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    responses: list[Any] = []
    page.on("response", lambda response: responses.append(response))  # noqa: PLW0108 (Playwright marks it)
    page.goto(site + path, wait_until="load")
    paint = None
    while paint is None:  # by asking again: the page's policy lets no condition wait inside it
        page.wait_for_timeout(50)
        paint, content, loaded = page.evaluate(PAINTS)
    fetched = [response for response in responses if not response.url.startswith("data:")]
    sizes = [response.request.sizes() for response in fetched]
    found = {
        # What a score link reports afterwards is answered with next to nothing, which Chromium does not keep.
        "bytes": sum(len(response.body()) for response in fetched if response.request.method == "GET"),
        "transferred": sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes),
        "requests": len(fetched),
        "external": sum(urlsplit(response.url).netloc != urlsplit(site).netloc for response in fetched),
        "cookies": len(context.cookies()),
        "paint": paint,
        "content": content,
        "loaded": loaded,
    }
    context.close()
    return found


def answered_without_scripts(browser: Browser, sessions: Sessions, site: str, path: str) -> bool:
    """Whether the page takes an answer with JavaScript off."""

    def count() -> int:
        with reading(sessions) as session:
            return session.scalar(select(func.count()).select_from(Answer)) or 0

    before = count()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site + path)
    choices = page.get_by_role("radio")
    if choices.count():
        choices.first.check()
    page.locator("#comment").fill("The parcel never came.")
    page.wait_for_timeout(1_100)  # who sends sooner is asked to press Send once more
    page.locator("#send").click()
    page.wait_for_url("**/thanks*")
    context.close()
    return count() == before + 1


def main() -> None:
    """Measure and print; ends with 1 if a bar is not met."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("Chromium is missing; install it to measure pages.")
    heaviest = external = cookies = 0
    silent = True
    with tempfile.TemporaryDirectory(prefix="feedback-loop-page-") as place:
        url = f"sqlite:///{place}/page.db"
        engine = make_engine(url)
        migrate(engine)
        sessions = make_sessions(engine)
        paths = prepare(sessions)
        with serving(Path(place), url) as site, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            print(
                f"{'page':12} {'bytes':>7} {'sent':>7} {'requests':>8} {'external':>8} {'cookies':>7} "
                f"{'paint':>7} {'content':>7} {'loaded':>7} without scripts"
            )
            for name, path in paths.items():
                runs = [weigh(browser, site, path) for _ in range(RUNS)]
                most = {key: max(run[key] for run in runs) for key in runs[0]}
                middle = {key: statistics.median(run[key] for run in runs) for key in ("paint", "content", "loaded")}
                taken = answered_without_scripts(browser, sessions, site, path)
                heaviest = max(heaviest, most["bytes"])
                external += most["external"]
                cookies += most["cookies"]
                silent = silent and taken
                print(
                    f"{name:12} {most['bytes']:7,} {most['transferred']:7,} {most['requests']:8} "
                    f"{most['external']:8} {most['cookies']:7} {middle['paint']:4.0f} ms {middle['content']:4.0f} ms "
                    f"{middle['loaded']:4.0f} ms {'an answer is taken' if taken else 'NO ANSWER'}",
                    flush=True,
                )
            browser.close()
        engine.dispose()
    bars = {
        f"{heaviest:,} bytes on first load of the heaviest page, of at most {MOST_BYTES:,}": heaviest <= MOST_BYTES,
        f"{external} requests to other sites, of at most 0": not external,
        f"{cookies} cookies, of at most 0": not cookies,
        "each page takes an answer without JavaScript": silent,
    }
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
