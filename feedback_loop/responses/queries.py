"""Named reads of customers, invitations and answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session, joinedload

from feedback_loop import tokens
from feedback_loop.responses.models import (
    Answer,
    AnswerVersion,
    Customer,
    Invitation,
    RawComment,
    RawReading,
    UnconfirmedAnswer,
)
from feedback_loop.surveys.models import Survey
from feedback_loop.web.paging import Page, offset

READINGS_A_PAGE = 50


def survey_by_slug(session: Session, slug: str) -> Survey | None:
    """The survey of this address, or None."""
    return session.scalar(select(Survey).where(Survey.slug == slug))


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
