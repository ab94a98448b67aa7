from __future__ import annotations

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionItem, Status
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Refine, RefineState
from feedback_loop.followups.models import Fixed
from feedback_loop.followups.service import record
from feedback_loop.notifications.models import Notification
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.pages import counted, links, words


def test_before_the_first_answer_home_shows_four_steps(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    sign_in(client, cast.ada)
    response = client.get("/")
    page = words(response)
    assert "○ Mail To do" in page
    assert "✓ Team Done" in page
    assert "○ Survey To do" in page
    assert "/surveys/new" in links(response)
    assert "feedback-loop import" in page
    make.survey("help")
    session.commit()
    response = client.get("/")
    assert "✓ Survey Done" in words(response)
    assert "http://localhost/s/help" in links(response)


def item(make: Make, name: str, **values: object) -> ActionItem:
    """An action item whose complaint one anonymous person raised, long ago."""
    complaint = make.complaint(name)
    make.statement(complaint, said_at=utc_now() - timedelta(days=40))
    return make.item(complaint, **values)  # type: ignore[arg-type]


def test_home_counts_what_needs_somebody_and_names_it(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item(make, "Fresh one", team=cast.delivery)
    item(make, "Late one", team=cast.delivery, status=Status.IN_PROGRESS, due_at=utc_now() - timedelta(days=1))
    item(make, "Closed in time", team=cast.delivery, status=Status.CLOSED, due_at=utc_now() - timedelta(days=1))
    item(make, "Back again", team=cast.payments, status=Status.REOPENED)
    growing = make.complaint("Louder")
    for hours in (1, 2, 3):
        make.statement(growing, said_at=utc_now() - timedelta(hours=hours))
    session.commit()
    sign_in(client, cast.lena)
    page = words(client.get("/"))
    assert "1 new Nobody has taken them on yet. Fresh one 1 anonymous" in page
    assert "1 growing Said more often than the week before. Louder 3 this week, 0 before" in page
    assert "1 overdue Open after their due date. Late one due" in page
    assert "1 came back Closed once, but not fixed. Back again" in page
    assert "Closed in time" not in page


def test_owners_see_their_team_first(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item(make, "Ours", team=cast.delivery)
    item(make, "Theirs", team=cast.payments)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.get("/"))
    assert "Ours" in page
    assert "Theirs" not in page
    assert "Theirs" in words(client.get("/?scope=all"))


def test_home_tells_how_closings_turned_out(
    client: FlaskClient, cast: Cast, make: Make, session: Session, settings: Settings
) -> None:
    fixed, waiting, withdrawn = (
        make.raised_item(1, cast.delivery, name) for name in ("Was fixed", "Still waits", "Taken back")
    )
    for each in (fixed, waiting, withdrawn):
        make.closure(each, cast.omar)
    notification = session.query(Notification).order_by(Notification.id).first()
    assert notification is not None
    record(session, make.sent(notification), Fixed.YES, "", make.now, settings)
    from feedback_loop.actions.service import reopen

    reopen(session, withdrawn, "Too early.", cast.omar, make.now)
    session.commit()
    sign_in(client, cast.lena)
    page = words(client.get("/"))
    assert "✓ Verified. 1 of 1 asked has answered: 1 yes, 0 no." in page
    assert "Too early to tell. 1 person is asked, nobody has answered yet." in page
    assert "Taken back 12 Oct 2026 by" not in page


def test_home_says_how_much_is_understood(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    make.statement(None)
    session.commit()
    sign_in(client, cast.lena)
    page = words(client.get("/"))
    assert "No refine has run yet." in page
    assert "1 statement in the pool is not repeated by others so far." in page
    session.add(
        Refine(
            state=RefineState.DONE, started_at=make.now, finished_at=make.now, model="toy", seed=1, statements=52,
            complaints=4, new_complaints=1, moved=0, coverage=0.94, kept=1.0, seconds={}, versions={},
        )
    )  # fmt: skip
    session.commit()
    page = words(client.get("/"))
    assert "94 % of 52 statements about problems belong to one of 4 complaints." in page
    assert "found 1 new complaint and moved 0 statements" in page


def test_home_asks_no_more_for_more_closings(
    client: FlaskClient, cast: Cast, make: Make, session: Session, engine: Engine
) -> None:
    sign_in(client, cast.lena)
    counts = []
    for _ in range(2):
        for _ in range(2):
            make.closure(make.raised_item(1, cast.delivery), cast.omar)
        item(make, "New", team=cast.delivery)
        session.commit()
        with counted(engine) as sent:
            client.get("/")
        counts.append(len(sent))
    assert counts[0] == counts[1]
