"""Measures what a large store costs: assigning what is new among a million statements, and refining at 100,000 and at
a million.

The stored statements are made of the labelled texts given, each with a number added, and their vectors with noise, so
that no two are equal; nine of ten have a complaint already. Each measurement runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, update
from thresholds import banking77

from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.analysis.embedding.loading import load_embedder
from feedback_loop.complaints.models import (
    Complaint,
    Placed,
    Statement,
    StatementKind,
    StatementRole,
    Vector,
)
from feedback_loop.complaints.service.analyse import pieces_of
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.complaints.service.refine import refine
from feedback_loop.complaints.vectors import pack
from feedback_loop.db import make_engine, make_sessions, migrate, reading
from feedback_loop.evaluate import peak_mb
from feedback_loop.pipeline import Context, analyse
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.settings import read_settings
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey

NOW = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
NOISE = 0.35  # length of the noise added to a unit vector: neighbours of one text then lie at about 0.9
NEW = 1_000
EXEMPLARS = 24
CUSTOMERS = 50_000
AT_ONCE = 10_000
TURNS = 4


def build(url: str, count: int, texts: list[str], labels: list[str]) -> None:
    """Fill a database with `count` statements."""
    engine = make_engine(url)
    migrate(engine)
    with make_sessions(engine).begin() as session:
        survey = add_survey(session, slug="texts", name="Texts", question="", scale=ScaleName.TEXT, now=NOW)
        survey_id = survey.id
    embedder = load_embedder("minilm")
    known = embedder.encode(texts)
    random = np.random.default_rng(1)
    names = sorted(set(labels))
    number = {name: index for index, name in enumerate(names, 1)}
    with engine.begin() as connection:
        connection.execute(
            insert(Customer),
            [{"email": f"c{n}@example.com", "name": "", "created_at": NOW} for n in range(CUSTOMERS)],
        )
        connection.execute(
            insert(Complaint),
            [{"name": name[:200], "keywords": [], "created_at": NOW, "neighbours": []} for name in names],
        )
        stood: dict[int, int] = {}
        for start in range(0, count, AT_ONCE):
            rows = random.integers(0, len(texts), size=min(AT_ONCE, count - start))
            vectors = unit(known[rows] + NOISE * unit(random.normal(size=(len(rows), known.shape[1]))))
            fill(
                connection, survey_id, start, rows.tolist(), vectors, texts, [number[label] for label in labels], stood,
                embedder.name,
            )  # fmt: skip
    with make_sessions(engine).begin() as session:
        count_again(session, number.values())
    engine.dispose()


def fill(
    connection: Connection,
    survey_id: int,
    start: int,
    rows: list[int],
    vectors: NDArray[np.float32],
    texts: list[str],
    home_of: list[int],
    stood: dict[int, int],
    model: str,
) -> None:
    """Insert some answers with their statements; `stood` counts the exemplars of each complaint."""
    answers: list[dict[str, Any]] = []
    stored: list[dict[str, Any]] = []
    statements: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        key = start + place + 1
        said_at = NOW - timedelta(minutes=2_000_000 - key)
        home = home_of[row] if key % 10 else None
        stands = home is not None and stood.get(home, 0) < EXEMPLARS
        if home is not None and stands:
            stood[home] = stood.get(home, 0) + 1
        answers.append(
            {
                "id": key, "survey_id": survey_id, "customer_id": key % CUSTOMERS + 1, "score": None,
                "comment": texts[row], "redactions": [], "context": {}, "answered_at": said_at, "received_at": said_at,
                "redacted_at": said_at, "analysed_at": said_at,
            }
        )  # fmt: skip
        stored.append({"id": key, "text_hash": f"{key:064d}", "model": model, "data": pack(vectors[place])})
        statements.append(
            {
                "id": key, "answer_id": key, "customer_id": key % CUSTOMERS + 1, "survey_id": survey_id, "position": 0,
                "role": StatementRole.MAIN, "kind": StatementKind.PROBLEM,
                "text": f"{texts[row]} ({key})", "said_at": said_at, "vector_id": key, "complaint_id": home,
                "placed": Placed.NEAREST if home else None, "confidence": 0.8 if home else None, "reason": "",
                "is_exemplar": stands,
            }
        )  # fmt: skip
    connection.execute(insert(Answer), answers)
    connection.execute(insert(Vector), stored)
    connection.execute(insert(Statement), statements)


def measure_assigning(url: str, texts: list[str]) -> dict[str, Any]:
    """Analyse new answers, and embed the same texts alone before and after each time, in the same run."""
    engine = make_engine(url)
    sessions = make_sessions(engine)
    context = Context(read_settings({"SECRET_KEY": "bench", "DATABASE_URL": url}), sessions)
    embedder = context.embedder
    embedding, spent = [], []

    def alone(pieces: list[str]) -> float:
        began = time.perf_counter()
        for start in range(0, len(pieces), len(pieces) // 2 + 1):
            embedder.encode(pieces[start : start + len(pieces) // 2 + 1])
        return time.perf_counter() - began

    pieces = []
    for turn in range(TURNS):
        said = [f"{text} {'!' * turn}".strip() for text in texts]
        pieces = [piece.text for number, text in enumerate(said) for piece in pieces_of(number, text, None, NOW)]
        with sessions.begin() as session:
            session.execute(
                insert(Answer),
                [
                    {
                        "survey_id": 1, "customer_id": number % CUSTOMERS + 1, "score": None, "redactions": [],
                        "comment": text, "context": {}, "answered_at": NOW, "received_at": NOW, "redacted_at": NOW,
                    }
                    for number, text in enumerate(said)
                ],
            )  # fmt: skip
        before = alone(pieces)
        began = time.perf_counter()
        analyse(context)
        spent.append(time.perf_counter() - began)
        embedding.append((before + alone(pieces)) / 2)
        with sessions.begin() as session:  # so that the next turn embeds again
            session.execute(
                update(Vector)
                .where(Vector.model == embedder.name, Vector.text_hash.not_like("000000%"))
                .values(model=f"forgotten {turn} {began}")
            )
    engine.dispose()
    return {"texts": len(texts), "pieces": len(pieces), "embedding": embedding, "whole": spent}


def measure_refine(url: str) -> dict[str, Any]:
    """One refine."""
    engine = make_engine(url)
    embedder = load_embedder("minilm")
    began = time.perf_counter()
    run = refine(make_sessions(engine), embedder, lambda: datetime.now(UTC))
    seconds = time.perf_counter() - began
    assert run is not None
    with reading(make_sessions(engine)) as session:
        stored = session.query(Statement).count()
    engine.dispose()
    return {
        "stored": stored, "looked_at": run.statements, "seconds": seconds, "steps": run.seconds, "peak_mb": peak_mb(),
        "kept": run.kept, "complaints": run.complaints,
    }  # fmt: skip


def alone(*arguments: str) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    run = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr)
    return dict(json.loads(run.stdout))


def main() -> None:
    """Measure and print; ends with 1 if a bar is not met."""
    if len(sys.argv) > 2:
        what, url, folder = sys.argv[1:4]
        texts, labels = banking77(Path(folder))
        if what == "build":
            build(url, int(sys.argv[4]), texts[NEW:], labels[NEW:])
            print("{}")
        elif what == "assign":
            print(json.dumps(measure_assigning(url, texts[:NEW])))
        else:
            print(json.dumps(measure_refine(url)))
        return
    folder = sys.argv[1] if len(sys.argv) > 1 else "../shared/data/banking77"
    bars: dict[str, bool] = {}
    refines: dict[int, dict[str, Any]] = {}
    for count in (100_000, 1_000_000):
        with tempfile.TemporaryDirectory(prefix="feedback-loop-scale-") as place:
            url = f"sqlite:///{place}/scale.db"
            alone("build", url, folder, str(count))
            if count == 1_000_000:
                found = alone("assign", url, folder)
                share = sum(found["whole"]) / sum(found["embedding"])
                print(
                    f"assigning {NEW:,} new among {count:,}: {share:.2f} times their embedding time", found, flush=True
                )
                bars["assigning <= 1.3 times the embedding"] = share <= 1.3
            refines[count] = alone("refine", url, folder)
            print(f"refine at {count:,}:", refines[count], flush=True)
    small, large = refines[100_000], refines[1_000_000]
    bars["refine at 100,000 <= 90 s"] = small["seconds"] <= 90
    bars["refine at 100,000 <= 3 GB"] = small["peak_mb"] <= 3000
    bars["refine at 1,000,000 <= 3 times that"] = large["seconds"] <= 3 * small["seconds"]
    for bar, met in bars.items():
        print(f"{'met    ' if met else 'NOT MET'} {bar}")
    sys.exit(not all(bars.values()))


if __name__ == "__main__":
    main()
