"""Verbs on mailings: draft, change, test, start, stop, discard."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from feedback_loop import languages, mail
from feedback_loop.accounts.models import User
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.hours import EVERY_DAY, next_open
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import Owed, cancel, compose, owe
from feedback_loop.responses.anonymity import REFUSAL
from feedback_loop.responses.mailings.models import KIND, Mailing, MailingState, Recipient, RecipientState, Reject
from feedback_loop.responses.mailings.queries import review
from feedback_loop.responses.mailings.reading import OWN_EXPERIENCE, Person, Rejected
from feedback_loop.responses.models import Customer
from feedback_loop.responses.queries import availability_of
from feedback_loop.settings import Settings
from feedback_loop.surveys.availability import REASONS, Availability
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES, USUAL
from feedback_loop.surveys.wording import translated_questions

PURPOSE = "invitation"
STOPPED = "Stopped before this was sent."
AT_ONCE = 1000
KEPT_REJECTS = timedelta(days=30)


class Refused(ValueError):
    """What was asked for is not possible now; the message says why, for people."""


@dataclass(frozen=True)
class Plan:
    """How a mailing is to go out; see `Mailing` for each."""

    name: str
    why: str = "You have been in touch with us lately, and we want to know how it went."
    rate: int = 60
    opens: int = 9
    closes: int = 18
    weekdays: int = EVERY_DAY
    reminders: int = 1
    remind_after_days: int = 5
    valid_days: int = 30
    ask_again_days: int = 30


def demand(mailing: Mailing, *states: MailingState) -> None:
    """Refuse what is not possible in the state a mailing is in."""
    if mailing.state not in states:
        words = {
            MailingState.DRAFT: "has not been started yet",
            MailingState.SENDING: "is being sent",
            MailingState.DONE: "is done",
            MailingState.STOPPED: "was stopped",
        }
        raise Refused(f"This mailing {words[mailing.state]}, so that is not possible.")


def lock(session: Session, mailing: Mailing) -> None:
    """Read a mailing anew and hold it, so that it is started or stopped once and not in the middle of a batch."""
    session.execute(
        select(Mailing)
        .where(Mailing.id == mailing.id)
        .with_for_update(of=Mailing)
        .execution_options(populate_existing=True)
    ).one()


def draft(
    session: Session,
    survey: Survey,
    plan: Plan,
    lines: Iterable[Person | Rejected],
    by: User,
    now: datetime,
    settings: Settings,
) -> Mailing:
    """Put a mailing together. Nobody is asked before it is started.

    Args:
        lines: The list, from `reading.read_list` or put together otherwise.
        by: Who makes it.
        now: The present moment.
        settings: For the time zone of those whose own is not known.

    Raises:
        ImportFailed: The list cannot be read.
        Refused: The survey is anonymous or takes no answers, or nobody is on the list.
    """
    if survey.is_anonymous:
        raise Refused(REFUSAL)
    # One that opens later may have its mailings put together before.
    if (standing := availability_of(session, survey, now)) not in (Availability.OPEN, Availability.SCHEDULED):
        raise Refused(REASONS[standing])
    mailing = Mailing(survey_id=survey.id, made_by_id=by.id, made_at=now, **asdict(plan))
    session.add(mailing)
    session.flush()
    people: list[Person] = []
    rejects: list[dict[str, Any]] = []
    for line in lines:
        if isinstance(line, Person):
            people.append(line)
        else:
            rejects.append({**asdict(line), "mailing_id": mailing.id, "reason": line.reason[:500]})
    if not people and not rejects:
        raise Refused("The list is empty: there is no line after the first.")
    for start in range(0, len(people), AT_ONCE):
        add_people(session, mailing, people[start : start + AT_ONCE], settings)
    for start in range(0, len(rejects), AT_ONCE):
        session.execute(insert(Reject), rejects[start : start + AT_ONCE])
    return mailing


def add_people(session: Session, mailing: Mailing, people: list[Person], settings: Settings) -> None:
    """Write down people of a list, each with the time zone by whose clock they are written to."""
    known = dict(
        session.execute(
            select(Customer.email, Customer.time_zone).where(
                Customer.email.in_([person.email for person in people]), Customer.time_zone != ""
            )
        ).all()
    )
    session.execute(
        insert(Recipient),
        [
            {
                "mailing_id": mailing.id,
                "line": person.line,
                "email": person.email,
                "name": person.name,
                "time_zone": person.time_zone or known.get(person.email) or settings.default_time_zone,
                "has_own_zone": bool(person.time_zone),
                "experience": person.experience or f"{OWN_EXPERIENCE}{mailing.id}",
                "context": person.context,
            }
            for person in people
        ],
    )


def change(session: Session, mailing: Mailing, plan: Plan) -> None:
    """Change how a draft is to go out.

    Raises:
        Refused: It was started.
    """
    lock(session, mailing)
    demand(mailing, MailingState.DRAFT)
    for name, value in asdict(plan).items():
        setattr(mailing, name, value)
    session.flush()


def discard(session: Session, mailing: Mailing) -> None:
    """Throw a draft away, with its list.

    Raises:
        Refused: It was started.
    """
    lock(session, mailing)
    demand(mailing, MailingState.DRAFT)
    for table in (Recipient, Reject):
        session.execute(delete(table).where(table.mailing_id == mailing.id))
    session.delete(mailing)
    session.flush()


def start(session: Session, mailing: Mailing, expected: int, now: datetime, settings: Settings) -> None:
    """Begin to send. The worker asks people batch by batch, each decided on anew.

    Args:
        expected: How many people whoever starts it believes will be asked.

    Raises:
        Refused: It was started, its survey takes no answers, nobody would be asked, or another number than expected.
    """
    lock(session, mailing)
    demand(mailing, MailingState.DRAFT)
    if (standing := availability_of(session, mailing.survey, now)) != Availability.OPEN:
        raise Refused(f"Nobody could answer. {REASONS[standing]}")
    found = review(session, mailing, now, settings)
    if not found.asked:
        raise Refused("Nobody on this list would be asked; the reasons stand beside it.")
    if found.asked != expected:
        raise Refused(
            f"Something changed since you looked: {found.asked:,} people would be asked now, not {expected:,}. "
            "Nothing was sent. Look again, then start."
        )
    mailing.state = MailingState.SENDING
    mailing.started_at = mailing.next_batch_at = now
    session.flush()
    zones = session.scalars(select(Recipient.time_zone).where(Recipient.mailing_id == mailing.id).distinct()).all()
    for zone in zones:
        session.execute(
            update(Recipient)
            .where(Recipient.mailing_id == mailing.id, Recipient.time_zone == zone)
            .values(next_at=next_open(now, mailing.hours(zone)))
        )


def stop(session: Session, mailing: Mailing, now: datetime) -> int:
    """Stop: who has not been asked is not asked any more, and nobody is reminded. What is out stays out.

    Returns:
        How many people will not get a mail that they would have got.

    Raises:
        Refused: It is not being sent.
    """
    lock(session, mailing)
    demand(mailing, MailingState.SENDING)
    mailing.state = MailingState.STOPPED
    mailing.ended_at = now
    session.flush()
    of_it = Recipient.mailing_id == mailing.id
    waiting = session.execute(
        update(Recipient)
        .where(of_it, Recipient.state == RecipientState.WAITING)
        .values(state=RecipientState.LEFT_OUT, reason=STOPPED, next_at=None)
    ).rowcount  # type: ignore[attr-defined]
    session.execute(update(Recipient).where(of_it, Recipient.next_at.is_not(None)).values(next_at=None))
    return int(waiting) + sum(cancel(session, event, STOPPED) for event in mailing.events)


def mail_data(
    mailing: Mailing, until: datetime, answer_path: str, *, language: str = "", is_test: bool = False
) -> Mapping[str, Any]:
    """What an invitation or reminder needs to know."""
    survey = mailing.survey
    scale = SCALES[survey.scale]
    return {
        "question": survey.question,
        "is_usual": survey.question in USUAL,
        # By language: which one the mail speaks is known when it is written.
        "questions": translated_questions(survey),
        "accent": survey.accent,
        "language": language,
        "scale": survey.scale.value,
        "choices": [[choice.written, choice.label] for choice in scale.shown],
        "emoji": {choice.written: choice.emoji for choice in scale.choices if choice.emoji},
        "ends": scale.ends,
        "why": mailing.why,
        "until": until.isoformat(),
        "thread": f"mailing-{mailing.id}",
        "is_test": is_test,
        "links": {"answer_url": answer_path} | ({} if is_test else {"trap_url": f"{answer_path}/contents"}),
    }


def preview(mailing: Mailing, person: Recipient, now: datetime, settings: Settings, kind: str = KIND) -> mail.Message:
    """The mail as one person of the list reads it, with links that lead nowhere."""
    until = now + timedelta(days=mailing.valid_days)
    note = Notification(
        kind=kind,
        address=person.email,
        name=person.name,
        data=mail_data(mailing, until, "/i/{token}", language=languages.known(person.context.get("language", ""))),
        message_id="<preview@localhost>",
    )
    return compose(note, settings, "preview")


def send_test(session: Session, mailing: Mailing, to: User, now: datetime, settings: Settings) -> None:
    """Send the mail to one of us, marked as a test. It counts nowhere; its links lead to a page that says so."""
    path = f"/surveys/{mailing.survey.slug}/mailings/{mailing.id}/tried"
    data = mail_data(mailing, now + timedelta(days=mailing.valid_days), path, is_test=True)
    owed = Owed(f"user:{to.id}", to.email, to.name, data)
    event = f"test:{mailing.id}:{uuid.uuid4().hex}"  # as often as they like
    owe(session, KIND, event, [owed], next_at=now, now=now, settings=settings, rank=Rank.TEST)


def forget_rejects(session: Session, now: datetime) -> int:
    """Delete the lines that asked nobody, once there was time to look at them.

    Returns:
        How many were deleted.
    """
    old = select(Mailing.id).where(func.coalesce(Mailing.ended_at, Mailing.made_at) < now - KEPT_REJECTS)
    return session.execute(delete(Reject).where(Reject.mailing_id.in_(old))).rowcount  # type: ignore[attr-defined, no-any-return]
