"""Settings of webhooks and trackers, and issues of an item, looked at by axe in light and dark."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page

from feedback_loop.actions.service import take_on
from feedback_loop.clock import utc_now
from feedback_loop.integrations.models import (
    Delivery,
    DeliveryState,
    EndpointKind,
    IssueState,
    TrackerIssue,
    TrackerKind,
)
from feedback_loop.integrations.service import add_endpoint
from feedback_loop.integrations.trackers.service import Wanted, add_tracker
from feedback_loop.notifications import breaker
from feedback_loop.outbound import outbound
from feedback_loop.settings import Settings
from tests.browser.conftest import check
from tests.factories import PASSWORD, Cast, Make

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def paths(make: Make, cast: Cast, settings: Settings) -> list[str]:
    """Pages with something of each state on them."""
    session, now, out = make.session, utc_now(), outbound(settings)
    url = "https://warehouse.fernhill.example/hooks/feedback"
    endpoint, _ = add_endpoint(
        session, "Data warehouse", EndpointKind.WEBHOOK, url, ["complaint.created"], cast.ada, now, settings, out
    )
    endpoint.failing_since, endpoint.next_at = now - timedelta(hours=2), now + timedelta(minutes=15)
    item = make.raised_item(2, cast.delivery)
    take_on(session, item, cast.omar, now)
    for number, state in enumerate(DeliveryState):
        session.add(
            Delivery(
                endpoint=endpoint, event_id=f"evt_{number}", type="complaint.created", subject_id=item.complaint_id,
                at=now, created_at=now, next_at=now, state=state, sent_at=now, reason="It answered 503.", code=503,
                answer="upstream connect error", attempts=2,
            )
        )  # fmt: skip
    described = Wanted("The shop", TrackerKind.GITHUB, "", "fernhill/shop", "", "", "secret", True)
    tracker = add_tracker(session, described, None, cast.ada, now, settings, out)
    for number, state in enumerate(IssueState):
        session.add(
            TrackerIssue(
                item=item, tracker=tracker, title="Lost", body="Lost.", marker=f"{number:032x}", state=state,
                reason="The tracker does not know the token (401).", external_id="12", is_open=False,
                url="https://github.com/fernhill/shop/issues/12", asked_by=cast.omar, created_at=now, changed_at=now,
            )
        )  # fmt: skip
    session.flush()
    row = session.query(Delivery).first()
    assert row is not None
    found = [
        "/settings/webhooks", f"/settings/webhooks/{endpoint.id}",
        f"/settings/webhooks/{endpoint.id}/deliveries/{row.id}", "/settings/trackers",
        f"/settings/trackers/{tracker.id}", f"/actions/{item.id}", f"/actions/{item.id}/issue", "/settings/mail",
    ]  # fmt: skip
    breaker.failed(session, "535 5.7.8 bad credentials", now, tried=False)
    session.commit()
    return found


def test_every_page_about_other_systems_is_accessible(desk: Page, site: str, cast: Cast, paths: list[str]) -> None:
    desk.goto(f"{site}/sign-in")
    desk.locator("#email").fill(cast.ada.email)
    desk.locator("#password").fill(PASSWORD)
    desk.locator("main button").click()
    desk.wait_for_load_state()
    browser = desk.context.browser
    assert browser is not None
    for path in paths:
        desk.goto(site + path)
        check(browser, desk)
