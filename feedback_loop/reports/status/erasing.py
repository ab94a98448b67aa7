"""Erasing an answer because whoever gave it says so: it, and all that was made of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.orm import Session, aliased

from feedback_loop.accounts.models import User
from feedback_loop.actions.audience.groups import around
from feedback_loop.actions.closing.asking import ERASED
from feedback_loop.actions.closing.service import quoted
from feedback_loop.actions.runs.people import forget_words
from feedback_loop.clock import day_of
from feedback_loop.complaints.models import Statement, Vector
from feedback_loop.complaints.service.corrections import CORRECTING
from feedback_loop.complaints.service.counts import Change, count_changes
from feedback_loop.followups.erasing import forget_comments
from feedback_loop.followups.service import lock_item
from feedback_loop.inbound.bounces import closure_about
from feedback_loop.inbound.erasing import forget_replies
from feedback_loop.integrations.trackers.service import forget_in_issues
from feedback_loop.jobs.claims import queue
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import Answer, AnswerVersion, ErasedAnswer, Invitation, UnconfirmedAnswer

REASON = "The answer it was about was erased by whoever gave it."


@dataclass(frozen=True)
class Said:
    """What an answer says and has said before, with the moment of each, as messages quote it."""

    words: Collection[tuple[str, datetime]]

    def is_in(self, session: Session, customer_id: int, data: Mapping[str, Any]) -> bool:
        """Whether a message quotes it. Where its author said the same in another answer, the moment tells which.

        Args:
            session: A session, in which the statements of this answer are gone.
            customer_id: Its author.
            data: Of the message.
        """
        quote, moment = data.get("quote") or "", data.get("said_at") or ""
        if not quote:
            return False
        if any(quoted(text) == quote and moment in ("", at.isoformat()) for text, at in self.words):
            return True
        # Sentences can be quoted for themselves; of earlier versions only the whole is kept.
        if not moment or not any(quote.removesuffix(" …") in text for text, _ in self.words):
            return False
        others = select(Statement.text).where(
            Statement.customer_id == customer_id, Statement.said_at == datetime.fromisoformat(moment)
        )
        return quote not in {quoted(text) for text in session.scalars(others)}


def erase(session: Session, answer: Answer, now: datetime) -> bool:
    """Delete an answer with its original, versions, statements and vectors, what messages quote of it, and what its
    author wrote in answer to those.

    What its author is still owed because of it is not sent. Of a reply stays that there was one, and of what they said
    about a fix yes or no. The counts of complaints follow; a complaint that nobody raised otherwise stays, empty, with
    its number, work and closings. An invitation runs out, so that nobody reminds.

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
    said = words_of(session, found, statements)
    asked: list[int] = []  # mails that ask for this answer
    if found.page_key is not None:
        session.execute(delete(UnconfirmedAnswer).where(UnconfirmedAnswer.page_key == found.page_key))
    if found.invitation_id is not None:
        session.execute(delete(UnconfirmedAnswer).where(UnconfirmedAnswer.invitation_id == found.invitation_id))
        invitation = session.get_one(Invitation, found.invitation_id)
        invitation.expires_at = now
        asked += session.scalars(select(Notification.id).where(Notification.recipient == invitation.recipient))
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
    forget_in_issues(session, [text for text, _ in said.words])
    if customer_id is not None:
        lock_items(session, customer_id)
        quoting = forget_quotes(session, customer_id, said)
        forget_replies(session, [*asked, *(row.id for row in quoting)])
        closings = {closure.id for row in quoting if (closure := closure_about(session, row))}
        forget_comments(session, customer_id, closings)
    return True


def words_of(session: Session, answer: Answer, statements: Sequence[Statement]) -> Said:
    """What an answer and its statements say, and what it said before."""
    before = session.execute(
        select(AnswerVersion.comment, AnswerVersion.answered_at).where(AnswerVersion.answer_id == answer.id)
    )
    found = [*((row.text, row.said_at) for row in statements), *((row.comment, row.answered_at) for row in before)]
    return Said([*found, (answer.comment, answer.answered_at)] if answer.comment else found)


def forget_vectors(session: Session, ids: Collection[int]) -> None:
    """Delete those of some vectors, of whatever model, whose words nobody else used."""
    same_words = aliased(Vector)
    hashes = set(session.scalars(select(Vector.text_hash).where(Vector.id.in_(ids))))
    used = select(same_words.text_hash).join(Statement, Statement.vector_id == same_words.id)
    unused = hashes - set(session.scalars(used.where(same_words.text_hash.in_(hashes))))
    session.execute(delete(Vector).where(Vector.text_hash.in_(unused)).execution_options(synchronize_session=False))


def lock_items(session: Session, customer_id: int) -> None:
    """Lock the items of which a customer was told, before their messages, as everybody does who locks both."""
    mails = session.scalars(select(Notification).where(Notification.recipient == f"customer:{customer_id}"))
    closures = {closure for row in mails.all() if (closure := closure_about(session, row))}
    for closure in sorted(closures, key=lambda each: each.action_item_id):
        lock_item(session, closure)


def forget_quotes(session: Session, customer_id: int, said: Said) -> Sequence[Notification]:
    """Take words out of the messages that quote them to their author, and out of those that colleagues sent themselves
    to try them.

    One that is not sent yet quotes what else they said about the same problem; without that it is not sent, nor tried
    again where it had failed.

    Returns:
        The messages to their author that quoted them.
    """
    theirs = f"customer:{customer_id}"
    colleagues = [f"user:{number}" for number in session.scalars(select(User.id))]
    is_trial = and_(Notification.recipient.in_(colleagues), Notification.rank == Rank.TEST)
    rows = session.scalars(
        select(Notification)
        .where(or_(Notification.recipient == theirs, is_trial))
        .order_by(Notification.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    quoting = [row for row in rows if said.is_in(session, customer_id, row.data)]
    for row in quoting:
        other = other_words(session, customer_id, row) if row.recipient == theirs else None
        quote = {"quote": quoted(other.text), "said_at": other.said_at.isoformat()} if other else dict(ERASED)
        row.data = row.data | quote
        if row.state in (NotificationState.PENDING, NotificationState.FAILED) and other is None:
            row.state, row.reason = NotificationState.SKIPPED, REASON
            row.fence += 1  # a worker that holds it finds it changed
    session.flush()
    return [row for row in quoting if row.recipient == theirs]


def other_words(session: Session, customer_id: int, row: Notification) -> Statement | None:
    """The latest of what a customer said otherwise about the problem that was closed, or None."""
    closure = closure_about(session, row)
    if closure is None:
        return None
    about = around(session, closure.action_item).complaint_ids
    return session.scalar(
        select(Statement)
        .where(Statement.complaint_id.in_(about), Statement.customer_id == customer_id)
        .order_by(Statement.said_at.desc(), Statement.position, Statement.id)
        .limit(1)
    )
