"""What routing needs to know: of complaints, and of the rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, func, null, select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, User
from feedback_loop.actions.routing import queries
from feedback_loop.actions.routing.deciding import Evidence, Rule
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.complaints.models import Complaint, Statement, Vector
from feedback_loop.complaints.places import Origin, pages_of, tags_of
from feedback_loop.complaints.vectors import unpack
from feedback_loop.responses.models import Answer
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES

TEXTS = 12  # statements of a complaint in which a keyword is looked for
NEWEST = 30  # statements of a complaint of which shares and scores are taken: bounds the time of large ones

Key = TypeVar("Key", bound=Hashable)


def evidence_of(session: Session, complaints: Sequence[Complaint], rules: Sequence[Rule]) -> dict[int, Evidence]:
    """What routing needs to know of some complaints, by id; three reads, however many they are.

    Args:
        session: A session that reads.
        complaints: Those wanted.
        rules: What they do not ask for is not looked up where that takes long: pages, tags and meaning.
    """
    by_place = any(rule.page or rule.tag for rule in rules)
    by_meaning = any(rule.examples for rule in rules)
    ids = [complaint.id for complaint in complaints]
    newest: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in newest_statements(session, ids, by_place):
        newest[row.complaint_id].append(row)
    standing: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in exemplars(session, ids) if by_meaning else exemplar_texts(session, ids):
        standing[row.complaint_id].append(row)
    middles = centres(row for rows in standing.values() for row in rows)
    scales = {id: SCALES[scale] for id, scale in session.execute(select(Survey.id, Survey.scale))}
    ends = {id: (scale.choices[0].score, scale.choices[-1].score) for id, scale in scales.items() if scale.choices}
    return {
        complaint.id: weigh(
            complaint, newest[complaint.id], standing[complaint.id], middles.get(complaint.id, {}), ends
        )
        for complaint in complaints
    }


def newest_statements(session: Session, complaint_ids: Collection[int], with_context: bool) -> Iterable[Row[Any]]:
    """The newest statements of each complaint with their answers."""
    place = func.row_number().over(
        partition_by=Statement.complaint_id, order_by=(Statement.said_at.desc(), Statement.id.desc())
    )
    ranked = select(Statement.id, place.label("place")).where(Statement.complaint_id.in_(complaint_ids)).subquery()
    return session.execute(
        select(
            Statement.id,
            Statement.complaint_id,
            Statement.text,
            Statement.confidence,
            Statement.language,
            Answer.survey_id,
            Answer.score,
            Answer.context if with_context else null().label("context"),
        )
        .join(ranked, ranked.c.id == Statement.id)
        .join(Answer, Answer.id == Statement.answer_id)
        .where(ranked.c.place <= NEWEST)
    )


def exemplars(session: Session, complaint_ids: Collection[int]) -> Iterable[Row[Any]]:
    """The statements that stand for complaints, with their vectors."""
    return session.execute(
        select(Statement.id, Statement.complaint_id, Statement.text, Statement.confidence, Vector.data, Vector.model)
        .join(Vector, Vector.id == Statement.vector_id)
        .where(Statement.is_exemplar, Statement.complaint_id.in_(complaint_ids))
    )


def exemplar_texts(session: Session, complaint_ids: Collection[int]) -> Iterable[Row[Any]]:
    """The statements that stand for complaints, without their vectors."""
    return session.execute(
        select(
            Statement.id,
            Statement.complaint_id,
            Statement.text,
            Statement.confidence,
            null().label("data"),
            null().label("model"),
        ).where(Statement.is_exemplar, Statement.complaint_id.in_(complaint_ids))
    )


def weigh(
    complaint: Complaint,
    newest: Sequence[Row[Any]],
    standing: Sequence[Row[Any]],
    middles: Mapping[str, NDArray[np.float32]],
    ends: Mapping[int, tuple[int, int]],
) -> Evidence:
    """Put together what is known of one complaint.

    Args:
        newest: Its newest statements.
        standing: Those that stand for it.
        middles: The mean of their vectors, by model.
        ends: Lowest and highest score by id of the survey.
    """
    texts = {row.id: row.text for row in most_certain(standing)} | {row.id: row.text for row in most_certain(newest)}
    scores = [
        100 * (row.score - ends[row.survey_id][0]) / (ends[row.survey_id][1] - ends[row.survey_id][0])
        for row in newest
        if row.score is not None and row.survey_id in ends
    ]
    origins = [Origin(row.language, row.context or {}) for row in newest]
    languages = [row.language for row in newest if row.language]
    return Evidence(
        complaint.name,
        complaint.keywords,
        list(texts.values())[:TEXTS],
        shares([row.survey_id for row in newest], len(newest)),
        shares([page for origin in origins for page in pages_of(origin)], len(newest)),
        shares([tag for origin in origins for tag in {tag.casefold() for tag in tags_of(origin)}], len(newest)),
        shares(languages, len(languages)),
        sum(scores) / len(scores) if scores else None,
        middles,
        len(newest) if complaint.statement_count > len(newest) else 0,
    )


def most_certain(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """Statements, the most telling first."""
    return sorted(rows, key=lambda row: (-(row.confidence or 0.0), row.id))


def shares(values: Iterable[Key], of: int) -> dict[Key, float]:
    """How often each value stands among so many."""
    return {value: count / of for value, count in Counter(values).items()}


def centres(rows: Iterable[Row[Any]]) -> dict[int, dict[str, NDArray[np.float32]]]:
    """For each complaint the mean of its vectors, by the model that made them.

    Args:
        rows: With `complaint_id`, `model` and `data`. All of a model at once: one by one takes four times as long.
    """
    by_model: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        if row.data is not None:
            by_model[row.model].append(row)
    found: dict[int, dict[str, NDArray[np.float32]]] = defaultdict(dict)
    for model, own in by_model.items():
        ids, places = np.unique([row.complaint_id for row in own], return_inverse=True)
        dimensions = len(own[0].data) // 2
        sums = np.zeros((len(ids), dimensions), dtype=np.float32)
        np.add.at(sums, places, unpack([row.data for row in own], dimensions))
        for id, mean in zip(ids.tolist(), unit(sums), strict=True):
            found[id][model] = mean
    return found


def rules_asked(session: Session) -> list[Rule]:
    """The rules that are asked, in their order; each with its number in the list of all."""
    return [rule_of(row, place) for place, row in enumerate(queries.rules(session), 1) if row.is_active]


def rule_of(row: RoutingRule, place: int) -> Rule:
    """What routing needs to know of a rule. An owner who can own nothing any more is left out."""
    owner = row.owner if row.owner is not None and can_own(row.owner) else None
    return Rule(
        place,
        row.team.id,
        row.team.name,
        row.keyword,
        row.survey.id if row.survey else None,
        row.survey.name if row.survey else "",
        row.page,
        row.tag,
        row.language,
        row.worst_score,
        tuple(row.examples),
        unpack_examples(row.example_vectors, len(row.examples)),
        row.example_model,
        owner.id if owner else None,
        owner.name if owner else "",
        row.priority,
        row.service_level.id if row.service_level else None,
        row.service_level.name if row.service_level else "",
    )


def can_own(user: User) -> bool:
    """Whether a person can own action items."""
    return user.is_active and user.role != Role.VIEWER


def unpack_examples(data: bytes | None, count: int) -> NDArray[np.float32] | None:
    """The vectors of a rule's examples (count, d); None without them, or if these are of other examples."""
    if not data or not count or len(data) % (2 * count):
        return None
    step = len(data) // count
    return unpack([data[start : start + step] for start in range(0, len(data), step)], step // 2)
