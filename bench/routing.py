"""Prints how well a complaint is told from others by examples, and how long routing, its preview and a suggestion take.

Usage: python -m bench.routing [DATABASE_URL]; the database must be empty. By default a new SQLite file.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, delete, event, insert, select

from feedback_loop.accounts.models import Role, Team, User
from feedback_loop.accounts.service import add_team
from feedback_loop.actions.models import ActionEvent, ActionItem, Status
from feedback_loop.actions.routing.evidence import rule_of
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.actions.routing.opening import open_missing
from feedback_loop.actions.routing.previewing import preview
from feedback_loop.actions.triage.suggesting import suggest
from feedback_loop.analysis.embedding.embedder import Embedder, unit
from feedback_loop.analysis.embedding.loading import load_embedder
from feedback_loop.analysis.likeness import centre, likeness
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, Placed, Statement, StatementKind, StatementRole, Vector
from feedback_loop.complaints.vectors import pack
from feedback_loop.db import Sessions, make_engine, make_sessions, migrate, reading
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey

DEMO = Path(__file__).parents[1] / "feedback_loop" / "demo" / "answers.csv"
NO_PROBLEMS = ("", "one-off", "praise", "non-answer")
DIMENSIONS = 384
COMPLAINTS = 2000
NEW = 200
EACH = 200  # statements of a complaint
EXEMPLARS = 24
TIMES = 5


def problems(embedder: Embedder) -> dict[str, NDArray[np.float32]]:
    """The vectors of the demo's comments by the problem they speak of."""
    texts = defaultdict(list)
    with DEMO.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["problem"] not in NO_PROBLEMS:
                texts[row["problem"]].append(row["comment"])
    return {problem: embedder.encode(said) for problem, said in texts.items() if len(said) >= 6}


def found_and_right(
    said: dict[str, NDArray[np.float32]], examples: int, mixed: int, like: float, rounds: int = 60
) -> tuple[float, float]:
    """Of the complaints that a rule means the share it finds, and of what it finds the share it means.

    Args:
        said: Vectors by problem.
        examples: Of each problem; the complaint is the rest of what was said about it.
        mixed: Problems in one rule.
        like: The threshold.
        rounds: Of chance.
    """
    dice, names = np.random.default_rng(1), list(said)
    meant = hits = right = 0
    for _ in range(rounds):
        orders = {name: dice.permutation(len(said[name])) for name in names}
        middles = {name: centre(said[name][orders[name][examples:]]) for name in names}
        shuffled = dice.permutation(names)
        for start in range(0, len(names) - mixed + 1, mixed):
            chosen = shuffled[start : start + mixed]
            asked = np.concatenate([said[name][orders[name][:examples]] for name in chosen])
            fitting = {name for name in names if likeness(middles[name], asked) >= like}
            meant += mixed
            hits += len(fitting)
            right += len(fitting & set(chosen))
    return right / meant, right / max(1, hits)


def fill(sessions: Sessions, now: datetime) -> None:
    """2,000 complaints with their statements, all but the last 200 with an item about which somebody decided."""
    dice = np.random.default_rng(2)
    middle = unit(dice.normal(size=(COMPLAINTS, DIMENSIONS)))
    with sessions.begin() as session:
        teams = [add_team(session, f"Team {number}", now) for number in range(8)]
        survey = add_survey(session, slug="s", name="S", question="", scale=ScaleName.CSAT, now=now)
        lena = User(email="lena@b.example", name="Lena", role=Role.LEAD, password_hash="x", created_at=now)
        session.add(lena)
        session.flush()
        survey_id, lena_id, team_ids = survey.id, lena.id, [team.id for team in teams]
    answer = {"survey_id": survey_id, "comment": "x", "redactions": [], "received_at": now, "redacted_at": now}
    statement = {
        "position": 0,
        "role": StatementRole.MAIN,
        "kind": StatementKind.PROBLEM,
        "reason": "",
        "text": "Late.",
    }
    for first in range(0, COMPLAINTS, 50):
        complaints, answers, statements, vectors = [], [], [], []
        for number in range(first + 1, first + 51):
            made = now - timedelta(days=5 if number > COMPLAINTS - NEW else 60)
            complaints.append(
                {"id": number, "name": f"Problem {number}", "keywords": ["late"], "created_at": made}
                | {"statement_count": EACH, "first_said_at": made, "last_said_at": now}
            )
            matrix = unit(middle[number - 1] + dice.normal(size=(EXEMPLARS, DIMENSIONS)) / np.sqrt(DIMENSIONS))
            for place in range(EACH):
                id = (number - 1) * EACH + place + 1
                said = now - timedelta(minutes=id)
                context = {"page": f"/p/{place % 7}", "tags": ["Delivery"]}
                answers.append(answer | {"id": id, "score": 1 + place % 5, "context": context, "answered_at": said})
                stands = place < EXEMPLARS
                if stands:
                    vectors.append({"id": id, "text_hash": f"{id:064d}", "model": "m", "data": pack(matrix[place])})
                statements.append(
                    statement
                    | {"id": id, "answer_id": id, "complaint_id": number, "placed": Placed.NEAREST, "said_at": said}
                    | {"confidence": 0.8, "language": "en", "is_exemplar": stands, "vector_id": id if stands else None}
                )
        with sessions.begin() as session:
            for model, rows in ((Complaint, complaints), (Answer, answers), (Vector, vectors), (Statement, statements)):
                session.execute(insert(model), rows)
    with sessions.begin() as session:
        decided = range(1, COMPLAINTS - NEW + 1)
        item = {"status": Status.TRIAGED, "created_at": now, "routing_reason": ""}
        session.execute(
            insert(ActionItem),
            [item | {"id": n, "complaint_id": n, "team_id": team_ids[n % 8]} for n in decided],
        )
        for kind, by in (("opened", None), ("comment", lena_id), ("assigned", lena_id), ("comment", lena_id)):
            entry: dict[str, object] = {
                "at": now,
                "by_id": by,
                "kind": kind,
                "text": "What somebody wrote about it. " * 5,
                "data": {},
            }
            session.execute(insert(ActionEvent), [entry | {"action_item_id": n} for n in decided])
        for number in range(20):
            examples = middle[dice.integers(COMPLAINTS, size=5)]
            session.add(
                RoutingRule(
                    position=number,
                    team_id=team_ids[number % 8],
                    keyword="" if number % 2 else f"word {number}",
                    page="/p/1" if number % 5 == 0 else "",
                    language="en",
                    examples=[f"example {n}" for n in range(5)] if number % 2 else [],
                    example_vectors=b"".join(pack(row) for row in examples) if number % 2 else None,
                    example_model="m" if number % 2 else "",
                )
            )


def timed(engine: Engine, what: Callable[[], object]) -> str:
    """The median time of some runs after a first one, and the reads of the last."""
    seconds, sent = [], [0]

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent[0] += statement.lstrip().upper().startswith(("SELECT", "WITH"))

    event.listen(engine, "before_cursor_execute", note)
    for _ in range(TIMES + 1):
        sent[0], started = 0, time.perf_counter()
        what()
        seconds.append(time.perf_counter() - started)
    event.remove(engine, "before_cursor_execute", note)
    return f"{1000 * statistics.median(seconds[1:]):,.0f} ms, {sent[0]} reads"


def main(url: str) -> None:
    """Print all figures."""
    for name in ("minilm", "multilingual"):
        try:
            embedder = load_embedder(name)
        except RuntimeError as error:
            print(f"{name}: left out ({error})")
            continue
        said = problems(embedder)
        for examples, mixed in ((1, 1), (3, 1), (5, 1), (3, 3)):
            found, right = found_and_right(said, examples, mixed, embedder.thresholds.like)
            print(
                f"{name} at {embedder.thresholds.like}, {examples} examples of {mixed} problem(s): "
                f"found {found:.2f}, right {right:.2f}"
            )
    engine = make_engine(url)
    migrate(engine)
    sessions, now = make_sessions(engine), utc_now()
    fill(sessions, now)
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()

    def route_new() -> None:
        with sessions() as session:
            assert open_missing(session, now) == NEW
            session.rollback()

    def look() -> None:
        with reading(sessions) as session:
            drafted = RoutingRule(team=session.scalars(select(Team).limit(1)).one(), page="/p", examples=[])
            assert len(preview(session, rule_of(drafted, 21), None, now, 0.63).moved) == NEW

    def ask() -> None:
        with reading(sessions) as session:
            suggest(session, session.get_one(ActionItem, 7))

    print(f"{engine.dialect.name}: {COMPLAINTS:,} complaints, {COMPLAINTS * EACH:,} statements, 20 rules")
    print(f"  routing {NEW} new complaints: {timed(engine, route_new)}")
    print(f"  preview over {NEW} complaints: {timed(engine, look)}")
    print(f"  suggestion among {COMPLAINTS - NEW:,} decisions: {timed(engine, ask)}")
    if engine.dialect.name == "postgresql":
        with sessions.begin() as session:
            for table in (RoutingRule, ActionEvent, ActionItem, Statement, Vector, Answer, Complaint):
                session.execute(delete(table))
    engine.dispose()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/bench.db")
