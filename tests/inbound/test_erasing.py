"""Whoever erases an answer erases what they wrote in answer to the mails about it, wherever it is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback_loop.actions.colleagues.mails import send_digests
from feedback_loop.actions.models import ActionEvent, Notice, NotificationRun, Outcome
from feedback_loop.actions.runs import service as runs
from feedback_loop.db import Sessions
from feedback_loop.followups.erasing import ERASED_WORDS, without
from feedback_loop.followups.models import Fixed, FollowUp
from feedback_loop.followups.service import record
from feedback_loop.inbound.erasing import ERASED_REPLY
from feedback_loop.inbound.models import InboundMail
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import Owed, compose, owe
from feedback_loop.reports.status.erasing import erase
from feedback_loop.responses.models import Answer, AnswerVersion, Customer
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.inbound import mails
from tests.inbound.conftest import Take
from tests.pages import words

Back = Callable[[Notification], str]
EraseOne = Callable[..., None]
CANARY = "My canary drowned in it"


@pytest.fixture
def told(make: Make, cast: Cast) -> list[Notification]:
    """Two people who were told that something is fixed. Committed."""
    item = make.raised_item(2, cast.delivery)
    item.owner = cast.omar
    closure = make.closure(item, cast.omar)
    rows = make.session.scalars(select(Notification).where(Notification.event == closure.event))
    found = [make.sent(row) for row in rows.all()]
    make.session.commit()
    return found


@pytest.fixture
def erase_one(session: Session, sessions: Sessions, now: datetime) -> EraseOne:
    """Erase an answer of a customer, or of whom a mail is for, in a transaction of its own; the latest by default."""

    def erase_answer(whose: Notification | Customer, which: int = 0) -> None:
        session.commit()
        number = whose.id if isinstance(whose, Customer) else int(whose.recipient.partition(":")[2])
        with sessions.begin() as own:
            theirs = select(Answer).where(Answer.customer_id == number).order_by(Answer.answered_at.desc())
            assert erase(own, own.scalars(theirs).all()[which], now)

    return erase_answer


def everything(session: Session) -> str:
    """All that people may read, or be sent."""
    columns = (ActionEvent.text, Notice.text, InboundMail.words, FollowUp.comment, Notification.data)
    found = [str(value) for column in columns for value in session.scalars(select(column))]
    session.commit()
    return "\n".join(found)


def entry(session: Session) -> ActionEvent:
    return session.scalars(select(ActionEvent).where(ActionEvent.kind == "reply")).one()


def test_a_reply_goes_out_of_the_history_and_of_what_colleagues_are_told(
    make: Make,
    told: list[Notification],
    come_in: Take,
    back: Back,
    now: datetime,
    erase_one: EraseOne,
    client: FlaskClient,
    cast: Cast,
) -> None:
    session = make.session
    come_in(mails.reply(back(told[0]), f"{CANARY}."))
    come_in(mails.reply(back(told[1]), "Mine is well.", message_id="<r2@mail.example.com>"))
    assert CANARY in everything(session)
    erase_one(told[0])
    assert CANARY not in everything(session)
    entries = session.scalars(select(ActionEvent).where(ActionEvent.kind == "reply").order_by(ActionEvent.id)).all()
    assert [each.text for each in entries] == [ERASED_REPLY, "Mine is well."]
    notices = session.scalars(select(Notice.text).where(Notice.kind == "reply").order_by(Notice.id)).all()
    assert notices == [f"A customer answered by mail: {ERASED_WORDS}", "A customer answered by mail: “Mine is well.”"]
    item_id = entries[0].action_item_id
    session.commit()
    sign_in(client, cast.lena)
    page = client.get(f"/actions/{item_id}")
    assert ERASED_REPLY in words(page)
    assert f">{ERASED_REPLY}</p></blockquote>" not in page.text, "nobody said this"


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_digest_that_quotes_the_reply_loses_it_before_and_after_it_goes_out(
    make: Make,
    told: list[Notification],
    come_in: Take,
    back: Back,
    now: datetime,
    erase_one: EraseOne,
    sessions: Sessions,
    settings: Settings,
    is_sent: bool,
) -> None:
    session = make.session
    come_in(mails.reply(back(told[0]), f"{CANARY}."))
    morning = now.replace(hour=settings.digest_hour) + timedelta(days=1)
    send_digests(sessions, settings, morning)
    digest = session.scalars(select(Notification).where(Notification.kind == "staff_digest")).first()
    assert digest is not None
    assert CANARY in compose(digest, settings).text
    if is_sent:
        make.sent(digest)
    erase_one(told[0])
    assert CANARY not in everything(session)
    session.refresh(digest)
    assert ERASED_WORDS in compose(digest, settings).text
    assert digest.state == (NotificationState.SENT if is_sent else NotificationState.PENDING)


def test_a_reply_to_a_mail_that_quotes_another_answer_stays(
    make: Make, cast: Cast, come_in: Take, back: Back, now: datetime, erase_one: EraseOne
) -> None:
    session = make.session
    item = make.raised_item(1, cast.delivery)
    customer = session.scalars(select(Customer)).one()
    make.statement(item.complaint, "It came wet.", customer=customer, said_at=now - timedelta(days=9))
    closure = make.closure(item, cast.omar)
    mail = make.sent(session.scalars(select(Notification).where(Notification.event == closure.event)).one())
    come_in(mails.reply(back(mail), f"{CANARY}."))
    erase_one(mail, which=1)
    assert entry(session).text == f"{CANARY}."
    erase_one(mail)
    assert CANARY not in everything(session)


def test_of_two_answers_in_the_same_words_the_moment_says_which_was_quoted(
    make: Make, cast: Cast, come_in: Take, back: Back, now: datetime, erase_one: EraseOne
) -> None:
    session = make.session
    complaint, customer = make.complaint(), make.customer()
    for days in (2, 1):
        make.statement(complaint, "Late again.", customer=customer, said_at=now - timedelta(days=days))
    closure = make.closure(make.item(complaint, cast.delivery), cast.omar)
    mail = make.sent(session.scalars(select(Notification).where(Notification.event == closure.event)).one())
    come_in(mails.reply(back(mail), f"{CANARY}."))
    erase_one(mail, which=1)
    assert CANARY in everything(session)
    erase_one(mail)
    assert CANARY not in everything(session)


def test_replies_of_one_moment_from_before_entries_named_their_mail_are_told_apart(
    make: Make, told: list[Notification], come_in: Take, back: Back, now: datetime, erase_one: EraseOne
) -> None:
    session = make.session
    come_in(mails.reply(back(told[1]), "Mine is well."))
    come_in(mails.reply(back(told[0]), f"{CANARY}.", message_id="<r2@mail.example.com>"))
    for each in session.scalars(select(ActionEvent).where(ActionEvent.kind == "reply")):
        each.data = {name: value for name, value in each.data.items() if name != "mail_id"}
    erase_one(told[0])
    assert CANARY not in everything(session)
    assert "Mine is well." in everything(session)


def test_a_reply_to_the_invitation_goes_with_the_answer_it_asked_for(
    make: Make,
    cast: Cast,
    come_in: Take,
    back: Back,
    now: datetime,
    erase_one: EraseOne,
    settings: Settings,
    client: FlaskClient,
) -> None:
    session = make.session
    customer = make.customer()
    invitation, _ = make.invitation(customer=customer)
    other, _ = make.invitation(customer=customer)
    for each in (invitation, other):
        owed = Owed(each.recipient, customer.email, customer.name, {"links": {}})
        owe(session, "invitation", "mailing:9", [owed], next_at=now, now=now, settings=settings, rank=Rank.INVITATION)
    asked = session.scalars(select(Notification).order_by(Notification.id)).all()
    for row in asked:
        make.sent(row)
    make.answer("", invitation.survey, customer, invitation_id=invitation.id)
    come_in(mails.reply(back(asked[0]), f"{CANARY}."))
    come_in(mails.reply(back(asked[1]), "Not now.", message_id="<r2@mail.example.com>"))
    erase_one(customer)
    assert CANARY not in everything(session)
    sign_in(client, cast.lena)
    page = words(client.get("/settings/replies"))
    assert ERASED_REPLY in page
    assert "Not now." in page


@pytest.mark.parametrize("outcome", [Outcome.FIXED, Outcome.DECLINED])
def test_what_they_said_of_the_fix_keeps_yes_or_no_and_loses_its_words(
    make: Make, cast: Cast, settings: Settings, now: datetime, erase_one: EraseOne, outcome: Outcome
) -> None:
    session = make.session
    item = make.raised_item(4, cast.delivery)
    item.owner = cast.omar
    closure = make.closure(item, cast.omar, outcome)
    rows = session.scalars(
        select(Notification).where(Notification.event == closure.event).order_by(Notification.id)
    ).all()
    for number, row in enumerate(rows):
        make.sent(row)
        record(session, row, Fixed.NO, f"{CANARY}, {number}.", now, settings)
    assert everything(session).count(f"{CANARY}, 0.") >= 2, "in the answer, and in the history or what people are told"
    erase_one(rows[0])
    assert f"{CANARY}, 0." not in everything(session)
    assert f"{CANARY}, 1." in everything(session)
    assert {each.fixed for each in session.scalars(select(FollowUp))} == {Fixed.NO}
    assert len(session.scalars(select(FollowUp)).all()) == 4


@pytest.mark.parametrize("outcome", [Outcome.FIXED, Outcome.DECLINED])
@pytest.mark.parametrize("now_said", ["Come and see.", ""])
def test_words_about_the_fix_that_they_replaced_are_quoted_nowhere(
    make: Make, cast: Cast, settings: Settings, now: datetime, erase_one: EraseOne, outcome: Outcome, now_said: str
) -> None:
    session = make.session
    item = make.raised_item(4, cast.delivery)
    item.owner = cast.omar
    closure = make.closure(item, cast.omar, outcome)
    rows = session.scalars(select(Notification).where(Notification.event == closure.event)).all()
    for number, row in enumerate(rows):
        make.sent(row)
        record(session, row, Fixed.NO, f"{CANARY}, {number}.", now, settings)
    for row in rows:
        record(session, row, Fixed.NO, now_said, now, settings)
    assert CANARY not in everything(session)
    if now_said:
        assert everything(session).count(now_said) > 4, "the history, or what colleagues are told, quotes it"
    for row in rows:
        erase_one(row)
    assert "Come and see." not in everything(session)


def test_the_mail_a_colleague_sent_themselves_to_try_it_is_not_sent_with_the_words(
    make: Make, cast: Cast, settings: Settings, now: datetime, erase_one: EraseOne
) -> None:
    session = make.session
    complaint, customer = make.complaint(), make.customer()
    make.statement(complaint, f"{CANARY}.", customer=customer)
    closure = make.closure(make.item(complaint, cast.delivery), cast.omar)
    run = session.scalars(select(NotificationRun).where(NotificationRun.closure_id == closure.id)).one()
    runs.send_test(session, run, customer.id, cast.omar, now, settings)
    session.flush()
    trial = session.scalars(select(Notification).where(Notification.rank == Rank.TEST)).one()
    assert CANARY in str(trial.data)
    erase_one(customer)
    assert CANARY not in everything(session)
    session.refresh(trial)
    assert trial.state == NotificationState.SKIPPED


def test_a_sentence_of_an_earlier_version_goes_as_well(
    make: Make, cast: Cast, now: datetime, erase_one: EraseOne
) -> None:
    session = make.session
    complaint, customer = make.complaint(), make.customer()
    said = make.statement(complaint, f"{CANARY}.", customer=customer)
    closure = make.closure(make.item(complaint, cast.delivery), cast.omar)
    before = now - timedelta(days=1)
    session.add(
        AnswerVersion(
            answer_id=said.answer_id, revision=1, comment=f"Late again. {CANARY}.", sign="sent", answered_at=before,
            replaced_at=now,
        )
    )  # fmt: skip
    session.execute(update(Answer).values(comment="All well."))
    said.text, said.said_at = "All well.", now
    mail = session.scalars(select(Notification).where(Notification.event == closure.event)).one()
    mail.data = mail.data | {"said_at": before.isoformat()}
    session.flush()
    erase_one(mail)
    assert CANARY not in everything(session)


def test_a_quote_is_found_where_the_text_ends_in_it() -> None:
    quote = "“It fails as it did, and as it always has.”"
    assert without(f"They say: {quote} Twice.", quote) == f"They say: {ERASED_WORDS} Twice."
    cut = ("x" * 490 + quote)[:500]
    assert without(cut, quote) == "x" * 490 + ERASED_WORDS
    assert without("They say: “It works.”", quote) == "They say: “It works.”"
