"""What the worker does for mailings: ask the next people, remind those who have not answered, see what is done.

Every batch is one transaction: invitations, the mails that are owed, and what is written of the people come together
or not at all. Sending is the outbox's work.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from feedback_loop import languages, tokens
from feedback_loop.db import Sessions, insert_missing, reading
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.hours import next_open
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.queries import suppressed
from feedback_loop.notifications.service import Owed, owe
from feedback_loop.responses.importing import customer_ids
from feedback_loop.responses.mailings.deciding import Reminding, Since, remind
from feedback_loop.responses.mailings.models import (
    KIND,
    REMINDER,
    Mailing,
    MailingState,
    Recipient,
    RecipientState,
)
from feedback_loop.responses.mailings.queries import decisions
from feedback_loop.responses.mailings.service import PURPOSE, mail_data
from feedback_loop.responses.models import Answer, Customer, Invitation
from feedback_loop.responses.queries import availability_of
from feedback_loop.settings import Settings
from feedback_loop.surveys.availability import Availability

BATCH_EVERY = timedelta(minutes=1)
LOOKED_AT = 5000  # people a batch decides on, however few of them it writes to


def ask_due(sessions: Sessions, settings: Settings, now: datetime) -> int:
    """Take the next batch of each mailing that is being sent. A survey that takes no answers asks nobody until it does.

    Returns:
        How many mails are owed now that were not before.
    """
    with reading(sessions) as session:
        found = session.scalars(
            select(Mailing)
            .where(Mailing.state == MailingState.SENDING, Mailing.next_batch_at <= now)
            .options(joinedload(Mailing.survey))
            .order_by(Mailing.id)
        ).all()
        due = [each.id for each in found if availability_of(session, each.survey, now) == Availability.OPEN]
    count = 0
    for id in due:
        with sessions.begin() as session:
            count += take_batch(session, id, now, settings)
    return count


def take_batch(session: Session, mailing_id: int, now: datetime, settings: Settings) -> int:
    """Owe the mails of one minute. Another worker that looks at the same mailing meanwhile finds nothing to do.

    Returns:
        How many.
    """
    mailing = session.scalar(
        select(Mailing)
        .where(Mailing.id == mailing_id, Mailing.state == MailingState.SENDING, Mailing.next_batch_at <= now)
        .options(joinedload(Mailing.survey))
        .with_for_update(skip_locked=True, of=Mailing)
        .execution_options(populate_existing=True)
    )
    if mailing is None:
        return 0
    wait_for_opening(session, mailing, now)
    room, looked_at = mailing.rate, 0
    while room and looked_at < LOOKED_AT:
        people = session.scalars(
            select(Recipient)
            .where(Recipient.mailing_id == mailing.id, Recipient.next_at <= now)
            # "asked" stands before "waiting": whoever began to hear from us is reminded first.
            .order_by(Recipient.state, Recipient.next_at, Recipient.id)
            .limit(min(room, 500))
        ).all()
        if not people:
            break
        room -= remind_some(session, mailing, [p for p in people if p.state == RecipientState.ASKED], now, settings)
        room -= ask_some(session, mailing, [p for p in people if p.state == RecipientState.WAITING], now, settings)
        looked_at += len(people)
        session.flush()
    move_on(session, mailing, now)
    return mailing.rate - room


def wait_for_opening(session: Session, mailing: Mailing, now: datetime) -> None:
    """Put off all who are due and whose quiet hours have begun meanwhile."""
    due = (Recipient.mailing_id == mailing.id, Recipient.next_at <= now)
    for zone in session.scalars(select(Recipient.time_zone).where(*due).distinct()).all():
        opens = next_open(now, mailing.hours(zone))
        if opens > now:
            session.execute(update(Recipient).where(*due, Recipient.time_zone == zone).values(next_at=opens))


def ask_some(session: Session, mailing: Mailing, people: Sequence[Recipient], now: datetime, settings: Settings) -> int:
    """Invite those of some people who are still to be asked; write down why the others are not.

    Returns:
        How many were invited.
    """
    if not people:
        return 0
    left_out = {
        id: decision
        for id, _, decision in decisions(
            session, mailing, [Recipient.id.in_([person.id for person in people])], now, settings
        )
    }
    chosen = []
    for person in people:
        if decision := left_out[person.id]:
            leave(person, decision.reason)
        else:
            chosen.append(person)
    invited = invite_all(session, mailing, chosen, now, settings)
    until = now + timedelta(days=mailing.valid_days)
    messages = []
    for person in chosen:
        if person.id not in invited:  # another mailing was first, a moment ago
            leave(person, "Asked about this experience already.")
            continue
        invitation = invited[person.id]
        person.state = RecipientState.ASKED
        person.invitation_id = invitation.id
        person.next_at = now + timedelta(days=mailing.remind_after_days) if mailing.reminders else None
        messages.append(message(mailing, person, invitation, until))
    return owe(session, KIND, mailing.event, messages, next_at=now, now=now, settings=settings, rank=Rank.INVITATION)


def leave(person: Recipient, reason: str) -> None:
    """Leave one person out."""
    person.state, person.reason, person.next_at = RecipientState.LEFT_OUT, reason, None


def invite_all(
    session: Session, mailing: Mailing, people: Sequence[Recipient], now: datetime, settings: Settings
) -> dict[int, Invitation]:
    """Give people the right to answer, one for each experience: by person of the list, those that are new."""
    customers = customer_ids(session, ((person.email, person.name) for person in people), now)
    keys: dict[str, Recipient] = {}
    rows: list[dict[str, Any]] = []
    for person in people:
        key = uuid.uuid4().hex
        keys[key] = person
        rows.append(
            {
                "survey_id": mailing.survey_id,
                "customer_id": customers[person.email],
                "token_key": key,
                "token_hash": tokens.hashed(tokens.derive(settings.secret_key, PURPOSE, key)),
                "experience": person.experience,
                "context": person.context,
                "language": languages.known(person.context.get("language", "")),
                "created_at": now,
                "expires_at": now + timedelta(days=mailing.valid_days),
            }
        )
        if person.has_own_zone:
            session.execute(
                update(Customer).where(Customer.id == customers[person.email]).values(time_zone=person.time_zone)
            )
    insert_missing(session, Invitation, rows)
    made = session.scalars(
        select(Invitation).where(Invitation.token_key.in_(keys)).options(joinedload(Invitation.customer))
    )
    return {keys[invitation.token_key or ""].id: invitation for invitation in made}


def message(mailing: Mailing, person: Recipient, invitation: Invitation, until: datetime) -> Owed:
    """The mail to one person. It goes to the invitation, so that an answer can take back what is not sent yet."""
    path = f"/i/{{token:{PURPOSE}:{invitation.token_key}}}"
    data = mail_data(mailing, until, path, language=invitation.language or invitation.customer.language)
    return Owed(invitation.recipient, person.email, person.name, data, mailing.hours(person.time_zone))


def remind_some(
    session: Session, mailing: Mailing, people: Sequence[Recipient], now: datetime, settings: Settings
) -> int:
    """Remind those of some people who have not answered; decided now, whatever was so when they were asked.

    Returns:
        How many are reminded.
    """
    if not people:
        return 0
    ids = [person.invitation_id for person in people]
    answered = set(session.scalars(select(Answer.invitation_id).where(Answer.invitation_id.in_(ids))))
    no_mail = suppressed(session, [person.email for person in people])
    invitations = {
        row.id: row
        for row in session.scalars(
            select(Invitation).where(Invitation.id.in_(ids)).options(joinedload(Invitation.customer))
        )
    }
    mails = {
        (row.recipient, row.event): row
        for row in session.scalars(
            select(Notification).where(
                Notification.recipient.in_([each.recipient for each in invitations.values()]),
                Notification.event.in_(mailing.events),
            )
        )
    }
    owed: dict[int, list[Owed]] = {}
    for person in people:
        invitation = invitations[person.invitation_id or 0]
        before = mailing.reminder_event(person.reminded) if person.reminded else mailing.event
        last = mails.get((invitation.recipient, before))
        decision = remind(
            Since(
                answered=invitation.id in answered,
                no_mail=person.email in no_mail,
                last_sent_at=last.sent_at if last else None,
                is_on_its_way=last is not None and last.state == NotificationState.PENDING,
                expires_at=invitation.expires_at,
            ),
            mailing.remind_after_days,
            now,
        )
        if decision.what != Reminding.NOW:
            person.next_at, person.reason = decision.at, decision.reason
            continue
        person.reminded += 1
        more = person.reminded < mailing.reminders
        person.next_at = now + timedelta(days=mailing.remind_after_days) if more else None
        until = invitation.expires_at or now
        owed.setdefault(person.reminded, []).append(message(mailing, person, invitation, until))
    return sum(
        owe(
            session,
            REMINDER,
            mailing.reminder_event(number),
            messages,
            next_at=now,
            now=now,
            settings=settings,
            rank=Rank.REMINDER,
        )
        for number, messages in owed.items()
    )


def move_on(session: Session, mailing: Mailing, now: datetime) -> None:
    """Say when to look again, or that all is done."""
    of_it = (Recipient.mailing_id == mailing.id, Recipient.next_at.is_not(None))
    next_at = session.scalar(select(Recipient.next_at).where(*of_it).order_by(Recipient.next_at).limit(1))
    pending = (Notification.event.in_(mailing.events), Notification.state == NotificationState.PENDING)
    if next_at is None and session.scalar(select(Notification.id).where(*pending).limit(1)) is None:
        mailing.state, mailing.ended_at = MailingState.DONE, now
    else:
        mailing.next_batch_at = max(now + BATCH_EVERY, next_at or now)
    session.flush()
