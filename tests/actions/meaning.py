"""Statements with vectors of the toy model, for tests about meaning."""

from __future__ import annotations

from typing import Any

from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.actions.routing.service import Wanted, add_rule, tidied
from feedback_loop.analysis.embedding.toy import ToyEmbedder
from feedback_loop.complaints.models import Complaint, Statement, Vector
from feedback_loop.complaints.vectors import hash_text, pack
from tests.factories import Make

TOY = ToyEmbedder()


def said(make: Make, complaint: Complaint, text: str, **values: Any) -> Statement:
    """A statement that stands for its complaint, with its vector."""
    row = make.statement(complaint, text, is_exemplar=True, **values)
    vector = make.session.get_one(Vector, row.vector_id)
    vector.data = pack(TOY.encode([text])[0])
    key = hash_text(text)
    if not make.session.query(Vector).filter_by(text_hash=key, model=TOY.name).count():
        vector.text_hash = key
    make.session.flush()
    return row


def complaint_about(make: Make, *texts: str, name: str = "", **values: Any) -> Complaint:
    """A complaint in which these are said."""
    complaint = make.complaint(name or texts[0][:40], keywords=[], **values)
    for text in texts:
        said(make, complaint, text)
    return complaint


def ruled(make: Make, team_id: int, **values: Any) -> RoutingRule:
    """A rule made by the real verb."""
    is_active = values.pop("is_active", True)
    return add_rule(make.session, tidied(Wanted(team_id, **values)), is_active)
