"""Answers that come at once are written together, each on its own terms."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, reading
from feedback_loop.responses.models import Answer, AnswerVersion, RawComment, Sign
from feedback_loop.responses.raw import unseal
from feedback_loop.responses.receiving import Given, receive
from feedback_loop.responses.together import Together, Waiting
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from feedback_loop.tokens import draw
from feedback_loop.web.forms import signer
from tests.factories import Make

AT_ONCE = 12


@pytest.fixture
def survey(make: Make) -> Survey:
    survey = make.survey("checkout", ScaleName.HELPFUL)
    make.session.commit()
    return survey


def page_of(app: Flask, slug: str = "checkout") -> str:
    """The token of a page that was opened a while ago."""
    made_at = int((utc_now() - timedelta(seconds=10)).timestamp() * 1000)
    with app.app_context():
        return str(signer().dumps([f"answer:{slug}", draw(), made_at]))


def send(
    app: Flask, token: str, words: str = "The page never loads.", slug: str = "checkout", email: str = ""
) -> tuple[int, str]:
    data = {"form_token": token, "score": "no", "comment": words, "email": email, "website": ""}
    response = app.test_client().post(f"/s/{slug}", data=data)
    return response.status_code, response.get_data(as_text=True)


def all_at_once(*calls: Callable[[], Any]) -> list[Any]:
    found: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(place: int) -> None:
        start.wait()
        found[place] = calls[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


@contextmanager
def commits(sessions: Sessions) -> Iterator[list[int]]:
    """Counts the transactions that write to answers."""
    engine, seen = sessions.kw["bind"], [0]

    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen[0] += "INSERT INTO answers" in statement

    event.listen(engine, "before_cursor_execute", look)
    yield seen
    event.remove(engine, "before_cursor_execute", look)


def answers(sessions: Sessions) -> tuple[int, int]:
    """How many there are, and how many with words that wait to be redacted."""
    with reading(sessions) as session:
        count = session.scalar(select(func.count()).select_from(Answer))
        return count or 0, session.scalar(select(func.count()).select_from(RawComment)) or 0


def slow_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each group take so long that all who come at once wait for the first of them."""
    write = Together._write

    def slowly(self: Together, batch: list[Waiting]) -> None:
        time.sleep(0.3)
        write(self, batch)

    monkeypatch.setattr(Together, "_write", slowly)


def test_answers_that_come_at_once_are_all_there_and_share_commits(
    app: Flask, survey: Survey, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_to_write(monkeypatch)
    pages = [page_of(app) for _ in range(AT_ONCE)]
    with commits(sessions) as seen:
        found = all_at_once(*(lambda token=token: send(app, token) for token in pages))
    assert [status for status, _ in found] == [303] * AT_ONCE
    assert answers(sessions) == (AT_ONCE, AT_ONCE)
    assert seen[0] < AT_ONCE


def test_one_page_sent_twice_at_once_is_one_answer(
    app: Flask, survey: Survey, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_to_write(monkeypatch)
    token, other = page_of(app), page_of(app)
    calls = [lambda words=words: send(app, token, words) for words in ("First.", "Second.", "Third.")]
    found = all_at_once(lambda: send(app, other), *calls)
    assert [status for status, _ in found] == [303] * 4
    assert answers(sessions) == (2, 2)
    with reading(sessions) as session:
        said = session.scalars(select(AnswerVersion.comment)).all()
    assert len(said) == 2, "what it said first is kept twice, and nothing is lost"


@pytest.mark.parametrize("email", ["", "maya@example.com"])
def test_a_survey_that_was_paused_this_moment_takes_nothing(
    app: Flask, survey: Survey, session: Session, sessions: Sessions, email: str
) -> None:
    assert send(app, page_of(app))[0] == 303  # what it says is remembered now
    session.get_one(Survey, survey.id).state = SurveyState.CLOSED
    session.commit()
    assert send(app, page_of(app), email=email)[0] == 410
    assert answers(sessions)[0] == 1


def test_a_survey_that_was_opened_again_this_moment_takes_what_is_sent(
    app: Flask, survey: Survey, session: Session, sessions: Sessions
) -> None:
    session.get_one(Survey, survey.id).state = SurveyState.CLOSED
    session.commit()
    assert send(app, page_of(app))[0] == 410  # what it says is remembered now
    session.get_one(Survey, survey.id).state = SurveyState.OPEN
    session.commit()
    assert send(app, page_of(app))[0] == 303
    assert answers(sessions)[0] == 1


def test_a_limit_of_answers_holds_when_they_come_at_once(
    app: Flask, survey: Survey, session: Session, sessions: Sessions
) -> None:
    session.get_one(Survey, survey.id).answer_limit = 3
    session.commit()
    if session.get_bind().dialect.name == "sqlite":
        all_at_once(*(lambda token=token: send(app, token) for token in [page_of(app) for _ in range(AT_ONCE)]))
        assert answers(sessions)[0] == 3
    else:
        for _ in range(5):
            send(app, page_of(app))
        assert answers(sessions)[0] == 3


def test_anonymous_answers_go_together_with_others(
    app: Flask, survey: Survey, make: Make, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.survey("quiet", ScaleName.HELPFUL).is_anonymous = True
    make.session.commit()
    slow_to_write(monkeypatch)
    calls = [lambda slug=slug: send(app, page_of(app, slug), slug=slug) for slug in ["quiet", "checkout"] * 3]
    found = all_at_once(*calls)
    assert sorted(status for status, _ in found) == [200] * 3 + [303] * 3
    with reading(sessions) as session:
        kept = session.execute(select(Answer.id, Answer.receipt_hash, Answer.answered_at)).all()
    assert sum(row.id < 0 and row.receipt_hash is not None and row.answered_at.hour == 0 for row in kept) == 3
    assert answers(sessions) == (6, 6)


def test_where_they_cannot_be_written_together_each_tries_by_itself(
    app: Flask, survey: Survey, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("the disk is full"))

    monkeypatch.setattr(Together, "_write", fails)
    assert send(app, page_of(app))[0] == 303
    assert answers(sessions) == (1, 1)


ODD = 'back\\slash "quotes" \u2028 \x01 \U0001f600 ü 100% :name %(x)s {}'


@pytest.mark.parametrize("is_anonymous", [False, True])
@pytest.mark.parametrize("words", ["", ODD, "x" * 4000])
def test_rows_are_the_same_whichever_way_they_were_written(
    app: Flask, survey: Survey, session: Session, sessions: Sessions, settings: Settings, words: str,
    is_anonymous: bool,
) -> None:  # fmt: skip
    session.get_one(Survey, survey.id).is_anonymous = is_anonymous
    session.get_one(Survey, survey.id).tags = [ODD]
    session.commit()
    now = datetime(2026, 3, 1, 23, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-5)))
    together = Together(sessions)
    page = together.page("checkout", remembered=False)
    assert page is not None

    def given(key: str) -> Given:
        return Given(
            sign=Sign.SENT, score=0, comment=words, email="", context={"page": ODD, ODD: ODD}, page_key=key,
            receipt_hash=key if is_anonymous else None, page_made_at=now - timedelta(minutes=1), survey_version=3,
            tags=(ODD,),
        )  # fmt: skip

    assert together.take(page, given("together"), now, settings) is not None
    receive(session, session.get_one(Survey, survey.id), None, given("alone"), now, settings)
    session.commit()
    own = {"id", "page_key", "receipt_hash"}
    columns = [column.name for column in Answer.__table__.c if column.name not in own]
    for names in (columns, [f"CAST({name} AS VARCHAR(9999))" for name in columns]):
        one, other = session.execute(text(f"SELECT {', '.join(names)} FROM answers ORDER BY page_key")).all()
        assert one == other
    one, other = session.scalars(select(Answer).order_by(Answer.page_key)).all()
    assert all(getattr(one, name) == getattr(other, name) for name in columns)
    kept = session.scalars(select(RawComment)).all()
    assert len({each.expires_at for each in kept}) == bool(words)
    assert [unseal(each.sealed, settings.secret_key) for each in kept] == [words] * (2 if words else 0)
