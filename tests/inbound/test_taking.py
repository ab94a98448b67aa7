"""What follows from mails that come in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from feedback_loop.actions.audience.choosing import Reason
from feedback_loop.actions.audience.facts import bounced, no_mail
from feedback_loop.actions.closing.queries import telling
from feedback_loop.actions.models import ActionEvent, ActionItem, Closure, Notice, Status
from feedback_loop.db import Sessions
from feedback_loop.followups.models import Fixed, VerdictKind
from feedback_loop.followups.queries import figures, tallies, tally, verdict_of
from feedback_loop.followups.service import record
from feedback_loop.inbound import taking
from feedback_loop.inbound.bounces import RETRY_AFTER
from feedback_loop.inbound.models import InboundMail, Way
from feedback_loop.inbound.reading import Kind
from feedback_loop.inbound.replies import MOST
from feedback_loop.inbound.service import KEPT, UNKNOWN, forget_mails
from feedback_loop.jobs.claims import Claim
from feedback_loop.notifications.again import retry
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.delivering import record_sent
from feedback_loop.notifications.models import Cause, Notification, NotificationState, Scope, Suppression
from feedback_loop.notifications.queries import suppressed
from feedback_loop.notifications.service import Owed, drain_outbox, owe
from feedback_loop.notifications.suppressing import suppress
from feedback_loop.responses.models import Customer
from feedback_loop.settings import Settings
from tests.factories import Cast, Make
from tests.inbound import mails
from tests.inbound.conftest import Take
from tests.smtp import Sink, running

Back = Callable[[Notification], str]
HELD = timedelta(seconds=30)


@pytest.fixture
def told(make: Make, cast: Cast) -> list[Notification]:
    """Two people who were told that something is fixed. Committed."""
    item = make.raised_item(2, cast.delivery)
    item.owner = cast.omar
    closure = make.closure(item, cast.omar)
    rows = list(make.session.scalars(select(Notification).where(Notification.event == closure.event).order_by(
        Notification.id)))  # fmt: skip
    for row in rows:
        row.attempts = 1
        make.sent(row)
    make.session.commit()
    return rows


def item_of(session: Session) -> ActionItem:
    return session.scalars(select(ActionItem)).one()


def told_closure(session: Session) -> Closure:
    return session.scalars(select(Closure)).one()


def only(session: Session) -> Suppression:
    return session.scalars(select(Suppression)).one()


def events(session: Session, kind: str) -> list[ActionEvent]:
    return list(session.scalars(select(ActionEvent).where(ActionEvent.kind == kind)))


def test_a_mail_that_came_back_is_not_told_and_its_address_gets_nothing_more(
    make: Make, told: list[Notification], come_in: Take, back: Back, now: datetime
) -> None:
    session, first = make.session, told[0]
    done = come_in(mails.dsn(back(first), returned=""))
    assert done.kind == Kind.BOUNCE
    session.refresh(first)
    assert (first.state, first.bounced_at) == (NotificationState.BOUNCED, now)
    assert "5.1.1 550 5.1.1 no such person here" in first.reason
    row = only(session)
    assert (row.address, row.scope, row.cause) == (first.address, Scope.EVERYTHING, Cause.BOUNCED)
    assert row.notification_id == first.id
    found = figures(session, told_closure(session))
    assert (found.tally.asked, found.standing.told) == (1, 1)
    unsent = telling(session, told_closure(session)).unsent
    assert [(each.people, each.reason) for each in unsent] == [(1, "the mail to them came back.")]


def test_the_same_report_changes_nothing_the_second_time(
    make: Make, told: list[Notification], come_in: Take, back: Back, now: datetime
) -> None:
    session, raw = make.session, mails.dsn(back(told[0]))
    come_in(raw)
    session.refresh(told[0])
    fence = told[0].fence
    session.commit()
    assert not come_in(raw, now + timedelta(hours=1)).is_new
    other = mails.dsn(back(told[0]), message_id="<another@mx.example.net>")
    assert come_in(other, now + timedelta(hours=1)).is_new
    session.refresh(told[0])
    assert (told[0].fence, told[0].bounced_at) == (fence, now)
    assert session.scalar(select(func.count()).select_from(Suppression)) == 1


def test_what_has_no_signature_of_ours_changes_nothing(
    make: Make, told: list[Notification], come_in: Take, back: Back, settings: Settings
) -> None:
    right = back(told[0])
    forged = right.replace(right.partition(".")[2][:4], "0000")
    for number, raw in enumerate(
        (
            mails.dsn(forged, returned="", message_id="<x1@x.example>"),
            mails.qmail(forged),
            mails.dsn("loop@fernhill.example", returned="<0@other.example>", message_id="<x3@x.example>"),
            mails.arf("loop+1.0123456789abcdef@fernhill.example"),
        )
    ):
        done = come_in(raw)
        assert (done.kind, done.reason) == (Kind.UNCLEAR, UNKNOWN), number
    make.session.refresh(told[0])
    assert told[0].state == NotificationState.SENT
    assert make.session.scalar(select(func.count()).select_from(Suppression)) == 0


def test_words_of_a_server_count_only_at_an_address_of_ours(
    make: Make, told: list[Notification], come_in: Take, back: Back
) -> None:
    raw = mails.qmail("loop@fernhill.example").replace(b"Subject: failure", b"References: %s\r\nSubject: failure" % (
        told[0].message_id.encode()))  # fmt: skip
    assert come_in(raw).kind == Kind.UNCLEAR
    assert come_in(mails.qmail(back(told[0]))).kind == Kind.BOUNCE


def test_a_report_without_an_address_of_ours_is_known_by_what_it_brings_back(
    make: Make, told: list[Notification], come_in: Take
) -> None:
    come_in(mails.dsn("care@fernhill.example", returned=told[1].message_id))
    make.session.refresh(told[1])
    assert told[1].state == NotificationState.BOUNCED


def test_a_report_of_a_mail_of_long_ago_changes_nothing(
    make: Make, told: list[Notification], come_in: Take, back: Back, now: datetime
) -> None:
    done = come_in(mails.dsn(back(told[0])), now + timedelta(days=15))
    assert done.kind == Kind.BOUNCE
    assert "so long ago" in done.reason
    make.session.refresh(told[0])
    assert told[0].state == NotificationState.SENT


def test_a_refusal_that_is_about_us_leaves_the_address_in_use(
    make: Make, told: list[Notification], come_in: Take, back: Back
) -> None:
    come_in(mails.dsn(back(told[0]), "5.7.1", diagnostic="smtp; 554 5.7.1 policy"))
    make.session.refresh(told[0])
    assert told[0].state == NotificationState.BOUNCED
    assert make.session.scalar(select(func.count()).select_from(Suppression)) == 0


def test_what_came_back_for_now_is_sent_again_under_its_message_id_and_given_up_in_the_end(
    make: Make, told: list[Notification], come_in: Take, back: Back, now: datetime
) -> None:
    session, first, at = make.session, told[0], now
    message_id = first.message_id
    for number, wait in enumerate(RETRY_AFTER):
        at += timedelta(minutes=5)
        come_in(mails.dsn(back(first), "4.2.2", diagnostic="", message_id=f"<soft{number}@mx.example>"), at)
        session.refresh(first)
        assert (first.state, first.next_at, first.sent_at) == (NotificationState.PENDING, at + wait, None)
        assert first.message_id == message_id
        at += wait
        first.state, first.sent_at = NotificationState.SENT, at
        session.commit()
    come_in(mails.dsn(back(first), "4.2.2", diagnostic="", message_id="<last@mx.example>"), at)
    session.refresh(first)
    assert first.state == NotificationState.FAILED
    assert first.reason.startswith("Came back, given up: 4.2.2")
    assert session.scalar(select(func.count()).select_from(Suppression)) == 0


def test_what_came_back_after_72_hours_or_holds_no_longer_is_not_sent_again(
    make: Make, told: list[Notification], come_in: Take, back: Back, now: datetime
) -> None:
    session = make.session
    come_in(mails.dsn(back(told[0]), "4.4.7", message_id="<a@mx.example>"), now + timedelta(hours=73))
    item_of(session).status = Status.REOPENED
    session.commit()
    come_in(mails.dsn(back(told[1]), "4.4.7", message_id="<b@mx.example>"), now)
    for row in told:
        session.refresh(row)
        assert row.state == NotificationState.FAILED


def test_a_mail_that_is_under_way_again_is_not_put_back_once_more(
    make: Make, told: list[Notification], come_in: Take, back: Back
) -> None:
    come_in(mails.dsn(back(told[0]), "4.2.2", message_id="<a@mx.example>"))
    come_in(mails.dsn(back(told[0]), "4.2.2", message_id="<b@mx.example>"))
    make.session.refresh(told[0])
    assert told[0].state == NotificationState.PENDING
    come_in(mails.dsn(back(told[0])))
    make.session.refresh(told[0])
    assert told[0].state == NotificationState.BOUNCED


def test_reports_that_change_nothing_and_absences_are_only_counted(
    make: Make, told: list[Notification], come_in: Take, back: Back
) -> None:
    come_in(mails.dsn(back(told[0]), "4.4.1", "delayed"))
    come_in(mails.dsn(back(told[0]), "2.0.0", "delivered", message_id="<d@mx.example>"))
    come_in(mails.reply(back(told[0]), "I am away.", headers="Auto-Submitted: auto-replied\n"))
    make.session.refresh(told[0])
    assert told[0].state == NotificationState.SENT
    kinds = make.session.scalars(select(InboundMail.kind).order_by(InboundMail.id)).all()
    assert kinds == [Kind.NEWS, Kind.NEWS, Kind.AUTO_REPLY]
    assert events(make.session, "reply") == []


def test_who_calls_a_mail_spam_gets_no_more_about_feedback(
    make: Make, told: list[Notification], come_in: Take, back: Back
) -> None:
    come_in(mails.arf(back(told[0])).replace(mails.OUR_ID.encode(), told[0].message_id.encode()))
    row = only(make.session)
    assert (row.address, row.scope, row.cause) == (told[0].address, Scope.FEEDBACK, Cause.COMPLAINED)
    make.session.refresh(told[0])
    assert told[0].state == NotificationState.SENT


def test_a_reply_reaches_the_item_redacted_and_without_quotes(
    make: Make, told: list[Notification], come_in: Take, back: Back, cast: Cast
) -> None:
    session = make.session
    text = "Mine came without, call me at +44 20 7946 0958 or maya.lind@example.com."
    done = come_in(mails.gmail(back(told[0]), text, attachment=b"\xff" * 3000))
    assert done.kind == Kind.REPLY
    event = events(session, "reply")[0]
    assert event.text == "Mine came without, call me at [phone] or [email]."
    assert (event.by_id, event.data["attachments"]) == (None, 1)
    notice = session.scalars(select(Notice).where(Notice.kind == "reply")).one()
    assert (notice.user_id, notice.is_urgent) == (cast.omar.id, False)
    assert notice.text == f"A customer answered by mail: “{event.text}”"
    kept = session.scalars(select(InboundMail)).one()
    assert (kept.words, kept.sender, kept.subject) == ("", "", "")
    assert kept.action_item_id == event.action_item_id
    session.commit()
    assert not come_in(mails.gmail(back(told[0]), text)).is_new
    assert len(events(session, "reply")) == 1


def test_a_reply_to_whom_nobody_listens_reaches_the_leads(
    make: Make, told: list[Notification], come_in: Take, back: Back, cast: Cast
) -> None:
    item_of(make.session).owner = None
    make.session.commit()
    come_in(mails.reply(back(told[0])))
    notice = make.session.scalars(select(Notice).where(Notice.kind == "reply")).one()
    assert notice.user_id == cast.lena.id


@pytest.mark.parametrize("text", ["Stop", "  UNSUBSCRIBE! ", "Bitte abmelden.", "配信停止"])
def test_a_reply_that_only_says_stop_unsubscribes(
    make: Make, told: list[Notification], come_in: Take, back: Back, text: str
) -> None:
    assert come_in(mails.reply(back(told[0]), text)).kind == Kind.STOP
    row = only(make.session)
    assert (row.scope, row.cause) == (Scope.FEEDBACK, Cause.ASKED)
    assert events(make.session, "reply") == []


def test_a_reply_that_belongs_to_no_item_is_kept_for_leads(
    make: Make, cast: Cast, come_in: Take, back: Back, now: datetime, settings: Settings
) -> None:
    session = make.session
    customer = make.customer()
    owed = Owed("invitation:1", customer.email, customer.name, {"links": {}})
    owe(session, "invitation", "mailing:9", [owed], next_at=now, now=now, settings=settings, rank=Rank.INVITATION)
    row = make.sent(session.scalars(select(Notification)).one())
    session.commit()
    come_in(mails.reply(back(row), "Who are you? Write to me@example.com."))
    kept = session.scalars(select(InboundMail)).one()
    assert (kept.kind, kept.words, kept.action_item_id) == (Kind.REPLY, "Who are you? Write to [email].", None)


def test_a_colleague_who_answers_with_stop_is_not_unsubscribed(
    make: Make, cast: Cast, come_in: Take, back: Back, now: datetime, settings: Settings
) -> None:
    session = make.session
    owed = Owed(f"user:{cast.omar.id}", cast.omar.email, "Omar", {})
    owe(session, "staff_digest", "digest:1", [owed], next_at=now, now=now, settings=settings, rank=Rank.STAFF)
    row = make.sent(session.scalars(select(Notification)).one())
    session.commit()
    assert come_in(mails.reply(back(row), "Stop")).kind == Kind.REPLY
    come_in(mails.arf(back(row)).replace(mails.OUR_ID.encode(), row.message_id.encode()))
    assert session.scalar(select(func.count()).select_from(Suppression)) == 0


def test_more_replies_than_any_person_writes_stop_at_the_item(
    make: Make, told: list[Notification], come_in: Take, back: Back
) -> None:
    for number in range(MOST + 2):
        come_in(mails.reply(back(told[0]), f"No {number}.", message_id=f"<n{number}@example.com>"))
    assert len(events(make.session, "reply")) == MOST
    assert make.session.scalar(select(func.count()).where(InboundMail.kind == Kind.AUTO_REPLY)) == 2


def test_who_was_asked_in_vain_counts_as_not_asked_and_the_rest_decide(
    make: Make, cast: Cast, come_in: Take, back: Back, now: datetime, settings: Settings
) -> None:
    session = make.session
    later = replace(settings, follow_up_after_days=3)
    make.settings = later
    item = make.raised_item(2, cast.delivery)
    closure = make.closure(item, cast.omar)
    told = list(session.scalars(select(Notification).order_by(Notification.id)))
    for row in told:
        make.sent(row)
    asked = []
    for row in told:
        owed = Owed(row.recipient, row.address, row.name, {"links": {}})
        owe(session, "follow_up", closure.follow_up_event, [owed], next_at=now, now=now, settings=later)
        question = session.scalars(select(Notification).where(Notification.recipient == row.recipient,
            Notification.event == closure.follow_up_event)).one()  # fmt: skip
        asked.append(make.sent(question))
    record(session, told[0], Fixed.YES, "", now, later)
    session.commit()
    assert (tally(session, closure).asked, verdict_of(session, closure)) == (2, None)
    session.commit()
    come_in(mails.dsn(back(asked[1])))
    session.expire_all()
    assert figures(session, closure).tally.asked == tallies(session, [closure])[closure.id].asked == 1
    verdict = verdict_of(session, closure)
    assert verdict is not None
    assert verdict.kind == VerdictKind.VERIFIED
    session.commit()
    come_in(mails.dsn(back(asked[0]), message_id="<z@mx.example>"))  # who answered by the first mail was asked
    session.expire_all()
    assert figures(session, closure).tally.asked == 1


def test_a_run_leaves_out_whose_mails_come_back_for_that_reason(make: Make, cast: Cast, now: datetime) -> None:
    session = make.session
    gone, asked, both = make.customer("Gone"), make.customer("Asked"), make.customer("Both")
    for person in (gone, both):
        suppress(session, person.email, "5.1.1", now, scope=Scope.EVERYTHING, cause=Cause.BOUNCED)
    for person in (asked, both):
        suppress(session, person.email, "by link", now)
    assert set(session.scalars(select(Customer.id).where(no_mail()))) == {asked.id, both.id}
    assert set(session.scalars(select(Customer.id).where(bounced()))) == {gone.id}
    assert Reason.BOUNCED.value == "bounced"


def test_of_two_reasons_the_wider_scope_holds_and_the_persons_own_wish(make: Make, now: datetime) -> None:
    session = make.session
    suppress(session, "A@example.com", "5.1.1 unknown", now, scope=Scope.EVERYTHING, cause=Cause.BOUNCED)
    assert suppressed(session, ["a@example.com"], Scope.EVERYTHING) == {"a@example.com"}
    suppress(session, "a@example.com", "by link", now)
    row = only(session)
    assert (row.scope, row.cause, row.reason) == (Scope.EVERYTHING, Cause.ASKED, "by link")
    suppress(session, "a@example.com", "5.1.1 unknown", now, scope=Scope.EVERYTHING, cause=Cause.BOUNCED)
    assert (only(session).cause, only(session).reason) == (Cause.ASKED, "by link")


def test_mails_to_colleagues_stop_only_where_everything_does(
    make: Make, cast: Cast, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    session = make.session
    for user in (cast.omar, cast.olga):
        data = {"subject": "x", "sections": [], "day": "", "settings_url": "", "links": {}}
        owed = Owed(f"user:{user.id}", user.email, user.name, data)
        owe(session, "staff_digest", "digest:1", [owed], next_at=now, now=now, settings=settings, rank=Rank.STAFF)
    suppress(session, cast.omar.email, "by link", now)
    suppress(session, cast.olga.email, "5.1.1", now, scope=Scope.EVERYTHING, cause=Cause.BOUNCED)
    session.commit()
    with running(Sink()) as sink:
        own = replace(settings, smtp_host="127.0.0.1", smtp_port=sink.port)
        drain_outbox(sessions, own, lambda: now)
    reasons = dict(session.execute(select(Notification.address, Notification.reason)).all())
    assert reasons[cast.olga.email] == "Mails to this address come back."
    assert reasons[cast.omar.email] != "This person asked for no more mail."


def test_a_mail_that_cannot_be_handled_is_set_aside_and_one_without_a_database_is_not(
    make: Make, told: list[Notification], come_in: Take, back: Back, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def broken(*_: object) -> None:
        raise RuntimeError("secret words of maya@example.com")

    with monkeypatch.context() as patch:
        patch.setattr(taking, "handle", broken)
        done = come_in(mails.reply(back(told[0])))
    assert done.kind == Kind.UNCLEAR
    assert done.reason.startswith("It could not be handled (RuntimeError at ")
    assert "maya" not in caplog.text
    assert not come_in(mails.reply(back(told[0]))).is_new

    def away(*_: object) -> None:
        raise OperationalError("select", {}, Exception("gone"))

    monkeypatch.setattr(taking, "handle", away)
    with pytest.raises(OperationalError):
        come_in(mails.dsn(back(told[0])))
    assert make.session.scalar(select(func.count()).select_from(InboundMail)) == 1


def test_what_came_in_is_forgotten_in_time_but_for_replies(
    make: Make, told: list[Notification], come_in: Take, back: Back, now: datetime
) -> None:
    come_in(mails.reply(back(told[0])))
    come_in(b"From: x@example.com\nSubject: Buy\nAuto-Submitted: auto-generated\n\nNow")
    session = make.session
    assert forget_mails(session, now + KEPT) == 0
    assert forget_mails(session, now + KEPT + timedelta(seconds=1)) == 1
    assert session.scalars(select(InboundMail.way)).all() == [Way.COMMAND]


def test_a_report_may_come_before_we_know_that_the_mail_is_out(
    make: Make, told: list[Notification], come_in: Take, back: Back, sessions: Sessions, now: datetime
) -> None:
    """The worker holds both mails: the server has them, and answered with a report before it wrote so."""
    session = make.session
    for row in told:
        row.state, row.sent_at, row.fence, row.claimed_until = NotificationState.PENDING, None, 1, now + HELD
    session.commit()
    claims = [Claim(row.id, row.fence) for row in told]
    come_in(mails.dsn(back(told[0])))
    come_in(mails.dsn(back(told[1]), "4.2.2", diagnostic="", message_id="<soft@mx.example>"))
    for claim in claims:
        record_sent(sessions, claim, now)
    for row in told:
        session.refresh(row)
    assert (told[0].state, told[0].sent_at, told[0].bounced_at) == (NotificationState.BOUNCED, now, now)
    assert "5.1.1" in told[0].reason
    assert (told[1].state, told[1].sent_at, told[1].next_at) == (
        NotificationState.PENDING, None, now + RETRY_AFTER[0]
    )  # fmt: skip
    assert told[1].claimed_until is None
    told[1].fence, told[1].claimed_until = 3, now + HELD
    session.commit()
    record_sent(sessions, Claim(told[1].id, 3), now + RETRY_AFTER[0])
    session.refresh(told[1])
    assert (told[1].state, told[1].reason) == (NotificationState.SENT, "")


def test_what_came_back_before_it_was_sent_anew_by_hand_does_not_count(
    make: Make, told: list[Notification], come_in: Take, back: Back, now: datetime
) -> None:
    session, first = make.session, told[0]
    for number in range(4):
        come_in(mails.dsn(back(first), "4.2.2", diagnostic="", message_id=f"<s{number}@mx.example>"), now)
    first.state, first.reason, first.sent_at = NotificationState.FAILED, "Came back, given up", None
    session.commit()
    later = now + timedelta(days=5)
    assert retry(session, first.event, later) == 1
    session.refresh(first)
    first.state, first.sent_at, first.attempts = NotificationState.SENT, later, 1
    session.commit()
    come_in(mails.dsn(back(first), "4.2.2", diagnostic="", message_id="<new@mx.example>"), later)
    session.refresh(first)
    assert (first.state, first.next_at) == (NotificationState.PENDING, later + RETRY_AFTER[0])


def test_two_workers_that_read_one_mail_at_once_take_it_once(
    make: Make, told: list[Notification], back: Back, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    raw = mails.reply(back(told[0]))
    make.session.commit()
    begin = threading.Barrier(4)

    def read_it() -> bool:
        begin.wait()
        return taking.take(sessions, settings, raw, Way.MAILBOX, now).is_new

    with ThreadPoolExecutor(4) as pool:
        done = [each.result() for each in [pool.submit(read_it) for _ in range(4)]]
    assert sorted(done) == [False, False, False, True]
    assert len(events(make.session, "reply")) == 1
    assert make.session.scalar(select(func.count()).select_from(Notice).where(Notice.kind == "reply")) == 1
