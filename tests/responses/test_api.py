"""What other systems send arrives, item by item, and can be read again without what customers typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.responses.models import Answer, Customer, Invitation, RawComment
from feedback_loop.responses.originals import destroy_expired
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from tests.factories import Make
from tests.responses.conftest import Program


@pytest.fixture
def survey(make: Make) -> Survey:
    survey = make.survey("help-centre")
    make.session.commit()
    return survey


def statuses(response: Any) -> list[str]:
    assert response.status_code == 200, response.get_data(as_text=True)
    return [item["status"] for item in response.json["items"]]


def errors(response: Any) -> dict[str, str]:
    """What is wrong, by pointer."""
    return {each["pointer"]: each["detail"] for item in response.json["items"] for each in item.get("errors", [])}


ITEM = {
    "survey": "help-centre",
    "external_id": "t1",
    "customer_email": "Maya@Example.com",
    "customer_name": "Maya Lind",
    "score": "no",
    "comment": "Steps do not match.",
    "answered_at": "2026-10-01T08:00:00+02:00",
    "context": {"page": "/help/returns", "order": 10234, "vip": True, "note": None},
}


def test_an_answer_is_stored_as_an_import_stores_it(program: Program, survey: Survey, session: Session) -> None:
    response = program.send("answers", ITEM)
    assert statuses(response) == ["created"]
    answer = session.scalars(select(Answer)).one()
    assert response.json["items"][0] == {"index": 0, "status": "created", "id": answer.id}
    assert response.json["counts"] == {"created": 1, "updated": 0, "unchanged": 0, "rejected": 0}
    assert (answer.external_id, answer.score, answer.survey_id) == ("t1", 0, survey.id)
    assert answer.context == {"page": "/help/returns", "order": "10234", "vip": "true"}
    assert answer.answered_at == datetime(2026, 10, 1, 6, tzinfo=UTC)
    customer = session.scalars(select(Customer)).one()
    assert (customer.id, customer.email, customer.name) == (answer.customer_id, "maya@example.com", "Maya Lind")
    assert answer.comment is None, "the words lie sealed until they are redacted"
    assert b"Steps" not in session.scalars(select(RawComment.sealed)).one()


def test_bad_items_stop_no_good_ones_and_each_says_where_it_is_wrong(
    program: Program, survey: Survey, session: Session
) -> None:
    response = program.send(
        "answers",
        {"survey": "help-centre", "score": "maybe"},
        {"survey": "help-centre", "score": "yes"},
        {"survey": "nowhere", "score": "yes"},
        {"survey": "help-centre"},
        {"survey": "help-centre", "comment": "x" * 5000},
        {"survey": "help-centre", "score": "no", "customer_email": "not an address"},
        {"survey": "help-centre", "score": "no", "answered_at": "2031-01-01T00:00:00Z"},
        {"survey": "help-centre", "score": "no", "answered_at": "2026-10-01T08:00:00"},
        {"score": ["no"], "comment": 7, "mood": "bad", "context": {"a": {}, "score": 1, "b/c": []}},
        "no object",
        {"survey": "help-centre", "score": "no", "external_id": "x" * 201},
        {"survey": "help-centre", "score": 2**70},
        {"survey": "help-centre", "score": True},
        {"survey": "help-centre", "comment": "Fine."},
    )
    found = statuses(response)
    assert [index for index, status in enumerate(found) if status == "created"] == [1, 13]
    assert found.count("rejected") == 12
    assert [item["index"] for item in response.json["items"]] == list(range(14))
    assert errors(response) == {
        "/items/0/score": "score 'maybe' is not on the scale; use yes or no",
        "/items/2/survey": "there is no survey 'nowhere'; GET /api/v1/surveys lists them",
        "/items/3": "neither score nor comment",
        "/items/4/comment": "comment has 5,000 characters; at most 4,000 are taken",
        "/items/5/customer_email": "customer_email 'not an address' is not an address",
        "/items/6/answered_at": "answered_at '2031-01-01T00:00:00Z' has yet to come",
        "/items/7/answered_at": "answered_at '2026-10-01T08:00:00' names no time zone; write it like "
        "2026-10-12T14:05:00Z or, with an offset, 2026-10-12T16:05:00+02:00",
        "/items/8/mood": "'mood' is not known here; send it in context",
        "/items/8/survey": "survey is missing",
        "/items/8/score": "score must be a whole number or a text, not a list",
        "/items/8/comment": "comment must be a text, not a number",
        "/items/8/context/a": "a must be a text, a number, true, false or null, not an object",
        "/items/8/context/score": "score is a member of the item itself; move it out of context",
        "/items/8/context/b~1c": "b/c must be a text, a number, true, false or null, not a list",
        "/items/9": "an item must be an object, not a text",
        "/items/10/external_id": "external_id has 201 characters; at most 200 are taken",
        "/items/11/score": "score 'too large' is not on the scale; use yes or no",
        "/items/12/score": "score must be a whole number or a text, not true or false",
    }
    assert session.scalar(select(func.count()).select_from(Answer)) == 2


def test_scores_are_written_as_the_scale_writes_them_or_as_numbers(
    program: Program, make: Make, session: Session
) -> None:
    make.survey("ease", ScaleName.CES)
    make.session.commit()
    sent = [{"survey": "Ease", "score": score} for score in (7, "7", 7.0, 8, 6.5)]
    assert statuses(program.send("answers", *sent)) == ["created", "created", "created", "rejected", "rejected"]
    assert set(session.scalars(select(Answer.score))) == {7}


def test_the_same_id_sent_again_changes_the_answer(
    program: Program, survey: Survey, session: Session, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    program.send("answers", ITEM)
    assert statuses(program.send("answers", ITEM)) == ["unchanged"]
    redact_pending(sessions, settings, now)
    assert statuses(program.send("answers", ITEM)) == ["unchanged"]
    answer = session.scalars(select(Answer)).one()
    session.commit()
    assert answer.redacted_at is not None, "what says the same is not analysed again"
    assert statuses(program.send("answers", ITEM | {"context": {"page": "/help"}})) == ["updated"]
    session.refresh(answer)
    session.commit()
    assert (answer.context, answer.revision) == ({"page": "/help"}, 1)
    assert answer.redacted_at is not None, "where it came from is no reason to analyse it again"
    changed = ITEM | {"comment": "It works now.", "score": "yes", "customer_email": "ben@example.com"}
    assert statuses(program.send("answers", changed)) == ["updated"]
    session.refresh(answer)
    customer = session.get_one(Customer, answer.customer_id)
    session.commit()
    assert (answer.score, answer.revision, answer.redacted_at, answer.comment) == (1, 2, None, None)
    assert customer.email == "ben@example.com"
    del changed["answered_at"]
    assert statuses(program.send("answers", changed)) == ["unchanged"], "left out, the moment stays"
    redact_pending(sessions, settings, now)
    session.refresh(answer)
    assert answer.comment == "It works now."


def test_an_answer_whose_original_is_destroyed_is_compared_by_its_redacted_text(
    program: Program, survey: Survey, session: Session, sessions: Sessions, settings: Settings
) -> None:
    item = ITEM | {"comment": "Call me on +44 20 7946 0123."}
    program.send("answers", item)
    redact_pending(sessions, settings, utc_now())
    destroy_expired(session, utc_now() + timedelta(days=60))
    session.commit()
    assert statuses(program.send("answers", item)) == ["unchanged"]
    assert statuses(program.send("answers", item | {"comment": "Never mind."})) == ["updated"]


def test_without_an_id_each_item_is_an_answer_of_its_own(program: Program, survey: Survey, session: Session) -> None:
    item = {"survey": "help-centre", "score": "no"}
    assert statuses(program.send("answers", item, item)) == ["created", "created"]
    assert statuses(program.send("answers", item)) == ["created"]
    assert session.scalars(select(Answer.external_id)).all() == [None] * 3


def test_an_id_is_known_in_its_survey_only_and_stands_once_in_a_batch(
    program: Program, survey: Survey, make: Make
) -> None:
    make.survey("other")
    make.session.commit()
    response = program.send("answers", ITEM, ITEM | {"survey": "other"}, ITEM | {"score": "yes"})
    assert statuses(response) == ["created", "created", "rejected"]
    assert errors(response) == {"/items/2/external_id": "external_id 't1' stands in this batch already"}


def test_customers_are_made_and_named_anew(program: Program, session: Session) -> None:
    maya = {"customer_email": "maya@example.com"}
    response = program.send("customers", maya, maya | {"customer_name": "Maya"}, {"customer_email": "@"}, {})
    assert statuses(response) == ["created", "updated", "rejected", "rejected"]
    assert errors(response) == {
        "/items/2/customer_email": "customer_email '@' is not an address",
        "/items/3/customer_email": "customer_email is missing",
    }
    assert statuses(program.send("customers", maya, {"customer_email": "MAYA@example.com", "customer_name": "M"})) == [
        "unchanged",
        "updated",
    ]
    assert session.scalars(select(Customer.name)).all() == ["M"]


def test_an_invitation_gives_a_link_that_works(program: Program, survey: Survey, session: Session) -> None:
    end = (utc_now() + timedelta(days=7)).replace(microsecond=0)
    item = {
        "survey": "help-centre",
        "customer_email": "maya@example.com",
        "customer_name": "Maya Lind",
        "experience": "order 10234",
        "expires_at": end.isoformat(),
        "context": {"agent": "Nia"},
    }
    response = program.send("invitations", item, item | {"expires_at": None, "experience": "order 10235"})
    assert statuses(response) == ["created", "created"]
    first, second = session.scalars(select(Invitation).order_by(Invitation.id))
    assert (first.expires_at, second.expires_at) == (end, None)
    assert first.context == {"agent": "Nia", "experience": "order 10234"}
    session.commit()
    link = response.json["items"][0]["link"]
    token = link.removeprefix("http://localhost/i/")
    assert token not in (first.token_hash, second.token_hash), "only its hash is stored"
    page = program.client.get(f"/i/{token}")
    assert page.status_code == 200
    assert "Maya Lind" in page.get_data(as_text=True)


def test_a_customer_is_invited_once_about_each_experience(program: Program, survey: Survey, session: Session) -> None:
    item = {"survey": "help-centre", "customer_email": "maya@example.com", "experience": "order 10234"}
    again = item | {"experience": ""}
    assert statuses(program.send("invitations", item, item, again, again)) == [
        "created",
        "rejected",
        "created",
        "created",
    ]
    response = program.send("invitations", item, item | {"customer_email": "jonas@example.com"})
    assert statuses(response) == ["rejected", "created"]
    assert "already" in str(errors(response))
    assert len(session.scalars(select(Invitation)).all()) == 4
    session.commit()


def test_an_invitation_that_nobody_could_answer_is_rejected(program: Program, survey: Survey, make: Make) -> None:
    make.survey("over").state = SurveyState.CLOSED
    make.session.commit()
    item = {"survey": "help-centre", "customer_email": "maya@example.com"}
    response = program.send(
        "invitations",
        item | {"survey": "over"},
        item | {"expires_at": "2020-01-01T00:00:00Z"},
        item | {"expires_at": "9999-12-31T23:59:59-23:59"},
        item | {"expires_at": "2999-01-01T00:00:00Z"},
        {"survey": "help-centre"},
    )
    assert set(statuses(response)) == {"rejected"}
    assert errors(response) == {
        "/items/0/survey": "survey 'over' takes no more answers",
        "/items/1/expires_at": "expires_at '2020-01-01T00:00:00Z' is over already",
        "/items/2/expires_at": "expires_at '9999-12-31T23:59:59-23:59' is not a moment; write it like "
        "2026-10-12T14:05:00Z",
        "/items/3/expires_at": "expires_at '2999-01-01T00:00:00Z' is more than ten years ahead; leave it out for "
        "no end",
        "/items/4/customer_email": "customer_email is missing",
    }


def test_surveys_are_listed_with_their_scores(program: Program, survey: Survey, make: Make) -> None:
    make.survey("ease", ScaleName.CSAT)
    make.session.commit()
    found = {each["slug"]: each for each in program.get("surveys").json["items"]}
    assert found["help-centre"]["scores"] == ["no", "yes"]
    assert found["ease"]["scores"] == ["1", "2", "3", "4", "5"]
    assert found["ease"]["state"] == "open"


def test_answers_are_read_in_pages_that_miss_and_repeat_none(program: Program, survey: Survey, make: Make) -> None:
    days = [0, 1, 1, 1, 2, 3, 3]  # some at the same moment
    made = [
        make.answer(survey=survey, said_at=make.now - timedelta(days=9 - day), external_id=f"a{index}")
        for index, day in enumerate(days)
    ]
    # Of an anonymous survey the ids lie below zero, in no order.
    early = make.now - timedelta(days=30)
    made = [make.answer(survey=survey, said_at=early, id=-number) for number in (9, 7, 2)] + made
    make.answer("Elsewhere.")
    make.session.commit()
    seen, cursor = [], ""
    while cursor is not None:
        page = program.get("answers", survey="help-centre", limit=2, cursor=cursor).json
        assert len(page["items"]) <= 2
        seen += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [answer.id for answer in made]
    since = program.get("answers", survey="help-centre", since=made[7].answered_at.isoformat().replace("+00:00", "Z"))
    assert [each["id"] for each in since.json["items"]] == [answer.id for answer in made[7:]]
    assert since.json["next_cursor"] is None


def test_what_customers_typed_is_never_read(
    program: Program, survey: Survey, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    program.send("answers", ITEM | {"comment": "Call me on +44 20 7946 0123."})
    (answer,) = program.get("answers").json["items"]
    assert (answer["comment"], answer["score"]) == (None, "no")
    redact_pending(sessions, settings, now)
    response = program.get("answers")
    assert response.json["items"][0]["comment"] == "Call me on [phone]."
    assert "7946" not in response.get_data(as_text=True)
    assert "maya@example.com" not in response.get_data(as_text=True)


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"survey": "nowhere"}, 404, "There is no survey 'nowhere'"),
        ({"since": "yesterday"}, 400, "is not a moment"),
        ({"since": "2026-10-01T00:00:00"}, 400, "names no time zone"),
        ({"since": "0001-01-01T00:00:00+23:59"}, 400, "is not a moment"),
        ({"cursor": "abc"}, 400, "Send next_cursor as you got it"),
        ({"cursor": "MjAyNi0xMC0wMVQwMDowMDowMFogOTk5OTk5OTk5OTk5OTk5OTk5OTk="}, 400, "not one of ours"),
        ({"limit": "0"}, 400, "from 1 to 500"),
        ({"limit": "9" * 5000}, 400, "limit"),
        ({"limit": ["1", "2"]}, 400, "twice"),
        ({"mood": "bad"}, 400, "'mood' is not known here"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(
    program: Program, survey: Survey, asked: dict[str, Any], status: int, words: str
) -> None:
    response = program.get("answers", **asked)
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert words in response.json["detail"]


def test_a_thousand_answers_are_one_request(program: Program, survey: Survey, session: Session) -> None:
    items = [{"survey": "help-centre", "external_id": f"a{n}", "comment": f"Late {n}."} for n in range(1000)]
    assert statuses(program.send("answers", *items)) == ["created"] * 1000
    assert statuses(program.send("answers", *items)) == ["unchanged"] * 1000
    assert session.scalar(select(func.count()).select_from(Answer)) == 1000


def test_a_session_opens_nothing_and_no_cookie_is_set(client: FlaskClient, make: Make, program: Program) -> None:
    from tests.factories import sign_in

    cast = make.cast()
    sign_in(client, cast.ada)
    assert client.get("/api/v1/surveys").status_code == 401
    response = program.get("surveys")
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    assert "Set-Cookie" not in client.get("/api/v1/openapi.json").headers


def test_a_draft_and_an_archived_survey_invite_nobody_and_take_no_answers(program: Program, make: Make) -> None:
    make.survey("draft", is_published=False)
    make.survey("gone").archived_at = make.now
    full = make.survey("full")
    full.answer_limit = 1
    make.answer(survey=full)
    make.session.commit()
    invited = program.send(
        "invitations", *({"survey": slug, "customer_email": "maya@example.com"} for slug in ("draft", "gone", "full"))
    )
    assert errors(invited) == {
        "/items/0/survey": "survey 'draft' is a draft; publish it first",
        "/items/1/survey": "survey 'gone' is archived",
        "/items/2/survey": "survey 'full' has as many answers as it takes",
    }
    for slug in ("draft", "gone"):
        assert statuses(program.send("answers", ITEM | {"survey": slug})) == ["rejected"]
    listed = [survey["slug"] for survey in program.get("surveys").json["items"]]
    assert "gone" not in listed
