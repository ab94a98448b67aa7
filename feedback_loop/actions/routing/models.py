"""The rules by which new action items get their team."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey, LargeBinary, SmallInteger, String, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import Priority, ServiceLevel
from feedback_loop.db import Base, checked, pk
from feedback_loop.surveys.models import Survey


class RoutingRule(Base):
    """Sends new action items to a team: the first rule that fits decides. That it asks for something is checked where
    it is made: what it may ask for lies in several columns."""

    __tablename__ = "routing_rules"

    id: Mapped[pk]
    position: Mapped[int] = mapped_column(default=0)
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true(), comment="drafts are not asked")
    keyword: Mapped[str] = mapped_column(String(100), default="", comment="found in the name, keywords or statements")
    survey_id: Mapped[int | None] = mapped_column(ForeignKey("surveys.id"), comment="most statements came from here")
    page: Mapped[str] = mapped_column(String(200), default="", server_default="", comment="most came from such a page")
    tag: Mapped[str] = mapped_column(String(200), default="", server_default="", comment="most were tagged so")
    language: Mapped[str] = mapped_column(String(8), default="", server_default="", comment="most were written in it")
    worst_score: Mapped[int | None] = mapped_column(SmallInteger, comment="the mean score, 0 to 100, is at most this")
    examples: Mapped[list[str]] = mapped_column(
        JSON, default=list, server_default="[]", comment="texts that mean what it asks for"
    )
    example_vectors: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="of the examples, one after the other, little-endian float16; the worker makes them"
    )
    example_model: Mapped[str] = mapped_column(String(120), default="", server_default="", comment="that made them")
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), comment="empty for whoever takes it on")
    priority: Mapped[Priority | None] = mapped_column(checked(Priority, "priority"))
    service_level_id: Mapped[int | None] = mapped_column(ForeignKey("service_levels.id"), comment="empty: the default")

    team: Mapped[Team] = relationship()
    owner: Mapped[User | None] = relationship()
    survey: Mapped[Survey | None] = relationship()
    service_level: Mapped[ServiceLevel | None] = relationship()
