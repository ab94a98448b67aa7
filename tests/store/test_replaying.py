"""What happened after a backup and must hold after its restore: what went out, and what people took back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import ApiKey, Role, User
from feedback_loop.accounts.service import set_password
from feedback_loop.actions.audience.choosing import Reason
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.models import ActionEvent, Notice, NotificationRun, Outcome, RunPerson, RunState
from feedback_loop.actions.runs import service as runs
from feedback_loop.db import make_engine, make_sessions, sqlite_file
from feedback_loop.followups.models import Fixed, FollowUp
from feedback_loop.followups.service import record
from feedback_loop.inbound.models import Way
from feedback_loop.inbound.reading import Kind, Reading
from feedback_loop.inbound.service import handle
from feedback_loop.integrations.models import (
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointKind,
    IssueState,
    Tracker,
    TrackerComment,
    TrackerIssue,
    TrackerKind,
)
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.reports.status.erasing import erase
from feedback_loop.responses.mailings import service as mailings
from feedback_loop.responses.mailings.asking import ask_due
from feedback_loop.responses.mailings.models import Mailing, MailingState, Recipient, RecipientState
from feedback_loop.responses.mailings.reading import Person
from feedback_loop.responses.mailings.service import Plan
from feedback_loop.responses.models import Answer, Invitation
from feedback_loop.settings import Settings
from feedback_loop.store import replaying
from feedback_loop.store.backups import back_up
from feedback_loop.store.replaying import ASKED, GONE
from feedback_loop.store.restoring import RestoreFailed, restore
from tests.conftest import NOW
from tests.factories import Make
from tests.store.conftest import at_home

LATER = NOW + timedelta(hours=3)
DAY = timedelta(days=1)
TEXTS = {"done": "Changed the carrier.", "root_cause": "Labels smudged.", "statement": "Parcels carry two labels."}


def admin(session: Session) -> User:
    return session.scalars(select(User).order_by(User.id)).first()  # type: ignore[return-value]


def endpoint(make: Make, by: User, name: str = "Help desk") -> Endpoint:
    row = Endpoint(
        name=name, kind=EndpointKind.WEBHOOK, shown_url="https://x.example", sealed_url=b"old address", events=[],
        sealed_secret=b"old secret", created_by=by, created_at=NOW,
    )  # fmt: skip
    make.session.add(row)
    make.session.flush()
    return row


def send_all(session: Session, event_like: str = "%") -> None:
    """As the worker would."""
    session.execute(
        update(Notification)
        .where(Notification.event.like(event_like), Notification.state == NotificationState.PENDING)
        .values(state=NotificationState.SENT, sent_at=NOW)
    )


def test_deliveries_and_issues_that_went_out_since_do_not_go_out_again(home: Settings) -> None:
    with at_home(home) as make:
        by = make.user("Ada", Role.ADMIN)
        to, item = endpoint(make, by), make.item()
        tracker = Tracker(
            name="Board", kind=TrackerKind.GITHUB, base_url="", project="a/b", sealed_token=b"", hook_hash="h",
            sealed_hook=b"", created_by=by, created_at=NOW,
        )  # fmt: skip
        event = ActionEvent(action_item_id=item.id, kind="closed", text="Closed.", at=NOW)
        make.session.add_all([tracker, event])
        make.session.flush()
        for name in ("sent", "forgotten", "pending"):
            make.session.add(
                Delivery(
                    endpoint=to,
                    event_id=name,
                    type="a",
                    subject_id=1,
                    at=NOW,
                    created_at=NOW,
                    next_at=NOW,
                )
            )
        for marker in ("a" * 32, "b" * 32):
            issue = TrackerIssue(
                action_item_id=item.id, tracker=tracker, title="T", body="B", marker=marker, asked_by=by,
                created_at=NOW, changed_at=NOW, next_at=NOW,
            )  # fmt: skip
            make.session.add(issue)
            make.session.add(TrackerComment(issue=issue, event=event, created_at=NOW, next_at=NOW))
    file = back_up(home, None, NOW)
    with at_home(home) as make:
        session = make.session
        sent = {"state": DeliveryState.SENT, "sent_at": NOW, "code": 200}
        session.execute(update(Delivery).where(Delivery.event_id == "sent").values(**sent))
        session.delete(session.scalars(select(Delivery).where(Delivery.event_id == "forgotten")).one())
        made = session.scalars(select(TrackerIssue).where(TrackerIssue.marker == "a" * 32)).one()
        made.state, made.external_id, made.url = IssueState.DONE, "7", "https://x.example/7"
        comment = session.scalars(select(TrackerComment).where(TrackerComment.issue_id == made.id)).one()
        comment.state = IssueState.DONE
    done = restore(home, file, LATER)
    assert done.replayed is not None
    assert done.replayed.followed == 4
    with at_home(home) as make:
        session = make.session
        states = {row.event_id: (row.state, row.reason) for row in session.scalars(select(Delivery))}
        assert states == {
            "sent": (DeliveryState.SENT, ""),
            "forgotten": (DeliveryState.SKIPPED, GONE),
            "pending": (DeliveryState.PENDING, ""),
        }
        issues = session.scalars(select(TrackerIssue).order_by(TrackerIssue.id)).all()
        assert [(each.state, each.external_id) for each in issues] == [(IssueState.DONE, "7"), (IssueState.PENDING, "")]
        comments = session.scalars(select(TrackerComment).order_by(TrackerComment.issue_id))
        assert [each.state for each in comments] == [IssueState.DONE, IssueState.PENDING]


def test_words_in_answer_to_mails_about_an_answer_that_was_erased_since_do_not_come_back(home: Settings) -> None:
    with at_home(home) as make:
        session, by, item = make.session, make.user("Ada", Role.ADMIN), make.raised_item(2)
        item.owner = by
        closure = make.closure(item, by)
        told = session.scalars(select(Notification).where(Notification.event == closure.event)).all()
        for number, row in enumerate(told):
            make.sent(row)
            record(session, row, Fixed.NOT_SINCE, f"Canary {number} of the question.", NOW, home)
            reply = Reading(Kind.REPLY, "", message_ids=(row.message_id,), key=f"{number}")
            handle(session, home, reply, f"Canary {number} by mail.", Way.COMMAND, NOW)
    file = back_up(home, None, NOW)
    with at_home(home) as make:
        answer = make.session.scalars(select(Answer).order_by(Answer.id)).first()
        assert answer is not None
        assert erase(make.session, answer, NOW)
    restore(home, file, LATER)
    with at_home(home) as make:
        columns = (ActionEvent.text, Notice.text, FollowUp.comment, Notification.data)
        found = "".join(str(value) for column in columns for value in make.session.scalars(select(column)))
        assert "Canary 0" not in found
        assert "Canary 1 of the question" in found
        assert "Canary 1 by mail" in found


def test_people_who_were_told_of_a_closing_since_are_not_told_again(home: Settings) -> None:
    with at_home(home) as make:
        by, item = make.user("Ada", Role.ADMIN), make.raised_item(3)
        close(make.session, item, Closing(Outcome.FIXED, **TEXTS), by, NOW, home)
    file = back_up(home, None, NOW)
    with at_home(home) as make:
        run = make.session.scalars(select(NotificationRun)).one()
        first = make.session.scalars(select(RunPerson).order_by(RunPerson.customer_id)).first()
        assert first is not None
        runs.drop(make.session, run, first.customer_id, admin(make.session), NOW)
        assert runs.release(make.session, run, admin(make.session), NOW, home) == 2
        send_all(make.session)
    done = restore(home, file, LATER)
    assert done.replayed is not None
    assert done.replayed.remembered == 2
    with at_home(home) as make:
        run = make.session.scalars(select(NotificationRun)).one()
        assert run.state == RunState.REVIEW
        people = make.session.scalars(select(RunPerson).order_by(RunPerson.customer_id)).all()
        assert [(each.is_told, each.reason) for each in people] == [
            (True, ""), (False, Reason.TOLD.value), (False, Reason.TOLD.value),
        ]  # fmt: skip
        assert runs.release(make.session, run, admin(make.session), NOW, home) == 1, "whom nobody had told"


def test_a_run_that_waited_for_approval_and_was_sent_since_tells_nobody_again(file_home: Settings) -> None:
    with at_home(file_home) as make:
        by, item = make.user("Ada", Role.ADMIN), make.raised_item(2)
        close(make.session, item, Closing(Outcome.FIXED, **TEXTS), by, NOW, file_home)
        run = make.session.scalars(select(NotificationRun)).one()
        run.state, run.released_by, run.released_at = RunState.APPROVAL, by, NOW
    file = back_up(file_home, None, NOW)
    with at_home(file_home) as make:
        lena = make.user("Lena", Role.LEAD)
        runs.approve(make.session, make.session.scalars(select(NotificationRun)).one(), lena, NOW, file_home)
        send_all(make.session, "closure:%")
    restore(file_home, file, LATER)
    with at_home(file_home) as make:
        run = make.session.scalars(select(NotificationRun)).one()
        assert runs.approve(make.session, run, make.user("Lena", Role.LEAD), NOW, file_home) == 0
        told = make.session.scalars(select(Notification).where(Notification.event.like("closure:%"))).all()
        assert [each.state for each in told] == [NotificationState.SENT] * 2


@pytest.mark.parametrize("hold", [0, 30])
def test_a_run_that_was_taken_back_since_is_back_in_review(file_home: Settings, hold: int) -> None:
    from dataclasses import replace

    settings = replace(file_home, hold_minutes=30, approval_above=0 if hold else 1)
    with at_home(settings) as make:
        by, item = make.user("Ada", Role.ADMIN), make.raised_item(2)
        close(make.session, item, Closing(Outcome.FIXED, **TEXTS), by, NOW, settings)
        runs.release(make.session, make.session.scalars(select(NotificationRun)).one(), by, NOW, settings)
    file = back_up(settings, None, NOW)
    with at_home(settings) as make:
        lena = make.user("Lena", Role.LEAD)  # not in the backup
        runs.undo(make.session, make.session.scalars(select(NotificationRun)).one(), lena, NOW)
    done = restore(settings, file, LATER)
    assert done.replayed is not None
    assert done.replayed.taken_back == 1
    with at_home(settings) as make:
        run = make.session.scalars(select(NotificationRun)).one()
        assert (run.state, run.starts_at, run.released_at, run.undone_by_id) == (RunState.REVIEW, None, None, None)
        pending = select(Notification).where(
            Notification.event.like("closure:%"), Notification.state == NotificationState.PENDING
        )
        assert not make.session.scalars(pending).all()


def mailing_of(make: Make, settings: Settings, people: int) -> Mailing:
    by = make.user("Ada", Role.ADMIN)
    lines = [Person(line + 2, f"person{line}@example.com", f"Person {line}") for line in range(people)]
    plan = Plan(name="October", opens=0, closes=24, reminders=1, remind_after_days=2)
    mailing = mailings.draft(make.session, make.survey("order-delivered"), plan, lines, by, NOW, settings)
    mailings.start(make.session, mailing, people, NOW, settings)
    return mailing


def batch(settings: Settings, moment: object) -> None:
    """As the worker does."""
    engine = make_engine(settings.database_url)
    ask_due(make_sessions(engine), settings, moment)  # type: ignore[arg-type]
    with make_sessions(engine).begin() as session:
        send_all(session)
    engine.dispose()


def test_people_who_were_asked_since_are_not_asked_again(file_home: Settings) -> None:
    with at_home(file_home) as make:
        mailing_of(make, file_home, 2)
    file = back_up(file_home, None, NOW)
    batch(file_home, NOW)
    with at_home(file_home) as make:
        # The second one's turn has not come there.
        second = make.session.scalars(select(Recipient).order_by(Recipient.id.desc())).first()
        assert second is not None
        second.state, second.invitation_id, second.next_at = RecipientState.WAITING, None, NOW
        make.session.execute(update(Mailing).values(state=MailingState.SENDING, ended_at=None))
    done = restore(file_home, file, LATER)
    assert done.replayed is not None
    assert done.replayed.remembered == 1
    batch(file_home, LATER)
    with at_home(file_home) as make:
        people = make.session.scalars(select(Recipient).order_by(Recipient.id)).all()
        assert [(each.state, each.reason) for each in people] == [
            (RecipientState.LEFT_OUT, ASKED), (RecipientState.ASKED, ""),
        ]  # fmt: skip


def test_people_who_were_reminded_since_are_not_reminded_again(home: Settings) -> None:
    with at_home(home) as make:
        mailing_of(make, home, 2)
    batch(home, NOW)
    file = back_up(home, None, NOW)
    batch(home, NOW + 3 * DAY)
    done = restore(home, file, NOW + 3 * DAY)
    assert done.replayed is not None
    assert done.replayed.remembered == 2
    for days in range(4, 9):
        batch(home, NOW + days * DAY)
    with at_home(home) as make:
        mails = make.session.scalars(select(Notification).where(Notification.event.like("%:reminder:%"))).all()
        assert len(mails) == 2, "one each, which are those that went out"
        assert {each.created_at for each in mails} == {NOW + 3 * DAY}
        assert set(make.session.scalars(select(Recipient.reminded))) == {1}


def test_a_mailing_that_was_stopped_since_asks_nobody(file_home: Settings) -> None:
    with at_home(file_home) as make:
        mailing_of(make, file_home, 2)
    file = back_up(file_home, None, NOW)
    with at_home(file_home) as make:
        mailings.stop(make.session, make.session.scalars(select(Mailing)).one(), NOW)
    restore(file_home, file, LATER)
    batch(file_home, LATER)
    with at_home(file_home) as make:
        assert make.session.scalars(select(Mailing.state)).one() == MailingState.STOPPED
        assert set(make.session.scalars(select(Recipient.state))) == {RecipientState.LEFT_OUT}
        assert not make.session.scalars(select(Invitation)).all()


def test_rights_that_were_taken_back_since_stay_taken_back(home: Settings) -> None:
    with at_home(home) as make:
        make.user("Ada", Role.ADMIN)
        for name in ("Gone", "Leaked", "Lowered", "Same"):
            make.user(name, Role.LEAD, reads_raw=name == "Lowered")
        make.api_key(by=admin(make.session))
        for name in ("removed", "paused", "rotated"):
            endpoint(make, admin(make.session), name)
    file = back_up(home, None, NOW)
    with at_home(home) as make:
        session = make.session
        people = {user.name: user for user in session.scalars(select(User))}
        people["Gone"].is_active = False
        set_password(session, people["Leaked"], "a new hash")
        epoch = people["Leaked"].session_epoch
        people["Lowered"].role, people["Lowered"].reads_raw = Role.VIEWER, False
        people["Same"].role = Role.ADMIN  # given since: lost, as all that was given
        key = session.scalars(select(ApiKey)).one()
        key.revoked_at, key.revoked_by_id = NOW, make.user("Newcomer", Role.ADMIN).id
        ends = {each.name: each for each in session.scalars(select(Endpoint))}
        session.delete(ends["removed"])
        ends["paused"].paused_at = NOW
        ends["rotated"].sealed_secret = b"new secret"
    done = restore(home, file, LATER)
    assert done.replayed is not None
    assert done.replayed.taken_back == 7
    with at_home(home) as make:
        session = make.session
        people = {user.name: user for user in session.scalars(select(User))}
        assert not people["Gone"].is_active
        assert (people["Leaked"].password_hash, people["Leaked"].session_epoch) == ("a new hash", epoch)
        assert (people["Lowered"].role, people["Lowered"].reads_raw) == (Role.VIEWER, False)
        assert (people["Same"].role, people["Same"].is_active) == (Role.LEAD, True)
        key = session.scalars(select(ApiKey)).one()
        assert (key.revoked_at, key.revoked_by_id) == (NOW, people["Ada"].id)
        ends = {each.name: each for each in session.scalars(select(Endpoint))}
        assert (ends["removed"].paused_at, ends["paused"].paused_at, ends["rotated"].paused_at) == (LATER, NOW, None)
        assert ends["rotated"].sealed_secret == b"new secret"


def test_numbers_that_were_given_since_are_not_given_again(home: Settings) -> None:
    with at_home(home) as make:
        make.answer("Before.", survey=make.survey())
        make.complaint()
    file = back_up(home, None, NOW)
    with at_home(home) as make:
        lost = make.answer("After.", survey=make.survey("lost")).id, make.complaint("lost").id
    restore(home, file, LATER)
    with at_home(home) as make:
        fresh = make.answer("Fresh.", survey=make.survey("fresh")).id, make.complaint("fresh").id
        assert fresh[1] > lost[1]
        if sqlite_file(home.database_url) is None:  # SQLite numbers answers by those that are there
            assert fresh[0] > lost[0], "events outside are named by it"


@pytest.mark.parametrize("where", ["erase", "hold"])
def test_a_disk_that_is_full_half_way_is_told_from_a_present_database_that_cannot_be_read(
    file_home: Settings, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    from feedback_loop.reports.status.erasing import erase

    def full(*_args: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    with at_home(file_home) as make:
        make.answer("Ann: the parcel never came.")
    file = back_up(file_home, None, NOW)
    with at_home(file_home) as make:
        erase(make.session, make.session.scalars(select(Answer)).one(), NOW)
    path = sqlite_file(file_home.database_url)
    assert path is not None
    before = path.read_bytes()
    if where == "erase":
        monkeypatch.setattr(replaying, "erase", full)
    else:
        monkeypatch.setattr("feedback_loop.store.restoring.migrate", full)
        monkeypatch.setattr("feedback_loop.store.restoring.head", lambda _engine: "later")
    with pytest.raises(RestoreFailed, match=r"disk is full\. Is there space\? Nothing was changed") as caught:
        restore(file_home, file, LATER)
    assert "--without-present" not in str(caught.value), "which would bring back what was erased"
    assert path.read_bytes() == before
    assert not [each for each in path.parent.iterdir() if "restoring" in each.name]
