from __future__ import annotations

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.actions.models import ActionItem, Closure, NotificationRun, RunState, Status
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Refine, RefineState
from feedback_loop.complaints.service.weeks import count_weeks
from feedback_loop.followups.models import Fixed, Verdict, VerdictKind
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
    count_weeks(session, utc_now())
    session.commit()
    sign_in(client, cast.lena)
    page = words(client.get("/"))
    assert "1 new Nobody has decided yet whose they are. Fresh one 1 anonymous" in page
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


def test_a_lead_acts_on_each_count_by_one_click(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item(make, "Fresh one", team=cast.delivery)
    item(make, "Put off", team=cast.delivery, snoozed_until=utc_now() + timedelta(days=2))
    item(make, "Back again", team=cast.payments, status=Status.REOPENED)
    item(make, "Late one", team=cast.delivery, status=Status.IN_PROGRESS, due_at=utc_now() - timedelta(days=1))
    waits = make.raised_item(1, cast.delivery, "Waits for review")
    run_of(make, make.closure(waits, cast.omar), cast.omar, RunState.REVIEW)
    sent = make.raised_item(1, cast.delivery, "Sent")
    run_of(make, make.closure(sent, cast.omar), cast.omar, RunState.DONE)
    session.commit()
    sign_in(client, cast.lena)
    response = client.get("/")
    page = words(response)
    assert "1 new Nobody has decided yet whose they are. Fresh one" in page
    assert "Put off" not in page
    assert "1 to review Closed; nobody is told before somebody has looked. Waits for review" in page
    assert {"/triage", "/triage?queue=came_back", "/actions?scope=all&overdue=1"} <= set(links(response))
    assert links(response).count(f"/actions/{waits.id}") >= 2, "by its name and by the button"
    page = words(client.get("/?scope=team"))
    assert "0 came back" in page


def test_home_of_a_lead_takes_few_queries(
    client: FlaskClient, cast: Cast, make: Make, session: Session, engine: Engine
) -> None:
    item(make, "Fresh one", team=cast.delivery)
    item(make, "Late one", team=cast.delivery, status=Status.IN_PROGRESS, due_at=utc_now() - timedelta(days=1))
    make.closure(make.raised_item(1, cast.delivery), cast.omar)
    session.commit()
    for user, most in ((cast.lena, 20), (cast.omar, 12)):
        client.post("/sign-out")
        sign_in(client, user)
        with counted(engine) as sent:
            client.get("/")
        assert len(sent) <= most, "\n".join(sent)


def run_of(make: Make, closure: Closure, by: User, state: RunState) -> NotificationRun:
    """The notification run of a closing."""
    found = make.session.query(NotificationRun).filter_by(closure_id=closure.id).one_or_none()
    run = found or NotificationRun(closure_id=closure.id, prepared_by_id=by.id, prepared_at=make.now)
    run.state = state
    make.session.add(run)
    make.session.flush()
    return run


def test_owners_see_their_items_by_what_they_need_next(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    omar, delivery, soon = cast.omar, cast.delivery, utc_now() + timedelta(days=2)
    values = {"team": delivery, "owner_id": omar.id}
    item(make, "Late", status=Status.IN_PROGRESS, due_at=utc_now() - timedelta(days=1), **values)
    item(make, "Soon", status=Status.TRIAGED, due_at=soon, **values)
    item(make, "Back", status=Status.REOPENED, **values)
    item(make, "Given", status=Status.TRIAGED, **values)
    item(make, "Nobody’s", status=Status.NEW, team=delivery)
    item(make, "Put off", status=Status.NEW, team=delivery, snoozed_until=soon)
    item(make, "Waits", status=Status.WAITING, waiting_for="the carrier", **values)
    item(make, "Begun", status=Status.IN_PROGRESS, **values)
    item(make, "Olga’s", status=Status.IN_PROGRESS, team=delivery, owner_id=cast.olga.id)
    item(make, "Elsewhere", status=Status.NEW, team=cast.payments)
    review, answered, old = (make.raised_item(1, delivery, name) for name in ("In review", "Answered", "Long ago"))
    for each in (review, answered, old):
        each.owner = omar
    run_of(make, make.closure(review, omar), omar, RunState.APPROVAL)
    for each, days in ((answered, 2), (old, 20)):
        closure = make.closure(each, omar)
        run_of(make, closure, omar, RunState.DONE)
        session.add(
            Verdict(
                closure_id=closure.id, kind=VerdictKind.UNVERIFIED, reason="Few answered.", asked=1, yes=0, no=0,
                decided_at=utc_now() - timedelta(days=days),
            )
        )  # fmt: skip
    session.commit()
    sign_in(client, omar)
    page, _, closed = words(client.get("/")).partition("What was closed")
    assert "Long ago" in closed
    places = [
        page.index(part)
        for part in (
            "Overdue 1 Late", "Due within three days 1 Soon", "not fixed 1 Back", "To take on 2 Given", "Nobody’s",
            "go on when you can 1 Waits", "for the carrier", "close it when it is done 1 Begun",
            "before it is sent 1 In review", "verdict is in 1 Answered",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    for name in ("Put off", "Olga’s", "Elsewhere", "Long ago"):
        assert name not in page
    for step in (
        "Close and tell Late",
        "Take it on Soon",
        "Go on with it Waits",
        "Review In review",
        "Read the verdict",
    ):
        assert step in page
    response = client.get("/?scope=team")
    assert "1 new" in words(response)
    assert "Triage them" not in words(response)


def test_owners_without_anything_to_do_learn_what_will_appear(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    make.answer()
    session.commit()
    sign_in(client, cast.omar)
    assert "Nothing needs you just now. What a lead assigns to you, or to Delivery, appears here" in words(
        client.get("/")
    )


def test_a_long_need_shows_the_first_and_says_how_many_more(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    for number in range(8):
        item(make, f"Begun {number}", status=Status.IN_PROGRESS, team=cast.delivery, owner_id=cast.omar.id)
    session.commit()
    sign_in(client, cast.omar)
    page = words(client.get("/"))
    assert "close it when it is done 8 Begun" in page
    assert "And 3 more" in page
