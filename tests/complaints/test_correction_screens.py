from __future__ import annotations

from datetime import datetime

from flask.testing import FlaskClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import Status
from feedback_loop.complaints.models import Complaint, ComplaintState, Refine, RefineState
from tests.factories import Cast, Make, sign_in
from tests.pages import again, counted, links, words


def test_a_merge_is_looked_at_first_then_applied_then_undone(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    late, lost = make.complaint("Parcel late"), make.complaint("Parcel lost")
    make.statement(late, customer=make.customer("Maya Lind"))
    make.statement(lost)
    make.item(late, cast.delivery, status=Status.IN_PROGRESS)
    session.commit()
    sign_in(client, cast.lena)
    response = client.post(
        f"/complaints/{late.id}/corrections", data={"kind": "merge", "other": f"C-{lost.id} Parcel lost"}
    )
    assert response.location == "/complaints/draft"
    page = words(client.get("/complaints/draft"))
    assert f"1 statement of 1 person (Maya Lind) go from {late.number} Parcel late to {lost.number} Parcel lost" in page
    assert "Somebody works on it: ◐ In progress, Delivery." in page
    assert "Your draft holds 1 correction" in words(client.get("/complaints"))
    again(session, late)
    assert late.state == ComplaintState.ACTIVE
    done = client.post("/complaints/draft/apply", data={"why": "One and the same."}, follow_redirects=True)
    assert "1 correction applied." in words(done)
    again(session, late)
    assert late.merged_into_id == lost.id
    history = words(client.get(f"/complaints/corrections?complaint={late.id}"))
    assert f"{late.number} merged into {lost.number}" in history
    assert "One and the same. Lena," in history
    (undo,) = [link for link in links(client.get("/complaints/corrections")) if link.endswith("/undo")]
    assert "Undone:" in words(client.post(undo, data={"why": "Two after all."}, follow_redirects=True))
    again(session, late)
    assert late.state == ComplaintState.ACTIVE


def test_ticked_statements_are_split_off_with_a_name(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    late = make.complaint("Parcel late")
    said = make.statement(late, "No tracking mail came")
    make.statement(late, "A week late")
    session.commit()
    sign_in(client, cast.lena)
    place = f"/complaints/statements/correct?ids={said.id}"
    assert "No tracking mail came" in words(client.get(place))
    missing = client.post("/complaints/statements/correct", data={"ids": said.id, "kind": "split", "name": ""})
    assert missing.status_code == 400
    assert "Enter a name for the new complaint." in words(missing)
    taken = client.post("/complaints/statements/correct", data={"ids": said.id, "kind": "split", "name": "parcel LATE"})
    assert "has this name already" in words(taken)
    assert "parcel LATE" in taken.text, "what was typed is not lost"
    client.post("/complaints/statements/correct", data={"ids": said.id, "kind": "split", "name": "No tracking mail"})
    client.post("/complaints/draft/apply", data={})
    session.expire_all()
    new = session.scalars(select(Complaint).where(Complaint.name == "No tracking mail")).one()
    assert new.statement_count == 1


def test_moving_needs_a_complaint_that_is_there(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    said = make.statement(make.complaint("Parcel late"))
    session.commit()
    sign_in(client, cast.lena)
    for other, says in (
        ("", "Enter the number"),
        ("Parcel", "Enter the number"),
        ("C-987654", "no complaint C-987654"),
    ):
        response = client.post("/complaints/statements/correct", data={"ids": said.id, "kind": "move", "other": other})
        assert response.status_code == 400
        assert says in words(response)


def test_what_cannot_be_corrected_is_said_on_the_page_it_came_from(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    late = make.complaint("Parcel late")
    session.commit()
    sign_in(client, cast.lena)
    page = client.post(f"/complaints/{late.id}/corrections", data={"kind": "merge", "other": ""}, follow_redirects=True)
    assert "Choose the other complaint." in words(page)
    assert "Your draft is empty." in words(client.get("/complaints/draft"))


def test_owners_and_viewers_read_corrections_but_make_none(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    late = make.complaint("Parcel late")
    make.statement(late)
    session.commit()
    sign_in(client, cast.omar)
    page = client.get(f"/complaints/{late.id}")
    assert "Correct this complaint" not in words(page)
    assert 'type="checkbox" name="ids"' not in page.text
    assert client.post(f"/complaints/{late.id}/corrections", data={"kind": "dismiss"}).status_code == 403
    assert "Nothing has been corrected yet." in words(client.get("/complaints/corrections"))


def test_a_dismissed_complaint_leaves_the_lists_and_its_item_is_put_aside(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    noise = make.complaint("Just noise")
    make.statement(noise)
    item = make.item(noise, cast.delivery)
    session.commit()
    sign_in(client, cast.lena)
    client.post(f"/complaints/{noise.id}/corrections", data={"kind": "dismiss"})
    client.post("/complaints/draft/apply", data={})
    assert "Just noise" not in words(client.get("/complaints"))
    assert "was dismissed as not a complaint" in words(client.get(f"/complaints/{noise.id}"))
    page = words(client.get(f"/actions/{item.id}"))
    assert "was dismissed as not a complaint, so this action item is put aside" in page
    assert "Next step" not in page
    refused = client.post(f"/actions/{item.id}/take-on", follow_redirects=True)
    assert "was dismissed as not a complaint. Undo that" in words(refused)


def test_work_by_a_person_keeps_a_complaint(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    item = make.item(make.complaint(), cast.delivery)
    session.commit()
    sign_in(client, cast.omar)
    client.post(f"/actions/{item.id}/take-on")
    again(session, item.complaint)
    assert item.complaint.kept


def test_the_page_of_a_complaint_says_how_sure_it_is_and_what_is_near(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    near = make.complaint("Parcel lost", cohesion=0.6)
    late = make.complaint("Parcel late", cohesion=0.8, stability=1.0, neighbours=[[near.id, 0.71]])
    for _ in range(6):
        make.statement(late)
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get(f"/complaints/{late.id}"))
    assert "Clearly one problem. 6 statements say it." in page
    assert f"Say similar {near.number} Parcel lost (0.71)" in page
    assert "tighter than 100 % of the other complaints" in page
    few = make.complaint("New thing")
    make.statement(few)
    session.commit()
    assert "A first sign. Only 1 statement so far" in words(client.get(f"/complaints/{few.id}"))


def test_refines_tell_what_they_found(
    client: FlaskClient, cast: Cast, make: Make, session: Session, now: datetime
) -> None:
    sign_in(client, cast.vera)
    assert "No refine has run yet." in words(client.get("/complaints/refines"))
    one, two = make.complaint("Parcel late"), make.complaint("Parcel lost")
    run = Refine(
        state=RefineState.DONE, started_at=now, finished_at=now, model="toy", seed=1, seconds={"graph": 0.4},
        versions={"bertopic": "0.17"}, statements=40, complaints=2, new_complaints=1, moved=3, coverage=0.9, kept=0.95,
        changes={"new": [one.id], "merged": [], "renamed": [[two.id, "Lost", "Parcel lost"]],
                 "moved": [[one.id, two.id, 3]]},
    )  # fmt: skip
    failed = Refine(
        state=RefineState.FAILED, started_at=now, finished_at=now, model="toy", seed=1, seconds={}, versions={},
        changes={}, message="MemoryError: no room",
    )  # fmt: skip
    session.add_all([run, failed])
    session.commit()
    assert "failed" in words(client.get("/complaints/refines"))
    page = words(client.get(f"/complaints/refines/{run.id}"))
    assert f"New complaints {one.number} Parcel late" in page
    assert "“Lost” became “Parcel lost”" in page
    assert f"{one.number} Parcel late {two.number} Parcel lost 3" in page
    assert "MemoryError: no room" in words(client.get(f"/complaints/refines/{failed.id}"))
    assert client.get("/complaints/refines/999999").status_code == 404


def test_the_map_shows_complaints_and_has_a_table(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    sign_in(client, cast.vera)
    assert "There is no map yet." in words(client.get("/complaints/map"))
    late = make.complaint("Parcel late", map_x=0.2, map_y=0.9)
    make.statement(late)
    session.commit()
    page = client.get("/complaints/map")
    assert 'cx="20.0" cy="72.0"' in page.text
    assert f"{late.number} Parcel late 1" in words(page)


def test_pages_of_corrections_send_few_queries(
    client: FlaskClient, cast: Cast, make: Make, session: Session, engine: Engine
) -> None:
    complaints = [make.complaint(f"Problem {number}") for number in range(12)]
    for complaint in complaints:
        make.statement(complaint, customer=make.customer())
    session.commit()
    sign_in(client, cast.lena)
    for complaint in complaints[1:11]:
        client.post(f"/complaints/{complaint.id}/corrections", data={"kind": "rename", "name": f"New {complaint.id}"})
    client.post("/complaints/draft/apply", data={})
    with counted(engine) as sent:
        assert client.get("/complaints/corrections").status_code == 200
    assert len(sent) <= 6, "\n".join(sent)
    with counted(engine) as sent:
        assert client.get(f"/complaints/{complaints[1].id}").status_code == 200
    assert len(sent) <= 18, "\n".join(sent)
