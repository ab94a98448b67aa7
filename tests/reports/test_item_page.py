"""What the page of an action item asks the database for, and that its history can be linked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, delete, event, select
from sqlalchemy.orm import Session

from feedback_loop.actions import service
from feedback_loop.actions.audience import counting, groups
from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, NotificationRun, RunPerson, RunState, Status
from feedback_loop.complaints import queries
from feedback_loop.complaints.models import ComplaintState
from feedback_loop.followups.models import Fixed, FollowUp, Verdict, VerdictKind
from feedback_loop.followups.queries import figures, tally, verdict_of
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.suppressing import suppress
from tests.factories import Cast, Make, sign_in
from tests.pages import counted, words


@pytest.fixture
def item(make: Make, cast: Cast, session: Session) -> ActionItem:
    """An item that was closed, about which those told have answered; another one was merged into it."""
    item = make.raised_item(4, cast.delivery)
    item.status = Status.IN_PROGRESS
    closure = make.closure(item, cast.omar)
    session.scalars(select(NotificationRun)).one().state = RunState.DONE
    told = session.scalars(select(Notification).where(Notification.event == closure.event).order_by(Notification.id))
    for notification, fixed in zip(told.all(), (Fixed.NO, Fixed.YES, Fixed.NOT_SINCE), strict=False):
        make.sent(notification)
        customer_id = int(notification.recipient.partition(":")[2])
        session.add(
            FollowUp(
                closure_id=closure.id,
                customer_id=customer_id,
                notification_id=notification.id,
                fixed=fixed,
                comment="Still.",
                answered_at=make.now,
            )
        )
    session.add(
        Verdict(
            closure_id=closure.id,
            kind=VerdictKind.NOT_FIXED,
            reason="One of two says no.",
            asked=4,
            yes=1,
            no=1,
            decided_at=make.now,
        )
    )
    merged = make.raised_item(1, cast.delivery, "No parcel").complaint
    merged.state, merged.merged_into_id = ComplaintState.MERGED, item.complaint_id
    service.add_comment(session, item, "Hm.", cast.omar, make.now)
    make.statement(item.complaint, "Wet.", customer=make.customer(), said_at=make.now + timedelta(days=1))
    session.commit()
    return item


@pytest.mark.parametrize("status", list(Status))
def test_the_page_of_an_item_asks_little_wherever_it_stands(
    client: FlaskClient, cast: Cast, item: ActionItem, session: Session, engine: Engine, status: Status
) -> None:
    item.status = status
    session.commit()
    sign_in(client, cast.lena)
    with counted(engine) as sent:
        page = client.get(f"/actions/{item.id}")
    assert "Still." in words(page)
    assert len(sent) <= 20, "\n".join(sent)
    for path in ("close", "run"):
        with counted(engine) as sent:
            client.get(f"/actions/{item.id}/{path}")
        assert len(sent) <= 20, "\n".join(sent)


def test_a_duplicate_names_the_other_item_without_asking_for_it(
    client: FlaskClient, cast: Cast, item: ActionItem, make: Make, session: Session, engine: Engine
) -> None:
    other = make.raised_item(1, cast.delivery, "Parcel lost")
    session.scalars(select(Closure)).one().duplicate_of = other
    session.execute(delete(RunPerson))
    session.execute(delete(NotificationRun))
    session.commit()
    sign_in(client, cast.lena)
    with counted(engine) as sent:
        page = words(client.get(f"/actions/{item.id}"))
    assert f"its people are told when {other.complaint.number} “Parcel lost” is closed" in page
    assert len(sent) <= 20, "\n".join(sent)


def test_entries_of_the_history_can_be_linked(
    client: FlaskClient, cast: Cast, item: ActionItem, session: Session
) -> None:
    ids = session.scalars(select(ActionEvent.id).where(ActionEvent.action_item_id == item.id)).all()
    session.commit()
    sign_in(client, cast.vera)
    page = client.get(f"/actions/{item.id}").get_data(as_text=True)
    assert len(ids) >= 2
    assert all(page.count(f'id="event-{id}"') == 1 for id in ids)


def test_a_page_after_the_last_one_still_says_how_many_entries_there_are(
    client: FlaskClient, cast: Cast, item: ActionItem
) -> None:
    sign_in(client, cast.vera)
    assert "Nothing of that kind on this page." in words(client.get(f"/actions/{item.id}?page=9"))


def test_figures_of_a_closing_agree_with_each_counted_alone(item: ActionItem, session: Session) -> None:
    closure = service.latest_closure(session, item)
    assert closure is not None
    found = figures(session, closure)
    assert found.tally == tally(session, closure)
    assert (found.tally.asked, found.tally.yes, found.tally.no, found.tally.not_since) == (4, 1, 1, 1)
    assert found.verdict is verdict_of(session, closure)
    assert (found.standing.told, found.standing.waiting, found.replies) == (3, 1, 3)
    session.commit()


def test_people_of_one_complaint_are_as_many_as_are_counted_over_several(
    item: ActionItem, make: Make, session: Session
) -> None:
    make.statement(item.complaint)
    twice = make.customer()
    make.statement(item.complaint, customer=twice)
    make.statement(item.complaint, customer=twice)
    suppress(session, twice.email, "by link", make.now)
    suppress(session, "nobody@shop.example", "by link", make.now)
    merged = session.scalars(select(ActionItem).where(ActionItem.id != item.id)).one().complaint
    several = counting.audience(session, item)
    assert not groups.group(session, item).is_alone
    merged.state, merged.merged_into_id = ComplaintState.ACTIVE, None
    session.flush()
    alone = counting.audience(session, item)
    assert groups.group(session, item).is_alone
    assert (alone.told, alone.anonymous, alone.suppressed) == (5, 1, 1)
    assert (several.told, several.anonymous, several.suppressed) == (6, 1, 1)
    session.commit()


def test_what_stands_for_a_big_complaint_is_read_from_indexes(
    item: ActionItem, make: Make, session: Session, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        make.statement(item.complaint, f"Number {number}", is_exemplar=True, confidence=0.9 - number / 10)
    session.commit()
    small = [each.text for each in queries.telling(session, item.complaint)]
    monkeypatch.setattr(queries, "SORTED", 0)
    sent: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    big = [each.text for each in queries.telling(session, item.complaint)]
    event.remove(engine, "before_cursor_execute", note)
    assert small == big == ["Number 0", "Number 1", "Number 2"]
    if engine.dialect.name == "sqlite":
        (query,) = [each for each in sent if each[0].startswith("SELECT") and "is_exemplar" in each[0]]
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query[0]}", query[1])  # type: ignore[arg-type]
        assert any("ix_statements_exemplars" in row[3] for row in plan)
    session.commit()
