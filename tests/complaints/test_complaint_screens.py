from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from feedback_loop.actions.models import Status
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import ComplaintState, Placed
from feedback_loop.complaints.queries import pool
from feedback_loop.complaints.service.weeks import count_weeks
from tests.factories import Cast, Make, sign_in
from tests.pages import counted, links, words


def test_a_statement_says_next_to_which_it_was_placed_and_how_many_said_the_same(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    late = make.complaint()
    stands, twin = make.statement(late, "The parcel came a week late"), make.statement(late, "Parcel a week late!")
    twin.vector_id = stands.vector_id
    make.statement(late, "My parcel is late", nearest=[stands.id, 987654])
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get(f"/complaints/{late.id}"))
    assert "Closest to: The parcel came a week late" in page
    assert page.count("2 said it in these very words.") == 2


def test_no_complaint_yet_says_how_they_come(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.vera)
    page = words(client.get("/complaints"))
    assert "No complaint yet. A complaint appears by itself" in page
    assert "Name or number" not in page


def test_a_complaint_is_listed_with_people_growth_status_and_team(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    complaint = make.complaint("Label does not print")
    for days in (1, 2, 9):
        make.statement(complaint, customer=make.customer(), said_at=utc_now() - timedelta(days=days))
    make.statement(complaint, said_at=utc_now() - timedelta(days=3))
    make.item(complaint, cast.delivery, status=Status.IN_PROGRESS)
    count_weeks(session, utc_now())
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get("/complaints"))
    assert f"Label does not print {complaint.number} 3 people and 1 anonymous 4 ↗ 3 this week, 1 before" in page
    assert "◐ In progress Delivery" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=LABEL", {"Label does not print"}),
        ("q=100%25", {"Charged 100% more"}),
        ("q=_", set()),
        ("q=C-{label}", {"Label does not print"}),
        ("status=new", {"Label does not print"}),
        ("status=nonsense", {"Label does not print", "Charged 100% more"}),
        ("team={payments}", {"Charged 100% more"}),
        ("survey={survey}", {"Charged 100% more"}),
        ("growing=1", {"Charged 100% more"}),
        ("page=x&team=y", {"Label does not print", "Charged 100% more"}),
    ],
)
def test_filters_live_in_the_address(
    client: FlaskClient, cast: Cast, make: Make, session: Session, query: str, found: set[str]
) -> None:
    survey = make.survey()
    label, charged = make.complaint("Label does not print"), make.complaint("Charged 100% more")
    make.statement(label, said_at=utc_now() - timedelta(days=10))
    for hours in (1, 2, 3):
        make.statement(charged, survey=survey, said_at=utc_now() - timedelta(hours=hours))
    make.item(label, cast.delivery)
    make.item(charged, cast.payments, status=Status.VERIFIED)
    count_weeks(session, utc_now())
    session.commit()
    sign_in(client, cast.vera)
    response = client.get("/complaints?" + query.format(label=label.id, payments=cast.payments.id, survey=survey.id))
    assert response.status_code == 200
    assert {name for name in ("Label does not print", "Charged 100% more") if name in words(response)} == found
    if not found:
        assert "No complaint fits these filters." in words(response)


def test_a_complaint_whose_statements_moved_elsewhere_leaves_the_list_unless_somebody_took_it_on(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    untouched, taken_on = make.complaint("Untouched", statement_count=0), make.complaint("Taken on", statement_count=0)
    make.item(untouched, cast.delivery)
    make.item(taken_on, cast.delivery, status=Status.IN_PROGRESS)
    session.commit()
    sign_in(client, cast.vera)
    for path in ("/complaints", "/actions?scope=all"):
        page = words(client.get(path))
        assert "Untouched" not in page
        assert "Taken on" in page
    assert client.get(f"/complaints/{untouched.id}").status_code == 200, "its number still leads to it"


@pytest.mark.parametrize(("sort", "first"), [("people", "Old"), ("newest", "Fresh"), ("growing", "Fresh")])
def test_the_order_can_be_chosen(
    client: FlaskClient, cast: Cast, make: Make, session: Session, sort: str, first: str
) -> None:
    old, fresh = make.complaint("Old"), make.complaint("Fresh")
    for _ in range(3):
        make.statement(old, said_at=utc_now() - timedelta(days=30))
    make.statement(fresh, said_at=utc_now() - timedelta(days=1))
    count_weeks(session, utc_now())
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get(f"/complaints?sort={sort}"))
    other = "Fresh" if first == "Old" else "Old"
    assert page.index(f"{first} C-") < page.index(f"{other} C-")


def test_merged_and_dismissed_complaints_are_not_listed(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    kept = make.complaint("Kept")
    make.complaint("Merged", state=ComplaintState.MERGED, merged_into_id=kept.id)
    make.complaint("Dismissed", state=ComplaintState.DISMISSED)
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get("/complaints"))
    assert "Kept" in page
    assert "Merged" not in page
    assert "Dismissed" not in page


def test_long_lists_are_paged_and_keep_their_filters(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    for number in range(51):
        make.complaint(f"Problem {number}")
    session.commit()
    sign_in(client, cast.vera)
    response = client.get("/complaints?q=problem&sort=newest")
    assert "1–50 of 51 complaints" in words(response)
    assert "/complaints?q=problem&sort=newest&page=2" in links(response)
    assert "Problem 0" in words(client.get("/complaints?q=problem&sort=newest&page=2"))


def test_the_list_asks_no_more_for_more_complaints(
    client: FlaskClient, cast: Cast, make: Make, session: Session, engine: Engine
) -> None:
    sign_in(client, cast.vera)
    counts = []
    for _ in range(2):
        for _ in range(4):
            make.item(make.complaint(), make.team())
        session.commit()
        with counted(engine) as sent:
            client.get("/complaints")
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_a_complaint_says_what_is_said_and_what_is_done(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    complaint = make.complaint("Label does not print", keywords=["label", "print"])
    answer = make.answer(
        "The label <i>is</i> blank.", make.survey("returns"), make.customer(), said_at=utc_now() - timedelta(days=2),
        context={"page": "/help"},
    )  # fmt: skip
    make.statement(complaint, answer.comment or "", answer, confidence=0.91, is_exemplar=True)
    item = make.item(complaint, cast.delivery, owner=cast.omar, status=Status.IN_PROGRESS)
    session.commit()
    sign_in(client, cast.vera)
    response = client.get(f"/complaints/{complaint.id}")
    page = words(response)
    assert "1 person said this since" in page
    assert "Not growing: 1 in the last seven days, 0 in the seven before." in page, "one voice is no trend"
    assert "Team Delivery Owner Omar" in page
    assert "Next Fix it, then close it and tell people" in page
    assert f"/actions/{item.id}" in links(response)
    assert "The label <i>is</i> blank. “No” ·" in page.replace("&lt;", "<")
    assert "page: /help" in page
    assert "The program is sure (91 %). It is one of those that new statements are compared with." in page
    assert "Returns 1 of 1" in page


def test_statements_come_central_newest_or_borderline_first(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    complaint, now = make.complaint(), utc_now()
    make.statement(complaint, "Sure.", confidence=0.9, said_at=now - timedelta(days=3))
    make.statement(complaint, "Unsure.", confidence=0.2, said_at=now - timedelta(days=2))
    make.statement(complaint, "Exemplar.", confidence=0.5, is_exemplar=True, said_at=now - timedelta(days=1))
    make.statement(complaint, "By hand.", confidence=None, said_at=now - timedelta(days=4)).placed = Placed.PERSON
    session.commit()
    sign_in(client, cast.vera)

    def order(tab: str) -> list[str]:
        page = words(client.get(f"/complaints/{complaint.id}?tab={tab}"))
        return sorted(("Sure.", "Unsure.", "Exemplar.", "By hand."), key=lambda text: page.index(f" {text} "))

    assert order("central") == ["Exemplar.", "Sure.", "Unsure.", "By hand."]
    assert order("newest") == ["Exemplar.", "Unsure.", "Sure.", "By hand."]
    assert order("borderline") == ["Unsure.", "Exemplar.", "Sure.", "By hand."]
    assert order("nonsense") == order("central")
    assert "A colleague placed it here." in words(client.get(f"/complaints/{complaint.id}"))


def test_weekly_bars_have_a_table_beside_them(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    complaint = make.complaint()
    for days in (1, 2, 15, 200):
        make.statement(complaint, said_at=utc_now() - timedelta(days=days))
    session.commit()
    sign_in(client, cast.vera)
    response = client.get(f"/complaints/{complaint.id}")
    html = response.get_data(as_text=True)
    assert html.count('<rect class="bar') == 12
    assert "2 in the last seven days, 0 in the seven before" in words(response)
    assert "style=" not in html


def test_a_complaint_nobody_says_any_more_still_has_a_page(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    complaint = make.complaint()
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get(f"/complaints/{complaint.id}"))
    assert "No statements on this page." in page
    assert "Its action item is opened within a minute." in page


def test_a_merged_complaint_leads_to_the_one_that_survived(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    last = make.complaint("Last")
    middle = make.complaint("Middle", state=ComplaintState.MERGED, merged_into_id=last.id)
    first = make.complaint("First", state=ComplaintState.MERGED, merged_into_id=middle.id)
    session.commit()
    sign_in(client, cast.vera)
    response = client.get(f"/complaints/{first.id}")
    assert response.status_code == 302, "a merge may be undone, so no browser may remember where it led"
    assert response.location == f"/complaints/{last.id}?merged={first.id}"
    assert f"{first.number} First was merged into this complaint." in words(client.get(response.location))
    assert "was merged into this" not in words(client.get(f"/complaints/{last.id}?merged={last.id}"))


def test_an_unknown_complaint_is_not_found(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.vera)
    response = client.get("/complaints/77")
    assert response.status_code == 404
    assert "There is no complaint C-77." in words(response)


def test_the_pool_shows_what_no_complaint_holds(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    sign_in(client, cast.vera)
    assert "The pool is empty." in words(client.get("/complaints/pool"))
    make.statement(None, "Something odd.", said_at=utc_now() - timedelta(days=2))
    make.statement(None, "Something newer.", said_at=utc_now() - timedelta(days=1))
    make.statement(make.complaint(), "Said often.")
    make.statement(None, "All is well.", kind="praise")
    session.commit()
    page = words(client.get("/complaints/pool"))
    assert page.index("Something newer.") < page.index("Something odd.")
    assert "Said often." not in page
    assert "All is well." not in page
    assert "Pool: 2 statements" in words(client.get("/complaints"))


def test_the_pool_never_reads_all_statements(session: Session, engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("Other databases choose by the size of the table, which is empty here.")
    with counted(engine) as sent:
        pool(session, 1)
    for statement in sent:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (20, 0)[: statement.count("?")])
        steps = [row[3] for row in plan]
        assert any("ix_statements_" in step for step in steps), steps
        assert not any("TEMP B-TREE" in step for step in steps), steps


def test_past_the_last_page_there_is_a_way_back(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    make.complaint()
    session.commit()
    sign_in(client, cast.vera)
    response = client.get("/complaints?page=9")
    assert "Past the last of 1 complaints" in words(response)
    assert "/complaints?page=1" in links(response)
