"""How well the analysis groups labelled texts: the whole of it, on a scratch database."""

from __future__ import annotations

import csv
import importlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert, select

from feedback_loop.analysis.evaluation import score
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, Statement, StatementRole
from feedback_loop.db import Sessions, make_engine, make_sessions, migrate, reading
from feedback_loop.pipeline import Context, analyse, redact, refine_now
from feedback_loop.responses.models import Answer, RawComment
from feedback_loop.responses.raw import seal
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey
from feedback_loop.surveys.service import add_survey

Progress = Callable[[str], None]


class LabelledFileError(ValueError):
    """The file is not one of labelled texts; the message says what is missing."""


def read_labelled(path: Path) -> tuple[list[str], list[str]]:
    """Read texts and labels from the columns `text` and `label`; other columns are ignored.

    Raises:
        LabelledFileError: There is no such file, column or row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = {"text", "label"} - set(reader.fieldnames or ())
            if missing:
                raise LabelledFileError(f"{path} has no column {' and no column '.join(sorted(missing))}.")
            rows = [(row["text"] or "", row["label"] or "") for row in reader]
    except OSError as error:
        raise LabelledFileError(f"{path} cannot be opened: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise LabelledFileError(f"{path} is not UTF-8; save it as CSV UTF-8.") from error
    rows = [row for row in rows if row[0].strip()]
    if not rows:
        raise LabelledFileError(f"{path} holds no texts.")
    return [text for text, _ in rows], [label for _, label in rows]


def add_answers(sessions: Sessions, settings: Settings, survey: Survey, texts: dict[int, str], now: datetime) -> None:
    """One answer a text, its number as external id, recorded as imports record them."""
    with sessions.begin() as session:
        ids = session.scalars(
            insert(Answer).returning(Answer.id, sort_by_parameter_order=True),
            [
                {
                    "survey_id": survey.id, "external_id": str(index), "redactions": [], "context": {},
                    "answered_at": now, "received_at": now,
                }
                for index in texts
            ],
        ).all()  # fmt: skip
        session.execute(
            insert(RawComment),
            [
                {"answer_id": id, "sealed": seal(text, settings.secret_key, now), "expires_at": now + timedelta(days=1)}
                for id, text in zip(ids, texts.values(), strict=True)
            ],
        )


def places(sessions: Sessions) -> dict[int, int]:
    """The complaint of each text's main statement, 0 for none, by the text's number."""
    with reading(sessions) as session:
        rows = session.execute(
            select(Answer.external_id, Statement.complaint_id)
            .join(Statement, Statement.answer_id == Answer.id)
            .where(Statement.role == StatementRole.MAIN)
        )
        return {int(external_id or 0): complaint_id or 0 for external_id, complaint_id in rows}


def numbers_of(sessions: Sessions) -> set[int]:
    """The numbers of complaints that lead somewhere: to the complaint, or to the one it was merged into."""
    with reading(sessions) as session:
        rows = dict(session.execute(select(Complaint.id, Complaint.merged_into_id)).all())
    return {id for id, into in rows.items() if into is None or into in rows}


def evaluate(
    path: Path, settings: Settings, batches: int = 1, seed: int = 1, progress: Progress | None = None
) -> dict[str, Any]:
    """Run the whole analysis over labelled texts and compare its complaints with the labels.

    Args:
        path: CSV file with the columns `text` and `label`.
        settings: For the embedding model; database and data folder are not touched.
        batches: Stream the texts in so many shuffled batches, with a refine after each.
        seed: For the shuffle and the clustering.
        progress: Called with what is being done, in words.

    Returns:
        texts, labels, groups, coverage, ari (texts without a complaint as singletons), ari_covered, nmi_covered,
        seconds by step, peak_mb; with several batches also kept, for each refine the share of assigned statements
        that kept their complaint, and lost, how many complaints' numbers led nowhere after a later refine.

    Raises:
        LabelledFileError: The file is not one of labelled texts.
    """
    report = progress or (lambda _text: None)
    texts, labels = read_labelled(path)
    order = list(range(len(texts)))
    if batches > 1:
        random.Random(seed).shuffle(order)  # noqa: S311 (a repeatable shuffle)
    parts = [list(part) for part in np.array_split(np.array(order), min(batches, len(order)))]
    seconds: dict[str, float] = {}
    kept: list[float] = []
    numbers: set[int] = set()
    lost: set[int] = set()

    def timed(step: str, started: float) -> None:
        seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - started

    with tempfile.TemporaryDirectory(prefix="feedback-loop-evaluate-") as folder:
        scratch = replace(settings, data_folder=Path(folder), database_url=f"sqlite:///{folder}/scratch.db")
        engine = make_engine(scratch.database_url)
        migrate(engine)
        context = Context(scratch, make_sessions(engine), utc_now)
        with context.sessions.begin() as session:
            survey = add_survey(session, slug="texts", name="Texts", question="", scale=ScaleName.TEXT, now=utc_now())
        started = time.perf_counter()
        report("Loading the model")
        context.embedder.encode(["warm up"])
        importlib.import_module("bertopic")
        timed("load", started)
        for number, part in enumerate(parts, 1):
            report(f"Batch {number} of {len(parts)}: {len(part):,} texts")
            add_answers(context.sessions, scratch, survey, {int(i): texts[i] for i in part}, utc_now())
            started = time.perf_counter()
            redact(context)
            timed("redact", started)
            started = time.perf_counter()
            analyse(context)
            timed("split_embed_assign", started)
            before = places(context.sessions)
            started = time.perf_counter()
            run = refine_now(context, seed)
            timed("refine", started)
            for step, spent in (run.seconds if run else {}).items():
                seconds[f"refine.{step}"] = seconds.get(f"refine.{step}", 0.0) + spent
            after = places(context.sessions)
            assigned = [i for i, complaint in before.items() if complaint]
            kept.append(sum(after.get(i) == before[i] for i in assigned) / len(assigned) if assigned else 1.0)
            lost |= numbers - numbers_of(context.sessions)
            numbers |= numbers_of(context.sessions)
        found = places(context.sessions)
        engine.dispose()
    figures = figures_of(labels, found, seconds)
    if batches > 1:
        figures |= {"kept": [round(share, 4) for share in kept], "lost": len(lost)}
    return figures


def figures_of(labels: Sequence[str], found: dict[int, int], seconds: dict[str, float]) -> dict[str, Any]:
    """The figures of one grouping, rounded for reading."""
    groups = np.array([found.get(i, 0) for i in range(len(labels))], dtype=np.int64)
    figures: dict[str, Any] = {"texts": len(labels), **score(labels, groups)}
    figures |= {name: int(figures[name]) for name in ("groups", "labels")}
    figures["seconds"] = {step: round(value, 2) for step, value in seconds.items()}
    figures["peak_mb"] = round(peak_mb(), 1)
    return figures


def peak_mb() -> float:
    """The most memory this process has held, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
