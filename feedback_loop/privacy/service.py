"""Verbs on what is kept about a person: show it, erase it. Each is logged, without saying about whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.accounts.models import User
from feedback_loop.actions.audience.choosing import Reason
from feedback_loop.actions.closing.asking import ERASED
from feedback_loop.actions.models import NotificationRun, RunPerson, RunState
from feedback_loop.db import clean_text
from feedback_loop.followups.erasing import forget_comments
from feedback_loop.followups.models import FollowUp
from feedback_loop.inbound.erasing import forget_replies
from feedback_loop.inbound.models import InboundMail, Lift
from feedback_loop.inbound.reading import ADDRESS
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.models import NOBODY, Notification, NotificationState, Suppression
from feedback_loop.notifications.suppressing import WISHES
from feedback_loop.privacy.models import Asked, DataRequest
from feedback_loop.privacy.queries import Rows, Whose, kept_about, whose
from feedback_loop.reports.status.erasing import erase
from feedback_loop.responses.handing import hand_over
from feedback_loop.responses.mailings.models import Recipient, RecipientState, Reject
from feedback_loop.responses.models import Answer, Customer, Invitation, UnconfirmedAnswer
from feedback_loop.settings import Settings

PURPOSE = "erased-address"
NOT_SENT = "The person it was for had their data erased."
NO_MAIL = "Wanted no mail; all else about them was erased."
GONE = "Erased."
UNSEEN: Any = {"synchronize_session": False}  # everything is read anew afterwards
KEPT_DATA = ("asks_at", "outcome", "effective_from", "statement")  # of a mail: what says nothing of whom it was for


class Refused(ValueError):
    """What was asked for is not possible; the message says why, for people."""


def key_of(address: str, settings: Settings) -> str:
    """By what the log knows an erased address: nobody without the SECRET_KEY can try addresses against it."""
    return tokens.hashed(tokens.derive(settings.secret_key, PURPOSE, address.strip().lower()))


def show(
    session: Session, address: str, by: User | None, why: str, now: datetime, settings: Settings, *, originals: bool
) -> dict[str, Rows]:
    """Everything that is kept about an address. Commit before you show it.

    Args:
        by: Who looks; None for the command line.
        why: Kept in the log.
        originals: Whether what they typed belongs to it, as far as it is kept and `by` may read it.

    Raises:
        Refused: No reason is given, or no address.
    """
    why = reason(why)
    check(address)

    def original(answer: Answer | UnconfirmedAnswer) -> str:
        return hand_over(session, answer, by, why, now, settings) if originals else ""

    found = kept_about(session, whose(session, address), original)
    log(session, Asked.ACCESS, by, why, now, found, None)
    return found


def erase_person(session: Session, address: str, by: User | None, why: str, now: datetime, settings: Settings) -> int:
    """Erase what is kept about an address, and log that it was done, but not about whom.

    Raises:
        Refused: No reason is given, or no address, or nothing is kept about it.

    Returns:
        How many rows spoke of it.
    """
    why = reason(why)
    check(address)
    found = kept_about(session, whose(session, address), lambda _: "")
    if not found:
        raise Refused("Nothing is kept about this address.")
    # First: erasing lets go of everything the session holds.
    log(session, Asked.ERASURE, by, why, now, found, key_of(address, settings))
    forget(session, address, now)
    return sum(len(rows) for rows in found.values())


def reason(why: str) -> str:
    """A reason as it is kept."""
    why = clean_text(why).strip()
    if not why:
        raise Refused("Say why: who asked, and where that is written down.")
    return why


def check(address: str) -> None:
    """Refuse what is no address: rows that name nobody must not be found by it."""
    if not all(part.strip() for part in address.partition("@")):
        raise Refused("Enter a whole address, such as maya@example.com.")


def log(
    session: Session,
    kind: Asked,
    by: User | None,
    why: str,
    now: datetime,
    found: dict[str, Rows],
    key: str | None = None,
) -> None:
    """Write down that somebody saw or erased what is kept about a person."""
    counts: dict[str, Any] = {name: len(rows) for name, rows in found.items()}
    session.add(DataRequest(kind=kind, by_id=by.id if by else None, at=now, why=why, counts=counts, address_key=key))
    session.flush()


def forget(session: Session, address: str, now: datetime) -> None:
    """Erase what is kept about an address. What others are counted by stays, of nobody.

    Answers go as if the customer had erased each. Rows that say that something was asked, sent or answered keep that,
    without address, name, words or a link that still opens. Who wanted no mail stays in that list, and there alone.
    """
    # Before it is asked whose the address is: a mailing that is just asking them makes them a customer.
    session.execute(select(Recipient.id).where(Recipient.email == address.strip().lower()).with_for_update())
    person = whose(session, address)
    for number in session.scalars(select(Answer.id).where(person.answers).order_by(Answer.id)).all():
        answer = session.get(Answer, number)
        if answer is not None:
            erase(session, answer, now)
    forget_replies(session, session.scalars(select(Notification.id).where(person.mails)).all())
    if person.customer_id is not None:
        closings = session.scalars(select(FollowUp.closure_id).where(FollowUp.customer_id == person.customer_id))
        forget_comments(session, person.customer_id, closings.all())
    session.execute(delete(UnconfirmedAnswer).where(person.waiting).execution_options(synchronize_session=False))
    forget_mails(session, person)
    forget_lists(session, person)
    forget_customer(session, person, now)
    forget_wishes(session, person)
    session.flush()
    session.expire_all()


def nobody(number: int | str) -> str:
    """The address of nobody."""
    return f"erased-{number}@{NOBODY}"


def forget_mails(session: Session, person: Whose) -> None:
    """Send nothing that is owed, and let what was sent say no more than that. Its links open nothing any more."""
    rows = session.scalars(select(Notification).where(person.mails).order_by(Notification.id).with_for_update()).all()
    customer = session.get(Customer, person.customer_id) if person.customer_id is not None else None
    for row in rows:
        if row.state not in (NotificationState.SENT, NotificationState.BOUNCED):
            row.state, row.reason = NotificationState.SKIPPED, NOT_SENT
            row.fence += 1  # a worker that holds it finds it changed
        elif row.reason:
            row.reason = GONE  # what a mail server says of an address names it
        row.address, row.name = nobody(row.id), ""
        row.data = {name: row.data[name] for name in KEPT_DATA if name in row.data} | ERASED
        row.token_hash = tokens.hashed(tokens.draw())
    came_back = InboundMail.notification_id.in_([row.id for row in rows]), InboundMail.reason != ""
    session.execute(update(InboundMail).where(*came_back).values(reason=GONE).execution_options(**UNSEEN))
    session.execute(
        update(InboundMail)
        .where(InboundMail.sender == person.address)
        .values(sender="", subject="", reason=GONE)
        .execution_options(**UNSEEN)
    )
    if customer is not None and customer.name:  # colleagues tried the mail to them
        tried = (Notification.rank == Rank.TEST, Notification.name == customer.name)
        session.execute(update(Notification).where(*tried).values(name="").execution_options(**UNSEEN))
    session.flush()


def forget_lists(session: Session, person: Whose) -> None:
    """Ask nobody who stands in a list of a mailing; whoever was asked counts, as nobody."""
    for row in session.scalars(select(Recipient).where(Recipient.email == person.address)).all():
        if row.state == RecipientState.WAITING:
            row.state = RecipientState.LEFT_OUT
        row.reason = NOT_SENT if row.state == RecipientState.LEFT_OUT else ""
        row.email, row.name, row.experience, row.context, row.next_at = nobody(row.id), "", "", {}, None
    for line in person.rejects(session):
        session.delete(line)
    session.flush()


def forget_customer(session: Session, person: Whose, now: datetime) -> None:
    """Leave of a customer a number without name and address, and of their invitations that there were some."""
    for row in session.scalars(select(Invitation).where(Invitation.id.in_(person.invitation_ids))).all():
        row.token_hash, row.token_key = tokens.hashed(tokens.draw()), None
        row.context, row.experience, row.language = {}, None, ""
        row.expires_at = min(row.expires_at or now, now)
    customer = session.get(Customer, person.customer_id) if person.customer_id is not None else None
    if customer is None:
        return
    customer.email, customer.name, customer.language, customer.time_zone = nobody(customer.id), "", "", ""
    undecided = select(NotificationRun.id).where(
        NotificationRun.state.in_([RunState.REVIEW, RunState.APPROVAL, RunState.HELD])
    )
    session.execute(
        update(RunPerson)
        # Whoever was left out for something else, too: colleagues could put them back.
        .where(RunPerson.customer_id == customer.id, RunPerson.run_id.in_(undecided))
        .values(is_told=False, reason=Reason.ERASED.value)
        .execution_options(**UNSEEN)
    )
    session.flush()


def forget_wishes(session: Session, person: Whose) -> None:
    """Keep that somebody wanted no mail, for nothing else keeps them from getting some; what mail servers or colleagues
    said of the address goes."""
    row = session.scalar(select(Suppression).where(Suppression.address == person.address))
    if row is not None and row.cause in WISHES:
        row.reason, row.notification_id = NO_MAIL, None
    elif row is not None:
        session.delete(row)
    session.execute(
        update(Lift)
        .where(Lift.address == person.address)
        .values(address=nobody("once"), reason=GONE)
        .execution_options(**UNSEEN)
    )
    session.flush()


def erase_again(session: Session, present: Session, now: datetime, settings: Settings) -> int:
    """Erase in a restored database who was erased after its backup. Who came back after an erasure that the backup
    knows, stays.

    Args:
        session: Of the restored database.
        present: Of the one that it replaces.

    Returns:
        How many addresses.
    """
    columns = (DataRequest.address_key, DataRequest.at)
    is_erasure = DataRequest.kind == Asked.ERASURE
    known = {tuple(row) for row in session.execute(select(*columns).where(is_erasure))}
    since = {row.address_key for row in present.execute(select(*columns).where(is_erasure)) if tuple(row) not in known}
    if not since:
        return 0
    addresses = [address for address in all_addresses(session) if key_of(address, settings) in since]
    for address in addresses:
        forget(session, address, now)
    return len(addresses)


def all_addresses(session: Session) -> set[str]:
    """Every address of a customer, wherever it is kept."""
    columns: list[Any] = [
        Customer.email, Recipient.email, UnconfirmedAnswer.email, Suppression.address, Lift.address, InboundMail.sender
    ]  # fmt: skip
    found = {address for column in columns for address in session.scalars(select(column).distinct())}
    mails = select(Notification.address).where(~Notification.recipient.startswith("user:")).distinct()
    named = {each for cells in session.scalars(select(Reject.cells)) for each in ADDRESS.findall(" ".join(cells))}
    return {each.lower() for each in found | named | set(session.scalars(mails)) if each}
