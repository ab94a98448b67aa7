"""What must not be forgotten when a backup takes the place of a database: people's erasures and wishes, and what they
have got already.

A backup knows nothing of what happened after it. Most of that is lost, and meant to be; but an answer that was erased
must not come back, who asked for no more mail must get none, and nobody is to get the same mail twice. All of it is
read from the database that is replaced, as long as that can be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.actions.audience.choosing import Reason
from feedback_loop.actions.models import Closure, NotificationRun, RunPerson
from feedback_loop.db import Sessions, reading
from feedback_loop.integrations.models import Delivery, DeliveryState, IssueState, TrackerComment, TrackerIssue
from feedback_loop.notifications.models import Notification, NotificationState, Suppression
from feedback_loop.privacy.models import DataRequest
from feedback_loop.privacy.service import erase_again
from feedback_loop.reports.status.erasing import erase
from feedback_loop.responses.mailings.models import Mailing, Recipient, RecipientState
from feedback_loop.responses.models import Answer, ErasedAnswer, Invitation, UnconfirmedAnswer
from feedback_loop.settings import Settings
from feedback_loop.store.numbering import number_on
from feedback_loop.store.takingback import take_back
from feedback_loop.surveys.models import Survey

CHUNK = 2_000
UNKNOWN = "Restored from a backup; it may have been sent after that."
GONE = "It was stopped after the backup that was restored."
ASKED = "Was asked after the backup that was restored; the link in that mail opens nothing any more."


@dataclass
class Replayed:
    """What was done again in a restored database. Counts of rows.

    Attributes:
        erased: Answers.
        people: Addresses about which everything was erased.
        suppressed: Addresses.
        followed: Mails, deliveries and issues that had gone out, or were stopped, since.
        remembered: Mails that were owed and sent since, and people who are known to have got one.
        taken_back: Rights of people, keys and other systems, and mailings and runs, that were taken back since.
        is_same: Whether the database that is replaced is what has become of the one that was backed up. Where it is
            not, because it is a new one or an older backup was restored since, an answer that it lacks need not have
            been erased; only those with a receipt that it knows as erased are.
    """

    erased: int = 0
    people: int = 0
    suppressed: int = 0
    followed: int = 0
    remembered: int = 0
    taken_back: int = 0
    is_same: bool = True


def replay(restored: Sessions, present: Sessions, now: datetime, settings: Settings) -> Replayed:
    """Do again in a restored database what must not be forgotten.

    Args:
        restored: The database that was restored, with a schema of this version.
        present: The one it will replace; it is only read.
        now: The present moment.
        settings: Of this installation; erased addresses are known by its key.

    Raises:
        SQLAlchemyError: The present one cannot be read.
    """
    done = Replayed()
    with reading(present) as now_there:
        with reading(restored) as session:
            missing = missing_answers(session, now_there)
            receipts = erased_receipts(now_there)
            done.is_same = could_be_erased(session, now_there, missing, receipts)
        for answer_id, _, receipt in missing:
            if done.is_same or receipt in receipts:
                with restored.begin() as session:
                    answer = session.get(Answer, answer_id)
                    done.erased += answer is not None and erase(session, answer, now)
        with restored.begin() as session:
            done.suppressed = keep_suppressions(session, now_there)
            done.taken_back = take_back(session, now_there, done.is_same, now)
            if done.is_same:
                done.erased += forget_waiting(session, now_there)
                keep_erasures(session, now_there)
                done.followed = follow_all(session, now_there)
                done.remembered = (
                    remember_closings(session, now_there)
                    + remember_asked(session, now_there)
                    + remember_reminded(session, now_there)
                )
            done.people = erase_again(session, now_there, now, settings)
            keep_requests(session, now_there)
            number_on(now_there.connection(), session.connection())
    return done


def chunks(session: Session, columns: Sequence[Any], *where: Any) -> Iterator[list[Any]]:
    """Rows of a table by chunks, in the order of the first column, which is its key."""
    last: Any = None
    while True:
        query = select(*columns).where(*where).order_by(columns[0]).limit(CHUNK)
        rows = list(session.execute(query if last is None else query.where(columns[0] > last)))
        if not rows:
            return
        yield rows
        last = rows[-1][0]


def missing_answers(session: Session, present: Session) -> list[tuple[int, int, str | None]]:
    """The answers of the backup that are not in the present database, with their surveys and receipts. A number may
    have been given again there, so survey and moment are compared, too."""
    columns = (Answer.id, Answer.survey_id, Answer.received_at)
    found: list[tuple[int, int, str | None]] = []
    for rows in chunks(session, (*columns, Answer.receipt_hash)):
        there = select(*columns).where(Answer.id.in_([row.id for row in rows]))
        kept = {tuple(row) for row in present.execute(there)}
        found += [(row.id, row.survey_id, row.receipt_hash) for row in rows if tuple(row[:3]) not in kept]
    return found


def erased_receipts(present: Session) -> set[str]:
    """The receipts whose answers were erased."""
    return {found for found in present.scalars(select(ErasedAnswer.receipt_hash).distinct()) if found is not None}


def could_be_erased(
    session: Session, present: Session, missing: Sequence[tuple[int, int, str | None]], receipts: set[str]
) -> bool:
    """Whether erasing explains all that is missing: nothing else deletes an answer, and each erasing leaves a row."""

    def by_survey(where: Session) -> Counter[int]:
        rows = where.execute(select(ErasedAnswer.survey_id, func.count()).group_by(ErasedAnswer.survey_id))
        return Counter({row[0]: row[1] for row in rows})

    surveys = (Survey.id, Survey.created_at)
    there = {tuple(row) for row in present.execute(select(*surveys))}
    if not {tuple(row) for row in session.execute(select(*surveys))} <= there:
        return False
    erased = by_survey(present)
    erased.subtract(by_survey(session))
    lacking = Counter(survey_id for _, survey_id, _ in missing)
    return all(receipt is None or receipt in receipts for *_, receipt in missing) and all(
        count <= erased[survey_id] for survey_id, count in lacking.items()
    )


def forget_waiting(session: Session, present: Session) -> int:
    """Delete answers that did not count yet and are there no more: erased, or forgotten since."""
    columns = (UnconfirmedAnswer.id, UnconfirmedAnswer.survey_id, UnconfirmedAnswer.seen_at)
    count = 0
    for rows in chunks(session, columns):
        there = select(*columns).where(UnconfirmedAnswer.id.in_([row.id for row in rows]))
        kept = {tuple(row) for row in present.execute(there)}
        gone = [row.id for row in rows if tuple(row) not in kept]
        session.execute(delete(UnconfirmedAnswer).where(UnconfirmedAnswer.id.in_(gone)))
        count += len(gone)
    return count


def keep_erasures(session: Session, present: Session) -> None:
    """Take over what is kept of erasures, with the days on which they were, for the pages of receipts."""
    surveys = set(session.scalars(select(Survey.id)))
    rows = present.execute(select(ErasedAnswer.survey_id, ErasedAnswer.receipt_hash, ErasedAnswer.erased_at))
    found = [dict(row._mapping) for row in rows.all() if row.survey_id in surveys]
    session.execute(delete(ErasedAnswer))
    if found:
        session.execute(insert(ErasedAnswer), found)


def keep_requests(session: Session, present: Session) -> None:
    """Take over who saw and erased what is kept about people: it is kept for good."""
    names = ("kind", "at", "why", "counts", "address_key", "by_id")
    columns = [getattr(DataRequest, name) for name in names]
    colleagues = set(session.scalars(select(User.id)))
    known = {tuple(row) for row in session.execute(select(DataRequest.kind, DataRequest.at, DataRequest.address_key))}
    fresh = [
        row._asdict() | {"by_id": row.by_id if row.by_id in colleagues else None}
        for row in present.execute(select(*columns).order_by(DataRequest.id))
        if (row.kind, row.at, row.address_key) not in known
    ]
    if fresh:
        session.execute(insert(DataRequest), fresh)


def keep_suppressions(session: Session, present: Session) -> int:
    """Take over who gets no mail; none of the backup's is dropped."""
    names = ("address", "reason", "created_at", "scope", "cause")
    columns = [getattr(Suppression, name) for name in names]
    count = 0
    for rows in chunks(present, (Suppression.id, *columns)):
        known = set(
            session.scalars(select(Suppression.address).where(Suppression.address.in_([row.address for row in rows])))
        )
        fresh = [{name: getattr(row, name) for name in names} for row in rows if row.address not in known]
        if fresh:
            session.execute(insert(Suppression), fresh)
        for row in rows:
            if row.address in known:
                values = {name: getattr(row, name) for name in names[1:]}
                session.execute(update(Suppression).where(Suppression.address == row.address).values(values))
        count += len(fresh)
    return count


def follow_all(session: Session, present: Session) -> int:
    """Let what was still to go out at the time of the backup be what has become of it."""
    gone = {"state": NotificationState.SKIPPED, "reason": GONE}
    return (
        follow(
            session, present, Notification, ("message_id",), NotificationState.PENDING,
            ("state", "reason", "next_at", "passed_at", "sent_at", "bounced_at", "attempts", "doubtful"), gone,
        )
        + follow(
            session, present, Delivery, ("endpoint_id", "event_id"), DeliveryState.PENDING,
            ("state", "reason", "code", "answer", "next_at", "sent_at", "attempts"),
            {"state": DeliveryState.SKIPPED, "reason": GONE},
        )
        + follow(
            session, present, TrackerIssue, ("marker",), IssueState.PENDING,
            ("state", "reason", "external_id", "url", "is_open", "etag", "changed_at", "next_at", "attempts"), None,
        )
        + follow(
            session, present, TrackerComment, ("issue_id", "event_id"), IssueState.PENDING,
            ("state", "reason", "next_at", "attempts"), None,
        )
    )  # fmt: skip


def follow(
    session: Session,
    present: Session,
    model: Any,
    key: Sequence[str],
    pending: Any,
    names: Sequence[str],
    gone: dict[str, Any] | None,
) -> int:
    """Let pending rows of one table be what they are in the present database.

    Args:
        key: Columns by which a row is known there.
        pending: The state that is looked for.
        names: Columns to take over.
        gone: What becomes of rows that are not there any more; None leaves them.
    """
    count = 0
    keys = [getattr(model, name) for name in key]
    columns = [getattr(model, name) for name in names]
    for rows in list(chunks(session, (model.id, *keys), model.state == pending)):
        wanted = [tuple(row[1:]) for row in rows]
        found = {
            tuple(row[: len(key)]): dict(zip(names, row[len(key) :], strict=True))
            for row in present.execute(select(*keys, *columns).where(tuple_(*keys).in_(wanted)))
        }
        for row in rows:
            values = found.get(tuple(row[1:]), gone)
            if values is not None and values["state"] != pending:
                session.execute(
                    update(model).where(model.id == row.id).values(claimed_until=None, fence=model.fence + 1, **values)
                )
                count += 1
    return count


def remember_closings(session: Session, present: Session) -> int:
    """Take over the mails about closings that the backup knows but had not owed yet, so that neither the worker nor
    the release of a run sends them again."""
    same = {tuple(row) for row in session.execute(select(Closure.id, Closure.closed_at))}
    known = {
        closure.event: closure
        for closure in present.scalars(select(Closure))
        if (closure.id, closure.closed_at) in same
    }
    events = [name for each in known.values() for name in (each.event, each.follow_up_event, each.sorry_event)]
    count = 0
    for rows in gone_out(session, present, events):
        values = [each for each in rows if not settle_run(session, known, each)]
        if values:
            session.execute(insert(Notification), values)
        count += len(rows)
    return count


def gone_out(session: Session, present: Session, events: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """The mails about some events that went out and that the backup does not know, by chunks, as they are to be
    stored."""
    names = [column.key for column in Notification.__mapper__.column_attrs if column.key not in ("id", "claimed_until")]
    columns = [getattr(Notification, name) for name in names]
    went_out = Notification.state.in_([NotificationState.SENT, NotificationState.BOUNCED])
    for start in range(0, len(events), 500):
        wanted = Notification.event.in_(events[start : start + 500])
        there = set(session.scalars(select(Notification.message_id).where(wanted)))
        for rows in chunks(present, (Notification.id, *columns), wanted, went_out):
            yield [{name: getattr(row, name) for name in names} for row in rows if row.message_id not in there]


def settle_run(session: Session, closures: dict[str, Closure], mail: dict[str, Any]) -> bool:
    """Leave a person who was told out of a run that is still in review in the backup; its release would owe that mail.

    Returns:
        Whether they were in such a run.
    """
    closure = closures.get(mail["event"])
    kind, _, number = mail["recipient"].partition(":")
    if closure is None or kind != "customer":
        return False
    run_id = session.scalar(
        select(NotificationRun.id).where(
            NotificationRun.closure_id == closure.id, NotificationRun.released_at.is_(None)
        )
    )
    if run_id is None:
        return False
    left_out = session.execute(
        update(RunPerson)
        .where(RunPerson.run_id == run_id, RunPerson.customer_id == int(number))
        .values(is_told=False, reason=Reason.TOLD.value)
    )
    return bool(left_out.rowcount)  # type: ignore[attr-defined]


def remember_asked(session: Session, present: Session) -> int:
    """Leave people out of mailings who were asked by them after the backup."""
    columns = (Recipient.id, Recipient.mailing_id, Recipient.email, Recipient.experience)
    count = 0
    for rows in list(chunks(session, columns, Recipient.state == RecipientState.WAITING)):
        asked = select(*columns).where(
            Recipient.id.in_([row.id for row in rows]), Recipient.state == RecipientState.ASKED
        )
        ids = {tuple(row) for row in present.execute(asked)} & {tuple(row) for row in rows}
        session.execute(
            update(Recipient)
            .where(Recipient.id.in_([each[0] for each in ids]))
            .values(state=RecipientState.LEFT_OUT, reason=ASKED, next_at=None)
        )
        count += len(ids)
    return count


def remember_reminded(session: Session, present: Session) -> int:
    """Take over reminders that went out after the backup to people who were asked before it, so that they are not
    reminded of the same again."""
    same = {tuple(row) for row in session.execute(select(Mailing.id, Mailing.made_at))}
    reminders = {
        each.reminder_event(number): (each.id, number)
        for each in present.scalars(select(Mailing))
        if (each.id, each.made_at) in same
        for number in range(1, each.reminders + 1)
    }
    count = 0
    for mails in gone_out(session, present, list(reminders)):
        numbers = {int(each["recipient"].partition(":")[2]) for each in mails}
        asked = (Invitation.id, Invitation.token_hash)
        there = {tuple(row) for row in present.execute(select(*asked).where(Invitation.id.in_(numbers)))}
        known = {row.id for row in session.execute(select(*asked).where(Invitation.id.in_(numbers))) if row in there}
        for mail in mails:
            invitation_id = int(mail["recipient"].partition(":")[2])
            if invitation_id not in known:
                continue
            mailing_id, number = reminders[mail["event"]]
            reminded = (Recipient.mailing_id == mailing_id, Recipient.invitation_id == invitation_id)
            row = present.execute(select(Recipient.reminded, Recipient.next_at).where(*reminded)).one_or_none()
            values = {"reminded": row.reminded, "next_at": row.next_at} if row else {"reminded": number}
            session.execute(update(Recipient).where(*reminded, Recipient.reminded < number).values(**values))
            session.execute(insert(Notification), [mail])
            count += 1
    return count


def hold(restored: Sessions) -> int:
    """Keep back all mails that were still to be sent at the time of a backup, for a person to decide: where nobody
    knows what has become of them.

    Returns:
        How many.
    """
    with restored.begin() as session:
        return session.execute(  # type: ignore[attr-defined, no-any-return]
            update(Notification)
            .where(Notification.state == NotificationState.PENDING)
            .values(state=NotificationState.FAILED, reason=UNKNOWN, claimed_until=None, fence=Notification.fence + 1)
        ).rowcount
