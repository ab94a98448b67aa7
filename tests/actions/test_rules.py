"""Making routing rules, reading their examples, and what they give new items."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from feedback_loop import pipeline
from feedback_loop.accounts.models import Role
from feedback_loop.actions.models import ActionEvent, ActionItem, Notice, Priority, ServiceLevel
from feedback_loop.actions.routing import queries
from feedback_loop.actions.routing.deciding import Rule
from feedback_loop.actions.routing.evidence import evidence_of, rules_asked
from feedback_loop.actions.routing.learning import read_examples, unread
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.actions.routing.opening import open_missing
from feedback_loop.actions.routing.service import Refused, Wanted, change_rule, move_rule, tidied, turn
from feedback_loop.complaints.models import Complaint, ComplaintState, Vector
from feedback_loop.db import Sessions
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName
from tests.actions.meaning import TOY, complaint_about, ruled, said
from tests.factories import Cast, Make

LIKE = TOY.thresholds.like
LATE = "the parcel arrived far too late"


def item_of(make: Make, complaint: Complaint) -> ActionItem:
    return make.session.scalars(select(ActionItem).where(ActionItem.complaint_id == complaint.id)).one()


def level(make: Make) -> ServiceLevel:
    row = ServiceLevel(
        name="Fast", hours={}, days=[0], opens=0, closes=60, time_zone="UTC", remind_hours=1, lead_hours=1,
        admin_hours=1, created_at=make.now,
    )  # fmt: skip
    make.session.add(row)
    make.session.flush()
    return row


def test_a_rule_gives_team_owner_priority_and_service_level_and_the_history_says_so(
    make: Make, cast: Cast, now: datetime
) -> None:
    ruled(
        make, cast.payments.id, keyword="refund", owner_id=cast.olga.id, priority=Priority.URGENT,
        service_level_id=level(make).id,
    )  # fmt: skip
    complaint = make.complaint("Refund takes weeks")
    open_missing(make.session, now)
    item = item_of(make, complaint)
    assert (item.team, item.owner, item.priority) == (cast.payments, cast.olga, Priority.URGENT)
    assert (item.priority_by_hand, item.priority_reason) == (True, "By rule 1.")
    assert item.service_level is not None
    event = make.session.scalars(select(ActionEvent).where(ActionEvent.action_item_id == item.id)).one()
    assert event.text == (
        f"Opened for {complaint.number}. By rule 1 to Payments, because “refund” stands in its name. "
        "Owner Olga, priority urgent, service level Fast."
    )
    assert event.data["rule"] == 1
    notice = make.session.scalars(select(Notice)).one()
    assert (notice.user_id, notice.action_item_id) == (cast.olga.id, item.id)


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": Role.VIEWER}])
def test_an_owner_who_can_own_nothing_any_more_gets_nothing(
    make: Make, cast: Cast, now: datetime, change: dict[str, Any]
) -> None:
    ruled(make, cast.payments.id, keyword="refund", owner_id=cast.olga.id)
    for name, value in change.items():
        setattr(cast.olga, name, value)
    complaint = make.complaint("Refund takes weeks")
    open_missing(make.session, now)
    assert (item_of(make, complaint).team, item_of(make, complaint).owner) == (cast.payments, None)
    assert make.session.scalars(select(Notice)).all() == []


def test_without_rules_nothing_is_given_by_hand(make: Make, cast: Cast, now: datetime) -> None:
    complaint = make.complaint()
    open_missing(make.session, now)
    item = item_of(make, complaint)
    assert (item.priority_by_hand, item.owner_id, item.service_level_id) == (False, None, None)


def test_evidence_is_where_most_statements_came_from(make: Make, cast: Cast) -> None:
    survey, other = make.survey("app", ScaleName.CSAT), make.survey("shop", ScaleName.HELPFUL)
    complaint, empty = make.complaint(), make.complaint("Empty", statement_count=0)
    for index in range(4):
        context = {"Page": f"/shop/{index % 2}?visit={index}", "tags": "Delivery, Price"} if index < 3 else {}
        answer = make.answer(survey=survey, score=1 if index else 3, context=context)
        said(make, complaint, f"late {index}", answer=answer, language="de" if index else None)
    said(make, complaint, "late again", survey=other, language="en")
    found = evidence_of(make.session, [complaint, empty], [Rule(1, 1, "", page="/", examples=("a",))])
    known = found[complaint.id]
    assert known.survey_shares == {survey.id: 0.8, other.id: 0.2}
    assert known.page_shares == {"/shop/0": 0.4, "/shop/1": 0.2}
    assert known.tag_shares == {"delivery": 0.6, "price": 0.6}
    assert known.language_shares == {"de": 0.75, "en": 0.25}, "of those whose language can be told"
    assert known.score == pytest.approx((50 + 0 + 0 + 0 + 0) / 5)
    assert set(known.centres) == {"toy"}
    assert (known.newest, found[empty.id].survey_shares, found[empty.id].score) == (0, {}, None)


def test_only_the_newest_statements_of_a_large_complaint_are_weighed(
    make: Make, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback_loop.actions.routing.evidence.NEWEST", 2)
    old, new = make.survey("old"), make.survey("new")
    complaint = make.complaint()
    for index in range(4):
        make.statement(complaint, survey=new if index < 2 else old, said_at=now - timedelta(days=index))
    known = evidence_of(make.session, [complaint], [])[complaint.id]
    assert (known.survey_shares, known.newest) == ({new.id: 1.0}, 2)


def test_examples_are_read_by_a_worker_and_fit_only_then(
    make: Make, cast: Cast, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    row = ruled(make, cast.payments.id, examples=(LATE, "my parcel came late"))
    early = complaint_about(make, "parcel far too late")
    open_missing(make.session, now, like=LIKE)
    assert item_of(make, early).team == cast.delivery, "nobody had read them"
    make.session.commit()
    context = pipeline.Context(settings, sessions, lambda: now)
    assert pipeline.learn_rules(context) == 1
    assert pipeline.learn_rules(context) == 0, "nothing is left to read"
    make.session.refresh(row)
    assert row.example_model == "toy"
    late = complaint_about(make, "the parcel was late")
    other = complaint_about(make, "boots have the wrong size")
    make.session.commit()
    assert pipeline.open_items(context) == 2
    assert item_of(make, late).routing_reason.startswith("By rule 1 to Payments, because it is like “")
    assert item_of(make, other).team == cast.delivery


def test_another_model_reads_the_examples_again(make: Make, cast: Cast, sessions: Sessions) -> None:
    row = ruled(make, cast.payments.id, examples=(LATE,))
    make.session.commit()
    assert unread(make.session, None) == [row.id]
    make.session.commit()
    read_examples(sessions, TOY, [row.id])
    make.session.refresh(row)
    assert unread(make.session, None) == [], "no model is loaded to find out"
    assert unread(make.session, "toy") == []
    assert unread(make.session, "another") == [row.id]
    make.session.commit()


def test_examples_changed_while_they_are_read_stay_unread(make: Make, cast: Cast, sessions: Sessions) -> None:
    row = ruled(make, cast.payments.id, examples=(LATE,))
    make.session.commit()

    class Slow:
        name, dimensions, thresholds = "toy", TOY.dimensions, TOY.thresholds

        def encode(self, texts: Any, progress: Any = None) -> Any:
            change_rule(make.session, row, Wanted(cast.payments.id, examples=("boots too small",)))
            make.session.commit()
            return TOY.encode(texts)

    assert read_examples(sessions, Slow(), [row.id]) == 0
    make.session.refresh(row)
    assert (row.example_vectors, row.example_model) == (None, "")
    make.session.commit()


def test_a_complaint_as_example_needs_no_worker_and_survives_a_merge(
    make: Make, cast: Cast, sessions: Sessions, now: datetime
) -> None:
    known = complaint_about(make, LATE, "my parcel came late")
    row = ruled(make, cast.payments.id, examples=(f"c{known.id}",))
    assert (row.examples, row.example_model) == ([known.number], "toy")
    (rule,) = rules_asked(make.session)
    assert not rule.is_unread
    into = complaint_about(make, "parcel late as always")
    known.state, known.merged_into_id = ComplaintState.MERGED, into.id
    for statement in make.session.scalars(select(Vector)):
        statement.model = "another"
    make.session.commit()

    class Another:
        name, dimensions, thresholds = "another", TOY.dimensions, TOY.thresholds

        def encode(self, texts: Any, progress: Any = None) -> Any:
            raise AssertionError("nothing has to be embedded")

    assert read_examples(sessions, Another(), [row.id]) == 1
    make.session.refresh(row)
    assert rules_asked(make.session)[0].vectors is not None
    assert row.example_model == "another"
    make.session.commit()


def test_what_somebody_has_said_in_the_same_words_needs_no_worker(make: Make, cast: Cast) -> None:
    complaint_about(make, LATE)
    assert ruled(make, cast.payments.id, examples=(LATE.upper(),)).example_model == "toy"


def test_personal_details_in_examples_are_blanked_out_and_each_stands_once(cast: Cast) -> None:
    wanted = tidied(Wanted(1, examples=("Write to maya@example.com", " ", "late", "late", "C-012")), None)
    assert wanted.examples == ("Write to [email]", "late", "C-12")


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "keyword", "A rule must ask for something"),
    ({"language": "fi"}, "language", "No answer is in Finnish"),
    ({"worst_score": -1}, "worst_score", "Enter a limit from 0 to 99: no mean score is below 0"),
    ({"worst_score": 100}, "worst_score", "every score is 100 or less"),
    ({"examples": tuple(f"late {n}" for n in range(11))}, "examples", "Enter at most 10 examples"),
    ({"examples": ("x" * 301,)}, "examples", "Enter at most 300 characters"),
    ({"examples": ("maya@example.com",)}, "examples", "Enter what customers say, not who they are"),
    ({"examples": ("C-999",)}, "examples", "Nothing is said in C-999"),
    ({"survey_id": 999_999}, "survey", "does not exist"),
]


@pytest.mark.parametrize(("values", "field", "message"), REFUSALS)
def test_a_rule_that_can_never_match_is_refused_with_what_to_do(
    make: Make, cast: Cast, values: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(Refused) as refused:
        ruled(make, cast.payments.id, **values)
    assert message in refused.value.faults[field]
    assert make.session.scalars(select(RoutingRule)).all() == []


def test_a_language_that_somebody_writes_may_be_asked_for(make: Make, cast: Cast) -> None:
    make.statement(make.complaint(), language="fi")
    assert ruled(make, cast.payments.id, language="fi").language == "fi"


def test_an_archived_survey_is_refused(make: Make, cast: Cast, now: datetime) -> None:
    survey = make.survey("old")
    survey.archived_at = now
    with pytest.raises(Refused, match="Old is archived"):
        ruled(make, cast.payments.id, survey_id=survey.id)


def test_owners_are_active_people_of_the_team_who_do_not_only_read(make: Make, cast: Cast) -> None:
    for person, message in (
        (cast.omar, "Omar is of Delivery. Choose somebody of Payments"),
        (cast.vera, "Vera cannot"),
    ):
        with pytest.raises(Refused, match=message):
            ruled(make, cast.payments.id, keyword="refund", owner_id=person.id)
    cast.olga.is_active = False
    with pytest.raises(Refused, match="Olga cannot own"):
        ruled(make, cast.payments.id, keyword="refund", owner_id=cast.olga.id)


def test_a_hidden_rule_is_refused_but_may_be_drafted_moved_and_turned_on(make: Make, cast: Cast) -> None:
    ruled(make, cast.delivery.id, keyword="ref")
    with pytest.raises(Refused, match="rule 1 is asked before it"):
        ruled(make, cast.payments.id, keyword="refund", tag="late")
    draft = ruled(make, cast.payments.id, keyword="refund", tag="late", is_active=False)
    with pytest.raises(Refused, match="rule 1 is asked before it"):
        turn(make.session, draft, True)
    assert [rule.place for rule in rules_asked(make.session)] == [1]
    move_rule(make.session, draft, -1)
    turn(make.session, draft, True)
    assert [(rule.place, rule.team) for rule in rules_asked(make.session)] == [(1, "Payments"), (2, "Delivery")]


def test_changing_a_rule_is_checked_against_the_others_only(make: Make, cast: Cast) -> None:
    row = ruled(make, cast.delivery.id, keyword="refund")
    ruled(make, cast.payments.id, keyword="parcel")
    change_rule(make.session, row, Wanted(cast.payments.id, keyword="refunds"))
    (first, second) = queries.rules(make.session)
    assert (first.keyword, first.team) == ("refunds", cast.payments)
    with pytest.raises(Refused, match="rule 1"):
        change_rule(make.session, second, Wanted(cast.payments.id, keyword="my refunds"))


def test_a_resting_rule_is_not_asked(make: Make, cast: Cast, now: datetime) -> None:
    turn(make.session, ruled(make, cast.payments.id, keyword="refund"), False)
    complaint = make.complaint("Refund takes weeks")
    open_missing(make.session, now)
    assert item_of(make, complaint).team == cast.delivery
