"""One answer at which the program fails holds up no other, and is set aside with its reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from feedback_loop import mail
from feedback_loop.analysis.embedding.embedder import EmbedderUnavailable
from feedback_loop.analysis.embedding.loading import load_embedder
from feedback_loop.complaints.service import analyse
from feedback_loop.complaints.service.analyse import LEASE, analyse_pending
from feedback_loop.db import Sessions
from feedback_loop.jobs.claims import claim
from feedback_loop.notifications.claiming import DIED, MOST_DEATHS, claim_mails
from feedback_loop.notifications.delivering import lease_of
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import drain_outbox
from feedback_loop.responses import redacting
from feedback_loop.responses.models import Answer, Invitation
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.responses.service import record_answer
from feedback_loop.responses.waiting import MOST_TRIES
from feedback_loop.settings import Settings
from feedback_loop.watching import stuck
from tests.factories import Make

LATER = LEASE + timedelta(seconds=1)


def rows(session: Any, model: Any) -> list[Any]:
    session.expire_all()
    found = list(session.scalars(select(model).order_by(model.id)))
    session.commit()  # on SQLite nobody else writes until then
    return found


def answers(session: Any) -> list[Answer]:
    return rows(session, Answer)


def say(make: Make, *comments: str, invitation: Invitation | None = None) -> None:
    """Take in what was typed, as pages do."""
    survey = invitation.survey if invitation else make.survey()
    for comment in comments:
        record_answer(
            make.session, survey, score=0, comment=comment, customer=None, invitation=invitation, context={},
            external_id=None, answered_at=make.now, now=make.now, settings=make.settings,
        )  # fmt: skip
    make.session.commit()


def fails_at(word: str, real: Callable[..., Any], error: type[Exception]) -> Callable[..., Any]:
    def run(text: Any, *rest: Any) -> Any:
        if word in str(text):
            raise error("no such thing")
        return real(text, *rest)

    return run


def test_an_answer_that_cannot_be_redacted_is_set_aside_and_those_behind_it_go_on(
    sessions: Sessions, settings: Settings, make: Make, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(make, "The zip broke", "poison", "The bag is wet")
    monkeypatch.setattr(redacting, "redact", fails_at("poison", redacting.redact, ValueError))
    for turn in range(MOST_TRIES + 1):
        redact_pending(sessions, settings, now + turn * LATER)
    first, second, third = answers(make.session)
    assert first.redacted_at == third.redacted_at == now
    assert (first.attempts, first.trouble) == (0, "")
    assert second.redacted_at is None
    assert second.set_aside_at == now + MOST_TRIES * LATER
    assert (
        second.trouble == "Blanking out personal details of it failed (ValueError); the log of the worker says where."
    )
    assert redact_pending(sessions, settings, now + 9 * LATER) == 0, "nobody tries it any more"


def test_an_answer_that_cannot_be_analysed_is_set_aside_and_those_beside_it_are_analysed_at_once(
    sessions: Sessions, settings: Settings, make: Make, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        make.answer("poison" if number == 3 else f"The zip broke {number}", analysed_at=None)
    make.session.commit()
    monkeypatch.setattr(analyse, "classify", fails_at("poison", analyse.classify, KeyError))
    embedder = load_embedder("toy")
    assert analyse_pending(sessions, embedder, lambda: now) == 6
    for turn in range(1, MOST_TRIES + 1):
        assert analyse_pending(sessions, embedder, lambda at=now + turn * LATER: at) == 0  # type: ignore[misc]
    poison = answers(make.session)[3]
    assert poison.analysed_at is None
    assert poison.set_aside_at == now + MOST_TRIES * LATER
    assert poison.trouble.startswith("Analysing it failed (KeyError)")


def test_an_answer_at_which_the_process_dies_is_found_without_blaming_those_beside_it(
    sessions: Sessions, make: Make, now: datetime
) -> None:
    """Dying leaves a claim that nobody gives back. After two of a batch each is tried alone."""
    from feedback_loop.responses.waiting import claim_answers, to_analyse

    for number in range(3):
        make.answer(f"The zip broke {number}", analysed_at=None)
    make.session.commit()
    poison = answers(make.session)[1].id
    sizes, moment = [], now
    for _turn in range(20):
        with sessions.begin() as session:
            claims = claim_answers(session, to_analyse(), 100, moment, LEASE)
        sizes.append(len(claims))
        if claims and poison not in {each.id for each in claims}:
            with sessions.begin() as session:  # it lived, and did it
                session.get_one(Answer, claims[0].id).analysed_at = moment
        moment += LATER
    assert sizes[:3] == [3, 3, 1]
    first, second, third = answers(make.session)
    assert first.analysed_at is not None
    assert third.analysed_at is not None
    assert (second.analysed_at, second.trouble) == (None, "")
    assert second.set_aside_at is not None


@pytest.mark.parametrize(
    "error", [EmbedderUnavailable("no model"), OperationalError("x", {}, Exception()), MemoryError()]
)
def test_what_is_no_answers_fault_blames_none(
    sessions: Sessions, make: Make, now: datetime, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    make.answer("The zip broke", analysed_at=None)
    make.session.commit()

    def fail(*_args: Any) -> None:
        raise error

    embedder = load_embedder("toy")
    with monkeypatch.context() as broken:
        broken.setattr(analyse, "place", fail)
        for _turn in range(MOST_TRIES + 3):
            with pytest.raises(type(error)):
                analyse_pending(sessions, embedder, lambda: now)
    assert analyse_pending(sessions, embedder, lambda: now) == 1


def test_with_another_key_answers_wait_and_go_on_with_the_right_one(
    sessions: Sessions, settings: Settings, make: Make, now: datetime
) -> None:
    from dataclasses import replace

    say(make, "The zip broke", "The bag is wet")
    other = replace(settings, secret_key="another")
    moment = now
    for _turn in range(MOST_TRIES + 3):
        assert redact_pending(sessions, other, moment) == 0
        moment += LATER
    assert all("SECRET_KEY" in row.trouble and row.set_aside_at is None for row in answers(make.session))
    assert redact_pending(sessions, settings, moment) == 2


def test_who_changes_an_answer_that_was_set_aside_is_read(
    sessions: Sessions, settings: Settings, make: Make, now: datetime
) -> None:
    invitation, _ = make.invitation()
    say(make, "poison", invitation=invitation)
    (row,) = answers(make.session)
    row.attempts, row.set_aside_at = 5, now
    make.session.commit()
    say(make, "The bag is wet", invitation=invitation)
    assert redact_pending(sessions, settings, now) == 1


def test_a_claim_of_a_clock_that_ran_ahead_does_not_hold_for_a_day(
    sessions: Sessions, make: Make, now: datetime
) -> None:
    make.answer("The zip broke", analysed_at=None)
    make.session.commit()
    due = [Answer.analysed_at.is_(None)]
    ahead = now + timedelta(days=1)
    for moment, count in ((ahead, 1), (now, 1), (now + timedelta(seconds=1), 0)):
        with sessions.begin() as session:
            assert len(claim(session, Answer, due, [Answer.id], 10, moment, LEASE)) == count


def test_a_worker_that_is_to_end_lets_go_of_the_answers_it_is_at(sessions: Sessions, make: Make, now: datetime) -> None:
    for number in range(9):
        make.answer(f"The zip of jacket {number} broke.", analysed_at=None)
    make.session.commit()
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 3  # in the middle of the batch

    assert analyse_pending(sessions, load_embedder("toy"), lambda: now, stop=stop) == 0
    assert len(asked) == 3
    make.session.rollback()
    found = answers(make.session)
    assert {(each.analysed_at, each.claimed_until, each.attempts, each.trouble) for each in found} == {
        (None, None, 0, "")
    }
    assert analyse_pending(sessions, load_embedder("toy"), lambda: now) == 9


class Killed(BaseException):
    """What no worker catches."""


class Taking(mail.MailboxTransport):
    """Takes every mail."""

    def send(self, message: mail.Message, moment: datetime) -> None:
        pass


def test_a_mail_at_which_the_process_dies_is_set_aside_and_those_beside_it_go_out(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    for number in range(6):
        make.notification(f"closure:{number}", make.customer(f"Person {number}", f"p{number}@example.com"))
    make.session.commit()
    sent: list[str] = []

    class Dying(mail.MailboxTransport):
        def send(self, message: mail.Message, moment: datetime) -> None:
            if message.address == "p2@example.com":
                raise Killed
            sent.append(message.address)

    moment, deaths = now, 0
    for _turn in range(9):
        try:
            drain_outbox(sessions, settings, lambda at=moment: at, Dying(settings))  # type: ignore[misc]
        except Killed:
            deaths += 1
        moment += lease_of(settings) + timedelta(seconds=1)
    assert sorted(sent) == [f"p{number}@example.com" for number in (0, 1, 3, 4, 5)]
    assert deaths == MOST_DEATHS
    poison = rows(make.session, Notification)[2]
    assert (poison.state, poison.reason) == (NotificationState.FAILED, DIED)


def test_mails_that_were_claimed_by_workers_that_were_killed_go_out_one_by_one_and_none_is_blamed(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    for number in range(25):
        make.notification(f"closure:{number}", make.customer(f"Person {number}", f"p{number}@example.com"))
    make.session.commit()
    lease, moment = timedelta(seconds=30), now
    for _kill in range(2):
        with sessions.begin() as session:
            assert len(claim_mails(session, 20, moment, lease, suspected_first=False)) == 20
        moment += lease + timedelta(seconds=1)
    with sessions.begin() as session:
        assert len(claim_mails(session, 20, moment, lease, suspected_first=False)) == 5, "new ones do not wait"
        assert len(claim_mails(session, 20, moment, lease, suspected_first=False)) == 1
    assert drain_outbox(sessions, settings, lambda: moment + 2 * lease, Taking(settings)).sent == 25
    assert {row.deaths for row in rows(make.session, Notification)} == {0}


def test_a_mail_that_a_server_puts_off_is_above_suspicion(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    row = make.notification(deaths=MOST_DEATHS - 1)
    make.session.commit()

    class Busy(mail.MailboxTransport):
        def send(self, message: mail.Message, moment: datetime) -> None:
            raise mail.TryLater("451 later")

    drain_outbox(sessions, settings, lambda: now, Busy(settings))
    make.session.refresh(row)
    assert (row.state, row.deaths) == (NotificationState.PENDING, 0)


def test_a_mail_that_was_set_aside_so_is_tried_again_when_asked(make: Make, sessions: Sessions, now: datetime) -> None:
    row = make.notification(state=NotificationState.FAILED, reason=DIED, deaths=MOST_DEATHS)
    make.session.commit()
    with sessions.begin() as session:
        assert stuck.KINDS["mails"].retry(session, [row.id], now) == 1
    make.session.refresh(row)
    assert (row.state, row.deaths) == (NotificationState.PENDING, 0)
