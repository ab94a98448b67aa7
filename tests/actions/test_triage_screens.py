from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionEvent, ActionItem, Priority, Status
from feedback_loop.actions.triage import queries as queue
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.surveys.models import ScaleName
from tests.factories import Cast, Make, sign_in
from tests.pages import again, counted, links, words


def waits(make: Make, name: str, cast: Cast, people: int = 1, **values: Any) -> ActionItem:
    """An item that waits for triage, whose complaint some anonymous people raised long ago."""
    complaint = make.complaint(name)
    survey = values.pop("survey", None) or make.survey()
    for _ in range(people):
        make.statement(complaint, said_at=utc_now() - timedelta(days=40), survey=survey)
    return make.item(complaint, values.pop("team", cast.delivery), **values)


def state_of(session: Session, item: ActionItem) -> ComplaintState:
    """What has become of its complaint."""
    state = session.scalars(select(Complaint.state).where(Complaint.id == item.complaint_id)).one()
    session.commit()
    return state


def post(client: FlaskClient, path: str, **data: object) -> str:
    """What the page says after a decision."""
    return words(client.post(f"/triage/{path}", data=data, follow_redirects=True))


def test_an_entry_shows_what_one_needs_to_decide(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    survey = make.survey("delivered", ScaleName.CSAT, name="Order delivered")
    late, lost = make.complaint("Parcel late"), make.complaint("Parcel lost")
    for text in ("A week late.", "Ten days late!", "a WEEK late.", "Late again."):
        make.statement(late, text, answer=make.answer(text, survey, score=1, said_at=utc_now() - timedelta(days=2)))
    make.answer("Fine.", survey, score=5, said_at=utc_now() - timedelta(days=2))
    for _ in range(2):
        make.statement(lost, customer=make.customer())
    late.neighbours = [[lost.id, 0.7]]
    make.item(late, cast.delivery)
    make.item(lost, cast.payments, status=Status.IN_PROGRESS)
    session.commit()
    sign_in(client, cast.lena)
    response = client.get("/triage")
    page = words(response)
    assert "1 of 1" in page
    assert f"Parcel late {late.number} Who said it 4 anonymous" in page
    assert "4 this week, 0 before" in page
    assert "the oldest first: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4" in response.text
    assert "100 % of those who said it gave a low score, 2 or less of 5 (4 of 4 in Order delivered )" in page
    assert "against 0 % of the 1 newest others. Few answers: no more than a hint." in page
    assert "Late again." in page
    assert page.count("late.") + page.count("late!") == 2, "two more, of which none repeats the words of another"
    assert "Suggested: To the default team." in page
    assert f'<option selected value="{cast.delivery.id}">Delivery</option>' in response.text
    assert f"Parcel lost {lost.number} · 2 people ◐ In progress · Payments" in page
    assert "It would grow from 2 to 6 statements." in page
    assert f"/complaints/{late.id}#statements" in links(response), "the way to split it"
    assert "Triage 1 waiting" in page


def test_the_most_urgent_comes_first_then_what_most_people_said(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    for name, people, priority in (("C", 1, Priority.NORMAL), ("B", 3, Priority.NORMAL), ("D", 9, Priority.LOW)):
        waits(make, name, cast, people, priority=priority)
    waits(make, "A", cast, 1, priority=Priority.URGENT)
    session.commit()
    wanted = queue.TriageFilter()
    found = queue.entries(session, queue.waiting_ids(session, wanted, utc_now()), utc_now())
    assert [each.item.complaint.name for each in found] == ["A", "B", "C", "D"]


def test_assigning_goes_on_to_the_next_and_can_be_undone(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    one, two = waits(make, "Parcel late", cast, 2), waits(make, "Zip broke", cast)
    session.commit()
    sign_in(client, cast.lena)
    response = client.post(
        f"/triage/{one.id}/assign?q=", data={"team": cast.payments.id, "owner": cast.olga.id, "next": two.id}
    )
    assert response.location == f"/triage?item={two.id}"
    page = words(client.get(response.location))
    assert "✓ Parcel late: Assigned to Payments, Olga. just now Undo" in page
    assert "1 of 1" in page
    again(session, one)
    assert (one.status, one.team_id, one.owner_id) == (Status.TRIAGED, cast.payments.id, cast.olga.id)
    page = post(client, "undo")
    assert f"Taken back for C-{one.complaint_id} Parcel late." in page
    assert "1 of 2" in page
    assert "just now Undo" not in page
    again(session, one)
    assert (one.status, one.team_id, one.owner_id, one.triaged_at) == (Status.NEW, cast.delivery.id, None, None)
    texts = session.scalars(select(ActionEvent.text).order_by(ActionEvent.id)).all()
    session.commit()
    assert texts == ["Assigned to Payments, Olga.", "Taken back: Assigned to Payments, Olga."]
    assert "There is nothing of yours to undo here" in post(client, "undo")


def test_merging_and_dismissing_are_corrections_and_can_be_undone(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    late, lost, odd = waits(make, "Parcel late", cast), waits(make, "Parcel lost", cast), waits(make, "Ok", cast)
    session.commit()
    sign_in(client, cast.lena)
    page = post(client, f"{late.id}/merge", into=lost.complaint_id)
    assert f"Parcel late: Merged into C-{lost.complaint_id} Parcel lost." in page
    assert "1 of 2" in page
    page = post(client, f"{odd.id}/dismiss")
    assert "Dismissed as not a complaint." in page
    history = words(client.get("/complaints/corrections"))
    assert f"C-{late.complaint_id} merged into C-{lost.complaint_id}" in history
    assert f"C-{odd.complaint_id} dismissed as not a complaint" in history
    for item, state in ((odd, ComplaintState.DISMISSED), (late, ComplaintState.MERGED)):
        assert state_of(session, item) == state
        assert f"Taken back for C-{item.complaint_id}" in post(client, "undo")
        assert state_of(session, item) == ComplaintState.ACTIVE
    assert "1 of 3" in words(client.get("/triage"))


def test_a_merge_needs_another_complaint_that_there_is(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item, other = waits(make, "Parcel late", cast, 2), waits(make, "Parcel lost", cast)
    session.commit()
    sign_in(client, cast.lena)
    for typed, message in (
        ("the lost ones", "Enter the number of the complaint to merge into, such as C-12"),
        ("C-99999", "There is no complaint C-99999."),
    ):
        response = client.post(f"/triage/{item.id}/merge", data={"other": typed})
        assert response.status_code == 400
        assert message in words(response)
        assert f'value="{typed}"' in response.text, "what was typed is not lost"
    page = post(client, f"{item.id}/merge", other=f"C-{item.complaint_id}")
    assert "Choose another complaint than this one." in page
    page = post(client, f"{item.id}/merge", other=f"C-{other.complaint_id} Parcel lost")
    assert f"Merged into C-{other.complaint_id} Parcel lost." in page


def test_what_is_snoozed_leaves_the_queue_until_its_time_or_until_taken_back(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = waits(make, "Parcel late", cast)
    session.commit()
    sign_in(client, cast.lena)
    page = post(client, f"{item.id}/snooze", snooze="week")
    assert "Everything new has been decided on." in page
    assert "Snoozed 1" in page
    assert "Snoozed until" in page
    page = words(client.get("/triage?queue=snoozed"))
    assert "Parcel late" in page
    assert queue.waiting_ids(session, queue.TriageFilter(), utc_now() + timedelta(days=6)) == []
    assert queue.waiting_ids(session, queue.TriageFilter(), utc_now() + timedelta(days=8)) == [item.id]
    session.commit()
    post(client, f"{item.id}/wake")
    assert "Parcel late" in words(client.get("/triage"))
    assert "is not snoozed (any more)" in post(client, f"{item.id}/wake")


@pytest.mark.parametrize(
    ("verb", "data", "message"),
    [
        ("assign", {"team": "999", "owner": ""}, "Not a valid choice."),
        ("assign", {"team": "", "owner": ""}, "Choose a team."),
        ("snooze", {"snooze": "century"}, "Not a valid choice."),
    ],
)
def test_a_bad_decision_is_refused(
    client: FlaskClient, cast: Cast, make: Make, session: Session, verb: str, data: dict[str, str], message: str
) -> None:
    item = waits(make, "Parcel late", cast)
    session.commit()
    sign_in(client, cast.lena)
    assert message in post(client, f"{item.id}/{verb}", **data)
    again(session, item)
    assert item.status == Status.NEW


def test_what_was_decided_on_meanwhile_is_not_decided_on_again(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = waits(make, "Parcel late", cast, status=Status.IN_PROGRESS, owner_id=cast.omar.id)
    session.commit()
    sign_in(client, cast.lena)
    for verb in ("assign", "snooze", "dismiss"):
        page = post(client, f"{item.id}/{verb}", team=cast.payments.id, owner="", snooze="day")
        assert f"C-{item.complaint_id} has been decided on meanwhile: it is in progress, with Omar." in page
    assert "does not wait here (any more)" not in words(client.get(f"/triage?item={item.id}"))
    waits(make, "Zip broke", cast)
    session.commit()
    assert "does not wait here (any more)" in words(client.get(f"/triage?item={item.id}"))
    assert client.post("/triage/999/dismiss").status_code == 404


def test_an_undo_that_would_overwrite_what_others_did_is_refused_with_the_reason(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = waits(make, "Parcel late", cast)
    session.commit()
    sign_in(client, cast.lena)
    post(client, f"{item.id}/assign", team=cast.delivery.id, owner="")
    session.refresh(item)
    item.status, item.owner = Status.IN_PROGRESS, cast.omar
    session.commit()
    page = post(client, "undo")
    assert f"Nothing was taken back. C-{item.complaint_id} stays as it is: it is in progress by now." in page
    again(session, item)
    assert item.owner_id == cast.omar.id


def test_several_are_decided_on_at_one_go_and_taken_back_together(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    items = [waits(make, f"Complaint {number}", cast, 5 - number) for number in range(4)]
    items[3].status = Status.IN_PROGRESS
    session.commit()
    sign_in(client, cast.lena)
    chosen = {"ids": [each.id for each in items], "all-team": cast.payments.id, "all-owner": "", "all-snooze": "day"}
    page = post(client, "several", verb="assign", **chosen)
    assert "Decided about 3 complaints." in page
    assert f"C-{items[3].complaint_id} has been decided on meanwhile" in page
    assert "3 complaints: Assigned to Payments." in page
    assert "Taken back for 3 complaints." in post(client, "undo")
    post(client, "several", verb="snooze", **chosen)
    assert "Snoozed 3" in words(client.get("/triage"))
    post(client, "undo")
    post(client, "several", verb="dismiss", everything="1")
    session.expire_all()
    states = session.scalars(select(Complaint.state).order_by(Complaint.id)).all()
    session.commit()
    assert states == [ComplaintState.DISMISSED] * 3 + [ComplaintState.ACTIVE]
    assert "Taken back for 3 complaints." in post(client, "undo")


def test_deciding_about_several_needs_ticks_and_a_verb(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    item = waits(make, "Parcel late", cast)
    session.commit()
    sign_in(client, cast.lena)
    assert "Tick the complaints first" in post(client, "several", verb="assign")
    assert "Choose what is to happen" in post(client, "several", ids=item.id, verb="burn")
    page = post(client, "several", ids=item.id, verb="assign", **{"all-team": "", "all-owner": ""})
    assert "Choose a team." in page


def test_filters_live_in_the_address_and_are_carried_on(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    help_centre = make.survey("help-centre")
    few = waits(make, "Zip broke", cast, 1, survey=help_centre, team=cast.payments)
    waits(make, "Parcel late", cast, 3)
    german = make.complaint("Paket nass")
    for hours in (1, 2, 3):
        make.statement(german, language="de", said_at=utc_now() - timedelta(hours=hours), survey=make.survey())
    make.item(german, cast.delivery)
    waits(make, "Back again", cast, status=Status.REOPENED, reopened_count=1)
    session.commit()
    sign_in(client, cast.lena)

    def shown(query: str) -> set[str]:
        page = words(client.get(f"/triage?{query}"))
        return {name for name in ("Zip broke", "Parcel late", "Paket nass", "Back again") if f"{name} " in page}

    assert shown("") == {"Zip broke", "Parcel late", "Paket nass"}
    assert shown("q=zip") == {"Zip broke"}
    assert shown(f"q=c-{german.id}") == {"Paket nass"}
    assert shown(f"survey={help_centre.id}") == {"Zip broke"}
    assert shown("language=de") == {"Paket nass"}
    assert shown("people=3") == {"Parcel late", "Paket nass"}
    assert shown(f"team={cast.payments.id}") == {"Zip broke"}
    assert shown("growing=1") == {"Paket nass"}
    assert shown("queue=came_back") == {"Back again"}
    assert shown("queue=odd&people=many&language=xx&survey=x") == {"Zip broke", "Parcel late", "Paket nass"}
    assert "None of those that wait fits these filters." in words(client.get("/triage?q=%25"))
    response = client.get("/triage?people=3")
    assert "/triage?people=3" in links(response), "a link to keep"
    assert all("people=3" in link for link in links(response) if "/dismiss" in link or "?item" in link)
    response = client.post(f"/triage/{few.id}/dismiss?people=1", data={"next": "7"})
    assert response.location == "/triage?people=1&item=7"


def test_empty_queues_say_what_would_be_in_them(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.lena)
    assert "A complaint appears here by itself" in words(client.get("/triage"))
    assert "When customers say that something closed is not fixed" in words(client.get("/triage?queue=came_back"))
    assert "Snooze what you cannot decide yet." in words(client.get("/triage?queue=snoozed"))


def test_only_leads_triage(app: Flask, cast: Cast, make: Make, session: Session) -> None:
    item = waits(make, "Parcel late", cast)
    session.commit()
    for user in (cast.omar, cast.vera):
        client = app.test_client()
        sign_in(client, user)
        assert "/triage" not in links(client.get("/actions"))
        response = client.get("/triage")
        assert response.status_code == 403
        assert "your role does not include this page" in words(response)
        for verb in (f"{item.id}/assign", f"{item.id}/merge", f"{item.id}/wake", "several", "undo"):
            assert client.post(f"/triage/{verb}").status_code == 403


def test_a_long_queue_is_walked_through_page_by_page_with_few_queries(
    client: FlaskClient, cast: Cast, make: Make, session: Session, engine: Engine
) -> None:
    sign_in(client, cast.lena)
    sent_at = []
    for count in (2, 28):
        for number in range(count):
            waits(make, f"Complaint {number}", cast)
        session.commit()
        with counted(engine) as sent:
            client.get("/triage")
        sent_at.append(len(sent))
    assert sent_at[0] == sent_at[1] <= 20, "\n".join(sent)
    ids = queue.waiting_ids(session, queue.TriageFilter(), utc_now())
    session.commit()
    response = client.get(f"/triage?item={ids[24]}")
    assert "25 of 30" in words(response)
    assert "1–25 of 30" in words(response)
    assert f"/triage?item={ids[25]}" in links(response)
    assert "26–30 of 30 Earlier" in words(client.get(f"/triage?item={ids[25]}"))
