"""Verbs on customers, invitations and answers."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.accounts.models import User
from feedback_loop.analysis.redaction import Redaction, redact
from feedback_loop.db import Sessions, clean_text
from feedback_loop.jobs.claims import Claim, all_still_ours, claim
from feedback_loop.responses.models import Answer, Customer, Invitation, RawComment, RawReading
from feedback_loop.responses.queries import customer_by_email
from feedback_loop.responses.raw import RawTextUnreadable, seal, unseal
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey

log = logging.getLogger(__name__)

REDACTION_LEASE = timedelta(minutes=2)


class Refused(ValueError):
    """A raw text is not shown; says why."""


class NoRight(Refused):
    """Whoever asks lacks the right to read raw texts."""


class Destroyed(Refused):
    """The raw text is gone."""


def find_customer(session: Session, email: str, name: str, now: datetime) -> Customer:
    """The customer with this address, made when there is none. A name we did not have is kept; one we have stays."""
    email = email.strip().lower()
    customer = customer_by_email(session, email)
    if customer is None:
        try:
            with session.begin_nested():
                customer = Customer(email=email, name=name, created_at=now)
                session.add(customer)
                session.flush()
        except IntegrityError:  # another process was first
            customer = customer_by_email(session, email)
            assert customer is not None
    if name and not customer.name:
        customer.name = name
    return customer


def invite(
    session: Session,
    survey: Survey,
    customer: Customer,
    context: dict[str, Any],
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[Invitation, str]:
    """Give a customer the right to answer a survey once, until a moment or for good.

    Returns:
        The invitation, and the token of its link. The token is stored nowhere: show or send it now.
    """
    token = tokens.draw()
    invitation = Invitation(
        survey=survey,
        customer=customer,
        token_hash=tokens.hashed(token),
        context=context,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(invitation)
    session.flush()
    return invitation, token


def record_answer(
    session: Session,
    survey: Survey,
    *,
    score: int | None,
    comment: str,
    customer: Customer | None,
    invitation: Invitation | None,
    context: dict[str, Any],
    external_id: str | None,
    answered_at: datetime,
    now: datetime,
    settings: Settings,
    earlier: Answer | None = None,
) -> Answer:
    """Record an answer; to an invitation that has one already, change it.

    The comment is sealed until the worker has redacted it. No row of `answers` ever holds the raw text.

    Args:
        score: On the survey's scale, or None.
        comment: As typed; may be empty.
        customer: Who answers, or None if we do not know.
        invitation: What was answered, if it came by an invitation.
        context: Where the answer came from: page, order, ticket.
        external_id: Its id in another system, unique in the survey.
        answered_at: When it was given.
        now: The present moment.
        settings: For the key and the lifetime of raw text.
        earlier: The answer to change instead, read anew and locked, if it is known otherwise than by an invitation.
    """
    comment = clean_text(comment).strip()
    answer = earlier
    if invitation is not None:
        # Two sends of one link at once queue here, so that the second changes the answer of the first.
        session.execute(select(Invitation.id).where(Invitation.id == invitation.id).with_for_update())
        # Read anew: a worker may have claimed or redacted it since the page looked.
        answer = session.scalar(
            select(Answer)
            .where(Answer.invitation_id == invitation.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    if answer is None:
        answer = Answer(
            survey_id=survey.id,
            customer_id=customer.id if customer else None,
            invitation_id=invitation.id if invitation else None,
            external_id=external_id,
            context=context,
            received_at=now,
        )
        session.add(answer)
    else:
        answer.revision += 1
        # A worker busy with the old comment finds the fence changed and writes nothing.
        answer.fence += 1
        answer.claimed_until = None
        session.execute(delete(RawComment).where(RawComment.answer_id == answer.id))
    answer.score = score
    answer.answered_at = answered_at
    answer.comment = None if comment else ""
    answer.redactions = []
    answer.redacted_at = None if comment else now
    answer.analysed_at = None
    session.flush()
    if comment:
        expires_at = now + timedelta(days=max(1, settings.raw_text_days))
        session.add(RawComment(answer_id=answer.id, sealed=seal(comment, settings.secret_key), expires_at=expires_at))
        session.flush()
    return answer


def redact_pending(sessions: Sessions, settings: Settings, now: datetime, limit: int = 500) -> int:
    """Redact answers that wait for it: claim, redact with no transaction open, write where nothing has changed since.

    Returns:
        How many were redacted; 0 means none is waiting.
    """
    with sessions.begin() as session:
        claims = claim(session, Answer, [Answer.redacted_at.is_(None)], [Answer.id], limit, now, REDACTION_LEASE)
        if not claims:
            return 0
        # By hand, not by relationship: the raw text is fetched only where it is needed.
        sealed = {
            row.answer_id: row
            for row in session.scalars(select(RawComment).where(RawComment.answer_id.in_([c.id for c in claims])))
        }
    done: list[tuple[Claim, Redaction]] = []
    for each in claims:
        raw = sealed.get(each.id)
        try:
            text = unseal(raw.sealed, settings.secret_key) if raw else ""
        except RawTextUnreadable as error:
            # Left waiting: with the right key it is read after all.
            log.error("Answer %d: %s", each.id, error)
            continue
        done.append((each, redact(text, settings.phone_region or None)))
    with sessions.begin() as session:
        ours = all_still_ours(session, Answer, claims)
        values = [
            {
                "id": each.id,
                "comment": redaction.text,
                "redactions": [found.kind for found in redaction.found],
                "redacted_at": now,
                "claimed_until": None,
            }
            for each, redaction in done
            if each.id in ours
        ]
        if values:
            session.execute(update(Answer), values)
        if settings.raw_text_days == 0:
            session.execute(delete(RawComment).where(RawComment.answer_id.in_([row["id"] for row in values])))
    return len(done)


def kept_raw(session: Session, answer: Answer, by: User, now: datetime, settings: Settings) -> RawComment:
    """The sealed raw text of an answer, for a person who may read it.

    Raises:
        NoRight: This person may not.
        Destroyed: Its time is over; says since when.
        Refused: It has not been redacted yet, or redacting took nothing out of it.
    """
    if not by.reads_raw:
        raise NoRight(
            "Reading what customers typed, before personal details are blanked out, is a right of its own, "
            "which no role includes. An admin can give it to you under Settings, People."
        )
    if answer.redacted_at is None:
        raise Refused("Personal details are still being blanked out of this answer. Look again in a minute.")
    if not answer.redactions:
        raise Refused("Nothing was blanked out of this answer: what you see is what the customer typed.")
    raw = session.get(RawComment, answer.id)
    if raw is None or raw.expires_at <= now:
        at = raw.expires_at if raw else destroyed_at(answer, settings)
        on = f" on {at.day} {at:%b %Y}" if at and at <= now else ""
        raise Destroyed(f"The original was destroyed{on}. What is left is the text with personal details blanked out.")
    return raw


def destroyed_at(answer: Answer, settings: Settings) -> datetime | None:
    """When the raw text of a redacted answer was destroyed, by the lifetime that is set now; no row says it."""
    typed_at = max(answer.answered_at, answer.received_at)  # it may have been changed later, or imported later
    redacted_at = answer.redacted_at
    return redacted_at and max(redacted_at, typed_at + timedelta(days=settings.raw_text_days))


def read_raw(session: Session, answer: Answer, by: User, why: str, now: datetime, settings: Settings) -> str:
    """Give a person the raw text of an answer, and log that they read it. Commit before you show it.

    Raises:
        NoRight: This person may not.
        Destroyed: Its time is over.
        Refused: There is no reason, or nothing to read beside the redacted text.
        RawTextUnreadable: It was sealed with another key. Nothing was read, so nothing is logged.
    """
    raw = kept_raw(session, answer, by, now, settings)
    why = clean_text(why).strip()
    if not why:
        raise Refused("Say why you need to read the original.")
    text = unseal(raw.sealed, settings.secret_key)
    session.add(RawReading(answer_id=answer.id, by_id=by.id, at=now, why=why))
    session.flush()
    return text


def destroy_expired(session: Session, now: datetime) -> int:
    """Destroy raw texts whose time is over and that have been redacted; one not read yet would be lost.

    Returns:
        How many were destroyed.
    """
    read = RawComment.answer_id.in_(select(Answer.id).where(Answer.redacted_at.is_not(None)))
    return session.execute(delete(RawComment).where(RawComment.expires_at <= now, read)).rowcount  # type: ignore[attr-defined, no-any-return]
