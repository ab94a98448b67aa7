"""Moving to another database: all rows the same by checksum, whatever text is in them, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text

from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.db import clean_text, make_engine, make_sessions, migrate
from feedback_loop.responses.counting import count_days
from feedback_loop.responses.models import Answer, StaleDay
from feedback_loop.settings import Settings
from feedback_loop.store.moving import MoveFailed, move
from feedback_loop.store.presence import InUse, announce, leave
from tests.conftest import NOW
from tests.fuzz.corpus import NASTY
from tests.store.conftest import at_home, postgres_url

ODD = [
    "𝄞 zażółć ＆ עברית \u202e \u200d 👩‍👩‍👧",
    "line\u2028apart\u0085\ufeff",
    "'; DROP TABLE answers; --",
    "\\x00 \\u0000",
    *(clean_text(value.decode("utf-8", "replace")) for value in NASTY.values()),
]
DAY = "SELECT count(*) FROM stale_days"


def fill(settings: Settings) -> None:
    """Texts of all kinds, a complaint that was merged into a later one, a gap in the numbers, counted days."""
    with at_home(settings) as make:
        survey = make.survey()
        for clean in ODD:
            answer = make.answer(clean, survey=survey, customer=make.customer(), context={"said": clean, "n": 0.1})
            if clean.strip():
                make.statement(make.complaint(), clean, answer=answer)
        early, late = make.complaint("early"), make.complaint("late")
        early.state, early.merged_into_id = ComplaintState.MERGED, late.id
        make.session.flush()
        make.session.delete(make.complaint("gone"))
        make.notification()
    engine = make_engine(settings.database_url)
    with make_sessions(engine).begin() as session:
        session.execute(text("UPDATE answers SET answered_at = '2026-09-01 12:00:00' WHERE id < 3"))
    count_days(make_sessions(engine), NOW)
    with make_sessions(engine).begin() as session:
        session.execute(text("UPDATE answers SET score = 1 WHERE id = 1"))
        assert session.scalar(text(DAY)) == 1
    engine.dispose()


def test_there_and_back_every_row_is_the_same(file_home: Settings, tmp_path: Path, postgres_name: str) -> None:
    fill(file_home)
    before = sum(1 for _ in Path(file_home.data_folder).iterdir())
    told: list[int] = []
    there = move(file_home.database_url, postgres_url(postgres_name), lambda _what, done, _all: told.append(done))
    back_url = f"sqlite:///{tmp_path / 'back.db'}"
    back = move(postgres_url(postgres_name), back_url)
    assert there.checksums == back.checksums
    assert there.rows == back.rows
    assert there.rows["answers"] == len(ODD)
    assert told[-1] == sum(there.rows.values())
    assert not there.cleaned
    assert sum(1 for _ in Path(file_home.data_folder).iterdir()) <= before + 1, "the source is left as it was"
    for url in (postgres_url(postgres_name), back_url):
        engine = make_engine(url)
        with make_sessions(engine).begin() as session:
            assert session.scalar(text(DAY)) == 1, "no trigger marked days again"
            last = session.scalars(select(Complaint.id).order_by(Complaint.id.desc())).first()
            assert last is not None
            fresh = Complaint(name="next", keywords=[], created_at=NOW)
            session.add(fresh)
            session.flush()
            assert fresh.id == last + 2, "the number of the one that was deleted is not given again"
            session.add(Answer(survey_id=1, comment="", context={}, answered_at=NOW, received_at=NOW, score=0))
            session.flush()
            # The triggers are there again, and references are checked at once.
            session.execute(text("UPDATE answers SET score = 0 WHERE id = 2"))
            assert session.scalars(select(StaleDay)).all()
            with pytest.raises(Exception, match=r"(?i)foreign key"), session.begin_nested():
                session.execute(text("UPDATE complaints SET merged_into_id = 999999 WHERE state = 'merged'"))
        engine.dispose()


def test_nul_is_left_out_and_named_and_what_does_not_fit_is_refused(file_home: Settings, postgres_name: str) -> None:
    with at_home(file_home) as make:
        answer = make.answer("before \x00 after")
        customer = make.customer(name="x" * 10)
    target = postgres_url(postgres_name)
    engine = make_engine(file_home.database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE customers SET name = :name"), {"name": "x" * 300})
    with pytest.raises(MoveFailed, match=rf"customers {customer.id} has 300 characters in name, of which PostgreSQL"):
        move(file_home.database_url, target)
    with engine.begin() as connection:
        connection.execute(text("UPDATE customers SET name = 'x'"))
    engine.dispose()
    done = move(file_home.database_url, target)
    assert done.cleaned == [f"answers {answer.id}"]
    moved = make_engine(target)
    with moved.connect() as connection:
        assert connection.scalar(select(Answer.comment)) == "before  after"
    moved.dispose()


def test_a_target_that_is_not_empty_and_a_source_in_use_are_refused(file_home: Settings, tmp_path: Path) -> None:
    fill(file_home)
    full = f"sqlite:///{tmp_path / 'full.db'}"
    move(file_home.database_url, full)
    with pytest.raises(MoveFailed, match=r"The target is not empty: .* do not run init on it"):
        move(file_home.database_url, full)
    with pytest.raises(MoveFailed, match="the same"):
        move(full, full)
    old = f"sqlite:///{tmp_path / 'old.db'}"
    engine = make_engine(old)
    migrate(engine, "0017")
    engine.dispose()
    with pytest.raises(MoveFailed, match="made by another version"):
        move(file_home.database_url, old)
    with pytest.raises(MoveFailed, match="Run: feedback-loop init"):
        move(old, f"sqlite:///{tmp_path / 'empty.db'}")
    other = make_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE bookkeeping (id INTEGER)"))
    other.dispose()
    with pytest.raises(MoveFailed, match="not ours"):
        move(file_home.database_url, f"sqlite:///{tmp_path / 'other.db'}")
    announce(file_home.database_url)
    try:
        with pytest.raises(InUse, match="cannot be moved"):
            move(file_home.database_url, f"sqlite:///{tmp_path / 'new.db'}")
    finally:
        leave()
