"""Named reads of customers, invitations and answers."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from feedback_loop import tokens
from feedback_loop.responses.models import Answer, Customer, Invitation
from feedback_loop.surveys.models import Survey


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


def customer_by_email(session: Session, email: str) -> Customer | None:
    """The customer with this address, or None."""
    return session.scalar(select(Customer).where(Customer.email == email.strip().lower()))
