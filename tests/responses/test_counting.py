"""Answers counted by day: the sums are those of the rows at any moment, whatever happens to these."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from time import monotonic

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from feedback_loop.db import Sessions, reading
from feedback_loop.responses import counting
from feedback_loop.responses.counting import ATTEMPTS, DAY, FRESH, count_day, count_days, gaps, heard_between, tallies
from feedback_loop.responses.models import Answer, AnswerCount, CountedDay, StaleDay
from feedback_loop.surveys.models import ScaleName
from tests.factories import Make


def sums(session: Session, since: date | None = None) -> dict[tuple[int, int | None], tuple[int, int, int]]:
    """What the product says."""
    return {
        (each.survey_id, each.score): (each.answers, each.with_words, each.heard)
        for each in tallies(session, since=since)
    }


def from_rows(session: Session, since: date | None = None) -> dict[tuple[int, int | None], tuple[int, int, int]]:
    """The same, counted one by one."""
    all_, words, heard = Counter(), Counter(), Counter()
    for row in session.scalars(select(Answer)):
        if since is not None and row.answered_at < datetime(since.year, since.month, since.day, tzinfo=UTC):
            continue
        key = row.survey_id, row.score
        all_[key] += 1
        words[key] += row.comment != ""
        heard[key] += bool(row.comment) and row.analysed_at is not None
    return {key: (all_[key], words[key], heard[key]) for key in all_}


@pytest.fixture
def answered(make: Make) -> None:
    """Answers of some days to two surveys."""
    for slug in ("one", "two"):
        survey = make.survey(slug, ScaleName.CSAT)
        for days in (0, 1, 2, 3, 3, 9, 40):
            answer = make.answer("It rained in." if days % 2 else "", survey, score=1 + days % 4)
            answer.answered_at = make.now - days * DAY
    for row in make.session.scalars(select(Answer)):
        row.redacted_at = row.analysed_at = make.now
        row.comment = row.comment or ""
    make.session.commit()


@pytest.mark.usefixtures("answered")
def test_days_that_are_over_are_counted_and_the_newest_are_not(make: Make, sessions: Sessions) -> None:
    expected = from_rows(make.session)
    assert sums(make.session) == expected
    make.session.commit()
    assert count_days(sessions, make.now) == 4
    counted = make.session.scalars(select(CountedDay.day)).all()
    assert max(counted) == make.now.date() - FRESH * DAY
    assert make.session.scalar(select(func.sum(AnswerCount.answers))) == 10
    assert sums(make.session) == expected
    since = make.now.date() - 3 * DAY
    assert sums(make.session, since) == from_rows(make.session, since)
    make.session.commit()
    assert count_days(sessions, make.now) == 0


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("what", ["comes", "changes", "moves", "goes", "is analysed anew"])
def test_a_day_is_counted_anew_when_an_answer_of_it(what: str, make: Make, sessions: Sessions) -> None:
    count_days(sessions, make.now)
    old = make.now - 9 * DAY
    of_day = (Answer.answered_at > old - timedelta(hours=1)) & (Answer.answered_at < old + timedelta(hours=1))
    match what:
        case "comes":
            make.answer("Late.", make.session.scalars(select(Answer)).first().survey, score=5).answered_at = old
            make.session.flush()
        case "changes":
            make.session.execute(update(Answer).where(of_day).values(score=5, comment=""))
        case "moves":
            make.session.execute(update(Answer).where(of_day).values(answered_at=make.now - 40 * DAY))
        case "goes":
            make.session.execute(delete(Answer).where(of_day))
        case _:
            make.session.execute(update(Answer).where(of_day).values(analysed_at=None))
    make.session.commit()
    assert make.session.scalars(select(StaleDay.day).where(StaleDay.day == old.date())).all() == [old.date()]
    assert sums(make.session) == from_rows(make.session)
    make.session.commit()
    for row in make.session.scalars(select(Answer)):
        row.redacted_at = row.redacted_at or make.now
    make.session.commit()
    assert count_days(sessions, make.now) >= 1
    assert not make.session.scalars(select(StaleDay)).all()
    assert sums(make.session) == from_rows(make.session)


@pytest.mark.usefixtures("answered")
def test_a_day_waits_until_its_answers_are_redacted(make: Make, sessions: Sessions) -> None:
    make.session.execute(update(Answer).where(Answer.score == 2).values(redacted_at=None))
    make.session.commit()
    count_days(sessions, make.now)
    waiting = make.session.scalars(select(Answer.answered_at).where(Answer.redacted_at.is_(None))).all()
    counted = set(make.session.scalars(select(CountedDay.day)))
    assert counted
    assert not counted & {at.date() for at in waiting}
    assert sums(make.session) == from_rows(make.session)


@pytest.mark.usefixtures("answered")
def test_what_is_known_of_an_answer_beside_its_score_and_words_leaves_its_day_counted(
    make: Make, sessions: Sessions
) -> None:
    count_days(sessions, make.now)
    make.session.execute(update(Answer).values(context={"page": "/other"}, attempts=1))
    make.session.commit()
    assert make.session.scalar(select(func.count()).select_from(CountedDay)) == 4
    assert not make.session.scalars(select(StaleDay)).all()


def test_a_survey_can_be_asked_for_alone(make: Make, sessions: Sessions, answered: None) -> None:
    count_days(sessions, make.now)
    first = make.session.scalars(select(Answer.survey_id)).first()
    assert {each.survey_id for each in tallies(make.session, first)} == {first}
    assert sum(each.answers for each in tallies(make.session, first)) == 7


def test_stretches_of_days_that_are_not_counted() -> None:
    one, two, five = (date(2026, 11, day) for day in (1, 2, 5))
    assert gaps([], None) == [(None, None)]
    assert gaps([one, two, five], None) == [(None, one), (date(2026, 11, 3), five), (date(2026, 11, 6), None)]
    assert gaps([one, two], one) == [(date(2026, 11, 3), None)]
    assert gaps([two], one) == [(one, two), (date(2026, 11, 3), None)]


def is_postgresql(sessions: Sessions) -> bool:
    """Whether several can write at a time."""
    return sessions.kw["bind"].dialect.name == "postgresql"


def write(session: Session, at: datetime) -> Answer:
    """An answer to any survey, flushed; like an import, without a look at anything else."""
    survey_id = session.scalars(select(Answer.survey_id).limit(1)).one()
    answer = Answer(
        survey_id=survey_id, score=5, comment="", context={}, answered_at=at, received_at=at, redacted_at=at
    )  # fmt: skip
    session.add(answer)
    session.flush()
    return answer


def meanwhile(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object], times: int = 1) -> list[int]:
    """Let something happen between a sum's look at the counted days and the sum itself; a list of these occasions."""
    done: list[int] = []

    def interrupted(counted: Sequence[date], since: date | None) -> list[counting.Gap]:
        if len(done) < times:
            done.append(len(counted))
            do()
        return gaps(counted, since)

    monkeypatch.setattr(counting, "gaps", interrupted)
    return done


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("since", [None, 9])
@pytest.mark.parametrize("what", ["is changed", "comes", "goes"])
def test_sums_are_exact_while_an_answer_of_a_counted_day(
    what: str, since: int | None, make: Make, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_days(sessions, make.now)
    old, start = make.now - 9 * DAY, None if since is None else make.now.date() - since * DAY
    before = from_rows(make.session, start)
    make.session.commit()

    def do() -> None:
        with sessions.begin() as other:
            match what:
                case "comes":
                    write(other, old)
                case "goes":
                    other.execute(delete(Answer).where(Answer.answered_at == old))
                case _:
                    other.execute(update(Answer).where(Answer.answered_at == old).values(score=5))

    done = meanwhile(monkeypatch, do)
    with reading(sessions) as session:
        found = sums(session, start)
    assert done
    after = from_rows(make.session, start)
    assert before != after
    assert found == (after if is_postgresql(sessions) else before)  # SQLite's reader sees what was when it began


@pytest.mark.usefixtures("answered")
def test_sums_are_exact_while_a_day_is_counted(make: Make, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    count_days(sessions, make.now - 9 * DAY)  # the day long ago
    expected = from_rows(make.session)
    make.session.commit()
    done = meanwhile(monkeypatch, lambda: count(sessions, make.now.date() - 9 * DAY))
    with reading(sessions) as session:
        assert sums(session) == expected
    assert done == [1]


def count(sessions: Sessions, day: date) -> None:
    with sessions.begin() as session:
        assert count_day(session, day)


@pytest.mark.usefixtures("answered")
def test_sums_are_exact_while_one_day_is_counted_and_another_one_goes_stale(
    make: Make, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many days are counted as before, but other ones; each time anew, until the answers are counted instead."""
    count_days(sessions, make.now)
    days = [make.now - 9 * DAY, make.now - 40 * DAY]
    with sessions.begin() as session:
        write(session, days[0])

    def do() -> None:
        count(sessions, days[0].date())
        days.reverse()
        with sessions.begin() as other:
            write(other, days[0])

    done = meanwhile(monkeypatch, do, times=ATTEMPTS + 1)
    expected = from_rows(make.session)
    make.session.commit()
    with reading(sessions) as session:
        found = sums(session)
    if is_postgresql(sessions):
        assert done == [3] * ATTEMPTS
        expected = from_rows(make.session)
    assert found == expected


@pytest.mark.usefixtures("answered")
def test_a_mark_that_is_rolled_back_leaves_the_day_counted_and_others_marks_in_place(
    make: Make, sessions: Sessions
) -> None:
    count_days(sessions, make.now)
    old = make.now - 9 * DAY
    with sessions() as one:
        write(one, old)
        if is_postgresql(sessions):
            with sessions.begin() as other:
                write(other, old)
        one.rollback()
    assert len(make.session.scalars(select(StaleDay)).all()) == is_postgresql(sessions)
    assert sums(make.session) == from_rows(make.session)
    make.session.commit()
    assert count_days(sessions, make.now) == is_postgresql(sessions)
    assert sums(make.session) == from_rows(make.session)


@pytest.mark.usefixtures("answered")
def test_two_that_write_answers_of_the_same_days_do_not_wait_for_each_other(make: Make, sessions: Sessions) -> None:
    if not is_postgresql(sessions):
        pytest.skip("SQLite has one writer")
    count_days(sessions, make.now)
    first, second = make.now - 9 * DAY, make.now - 40 * DAY
    with sessions() as one, sessions() as other:
        for session in (one, other):
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
        write(one, first)
        write(other, second)
        write(one, second)
        write(other, first)
        one.commit()
        assert sums(make.session) == from_rows(make.session)
        make.session.commit()
        assert count_days(sessions, make.now) == 0  # the other one writes still
        other.commit()
    assert sums(make.session) == from_rows(make.session)
    make.session.commit()
    assert count_days(sessions, make.now) == 2
    assert not make.session.scalars(select(StaleDay)).all()
    assert sums(make.session) == from_rows(make.session)


@pytest.mark.usefixtures("answered")
def test_counting_gives_way_to_those_who_write(make: Make, sessions: Sessions) -> None:
    """An import writes for long: counting does not wait for it, or those who answer would wait for counting."""
    if not is_postgresql(sessions):
        pytest.skip("SQLite has one writer")
    with sessions() as slow:
        write(slow, make.now)
        counted: list[int] = []
        counting_ = threading.Thread(target=lambda: counted.append(count_days(sessions, make.now)))
        counting_.start()
        begin = monotonic()
        while counting_.is_alive():
            with sessions.begin() as quick:
                write(quick, make.now)
            assert monotonic() - begin < 5
        counting_.join()
        assert counted == [0]
        slow.commit()
    assert count_days(sessions, make.now) == 4
    assert sums(make.session) == from_rows(make.session)


@pytest.mark.usefixtures("answered")
def test_other_failures_of_counting_are_told(make: Make, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise OperationalError("COUNT", {}, Exception("disk full"))

    monkeypatch.setattr(counting, "keep_writers_out", fail)
    with pytest.raises(OperationalError, match="disk full"):
        count_days(sessions, make.now)


@pytest.mark.usefixtures("answered")
def test_words_heard_between_moments_are_those_of_the_rows_whatever_is_counted(make: Make, sessions: Sessions) -> None:
    moments = [make.now - hours * timedelta(hours=1) for hours in (41 * 24, 9 * 24, 7 * 24 + 5, 72, 30, 24, 0)]
    midnight = datetime.combine((make.now - 3 * DAY).date(), datetime.min.time(), UTC)
    moments = sorted([*moments, midnight])
    rows = [row.answered_at for row in make.session.scalars(select(Answer)) if row.comment]
    expected = [sum(start < at <= end for at in rows) for start, end in pairwise(moments)]
    assert sum(expected) > 4
    make.session.rollback()
    with reading(sessions) as session:
        assert heard_between(session, moments) == expected, "nothing is counted yet"
    assert count_days(sessions, make.now)
    with reading(sessions) as session:
        assert heard_between(session, moments) == expected, "whole days are added up"
    with sessions.begin() as session:
        session.execute(delete(Answer).where(Answer.answered_at == make.now - 9 * DAY))
    with reading(sessions) as session:
        expected = [count - 2 * (start < make.now - 9 * DAY <= end) for count, (start, end) in
                    zip(expected, pairwise(moments), strict=True)]  # fmt: skip
        assert heard_between(session, moments) == expected, "a stale day is counted from its answers"
