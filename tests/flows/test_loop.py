"""The whole loop on real input, with the real model and a real mail server."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from feedback_loop import pipeline
from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, Status
from feedback_loop.app import create_app
from feedback_loop.complaints.models import Complaint, Refine, Statement
from feedback_loop.db import Sessions, reading
from feedback_loop.followups.models import Verdict, VerdictKind
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.pipeline import Context
from feedback_loop.reports.exports import export
from feedback_loop.responses.importing import import_answers
from feedback_loop.responses.models import Answer
from feedback_loop.settings import Settings
from tests.conftest import IN_CI
from tests.factories import Cast, Make, sign_in
from tests.smtp import Sink, running, text_of

BANKING77 = Path(os.environ.get("BANKING77", "../shared/data/banking77"))
LABELS = ("card_arrival", "lost_or_stolen_phone", "exchange_rate", "terminate_account", "top_up_failed", "age_limit")


def banking77(tmp_path: Path, each: int = 40) -> Path:
    """A slice as an import file: some labels, every text from a customer of its own."""
    source = BANKING77 / "train.csv"
    if not source.exists():
        if IN_CI:
            pytest.fail(f"{source} is missing; set BANKING77 to the folder of the data set.")
        pytest.skip("set BANKING77 to the folder of the Banking77 data set to run this")
    taken: Counter[str] = Counter()
    path = tmp_path / "slice.csv"
    with source.open(newline="", encoding="utf-8") as stream, path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["external_id", "customer_email", "customer_name", "score", "comment", "label"])
        for row in csv.DictReader(stream):
            label = row["category"]
            if label in LABELS and taken[label] < each:
                taken[label] += 1
                number = sum(taken.values())
                writer.writerow(
                    [f"b{number}", f"person{number}@example.com", f"Person {number}", "no", row["text"], label]
                )
    return path


def form_token(page: str) -> str:
    found = re.search(r'name="form_token"[^>]*value="([^"]+)"', page)
    assert found
    return found.group(1)


def close_and_send(staff: FlaskClient, item_id: int, closing: dict[str, str]) -> None:
    assert staff.post(f"/actions/{item_id}/close", data=closing).status_code in (302, 303)
    seen = re.search(r'name="seen" value="([^"]+)"', staff.get(f"/actions/{item_id}/run").get_data(as_text=True))
    assert seen
    sent = staff.post(f"/actions/{item_id}/run/release", data={"seen": seen.group(1)})
    assert sent.status_code in (302, 303)


def answer_follow_up(client: FlaskClient, mail_text: str, answer: str, comment: str = "") -> None:
    link = re.search(rf"http://localhost(/f/\S+)\?answer={answer}", mail_text)
    assert link
    page = client.get(f"{link.group(1)}?answer={answer}").get_data(as_text=True)
    data = {"answer": answer, "comment": comment, "form_token": form_token(page)}
    assert client.post(link.group(1), data=data).status_code == 303


def test_the_loop_from_import_to_reopened(
    make: Make, cast: Cast, sessions: Sessions, settings: Settings, tmp_path: Path, now: datetime
) -> None:
    path = banking77(tmp_path)
    survey = make.survey("help-centre")
    make.session.commit()
    with running(Sink()) as sink:
        settings = replace(settings, embedding_model="minilm", smtp_port=sink.port)
        context = Context(settings, sessions)  # the pages go by the real clock, so the worker must, too

        assert import_answers(sessions, settings, survey, path, now).added == 40 * len(LABELS)
        assert pipeline.understand(context) > 0
        run = pipeline.refine_now(context)
        assert run is not None
        assert (run.coverage or 0) > 0.8

        with reading(sessions) as session:
            complaints = session.scalars(select(Complaint)).all()
            items = session.scalars(select(ActionItem)).all()
            assert {item.complaint_id for item in items} == {complaint.id for complaint in complaints}
            largest = max(complaints, key=lambda complaint: complaint.statement_count)
            labels = Counter(
                answer.context["label"]
                for answer in session.scalars(
                    select(Answer).join(Statement).where(Statement.complaint_id == largest.id, Statement.position == 0)
                )
            )
            assert labels.most_common(1)[0][1] / labels.total() > 0.8, "the largest complaint is one problem"
            item = next(item for item in items if item.complaint_id == largest.id)
            people = largest.people_count

        app = create_app(settings, sessions)
        app.config["WTF_CSRF_ENABLED"] = False
        staff, customer = app.test_client(), app.test_client()
        sign_in(staff, cast.omar)
        closing = {
            "outcome": "fixed",
            "done": "Changed it.",
            "root_cause": "It was wrong.",
            "statement": "We have put this right for everybody.",
        }
        close_and_send(staff, item.id, closing)

        assert pipeline.send_mail(context) == people
        assert pipeline.send_mail(context) == 0
        assert len(sink.mails) == len({mail["To"] for mail in sink.mails}) == people
        with reading(sessions) as session:
            for mail in sink.mails[:5]:
                number = re.search(r"person(\d+)@", str(mail["To"]))
                assert number
                answer = session.scalars(select(Answer).where(Answer.external_id == f"b{number.group(1)}")).one()
                shown = " ".join(text_of(mail).replace(">", " ").split())
                assert f"Person {number.group(1)}" in shown
                said = session.scalars(
                    select(Statement.text).where(
                        Statement.answer_id == answer.id, Statement.complaint_id == item.complaint_id
                    )
                ).all()
                assert any(" ".join(text[:60].split()) in shown for text in said), (
                    "their own words about this complaint"
                )
                assert all(text in (answer.comment or "") for text in said)

        noes = 0
        while True:
            with reading(sessions) as session:
                if session.get_one(ActionItem, item.id).status == Status.REOPENED:
                    break
            answer_follow_up(customer, text_of(sink.mails[noes]), "no", "Still the same.")
            noes += 1
        with reading(sessions) as session:
            reopened = session.get_one(ActionItem, item.id)
            verdict = session.scalars(select(Verdict)).one()
            assert (reopened.reopened_count, verdict.kind, verdict.no) == (1, VerdictKind.NOT_FIXED, noes)
            kinds = session.scalars(
                select(ActionEvent.kind).where(ActionEvent.action_item_id == item.id).order_by(ActionEvent.id)
            ).all()
            assert [kind for kind in kinds if kind in ("opened", "closed", "reopened")] == [
                "opened",
                "closed",
                "reopened",
            ]
        assert "Not fixed" in staff.get(f"/actions/{item.id}").get_data(as_text=True)

        # A second closing tells them again, and enough yes verify it.
        close_and_send(staff, item.id, closing)
        assert pipeline.send_mail(context) == people
        for mail in sink.mails[people : people + 4]:
            answer_follow_up(customer, text_of(mail), "yes")
        with reading(sessions) as session:
            assert session.get_one(ActionItem, item.id).status == Status.VERIFIED

    with reading(sessions) as session:
        assert export(session, "statements", tmp_path / "statements.csv") >= 40 * len(LABELS)
        assert export(session, "answers", tmp_path / "answers.csv") == 40 * len(LABELS)
        assert export(session, "complaints", tmp_path / "complaints.csv") == len(complaints)
        assert export(session, "actions", tmp_path / "actions.csv") == len(items)
    with (tmp_path / "statements.csv").open(newline="", encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
        needed = {"answer_external_id", "position", "text", "complaint_id", "complaint_name", "confidence", "reason"}
        assert needed <= set(row)
    with (tmp_path / "answers.csv").open(newline="", encoding="utf-8") as stream:
        assert {"external_id", "score", "comment", "primary_complaint_id"} <= set(next(csv.DictReader(stream)))


def test_complaint_numbers_are_permanent_across_refines(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    """Two months of the same problems: what was known keeps its number, what is new gets a new one."""
    problems = {
        "zip": ["The zip of my rucksack broke", "My rucksack's zip broke again", "Broken zip on the new rucksack"],
        "refund": [
            "Still waiting for my refund",
            "My refund has not come",
            "No refund after three weeks, still waiting",
        ],
        "login": ["The app logs me out every day", "I get logged out of the app", "The app keeps logging me out"],
    }
    more = ["The rucksack zip broke on day one", "Where is my refund, still waiting", "Logged out of the app once more"]
    new = ["The tent pole snapped in light wind", "My tent pole snapped", "A tent pole snapped on the first night"]
    survey = make.survey()
    context = Context(replace(settings, embedding_model="minilm"), sessions, lambda: now)

    def hear(texts: list[str]) -> None:
        with sessions.begin() as session:
            for text in texts:
                from feedback_loop.responses.service import record_answer

                record_answer(
                    session,
                    survey,
                    score=0,
                    comment=text,
                    customer=None,
                    invitation=None,
                    context={},
                    external_id=None,
                    answered_at=now,
                    now=now,
                    settings=context.settings,
                )
        pipeline.understand(context)

    def places() -> dict[str, int | None]:
        with reading(sessions) as session:
            return dict(
                session.execute(select(Statement.text, Statement.complaint_id).where(Statement.position == 0)).all()
            )

    make.session.commit()
    hear([text for texts in problems.values() for text in texts])
    pipeline.refine_now(context)
    first = places()
    assert len(set(first.values())) == 3
    assert None not in first.values()

    hear(more)
    assert [places()[text] for text in more] == [first[texts[0]] for texts in problems.values()], "found at once"
    hear(new)
    pipeline.refine_now(context)
    second = places()
    assert {text: second[text] for text in first} == first
    assert len({second[text] for text in new}) == 1
    assert second[new[0]] not in first.values()
    with reading(sessions) as session:
        assert session.scalar(select(func.count()).select_from(Refine)) == 2
        assert session.scalar(select(func.count()).select_from(ActionItem)) == 4


def test_a_second_worker_does_not_refine_at_the_same_time(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    from feedback_loop.complaints.service.refine import LEASE, REFINE, RefineRunning
    from feedback_loop.jobs.claims import take_lease

    context = Context(settings, sessions, lambda: now)
    with sessions.begin() as session:
        assert take_lease(session, REFINE, now, LEASE, holder="another worker")
    with pytest.raises(RefineRunning):
        pipeline.refine_now(context)


def test_a_refine_that_breaks_off_changes_nothing(
    make: Make, sessions: Sessions, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feedback_loop.complaints.service import writing

    survey = make.survey()
    make.session.commit()
    for number in range(8):
        make.answer(f"The parcel {number} never came to me.", survey=survey, analysed_at=None)
    make.session.commit()
    context = Context(settings, sessions, lambda: now)
    pipeline.analyse(context)
    with reading(sessions) as session:
        before = dict(session.execute(select(Statement.id, Statement.complaint_id)).all())

    def break_off(*_args: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(writing, "count_changes", break_off)
    with pytest.raises(MemoryError):
        pipeline.refine_now(context)
    with reading(sessions) as session:
        assert dict(session.execute(select(Statement.id, Statement.complaint_id)).all()) == before
        assert session.scalar(select(func.count()).select_from(Complaint)) == 0
        failed = session.scalars(select(Refine)).one()
        assert failed.message == "MemoryError: no room"
    monkeypatch.undo()
    assert pipeline.refine_now(context) is not None, "the next one runs"


def test_closing_writes_one_notification_a_person_even_with_two_statements(
    make: Make, cast: Cast, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    item = make.raised_item(2, cast.delivery)
    person = make.customer("Maya Lind", "maya@example.com")
    for _ in range(3):
        make.statement(item.complaint, customer=person)
    closure = make.closure(item, cast.omar)
    make.session.commit()
    pipeline.send_mail(Context(replace(settings, mail_transport="mailbox"), sessions, lambda: now))
    with reading(sessions) as session:
        rows = session.scalars(select(Notification).where(Notification.event == closure.event)).all()
        assert len(rows) == 3
        assert {row.state for row in rows} == {NotificationState.SENT}
        assert session.scalar(select(func.count()).select_from(Closure)) == 1
