"""The vectors of the examples that routing rules name. The web looks up those that exist; a worker makes the others.

An example is a text, or the number of a complaint, which stands for the mean of what is said there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.routing.deciding import number_of
from feedback_loop.actions.routing.evidence import centres, exemplars
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.analysis.embedding.embedder import Embedder
from feedback_loop.complaints import vectors
from feedback_loop.complaints.models import Complaint, Statement, Vector
from feedback_loop.complaints.queries import surviving
from feedback_loop.db import Sessions, reading


@dataclass(frozen=True)
class Read:
    """Examples as vectors.

    Attributes:
        data: Of all examples, one after the other, as the database keeps them.
        model: That made them.
    """

    data: bytes
    model: str


def unread(session: Session, model: str | None) -> list[int]:
    """The rules whose examples a worker has to read.

    Args:
        session: A session that reads.
        model: Name of the model that is loaded. None if none is: then only rules that were never read are named, so
            that none is loaded for nothing.
    """
    rows = session.execute(select(RoutingRule.id, RoutingRule.examples, RoutingRule.example_model))
    return [
        row.id
        for row in rows
        if row.examples and (not row.example_model or row.example_model != (model or row.example_model))
    ]


def read_examples(sessions: Sessions, embedder: Embedder, rule_ids: Sequence[int]) -> int:
    """Give rules the vectors of their examples. A rule that is changed meanwhile is left for the next look.

    Returns:
        How many rules were read.
    """
    done = 0
    for rule_id in rule_ids:
        with reading(sessions) as session:
            examples = session.scalar(select(RoutingRule.examples).where(RoutingRule.id == rule_id)) or []
            known = known_vectors(session, examples, embedder.name)
        # What is said in no complaint any more is like nothing.
        found: dict[str, NDArray[np.float32]] = {
            each: known.get(each, np.zeros(embedder.dimensions, dtype=np.float32)) for each in examples
        }
        new = [each for each in examples if each not in known and number_of(each) is None]
        found |= dict(zip(new, embedder.encode(new), strict=True)) if new else {}
        with sessions.begin() as session:
            rule = session.get(RoutingRule, rule_id, with_for_update=True)
            if rule is not None and examples and rule.examples == examples:
                rule.example_vectors, rule.example_model = packed(examples, found), embedder.name
                done += 1
    return done


def look_up(session: Session, examples: Sequence[str]) -> Read | None:
    """The vectors of examples if all exist already, of the model that is in use; None if a worker has to make some."""
    model = session.scalar(
        select(Vector.model)
        .join(Statement, Statement.vector_id == Vector.id)
        .where(Statement.is_exemplar)
        .order_by(Vector.id.desc())
        .limit(1)
    )
    if model is None or not examples:
        return None
    known = known_vectors(session, examples, model)
    return Read(packed(examples, known), model) if len(known) == len(set(examples)) else None


def known_vectors(session: Session, examples: Sequence[str], model: str) -> dict[str, NDArray[np.float32]]:
    """The vectors that exist: of complaints, and of texts that somebody has said in the same words."""
    numbers = {each: number for each in examples if (number := number_of(each)) is not None}
    named = select(Complaint).where(Complaint.id.in_(numbers.values()))
    living = {each.id: surviving(session, each).id for each in session.scalars(named)} if numbers else {}
    middles = centres(exemplars(session, set(living.values()))) if living else {}
    found: dict[str, NDArray[np.float32]] = {}
    for each, number in numbers.items():
        middle = middles.get(living.get(number, 0), {}).get(model)
        if middle is not None:
            found[each] = middle
    hashes = {each: vectors.hash_text(each) for each in examples if each not in numbers}
    stored = vectors.known(session, hashes.values(), model) if hashes else {}
    for each, key in hashes.items():
        if key in stored:
            data = stored[key][1]
            found[each] = vectors.unpack([data], len(data) // 2)[0]
    return found


def packed(examples: Sequence[str], found: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Vectors in the order of the examples, as a rule keeps them."""
    return b"".join(vectors.pack(found[each]) for each in examples)
