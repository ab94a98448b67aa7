"""Settings, Stuck: what does not go on by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.jobs.models import StepRun
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import Answer, RawComment
from feedback_loop.responses.raw import seal
from feedback_loop.settings import Settings
from feedback_loop.watching.models import StuckDecision
from tests.factories import Cast, Make, sign_in
from tests.pages import words


@pytest.fixture(autouse=True)
def worker_runs(session: Session) -> None:
    session.add(StepRun(name="search", every_seconds=1, ended_at=utc_now(), runs=1))
    session.commit()


def aside(make: Make, settings: Settings, comment: str | None = "The zip broke") -> Answer:
    row = make.answer(comment or "", analysed_at=None)
    row.set_aside_at, row.attempts, row.trouble = make.now, 5, "Analysing it failed (ValueError)."
    if comment is None:
        row.comment, row.redacted_at = None, None
        make.session.add(
            RawComment(answer_id=row.id, sealed=seal("secret", settings.secret_key, make.now), expires_at=make.now)
        )
    make.session.commit()
    return row


def test_nothing_is_stuck(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.ada)
    page = words(client.get("/settings/stuck"))
    assert "Nothing is stuck." in page
    assert "No worker is running" not in page


@pytest.mark.parametrize("has_run", [True, False])
def test_without_a_worker_the_page_says_what_to_do(
    client: FlaskClient, cast: Cast, session: Session, has_run: bool
) -> None:
    row = session.scalars(select(StepRun)).one()
    if has_run:
        row.ended_at = utc_now() - timedelta(hours=1)
    else:
        session.delete(row)
    session.commit()
    sign_in(client, cast.ada)
    page = words(client.get("/settings/stuck"))
    assert "No worker is running" in page
    assert "Start feedback-loop worker" in page
    assert ("The last one was seen" in page) is has_run


def test_a_step_that_fails_is_named(client: FlaskClient, cast: Cast, session: Session) -> None:
    session.add(
        StepRun(name="send mail", every_seconds=2, ended_at=utc_now(), failing_since=utc_now(), failures_in_a_row=7,
                error="OperationalError")
    )  # fmt: skip
    session.commit()
    sign_in(client, cast.ada)
    page = words(client.get("/settings/stuck"))
    assert "send mail It fails (OperationalError) and is tried again by itself." in page
    assert "7 times" in page


def test_only_admins_see_it(client: FlaskClient, cast: Cast, make: Make, settings: Settings) -> None:
    aside(make, settings)
    sign_in(client, cast.lena)
    assert client.get("/settings/stuck").status_code == 403
    assert client.post("/settings/stuck/answers/retry").status_code == 403
    assert "Something is stuck" not in words(client.get("/"))


def test_the_home_page_of_an_admin_says_that_something_is_stuck(
    client: FlaskClient, cast: Cast, make: Make, settings: Settings
) -> None:
    make.answer()
    make.session.commit()
    sign_in(client, cast.ada)
    assert "Something is stuck" not in words(client.get("/"))
    aside(make, settings)
    assert "Something is stuck" in words(client.get("/"))


def test_an_answer_is_tried_again(client: FlaskClient, cast: Cast, make: Make, settings: Settings) -> None:
    row = aside(make, settings)
    sign_in(client, cast.ada)
    page = words(client.get("/settings/stuck"))
    assert "Answers that were set aside: 1" in page
    assert "Analysing it failed (ValueError)." in page
    assert "The zip broke" not in page
    response = client.post("/settings/stuck/answers/retry", data={"id": row.id}, follow_redirects=True)
    assert "1 thing is tried again." in words(response)
    make.session.refresh(row)
    assert (row.set_aside_at, row.attempts, row.trouble) == (None, 0, "")
    make.session.commit()
    assert "It is not stuck any more." in words(
        client.post("/settings/stuck/answers/retry", data={"id": row.id}, follow_redirects=True)
    )


@pytest.mark.parametrize("comment", ["The zip broke", None])
def test_an_answer_is_given_up_after_a_question_and_with_a_reason(
    client: FlaskClient, cast: Cast, make: Make, settings: Settings, comment: str | None
) -> None:
    row = aside(make, settings, comment)
    sign_in(client, cast.ada)
    page = client.get(f"/settings/stuck/answers/discard?id={row.id}")
    assert "Give this up?" in words(page)
    refused = client.post("/settings/stuck/answers/discard", data={"id": row.id, "why": " "})
    assert refused.status_code == 400
    assert "Enter why it is given up." in words(refused)
    make.session.refresh(row)
    assert row.set_aside_at is not None
    make.session.commit()
    done = client.post(
        "/settings/stuck/answers/discard", data={"id": row.id, "why": "Only signs"}, follow_redirects=True
    )
    assert "1 thing is given up." in words(done)
    assert "Ada gave up 1 of “Answers that were set aside”" in words(done)
    assert "Only signs" in words(done)
    make.session.refresh(row)
    assert (row.set_aside_at, row.comment) == (None, comment or "")
    assert row.analysed_at is not None
    assert row.redacted_at is not None
    assert make.session.get(RawComment, row.id) is None
    decision = make.session.scalars(select(StuckDecision)).one()
    assert (decision.verb, decision.by_id, decision.row_id) == ("discard", cast.ada.id, row.id)


def test_all_failed_mails_are_tried_again_but_those_that_were_erased(
    client: FlaskClient, cast: Cast, make: Make, now: datetime
) -> None:
    for number in range(25):
        make.notification(event=f"closure:{number}", state=NotificationState.FAILED, reason="550 no", attempts=9)
    erased = make.notification(event="closure:99", state=NotificationState.FAILED, reason="550 no")
    erased.data = {**erased.data, "is_erased": "yes"}
    make.session.commit()
    sign_in(client, cast.ada)
    page = words(client.get("/settings/stuck"))
    assert "Mails that failed: 26" in page
    assert "The first 20 are shown." in page
    assert "25 things are tried again." in words(client.post("/settings/stuck/mails/retry", follow_redirects=True))
    make.session.expire_all()
    rows = make.session.scalars(select(Notification).where(Notification.state == NotificationState.PENDING)).all()
    assert len(rows) == 25
    assert {(row.attempts, row.reason) for row in rows} == {(0, "")}


def test_a_mail_that_is_long_in_trying_is_given_up(client: FlaskClient, cast: Cast, make: Make, now: datetime) -> None:
    row = make.notification(attempts=7, reason="451 later")
    row.created_at = utc_now() - timedelta(hours=7)
    make.session.commit()
    sign_in(client, cast.ada)
    assert "451 later" in words(client.get("/settings/stuck"))
    client.post("/settings/stuck/tried-mails/discard", data={"id": "", "why": "Shut down"})
    make.session.refresh(row)
    assert (row.state, row.reason) == (NotificationState.SKIPPED, "Given up by a colleague: Shut down")


@pytest.mark.parametrize(
    "path", ["/settings/stuck/none/retry", "/settings/stuck/none/discard", "/settings/stuck/mails/discard?id=x"]
)
def test_an_unknown_list_or_row_is_not_found(client: FlaskClient, cast: Cast, path: str) -> None:
    sign_in(client, cast.ada)
    call = client.post if path.endswith("retry") else client.get
    assert call(path).status_code == 404


def test_a_mail_that_is_being_sent_at_this_moment_is_left_to_its_worker(
    client: FlaskClient, cast: Cast, make: Make
) -> None:
    """Taken from under the worker that sends it, it would go out twice, or be called given up although it went out."""
    row = make.notification(attempts=7, reason="451 later")
    row.created_at, row.claimed_until = utc_now() - timedelta(hours=7), utc_now() + timedelta(minutes=1)
    make.session.commit()
    before = row.fence
    sign_in(client, cast.ada)
    for verb in ("retry", "discard"):
        said = client.post(
            f"/settings/stuck/tried-mails/{verb}", data={"id": row.id, "why": "Enough"}, follow_redirects=True
        )
        assert "it is being tried at this moment" in words(said)
    make.session.refresh(row)
    assert (row.state, row.fence, row.reason) == (NotificationState.PENDING, before, "451 later")
    make.session.commit()


def test_a_mail_that_was_erased_says_why_it_is_not_tried_again(client: FlaskClient, cast: Cast, make: Make) -> None:
    row = make.notification(state=NotificationState.FAILED, reason="550 no")
    row.data = {**row.data, "is_erased": "yes"}
    make.session.commit()
    sign_in(client, cast.ada)
    said = client.post("/settings/stuck/mails/retry", data={"id": row.id}, follow_redirects=True)
    assert "its author has erased it" in words(said)


def test_the_home_page_says_that_no_worker_runs_also_before_the_first_answer(
    client: FlaskClient, cast: Cast, session: Session, make: Make
) -> None:
    sign_in(client, cast.ada)
    assert "No worker is running" not in words(client.get("/"))
    session.delete(session.scalars(select(StepRun)).one())
    session.commit()
    first = words(client.get("/"))
    assert "Four steps" in first
    assert "No worker is running: answers are not read, and no mail goes out." in first
    make.answer()
    make.session.commit()
    later = words(client.get("/"))
    assert "What needs you today?" in later
    assert "No worker is running" in later


def test_a_step_that_ended_in_the_future_does_not_count_as_a_running_worker(
    client: FlaskClient, cast: Cast, session: Session
) -> None:
    """A clock that ran ahead has been set back since: what it wrote says nothing of today."""
    session.scalars(select(StepRun)).one().ended_at = utc_now() + timedelta(days=1)
    session.commit()
    sign_in(client, cast.ada)
    assert "No worker is running" in words(client.get("/settings/stuck"))
    session.add(StepRun(name="send mail", every_seconds=2, ended_at=utc_now(), runs=1))
    session.commit()
    assert "No worker is running" not in words(client.get("/settings/stuck"))


def test_steps_of_an_earlier_release_are_forgotten(sessions: Sessions, session: Session) -> None:
    from feedback_loop.jobs.steps import Steps

    session.add(StepRun(name="of long ago", every_seconds=1, ended_at=utc_now(), failing_since=utc_now(), runs=1))
    session.commit()
    Steps().forget_unknown(sessions, ["search", "send mail"])
    assert session.scalars(select(StepRun.name)).all() == ["search"]
    session.commit()
