"""Who may read what a customer typed, for how long, and what is noted of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, select

from feedback_loop.accounts.models import RawRightChange, User
from feedback_loop.accounts.queries import raw_right_changes
from feedback_loop.accounts.service import set_reads_raw
from feedback_loop.db import Sessions
from feedback_loop.responses.models import Answer, RawComment, RawReading
from feedback_loop.responses.originals import Destroyed, NoRight, destroy_expired, read_raw
from feedback_loop.responses.queries import readings, with_original
from feedback_loop.responses.raw import RawTextUnreadable
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.responses.service import Refused, record_answer
from feedback_loop.settings import Settings
from tests.factories import Cast, Make

TYPED = "Call me on +44 20 7946 0123."
WHY = "She asks to be called back."


def typed(make: Make, now: datetime, settings: Settings, comment: str = TYPED) -> Answer:
    """An answer as a customer sends it, which waits to be redacted."""
    answer_id = record_answer(
        make.session, make.survey(), score=0, comment=comment, customer=None, invitation=None, context={},
        external_id=None, answered_at=now, now=now, settings=settings,
    )  # fmt: skip
    return make.session.get_one(Answer, answer_id)


def redacted(make: Make, sessions: Sessions, now: datetime, settings: Settings, comment: str = TYPED) -> Answer:
    """The same after the worker was there."""
    answer = typed(make, now, settings, comment)
    make.session.commit()
    assert redact_pending(sessions, settings, now) == 1
    make.session.refresh(answer)
    return answer


@pytest.fixture
def lena(cast: Cast, make: Make, now: datetime) -> User:
    """Lena, to whom Ada gave the right."""
    set_reads_raw(make.session, cast.lena, True, cast.ada, now)
    make.session.commit()
    return cast.lena


def logged(make: Make) -> list[RawReading]:
    return list(make.session.scalars(select(RawReading)))


def test_nobody_has_the_right_by_their_role(cast: Cast) -> None:
    assert not any(user.reads_raw for user in (cast.ada, cast.lena, cast.omar, cast.olga, cast.vera))


def test_giving_and_taking_the_right_is_logged_once_each(make: Make, cast: Cast, now: datetime) -> None:
    for given in (True, True, False, False):
        set_reads_raw(make.session, cast.ada, given, cast.ada, now)
    assert not cast.ada.reads_raw
    changes = raw_right_changes(make.session, 50)
    assert [(each.user.name, each.by.name, each.given, each.at) for each in changes] == [
        ("Ada", "Ada", False, now),
        ("Ada", "Ada", True, now),
    ]


def test_the_right_is_not_given_to_who_cannot_sign_in_but_taken_from_them(
    make: Make, cast: Cast, now: datetime
) -> None:
    cast.omar.is_active = False
    with pytest.raises(ValueError, match="Omar cannot sign in"):
        set_reads_raw(make.session, cast.omar, True, cast.ada, now)
    assert not make.session.scalars(select(RawRightChange)).all()
    cast.omar.reads_raw = True
    set_reads_raw(make.session, cast.omar, False, cast.ada, now)
    assert not cast.omar.reads_raw


def test_a_reading_gives_the_text_and_is_logged_without_it(
    make: Make, sessions: Sessions, lena: User, now: datetime, settings: Settings
) -> None:
    answer = redacted(make, sessions, now, settings)
    assert answer.comment == "Call me on [phone]."
    later = now + timedelta(days=29)
    assert read_raw(make.session, answer, lena, f" {WHY} ", later, settings) == TYPED
    (reading,) = readings(make.session, 1).rows
    assert (reading.answer, reading.by, reading.at, reading.why) == (answer, lena, later, WHY)
    read_raw(make.session, answer, lena, "Once more.", later, settings)
    assert [each.why for each in readings(make.session, 1).rows] == ["Once more.", WHY]


def test_nothing_is_read_without_the_right(
    make: Make, sessions: Sessions, cast: Cast, now: datetime, settings: Settings
) -> None:
    answer = redacted(make, sessions, now, settings)
    with pytest.raises(NoRight, match="An admin can give it to you"):
        read_raw(make.session, answer, cast.ada, WHY, now, settings)
    assert logged(make) == []


@pytest.mark.parametrize("why", ["", "  \n", "\x00"])
def test_nothing_is_read_without_a_reason(
    make: Make, sessions: Sessions, lena: User, now: datetime, settings: Settings, why: str
) -> None:
    with pytest.raises(Refused, match="Say why"):
        read_raw(make.session, redacted(make, sessions, now, settings), lena, why, now, settings)
    assert logged(make) == []


@pytest.mark.parametrize("tidied", [False, True])
def test_nothing_is_read_after_its_time_tidied_away_or_not(
    make: Make, sessions: Sessions, lena: User, now: datetime, settings: Settings, tidied: bool
) -> None:
    answer = redacted(make, sessions, now, settings)
    over = now + timedelta(days=30)
    assert with_original(make.session, [answer], over - timedelta(seconds=1)) == {answer.id}
    if tidied:
        assert destroy_expired(make.session, over) == 1
    assert with_original(make.session, [answer], over) == set()
    with pytest.raises(Destroyed, match="destroyed on 11 Nov 2026"):
        read_raw(make.session, answer, lena, WHY, over, settings)
    assert logged(make) == []


def test_with_no_time_to_keep_it_is_destroyed_when_it_is_redacted(
    make: Make, sessions: Sessions, lena: User, now: datetime, settings: Settings
) -> None:
    at_once = replace(settings, raw_text_days=0)
    answer = redacted(make, sessions, now, at_once)
    with pytest.raises(Destroyed, match="destroyed on 12 Oct 2026"):
        read_raw(make.session, answer, lena, WHY, now, at_once)


def test_no_date_is_claimed_that_has_yet_to_come(
    make: Make, sessions: Sessions, lena: User, now: datetime, settings: Settings
) -> None:
    answer = redacted(make, sessions, now, replace(settings, raw_text_days=0))
    with pytest.raises(Destroyed, match=r"destroyed\. What is left"):  # the setting was raised since
        read_raw(make.session, answer, lena, WHY, now, settings)


def test_another_key_reads_and_logs_nothing(
    make: Make, sessions: Sessions, lena: User, now: datetime, settings: Settings
) -> None:
    answer = redacted(make, sessions, now, settings)
    with pytest.raises(RawTextUnreadable, match="restore that key to read it"):
        read_raw(make.session, answer, lena, WHY, now, replace(settings, secret_key="another"))
    assert logged(make) == []


def test_what_waits_to_be_redacted_is_not_read(make: Make, lena: User, now: datetime, settings: Settings) -> None:
    answer = typed(make, now, settings)
    assert with_original(make.session, [answer], now) == set()
    with pytest.raises(Refused, match="still being blanked out"):
        read_raw(make.session, answer, lena, WHY, now, settings)


def test_what_was_left_whole_needs_no_reading(
    make: Make, sessions: Sessions, lena: User, now: datetime, settings: Settings
) -> None:
    answer = redacted(make, sessions, now, settings, "It came late.")
    assert with_original(make.session, [answer], now) == set()
    with pytest.raises(Refused, match="Nothing was blanked out"):
        read_raw(make.session, answer, lena, WHY, now, settings)


def test_the_log_outlives_the_answer(
    make: Make, sessions: Sessions, lena: User, now: datetime, settings: Settings
) -> None:
    answer = redacted(make, sessions, now, settings)
    read_raw(make.session, answer, lena, WHY, now, settings)
    make.session.commit()
    make.session.execute(delete(Answer).where(Answer.id == answer.id))
    make.session.expire_all()
    (reading,) = logged(make)
    assert (reading.answer_id, reading.answer, reading.by_id) == (None, None, lena.id)
    assert not make.session.scalars(select(RawComment)).all()
