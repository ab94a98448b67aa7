"""The texts with which statements to customers begin."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import Team
from feedback_loop.actions.models import Outcome
from feedback_loop.db import Base, checked, long_text, pk


class StatementTemplate(Base):
    """A beginning for the statement of a closing, by team or for all."""

    __tablename__ = "statement_templates"
    __table_args__ = (CheckConstraint("name <> '' AND text <> ''", name="says_something"),)

    id: Mapped[pk]
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"), index=True, comment="empty for every team")
    outcome: Mapped[Outcome] = mapped_column(checked(Outcome, "outcome"))
    name: Mapped[str] = mapped_column(String(80))
    text: Mapped[long_text]

    team: Mapped[Team | None] = relationship()
