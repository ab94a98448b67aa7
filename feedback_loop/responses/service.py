"""Verbs on customers, invitations and answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.analysis.redaction import redact
from feedback_loop.db import clean_text
from feedback_loop.jobs.bell import ring
from feedback_loop.notifications.service import cancel_to
from feedback_loop.responses.anonymity import REFUSAL, kept_context, kept_time, new_id
from feedback_loop.responses.models import Answer, AnswerVersion, Customer, Invitation, RawComment, Sign
from feedback_loop.responses.queries import customer_by_email
from feedback_loop.responses.raw import RawTextUnreadable, seal, unseal
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey

# Made once: every answer runs these, and building them takes longer than running them.
ADD_ANSWER, ADD_RAW_COMMENT = insert(Answer.__table__), insert(RawComment.__table__)  # type: ignore[arg-type]


class Refused(ValueError):
    """Something is not done; says why."""


class SentTwice(Refused):
    """The same page was sent twice at one moment; one of the two is recorded."""


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


def remember_language(customer: Customer, shown: str, chosen: str = "") -> None:
    """Keep the language in which a customer reads, for mails and for the next page.

    Args:
        customer: Who answers.
        shown: The language of the page; kept when we know none.
        chosen: What they chose on a page that only they can open; goes before what we know.
    """
    customer.language = chosen or customer.language or shown


def invite(
    session: Session,
    survey: Survey,
    customer: Customer,
    context: dict[str, Any],
    now: datetime,
    language: str = "",
    expires_at: datetime | None = None,
    experience: str | None = None,
) -> tuple[Invitation, str]:
    """Give a customer the right to answer a survey once, until a moment or for good.

    Args:
        survey: What to ask.
        customer: Whom.
        context: What it is about.
        now: The present moment.
        language: In which to ask; empty for the customer's own.
        expires_at: Until when it may be answered; None for as long as the survey is open.
        experience: Which one it asks about, by the name another system gives it; one invitation each.

    Returns:
        The invitation, and the token of its link. The token is stored nowhere: show or send it now.

    Raises:
        Refused: The survey is anonymous.
    """
    if survey.is_anonymous:
        raise Refused(REFUSAL)
    token = tokens.draw()
    invitation = Invitation(
        survey=survey,
        customer=customer,
        token_hash=tokens.hashed(token),
        language=language,
        context=context,
        created_at=now,
        expires_at=expires_at,
        experience=experience,
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
    sign: Sign = Sign.SENT,
    page_key: str | None = None,
    survey_version: int | None = None,
    earlier: Answer | None = None,
    receipt_hash: str | None = None,
    is_first: bool = False,
) -> int:
    """Record an answer that counts; where the invitation or the page has one already, change it and keep the old one.

    The comment is sealed until the worker has redacted it. No row of `answers` ever holds the raw text. Of an answer to
    an anonymous survey only the day is kept, and nothing about who gave it.

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
        sign: What makes it count.
        page_key: Hash of the identifier of the open page it came from.
        survey_version: Whose texts the customer had before them; None where that is not known.
        earlier: The answer to change instead, read anew and locked, if it is known otherwise than by an invitation.
        receipt_hash: Of an anonymous survey, hash of the receipt that is shown to whoever gives it.
        is_first: The caller has looked: the invitation or the page has no answer yet.

    Returns:
        The id of the answer.

    Raises:
        SentTwice: The same page was sent at the same moment, and the other was first. Roll back.
    """
    comment = clean_text(comment).strip()
    answered_at, now = kept_time(survey, answered_at), kept_time(survey, now)
    if survey.is_anonymous:
        customer = invitation = external_id = None
    said = what_is_said(score, comment, sign, survey_version, answered_at, now)
    answer = earlier if is_first else earlier or earlier_answer(session, invitation, page_key)
    if invitation is not None:
        cancel_to(session, invitation.recipient, "Answered before this was sent.")
    if answer is None:
        session.flush()
        fresh = where_from(survey, page_key, context, receipt_hash, now) | {
            "customer_id": customer.id if customer else None,
            "invitation_id": invitation.id if invitation else None,
            "external_id": external_id,
        }
        answer_id = add_answer(session, fresh | said)
    else:
        change(session, answer, said, now, settings)
        if invitation is None and earlier is None and customer is not None:  # the address was added, or corrected
            answer.customer_id = customer.id
        answer.receipt_hash = answer.receipt_hash or receipt_hash
        session.flush()
        answer_id = answer.id
    if comment:
        session.connection().execute(ADD_RAW_COMMENT, {"answer_id": answer_id, **sealed_words(comment, now, settings)})
    return answer_id


def first_answer(
    survey: Survey,
    *,
    score: int | None,
    comment: str,
    context: dict[str, Any],
    now: datetime,
    settings: Settings,
    sign: Sign,
    page_key: str,
    survey_version: int | None,
    receipt_hash: str | None,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The rows of an answer that an open page brought first, of somebody we do not know; see `record_answer`.

    Returns:
        The answer, and what is to be redacted of it, which lacks the answer's id; None without words.
    """
    comment, now = clean_text(comment).strip(), kept_time(survey, now)
    answer = where_from(survey, page_key, context, receipt_hash, now)
    answer |= what_is_said(score, comment, sign, survey_version, now, now)
    return answer, sealed_words(comment, now, settings) if comment else None


def where_from(
    survey: Survey, page_key: str | None, context: dict[str, Any], receipt_hash: str | None, now: datetime
) -> dict[str, Any]:
    """What the row of a new answer holds of where it came from."""
    return new_id(survey) | {
        "survey_id": survey.id,
        "page_key": page_key,
        "context": kept_context(survey, context),
        "received_at": now,
        "receipt_hash": receipt_hash,
    }


def what_is_said(
    score: int | None, comment: str, sign: Sign, survey_version: int | None, answered_at: datetime, now: datetime
) -> dict[str, Any]:
    """What the row of an answer holds of what was said; never the words as they were typed."""
    return {
        "score": score,
        "answered_at": answered_at,
        "sign": sign,
        "survey_version": survey_version,
        "comment": None if comment else "",
        "redactions": [],
        "redacted_at": None if comment else now,
        "analysed_at": None,
    }


def sealed_words(comment: str, now: datetime, settings: Settings) -> dict[str, Any]:
    """What is kept of a comment as it was typed, until the worker has redacted it and its time is over."""
    expires_at = now + timedelta(days=max(1, settings.raw_text_days))
    return {"sealed": seal(comment, settings.secret_key, now), "expires_at": expires_at}


def earlier_answer(session: Session, invitation: Invitation | None, page_key: str | None) -> Answer | None:
    """The answer that a link or an open page has already, locked; read anew, for a worker may have claimed it since."""
    if invitation is not None:
        # Two sends of one link at once queue here, so that the second changes the answer of the first.
        session.execute(select(Invitation.id).where(Invitation.id == invitation.id).with_for_update())
        where = Answer.invitation_id == invitation.id
    elif page_key is not None:
        where = Answer.page_key == page_key
    else:
        return None
    found = select(Answer).where(where).with_for_update().execution_options(populate_existing=True)
    return session.scalar(found)


def add_answer(session: Session, values: dict[str, Any]) -> int:
    """Add an answer.

    Args:
        values: By name of the column.

    Returns:
        Its id.

    Raises:
        SentTwice: The same page was sent at the same moment, and the other was first. Roll back.
    """
    try:
        inserted = session.connection().execute(ADD_ANSWER, values).inserted_primary_key
    except IntegrityError:
        if values["page_key"] is None:
            raise
        raise SentTwice("This page was sent twice at once.") from None
    assert inserted is not None
    ring(session, "understand")
    return int(inserted[0])


def change(session: Session, answer: Answer, said: dict[str, Any], now: datetime, settings: Settings) -> None:
    """Let an answer say something else, and keep what it said."""
    raw = session.get(RawComment, answer.id)
    comment = answer.comment
    if comment is None:  # not redacted yet; a version is never kept as it was typed
        try:
            comment = redact(unseal(raw.sealed, settings.secret_key) if raw else "", settings.phone_region or None).text
        except RawTextUnreadable as error:  # sealed with another key; what is said now must not be lost for that
            comment = str(error)
    session.add(
        AnswerVersion(
            answer_id=answer.id,
            revision=answer.revision,
            score=answer.score,
            comment=comment,
            sign=answer.sign,
            answered_at=answer.answered_at,
            replaced_at=now,
        )
    )
    if raw is not None:
        session.delete(raw)
        session.flush()  # before the new one is added under the same key
    for name, value in said.items():
        setattr(answer, name, value)
    answer.revision += 1
    # A worker busy with the old comment finds the fence changed and writes nothing.
    answer.fence += 1
    answer.claimed_until = None
    answer.attempts, answer.set_aside_at, answer.trouble = 0, None, ""
    ring(session, "understand")
