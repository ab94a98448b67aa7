from __future__ import annotations

from datetime import datetime
from itertools import combinations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import Status
from feedback_loop.complaints.evidence import Spot
from feedback_loop.complaints.map import LETTER, LINE, MARGIN, WIDTH, Box, draw, lines_of
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
    assert (
        f"1 statement of 1 person (Maya Lind) would go from {late.number} Parcel late to {lost.number} Parcel lost"
        in page
    )
    assert f"{lost.number} grows from 1 to 2 statements." in page
    assert "Somebody works on it: ◐ In progress, Delivery." in page
    assert "Your draft holds 1 correction" in words(client.get("/complaints"))
    again(session, late)
    assert late.state == ComplaintState.ACTIVE
    done = client.post("/complaints/draft/apply", data={"why": "One and the same."}, follow_redirects=True)
    assert f"Applied: {late.number} merged into {lost.number}." in words(done)
    assert done.request.path == f"/complaints/{lost.id}"
    (at_once,) = [link for link in links(done) if "undo=" in link]
    assert "<details open>" in client.get(at_once).text, "the way to undo is open already"
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
    page = words(client.get("/complaints/draft"))
    assert f"{late.number} shrinks from 2 to 1 statement. The new complaint begins with 1 statement." in page
    done = client.post("/complaints/draft/apply", data={})
    session.expire_all()
    new = session.scalars(select(Complaint).where(Complaint.name == "No tracking mail")).one()
    assert new.statement_count == 1
    assert done.location == f"/complaints/{new.id}", "one sees what came of it"


def test_a_pool_statement_is_moved_into_a_complaint_or_kept_out(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    late = make.complaint("Parcel late")
    make.statement(late)
    odd, noise = make.statement(None, "Came on Sunday"), make.statement(None, "Nothing to say")
    session.commit()
    sign_in(client, cast.lena)
    assert f'name="ids" value="{odd.id}" form="pick"' in client.get("/complaints/pool").text
    page = words(client.get(f"/complaints/statements/correct?ids={odd.id}&back=/complaints/pool"))
    assert "Move into a complaint" in page
    assert "Split off" not in page, "only what is possible is offered"
    assert "Make a complaint of them" in page
    nameless = client.post("/complaints/statements/correct", data={"ids": odd.id, "kind": "split", "name": ""})
    assert "Enter a name for the new complaint." in words(nameless)
    client.post("/complaints/statements/correct", data={"ids": odd.id, "kind": "split", "name": "Sunday deliveries"})
    draft = words(client.get("/complaints/draft"))
    assert "would leave the pool for a new complaint, “Sunday deliveries”" in draft
    assert "The new complaint begins with 1 statement." in draft
    client.post("/complaints/draft/discard")
    client.post("/complaints/statements/correct", data={"ids": odd.id, "kind": "move", "other": late.number})
    client.post("/complaints/statements/correct", data={"ids": noise.id, "kind": "take_out"})
    page = words(client.get("/complaints/draft"))
    assert f"{late.number} grows from 1 to 2 statements." in page
    done = client.post("/complaints/draft/apply", data={})
    assert done.location == "/complaints/corrections", "several corrections are shown as a list"
    assert "2 corrections applied." in words(client.get(done.location))
    session.expire_all()
    assert (odd.complaint_id, noise.kept_out) == (late.id, True)


def test_the_sizes_of_a_draft_are_those_after_the_corrections_before(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    late, lost, wet = make.complaint("Parcel late"), make.complaint("Parcel lost"), make.complaint("Parcel wet")
    for complaint in (late, late, late, lost, lost, wet):
        make.statement(complaint)
    said = make.statement(wet, "Wet and late")
    make.statement(wet, "Wet and late").vector_id = said.vector_id
    session.commit()
    sign_in(client, cast.lena)
    client.post("/complaints/statements/correct", data={"ids": said.id, "kind": "move", "other": late.number})
    client.post(f"/complaints/{late.id}/corrections", data={"kind": "merge", "other": lost.number})
    client.post(f"/complaints/{wet.id}/corrections", data={"kind": "rename", "name": "Soaked"})
    page = words(client.get("/complaints/draft"))
    assert f"{wet.number} shrinks from 3 to 1 statement. {late.number} grows from 3 to 5 statements." in page
    assert f"{lost.number} grows from 2 to 7 statements." in page
    client.post("/complaints/draft/apply", data={})
    session.expire_all()
    assert (wet.statement_count, lost.statement_count) == (1, 7)


def test_nothing_ticked_leads_back_but_never_to_another_site(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.lena)
    for back, leads_to in (
        ("/complaints/pool", "/complaints/pool"),
        ("//evil.example", "/complaints"),
        ("", "/complaints"),
    ):
        response = client.get("/complaints/statements/correct", query_string={"back": back})
        assert response.location == leads_to
    assert "Tick the statements first" in words(client.get("/complaints"))


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
    page = words(client.get(f"/complaints/{noise.id}"))
    assert "was dismissed as not a complaint" in page
    assert "Nothing: it was dismissed. Its action item is put aside" in page
    assert "Correct this complaint" not in page
    page = words(client.get(f"/actions/{item.id}"))
    assert "was dismissed as not a complaint, so this action item is put aside" in page
    assert "Next step" not in page
    assert "wait for an answer" not in page
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
    assert f"Nearest complaints {near.number} Parcel lost 0.71" in page
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


def test_names_on_the_map_never_lie_over_each_other(make: Make, session: Session) -> None:
    spots = [
        Spot(make.complaint(f"A problem of many words {number}"), number % 10 / 10, number // 10 / 10)
        for number in range(100)
    ]
    near = [Spot(make.complaint(f"Same place {number}"), 0.5, 0.5) for number in range(9)]
    for each in (spots, near, spots[:1]):
        marks = [mark for mark in draw(each) if mark.is_named]
        boxes = [
            Box(
                mark.text_x - half,
                mark.text_y - LINE * 0.7,
                mark.text_x + half,
                mark.text_y + (len(mark.lines) - 0.7) * LINE,
            )
            for mark in marks
            for half in [max(map(len, mark.lines)) * LETTER / 2 - 0.01]
        ]
        assert boxes
        assert not [1 for one, two in combinations(boxes, 2) if one.meets(two)]
        assert all(box.left >= -MARGIN and box.right <= WIDTH + MARGIN for box in boxes)
    assert draw([]) == []


@pytest.mark.parametrize("name", ["Late", "", "Donaudampfschifffahrtsgesellschaft", "word " * 40])
def test_long_names_take_two_short_lines(name: str) -> None:
    lines = lines_of(name)
    assert len(lines) <= 2
    assert all(len(line) <= 24 for line in lines)


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
    with counted(engine) as sent:
        assert client.get("/complaints/draft").status_code == 200
    assert len(sent) <= 13, "\n".join(sent)
    client.post("/complaints/draft/apply", data={})
    with counted(engine) as sent:
        assert client.get("/complaints/corrections").status_code == 200
    assert len(sent) <= 7, "\n".join(sent)
    with counted(engine) as sent:
        assert client.get(f"/complaints/{complaints[1].id}").status_code == 200
    assert len(sent) <= 19, "\n".join(sent)
