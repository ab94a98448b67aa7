"""Erasing an answer because whoever gave it says so: it, and all that was made of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, aliased

from feedback_loop.actions.audience.groups import around
from feedback_loop.actions.closing.asking import ERASED
from feedback_loop.actions.closing.service import quoted
from feedback_loop.actions.models import Closure
from feedback_loop.actions.runs.people import forget_words
from feedback_loop.clock import day_of
from feedback_loop.complaints.models import Statement, Vector
from feedback_loop.complaints.service.corrections import CORRECTING
from feedback_loop.complaints.service.counts import Change, count_changes
from feedback_loop.jobs.claims import queue
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import Answer, AnswerVersion, ErasedAnswer, Invitation, UnconfirmedAnswer

QUOTING = ("closure", "follow_up", "sorry")  # events of a closing whose messages quote
REASON = "The answer it was about was erased by whoever gave it."


def erase(session: Session, answer: Answer, now: datetime) -> bool:
    """Delete an answer with its original, versions, statements and vectors, and what messages quote of it.

    What its author is still owed because of it is not sent. The counts of complaints follow; a complaint that nobody
    raised otherwise stays, empty, with its number, work and closings. An invitation runs out, so that nobody reminds.

    Args:
        session: A session that writes.
        answer: To be erased.
        now: The present moment; the day is kept.

    Returns:
        Whether it was there; another request may have been first.
    """
    queue(session, CORRECTING)  # workers write statements, and people correct, one after the other
    found = session.scalar(
        select(Answer).where(Answer.id == answer.id).with_for_update().execution_options(populate_existing=True)
    )
    if found is None:
        return False
    statements = session.scalars(select(Statement).where(Statement.answer_id == found.id)).all()
    gone = [
        Change(row.id, row.complaint_id, None, is_gone=True, customer_id=row.customer_id)
        for row in statements
        if row.complaint_id is not None
    ]
    vectors = {row.vector_id for row in statements if row.vector_id}
    before = session.scalars(select(AnswerVersion.comment).where(AnswerVersion.answer_id == found.id))
    texts = {quoted(text) for text in (*(row.text for row in statements), *before) if text}
    if found.page_key is not None:
        session.execute(delete(UnconfirmedAnswer).where(UnconfirmedAnswer.page_key == found.page_key))
    if found.invitation_id is not None:
        session.execute(delete(UnconfirmedAnswer).where(UnconfirmedAnswer.invitation_id == found.invitation_id))
        session.get_one(Invitation, found.invitation_id).expires_at = now
    session.add(ErasedAnswer(survey_id=found.survey_id, receipt_hash=found.receipt_hash, erased_at=day_of(now)))
    customer_id = found.customer_id
    if customer_id is not None and statements:
        forget_words(session, customer_id, [row.id for row in statements])
    session.flush()
    # By statements of SQL: the database itself takes along the original, the versions and the statements.
    session.execute(delete(Statement).where(Statement.answer_id == found.id))
    session.execute(delete(Answer).where(Answer.id == found.id))
    session.expunge_all()
    count_changes(session, gone)
    forget_vectors(session, vectors)
    if customer_id is not None and texts:
        forget_quotes(session, customer_id, texts)
    return True


def forget_vectors(session: Session, ids: Collection[int]) -> None:
    """Delete those of some vectors, of whatever model, whose words nobody else used."""
    same_words = aliased(Vector)
    hashes = set(session.scalars(select(Vector.text_hash).where(Vector.id.in_(ids))))
    used = select(same_words.text_hash).join(Statement, Statement.vector_id == same_words.id)
    unused = hashes - set(session.scalars(used.where(same_words.text_hash.in_(hashes))))
    session.execute(delete(Vector).where(Vector.text_hash.in_(unused)).execution_options(synchronize_session=False))


def forget_quotes(session: Session, customer_id: int, texts: Collection[str]) -> None:
    """Take words out of the messages that quote them to their author.

    One that is not sent yet quotes what else they said about the same problem; without that it is not sent, nor tried
    again where it had failed.
    """
    rows = session.scalars(
        select(Notification).where(Notification.recipient == f"customer:{customer_id}").with_for_update()
    )
    for row in rows:
        if row.data.get("quote") not in texts:
            continue
        other = other_words(session, customer_id, row.event)
        said = {"quote": quoted(other.text), "said_at": other.said_at.isoformat()} if other else dict(ERASED)
        row.data = row.data | said
        if row.state in (NotificationState.PENDING, NotificationState.FAILED) and other is None:
            row.state, row.reason = NotificationState.SKIPPED, REASON
            row.fence += 1  # a worker that holds it finds it changed
    session.flush()


def other_words(session: Session, customer_id: int, event: str) -> Statement | None:
    """The latest of what a customer said otherwise about the problem that was closed, or None."""
    kind, _, number = event.partition(":")
    closure = session.get(Closure, int(number)) if kind in QUOTING else None
    if closure is None:
        return None
    about = around(session, closure.action_item).complaint_ids
    return session.scalar(
        select(Statement)
        .where(Statement.complaint_id.in_(about), Statement.customer_id == customer_id)
        .order_by(Statement.said_at.desc(), Statement.position, Statement.id)
        .limit(1)
    )
