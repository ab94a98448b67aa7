"""What people decided suggests, and changes no rule."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import ActionItem
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.actions.routing.opening import open_missing
from feedback_loop.actions.service import assign
from feedback_loop.actions.triage import service as triaging
from feedback_loop.actions.triage import undoing
from feedback_loop.actions.triage.suggesting import Decision, decide, latest_decisions, suggest
from feedback_loop.complaints.models import ComplaintState, Vector
from tests.actions.meaning import TOY, complaint_about
from tests.factories import Cast, Make
from tests.pages import counted

TEXTS = ("the parcel was late again", "parcel late once more", "again a late parcel", "parcel late, again")


def near(*places: tuple[int, float], by: str = "Lena") -> list[Decision]:
    """Decisions as (team, likeness), the nearest first."""
    return [Decision(10 + n, team, f"Team {team}", by, cosine) for n, (team, cosine) in enumerate(places)]


def test_the_nearest_decisions_agree_or_nothing_is_suggested() -> None:
    assert decide([], 1) is None
    assert decide(near((1, 0.9), (2, 0.9)), 3) is None
    found = decide(near((1, 0.9), (2, 0.8), (1, 0.8)), 3)
    assert found is not None
    assert (found.team, round(found.share, 2)) == ("Team 1", 0.68)
    assert found.reason == "Like C-10 and C-12, which Lena gave to Team 1 (2 of the 3 nearest)."


def test_those_who_decided_are_named_once_each() -> None:
    decisions = near((1, 0.9)) + near((1, 0.8), by="Omar") + near((1, 0.7)) + near((1, 0.7))
    found = decide(decisions, 3)
    assert found is not None
    assert found.reason == "Like C-10, C-10 and C-10, which Lena and Omar gave to Team 1."


@pytest.mark.parametrize(("count", "team_id", "offered"), [(3, 2, True), (2, 2, False), (3, 1, False)])
def test_a_rule_is_offered_when_people_decided_the_same_three_times_and_no_rule_does_it(
    count: int, team_id: int, offered: bool
) -> None:
    found = decide(near(*[(1, 0.9)] * count), team_id)
    assert found is not None
    assert bool(found.rule_from) == offered


def open_and_give(make: Make, team: Team, by: User, now: datetime, *texts: str) -> list[ActionItem]:
    """Complaints that were routed to the default team and given to another by hand."""
    complaints = [complaint_about(make, text) for text in texts]
    open_missing(make.session, now)
    items = [make.session.query(ActionItem).filter_by(complaint_id=complaint.id).one() for complaint in complaints]
    for item in items:
        assign(make.session, item, team, None, by, now)
    make.session.flush()
    return items


def test_what_people_decided_about_the_like_is_suggested_and_no_rule_is_made(
    make: Make, cast: Cast, now: datetime
) -> None:
    given = open_and_give(make, cast.payments, cast.lena, now, *TEXTS[:3])
    open_and_give(make, cast.delivery, cast.lena, now, "boots are too small")
    new = complaint_about(make, TEXTS[3])
    open_missing(make.session, now)
    item = make.session.query(ActionItem).filter_by(complaint_id=new.id).one()
    with counted(make.session.get_bind().engine) as sent:  # type: ignore[union-attr]
        found = suggest(make.session, item, TOY.thresholds)
    assert len(sent) == 2
    assert found is not None
    assert (found.team_id, found.share) == (cast.payments.id, 1.0)
    assert sorted(found.rule_from) == sorted(each.complaint.number for each in given)
    assert found.reason.endswith("which Lena gave to Payments.")
    assert item.team == cast.delivery, "a suggestion moves nothing"
    assert make.session.scalars(select(RoutingRule)).all() == []


def test_nothing_like_it_no_suggestion(make: Make, cast: Cast, now: datetime) -> None:
    open_and_give(make, cast.payments, cast.lena, now, *TEXTS[:3])
    boots = complaint_about(make, "boots have the wrong size")
    empty = make.complaint("Emptied", statement_count=0)
    open_missing(make.session, now)
    for complaint in (boots, empty):
        item = make.session.query(ActionItem).filter_by(complaint_id=complaint.id).one()
        assert suggest(make.session, item, TOY.thresholds) is None


def test_what_the_program_routed_was_merged_or_has_another_models_vectors_teaches_nothing(
    make: Make, cast: Cast, now: datetime
) -> None:
    (item,) = open_and_give(make, cast.payments, cast.lena, now, TEXTS[0])
    complaint_about(make, TEXTS[1])
    new = complaint_about(make, TEXTS[2])
    open_missing(make.session, now)
    asked = make.session.query(ActionItem).filter_by(complaint_id=new.id).one()
    found = suggest(make.session, asked, TOY.thresholds)
    assert found is not None
    assert [each.number for each in found.decisions] == [item.complaint.number]
    item.complaint.state, item.complaint.merged_into_id = ComplaintState.MERGED, new.id
    assert suggest(make.session, asked, TOY.thresholds) is None
    item.complaint.state, item.complaint.merged_into_id = ComplaintState.ACTIVE, None
    for vector in make.session.scalars(select(Vector).order_by(Vector.id).limit(1)):
        vector.model = "another"
    assert suggest(make.session, asked, TOY.thresholds) is None


def test_the_latest_word_counts(make: Make, cast: Cast, now: datetime) -> None:
    (item,) = open_and_give(make, cast.payments, cast.lena, now, TEXTS[0])
    assign(make.session, item, cast.delivery, None, cast.omar, now)
    new = complaint_about(make, TEXTS[1])
    open_missing(make.session, now)
    found = suggest(make.session, make.session.query(ActionItem).filter_by(complaint_id=new.id).one(), TOY.thresholds)
    assert found is not None
    assert found.reason.endswith("which Omar gave to Delivery.")


def test_what_was_taken_back_is_no_decision(make: Make, cast: Cast, now: datetime) -> None:
    session = make.session
    item = make.raised_item(1, cast.delivery)
    triaging.triage(session, item, cast.payments, None, cast.lena, now)
    session.flush()
    assert latest_decisions(session, 0) == {item.complaint_id: (cast.payments.id, "Payments", "Lena")}
    decision = undoing.last_decision(session, cast.lena, now)
    assert decision is not None
    undoing.undo(session, decision, cast.lena, now)
    session.flush()
    assert latest_decisions(session, 0) == {}
    triaging.triage(session, item, cast.payments, None, cast.ada, now)
    session.flush()
    assert latest_decisions(session, 0) == {item.complaint_id: (cast.payments.id, "Payments", "Ada")}
