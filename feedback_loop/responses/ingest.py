"""What other systems send: customers, invitations and answers, many at a time. Rows are checked as those of imported
files are; bad ones are refused with the reason and stop nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from feedback_loop.analysis.redaction import redact
from feedback_loop.responses.anonymity import REFUSAL
from feedback_loop.responses.importing import (
    BadRow,
    Row,
    customer_ids,
    insert_rows,
    read_email,
    read_row,
    refuse_person,
    without_person,
)
from feedback_loop.responses.mailings.reading import OWN_EXPERIENCE
from feedback_loop.responses.models import Answer, Customer, RawComment, Sign
from feedback_loop.responses.queries import availability_of
from feedback_loop.responses.raw import RawTextUnreadable, unseal
from feedback_loop.responses.service import invite, record_answer
from feedback_loop.settings import Settings
from feedback_loop.surveys.availability import Availability
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES

LONGEST_INVITATION = timedelta(days=3650)
NOT_ASKING = {
    Availability.DRAFT: "is a draft; publish it first",
    Availability.SCHEDULED: "is not open yet",
    Availability.PAUSED: "takes no more answers",
    Availability.ENDED: "takes no more answers",
    Availability.FULL: "has as many answers as it takes",
    Availability.ARCHIVED: "is archived",
}

Item = Mapping[str, Any]  # texts by name of the column, and under `context` an object of texts


class Status(StrEnum):
    """What became of an item."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Attributes:
        status: In a word.
        id: Of the customer, invitation or answer.
        link: Of an invitation; it is stored nowhere.
        column: Of a rejected one: which is to blame; empty if none alone is.
        reason: Why it was rejected.
    """

    status: Status
    id: int | None = None
    link: str | None = None
    column: str = ""
    reason: str = ""


def rejected(error: BadRow) -> Outcome:
    """An item that cannot be taken."""
    return Outcome(Status.REJECTED, column=error.column, reason=str(error))


def surveys_of(session: Session, items: Sequence[Item], lock: bool = False) -> dict[str, Survey]:
    """The surveys that some items name, by address.

    Args:
        session: Any session.
        items: With a `survey` each.
        lock: Let one batch at a time write answers to them. Customers who answer do not wait for it.
    """
    query = select(Survey).where(Survey.slug.in_({item["survey"].lower() for item in items})).order_by(Survey.id)
    found = session.scalars(query.with_for_update(key_share=True) if lock else query)
    return {survey.slug: survey for survey in found}


def survey_named(surveys: Mapping[str, Survey], name: str) -> Survey:
    """One of them.

    Raises:
        BadRow: There is no such survey.
    """
    try:
        return surveys[name.lower()]
    except KeyError:
        raise BadRow("survey", f"there is no survey {name[:80]!r}; GET /api/v1/surveys lists them") from None


def take_customers(session: Session, items: Sequence[Item], now: datetime) -> list[Outcome]:
    """Make customers, and give those that are known another name if one is sent.

    Args:
        session: A session that writes.
        items: `customer_email`, `customer_name`.
        now: The present moment.

    Returns:
        What became of each, in their order.
    """
    outcomes: dict[int, Outcome] = {}
    rows: list[tuple[int, str, str]] = []
    for index, item in enumerate(items):
        try:
            rows.append((index, read_email(item["customer_email"]), item["customer_name"]))
        except BadRow as error:
            outcomes[index] = rejected(error)
    names: dict[str, str] = {}
    for _, email, name in rows:
        names.setdefault(email, name)
    known = set(session.scalars(select(Customer.email).where(Customer.email.in_(names))))
    customer_ids(session, [(email, name) for email, name in names.items() if email not in known], now)
    customers = {row.email: row for row in session.scalars(select(Customer).where(Customer.email.in_(names)))}
    for index, email, name in rows:
        customer, status = customers[email], Status.UNCHANGED
        if name and name != customer.name:
            customer.name, status = name, Status.UPDATED
        if email not in known:
            known.add(email)
            status = Status.CREATED
        outcomes[index] = Outcome(status, customer.id)
    session.flush()
    return [outcomes[index] for index in range(len(items))]


def take_invitations(session: Session, settings: Settings, items: Sequence[Item], now: datetime) -> list[Outcome]:
    """Invite customers. Each item makes an invitation of its own, whose link is given back this once.

    Args:
        session: A session that writes.
        settings: For the address of the links.
        items: `survey`, `customer_email`, `customer_name`, `experience`, `expires_at`, `context`.
        now: The present moment.

    Returns:
        What became of each, in their order.
    """
    surveys = surveys_of(session, items)
    standings = {survey.id: availability_of(session, survey, now) for survey in surveys.values()}
    outcomes: dict[int, Outcome] = {}
    good: list[tuple[int, Survey, str, datetime | None]] = []
    for index, item in enumerate(items):
        try:
            survey = survey_named(surveys, item["survey"])
            if survey.is_anonymous:
                raise BadRow("survey", REFUSAL)
            if (standing := standings[survey.id]) != Availability.OPEN:
                raise BadRow("survey", f"survey {survey.slug!r} {NOT_ASKING[standing]}")
            if item["experience"].lower().startswith(OWN_EXPERIENCE):
                raise BadRow("experience", f"an experience cannot begin with {OWN_EXPERIENCE!r}; mailings are named so")
            good.append((index, survey, read_email(item["customer_email"]), read_end(item["expires_at"], now)))
        except BadRow as error:
            outcomes[index] = rejected(error)
    ids = customer_ids(session, [(email, items[index]["customer_name"]) for index, _, email, _ in good], now)
    customers = {row.email: row for row in session.scalars(select(Customer).where(Customer.id.in_(ids.values())))}
    for index, survey, email, expires_at in good:
        context, experience = dict(items[index]["context"]), items[index]["experience"] or None
        if experience:
            context["experience"] = experience
        try:
            with session.begin_nested():
                invitation, token = invite(
                    session, survey, customers[email], context, now, expires_at=expires_at, experience=experience
                )
        except IntegrityError:  # the index knows what other requests and mailings have asked
            about = f"{email} was invited about {(experience or '')[:80]!r} already; the link was shown then only"
            outcomes[index] = rejected(BadRow("experience", about))
        else:
            outcomes[index] = Outcome(Status.CREATED, invitation.id, f"{settings.public_url}/i/{token}")
    return [outcomes[index] for index in range(len(items))]


def read_end(text: str, now: datetime) -> datetime | None:
    """When an invitation ends; empty means never.

    Raises:
        BadRow: It has ended, or does so in a far future.
    """
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment <= now:
        raise BadRow("expires_at", f"expires_at {text[:40]!r} is over already")
    if moment > now + LONGEST_INVITATION:
        raise BadRow("expires_at", f"expires_at {text[:40]!r} is more than ten years ahead; leave it out for no end")
    return moment


def take_answers(session: Session, settings: Settings, items: Sequence[Item], now: datetime) -> list[Outcome]:
    """Record answers that were given elsewhere. One whose `external_id` is known in its survey replaces the earlier.

    Args:
        session: A session that writes.
        settings: For the comment limit, and the key and lifetime of raw text.
        items: `survey` and the columns of imports, `context`.
        now: The present moment.

    Returns:
        What became of each, in their order.
    """
    surveys = surveys_of(session, items, lock=True)
    outcomes: dict[int, Outcome] = {}
    rows: dict[int, dict[int, Row]] = {}  # by survey and place
    first: dict[tuple[int, str], int] = {}
    for index, item in enumerate(items):
        try:
            survey = survey_named(surveys, item["survey"])
            if survey.archived_at is not None or survey.published_at is None:
                standing = Availability.ARCHIVED if survey.archived_at else Availability.DRAFT
                raise BadRow("survey", f"survey {survey.slug!r} {NOT_ASKING[standing]}")
            if survey.is_anonymous:
                refuse_person(item)
            row = read_row(item, item["context"], None, SCALES[survey.scale], now, settings.comment_limit)
            if survey.is_anonymous:
                row = without_person(row, survey, settings)
            if row.external_id and first.setdefault((survey.id, row.external_id), index) != index:
                raise BadRow("external_id", f"external_id {row.external_id[:80]!r} stands in this batch already")
            rows.setdefault(survey.id, {})[index] = row
        except BadRow as error:
            outcomes[index] = rejected(error)
    for survey in surveys.values():
        mine = rows.get(survey.id, {})
        known = answers_known(session, survey, [row.external_id for row in mine.values() if row.external_id])
        new = {index: row for index, row in mine.items() if row.external_id not in known}
        made = insert_rows(session, settings, survey, list(new.values()), now)
        for index, id in zip(new, made, strict=True):
            outcomes[index] = Outcome(Status.CREATED, id)
        again = {index: row for index, row in mine.items() if index not in new}
        customers = customer_ids(session, [(row.email, row.name) for row in again.values()], now)
        sealed = raw_comments(session, known.values()) if known else {}
        for index, row in again.items():
            answer = known[row.external_id]
            moment = row.answered_at if items[index]["answered_at"] else answer.answered_at
            customer_id = customers.get(row.email)
            if (
                (answer.score, answer.answered_at, answer.customer_id) == (row.score, moment, customer_id)
                and says(answer, sealed.get(answer.id), row.comment, settings)
            ):  # fmt: skip
                status = Status.UNCHANGED if answer.context == row.context else Status.UPDATED
            else:
                status = Status.UPDATED
                record_answer(
                    session,
                    survey,
                    score=row.score,
                    comment=row.comment,
                    customer=None,
                    invitation=None,
                    context=row.context,
                    external_id=row.external_id,
                    answered_at=moment,
                    now=now,
                    settings=settings,
                    sign=Sign.IMPORT,
                    earlier=answer,
                )
                answer.customer_id = customer_id
            answer.context = row.context
            outcomes[index] = Outcome(status, answer.id)
    session.flush()
    return [outcomes[index] for index in range(len(items))]


def answers_known(session: Session, survey: Survey, external_ids: Sequence[str]) -> dict[str, Answer]:
    """The answers to a survey that have one of these ids, locked and read anew."""
    if not external_ids:
        return {}
    found = session.scalars(
        select(Answer)
        .where(Answer.survey_id == survey.id, Answer.external_id.in_(external_ids))
        .order_by(Answer.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {answer.external_id or "": answer for answer in found}


def raw_comments(session: Session, answers: Any) -> dict[int, bytes]:
    """What is still there of the sealed comments of some answers."""
    ids = [answer.id for answer in answers]
    rows = session.execute(select(RawComment.answer_id, RawComment.sealed).where(RawComment.answer_id.in_(ids)))
    return dict(rows.all())


def says(answer: Answer, sealed: bytes | None, comment: str, settings: Settings) -> bool:
    """Whether an answer says this already. Where what was typed is destroyed, the redacted texts are compared."""
    if sealed is not None:
        try:
            return unseal(sealed, settings.secret_key) == comment
        except RawTextUnreadable:
            return False
    return answer.comment is not None and redact(comment, settings.phone_region or None).text == answer.comment
