"""Did it help? On the page of an action item."""

from __future__ import annotations

from datetime import datetime

from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionEvent, ActionItem, Notice, Outcome, Status
from feedback_loop.followups.models import Fixed
from feedback_loop.followups.service import record
from feedback_loop.notifications.models import Notification
from feedback_loop.settings import Settings
from tests.actions.test_action_screens import words
from tests.factories import Cast, Make, sign_in


def told(
    make: Make, cast: Cast, people: int, outcome: Outcome = Outcome.FIXED
) -> tuple[ActionItem, list[Notification]]:
    item = make.raised_item(people, cast.delivery)
    item.owner = cast.omar
    closure = make.closure(item, cast.omar, outcome)
    rows = list(make.session.scalars(select(Notification).where(Notification.event == closure.event)))
    for row in rows:
        make.sent(row)
    return item, rows


def test_the_verdict_stands_there_with_shares_uncertainty_and_the_noes_first(
    client: FlaskClient, make: Make, cast: Cast, session: Session, settings: Settings, now: datetime
) -> None:
    item, rows = told(make, cast, 10)
    record(session, rows[0], Fixed.NO, "Mine still breaks.", now, settings)
    for row in rows[1:3]:
        record(session, row, Fixed.NOT_SINCE, "", now, settings)
    for row in rows[3:7]:
        record(session, row, Fixed.YES, "All well.", now, settings)
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get(f"/actions/{item.id}"))
    assert "↺ Not fixed on 12 Oct 2026 Not fixed: 0 of 1 who answered said it is fixed (10 were asked)." in page
    assert "By now 7 of 10 asked have answered: 4 yes, 1 no, 2 not run into it since." in page
    assert "Yes 4 of 5, 80 %" in page
    assert "between 38 % and 96 %" in page
    assert "2, counted as neither" in page
    assert "Silent 3 of 10" in page
    assert page.index("Mine still breaks. Not fixed") < page.index("All well. Fixed")
    assert "as in the 90 days before the closing, with 95 % confidence" in page


def test_disagreements_are_counted_told_to_the_owner_and_call_for_a_second_look(
    client: FlaskClient, make: Make, cast: Cast, session: Session, settings: Settings, now: datetime
) -> None:
    item, rows = told(make, cast, 25, Outcome.DECLINED)
    record(session, rows[0], Fixed.NO, "It breaks every time.", now, settings)
    session.commit()
    notice = session.scalars(select(Notice)).one()
    assert (notice.user_id, notice.is_urgent) == (cast.omar.id, False)
    assert notice.text.endswith("1 of 25 who were told disagree with the decision. The newest: “It breaks every time.”")
    session.commit()
    sign_in(client, cast.lena)
    page = words(client.get(f"/actions/{item.id}"))
    assert "Do they accept it? Some disagree. 1 of 25 people who were told disagrees." in page
    assert "2 disagreements call for a second look" in page
    assert f"It breaks every time. Disagrees · {rows[0].name}" in page
    record(session, rows[1], Fixed.NO, "I leave.", now, settings)
    session.commit()
    page = words(client.get(f"/actions/{item.id}"))
    assert "Enough people disagree for a second look: reopen it, or let the decision stand." in page
    assert "A second look is asked for." in page
    record(session, rows[2], Fixed.NO, "I leave, too.", now, settings)
    looks = session.scalars(select(ActionEvent).where(ActionEvent.kind == "second_look")).all()
    assert len(looks) == 1
    assert item.status == Status.CLOSED
