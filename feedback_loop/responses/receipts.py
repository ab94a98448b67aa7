"""Receipts: the link by which somebody who answered an anonymous survey finds back to the answer.

The token is derived from the random identifier of the page that was answered, which is stored nowhere. So a page that
is sent twice shows the same link, and nothing in the database leads to it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from feedback_loop import tokens
from feedback_loop.clock import day_of
from feedback_loop.responses.models import Answer, Customer, ErasedAnswer, UnconfirmedAnswer
from feedback_loop.responses.service import find_customer
from feedback_loop.surveys.models import Survey

PURPOSE = "receipt"
PAGE_KEPT = timedelta(days=2)  # forms go stale after one; counted from the beginning of the day


def token_of(secret_key: str, page_identifier: str) -> str:
    """The receipt of whoever answers this page."""
    return tokens.derive(secret_key, PURPOSE, page_identifier)


def answer_by_receipt(session: Session, token: str) -> Answer | None:
    """The answer that a receipt is for, with its survey, or None."""
    return session.scalar(
        select(Answer).where(Answer.receipt_hash == tokens.hashed(token)).options(joinedload(Answer.survey))
    )


def waiting_by_receipt(session: Session, token: str) -> UnconfirmedAnswer | None:
    """The answer that a receipt is for while somebody has yet to let it count, or None."""
    return session.scalar(
        select(UnconfirmedAnswer)
        .where(UnconfirmedAnswer.receipt_hash == tokens.hashed(token), UnconfirmedAnswer.settled_at.is_(None))
        .limit(1)
    )


def erase_waiting(session: Session, row: UnconfirmedAnswer, now: datetime) -> None:
    """Delete an answer that does not count yet. The day and the survey are kept."""
    session.add(ErasedAnswer(survey_id=row.survey_id, receipt_hash=row.receipt_hash, erased_at=day_of(now)))
    session.delete(row)
    session.flush()


def was_erased(session: Session, token: str) -> bool:
    """Whether the answer of a receipt was erased by whoever holds it."""
    found = select(ErasedAnswer.id).where(ErasedAnswer.receipt_hash == tokens.hashed(token)).limit(1)
    return session.scalar(found) is not None


def leave_address(session: Session, answer: Answer, email: str, now: datetime) -> Customer:
    """Link an answer with the address its author leaves, so that closings reach them.

    The worker looks at it once more and hands its statements, and the counts of complaints, to the customer.

    Args:
        session: A session that writes.
        answer: That has a receipt.
        email: A mail address.
        now: The present moment, of an anonymous survey only the day.
    """
    answer = session.scalars(
        select(Answer).where(Answer.id == answer.id).with_for_update().execution_options(populate_existing=True)
    ).one()
    customer = find_customer(session, email, "", now)
    answer.customer_id = customer.id
    if answer.redacted_at is not None:
        answer.analysed_at = None
    # A worker busy with it finds the fence changed and writes nothing.
    answer.fence += 1
    answer.claimed_until = None
    session.flush()
    return customer


def forget_pages(session: Session, now: datetime) -> int:
    """Drop what told which page an anonymous answer came from, once that page is too old to be sent again.

    Returns:
        How many answers it was dropped of.
    """
    anonymous = select(Survey.id).where(Survey.is_anonymous)
    return session.execute(  # type: ignore[attr-defined, no-any-return]
        update(Answer)
        .where(Answer.page_key.is_not(None), Answer.answered_at <= now - PAGE_KEPT, Answer.survey_id.in_(anonymous))
        .values(page_key=None)
        .execution_options(synchronize_session=False)
    ).rowcount
