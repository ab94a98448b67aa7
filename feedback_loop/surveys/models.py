"""Surveys: one question on one scale."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from feedback_loop.db import Base, UtcDateTime, checked, long_text, pk, short_text, utc


class ScaleName(StrEnum):
    """The scales a question can be asked on; `scales.py` says how each works."""

    HELPFUL = "helpful"
    CSAT = "csat"
    CES = "ces"
    NPS = "nps"
    STARS = "stars"
    SMILEYS = "smileys"
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
    language: Mapped[str] = mapped_column(
        String(8), default="en", server_default="en", comment="in which its own texts are written"
    )
    translations: Mapped[dict[str, dict[str, Any]]] = mapped_column(
        JSON, default=dict, server_default="{}", comment="texts by language and name of the text"
    )
    thanks_low: Mapped[long_text] = mapped_column(
        default="", server_default="", comment="said after a low score; empty means the same as otherwise"
    )
    tags: Mapped[list[str]] = mapped_column(
        JSON, default=list, server_default="[]", comment="what a customer can tick beside the score"
    )
    reply_days: Mapped[int | None] = mapped_column(
        SmallInteger, comment="within how many days a person reads an answer; empty where nothing is promised"
    )
    draft: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True), comment="what an admin has changed and not published"
    )
    version: Mapped[int] = mapped_column(default=1, server_default="1", comment="of its published texts")
    # Promised to whoever answers, so it is chosen when the survey is made and never changes.
    is_anonymous: Mapped[bool] = mapped_column(default=False, server_default=false())
    accent: Mapped[str] = mapped_column(
        String(7), default="", server_default="", comment="#rrggbb; empty means the usual one"
    )
    logo_digest: Mapped[str] = mapped_column(
        String(64),
        default="",
        server_default="",
        comment="SHA-256 of its logo, part of the address of that; empty without one",
    )
    opens_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closes_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answer_limit: Mapped[int | None] = mapped_column(comment="after so many answers it takes no more")
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="empty until it first is")
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[utc]


class SurveyVersion(Base):
    """The texts of a survey as they were published once. Answers say which they were given to."""

    __tablename__ = "survey_versions"
    __table_args__ = (UniqueConstraint("survey_id", "number"),)

    id: Mapped[pk]
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"))
    number: Mapped[int]
    wording: Mapped[dict[str, Any]] = mapped_column(JSON, comment="its texts, tags and scale as customers saw them")
    published_at: Mapped[utc]
    published_by_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id"), comment="empty where it was made by a command or before this was noted"
    )


class SurveyLogo(Base):
    """The picture at the top of a survey's pages."""

    __tablename__ = "survey_logos"

    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(40))
    data: Mapped[bytes] = mapped_column(LargeBinary)
