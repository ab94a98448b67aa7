"""Everything that is kept about one address, and the log of who asked for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, func, or_, select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.models import ActionItem, Closure
from feedback_loop.complaints.models import Complaint, Statement
from feedback_loop.followups.models import FollowUp
from feedback_loop.inbound.erasing import entry_of
from feedback_loop.inbound.models import InboundMail, Lift
from feedback_loop.inbound.reading import Kind
from feedback_loop.notifications.models import Notification, Suppression
from feedback_loop.privacy.models import DataRequest
from feedback_loop.responses.mailings.models import Mailing, Recipient, Reject
from feedback_loop.responses.models import Answer, AnswerVersion, Customer, Invitation, UnconfirmedAnswer
from feedback_loop.responses.queries import customer_by_email
from feedback_loop.surveys.models import Survey
from feedback_loop.web.paging import Page, offset

Rows = list[dict[str, Any]]
A_PAGE = 25


@dataclass(frozen=True)
class Whose:
    """One person, as tables know them.

    Attributes:
        address: In small letters.
        customer_id: None where only lists and mails know the address.
        invitation_ids: Of the customer.
    """

    address: str
    customer_id: int | None
    invitation_ids: frozenset[int]

    @property
    def answers(self) -> ColumnElement[bool]:
        """Whether an answer is theirs."""
        theirs = Answer.invitation_id.in_(self.invitation_ids)
        # Nobody's answers have no customer either, and must never be taken for theirs.
        return theirs if self.customer_id is None else or_(Answer.customer_id == self.customer_id, theirs)

    @property
    def waiting(self) -> ColumnElement[bool]:
        """Whether an answer that does not count is theirs."""
        return or_(
            func.lower(UnconfirmedAnswer.email) == self.address,  # stands there as it was typed
            UnconfirmedAnswer.invitation_id.in_(self.invitation_ids),
        )

    @property
    def mails(self) -> ColumnElement[bool]:
        """Whether a mail is theirs. What goes to a colleague of the same address is not."""
        recipients = [f"invitation:{number}" for number in self.invitation_ids]
        if self.customer_id is not None:
            recipients.append(f"customer:{self.customer_id}")
        to_address = and_(Notification.address == self.address, ~Notification.recipient.startswith("user:"))
        return or_(Notification.recipient.in_(recipients), to_address)

    def rejects(self, session: Session) -> Sequence[Reject]:
        """The lines of lists that asked nobody and name the address."""
        # JSON may write letters as numbers, so the database looks for those that it does not.
        certain = max(re.findall(r"[!#-\[\]-~]+", self.address), key=len, default="@")
        rows = session.scalars(
            select(Reject)
            .where(func.lower(cast(Reject.cells, String)).contains(certain, autoescape=True))
            .order_by(Reject.id)
        )
        named = re.compile(rf"(?<![\w.+-]){re.escape(self.address)}(?![\w-]|\.\w)")
        return [row for row in rows if any(named.search(cell.lower()) for cell in row.cells)]


def whose(session: Session, address: str) -> Whose:
    """Whose an address is."""
    address = address.strip().lower()
    customer = customer_by_email(session, address)
    if customer is None:
        return Whose(address, None, frozenset())
    invited = session.scalars(select(Invitation.id).where(Invitation.customer_id == customer.id))
    return Whose(address, customer.id, frozenset(invited))


def kept_about(
    session: Session, person: Whose, original: Callable[[Answer | UnconfirmedAnswer], str]
) -> dict[str, Rows]:
    """Everything that is kept about one person: rows by what they are, empty kinds left out.

    Args:
        session: A session.
        person: Whose.
        original: Gives what they typed of an answer, or says why not.
    """
    answers = session.scalars(
        select(Answer).where(person.answers).options(joinedload(Answer.survey)).order_by(Answer.id)
    ).all()
    ids = [row.id for row in answers]
    mails = session.scalars(select(Notification).where(person.mails).order_by(Notification.id)).all()
    found = {
        "customer": [
            values(row, "email", "name", "language", "time_zone", "created_at")
            for row in session.scalars(select(Customer).where(Customer.id == person.customer_id))
        ],
        "answers": [answer_row(row, original) for row in answers],
        "earlier versions of answers": [
            values(row, "answer_id", "revision", "score", "comment", "answered_at", "replaced_at")
            for row in session.scalars(select(AnswerVersion).where(AnswerVersion.answer_id.in_(ids)))
        ],
        "statements": statements(session, ids),
        "answers that do not count": [
            {"survey": row.survey.name}
            | values(row, "state", "reason", "score", "email", "context", "seen_at")
            | typed(original(row))
            for row in session.scalars(
                select(UnconfirmedAnswer).where(person.waiting).options(joinedload(UnconfirmedAnswer.survey))
            )
        ],
        "invitations": [
            {"survey": row.survey.name} | values(row, "experience", "context", "language", "created_at", "expires_at")
            for row in session.scalars(
                select(Invitation)
                .where(Invitation.id.in_(person.invitation_ids))
                .options(joinedload(Invitation.survey))
                .order_by(Invitation.id)
            )
        ],
        "lists of mailings": lists(session, person),
        "mails": [mail_row(row) for row in mails],
        "answers to “did this fix it?”": [
            {"complaint": row.number_of} | values(row.FollowUp, "fixed", "comment", "answered_at")
            for row in session.execute(
                select(FollowUp, ("C-" + cast(ActionItem.complaint_id, String)).label("number_of"))
                .join(Closure, Closure.id == FollowUp.closure_id)
                .join(ActionItem, ActionItem.id == Closure.action_item_id)
                .where(FollowUp.customer_id == person.customer_id)
                .order_by(FollowUp.id)
            )
        ],
        "mails that came in": inbound(session, person, [row.id for row in mails]),
        "no mail to": [
            values(row, "address", "created_at", "cause", "scope", "reason")
            for row in session.scalars(select(Suppression).where(Suppression.address == person.address))
        ],
        "written to again": [
            values(row, "address", "since", "cause", "reason", "why", "at")
            for row in session.scalars(select(Lift).where(Lift.address == person.address))
        ],
    }
    return {name: rows for name, rows in found.items() if rows}


def values(row: object, *names: str) -> dict[str, Any]:
    """Some columns of a row, as JSON can say them; empty ones left out."""
    found = {name: plain(getattr(row, name)) for name in names}
    return {name: value for name, value in found.items() if value not in (None, "", {}, [])}


def plain(value: Any) -> Any:
    """A value as JSON can say it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


def answer_row(row: Answer, original: Callable[[Answer | UnconfirmedAnswer], str]) -> dict[str, Any]:
    """An answer."""
    names = (
        "score",
        "comment",
        "redactions",
        "context",
        "external_id",
        "answered_at",
        "received_at",
        "revision",
        "sign",
    )
    said = {"survey": row.survey.name, "id": row.id} | values(row, *names)
    return said | typed(original(row))


def typed(original: str) -> dict[str, Any]:
    """What was typed, where that is known."""
    return {"original": original} if original else {}


def statements(session: Session, answer_ids: Iterable[int]) -> Rows:
    """What was understood of some answers."""
    rows = session.execute(
        select(Statement, Complaint.name)
        .outerjoin(Complaint, Complaint.id == Statement.complaint_id)
        .where(Statement.answer_id.in_(answer_ids))
        .order_by(Statement.id)
    )
    return [
        values(row.Statement, "answer_id", "text", "said_at") | ({"complaint": row.name} if row.name else {})
        for row in rows
    ]


def lists(session: Session, person: Whose) -> Rows:
    """The lines of lists that name the address, those that were not taken included."""
    taken = session.execute(
        select(Recipient, Mailing.name, Survey.name.label("survey"))
        .join(Mailing, Mailing.id == Recipient.mailing_id)
        .join(Survey, Survey.id == Mailing.survey_id)
        .where(Recipient.email == person.address)
        .order_by(Recipient.id)
    )
    rejected = person.rejects(session)
    of = select(Mailing.id, Mailing.name).where(Mailing.id.in_({row.mailing_id for row in rejected}))
    names = {row.id: row.name for row in session.execute(of)}
    return [
        *(
            {"mailing": row.name, "survey": row.survey}
            | values(row.Recipient, "line", "email", "name", "time_zone", "experience", "context", "state", "reason")
            for row in taken
        ),
        *({"mailing": names[row.mailing_id]} | values(row, "line", "reason", "cells") for row in rejected),
    ]


def mail_row(row: Notification) -> dict[str, Any]:
    """A mail of ours."""
    names = ("kind", "address", "name", "state", "reason", "created_at", "sent_at", "bounced_at")
    data = {name: row.data[name] for name in ("quote", "statement", "language") if row.data.get(name)}
    return values(row, *names) | data


def inbound(session: Session, person: Whose, mail_ids: Iterable[int]) -> Rows:
    """What came in because of some mails of ours, or from the address."""
    theirs = or_(InboundMail.notification_id.in_(list(mail_ids)), InboundMail.sender == person.address)
    found: Rows = []
    for row in session.scalars(select(InboundMail).where(theirs).order_by(InboundMail.id)):
        entry = entry_of(session, row) if row.kind == Kind.REPLY else None
        said = values(row, "kind", "received_at", "sender", "subject", "words", "attachments", "reason")
        found.append(said | ({"words": entry.text} if entry else {}))
    return found


def requests(session: Session, page: int) -> Page[DataRequest]:
    """A page of what was shown and erased, the newest first."""
    rows = session.scalars(
        select(DataRequest)
        .options(joinedload(DataRequest.by))
        .order_by(DataRequest.id.desc())
        .offset(offset(page, A_PAGE))
        .limit(A_PAGE)
    ).all()
    total = session.scalar(select(func.count()).select_from(DataRequest)) or 0
    return Page(rows, page, A_PAGE, total)
