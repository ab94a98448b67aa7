"""Anonymous surveys: what is kept, and that nothing leads from an answer to a person."""

from __future__ import annotations

import base64
import itertools
import re
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.analysis.embedding.toy import ToyEmbedder
from feedback_loop.clock import day_of, utc_now
from feedback_loop.complaints.models import Statement
from feedback_loop.complaints.service.analyse import analyse_pending
from feedback_loop.db import Base, Sessions
from feedback_loop.responses import confirming
from feedback_loop.responses.importing import import_answers
from feedback_loop.responses.models import Answer, Customer, RawComment, UnconfirmedAnswer
from feedback_loop.responses.receipts import PAGE_KEPT, forget_pages
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.responses.service import Refused, invite
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey
from tests.factories import Cast, Make, sign_in
from tests.pages import words
from tests.responses.conftest import Program
from tests.responses.test_answer_screens import send

CANARIES = ("maya.canary@example.com", "Canaria", "order-canary-77", "ticket-canary-5", "203.0.113.77", "CanaryBrowser")
OURS = {"surveys", "survey_versions", "leases", "ticks"}  # about the survey and the worker, not about who answers
LINK = re.compile(r'id="receipt"[^>]*value="http://localhost/r/([^"]+)"')


@pytest.fixture
def survey(make: Make, session: Session) -> Survey:
    survey = make.survey("quiet", question="How is it to work here?", is_anonymous=True)
    session.commit()
    return survey


def cells(session: Session) -> list[tuple[str, str, object]]:
    """Every value of every table that is about answers: table, column, value."""
    session.rollback()
    found = []
    for table in Base.metadata.sorted_tables:
        if table.name in OURS:
            continue
        for row in session.execute(select(table)).mappings():
            found += [(table.name, name, value) for name, value in row.items() if value is not None]
    session.rollback()
    return found


def assert_nothing_leads_back(session: Session) -> None:
    now = utc_now()
    for table, column, value in cells(session):
        where = f"{table}.{column}"
        if isinstance(value, datetime):
            assert value.astimezone(UTC).time() == time(), f"{where} holds a time of day"
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for canary in CANARIES:
            assert canary not in text, f"{where} holds {canary}"
        if column == "sealed":
            assert isinstance(value, bytes)
            sealed_at = int.from_bytes(base64.urlsafe_b64decode(value)[1:9], "big")
            assert sealed_at % 86400 == 0, f"{where} was sealed with a time of day"
        assert f"{now:%H:%M}" not in text or "T" not in text, f"{where} holds a time of day in a text"
        assert not value or column not in ("customer_id", "invitation_id", "external_id", "email", "address"), where


def answer(client: FlaskClient, comment: str = "The lamps flicker, says Omar.") -> str:
    """Answer as a browser does that tells much; returns the receipt."""
    query = "&".join(f"c_{name}={value}" for name, value in {
        "order": "order-canary-77", "ticket": "ticket-canary-5", "agent": "Canaria", "page": "/help?user=Canaria#x",
    }.items())  # fmt: skip
    client.environ_base |= {"REMOTE_ADDR": "203.0.113.77", "HTTP_USER_AGENT": "CanaryBrowser/9"}
    sent = send(client, f"/s/quiet?{query}", score="no", comment=comment, email="maya.canary@example.com")
    assert sent.status_code == 200
    assert "Set-Cookie" not in sent.headers
    found = LINK.search(sent.text)
    assert found
    return found[1]


def test_nothing_that_is_stored_leads_to_a_person_or_a_time(
    client: FlaskClient, survey: Survey, session: Session, sessions: Sessions, settings: Settings
) -> None:
    receipt = answer(client)
    assert_nothing_leads_back(session)
    redact_pending(sessions, settings, utc_now())
    analyse_pending(sessions, ToyEmbedder(), utc_now)
    assert_nothing_leads_back(session)
    row = session.scalars(select(Answer)).one()
    assert row.context == {"page": "/help"}
    assert row.receipt_hash
    assert all(receipt not in str(value) for _, _, value in cells(session)), "only the hash of a receipt is stored"
    assert session.scalars(select(Statement)).first() is not None
    assert session.scalar(select(func.count()).select_from(Customer)) == 0


def test_what_does_not_count_yet_holds_no_more(
    client: FlaskClient, survey: Survey, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirming, "SENT_AFTER", confirming.SECONDS_TOGETHER)
    sent = send(client, "/s/quiet?c_agent=Canaria", score="no", comment="Too quick.", email="maya.canary@example.com")
    assert sent.status_code == 400
    assert session.scalars(select(UnconfirmedAnswer)).one().sealed is not None
    assert_nothing_leads_back(session)


def test_ids_do_not_say_in_which_order_answers_came(client: FlaskClient, survey: Survey, session: Session) -> None:
    for number in range(8):
        answer(client, f"Remark {number}")
    ids = session.scalars(select(Answer.id).order_by(Answer.id.desc())).all()
    assert len(set(ids)) == 8
    assert all(-(2**52) <= id < 0 for id in ids)
    gaps = {first - second for first, second in itertools.pairwise(ids)}
    assert min(gaps) > 1, "they are drawn, not counted"


def test_other_answers_are_still_counted_from_one(
    client: FlaskClient, survey: Survey, make: Make, session: Session
) -> None:
    make.answer("An ordinary one.")
    session.commit()
    answer(client)
    assert make.answer("Another one.").id > 0


def test_the_page_promises_and_asks_for_no_address(client: FlaskClient, survey: Survey) -> None:
    page = client.get("/s/quiet")
    said = words(page)
    assert "This is anonymous" in said
    assert (
        "We do not keep your name, your mail address, the network address of your device, or the time of day." in said
    )
    assert 'name="email"' not in page.text
    assert said.index("This is anonymous") < page.text.index('id="send"')


def test_one_page_is_one_answer_while_it_can_be_sent_again_and_is_forgotten_then(
    client: FlaskClient, survey: Survey, session: Session
) -> None:
    page = client.get("/s/quiet")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    links = [
        LINK.search(client.post("/s/quiet", data=hidden | {"website": "", "score": score}).text)
        for score in ("no", "yes")
    ]
    assert links[0]
    assert links[1]
    assert links[0][1] == links[1][1], "the receipt stays the same"
    row = session.scalars(select(Answer)).one()
    assert (row.score, row.revision) == (1, 2)
    assert forget_pages(session, utc_now()) == 0
    row.answered_at -= PAGE_KEPT
    session.flush()
    assert forget_pages(session, utc_now()) == 1


def test_nobody_can_be_invited(
    client: FlaskClient, survey: Survey, cast: Cast, make: Make, session: Session, now: datetime
) -> None:
    with pytest.raises(Refused, match="anonymous"):
        invite(session, survey, make.customer(), {}, now)
    session.commit()
    sign_in(client, cast.ada)
    page = client.get("/surveys/quiet")
    assert "Invite one customer" not in page.text
    assert "Nothing is kept that leads from an answer to a person" in words(page)
    refused = client.post("/surveys/quiet/invitations", data={"email": "maya@example.com"})
    assert refused.status_code == 409
    assert "This survey is anonymous" in words(refused)
    mailing = client.get("/surveys/quiet/mailings/new", follow_redirects=True)
    assert "This survey is anonymous" in words(mailing)


def test_programs_send_answers_without_persons_only(program: Program, survey: Survey, session: Session) -> None:
    plain = {"survey": "quiet", "score": "no", "comment": "Drafty.", "answered_at": "2026-10-11T14:05:33+00:00"}
    personal = {"customer_email": "maya@example.com", "customer_name": "Maya", "external_id": "t1"}
    for column, value in personal.items():
        assert f"leave {column} out" in program.send("answers", plain | {column: value}).text
    program.send("answers", plain | {"context": {"page": "/a?x=1", "agent": "Canaria"}})
    row = session.scalars(select(Answer)).one()
    assert (row.answered_at, row.context, row.external_id) == (datetime(2026, 10, 11, tzinfo=UTC), {"page": "/a"}, None)
    session.commit()
    assert "anonymous" in program.send("invitations", {"survey": "quiet", "customer_email": "maya@example.com"}).text


def test_files_are_taken_without_persons_only_and_once(
    survey: Survey, session: Session, sessions: Sessions, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("customer_email,comment\nmaya@example.com,Cold.\n,Draughty.\n")
    done = import_answers(sessions, settings, survey, path, utc_now())
    assert (done.added, done.rejected) == (1, 1)
    assert done.rejected_file
    assert "leave customer_email out" in done.rejected_file.read_text()
    assert import_answers(sessions, settings, survey, path, utc_now()).added == 0
    row = session.scalars(select(Answer)).one()
    assert row.received_at == day_of(utc_now())
    assert row.external_id
    assert "line" not in row.external_id
    raw = session.scalars(select(RawComment)).one()
    assert raw.expires_at == day_of(raw.expires_at)


def test_it_is_chosen_when_the_survey_is_made(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.ada)
    assert "cannot be changed later" in words(client.get("/surveys/new"))
    made = {"name": "Quiet", "slug": "quiet", "scale": "helpful"}
    client.post("/surveys/new", data=made | {"is_anonymous": "y"})
    client.post("/surveys/new", data=made | {"slug": "loud"})
    assert dict(session.execute(select(Survey.slug, Survey.is_anonymous)).all()) == {"quiet": True, "loud": False}


def test_staff_see_the_day_and_where_answers_came_from_once_there_are_several(
    client: FlaskClient, survey: Survey, cast: Cast, session: Session
) -> None:
    answer(client)
    staff = client.application.test_client()
    sign_in(staff, cast.vera)
    page = words(staff.get("/surveys/quiet"))
    assert "00:00" not in page
    assert "/help" not in page
    for number in range(4):
        answer(client, f"Remark {number}")
    assert "page: /help" in words(staff.get("/surveys/quiet"))
