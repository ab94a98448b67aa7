"""Named reads of customers, invitations and answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, tuple_
from sqlalchemy.orm import Session, joinedload

from feedback_loop import tokens
from feedback_loop.responses.models import (
    Answer,
    AnswerVersion,
    Customer,
    Guard,
    Invitation,
    RawComment,
    RawReading,
    SurveyPressure,
    UnconfirmedAnswer,
)
from feedback_loop.responses.pressure import Pressure, pressure_of
from feedback_loop.surveys.availability import Availability, availability
from feedback_loop.surveys.models import Survey
from feedback_loop.web.paging import Page, offset

READINGS_A_PAGE = 50
# Made once, as every page runs one of them. An open page reads plain columns: objects cost it more than the reading.
SURVEY_BY_SLUG = select(Survey).where(Survey.slug == bindparam("slug"))
_SURVEYS, _PRESSURES = Survey.__table__, SurveyPressure.__table__
OPEN_PAGE = (
    select(
        *(column for column in _SURVEYS.c if column is not _SURVEYS.c.draft),
        _PRESSURES.c.guard.label("pressed_guard"),
        _PRESSURES.c.until.label("pressed_until"),
        _PRESSURES.c.reason.label("pressed_reason"),
    )
    .select_from(_SURVEYS.outerjoin(_PRESSURES, _PRESSURES.c.survey_id == _SURVEYS.c.id))
    .where(_SURVEYS.c.slug == bindparam("slug"))
)
# What an answer is judged by; its texts are as its version says.
DECISIVE = (
    "id", "state", "archived_at", "published_at", "opens_at", "closes_at", "answer_limit", "version", "scale", "tags",
    "is_anonymous", "takes_gestures", "pressed_guard", "pressed_until",
)  # fmt: skip
_OF_THE_PAGE = OPEN_PAGE.selected_columns
DECIDES = OPEN_PAGE.with_only_columns(*(_OF_THE_PAGE[name] for name in DECISIVE), maintain_column_froms=True)


def survey_by_slug(session: Session, slug: str) -> Survey | None:
    """The survey of this address, or None."""
    return session.scalar(SURVEY_BY_SLUG, {"slug": slug})


@dataclass(frozen=True)
class OpenPage:
    """What an open page needs to know.

    Attributes:
        survey: A copy, for reading only.
        guard, until, reason: How hard it is pressed, as its row says; None where there is none.
        decisive: What answers were judged by, as `read_decisive` gives it.
    """

    survey: Survey
    guard: Guard | None
    until: datetime | None
    reason: str | None
    decisive: tuple[Any, ...]

    def pressure(self, now: datetime) -> Pressure:
        """How hard it is pressed now."""
        return pressure_of(self.guard, self.until, self.reason, now)


def open_page(connection: Connection, slug: str) -> OpenPage | None:
    """What the open page of this address needs to know, or None where there is none."""
    row = connection.execute(OPEN_PAGE, {"slug": slug}).one_or_none()
    if row is None:
        return None
    columns = row._asdict()
    decisive = tuple(columns[name] for name in DECISIVE)
    pressed = columns.pop("pressed_guard"), columns.pop("pressed_until"), columns.pop("pressed_reason")
    return OpenPage(Survey(**columns), *pressed, decisive)


def read_decisive(connection: Connection, slug: str) -> tuple[Any, ...] | None:
    """What answers to an open page are judged by as it is now; for telling whether that has changed."""
    row = connection.execute(DECIDES, {"slug": slug}).one_or_none()
    return None if row is None else tuple(row)


def is_full(session: Session, survey: Survey) -> bool:
    """Whether a survey has as many answers as it takes. Looks only where there is a limit, and no further than that."""
    if survey.answer_limit is None:
        return False
    last = select(Answer.id).where(Answer.survey_id == survey.id).order_by(Answer.id).offset(survey.answer_limit - 1)
    return session.scalar(last.limit(1)) is not None


def availability_of(session: Session, survey: Survey, now: datetime) -> Availability:
    """Whether a survey takes answers now, and if not, why."""
    found = availability(survey, now)
    is_over = found == Availability.OPEN and is_full(session, survey)
    return Availability.FULL if is_over else found


def has_answers(session: Session, survey: Survey) -> bool:
    """Whether anybody has answered a survey, counted or not."""
    return any(
        session.scalar(select(table.id).where(table.survey_id == survey.id).limit(1)) is not None
        for table in (Answer, UnconfirmedAnswer)
    )


def page_was_answered(session: Session, page_key: str) -> bool:
    """Whether an answer counts that came from an open page."""
    return session.scalar(select(Answer.id).where(Answer.page_key == page_key)) is not None


def invitation_by_token(session: Session, token: str) -> Invitation | None:
    """The invitation whose link holds this token, with its survey and customer, or None."""
    return session.scalar(
        select(Invitation)
        .where(Invitation.token_hash == tokens.hashed(token))
        .options(joinedload(Invitation.survey), joinedload(Invitation.customer))
    )


def answer_to(session: Session, invitation: Invitation) -> Answer | None:
    """What was answered to an invitation, or None."""
    return session.scalar(select(Answer).where(Answer.invitation_id == invitation.id))


def unconfirmed_answer(session: Session, survey: Survey, id: int) -> UnconfirmedAnswer | None:
    """An answer to a survey that does not count, with its invitation, or None."""
    return session.scalar(
        select(UnconfirmedAnswer)
        .where(UnconfirmedAnswer.id == id, UnconfirmedAnswer.survey_id == survey.id)
        .options(joinedload(UnconfirmedAnswer.invitation))
    )


def customer_by_email(session: Session, email: str) -> Customer | None:
    """The customer with this address, or None."""
    return session.scalar(select(Customer).where(Customer.email == email.strip().lower()))


def answer(session: Session, answer_id: int) -> Answer | None:
    """An answer with its survey and customer, or None."""
    return session.scalar(
        select(Answer).where(Answer.id == answer_id).options(joinedload(Answer.survey), joinedload(Answer.customer))
    )


def versions_of(session: Session, answers: Collection[Answer]) -> dict[int, list[AnswerVersion]]:
    """What those of these answers that were changed said before, the newest first, by the answer's id."""
    changed = [each.id for each in answers if each.revision > 1]
    versions: dict[int, list[AnswerVersion]] = {}
    if changed:
        for row in session.scalars(
            select(AnswerVersion)
            .where(AnswerVersion.answer_id.in_(changed))
            .order_by(AnswerVersion.answer_id, AnswerVersion.revision.desc())
        ):
            versions.setdefault(row.answer_id, []).append(row)
    return versions


def answers_from(
    session: Session, survey: Survey | None, since: datetime | None, after: tuple[datetime, int] | None, limit: int
) -> Sequence[Answer]:
    """Answers with their survey, by when they were answered.

    Args:
        session: Any session.
        survey: Only of this one.
        since: Only those answered then or later.
        after: Moment and id of the last one that was read.
        limit: At most so many.
    """
    query = select(Answer).options(joinedload(Answer.survey))
    if survey is not None:
        query = query.where(Answer.survey_id == survey.id)
    if since is not None:
        query = query.where(Answer.answered_at >= since)
    if after is not None:
        query = query.where(tuple_(Answer.answered_at, Answer.id) > after)
    return session.scalars(query.order_by(Answer.answered_at, Answer.id).limit(limit)).all()


def with_original(session: Session, answers: Collection[Answer], now: datetime) -> set[int]:
    """The ids of those of these answers in which something was redacted and whose raw text is still there."""
    redacted = [each.id for each in answers if each.redactions]
    if not redacted:
        return set()
    return set(
        session.scalars(
            select(RawComment.answer_id).where(RawComment.answer_id.in_(redacted), RawComment.expires_at > now)
        )
    )


def readings(session: Session, page: int) -> Page[RawReading]:
    """A page of the log of read raw texts, the newest first."""
    rows = session.scalars(
        select(RawReading)
        .options(joinedload(RawReading.by), joinedload(RawReading.answer).joinedload(Answer.survey))
        .order_by(RawReading.id.desc())
        .offset(offset(page, READINGS_A_PAGE))
        .limit(READINGS_A_PAGE)
    ).all()
    total = session.scalar(select(func.count()).select_from(RawReading)) or 0
    return Page(rows, page, READINGS_A_PAGE, total)
