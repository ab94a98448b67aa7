"""Prints how often what a search calls close is about the same problem, how long a search takes, and how much memory:
where all is compared, and where only the nearest complaints and the newest of the pool are."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, select

from feedback_loop.accounts.models import Role, User
from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.analysis.embedding.loading import load_embedder
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.analysis.redaction import redact
from feedback_loop.clock import utc_now
from feedback_loop.complaints import vectors
from feedback_loop.complaints.models import Complaint, Placed, Statement, StatementKind, StatementRole, Vector
from feedback_loop.complaints.results import Nearness
from feedback_loop.complaints.service.find import nearness
from feedback_loop.complaints.service.searching import ask
from feedback_loop.db import Sessions, make_engine, make_sessions, migrate
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey

DEMO = Path(__file__).parents[1] / "feedback_loop" / "demo" / "answers.csv"
DIMENSIONS = 384  # as MiniLM has
COMPLAINTS = 1000
EXEMPLARS = 24
POOL = 0.1  # share of statements in no complaint
SPREAD = 1.2  # of a complaint's statements about its centre; gives cosines of about 0.4 between them
BATCH = 10_000
SEARCH = """
import re, sys, time
from bench.search import Noise
from feedback_loop.clock import utc_now
from feedback_loop.complaints.service.find import answer_searches
from feedback_loop.db import make_engine, make_sessions
sessions = make_sessions(make_engine(sys.argv[1]))
peak = lambda: re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)  # of this process alone
before = peak()
started = time.perf_counter()
count = answer_searches(sessions, Noise(), utc_now, limit=int(sys.argv[2]))
print(count, time.perf_counter() - started, before, peak())
"""


class Noise:
    """Stands in for the model: a vector near the centre of the complaint whose number is in the text."""

    name = "noise"
    dimensions = DIMENSIONS
    thresholds = Thresholds()

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """See `Embedder.encode`."""
        return unit(centres()[[int(text.split()[-1]) for text in texts]])


def centres() -> NDArray[np.float32]:
    """The same each time."""
    return unit(np.random.default_rng(1).normal(size=(COMPLAINTS, DIMENSIONS)))


def fill(sessions: Sessions, count: int, first: int, now: datetime) -> None:
    """Add statements, each with words of its own."""
    dice, middle = np.random.default_rng(first + 2), centres()
    with sessions.begin() as session:
        survey_id = session.scalars(select(Answer.survey_id).limit(1)).first()
        survey_id = (
            survey_id or add_survey(session, slug="s", name="S", question="", scale=ScaleName.HELPFUL, now=now).id
        )
        if not first:
            session.execute(
                insert(Complaint),
                [{"id": n + 1, "name": f"Problem {n}", "keywords": [], "created_at": now} for n in range(COMPLAINTS)],
            )
    for start in range(first, first + count, BATCH):
        numbers = range(start + 1, min(start + BATCH, first + count) + 1)
        home = dice.integers(COMPLAINTS, size=len(numbers))
        matrix = unit(middle[home] + SPREAD * dice.normal(size=(len(numbers), DIMENSIONS)) / np.sqrt(DIMENSIONS))
        pooled = dice.random(len(numbers)) < POOL
        moment = [now - timedelta(minutes=10_000_000 - number) for number in numbers]
        answer = {"survey_id": survey_id, "comment": "x", "context": {}, "redactions": [], "received_at": now}
        statement = {"position": 0, "role": StatementRole.MAIN, "kind": StatementKind.PROBLEM, "reason": ""}
        with sessions.begin() as session:
            session.execute(
                insert(Answer),
                [
                    answer | {"id": number, "answered_at": said, "redacted_at": now, "analysed_at": now}
                    for number, said in zip(numbers, moment, strict=True)
                ],
            )
            session.execute(
                insert(Vector),
                [
                    {"id": number, "text_hash": f"{number:064d}", "model": Noise.name, "data": vectors.pack(row)}
                    for number, row in zip(numbers, matrix, strict=True)
                ],
            )
            session.execute(
                insert(Statement),
                [
                    statement
                    | {
                        "id": number,
                        "answer_id": number,
                        "vector_id": number,
                        "text": f"Statement {number} about problem {place}",
                        "said_at": said,
                        "complaint_id": None if alone else int(place) + 1,
                        "placed": None if alone else Placed.REFINE,
                        "is_exemplar": not alone and number <= COMPLAINTS * EXEMPLARS,
                    }
                    for number, said, place, alone in zip(numbers, moment, home, pooled, strict=True)
                ],
            )


def nearness_of_demo() -> None:
    """Of all pairs of the demo's statements that are that near: how many are about the same problem?"""
    with DEMO.open(newline="", encoding="utf-8") as stream:
        rows = [(redact(row["comment"]).text, row["problem"]) for row in csv.DictReader(stream)]
    rows = [row for row in rows if row[0].strip() and row[1] not in ("praise", "non-answer", "")]
    embedder = load_embedder("minilm")
    matrix = embedder.encode([text for text, _ in rows])
    cosines = matrix @ matrix.T
    problems = [set(problem.split("+")) - {"one-off"} for _, problem in rows]
    counts = {near: [0, 0] for near in Nearness}
    for one in range(len(rows)):
        for other in range(one):
            if cosines[one, other] >= embedder.thresholds.vote_floor:
                counted = counts[nearness(float(cosines[one, other]), embedder.thresholds)]
                counted[0] += 1
                counted[1] += bool(problems[one] & problems[other])
    for near, (pairs, same) in reversed(counts.items()):
        print(json.dumps({"nearness": near.words, "pairs": pairs, "same problem": round(same / pairs, 2)}))


def main() -> None:
    """Measure and print."""
    nearness_of_demo()
    now = utc_now()
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'search.db'}"
        engine = make_engine(url)
        migrate(engine)
        sessions = make_sessions(engine)
        with sessions.begin() as session:
            session.add(User(email="a@b.example", name="A", role=Role.VIEWER, password_hash="", created_at=now))
        said = 0
        peaks = []
        for statements, way in ((200_000, "all compared"), (400_000, "nearest complaints first")):
            fill(sessions, statements - said, said, now)
            said = statements
            for together in (1, 10):
                with sessions.begin() as session:
                    by = session.scalars(select(User)).one()
                    for number in range(together):
                        ask(session, f"{way} {together} problem {number}", by, now)
                run = subprocess.run(
                    [sys.executable, "-c", SEARCH, url, str(together)],
                    capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
                )  # fmt: skip
                if run.returncode:
                    sys.exit(run.stderr)
                count, seconds, before, peak = run.stdout.split()
                assert int(count) == together, run.stderr
                peaks.append(int(peak) * 1024 / 1e6)
                figures = {"statements": statements, "way": way, "searches at once": together}
                figures |= {"seconds": round(float(seconds), 2), "peak_mb": round(peaks[-1])}
                print(json.dumps(figures | {"of_that_before_mb": round(int(before) * 1024 / 1e6)}))
        engine.dispose()
    met = max(peaks) < 300
    print(f"{'met    ' if met else 'NOT MET'} the process stays below 300 MB (without the model)")
    sys.exit(not met)


if __name__ == "__main__":
    main()
