"""Surveys: one question on one scale."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, String, true
from sqlalchemy.orm import Mapped, mapped_column

from feedback_loop.db import Base, checked, long_text, pk, short_text, utc


class ScaleName(StrEnum):
    """The scales a question can be asked on; `scales.py` says how each works."""

    HELPFUL = "helpful"
    CSAT = "csat"
    CES = "ces"
    NPS = "nps"
    STARS = "stars"
    TEXT = "text"


class SurveyState(StrEnum):
    """Whether answers are taken."""

    OPEN = "open"
    CLOSED = "closed"


class Survey(Base):
    """One question, its follow-up prompts and its thanks."""

    __tablename__ = "surveys"
    __table_args__ = (CheckConstraint("slug <> '' AND slug = lower(slug)", name="slug_is_lower_case"),)

    id: Mapped[pk]
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[short_text]
    question: Mapped[str] = mapped_column(String(300))
    scale: Mapped[ScaleName] = mapped_column(checked(ScaleName, "scale"))
    prompt_low: Mapped[str] = mapped_column(String(300), comment="asked after a low score")
    prompt_high: Mapped[str] = mapped_column(String(300), comment="asked after a high score")
    thanks: Mapped[long_text]
    state: Mapped[SurveyState] = mapped_column(checked(SurveyState, "survey_state"), default=SurveyState.OPEN)
    takes_gestures: Mapped[bool] = mapped_column(
        default=True,
        server_default=true(),
        comment="whether a score link counts once a person moves on its page, without Send",
    )
    embed_origins: Mapped[list[str]] = mapped_column(
        JSON,
        default=list,
        server_default="[]",
        comment="whose pages may show it in a frame; empty means nobody's",
    )
    created_at: Mapped[utc]
