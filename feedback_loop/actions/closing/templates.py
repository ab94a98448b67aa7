"""Beginnings for the statements of closings, by team or for all."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import Team
from feedback_loop.actions.closing.models import StatementTemplate
from feedback_loop.actions.models import Outcome


def templates(session: Session, team_id: int | None = None) -> Sequence[StatementTemplate]:
    """All templates, or those that one team may begin with; by outcome and name."""
    query = (
        select(StatementTemplate)
        .options(joinedload(StatementTemplate.team))
        .order_by(StatementTemplate.outcome, StatementTemplate.name, StatementTemplate.id)
    )
    if team_id is not None:
        query = query.where(or_(StatementTemplate.team_id.is_(None), StatementTemplate.team_id == team_id))
    return session.scalars(query).all()


def add_template(session: Session, name: str, text: str, outcome: Outcome, team: Team | None) -> StatementTemplate:
    """Add one."""
    row = StatementTemplate(name=name.strip(), text=text.strip(), outcome=outcome, team=team)
    session.add(row)
    session.flush()
    return row


def change_template(
    session: Session, row: StatementTemplate, name: str, text: str, outcome: Outcome, team: Team | None
) -> None:
    """Change one. Statements that began with it stay as they are."""
    row.name, row.text, row.outcome, row.team = name.strip(), text.strip(), outcome, team
    session.flush()


def delete_template(session: Session, row: StatementTemplate) -> None:
    """Take one away. Statements that began with it stay as they are."""
    session.delete(row)
    session.flush()
