"""Importing a file: nothing lost, nothing twice, nothing stopped by a bad row."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from feedback_loop.db import Sessions
from feedback_loop.responses.csvfiles import ImportFailed
from feedback_loop.responses.importing import BATCH, Imported, import_answers
from feedback_loop.responses.models import Answer, Customer, RawComment
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey
from tests.factories import Make


@pytest.fixture
def survey(make: Make) -> Survey:
    survey = make.survey("help-centre")
    make.session.commit()
    return survey


class Importer:
    def __init__(self, sessions: Sessions, settings: Settings, survey: Survey, folder: Path, now: datetime) -> None:
        self.sessions, self.settings, self.survey, self.folder, self.now = sessions, settings, survey, folder, now

    def __call__(self, content: str | bytes, name: str = "answers.csv", **values: object) -> Imported:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return import_answers(self.sessions, self.settings, self.survey, path, self.now, **values)

    def answers(self) -> list[Answer]:
        redact_pending(self.sessions, self.settings, self.now)
        with self.sessions() as session:
            return list(session.scalars(select(Answer).order_by(Answer.id)))


@pytest.fixture
def load(sessions: Sessions, settings: Settings, survey: Survey, tmp_path: Path, now: datetime) -> Importer:
    return Importer(sessions, settings, survey, tmp_path, now)


def test_columns_become_an_answer_and_the_rest_context(load: Importer, sessions: Sessions) -> None:
    done = load(
        "external_id,customer_email,customer_name,score,comment,answered_at,page\n"
        "a1,Maya@Example.com,Maya Lind,no,Steps do not match.,2026-10-01T08:00:00+02:00,/help/returns\n"
    )
    assert (done.added, done.known, done.rejected, done.rejected_file) == (1, 0, 0, None)
    (answer,) = load.answers()
    assert (answer.external_id, answer.score, answer.comment) == ("a1", 0, "Steps do not match.")
    assert answer.context == {"page": "/help/returns"}
    assert answer.answered_at == datetime(2026, 10, 1, 6, tzinfo=UTC)
    with sessions() as session:
        customer = session.scalars(select(Customer)).one()
        assert (customer.id, customer.email, customer.name) == (answer.customer_id, "maya@example.com", "Maya Lind")


def test_importing_again_adds_nothing(load: Importer) -> None:
    rows = "external_id,score,comment\n" + "".join(f"a{n},no,Late {n}.\n" for n in range(BATCH + 50))
    assert load(rows).added == BATCH + 50
    again = load(rows + "new,yes,Fine.\n")
    assert (again.added, again.known) == (1, BATCH + 50)
    assert len(load.answers()) == BATCH + 51


def test_rows_without_an_id_are_found_again_too(load: Importer) -> None:
    rows = "score,comment\nno,Late.\nno,Late.\n"
    assert load(rows).added == 2
    assert load(rows).added == 0


def test_rows_without_an_id_that_differ_in_context_only_are_different(load: Importer) -> None:
    assert load("score,order\nno,A1\nno,A2\n").added == 2
    assert load("score,order\nno,B1\nno,B2\n", "next week.csv").added == 2


def test_a_byte_order_mark_and_quoted_newlines_are_read(load: Importer) -> None:
    load('\ufeffexternal_id,score,comment\na1,no,"First line.\r\nSecond, line."\n')
    assert load.answers()[0].comment == "First line.\nSecond, line."


def test_bad_rows_go_to_a_file_with_the_reason_and_stop_nothing(load: Importer) -> None:
    done = load(
        b"external_id,customer_email,score,comment,answered_at\n"
        b"a1,,maybe,Late.,\n"
        b"a2,not an address,no,Late.,\n"
        b"a3,,no,Late.,yesterday\n"
        b"a4,,,,\n"
        b"a5,,no,Late \xff,\n"
        b"a6,,no,Late.,,too,many\n"
        b"a7,,no," + b"x" * 5000 + b",\n"
        b"a8,,no,Late.,2031-01-01\n"
        b"ok,,no,Late.,2026-10-01\n"
    )
    assert (done.added, done.rejected) == (1, 8)
    assert done.rejected_file is not None
    assert done.rejected_file.name == "answers.rejected.csv"
    with done.rejected_file.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        rows = list(csv.reader(stream))
    assert rows[0][:3] == ["rejected_line", "rejected_because", "external_id"]
    reasons = {row[2]: row[1] for row in rows[1:]}
    assert reasons["a1"] == "score 'maybe' is not on the scale; use yes or no"
    assert "not an address" in reasons["a2"]
    assert "write it like 2026-10-12" in reasons["a3"]
    assert reasons["a4"] == "neither score nor comment"
    assert "not UTF-8" in reasons["a5"]
    assert reasons["a6"] == "7 cells where the first line names 5 columns"
    assert reasons["a7"] == "the comment has 5,000 characters; at most 4,000 are taken"
    assert "has yet to come" in reasons["a8"]
    assert rows[1][0] == "2", "the line of the file"


def test_an_unclosed_quote_swallows_no_more_than_a_field(load: Importer) -> None:
    content = 'external_id,score,comment\na1,no,"never closed\n' + "x" * 2_000_000 + "\na2,no,Late.\n"
    assert load(content).rejected >= 1


@pytest.mark.parametrize(
    ("scale", "good", "bad"),
    [
        (ScaleName.CSAT, ("1", "5"), "6"),
        (ScaleName.NPS, ("0", "10"), "11"),
        (ScaleName.CES, ("1", "7"), "0"),
        (ScaleName.HELPFUL, ("yes", "No"), "1"),
    ],
)
def test_scores_are_read_as_the_scale_writes_them(
    load: Importer, make: Make, scale: ScaleName, good: tuple[str, str], bad: str
) -> None:
    load.survey = make.survey("other", scale)
    make.session.commit()
    assert load("score\n" + "\n".join([*good, bad]) + "\n").added == 2


def test_a_file_without_the_columns_says_which_are_needed(load: Importer) -> None:
    with pytest.raises(ImportFailed, match=r"no column “score” or “comment”\. Its first line names: a, b"):
        load("a,b\n1,2\n")
    with pytest.raises(ImportFailed, match="is empty"):
        load("")
    with pytest.raises(ImportFailed, match="names a column twice: page"):
        load("score,page,page\nyes,1,2\n")


def test_raw_text_is_sealed_and_redacted_before_anybody_reads_it(
    load: Importer, sessions: Sessions, settings: Settings
) -> None:
    load("score,comment\nno,Please write to maya.lind@example.com at once.\n")
    with sessions() as session:
        assert session.scalars(select(Answer.comment)).one() is None
        assert b"maya" not in session.scalars(select(RawComment)).one().sealed
    (answer,) = load.answers()
    assert answer.comment is not None
    assert "maya" not in answer.comment
    assert answer.redactions == ["email"]


def test_progress_counts_bytes_and_rows(load: Importer) -> None:
    seen: list[tuple[int, int]] = []
    content = "score\n" + "yes\n" * 10
    load(content, progress=lambda read, counts: seen.append((read, counts.rows)))
    assert seen[-1] == (len(content), 10)
