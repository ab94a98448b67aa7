"""The verbs of action items."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from feedback_loop.accounts.models import Role, User
from feedback_loop.actions.audience.counting import audience
from feedback_loop.actions.closing.service import Closing, close, preview
from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, Outcome, Status
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.routing.deciding import mentions
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.actions.routing.opening import open_missing
from feedback_loop.actions.runs import service as runs
from feedback_loop.actions.service import Refused, assign, may_work_on, reopen, take_on
from feedback_loop.complaints.models import ComplaintState
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.settings import Settings
from tests.factories import Cast, Make

CLOSING = Closing(Outcome.FIXED, "Changed the carrier.", "Labels smudged.", "Parcels now carry two labels.")


def close_and_release(make: Make, item: ActionItem, by: User) -> Closure:
    closure = close(make.session, item, CLOSING, by, make.now, make.settings)
    run = run_of(make.session, closure)
    assert run is not None
    runs.release(make.session, run, by, make.now, make.settings)
    return closure


def owed(make: Make) -> list[Notification]:
    return list(make.session.scalars(select(Notification).order_by(Notification.id)))


def test_every_new_complaint_gets_one_action_item(make: Make, cast: Cast, now: datetime) -> None:
    make.complaint("Parcel never came")
    make.complaint("App crashes")
    make.complaint("Gone", state=ComplaintState.DISMISSED)
    assert open_missing(make.session, now) == 2
    assert open_missing(make.session, now) == 0
    items = make.session.scalars(select(ActionItem)).all()
    assert {item.team.name for item in items} == {"Delivery"}, "the first team is the default"
    assert items[0].routing_reason == "To Delivery, the default team: no rule fits."


def test_the_first_rule_that_fits_decides(make: Make, cast: Cast, now: datetime) -> None:
    app = make.survey("app")
    make.session.add(RoutingRule(position=2, keyword="refund", team=cast.delivery))
    make.session.add(RoutingRule(position=1, keyword="Refund", team=cast.payments))
    make.session.add(RoutingRule(position=3, survey=app, team=cast.payments))
    refund = make.complaint("Refund takes weeks")
    by_survey = make.complaint("Logs me out")
    for _ in range(3):
        make.statement(by_survey, survey=app)
    open_missing(make.session, now)
    item = make.session.scalars(select(ActionItem).where(ActionItem.complaint_id == refund.id)).one()
    assert (item.team, item.routing_reason) == (
        cast.payments,
        "By rule 1 to Payments, because “Refund” stands in its name.",
    )
    item = make.session.scalars(select(ActionItem).where(ActionItem.complaint_id == by_survey.id)).one()
    assert item.routing_reason == "By rule 3 to Payments, because 100% of the statements came from App."


@pytest.mark.parametrize(
    ("text", "keyword", "found"),
    [("Refunds take weeks", "refund", True), ("It happened again", "app", False), ("The App. Crashes", "app", True)],
)
def test_a_keyword_is_the_beginning_of_a_word(text: str, keyword: str, found: bool) -> None:
    assert mentions(text, keyword) == found


def test_closing_owes_every_customer_one_message(make: Make, cast: Cast, settings: Settings, now: datetime) -> None:
    item = make.raised_item(3, cast.delivery)
    maya = make.customer("Maya Lind", "maya@example.com")
    make.statement(item.complaint, "Where is it?", customer=maya, said_at=now - timedelta(days=9))
    make.statement(item.complaint, "It still is not here.", customer=maya, said_at=now - timedelta(days=2))
    make.statement(item.complaint)
    no_mail = make.customer("Noor", "noor@example.com")
    make.statement(item.complaint, customer=no_mail)
    suppress(make.session, no_mail.email, "by link", now)
    counts = audience(make.session, item)
    assert (counts.told, counts.anonymous, counts.suppressed) == (4, 1, 1)
    close_and_release(make, item, cast.omar)
    assert len(owed(make)) == 4
    (to_maya,) = [row for row in owed(make) if row.address == "maya@example.com"]
    assert to_maya.data["quote"] == "It still is not here.", "the latest thing she said"
    assert item.status == Status.CLOSED


def test_closing_again_tells_everybody_again(make: Make, cast: Cast, settings: Settings, now: datetime) -> None:
    item = make.raised_item(2, cast.delivery)
    close_and_release(make, item, cast.omar)
    reopen(make.session, item, "Too early.", cast.lena, now)
    closure = close_and_release(make, item, cast.omar)
    assert closure.number == 2
    assert [row.state for row in owed(make)] == [NotificationState.SKIPPED] * 2 + [NotificationState.PENDING] * 2


def test_reopening_stops_what_has_not_been_sent(make: Make, cast: Cast, settings: Settings, now: datetime) -> None:
    item = make.raised_item(2, cast.delivery)
    closure = close_and_release(make, item, cast.omar)
    make.sent(owed(make)[0])
    reopen(make.session, item, "Wrong item.", cast.lena, now)
    assert [row.state for row in owed(make)] == [NotificationState.SENT, NotificationState.SKIPPED]
    assert closure.withdrawn_at == now
    event = make.session.scalars(select(ActionEvent).order_by(ActionEvent.id.desc())).first()
    assert event is not None
    assert event.text == "Wrong item. 1 not yet sent will not be sent."


@pytest.mark.parametrize("missing", ["done", "root_cause", "statement"])
def test_closing_needs_all_three_texts(make: Make, cast: Cast, settings: Settings, now: datetime, missing: str) -> None:
    item = make.raised_item(1, cast.delivery)
    texts = {"done": "a", "root_cause": "b", "statement": "c"} | {missing: "  "}
    with pytest.raises(Refused):
        close(make.session, item, Closing(Outcome.FIXED, **texts), cast.omar, now, settings)
    assert owed(make) == []


def test_what_the_table_of_transitions_forbids_is_refused_in_words(
    make: Make, cast: Cast, settings: Settings, now: datetime
) -> None:
    item = make.raised_item(1, cast.delivery)
    with pytest.raises(Refused, match="This action item is new, so it cannot be reopened"):
        reopen(make.session, item, "", cast.lena, now)
    take_on(make.session, item, cast.omar, now)
    with pytest.raises(Refused, match="in progress, so it cannot be taken on"):
        take_on(make.session, item, cast.omar, now)
    close(make.session, item, CLOSING, cast.omar, now, settings)
    with pytest.raises(Refused, match="cannot be closed"):
        close(make.session, item, CLOSING, cast.omar, now, settings)


def test_two_people_closing_at_once_tell_customers_once(
    make: Make, cast: Cast, sessions: object, settings: Settings, now: datetime
) -> None:
    from sqlalchemy.orm.exc import StaleDataError

    from feedback_loop.db import reading

    item = make.raised_item(2, cast.delivery)
    make.session.commit()
    with reading(sessions) as earlier:  # type: ignore[arg-type]
        stale = earlier.get_one(ActionItem, item.id)
        earlier.expunge(stale)
    close(make.session, item, CLOSING, cast.omar, now, settings)
    make.session.commit()
    with sessions() as late, pytest.raises(StaleDataError):  # type: ignore[operator]
        late.add(stale)
        stale.status = Status.IN_PROGRESS
        late.flush()


def test_only_those_who_work_can_own(make: Make, cast: Cast, now: datetime) -> None:
    item = make.item(team=cast.delivery)
    with pytest.raises(Refused, match="Vera cannot own"):
        assign(make.session, item, cast.delivery, cast.vera, cast.lena, now)
    assign(make.session, item, cast.payments, cast.olga, cast.lena, now)
    assert item.owner is cast.olga


def test_owners_work_on_their_teams_items_only(make: Make, cast: Cast) -> None:
    item = make.item(team=cast.delivery)
    may = {name: may_work_on(getattr(cast, name), item) for name in ("ada", "lena", "omar", "olga", "vera")}
    assert may == {"ada": True, "lena": True, "omar": True, "olga": False, "vera": False}
    assert Role.ADMIN.includes(Role.LEAD)


def test_the_preview_is_the_mail_one_of_them_will_read(make: Make, cast: Cast, settings: Settings) -> None:
    item = make.raised_item(1, cast.delivery)
    mail = preview(make.session, item, CLOSING, settings)
    assert mail is not None
    assert "Parcels now carry two labels." in mail.text
    assert preview(make.session, make.item(), CLOSING, settings) is None
