"""Verbs on notification runs: change what is sent to whom, release, approve, undo, send again."""

from __future__ import annotations

import uuid
import zlib
from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import String, cast, func, literal, or_, select, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Role, User
from feedback_loop.actions.audience.choosing import FINAL, REASONS, Reason
from feedback_loop.actions.audience.facts import no_mail
from feedback_loop.actions.audience.groups import DONE, around
from feedback_loop.actions.audience.preparing import take_in
from feedback_loop.actions.audience.raisers import Raiser
from feedback_loop.actions.closing.service import KIND, LINKS, asked_later, mail_data
from feedback_loop.actions.models import ActionItem, NotificationRun, RunPerson, RunState
from feedback_loop.actions.notices import tell
from feedback_loop.actions.runs.people import chosen, chunks, those_told, told_elsewhere, weigh_again
from feedback_loop.actions.runs.queries import UNDONE
from feedback_loop.actions.service import Refused, demand_living, latest_closure, note
from feedback_loop.notifications.again import owe_again, retry
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import Owed, cancel, owe
from feedback_loop.responses.models import Customer
from feedback_loop.settings import Settings

SINCE = "They were told since of the same problem by another closing."
# So long before the first mail goes out nothing is undone any more: clocks of two machines differ a little.
MARGIN = timedelta(seconds=5)
WORDS = {
    RunState.REVIEW: "waits for review",
    RunState.APPROVAL: "waits for a second person's approval",
    RunState.HELD: "is released",
    RunState.SENDING: "is being sent",
    RunState.DONE: "is done",
    RunState.UNDONE: "ended when the closing was taken back",
}
OUT = (RunState.HELD, RunState.SENDING, RunState.DONE)


def locked(session: Session, run: NotificationRun, verb: str, *states: RunState) -> ActionItem:
    """Lock a run as it stands now, and refuse what cannot be done with it in that state.

    Its item and those about the same problem are locked before it, always in the same order: what one run does, the
    next one sees; and whoever takes the closing back locks the item first, too.

    Args:
        verb: For the refusal, such as `changed`.
        states: In which it can be done.

    Returns:
        Its action item.
    """
    session.flush()
    item = run.closure.action_item
    session.scalars(
        select(ActionItem)
        .where(ActionItem.id.in_(around(session, item).item_ids))
        .order_by(ActionItem.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    session.scalars(
        select(NotificationRun)
        .where(NotificationRun.id == run.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    session.refresh(run.closure)
    session.refresh(item.complaint)
    if run.state not in states:
        who = run.undone_by if run.state == RunState.UNDONE else run.released_by
        by = f" by {who.name}" if who else ""
        raise Refused(f"This run {WORDS[run.state]}{by}, so it cannot be {verb}. Look again.")
    return item


def told_count(session: Session, run: NotificationRun) -> int:
    """How many people a run tells."""
    return session.scalar(select(func.count()).where(RunPerson.run_id == run.id, RunPerson.is_told)) or 0


def as_seen(session: Session, run: NotificationRun) -> str:
    """What a page shows of a run, in short: who is told, and what. It differs once either was changed."""
    told = session.scalars(
        select(RunPerson.customer_id)
        .where(RunPerson.run_id == run.id, RunPerson.is_told)
        .order_by(RunPerson.customer_id)
    ).all()
    shown = ",".join(map(str, told)) + "\n" + run.closure.statement
    return f"{len(told)}-{zlib.crc32(shown.encode()):08x}"


def demand_seen(session: Session, run: NotificationRun, seen: str | None) -> None:
    """Refuse to send what is not what somebody looked at."""
    if seen is not None and seen != as_seen(session, run):
        raise Refused("The statement or the people have changed since you opened the page. Look again, then send it.")


def change_statement(session: Session, run: NotificationRun, statement: str, by: User, now: datetime) -> None:
    """Change what customers will read.

    Raises:
        Refused: It is released, or nothing is left to read.
    """
    item = locked(session, run, "changed", RunState.REVIEW)
    if not statement.strip():
        raise Refused("Enter what customers are to read.")
    if statement.strip() == run.closure.statement:
        return
    run.closure.statement = statement.strip()
    note(session, item, "statement", f"Changed the statement to customers: {statement.strip()}", by, now)


def person_of(session: Session, run: NotificationRun, customer_id: int) -> RunPerson:
    """Somebody of a run.

    Raises:
        Refused: They are not in it.
    """
    found = session.get(RunPerson, (run.id, customer_id))
    if found is None:
        raise Refused("This person is not part of the run. Add them by their address first.")
    return found


def drop(session: Session, run: NotificationRun, customer_id: int, by: User, now: datetime) -> RunPerson:
    """Leave one person out."""
    item = locked(session, run, "changed", RunState.REVIEW)
    person = person_of(session, run, customer_id)
    if person.is_told:
        person.is_told, person.reason, person.by_hand = False, Reason.DROPPED.value, True
        note(session, item, "dropped", "Took one person out of those who will be told.", by, now, customer=customer_id)
    return person


def put_back(session: Session, run: NotificationRun, customer_id: int, by: User, now: datetime) -> RunPerson:
    """Tell one person after all.

    Raises:
        Refused: They asked for no mail, or had their words erased.
    """
    item = locked(session, run, "changed", RunState.REVIEW)
    person = person_of(session, run, customer_id)
    if person.is_told:
        return person
    barred = session.scalar(select(Customer.id).where(Customer.id == customer_id, no_mail()))
    if person.reason in FINAL or barred:
        reason = Reason.UNSUBSCRIBED if barred else Reason(person.reason)
        raise Refused(f"This person is not told: they {REASONS[reason]}. That is theirs to say.")
    person.is_told, person.reason, person.by_hand = True, "", True
    note(session, item, "added", "Put one person back among those who will be told.", by, now, customer=customer_id)
    return person


def add(session: Session, run: NotificationRun, address: str, by: User, now: datetime) -> RunPerson:
    """Tell a customer who did not raise it here, but said so elsewhere. Their mail quotes nothing.

    Raises:
        Refused: Nobody is known by the address, or they must not be written to.
    """
    item = locked(session, run, "changed", RunState.REVIEW)
    customer = session.scalar(select(Customer).where(Customer.email == address.strip().lower()))
    if customer is None:
        raise Refused("No customer is known by this address. Customers are known once they were invited or answered.")
    if session.get(RunPerson, (run.id, customer.id)) is not None:
        return put_back(session, run, customer.id, by, now)
    if session.scalar(select(Customer.id).where(Customer.id == customer.id, no_mail())):
        raise Refused(f"This person is not told: they {REASONS[Reason.UNSUBSCRIBED]}. That is theirs to say.")
    person = RunPerson(run_id=run.id, customer_id=customer.id, is_told=True, by_hand=True)
    session.add(person)
    session.flush()
    note(session, item, "added", "Added one person to those who will be told.", by, now, customer=customer.id)
    return person


def look_again(session: Session, run: NotificationRun, by: User, now: datetime, settings: Settings) -> Counter[str]:
    """Take in those who raised it since the run was prepared, and those who were left out for what holds no longer.

    Returns:
        How many came in, by the reason why they are not told; those who are told under the empty one.
    """
    item = locked(session, run, "changed", RunState.REVIEW)
    found = take_in(session, run, now, settings)
    if found.total():
        text = f"Looked again: {found.total()} came into the run; {found['']} of them will be told."
        note(session, item, "added", text, by, now)
    return found


def needs_approval(told: int, settings: Settings) -> bool:
    """Whether a run to so many people needs a second person."""
    return 0 < settings.approval_above < told


def release(
    session: Session, run: NotificationRun, by: User, now: datetime, settings: Settings, seen: str | None = None
) -> int:
    """Say that it may be sent. It is sent when the hold is over, or waits for approval first where that is needed.

    Args:
        seen: What the page showed of it (`as_seen`); None where nobody looked at a page.

    Returns:
        How many will be told.

    Raises:
        Refused: It is released already, or is not what was looked at; or its complaint was merged or dismissed.
    """
    item = locked(session, run, "released", RunState.REVIEW)
    demand_living(item)
    demand_seen(session, run, seen)
    weigh_again(session, run)
    told = told_count(session, run)
    run.released_by, run.released_at = by, now
    run.undone_by, run.undone_at = None, None
    if needs_approval(told, settings):
        run.state = RunState.APPROVAL
        session.flush()
        text = f"{by.name} wants to tell {told:,} people; a second lead or admin is to approve."
        note(session, item, "released", text, by, now, told=told)
        others = session.scalars(select(User.id).where(User.is_active, User.role.in_([Role.LEAD, Role.ADMIN])))
        tell(session, others, item, "approval", text, now, by, is_urgent=True)
        return told
    return hold(session, run, item, by, now, settings)


def may_approve(user: User, run: NotificationRun) -> str:
    """Why somebody may not approve a run; empty if they may."""
    if not user.role.includes(Role.LEAD):
        return "Only leads and admins approve runs."
    if user.id == run.released_by_id:
        return "A second person approves: somebody else than who released it."
    return ""


def approve(
    session: Session, run: NotificationRun, by: User, now: datetime, settings: Settings, seen: str | None = None
) -> int:
    """Agree, as the second pair of eyes, that it is sent.

    Raises:
        Refused: It does not wait for approval, is not what was looked at, or this person may not; or its complaint was
            merged or dismissed.
    """
    item = locked(session, run, "approved", RunState.APPROVAL)
    if refusal := may_approve(by, run):
        raise Refused(refusal)
    demand_living(item)
    demand_seen(session, run, seen)
    weigh_again(session, run)
    run.approved_by, run.approved_at = by, now
    tell(session, [run.released_by_id], item, "approved", f"{by.name} approved the mails you released.", now, by)
    return hold(session, run, item, by, now, settings)


def hold(session: Session, run: NotificationRun, item: ActionItem, by: User, now: datetime, settings: Settings) -> int:
    """Owe everybody their mail, to go out when the hold is over. What was undone before is owed again as it was."""
    closure = run.closure
    run.state, run.starts_at = RunState.HELD, now + timedelta(minutes=settings.hold_minutes)
    session.flush()
    asked, thread = asked_later(closure, run.starts_at, settings), {"thread": closure.thread}
    people = (
        Owed(f"customer:{each.customer_id}", each.address, each.name, mail_data(each, closure, asked) | thread)
        for each in those_told(session, run)
    )
    told = owe_again(session, KIND, closure.event, people, UNDONE, next_at=run.starts_at, now=now, settings=settings)
    verb = "Approved" if run.approved_by_id == by.id else "Released"
    minutes = f", in {settings.hold_minutes} minutes" if settings.hold_minutes else ""
    note(session, item, "released", f"{verb}: {told:,} to be told{minutes}.", by, now, told=told)
    return told


def undo(session: Session, run: NotificationRun, by: User, now: datetime) -> None:
    """Take a run back to review before anything of it is sent. The closing stands.

    Raises:
        Refused: It is on its way already.
    """
    item = locked(session, run, "undone", RunState.APPROVAL, *OUT)
    if run.starts_at is not None and (run.starts_at - MARGIN <= now or is_going_out(session, run, now)):
        raise Refused(
            "The mails are going out already, so this cannot be undone. Take the closing back to stop the rest of them."
        )
    was_held = run.state == RunState.HELD
    run.state, run.starts_at = RunState.REVIEW, None
    run.undone_by, run.undone_at = by, now
    run.released_by, run.released_at, run.approved_by, run.approved_at = None, None, None, None
    session.flush()
    cancel(session, run.closure.event, UNDONE)
    text = "Undone before anything was sent" if was_held else "Not approved"
    note(session, item, "undone", f"{text}; the run is back in review.", by, now)
    tell(session, [run.prepared_by_id, item.owner_id], item, "undone", f"{by.name}: {text.lower()}.", now, by)


def is_going_out(session: Session, run: NotificationRun, now: datetime) -> bool:
    """Whether a mail of a run is out, or in the hands of a worker. None can be taken in hand before this transaction
    ends."""
    session.execute(
        select(Notification.id)
        .where(Notification.event == run.closure.event, Notification.state == NotificationState.PENDING)
        .order_by(Notification.id)
        .with_for_update()
    ).all()
    out = select(Notification.id).where(
        Notification.event == run.closure.event,
        or_(
            Notification.state.in_([NotificationState.SENT, NotificationState.BOUNCED]),
            Notification.claimed_until > now,
        ),
    )
    return session.scalar(out.limit(1)) is not None


def send_test(session: Session, run: NotificationRun, customer_id: int | None, to: User, now: datetime,
              settings: Settings) -> None:  # fmt: skip
    """Send the mail of one person to one of us. It counts nowhere; its links lead to a page that says so.

    Args:
        customer_id: Whose; None for the first who is told.
    """
    ids = [customer_id] if customer_id is not None else []
    person = next(those_told(session, run, ids), None) or Raiser(0, to.email, to.name, "", "", None)
    path = f"/actions/{run.closure.action_item_id}/run/tried"
    data = mail_data(person, run.closure, asked_later(run.closure, now, settings)) | {
        "links": dict.fromkeys([*LINKS, "unsubscribe_url"], path)
    }
    owed = Owed(f"user:{to.id}", to.email, person.name or to.name, data)
    event = f"test:{run.closure.event}:{uuid.uuid4().hex}"  # as often as they like
    owe(session, KIND, event, [owed], next_at=now, now=now, settings=settings, rank=Rank.TEST)


def resend(session: Session, run: NotificationRun, by: User, now: datetime, notification_id: int | None = None) -> int:
    """Try mails that failed once more, all or one, under the Message-ID they had.

    Whom another closing has told since of the same problem gets none.

    Returns:
        How many.

    Raises:
        Refused: The closing was taken back, or customers' answers reopened the item, or it was closed anew since.
    """
    item = locked(session, run, "sent again", *OUT)
    latest = latest_closure(session, item)
    if item.status not in DONE or run.closure.withdrawn_at or latest is None or latest.id != run.closure_id:
        raise Refused("This closing does not hold any more, so its mails are not sent again.")
    failed = [Notification.event == run.closure.event, Notification.state == NotificationState.FAILED]
    its_own = Notification.recipient == literal("customer:") + cast(RunPerson.customer_id, String)
    whom = chosen(run).join(Notification, its_own).where(*failed)
    for ids in chunks(told_elsewhere(session, run, whom)):
        session.execute(
            update(Notification)
            .where(*failed, Notification.recipient.in_([f"customer:{each}" for each in ids]))
            .values(state=NotificationState.SKIPPED, reason=SINCE, fence=Notification.fence + 1)
            .execution_options(synchronize_session="fetch")
        )
    count = retry(session, run.closure.event, now, notification_id)
    if count:
        run.state = RunState.SENDING
        note(session, item, "resent", f"{count:,} that failed are tried once more.", by, now)
    return count


def settle(session: Session, now: datetime) -> int:
    """Move runs on whose hold is over, and those of which nothing is left to send.

    Returns:
        How many moved.
    """
    begun = session.execute(
        update(NotificationRun)
        .where(NotificationRun.state == RunState.HELD, NotificationRun.starts_at <= now)
        .values(state=RunState.SENDING)
        .execution_options(synchronize_session=False)
    )
    waits = select(Notification.id).where(
        Notification.event == literal("closure:") + cast(NotificationRun.closure_id, String),
        Notification.state == NotificationState.PENDING,
    )
    done = session.execute(
        update(NotificationRun)
        .where(NotificationRun.state == RunState.SENDING, ~waits.exists())
        .values(state=RunState.DONE)
        .execution_options(synchronize_session=False)
    )
    return int(begun.rowcount + done.rowcount)  # type: ignore[attr-defined]
